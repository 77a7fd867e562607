package plan

import (
	"math/rand/v2"
	"time"
)

// Backoff is the wait after the n-th fruitless attempt in a row, n from 1: full jitter over 1, 2, 4, 8, 16, 30 s, and beyond
// that, offline, over 30 s … 15 min (DESIGN §6).
func Backoff(n int, random *rand.Rand) time.Duration {
	ceiling := 15 * time.Minute
	if n < 11 {
		ceiling = min(time.Second<<max(n-1, 0), 15*time.Minute)
		if n == 6 {
			ceiling = 30 * time.Second
		}
	}
	return time.Duration(random.Int64N(int64(ceiling)) + 1)
}
