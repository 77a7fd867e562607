package imap

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// minIdle is the shortest acceptable IDLE that the server ends by itself.
// Shorter ones would repeat in a busy loop.
const minIdle = time.Second

// IdleOptions say what ends an IDLE before its context does.
type IdleOptions struct {
	// Wanted ends the IDLE when it is closed; nil: it never does.
	Wanted <-chan struct{}
	// Enough is called after each response, in the session's goroutine. It ends
	// the IDLE when it returns true; nil: it never does.
	Enough func() bool
}

// Idle waits for news (RFC 2177), which the Observer gets. It returns nil once
// Wanted or Enough ends it, and the session is then ready for the next command.
//
// The connection is verified. After Limits.Idle of silence the server must
// answer a DONE within Limits.Progress, and a new IDLE begins. Any octet from
// the server, such as "* OK Still here", restarts that time. No IDLE is older
// than Limits.Reissue, since servers log out clients that send nothing for half
// an hour.
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
	s.progress = s.lim.Progress // SetProgress concerns slow mailboxes, not DONE
	defer func() { s.progress = before }()
	defer s.conn.interruptOn(o.Wanted)()
	for {
		if again, err := s.idle(o); err != nil || !again {
			return err
		}
	}
}

// idle runs one IDLE, from its command to the answer. again: nothing wants the
// session, so begin another.
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
		var r *interruption
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
	if err == nil && time.Since(began) < minIdle {
		err = s.fail("IDLE", "response", fmt.Errorf("%w: IDLE ended at once", ErrSyntax))
	}
	return true, err
}

// listen waits for a response and acts on it. An *interruption means that none
// came.
func (s *Session) listen(reissue time.Time) error {
	s.conn.quietUntil = time.Now().Add(s.lim.Idle)
	if reissue.Before(s.conn.quietUntil) {
		s.conn.quietUntil = reissue
	}
	err := s.sc.await()
	s.conn.quietUntil = time.Time{}
	var r *interruption
	switch {
	case errors.As(err, &r):
		return err
	case err != nil:
		return s.fail("IDLE", "response", err)
	case s.sc.buffered() == 0:
		return nil // only padding, which proves the connection
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
