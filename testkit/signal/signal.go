// Package signal lets tests wait for what a test server counts, instead of looking every so often.
package signal

import "sync"

// Signal tells everybody who waits. Its zero value is ready, and its methods may be called from any goroutine.
type Signal struct {
	mu      sync.Mutex
	waiting chan struct{} // nil: nobody waits
}

// Next returns a channel that is closed at the next Send. Ask for it before you look: then nothing is missed.
func (s *Signal) Next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = make(chan struct{})
	}
	return s.waiting
}

// Send wakes who waits.
func (s *Signal) Send() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting != nil {
		close(s.waiting)
		s.waiting = nil
	}
}
