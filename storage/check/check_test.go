package check

import (
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
