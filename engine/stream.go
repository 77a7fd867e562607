package engine

import (
	"context"
	"sync/atomic"

	"mailcote/engine/connpool"
	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/progress"
)

// stream is one session of an account, leased for the length of a task. It
// implements mailbox.Sessions.
type stream struct {
	account   *account
	once      bool            // the user asked for this work and waits for it
	until     context.Context // when it ends, nothing new begins; a running command has grace left
	lease     *connpool.Lease
	current   atomic.Pointer[imap.Session] // the leased session, for the watchdog
	wireBytes int64                        // bytes read from the server by earlier leases
}

// connect returns the leased session, or leases one from the pool.
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

// Session returns the leased session.
func (s *stream) Session() *imap.Session { return s.lease.Session() }

// Renew leases a new session, which shares nothing with the one before.
func (s *stream) Renew(ctx context.Context) (*imap.Session, error) {
	s.logout(ctx)
	return s.takeLease(ctx, true)
}

// Yield is called between two commands. It fails when the work has to stop.
// Where the server allows one session only, it lends that session to an
// interactive command. moved reports whether that happened: then no mailbox
// counts as selected.
func (s *stream) Yield(ctx context.Context) (moved bool, err error) {
	if s.until.Err() != nil {
		return false, fault.ErrStopped
	}
	select {
	case <-s.lease.Wanted():
	default: // the usual case; this runs once for each mailbox of a listing
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

// waiting returns a context for waits in the pool. It ends when nothing new may
// begin, and with the task, which the watchdog may end.
func (s *stream) waiting(ctx context.Context) (context.Context, func()) {
	waiting, cancel := context.WithCancelCause(s.until)
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	return waiting, func() {
		stop()
		cancel(nil)
	}
}

// release returns the session to the pool between two tasks.
func (s *stream) release() { s.endLease((*connpool.Lease).Give) }

// drop closes the session at once.
func (s *stream) drop() { s.endLease((*connpool.Lease).Drop) }

// endWork releases the session. Unless a next pass is expected, the account's
// idle sessions log out.
func (s *stream) endWork(ctx context.Context) {
	s.release()
	if s.once || ctx.Err() != nil {
		s.account.retire(ctx)
	}
}

// logout ends the session in order, even if the worker's context has ended.
func (s *stream) logout(ctx context.Context) { s.endLease(func(l *connpool.Lease) { l.Leave(ctx) }) }

func (s *stream) endLease(how func(*connpool.Lease)) {
	if s.lease != nil {
		how(s.lease)
		s.wireBytes += s.lease.BytesRead()
		s.lease = nil
	}
}
