package connpool

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/emersion/go-sasl"

	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/secret"
)

// PasswordlessError means that a server announces no way to sign in with a
// password.
type PasswordlessError struct {
	Offers    []string // its SASL mechanisms, such as XOAUTH2
	Encrypted bool     // the connection is
	StartTLS  bool     // the server offers STARTTLS
	Err       error    // the refusal of LOGIN; nil: LOGIN is disabled and nothing was sent
}

func (e *PasswordlessError) Error() string {
	offers := "nothing else"
	if words := policy.Offered(e.Offers); words != "" {
		offers = words
	}
	if e.Err != nil {
		return e.Err.Error() + " (the server announces " + offers + ", and no sign-in with a password)"
	}
	where := ""
	if !e.Encrypted {
		where = " on a connection without encryption"
	}
	return "the server takes no password" + where + ": LOGIN is disabled, and it offers " + offers
}

// Unwrap returns the refusal.
func (e *PasswordlessError) Unwrap() error { return e.Err }

// Method is how a server takes a password. The zero value goes by what the
// server announces and learns from what it answers. Its methods may be called
// from any goroutine.
type Method struct {
	noPlain atomic.Bool // the server announces AUTHENTICATE PLAIN and does not understand it
}

// Authenticate signs in. It prefers AUTHENTICATE PLAIN, which carries every
// character. A server that did not understand that gets LOGIN, once, on the
// same session.
func (m *Method) Authenticate(ctx context.Context, s *imap.Session, user string, password secret.Secret) error {
	disabled := s.Has("LOGINDISABLED")
	switch {
	case s.Has("AUTH=PLAIN") && (disabled || !m.noPlain.Load()):
		err := s.Authenticate(ctx, sasl.NewPlainClient("", user, password.Reveal()))
		if !notUnderstood(err) || disabled {
			return err
		}
		m.noPlain.Store(true)
	case disabled && s.Has("AUTH=LOGIN"):
		return s.Authenticate(ctx, sasl.NewLoginClient(user, password.Reveal()))
	case disabled:
		return passwordless(s, nil)
	}
	err := s.Login(ctx, user, password.Reveal())
	if refused(err) && !s.Has("AUTH=PLAIN") && !s.Has("AUTH=LOGIN") && len(mechanisms(s)) > 0 {
		err = passwordless(s, err)
	}
	return err
}

// Authenticate signs in on a session without a pool, and returns the session to
// use. A server that hung up after it had not understood AUTHENTICATE gets
// LOGIN on another session, which dial opens.
func Authenticate(ctx context.Context, s *imap.Session, user string, password secret.Secret,
	dial func() (*imap.Session, error)) (*imap.Session, error) {
	var m Method
	err := m.Authenticate(ctx, s, user, password)
	var answer *imap.StatusError
	if err == nil || !m.noPlain.Load() || errors.As(err, &answer) && answer.Type != "BYE" {
		return s, err
	}
	_ = s.Close() //nolint:errcheck // the server has closed it
	next, err := dial()
	if err != nil {
		return s, err
	}
	return next, m.Authenticate(ctx, next, user, password)
}

// notUnderstood reports whether the server answered BAD and said nothing about
// the password, a limit or the account.
func notUnderstood(err error) bool {
	var answer *imap.StatusError
	return errors.As(err, &answer) && answer.Type == "BAD" && judge(answer).Row == nil
}

// refused reports whether the server refused to sign the user in.
func refused(err error) bool {
	var answer *imap.StatusError
	return errors.As(err, &answer) && judge(answer).Do == policy.Pause
}

func judge(answer *imap.StatusError) policy.Verdict {
	return policy.Judge(policy.Answer{Type: answer.Type, Code: answer.Code, CodeArgs: answer.CodeArgs,
		Text: answer.Text, Command: answer.Command, Phase: StepSignIn})
}

func passwordless(s *imap.Session, err error) error {
	_, encrypted := s.TLS()
	return &PasswordlessError{Offers: mechanisms(s), Encrypted: encrypted, StartTLS: s.Has("STARTTLS"), Err: err}
}

// maxMechanisms bounds the mechanisms that are named.
const maxMechanisms = 8

// mechanisms returns the SASL mechanisms that a server announces, in their
// order in Capabilities. What is no name of RFC 4422 is left out.
func mechanisms(s *imap.Session) (names []string) {
	for _, capability := range s.Capabilities() {
		name, ok := strings.CutPrefix(capability, "AUTH=")
		odd := strings.ContainsFunc(name, func(r rune) bool {
			return !(r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
		})
		if ok && name != "" && len(name) <= 20 && !odd {
			names = append(names, name)
		}
	}
	return slices.Clip(names[:min(len(names), maxMechanisms)])
}
