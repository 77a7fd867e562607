package imap

import (
	"context"
	"fmt"
)

// SelectData is what EXAMINE said about a mailbox.
type SelectData struct {
	Exists        uint32
	UIDNext       uint32 // 0: not said
	UIDValidity   uint32 // 0: not said
	HighestModSeq uint64 // 0: not said, or over 2^63-1
	NoModSeq      bool   // the mailbox keeps no MODSEQ
	MailboxID     string // "": not said

	hasExists bool
}

// Examine opens a mailbox read-only. raw is its name as on the wire. condstore
// asks for MODSEQ where the server offers it. After a NO no mailbox is
// selected. What arrives before the answer is in SelectData and is not news:
// the observer is removed.
func (s *Session) Examine(ctx context.Context, raw string, condstore bool) (SelectData, error) {
	const name = "EXAMINE"
	c := s.command(name).text(raw)
	if condstore && s.Has("CONDSTORE") {
		c.raw(" (CONDSTORE)")
	}
	stop, err := s.begin(ctx, name)
	if err != nil {
		return SelectData{}, err
	}
	defer stop()
	if c.err != nil {
		return SelectData{}, c.err // the open mailbox stays selected
	}
	s.observer = Observer{}
	s.sel, s.exists = &SelectData{}, 0
	defer func() { s.sel = nil }()
	s.state = Authenticated
	if _, err := s.runNow(c); err != nil {
		return SelectData{}, err
	}
	if !s.sel.hasExists {
		// Without EXISTS an empty listing would look like an empty mailbox.
		return SelectData{}, s.fail(name, "response", fmt.Errorf("%w: OK without EXISTS", ErrSyntax))
	}
	s.state = Selected
	s.sel.Exists = s.exists
	return *s.sel, nil
}

// Noop asks for news and checks the connection.
func (s *Session) Noop(ctx context.Context) error {
	_, err := s.run(ctx, s.command("NOOP"))
	return err
}
