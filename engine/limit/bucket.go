package limit

import (
	"time"

	"golang.org/x/time/rate"
)

// bucket is a token bucket. A quarter of the figure may be used at once and the
// rest refills evenly, so no window, wherever it begins, exceeds the figure.
type bucket struct {
	figure int
	window time.Duration
	tokens *rate.Limiter

	at   time.Time // start of the window that is reported
	used int64     // taken in that window
}

func newBucket(figure int, window time.Duration) *bucket {
	return &bucket{figure: figure, window: window, tokens: rate.NewLimiter(0, max(figure/4, 1))}
}

// scale sets the refill rate to a fraction of the figure.
func (b *bucket) scale(now time.Time, pace float64) {
	b.tokens.SetLimitAt(now, rate.Limit(max(float64(b.figure-b.tokens.Burst()), 0.75)/b.window.Seconds()*pace))
}

// take books n, at most a quarter of the figure, and returns how long to wait
// first.
func (b *bucket) take(now time.Time, n int) time.Duration {
	b.roll(now)
	b.used += int64(n)
	return b.tokens.ReserveN(now, n).DelayFrom(now)
}

// roll begins the next reported window once the present one is over.
func (b *bucket) roll(now time.Time) {
	if since := now.Sub(b.at); since < 0 || since >= b.window {
		b.at, b.used = now, 0
	}
}

// free returns how much may be taken without waiting.
func (b *bucket) free(now time.Time) int { return int(b.tokens.TokensAt(now)) }

// restore books what an earlier process used of a window that may not be over.
// It counts as used just now, which errs on the careful side.
func (b *bucket) restore(now, at time.Time, used int64) {
	if since := now.Sub(at); used <= 0 || since < 0 || since >= b.window {
		return
	}
	b.at, b.used = at, used
	b.tokens.ReserveN(now, int(min(used, int64(b.tokens.Burst()))))
}
