package engine

import (
	"context"
	"sync"
	"time"
)

// events are what an account hears while it waits, a bit each. The end of the context is no event: it ends every wait.
type events uint8

const (
	tick     events = 1 << iota // the time it waited for has come
	notified                    // tasks were added or changed (queue.Notify)
	wanted                      // somebody else wants the account
	woken                       // the machine slept, or its clock was set forward
	reopened                    // the store may be written in bulk again
	released                    // what held an account or a host has changed
)

func (e events) has(any events) bool { return e&any != 0 }

// listener hears what happens from the moment it was made. Make it before you look at what you may wait for: then
// nothing is missed in between. Any number of listeners hear the same event.
type listener struct {
	notified, wanted, woken <-chan struct{}
	reopened, released      <-chan struct{} // nil: the wait is not for that
}

// listen makes a listener for an account.
func listen(e *Engine, a *account) listener {
	return listener{notified: e.queue.Wake(a.id), wanted: a.wantedSignal.next(), woken: e.woken.next()}
}

// await is where an account waits, whatever it waits for. It returns at the first event with all that have
// happened. The zero until never comes.
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

// happened gives e if its channel is closed.
func happened(e events, c <-chan struct{}) events {
	select {
	case <-c:
		return e
	default:
		return 0
	}
}

// broadcast tells everybody who listens. Its zero value is ready.
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
