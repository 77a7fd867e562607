package limit

import "time"

// Answered notes a command that was answered well, and how long that took.
// Those of a FETCH say nothing of the server's mood.
func (l *Limiter) Answered(now time.Time, took time.Duration, plain bool) {
	switch {
	case !plain:
	case l.usual == 0:
		l.usual = max(took, time.Millisecond)
	case took > max(slowLeast, slowTimes*l.usual):
		l.Throttled(now)
	default:
		l.usual += (took - l.usual) / 8
	}
	worked := took
	if !l.last.IsZero() {
		worked += min(max(now.Sub(l.last)-took, 0), idleGap)
	}
	l.last = now
	l.gap = l.between(took)
	if now.Before(l.still) {
		return
	}
	if l.clean += worked; l.clean < cleanTime {
		return
	}
	l.clean = 0
	l.pool = min(l.pool+1, l.p.Most)
	if l.pace < 1 {
		l.pace = min(l.pace+0.1, 1)
		l.scale(now)
	}
}

// between is the pause after a command: the pace is the part of the time in
// which the server works for us.
func (l *Limiter) between(took time.Duration) time.Duration {
	if l.pace >= 1 {
		return 0
	}
	return min(time.Duration(float64(took)*(1/l.pace-1)), longestGap)
}

// Throttled notes a sign that the server has enough: half the pace, and clean
// work is counted anew.
func (l *Limiter) Throttled(now time.Time) {
	l.clean = 0
	if since := now.Sub(l.slowed); !l.slowed.IsZero() && since >= 0 && since < together {
		return
	}
	l.slowed = now
	l.pace = max(l.pace/2, leastPace)
	l.gap = l.between(l.usual)
	l.scale(now)
}

// Soft notes a throttle that came in an OK: slower, and no growth for ten
// minutes.
func (l *Limiter) Soft(now time.Time) {
	l.Throttled(now)
	l.still = now.Add(softTime)
}

// Cut notes a connection that the server ended, or left without an answer. Many
// of them in a short time are a way to say: too much. A line that breaks says
// nothing of the server.
func (l *Limiter) Cut(now time.Time) {
	kept := l.breaks[:0]
	for _, at := range l.breaks {
		if since := now.Sub(at); since >= 0 && since < errorSpan {
			kept = append(kept, at)
		}
	}
	if l.breaks = append(kept, now); len(l.breaks) >= errorMost {
		l.breaks = l.breaks[:0]
		l.Throttled(now)
	}
}

// Pace is the part of the full speed, in (0, 1].
func (l *Limiter) Pace() float64 { return l.pace }
