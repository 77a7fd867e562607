package limit

import (
	"slices"
	"time"
)

// The kinds of limits, as stored and as shown.
const (
	KindConnections = "connections"
	KindCommands    = "commands"
	KindMessages    = "messages"
	KindBytes       = "bytes"
)

// Usage is the state of one kind of limit.
type Usage struct {
	Kind    string
	At      time.Time     // start of its window
	Used    int64         // used in the window
	Most    int64         // allowed in a window by the profile or a refusal
	Window  time.Duration // 0: concurrent, not per time
	Pace    float64
	Ceiling int       // connections: learned from a refusal; 0: none
	Until   time.Time // when the ceiling expires
	Resumes time.Time // zero: the account does not rest
}

// State is what a Limiter saves for the next process.
type State struct {
	Usage []Usage
	Slots []Slot // of octets
}

// State returns what is to be saved.
func (l *Limiter) State(now time.Time) State {
	one := func(kind string, used, most int64, window time.Duration) Usage {
		return Usage{Kind: kind, At: now.UTC(), Used: used, Most: most, Window: window, Pace: l.pace,
			Resumes: l.Resumes(now)}
	}
	most := l.maxConnections(now) // drops an expired ceiling
	pool := one(KindConnections, int64(l.open), int64(most), 0)
	pool.Ceiling, pool.Until = l.ceiling, l.ceilingUntil
	s := State{Usage: []Usage{pool}}
	for kind, b := range map[string]*bucket{KindCommands: l.commands, KindMessages: l.messages} {
		if b != nil {
			b.roll(now)
			u := one(kind, b.used, int64(b.figure), b.window)
			u.At = b.at.UTC()
			s.Usage = append(s.Usage, u)
		}
	}
	if l.profile.Day > 0 {
		s.Usage = append(s.Usage, one(KindBytes, l.day.used(now), l.profile.Day, dayTime))
		s.Slots = append(s.Slots, l.day.slots...)
	}
	return s
}

// restore takes over a saved state.
func (l *Limiter) restore(now time.Time, s State) {
	for _, u := range s.Usage {
		if u.Pace > 0 && u.Pace <= 1 {
			l.pace = max(min(l.pace, u.Pace), leastPace)
		}
		if u.Resumes.After(l.resumes) {
			l.resumes = u.Resumes
		}
		switch {
		case u.Kind == KindConnections && u.Ceiling > 0:
			l.ceiling, l.ceilingUntil = u.Ceiling, u.Until
		case u.Kind == KindCommands && l.commands != nil:
			l.commands.restore(now, u.At, u.Used)
		case u.Kind == KindMessages && l.messages != nil:
			l.messages.restore(now, u.At, u.Used)
		}
	}
	l.scale(now)
	l.day.slots = slices.Clone(s.Slots)
	slices.SortFunc(l.day.slots, func(a, b Slot) int { return a.At.Compare(b.At) })
	l.day.expire(now)
}
