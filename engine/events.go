package engine

import (
	"context"
	"sync"
	"time"
)

// events is the set of events that an account hears while it waits. The end of
// the context is not among them: it ends every wait.
type events uint8

const (
	tick     events = 1 << iota // the awaited time has come
	notified                    // tasks were added or changed (queue.Notify)
	wanted                      // somebody else waits for the account
	woken                       // the machine slept, or its clock was set forward
	reopened                    // the store accepts bulk writes again
	released                    // the hold on an account or a host has changed
)

func (e events) has(any events) bool { return e&any != 0 }

// listener hears everything that happens after it was made. Make it before
// looking at what to wait for, so that nothing is missed in between. Any number
// of listeners hear the same event.
type listener struct {
	notified, wanted, woken <-chan struct{}
	reopened, released      <-chan struct{} // nil: not waited for
}

// listen makes a listener for an account.
func listen(e *Engine, a *account) listener {
	return listener{notified: e.queue.Wake(a.id), wanted: a.wantedSignal.next(), woken: e.woken.next()}
}

// await waits for the first event, or until a time unless that is zero. It
// returns all events that have happened by then.
func (l listener) await(ctx context.Context, until time.Time) (got events) {
	var due <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
		got = tick
	case <-l.notified:
	case <-l.wanted:
	case <-l.woken:
	case <-l.reopened:
	case <-l.released:
	case <-ctx.Done():
	}
	return got | happened(notified, l.notified) | happened(wanted, l.wanted) | happened(woken, l.woken) |
		happened(reopened, l.reopened) | happened(released, l.released)
}

// happened returns e if its channel is closed.
func happened(e events, c <-chan struct{}) events {
	select {
	case <-c:
		return e
	default:
		return 0
	}
}

// broadcast wakes everybody who listens. Its zero value is ready to use.
type broadcast struct {
	mu      sync.Mutex
	waiting chan struct{} // nil: nobody listens
}

// next returns a channel that is closed at the next send.
func (b *broadcast) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		b.waiting = make(chan struct{})
	}
	return b.waiting
}

func (b *broadcast) send() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting != nil {
		close(b.waiting)
		b.waiting = nil
	}
}
