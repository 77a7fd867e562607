package imap

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

// TestEchoOutOfStep: a server that takes a password for a command says it back
// where a tag or a status is due. What is said of the broken session does not
// repeat it.
func TestEchoOutOfStep(t *testing.T) {
	const password = "canary phrase"
	for _, answer := range []string{password + " BAD unknown command", "TAG " + password, "canary BAD unknown",
		"TAG canary"} {
		var trace bytes.Buffer
		s, _ := dial(t, Options{Trace: &trace}, func(p *peer) {
			tag, _ := p.next()
			p.say(strings.ReplaceAll(answer, "TAG", tag))
			p.untilGone()
		})
		err := s.Login(context.Background(), "jo", password)
		if !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v, want ErrSyntax", answer, err)
			continue
		}
		if shown := err.Error() + trace.String(); strings.Contains(shown, "canary") {
			t.Errorf("%q: the password is shown in %q", answer, shown)
		}
	}
}

// TestAttributesBooked: attributes of mailboxes count for the octets of a
// listing that are kept.
func TestAttributesBooked(t *testing.T) {
	attributes := strings.Repeat(` \X`+strings.Repeat("y", 200), MaxAttributes)
	s, _ := dial(t, Options{Limits: Limits{Names: 100_000}}, func(p *peer) {
		tag, _ := p.next()
		for range 100 { // 13 kB each
			p.say(`* LIST (\HasNoChildren` + attributes + `) "/" box`)
		}
		p.say(tag + " OK done")
		p.untilGone()
	})
	got, err := s.List(context.Background(), nil)
	if !errors.Is(err, ErrLimit) {
		t.Errorf("%d mailboxes, %v, want ErrLimit", len(got), err)
	}
	if n := len(got); n == 0 || n > 8 {
		t.Errorf("%d mailboxes with 13 kB of attributes each are kept under a limit of 100 kB", n)
	}
}
