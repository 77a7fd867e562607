package health

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailcote/storage/class"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const host = "host:mail.example.org:993"

// second stands in for a backoff.
func second(n int) time.Duration { return time.Duration(n) * time.Second }

// TestProbe: five failures in ten minutes open a breaker; at its deadline one attempt goes through and all others
// wait for it.
func TestProbe(t *testing.T) {
	s := New(time.Now(), nil)
	now := time.Now()
	for n := 1; n <= trips; n++ {
		for range 2 { // closed: nobody waits for anybody
			leave, _, ok := s.Enter(now, host)
			if !ok {
				t.Fatalf("failure %d: held", n)
			}
			defer leave()
		}
		row := s.Fail(now, host, "network", "refused", second)
		if row.Failures != n || row.OpenedAt.IsZero() != (n < trips) {
			t.Fatalf("after failure %d: %+v", n, row)
		}
		if h, held := s.Held(now, host); !held || h.Probing || h.Until != now.Add(second(n)) {
			t.Fatalf("after failure %d: %+v", n, h)
		}
		now = now.Add(second(n))
	}
	leave, _, ok := s.Enter(now, host)
	if !ok {
		t.Fatal("no probe")
	}
	_, h, ok := s.Enter(now, host)
	if ok || !h.Probing {
		t.Fatalf("two probes: %+v", h)
	}
	if _, held := s.Held(now, "host:other:993", "account:1"); held {
		t.Error("another host waits")
	}
	s.Fail(now, host, "network", "refused", second)
	leave()
	<-h.Changed
	if h, held := s.Held(now, host); !held || h.Probing {
		t.Errorf("after a vain probe: %+v", h)
	}
	now = now.Add(time.Minute)
	if leave, _, ok = s.Enter(now, host); !ok {
		t.Fatal("no second probe")
	}
	_, h, _ = s.Enter(now, host)
	if !s.Succeed(host) || s.Succeed(host) {
		t.Error("there was nothing to clear, or twice")
	}
	<-h.Changed
	leave()
	for range 2 {
		if _, _, ok := s.Enter(now, host); !ok {
			t.Error("held after a success")
		}
	}
}

// TestSlowFailures: what fails once in a quarter of an hour waits longer and longer, and opens nothing.
func TestSlowFailures(t *testing.T) {
	s, now := New(time.Now(), nil), time.Now()
	for n := 1; n < 50; n++ {
		if row := s.Fail(now, host, "network", "", second); row.Failures != n || !row.OpenedAt.IsZero() {
			t.Fatalf("%+v", row)
		}
		now = now.Add(15 * time.Minute)
	}
}

// TestTogether: attempts that were under way together and fail are one failure.
func TestTogether(t *testing.T) {
	s, now := New(time.Now(), nil), time.Now()
	for range 8 {
		if row := s.Fail(now, host, "network", "", second); row.Failures != 1 || !row.OpenedAt.IsZero() {
			t.Fatalf("%+v", row)
		}
	}
}

// TestHurry: a person shortens every wait but a quota's, and what is open stays so.
func TestHurry(t *testing.T) {
	now := time.Now()
	s := New(now, nil)
	for range trips {
		now = now.Add(time.Minute)
		s.Fail(now, "account:1", "timeout", "", func(int) time.Duration { return time.Minute })
	}
	s.Fail(now, "account:2", "quota", "", func(int) time.Duration { return time.Hour })
	if rows := s.Hurry(now, false, "account:1", "account:2"); len(rows) != 1 || rows[0].Class != "timeout" ||
		rows[0].OpenedAt.IsZero() {
		t.Errorf("%+v", rows)
	}
	if _, held := s.Held(now, "account:1"); held {
		t.Error("still held")
	}
	if h, held := s.Held(now, "account:2"); !held || h.Until.Sub(now) != time.Hour {
		t.Errorf("the quota's deadline is not kept: %+v", h)
	}
	if rows := s.Hurry(now, true, "account:2"); len(rows) != 1 {
		t.Errorf("%+v", rows)
	}
}

// TestTwoAtOnce: of two failures that were under way at once the second shortens nothing.
func TestTwoAtOnce(t *testing.T) {
	now := time.Now()
	s := New(now, nil)
	s.Fail(now, host, "quota", "", func(int) time.Duration { return time.Hour })
	if row := s.Fail(now, host, "quota", "", func(int) time.Duration {
		return time.Second
	}); row.Until.Sub(now) != time.Hour {
		t.Errorf("%v", row.Until.Sub(now))
	}
}

// TestRestart: a stored deadline is kept; one that lies further off than its fault asked for is another clock's.
func TestRestart(t *testing.T) {
	const year = 365 * 24 * time.Hour
	stored := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name        string
		class       class.Class
		after, want time.Duration
	}{
		{"at once", "network", 0, 10 * time.Minute},
		{"a while later", "network", 4 * time.Minute, 6 * time.Minute},
		{"when it is over", "network", time.Hour, 0},
		{"ten years on", "quota", 10 * year, 0},
		{"an hour back", "network", -time.Hour, time.Minute},
		{"ten years back", "network", -10 * year, time.Minute},
		{"in 1970", "timeout", time.Unix(0, 0).Sub(stored), time.Minute},
		{"a quota, ten years back", "quota", -10 * year, 10 * time.Minute},
	} {
		row := Row{Scope: host, Class: test.class, Failures: 7, FailedAt: stored, Until: stored.Add(10 * time.Minute),
			OpenedAt: stored}
		now := stored.Add(test.after)
		h, held := New(now, []Row{row, {Scope: "account:1", Class: "manual", FailedAt: stored,
			Until: stored.Add(year)}}).Held(now, host, "account:1")
		if held != (test.want > 0) || held && h.Until.Sub(now) != test.want {
			t.Errorf("%s: held %v for %v, want %v", test.name, held, h.Until.Sub(now), test.want)
		}
	}
}

// TestRebase: the wall clock moves, the length of a wait does not.
func TestRebase(t *testing.T) {
	now := time.Now()
	s := New(now, nil)
	s.Fail(now, host, "network", "", func(int) time.Duration { return 10 * time.Minute })
	later := now.Add(4 * time.Minute)
	rows := s.Rebase(later)
	if len(rows) != 1 || rows[0].Until.Sub(later) != 6*time.Minute ||
		rows[0].Until.Sub(rows[0].FailedAt) != 10*time.Minute {
		t.Errorf("%+v", rows)
	}
}
