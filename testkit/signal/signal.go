// Package signal lets tests wait for what a test server counts, without
// polling.
package signal

import "sync"

// Signal wakes everybody who waits. Its zero value is ready, and any goroutine
// may call its methods.
type Signal struct {
	mu      sync.Mutex
	waiting chan struct{} // nil: nobody waits
}

// Next returns a channel that is closed at the next Send. Call it before
// looking, so that nothing is missed.
func (s *Signal) Next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = make(chan struct{})
	}
	return s.waiting
}

// Send wakes those who wait.
func (s *Signal) Send() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting != nil {
		close(s.waiting)
		s.waiting = nil
	}
}
