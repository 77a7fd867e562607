package imap

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// shortIdle is the least time an IDLE lasts that the server ends by itself. One
// that ends sooner, again and again, would be a busy loop.
const shortIdle = time.Second

// IdleOptions say what ends an IDLE before its context does.
type IdleOptions struct {
	// Wanted ends it at once when it is closed; nil: nothing does.
	Wanted <-chan struct{}
	// Enough is asked after each response, in the session's goroutine; nil:
	// never.
	Enough func() bool
}

// Idle waits for news (RFC 2177), which the Observer gets, until Wanted or
// Enough says that the session has other work; then it returns nil and the
// session is ready for the next command.
//
// The line is proven: after Limits.Idle of silence the server has to answer
// DONE within Limits.Progress, and a new IDLE begins. Any octet from the
// server, such as "* OK Still here", starts that silence anew. No IDLE is older
// than Limits.Reissue, since servers log out who sends nothing for half an
// hour.
func (s *Session) Idle(ctx context.Context, o IdleOptions) error {
	if !s.Has("IDLE") {
		return fmt.Errorf("imap: IDLE: %w: it is not offered", ErrCommand)
	}
	stop, err := s.begin(ctx, "IDLE")
	if err != nil {
		return err
	}
	defer stop()
	before := s.progress
	s.progress = s.lim.Progress // a mailbox that is slow to answer is no reason to wait longer for this
	defer func() { s.progress = before }()
	defer s.conn.rousedBy(o.Wanted)()
	for {
		if again, err := s.idle(o); err != nil || !again {
			return err
		}
	}
}

// idle is one IDLE, from its command to the answer. again: nobody wants the
// session.
func (s *Session) idle(o IdleOptions) (again bool, err error) {
	c := s.command("IDLE")
	if err := s.send(c); err != nil {
		return false, err
	}
	began := time.Now()
	going, err := s.goAhead(c.tag)
	for going && err == nil && s.bye == nil {
		if _, ended := s.done[c.tag]; ended {
			break
		}
		if o.Enough != nil && o.Enough() {
			return false, s.endIdle(c.tag)
		}
		err = s.listen(began.Add(s.lim.Reissue))
		var r *roused
		if errors.As(err, &r) {
			return !r.wanted, s.endIdle(c.tag)
		}
	}
	if err != nil {
		return false, err
	}
	st, err := s.wait(c.tag)
	if err == nil {
		err = st.Err("IDLE")
	}
	if err == nil && time.Since(began) < shortIdle {
		err = s.fail("IDLE", "response", fmt.Errorf("%w: IDLE ended at once", ErrSyntax))
	}
	return true, err
}

// listen waits for a response and acts on it. A *roused error says that none
// came.
func (s *Session) listen(reissue time.Time) error {
	s.conn.quiet = time.Now().Add(s.lim.Idle)
	if reissue.Before(s.conn.quiet) {
		s.conn.quiet = reissue
	}
	err := s.sc.await()
	s.conn.quiet = time.Time{}
	var r *roused
	switch {
	case errors.As(err, &r):
		return err
	case err != nil:
		return s.fail("IDLE", "response", err)
	case s.sc.buffered() == 0:
		return nil // padding: the server is there
	}
	s.conn.restart()
	s.conn.inResponse = true
	return s.respond()
}

// endIdle sends DONE and waits for the answer.
func (s *Session) endIdle(tag string) error {
	s.conn.restart()
	if s.trace != nil {
		fmt.Fprintln(s.trace.w, `C: "DONE"`)
	}
	if err := s.write("IDLE", []byte("DONE\r\n")); err != nil {
		return err
	}
	st, err := s.wait(tag)
	if err != nil {
		return err
	}
	return st.Err("IDLE")
}
