package plan

import (
	"math/rand/v2"
	"time"
)

// Backoff is the wait after n fruitless attempts in a row: full jitter over 1,
// 2, 4, 8, 16 and 30 s. Beyond that the network counts as offline, and the wait
// is 30 s, 1, 2, 4, 8 and 15 min give or take a fifth. Full jitter over 15 min
// would be 190 attempts a day. After an attempt that progressed (n < 1) the
// wait is short.
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

// jitter returns anything up to d.
func jitter(d time.Duration, random *rand.Rand) time.Duration {
	return time.Duration(random.Int64N(int64(d)) + 1)
}
