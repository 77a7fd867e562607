package limit

import "time"

// Connections is how many the account may have now.
func (l *Limiter) Connections(now time.Time) int { return max(min(l.pool, l.most(now)), 1) }

// most is the profile's figure, or what refusals have taught where it is less.
func (l *Limiter) most(now time.Time) int {
	if l.ceiling == 0 {
		return l.p.Most
	}
	if left := l.until.Sub(now.Round(0)); left <= 0 || left > learned {
		l.ceiling = 0
		return l.p.Most
	}
	return min(l.ceiling, l.p.Most)
}

// Dial books a new connection and gives how long to wait before it is dialled.
func (l *Limiter) Dial(now time.Time) time.Duration {
	if l.local {
		return 0
	}
	wait := max(l.dial.Sub(now), 0)
	if wait > afterError { // the clock was set back
		wait = 0
	}
	l.dial = now.Add(wait + l.p.DialEvery)
	return wait
}

// Opened and Gone note a connection that is there, and one that is no more.
func (l *Limiter) Opened() { l.open++ }

// Gone is the end of what Opened noted.
func (l *Limiter) Gone() { l.open = max(l.open-1, 0) }

// Refused notes that the server takes no more connections. said is how many it
// allows, 0 if it does not say: two of those are left to others; else half of
// what we wanted is the ceiling. It holds a day.
func (l *Limiter) Refused(now time.Time, said int) {
	want := min(l.Connections(now), l.open+1) / 2
	if said > 0 {
		want = said - 2
	}
	l.ceiling, l.until = max(want, 1), now.Add(learned).Round(0)
	l.pool = min(l.pool, l.ceiling)
	l.clean = 0
	l.dial = now.Add(afterError)
}
