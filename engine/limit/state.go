package limit

import (
	"slices"
	"time"
)

// The kinds of limits, as rows and doors name them.
const (
	KindConnections = "connections"
	KindCommands    = "commands"
	KindMessages    = "messages"
	KindBytes       = "bytes"
)

// Usage is one kind of limit: what was used of it in its window.
type Usage struct {
	Kind    string
	At      time.Time     // where its window begins
	Used    int64         // in it
	Most    int64         // what the profile or a refusal allows in a window
	Window  time.Duration // 0: at once
	Pace    float64
	Ceiling int       // connections: what a refusal has taught; 0: nothing
	Until   time.Time // and how long that holds
	Resumes time.Time // zero: the account does not rest
}

// State is what outlives a process.
type State struct {
	Usage []Usage
	Slots []Slot // of octets
}

// State gives what is to be saved.
func (l *Limiter) State(now time.Time) State {
	one := func(kind string, used, most int64, window time.Duration) Usage {
		return Usage{Kind: kind, At: now.UTC(), Used: used, Most: most, Window: window, Pace: l.pace,
			Resumes: l.Resumes(now)}
	}
	most := l.most(now) // forgets a ceiling that is over
	pool := one(KindConnections, int64(l.open), int64(most), 0)
	pool.Ceiling, pool.Until = l.ceiling, l.until
	s := State{Usage: []Usage{pool}}
	for kind, b := range map[string]*bucket{KindCommands: l.commands, KindMessages: l.messages} {
		if b != nil {
			b.show(now)
			u := one(kind, b.used, int64(b.figure), b.window)
			u.At = b.at.UTC()
			s.Usage = append(s.Usage, u)
		}
	}
	if l.p.Day > 0 {
		s.Usage = append(s.Usage, one(KindBytes, l.day.used(now), l.p.Day, dayTime))
		s.Slots = append(s.Slots, l.day.slots...)
	}
	return s
}

// restore takes over what was saved.
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
			l.ceiling, l.until = u.Ceiling, u.Until
		case u.Kind == KindCommands && l.commands != nil:
			l.commands.restore(now, u.At, u.Used)
		case u.Kind == KindMessages && l.messages != nil:
			l.messages.restore(now, u.At, u.Used)
		}
	}
	l.scale(now)
	l.day.slots = slices.Clone(s.Slots)
	slices.SortFunc(l.day.slots, func(a, b Slot) int { return a.At.Compare(b.At) })
	l.day.forget(now)
}
