package plan

import (
	"math/rand/v2"
	"time"
)

// Backoff is the wait after the n-th fruitless attempt in a row: full jitter over 1, 2, 4, 8, 16, 30 s, and beyond that,
// offline, over 1, 2, 4, 8, 15 min but never under 30 s (DESIGN §6). After an attempt that got further (n < 1) it is short.
func Backoff(n int, random *rand.Rand) time.Duration {
	floor, ceiling := time.Duration(0), 15*time.Minute
	switch {
	case n < 1:
		ceiling = 250 * time.Millisecond
	case n < 6:
		ceiling = time.Second << (n - 1)
	case n == 6:
		ceiling = 30 * time.Second
	default:
		floor = 30 * time.Second
		if n < 11 {
			ceiling = time.Minute << (n - 7)
		}
	}
	return floor + time.Duration(random.Int64N(int64(ceiling-floor))+1)
}
