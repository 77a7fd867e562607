package connpool

import (
	"context"

	"mailcote/engine/imap"
)

// Lease is one user's right to a session. It ends with Give, Leave or Drop.
// Ending it again does nothing.
type Lease struct {
	p         *Pool
	use       Use
	s         *imap.Session // nil: the lease has ended
	asked     bool          // the work was asked for by hand
	wanted    chan struct{} // closed when somebody waits for the session
	requested bool          // wanted is closed
	from      int64         // octets that the session had read when it was leased
	read      int64         // octets read through the lease's earlier sessions
}

// take gives the lease a session that has read from octets for others. The
// caller has the pool's lock, as for requestYield.
func (l *Lease) take(s *imap.Session, from int64) {
	l.s, l.from, l.wanted, l.requested = s, from, make(chan struct{}), false
}

func (l *Lease) requestYield() {
	if !l.requested {
		l.requested = true
		close(l.wanted)
	}
}

// Session is the lease's session, nil when the lease has ended. Yield may
// replace it.
func (l *Lease) Session() *imap.Session { return l.s }

// Wanted is closed when somebody waits for the session. A Watch gives way at
// once, bulk work at its next Yield.
func (l *Lease) Wanted() <-chan struct{} { return l.wanted }

// BytesRead counts the octets that this lease read from TCP, below TLS. The
// sign-in of a session made for it is included.
func (l *Lease) BytesRead() int64 {
	if l.s == nil {
		return l.read
	}
	return l.read + l.s.BytesRead() - l.from
}

// Yield hands the session to an interactive command that waits for it, and
// returns when the lease has a session again. It is called between commands.
// moved: others had the session, so no mailbox may be assumed to be selected.
// After an error the lease has ended.
func (l *Lease) Yield(ctx context.Context) (moved bool, err error) {
	select {
	case <-l.wanted:
	default:
		return false, nil
	}
	if !l.p.stillWanted(l) {
		return false, nil
	}
	l.Give()
	return true, l.p.fill(ctx, l, false)
}

// stillWanted reports whether whoever asked for the session still waits.
func (p *Pool) stillWanted(l *Lease) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.interactive == 0 { // served by another session, or gone
		l.wanted, l.requested = make(chan struct{}), false
		return false
	}
	return true
}

// Give gives the session back for others, or ends it when it is over. Of idle
// sessions one is kept.
func (l *Lease) Give() {
	if l.s != nil {
		l.p.logout(context.Background(), l.end(true))
	}
}

// Drop ends the session at once.
func (l *Lease) Drop() {
	if l.s != nil {
		l.end(false)
	}
}

// Leave ends the session with LOGOUT, even when ctx has ended.
func (l *Lease) Leave(ctx context.Context) {
	if l.s != nil && l.s.State() != imap.Closed {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTime)
		defer cancel()
		_ = l.s.Logout(ctx) //nolint:errcheck // everything that counts is committed
	}
	l.Drop()
}

// end takes the session from the lease. keep leaves it to others if it is
// alive. over are the idle sessions beyond the one that is kept.
func (l *Lease) end(keep bool) (over []idleSession) {
	l.read = l.BytesRead()
	p, s := l.p, l.s
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.leases, l)
	l.s = nil
	if keep && !p.closed && s.State() != imap.Closed {
		s.Observe(imap.Observer{})
		s.SetProgress(0)
		p.idle = append(p.idle, newIdle(s))
		last := len(p.idle) - 1
		over, p.idle = p.idle[:last:last], p.idle[last:]
	} else {
		p.discard(s)
	}
	p.wake()
	return over
}
