package file

import (
	"context"
	"sync"
)

// Lane says who goes first when both wait.
type Lane int

// The writer's lanes.
const (
	Interactive Lane = iota // a person or a decision waits for it
	Bulk                    // batches of mail, indexing, sweeping
	laneCount
)

// request is one closure waiting for its turn.
type request struct {
	ctx    context.Context // cancels only while the request waits
	lane   Lane
	size   int
	alone  bool // not in a savepoint: a transaction of its own
	vacuum bool // in place of fn, outside every transaction
	fn     func(*Tx) error
	done   chan error // buffered: the writer never waits for a caller
}

// lanes are the requests that wait, and whether more may come.
type lanes struct {
	mu       sync.Mutex
	wake     chan struct{} // capacity 1
	queues   [laneCount][]*request
	stopping bool
}

// put adds a request. It reports false when the file is closing.
func (l *lanes) put(r *request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopping {
		return false
	}
	l.queues[r.lane] = append(l.queues[r.lane], r)
	return true
}

// push puts a request back at the head of the interactive lane.
func (l *lanes) push(r *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queues[Interactive] = append([]*request{r}, l.queues[Interactive]...)
}

// withdraw takes a request that still waits out of its lane.
func (l *lanes) withdraw(r *request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, one := range l.queues[r.lane] {
		if one == r {
			l.queues[r.lane] = append(l.queues[r.lane][:i:i], l.queues[r.lane][i+1:]...)
			return true
		}
	}
	return false
}

// pull takes the first request of the more urgent lane. It finds the lanes
// empty and the file closing in one look: between two looks a request could be
// accepted that nobody would answer.
func (l *lanes) pull() (r *request, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for lane, waiting := range l.queues {
		if len(waiting) > 0 {
			r := waiting[0]
			waiting[0] = nil
			l.queues[lane] = waiting[1:]
			return r, false
		}
	}
	return nil, l.stopping
}

// close lets no more requests in.
func (l *lanes) close() {
	l.mu.Lock()
	l.stopping = true
	l.mu.Unlock()
	l.nudge()
}

// running reports whether requests are let in.
func (l *lanes) running() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.stopping
}

// waiting is how many requests wait in a lane.
func (l *lanes) waiting(lane Lane) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queues[lane])
}

// nudge wakes the writer, or keeps it from falling asleep.
func (l *lanes) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
