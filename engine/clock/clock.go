package clock

import (
	"context"
	"time"
)

const (
	// Every is how often a Clock looks by default.
	Every = 10 * time.Second
	// Tolerance is the largest step that is not reported: NTP slews, and busy
	// machines wake late.
	Tolerance = time.Minute
)

// Clock is where the wall time comes from. The zero Clock is the machine's.
type Clock struct {
	Wall  func() time.Time // nil: time.Now
	Every time.Duration    // 0: the constant
}

// Watch looks at the clock until ctx ends. It calls jumped with the time that
// passed on the wall but not here. A positive jump means that the clock was set
// forward or nothing ran for a while, a negative one that it was set back. The
// next look waits for jumped.
func (c Clock) Watch(ctx context.Context, jumped func(jump time.Duration)) {
	if c.Wall == nil {
		c.Wall = time.Now
	}
	if c.Every == 0 {
		c.Every = Every
	}
	timer := time.NewTimer(c.Every)
	defer timer.Stop()
	for {
		// After a stop of the process, and on some systems after a sleep, the
		// monotonic clock has run on. So the intended length of the look
		// counts, not the measured one.
		before := c.now()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if jump := c.now().Sub(before) - c.Every; jump > Tolerance || jump < -Tolerance {
			jumped(jump)
		}
		timer.Reset(c.Every)
	}
}

// now is the wall time without the monotonic clock, so that differences are the
// wall's.
func (c Clock) now() time.Time { return c.Wall().Round(0) }

// Sleep waits for d, or until ctx ends. It returns at once if d is not
// positive.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
