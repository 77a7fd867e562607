package engine

import (
	"context"
	"sync/atomic"

	"mailcote/engine/connpool"
	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/progress"
)

// stream is one session of an account, leased for the length of a task. It is a mailbox.Sessions.
type stream struct {
	account   *account
	once      bool            // a person asked for the work
	until     context.Context // when it ends nothing new is begun, and a command under way has a moment left
	lease     *connpool.Lease
	current   atomic.Pointer[imap.Session] // the session, for the watchdog
	wireBytes int64                        // bytes taken from the server by sessions that ended
}

// connect gives the session that is leased, or leases one of the account's.
func (s *stream) connect(ctx context.Context) (*imap.Session, error) {
	if s.lease != nil && s.lease.Session() != nil && s.lease.Session().Err() == nil {
		return s.lease.Session(), nil
	}
	return s.takeLease(ctx, false)
}

func (s *stream) takeLease(ctx context.Context, fresh bool) (*imap.Session, error) {
	s.drop()
	p, err := s.account.connPool(ctx)
	if err != nil {
		return nil, err
	}
	waiting, end := s.waiting(ctx)
	defer end()
	l, err := p.Take(waiting, connpool.Want{Use: connpool.Bulk, Fresh: fresh, Asked: s.once})
	if err != nil {
		return nil, connectError(err)
	}
	s.lease = l
	s.current.Store(l.Session())
	s.account.showState(progress.Syncing, "")
	return l.Session(), nil
}

// Session is the session that is leased now.
func (s *stream) Session() *imap.Session { return s.lease.Session() }

// Renew leases a session that owes nothing to the one before.
func (s *stream) Renew(ctx context.Context) (*imap.Session, error) {
	s.logout(ctx)
	return s.takeLease(ctx, true)
}

// Yield is called between two commands: it ends the work of one who has to stop, and lets a person have the
// session where the server allows no other. moved: somebody had it, and no mailbox can be taken for open.
func (s *stream) Yield(ctx context.Context) (moved bool, err error) {
	if s.until.Err() != nil {
		return false, fault.ErrStopped
	}
	select {
	case <-s.lease.Wanted():
	default: // the usual, and once a mailbox of a listing
		return false, nil
	}
	waiting, end := s.waiting(ctx)
	defer end()
	if moved, err = s.lease.Yield(waiting); err != nil {
		return true, connectError(err)
	}
	if moved {
		s.current.Store(s.lease.Session())
	}
	return moved, nil
}

// waiting gives a context for waits in the pool: they end as soon as nothing new may be begun, and with the task,
// which the watchdog may end.
func (s *stream) waiting(ctx context.Context) (context.Context, func()) {
	waiting, cancel := context.WithCancelCause(s.until)
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	return waiting, func() {
		stop()
		cancel(nil)
	}
}

// release gives the session back between two tasks.
func (s *stream) release() { s.endLease((*connpool.Lease).Give) }

// drop closes the session at once.
func (s *stream) drop() { s.endLease((*connpool.Lease).Drop) }

// endWork ends the work: what nobody will want soon is signed out.
func (s *stream) endWork(ctx context.Context) {
	s.release()
	if s.once || ctx.Err() != nil {
		s.account.retire(ctx)
	}
}

// logout ends the session in order, whatever has happened to the worker's context.
func (s *stream) logout(ctx context.Context) { s.endLease(func(l *connpool.Lease) { l.Leave(ctx) }) }

func (s *stream) endLease(how func(*connpool.Lease)) {
	if s.lease != nil {
		how(s.lease)
		s.wireBytes += s.lease.BytesRead()
		s.lease = nil
	}
}
