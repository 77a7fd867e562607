package connpool

import (
	"context"

	"mailcote/engine/imap"
)

// Lease is one user's hold on a session. It ends with Give, Leave or Drop; a further one does nothing.
type Lease struct {
	p      *Pool
	use    Use
	s      *imap.Session // nil: it has ended
	asked  bool          // a person asked for the work
	wanted chan struct{} // closed when somebody waits for the session
	told   bool          // it is closed
	from   int64         // what the session had read when it was leased
	read   int64         // what came before that, through the lease's earlier sessions
}

// take gives the lease a session of which from bytes are not its own. Under the pool's lock, like press.
func (l *Lease) take(s *imap.Session, from int64) {
	l.s, l.from, l.wanted, l.told = s, from, make(chan struct{}), false
}

func (l *Lease) press() {
	if !l.told {
		l.told = true
		close(l.wanted)
	}
}

// Session is the lease's session; nil when it has ended. A Yield may put another one in its place.
func (l *Lease) Session() *imap.Session { return l.s }

// Wanted is closed when somebody waits for the session. A Watch gives way at once, bulk work at its next Yield.
func (l *Lease) Wanted() <-chan struct{} { return l.wanted }

// BytesRead counts what this lease took from TCP, below TLS, the sign-in of a session made for it included.
func (l *Lease) BytesRead() int64 {
	if l.s == nil {
		return l.read
	}
	return l.read + l.s.BytesRead() - l.from
}

// Yield hands the session to a person who waits for it, and returns when there is one again. It is called between
// commands. moved: that has happened, and no mailbox can be taken for selected. After an error the lease has
// ended.
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

// stillWanted says whether the one who asked for the session still waits.
func (p *Pool) stillWanted(l *Lease) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.persons == 0 { // served otherwise, or gone
		l.wanted, l.told = make(chan struct{}), false
		return false
	}
	return true
}

// Give gives the session back for others to use, or ends it when it is over. Of those that nobody uses one is enough.
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

// Leave ends the session in order, whatever has happened to ctx.
func (l *Lease) Leave(ctx context.Context) {
	if l.s != nil && l.s.State() != imap.Closed {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTime)
		defer cancel()
		_ = l.s.Logout(ctx) //nolint:errcheck // everything that counts is committed
	}
	l.Drop()
}

// end takes the session from the lease; keep: others may have it, if it lives. over are idle ones beyond the one
// that is kept.
func (l *Lease) end(keep bool) (over []kept) {
	l.read = l.BytesRead()
	p, s := l.p, l.s
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.leases, l)
	l.s = nil
	if keep && !p.closed && s.State() != imap.Closed {
		s.Observe(imap.Observer{})
		s.SetProgress(0)
		p.idle = append(p.idle, newKept(s))
		last := len(p.idle) - 1
		over, p.idle = p.idle[:last:last], p.idle[last:]
	} else {
		p.bury(s)
	}
	p.stir()
	return over
}
