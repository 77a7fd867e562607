package limit

import "time"

// Answered records a command that succeeded and how long it took. plain is
// false for FETCH, whose time depends on the data and says nothing about the
// server's load.
func (l *Limiter) Answered(now time.Time, took time.Duration, plain bool) {
	switch {
	case !plain:
	case l.usualTime == 0:
		l.usualTime = max(took, time.Millisecond)
	case took > max(slowLeast, slowTimes*l.usualTime):
		l.Throttled(now)
	default:
		l.usualTime += (took - l.usualTime) / 8
	}
	worked := took
	if !l.lastAnswer.IsZero() {
		worked += min(max(now.Sub(l.lastAnswer)-took, 0), idleTime)
	}
	l.lastAnswer = now
	l.pause = l.pauseAfter(took)
	if now.Before(l.noGrowthUntil) {
		return
	}
	if l.clean += worked; l.clean < cleanTime {
		return
	}
	l.clean = 0
	l.pool = min(l.pool+1, l.profile.Most)
	if l.pace < 1 {
		l.pace = min(l.pace+0.1, 1)
		l.scale(now)
	}
}

// pauseAfter returns the pause after a command. The pace is the share of time
// in which the server works for us.
func (l *Limiter) pauseAfter(took time.Duration) time.Duration {
	if l.pace >= 1 {
		return 0
	}
	return min(time.Duration(float64(took)*(1/l.pace-1)), longestPause)
}

// Throttled records a sign of throttling. It halves the pace and restarts the
// count of clean work.
func (l *Limiter) Throttled(now time.Time) {
	l.clean = 0
	if since := now.Sub(l.lastThrottled); !l.lastThrottled.IsZero() && since >= 0 && since < signSpacing {
		return
	}
	l.lastThrottled = now
	l.pace = max(l.pace/2, leastPace)
	l.pause = l.pauseAfter(l.usualTime)
	l.scale(now)
}

// Soft records a throttle that came in an OK. In addition to Throttled, nothing
// grows for ten minutes.
func (l *Limiter) Soft(now time.Time) {
	l.Throttled(now)
	l.noGrowthUntil = now.Add(softTime)
}

// Cut records a connection that the server ended or left unanswered. Several of
// them in a short time count as throttling. A broken line must not be recorded:
// it says nothing about the server.
func (l *Limiter) Cut(now time.Time) {
	kept := l.cuts[:0]
	for _, at := range l.cuts {
		if since := now.Sub(at); since >= 0 && since < cutSpan {
			kept = append(kept, at)
		}
	}
	if l.cuts = append(kept, now); len(l.cuts) >= cutMost {
		l.cuts = l.cuts[:0]
		l.Throttled(now)
	}
}

// Pace returns the fraction of full speed, in (0, 1].
func (l *Limiter) Pace() float64 { return l.pace }
