package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailcote/engine/connpool"
	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/storage/class"
)

// Step is one line of an account test.
type Step struct {
	Name   string      `json:"name"`
	OK     bool        `json:"ok"`
	Detail string      `json:"detail,omitempty"`
	Hint   string      `json:"hint,omitempty"` // what to do about a failure
	Class  class.Class `json:"class,omitempty"`

	Refused bool `json:"-"` // the server refused the password
}

// Probe tests a login in steps, connect, sign in and list, and stops at the
// first failure. It stores nothing and sends the credentials once.
func Probe(ctx context.Context, l Login, o imap.Options) []Step {
	var steps []Step
	failed := func(name, phase string, err error) []Step {
		f := fault.Classify(fault.In(phase, err))
		return append(steps, Step{Name: name, Detail: f.Detail, Hint: f.NextStep(l.named("")), Class: f.Class,
			Refused: f.Refused()})
	}
	dial := func() (*imap.Session, error) { return imap.Dial(ctx, l.Endpoint(), o) }
	s, err := dial()
	if err != nil {
		return failed("connect", fault.PhaseConnect, err)
	}
	defer func() { _ = s.Close() }() // LOGOUT has closed it, or a step has failed and says why
	detail := l.Endpoint().Addr()
	if state, ok := s.TLS(); ok {
		detail += fmt.Sprintf(", TLS, certificate for %q until %s", fault.CertificateNames(state.PeerCertificates[0]),
			state.PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly))
	} else {
		detail += ", not encrypted"
	}
	steps = append(steps, Step{Name: "connect", OK: true, Detail: detail})
	if s, err = connpool.Authenticate(ctx, s, l.User, l.Password, dial); err != nil {
		return failed("sign in", fault.PhaseSignIn, err)
	}
	steps = append(steps, Step{Name: "sign in", OK: true, Detail: l.User})
	if _, err := connpool.Introduce(ctx, s, false); err != nil {
		return failed("sign in", fault.PhaseSignIn, err)
	}
	entries, err := s.List(ctx, []string{"MESSAGES"})
	if lines := (*imap.UnreadableError)(nil); err != nil && !errors.As(err, &lines) {
		return failed("list mailboxes", fault.PhaseDiscover, err)
	}
	var messages uint64
	for _, entry := range entries {
		if entry.Status != nil {
			messages += uint64(entry.Status.Messages)
		}
	}
	found := plural(len(entries), "mailbox", "mailboxes")
	if messages > 0 {
		found += ", " + plural(int(messages), "message", "messages")
	}
	steps = append(steps, Step{Name: "list mailboxes", OK: true, Detail: found})
	if err := s.Logout(ctx); err != nil {
		return failed("sign out", fault.PhaseDiscover, err)
	}
	return steps
}
