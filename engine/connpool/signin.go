package connpool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"

	"mailcote/engine/clock"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/secret"
)

const (
	// Resend is the least wait between an unanswered sign-in and the next.
	Resend = 60 * time.Second

	slow   = 5 * time.Second // then people are told
	spread = 3 * time.Second // the longest pause before the first dial after a sleep
)

// The errors of a sign-in that the server does not put in words.
var (
	ErrSecret  = errors.New("the password could not be read")
	ErrDropped = errors.New("the connection broke during two sign-ins in a row")
	ErrSilent  = errors.New("the server did not answer two sign-ins")
)

// The steps of opening a session, as a StepError names them.
const (
	StepConnect = policy.PhaseConnect
	StepSignIn  = policy.PhaseSignIn
	StepGreet   = policy.PhaseDiscover
)

// StepError says at which step opening a session failed.
type StepError struct {
	Step string
	Err  error
}

func (e *StepError) Error() string { return e.Step + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }

// Unanswered counts sign-ins that a server took and did not answer.
type Unanswered struct {
	At      time.Time // when the last one was sent, or ended in silence
	Silent  int       // times the server took it and said nothing
	Dropped int       // times in a row that the connection or the process ended first
}

// Wait is how long the sign-in must wait, at most resend. asked: it was asked
// for by hand.
func (u Unanswered) Wait(now time.Time, resend time.Duration, asked bool) time.Duration {
	if u.Silent == 0 && (u.Dropped < 2 || asked) {
		return 0
	}
	return min(u.At.Add(resend).Sub(now), resend) // the clock may have been set back
}

// connect dials, signs in and tells the server who we are.
func (p *Pool) connect(ctx context.Context, asked bool) (*imap.Session, error) {
	password, err := p.o.Account.Password(ctx)
	if err != nil {
		return nil, &StepError{StepSignIn, fmt.Errorf("%w: %w", ErrSecret, err)}
	}
	before, err := p.awaitResend(ctx, asked)
	if err != nil {
		return nil, &StepError{StepSignIn, err}
	}
	s, err := p.dial(ctx, asked)
	if err != nil {
		return nil, &StepError{StepConnect, err}
	}
	if err := p.signIn(ctx, s, password, before); err != nil {
		_ = s.Close() //nolint:errcheck // it is given up
		return nil, &StepError{StepSignIn, err}
	}
	if err := p.o.Account.Greeted(ctx, s); err != nil {
		_ = s.Close() //nolint:errcheck // it is given up
		return nil, &StepError{StepGreet, err}
	}
	return s, nil
}

// awaitResend waits, before the dial, until an unanswered sign-in may be sent
// again. It need not wait after the first sign-in whose connection broke, nor
// when asked by hand, unless the server was silent. It returns what is known of
// earlier sign-ins.
func (p *Pool) awaitResend(ctx context.Context, asked bool) (before Unanswered, err error) {
	if before, err = p.o.Memory.SignIn(ctx); err != nil {
		return before, err
	}
	wait := before.Wait(time.Now(), p.o.Resend, asked)
	if wait <= 0 {
		return before, nil
	}
	p.o.Account.Say(Waiting, "the server did not answer the sign-in; it is sent again in a minute")
	return before, clock.Sleep(ctx, wait)
}

// dial opens a connection once the pace and the gate allow it.
func (p *Pool) dial(ctx context.Context, asked bool) (*imap.Session, error) {
	p.mu.Lock()
	woken, failing := p.woken, p.failing
	p.woken = false
	p.mu.Unlock()
	if woken && !asked { // every account wakes at the same moment
		if err := clock.Sleep(ctx, rand.N(spread)); err != nil {
			return nil, err
		}
	}
	if p.o.Pace != nil {
		if err := p.o.Pace(ctx); err != nil {
			return nil, err
		}
	}
	leave, err := p.o.Gate.enter(ctx, failing)
	if err != nil {
		return nil, err
	}
	defer leave()
	p.o.Account.Say(Connecting, "")
	s, err := p.o.Dial(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failing = err != nil
	p.figures.Dialled++
	return s, err
}

// signIn sends the credentials once. A server that took them and stays silent
// gets them once more, a minute later. Then the account waits for a person,
// because servers punish guesses with delay. If the connection or the process
// ends before the answer, they are sent again at once only the first time.
func (p *Pool) signIn(ctx context.Context, s *imap.Session, password secret.Secret, before Unanswered) error {
	p.o.Account.Say(SigningIn, "")
	always := context.WithoutCancel(ctx)
	sent := Unanswered{At: time.Now(), Silent: before.Silent, Dropped: before.Dropped + 1}
	if err := p.o.Memory.SetSignIn(ctx, sent); err != nil {
		return err
	}
	notice := time.AfterFunc(slow, func() {
		p.o.Account.Say(SigningIn, "the server takes its time to answer the sign-in")
	})
	err := p.method.Authenticate(ctx, s, p.o.User, password)
	notice.Stop()
	var answer *imap.StatusError
	var unsent *PasswordlessError
	switch {
	case err == nil, errors.As(err, &answer):
		return errors.Join(err, p.o.Memory.SetSignIn(always, Unanswered{}))
	case stopped(ctx), errors.As(err, &unsent): // a clean stop does not count the attempt
		return errors.Join(err, p.o.Memory.SetSignIn(always, before))
	case errors.Is(err, imap.ErrStalled):
		if before.Silent++; before.Silent > 1 {
			err = fmt.Errorf("%w: %w", ErrSilent, err)
		}
		before.At = time.Now()
		return errors.Join(err, p.o.Memory.SetSignIn(always, before))
	case sent.Dropped > 1:
		err = fmt.Errorf("%w: %w", ErrDropped, err)
	}
	return err
}

// stopped reports whether ctx ended. A dial gives up at its deadline, which is
// a little earlier.
func stopped(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// Introduce sends ID if the server offers it, or anyway, and returns what the
// server says of itself. A refusal is no error.
func Introduce(ctx context.Context, s *imap.Session, anyway bool) (server map[string]string, err error) {
	if !s.Has("ID") && !anyway {
		return nil, nil
	}
	server, err = s.ID(ctx, map[string]string{"name": "mailcote", "version": version(), "vendor": "mailcote"})
	if refused := (*imap.StatusError)(nil); errors.As(err, &refused) && s.Err() == nil {
		err = nil
	}
	return server, err
}

// version is mailcote's. Some servers open no mailbox for a client that does
// not name one.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") {
		return info.Main.Version
	}
	return "devel"
}
