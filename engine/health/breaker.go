package health

import (
	"slices"
	"strings"
	"sync"
	"time"

	"mailcote/storage"
	"mailcote/storage/class"
)

const (
	trips  = 5                // this many failures …
	window = 10 * time.Minute // … within this open a breaker

	// skewedWait caps a stored wait that reaches further than its fault asked
	// for, except a quota's. The clock was set back meanwhile, so how much of
	// the wait is over is unknown. One attempt too early costs less than a wait
	// of years.
	skewedWait = time.Minute
)

// Row is a breaker as stored.
type Row = storage.Breaker

// key identifies a breaker.
type key struct {
	scope string
	class class.Class
}

// state is a breaker with what is not stored of it.
type state struct {
	Row
	recent []time.Time // failures within the window
}

// Set holds the breakers of one process. Its methods may be called from any
// goroutine.
type Set struct {
	mu      sync.Mutex
	by      map[key]*state
	probing map[string]bool // scopes that are being probed
	changed chan struct{}   // closed and replaced at every change
}

// New makes a Set of the rows that an earlier process stored.
func New(now time.Time, rows []Row) *Set {
	s := &Set{by: map[key]*state{}, probing: map[string]bool{}, changed: make(chan struct{})}
	for _, r := range rows {
		if r.Class == class.Manual {
			continue
		}
		asked, left := r.Until.Sub(r.FailedAt), r.Until.Sub(now)
		if left > asked {
			left = asked
			if r.Class != class.Quota {
				left = min(left, skewedWait)
			}
		}
		r.FailedAt, r.Until = now.Add(left-asked), now.Add(left)
		s.by[key{r.Scope, r.Class}] = &state{Row: r}
	}
	return s
}

// Held reports whether one of the scopes forbids an attempt. It returns the
// Hold that ends last.
func (s *Set) Held(now time.Time, scopes ...string) (Hold, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held(now, scopes)
}

func (s *Set) held(now time.Time, scopes []string) (h Hold, held bool) {
	for k, b := range s.by {
		if !slices.Contains(scopes, k.scope) {
			continue
		}
		probing := !b.OpenedAt.IsZero() && s.probing[k.scope]
		if (now.Before(b.Until) || probing) && (!held || b.Until.After(h.Until)) {
			h, held = b.hold(), true
			h.Probing, h.Changed = probing && !now.Before(b.Until), s.changed
		}
	}
	return h, held
}

// hold returns the breaker as a Hold.
func (b *state) hold() Hold {
	h := Hold{What: TheAccount, Cause: Failing, Class: b.Class, Detail: b.Detail, Since: b.FailedAt, Until: b.Until}
	if host, ok := strings.CutPrefix(b.Scope, "host:"); ok {
		h.What, h.Name = TheHost, host
	}
	return h
}

// Enter begins an attempt at a scope that is not held. Call leave once, after
// Fail or Succeed.
func (s *Set) Enter(now time.Time, scope string) (leave func(), h Hold, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h, held := s.held(now, []string{scope}); held {
		return nil, h, false
	}
	if !s.open(scope) {
		return func() {}, Hold{}, true
	}
	s.probing[scope] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.probing, scope)
		s.wake()
	}, Hold{}, true
}

func (s *Set) open(scope string) bool {
	for k, b := range s.by {
		if k.scope == scope && !b.OpenedAt.IsZero() {
			return true
		}
	}
	return false
}

// Fail notes a failure and returns the row to store. wait returns how long to
// back off after n failures in a row.
func (s *Set) Fail(now time.Time, scope string, what class.Class, detail string, wait func(n int) time.Duration) Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{scope, what}
	b := s.by[k]
	if b == nil {
		b = &state{Row: Row{Scope: scope, Class: what}}
		s.by[k] = b
	}
	if b.Failures > 0 && now.Before(b.Until) { // it was under way when another failed: the same failure
		b.Detail, b.Until = detail, later(b.Until, now.Add(wait(b.Failures)))
		return b.Row
	}
	b.Failures++
	b.recent = append(slices.DeleteFunc(b.recent, func(at time.Time) bool { return now.Sub(at) > window }), now)
	if len(b.recent) >= trips && b.OpenedAt.IsZero() {
		b.OpenedAt = now
	}
	if len(b.recent) > trips {
		b.recent = b.recent[1:]
	}
	b.FailedAt, b.Detail = now, detail
	b.Until = now.Add(wait(b.Failures))
	return b.Row
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Succeed clears a scope. It reports whether there were rows, which the caller
// drops from the store.
func (s *Set) Succeed(scope string) (had bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.by {
		if k.scope == scope {
			delete(s.by, k)
			had = true
		}
	}
	if had {
		s.wake()
	}
	return had
}

// Hurry ends the waits of scopes, by hand or after a change of network. A
// quota's wait ends only by force. Open breakers stay open, so the next attempt
// is a probe. The caller stores the returned rows.
func (s *Set) Hurry(now time.Time, force bool, scopes ...string) []Row {
	return s.change(func(b *state) bool {
		if !slices.Contains(scopes, b.Scope) || b.Class == class.Quota && !force || !now.Before(b.Until) {
			return false
		}
		b.Until = now
		return true
	})
}

// HurryAll is Hurry for every scope.
func (s *Set) HurryAll(now time.Time) []Row {
	return s.change(func(b *state) bool {
		if b.Class == class.Quota || !now.Before(b.Until) {
			return false
		}
		b.Until = now
		return true
	})
}

// Rebase rewrites every deadline after the wall clock was set, and returns the
// rows to store.
func (s *Set) Rebase(now time.Time) []Row {
	return s.change(func(b *state) bool {
		b.FailedAt, b.Until = now.Add(b.FailedAt.Sub(now)), now.Add(b.Until.Sub(now))
		if !b.OpenedAt.IsZero() {
			b.OpenedAt = now.Add(b.OpenedAt.Sub(now))
		}
		return true
	})
}

func (s *Set) change(do func(b *state) bool) (rows []Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.by {
		if do(b) {
			rows = append(rows, b.Row)
		}
	}
	if len(rows) > 0 {
		s.wake()
	}
	return rows
}

// Rows returns the rows to store of scopes.
func (s *Set) Rows(scopes ...string) (rows []Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, b := range s.by {
		if slices.Contains(scopes, k.scope) {
			rows = append(rows, b.Row)
		}
	}
	return rows
}

func (s *Set) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}
