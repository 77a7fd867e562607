package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailcote/storage"
)

// TestLasts: UIDs last while UIDNEXT has not fallen and the messages of a sample are the same.
func TestLasts(t *testing.T) {
	one := func(uid storage.UID, size int64, header byte) Copy {
		return Copy{UID: uid, Size: size, Header: Digest{header}}
	}
	sample := []Copy{one(1, 10, 1), one(5, 20, 2), one(9, 30, 3)}
	for _, test := range []struct {
		name          string
		now           []Copy
		exists        uint32
		uidNext, then storage.UID
		sizes         storage.Sizes
		want          bool
	}{
		{name: "the same", now: sample, exists: 9, uidNext: 10, then: 10, want: true},
		{name: "some are gone", now: sample[1:2], exists: 4, uidNext: 12, then: 10, want: true},
		{name: "another header", now: []Copy{one(5, 20, 7)}, exists: 9, uidNext: 10, then: 10},
		{name: "another size", now: []Copy{one(5, 21, 2)}, exists: 9, uidNext: 10, then: 10},
		{name: "sizes are wrong", now: []Copy{one(5, 21, 2)}, exists: 9, uidNext: 10, then: 10,
			sizes: storage.Sizes{Wrong: true}, want: true},
		{name: "UIDNEXT fell", now: sample[:2], exists: 5, uidNext: 6, then: 10},
		{name: "UIDNEXT is worth nothing", now: sample, exists: 9, uidNext: 1, then: 10, want: true},
		{name: "UIDNEXT is not said", now: sample, exists: 9, then: 10, want: true},
		{name: "none is there", exists: 9, uidNext: 100, then: 10},
		{name: "nothing is there", uidNext: 10, then: 10, want: true},
	} {
		now := map[storage.UID]Copy{}
		for _, c := range test.now {
			now[c.UID] = c
		}
		if got := Lasts(sample, now, test.exists, test.uidNext, test.then, test.sizes); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}

func TestSample(t *testing.T) {
	if got := fmt.Sprint(Sample(3), Sample(10), Sample(100)); got !=
		"[0 1 2] [0 1 2 3 4 5 6 7 8 9] [0 11 22 33 44 55 66 77 88 99]" {
		t.Error(got)
	}
}

func TestStirred(t *testing.T) {
	now, two, three := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), int64(2), int64(3)
	m := storage.Mailbox{UIDValidity: 5, Unstable: 2, Total: 9, Unread: 2,
		Pass: storage.Pass{Total: 9, Unseen: &two, UIDNext: 10, At: now.Add(-time.Hour)}}
	still := Status{Said: true, Messages: 9, Unseen: &two, UIDNext: 77, UIDValidity: 6}
	if Stirred(m, still, now) || !Quiet(m, still) {
		t.Error("nothing moved")
	}
	for name, change := range map[string]func(*storage.Mailbox, *Status){
		"messages":       func(_ *storage.Mailbox, s *Status) { s.Messages = 8 },
		"unseen":         func(_ *storage.Mailbox, s *Status) { s.Unseen = &three },
		"a day":          func(m *storage.Mailbox, _ *Status) { m.Pass.At = now.Add(-24 * time.Hour) },
		"clock set back": func(m *storage.Mailbox, _ *Status) { m.Pass.At = now.Add(time.Hour) },
		"not complete":   func(m *storage.Mailbox, _ *Status) { m.Pass.At = time.Time{} },
		"not said":       func(_ *storage.Mailbox, s *Status) { s.Said = false },
	} {
		m, s := m, still
		change(&m, &s)
		if !Stirred(m, s, now) {
			t.Errorf("%s: not stirred", name)
		}
	}
}

// TestAlign: a letter is a message: its size, its date, its header.
func TestAlign(t *testing.T) {
	looks := map[rune]Copy{}
	for i, c := range "abcdefgh" {
		looks[c] = Copy{Size: 100 + int64(i), Date: time.Unix(int64(1000+i), 0), Header: Digest{byte(i + 1)}}
	}
	looks['x'], looks['y'] = Copy{Size: 50, Date: time.Unix(9, 0), Header: Digest{90}}, // as long, as old
		Copy{Size: 50, Date: time.Unix(9, 0), Header: Digest{91}}
	looks['u'], looks['v'] = Copy{Size: 70, Date: time.Unix(20, 0), Header: Digest{80}}, // as long; the server says no
		Copy{Size: 70, Header: Digest{81}} // date of the second
	looks['w'], looks['z'] = Copy{Size: 70, Date: time.Unix(20, 0), Header: Digest{82}}, // another one, dated as u was
		Copy{Size: 70, Header: Digest{80}} // and u without its date
	side := func(text string, entries bool) (all []Copy) {
		for i, r := range text {
			if c := looks[r]; r != '-' {
				if c.UID = storage.UID(i + 1); entries {
					c.Entry = storage.EntryID(100 + i)
				}
				all = append(all, c)
			}
		}
		return all
	}
	for _, test := range []struct{ name, stored, listed, want string }{
		{"the same", "abc", "abc", "1<1 2<2 3<3"},
		{"the first is gone, the rest moved up", "abc", "bc", "1<2 2<3"},
		{"one is new", "abc", "abcd", "1<1 2<2 3<3"},
		{"another order", "abcd", "dacb", "1<4 2<1 3<3 4<2"},
		{"alike but for the header", "axy", "yx", "1<3 2<2"},
		{"one without a date", "aub", "bvu", "1<3 3<2"},
		{"its date is another one's now", "au", "awz", "1<1 3<2"},
		{"twins in place, and others moved", "aggb", "bgga", "1<4 4<1"},
		{"twins stay in place", "aggb", "aggb", "1<1 2<2 3<3 4<4"},
		{"twins that moved are told by nothing", "aggb", "ggb", "3<4"},
		{"one twin is gone", "agg", "ag-", "1<1"},
		{"nothing is left", "abc", "", ""},
		{"all is new", "", "abc", ""},
	} {
		a := Align(side(test.stored, true), side(test.listed, false))
		a.ByHeader()
		slices.SortFunc(a.Pairs, func(x, y Match) int { return int(x.UID) - int(y.UID) })
		var got []string
		for _, m := range a.Pairs {
			got = append(got, fmt.Sprintf("%d<%d", m.UID, m.Entry-99))
		}
		if s := strings.Join(got, " "); s != test.want {
			t.Errorf("%s: %q, want %q", test.name, s, test.want)
		}
	}
}
