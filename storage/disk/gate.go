package disk

import (
	"fmt"
	"sync"
	"time"
)

// Cause is why bulk writing rests.
type Cause string

// The causes, the graver first.
const (
	Refused Cause = "refused" // a write found the disk full
	Short   Cause = "short"   // less than the reserve is free
	Log     Cause = "log"     // a reader that stays keeps the log from being emptied, and it has grown long
)

// Pause says why bulk writing rests.
type Pause struct {
	Cause Cause
	Since time.Time // when the gate closed, for whatever cause
	Space Space
	Log   int64 // bytes of the log; for the cause Log
}

// Full reports whether the disk lacks room.
func (p Pause) Full() bool { return p.Cause != Log }

func (p Pause) String() string {
	switch {
	case p.Cause == Log:
		return fmt.Sprintf("writing rests: the store's log has grown to %s because a program has been reading the "+
			"store without a break", Octets(p.Log))
	case p.Cause == Refused && p.Space.Free >= p.Space.Need():
		return fmt.Sprintf("the disk is full: a write was refused though %s are free, as a quota does",
			Octets(p.Space.Free))
	}
	return fmt.Sprintf("the disk is full: %s free, needs %s", Octets(p.Space.Free), Octets(p.Space.Need()))
}

// Gate is what bulk writing passes. Its methods may be called from any
// goroutine.
type Gate struct {
	mu     sync.Mutex
	closed map[Cause]Pause
	since  time.Time
	opened chan struct{} // closed when the gate opens; nil while it is open
}

// Close closes the gate for a cause, or renews what is known of it.
func (g *Gate) Close(p Pause) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		g.opened, g.since, g.closed = make(chan struct{}), p.Since, map[Cause]Pause{}
	}
	p.Since = g.since
	g.closed[p.Cause] = p
}

// Open takes causes away. With the last one the gate opens.
func (g *Gate) Open(causes ...Cause) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, cause := range causes {
		delete(g.closed, cause)
	}
	if len(g.closed) == 0 && g.opened != nil {
		close(g.opened)
		g.opened = nil
	}
}

// Closed gives the gravest cause; false while the gate is open.
func (g *Gate) Closed() (Pause, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, cause := range []Cause{Refused, Short, Log} {
		if p, ok := g.closed[cause]; ok {
			return p, true
		}
	}
	return Pause{}, false
}

// Is reports whether the gate is closed for a cause.
func (g *Gate) Is(cause Cause) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.closed[cause]
	return ok
}

// Opened gives a channel that is closed when the gate is open.
func (g *Gate) Opened() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		open := make(chan struct{})
		close(open)
		return open
	}
	return g.opened
}
