package form

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Long reports whether the full forms are asked for, which take minutes.
func Long() bool { return os.Getenv("MAILCOTE_LONG") == "1" }

// Seed gives the seed of a test and prints it. It is that of MAILCOTE_SEED,
// which repeats a run, otherwise short in the short form if that is not 0,
// otherwise a random one.
func Seed(t testing.TB, short uint64) uint64 {
	t.Helper()
	seed := short
	if text := os.Getenv("MAILCOTE_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("MAILCOTE_SEED: %v", err)
		}
		seed = n
	} else if seed == 0 || Long() {
		seed = rand.Uint64()
	}
	t.Logf("MAILCOTE_SEED=%d", seed)
	return seed
}
