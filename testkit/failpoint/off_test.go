//go:build !failpoints

package failpoint

import "testing"

func TestHitDoesNothing(t *testing.T) {
	t.Setenv("MAILCOTE_FAILPOINT", "a:1:panic")
	if n := testing.AllocsPerRun(10, func() { Hit("a") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
