package storage

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// TestFlagsLinear: a set of flags takes as long as it is large, whether its words
// are distinct or the same.
func TestFlagsLinear(t *testing.T) {
	const few, factor = 1000, 64
	took := func(n, distinct int) time.Duration {
		flags := make([]string, n)
		for i := range flags {
			flags[i] = fmt.Sprint("Keyword", i%distinct)
		}
		best := time.Duration(math.MaxInt64)
		for range 5 {
			start := time.Now()
			NewFlags(flags)
			best = min(best, time.Since(start))
		}
		return best
	}
	for name, distinct := range map[string]int{"distinct": math.MaxInt, "half of them": few / 2, "one": 1} {
		a, b := took(few, distinct), took(few*factor, distinct)
		if b > a*factor*factor/4 { // quadratic: factor * factor
			t.Errorf("%s: %d flags take %v, %d take %v", name, few, a, few*factor, b)
		}
		t.Logf("%s: %v, %v", name, a, b)
	}
}
