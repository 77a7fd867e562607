package cli_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/proxy"
	"mailcote/testkit/truth"
)

// TestCutEveryMegabyte resets each connection after about a megabyte: nothing is lost, and the exit status is 0.
func TestCutEveryMegabyte(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	line := r.through()
	size := r.fill(21, byLength(1500, 10_000), 8, corpus.Options{AvgSize: 5000})
	line.Set(proxy.Faults{CutEvery: 1 << 20})
	o := r.sync()
	stats := line.Stats()
	t.Logf("%.1f MB over %d connections, %d of them reset, in %v", float64(size)/1e6, stats.Connections, stats.Cuts,
		o.took)
	if least := int(size / (1 << 20) / 2); stats.Cuts < least {
		t.Errorf("%d cuts, want at least %d", stats.Cuts, least)
	}
	r.whole(r.truth())
}

// TestCutAnywhere resets the connection of a first and of a later sync once, after any number of bytes up or down.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	line := r.through()
	r.fill(22, 40, 4, corpus.Options{AvgSize: 4000})
	before := r.truth()
	r.sync()
	first := line.Stats()
	random := seeded(t)
	began, cuts, offsets := time.Now(), 0, byLength(12, 200)
	for i := range offsets {
		r.fresh()
		faults := proxy.Faults{CutsAtMost: line.Stats().Cuts + 1}
		if i%5 == 4 {
			faults.CutUp = 1 + random.Int64N(first.Up)
		} else {
			faults.CutDown = anywhere(random, first.Down)
		}
		line.Set(faults)
		was := line.Stats().Cuts
		o := r.run("sync", r.url(), "--once", "--json")
		cuts += line.Stats().Cuts - was
		line.Set(proxy.Faults{})
		if o.code != 0 {
			t.Fatalf("cut %+v: status %d: %s%s", faults, o.code, o.out, o.errs)
		}
		if differ := truth.Diff(before, r.view()); len(differ) > 0 {
			t.Fatalf("cut %+v: %d lines differ, the first: %s", faults, len(differ), differ[0])
		}
		r.settled()
		if i%10 == 0 {
			r.sound()
		}
	}
	t.Logf("%d syncs, %d of them cut, in %v", offsets, cuts, time.Since(began).Round(time.Millisecond))
	if cuts < offsets*3/4 {
		t.Errorf("only %d of %d syncs were cut", cuts, offsets)
	}
}

// anywhere draws an offset up to limit: half the draws evenly, half evenly over the orders of magnitude, for most that
// can be cut short happens early.
func anywhere(random *rand.Rand, limit int64) int64 {
	if random.IntN(2) == 0 {
		return 1 + random.Int64N(limit)
	}
	for limit > 1 && random.IntN(3) > 0 {
		limit /= 2
	}
	return 1 + random.Int64N(limit)
}
