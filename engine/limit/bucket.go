package limit

import (
	"time"

	"golang.org/x/time/rate"
)

// bucket bounds how often something is done: a quarter of the figure at once
// and the rest evenly, so that no window, wherever it begins, has more than the
// figure.
type bucket struct {
	figure int
	window time.Duration
	tokens *rate.Limiter

	at   time.Time // where the window that is shown begins
	used int64     // in it
}

func newBucket(figure int, window time.Duration) *bucket {
	return &bucket{figure: figure, window: window, tokens: rate.NewLimiter(0, max(figure/4, 1))}
}

// scale sets how fast it fills, as a part of the figure.
func (b *bucket) scale(now time.Time, pace float64) {
	b.tokens.SetLimitAt(now, rate.Limit(max(float64(b.figure-b.tokens.Burst()), 0.75)/b.window.Seconds()*pace))
}

// take books n, at most a quarter of the figure, and gives how long to wait
// before.
func (b *bucket) take(now time.Time, n int) time.Duration {
	b.show(now)
	b.used += int64(n)
	return b.tokens.ReserveN(now, n).DelayFrom(now)
}

// show begins the next window when the present one is over.
func (b *bucket) show(now time.Time) {
	if since := now.Sub(b.at); since < 0 || since >= b.window {
		b.at, b.used = now, 0
	}
}

// free is what may be taken without waiting.
func (b *bucket) free(now time.Time) int { return int(b.tokens.TokensAt(now)) }

// restore books what an earlier process used of a window that may not be over,
// as if it had just been.
func (b *bucket) restore(now, at time.Time, used int64) {
	if since := now.Sub(at); used <= 0 || since < 0 || since >= b.window {
		return
	}
	b.at, b.used = at, used
	b.tokens.ReserveN(now, int(min(used, int64(b.tokens.Burst()))))
}
