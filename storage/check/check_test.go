package check

import (
	"slices"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDifferences(t *testing.T) {
	at, same, other := int64(1), int64(1), int64(2)
	for _, c := range []struct {
		have, fresh Derived
		want        int
	}{
		{Derived{}, Derived{}, 0},
		{Derived{SentAt: &at}, Derived{SentAt: &same}, 0},
		{Derived{SentAt: &at}, Derived{SentAt: &other}, 1},
		{Derived{SentAt: &at}, Derived{}, 1},
		{Derived{Subject: "a", Preview: "b", Partial: true}, Derived{Subject: "A"}, 3},
	} {
		if got := differences(c.have, c.fresh); len(got) != c.want {
			t.Errorf("%+v and %+v differ in %v", c.have, c.fresh, got)
		}
	}
}

// Only damaged pages take a new file.
func TestVerdict(t *testing.T) {
	for verdict, want := range map[string]Finding{
		"row 7 missing from index entry_email":         {Mends: true, Index: "entry"},
		"row 7 values differ from index entry_email":   {Mends: true, Index: "entry"},
		"wrong # of entries in index entry_email":      {Mends: true, Index: "entry"},
		"CHECK constraint failed in entry":             {},
		"non-unique entry in index entry_once":         {Mends: true, File: true},
		"Tree 9 page 31 cell 0: Rowid 5 out of order":  {Mends: true, File: true},
		"*** in database main ***\nPage 9: never used": {Mends: true, File: true},
		"NULL value in entry.flags":                    {Mends: true, File: true},
	} {
		p := part{}
		if err := p.verdict("entry", verdict); err != nil {
			t.Fatal(err)
		}
		if got := p.found[0]; got.Mends != want.Mends || got.File != want.File || got.Index != want.Index {
			t.Errorf("%s: %+v", verdict, got)
		}
	}
}

func TestConditions(t *testing.T) {
	got := conditions(`CREATE TABLE t ( -- not a CHECK (this)
		a INTEGER CHECK (a IN (1, 2)) CHECK(length(a) > 0),
		"CHECK" TEXT check ("CHECK" <> ')'), b REFERENCES u (check_it),
		CHECK ((a = 1) = (b IS NULL))) STRICT`)
	want := []string{"(a IN (1, 2))", "(length(a) > 0)", `("CHECK" <> ')')`, "((a = 1) = (b IS NULL))"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
