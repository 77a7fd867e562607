package storage

import "sync"

// Types is a set of the change feed's object types.
type Types uint8

// The types of the change feed.
const (
	Emails Types = 1 << iota
	Mailboxes
	Threads
	allTypes = Emails | Mailboxes | Threads
)

// typeBit is the set that holds the feed's type kind.
func typeBit(kind string) Types {
	switch kind {
	case typeEmail:
		return Emails
	case typeMailbox:
		return Mailboxes
	case typeThread:
		return Threads
	}
	return 0
}

// News is what was committed since a Watch was last asked.
type News struct {
	Any      bool  // rows changed; tasks, faults, runs and accounts count, and staged bytes
	Types    Types // which of the feed's types changed; none: only other rows did
	ChangeNo int64 // the highest change number published; 0: no feed type changed, or it is not known
}

func (n *News) add(more News) {
	n.Any = n.Any || more.Any
	n.Types |= more.Types
	n.ChangeNo = max(n.ChangeNo, more.ChangeNo)
}

// Watch is one subscription to a store's commits. Its methods may be called
// from any goroutine.
type Watch struct {
	// C wakes after a commit that changed rows, when readers already see it. A
	// wake-up stands for one commit or for many.
	C <-chan struct{}

	wake  chan struct{} // C, capacity 1
	from  *watches
	mu    sync.Mutex
	since News
}

// watches are a store's subscriptions.
type watches struct {
	mu  sync.Mutex
	all map[*Watch]struct{}
}

// subscribe makes a subscription.
func (s *watches) subscribe() *Watch {
	wake := make(chan struct{}, 1)
	w := &Watch{C: wake, wake: wake, from: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[*Watch]struct{}{}
	}
	s.all[w] = struct{}{}
	return w
}

// News gives what was committed since the last call. It may be empty after a
// wake-up: an earlier call had it already.
func (w *Watch) News() News {
	w.mu.Lock()
	defer w.mu.Unlock()
	news := w.since
	w.since = News{}
	return news
}

// Close ends the subscription.
func (w *Watch) Close() {
	w.from.mu.Lock()
	defer w.from.mu.Unlock()
	delete(w.from.all, w)
}

// publish wakes every subscriber. It is called after COMMIT and before those
// who wrote are answered.
func (s *watches) publish(n News) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.all {
		w.mu.Lock()
		w.since.add(n)
		w.mu.Unlock()
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}
