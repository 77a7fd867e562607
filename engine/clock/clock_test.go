package clock

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestWatch: each jump of more than a minute is told once within Every, and nothing else is.
func TestWatch(t *testing.T) {
	const year = 365 * 24 * time.Hour
	tests := []struct {
		name string
		jump time.Duration
		told bool
	}{
		{"nothing", 0, false},
		{"a leap second", -time.Second, false},
		{"a step of NTP", 59 * time.Second, false},
		{"as far as it may", -time.Minute, false},
		{"a minute and a bit", time.Minute + time.Millisecond, true},
		{"an hour on", time.Hour, true},
		{"an hour back", -time.Hour, true},
		{"asleep for eight hours", 8 * time.Hour, true},
		{"ten years on", 10 * year, true},
		{"ten years back", -10 * year, true},
		{"back to 1970", time.Unix(0, 0).Sub(time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)), true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var set atomic.Int64
				ctx, cancel := context.WithCancel(t.Context())
				var told []time.Duration
				done := make(chan struct{})
				go func() {
					defer close(done)
					Clock{Wall: func() time.Time {
						return time.Now().Add(time.Duration(set.Load()))
					}}.Watch(ctx, func(jump time.Duration) { told = append(told, jump) })
				}()
				time.Sleep(time.Hour + 3*time.Second) // not on a look
				set.Store(int64(test.jump))
				time.Sleep(Every)
				synctest.Wait()
				if want := []time.Duration{test.jump}[:map[bool]int{true: 1}[test.told]]; !slices.Equal(told, want) {
					t.Errorf("told %v, want %v", told, want)
				}
				time.Sleep(time.Hour)
				if len(told) > 1 {
					t.Errorf("told again: %v", told)
				}
				cancel()
				<-done
			})
		})
	}
}

// TestStopped: a process that did not run for a while is told so although its own clock went on, and what it
// missed is one jump.
func TestStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var told []time.Duration
		first := true
		Clock{Wall: func() time.Time {
			if !first && len(told) == 0 { // the first look comes late
				time.Sleep(5 * time.Minute)
			}
			first = false
			return time.Now()
		}}.Watch(ctx, func(jump time.Duration) {
			told = append(told, jump)
			cancel()
		})
		if len(told) != 1 || told[0] != 5*time.Minute {
			t.Errorf("told %v", told)
		}
	})
}
