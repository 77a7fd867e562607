package limit

import "time"

// Connections returns how many connections the account may have now.
func (l *Limiter) Connections(now time.Time) int { return max(min(l.pool, l.maxConnections(now)), 1) }

// maxConnections returns the profile's figure, or the ceiling that refusals
// have taught if that is lower.
func (l *Limiter) maxConnections(now time.Time) int {
	if l.ceiling == 0 {
		return l.profile.Most
	}
	if left := l.ceilingUntil.Sub(now.Round(0)); left <= 0 || left > ceilingTime {
		l.ceiling = 0
		return l.profile.Most
	}
	return min(l.ceiling, l.profile.Most)
}

// Dial books a new connection and returns how long to wait before dialling it.
func (l *Limiter) Dial(now time.Time) time.Duration {
	if l.local {
		return 0
	}
	wait := max(l.nextDial.Sub(now), 0)
	if wait > afterError { // the clock was set back
		wait = 0
	}
	l.nextDial = now.Add(wait + l.profile.DialEvery)
	return wait
}

// Opened counts a new connection. Gone must follow.
func (l *Limiter) Opened() { l.open++ }

// Gone uncounts a connection that Opened counted.
func (l *Limiter) Gone() { l.open = max(l.open-1, 0) }

// Refused records that the server takes no more connections. said is how many
// it allows; two of those are left to other programs. With said 0, half of what
// was wanted becomes the ceiling. The ceiling lasts a day.
func (l *Limiter) Refused(now time.Time, said int) {
	want := min(l.Connections(now), l.open+1) / 2
	if said > 0 {
		want = said - 2
	}
	l.ceiling, l.ceilingUntil = max(want, 1), now.Add(ceilingTime).Round(0)
	l.pool = min(l.pool, l.ceiling)
	l.clean = 0
	l.nextDial = now.Add(afterError)
}
