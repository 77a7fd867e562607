package plan

import (
	"math/rand/v2"
	"time"
)

// Backoff is the wait after the n-th fruitless attempt in a row: full jitter over 1, 2, 4, 8, 16, 30 s, and
// beyond that, offline, 30 s, 1, 2, 4, 8, 15 min give or take a fifth (DESIGN §6): full jitter over 15 min would
// be 190 attempts a day. After an attempt that got further (n < 1) it is short.
func Backoff(n int, random *rand.Rand) time.Duration {
	const longest = 15 * time.Minute
	switch {
	case n < 1:
		return jitter(250*time.Millisecond, random)
	case n < 6:
		return jitter(time.Second<<(n-1), random)
	case n == 6:
		return jitter(30*time.Second, random)
	}
	d := longest
	if n < 12 {
		d = min(30*time.Second<<(n-7), longest)
	}
	return d*4/5 + jitter(d*2/5, random)
}

// jitter is full: anything up to d.
func jitter(d time.Duration, random *rand.Rand) time.Duration {
	return time.Duration(random.Int64N(int64(d)) + 1)
}
