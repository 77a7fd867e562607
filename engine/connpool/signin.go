package connpool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"

	"github.com/emersion/go-sasl"

	"mailcote/engine/clock"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/secret"
)

const (
	// Resend is the least wait between an unanswered sign-in and the next.
	Resend = 60 * time.Second

	slow   = 5 * time.Second // the person is told
	spread = 3 * time.Second // the longest pause before the first dial after a sleep
)

// The errors of a sign-in that are not the server's words.
var (
	ErrSecret  = errors.New("the password could not be read")
	ErrDropped = errors.New("the connection broke during two sign-ins in a row")
	ErrSilent  = errors.New("the server did not answer two sign-ins")
)

// The steps of getting a session, as a StepError names them.
const (
	StepConnect = policy.PhaseConnect
	StepSignIn  = policy.PhaseSignIn
	StepGreet   = policy.PhaseDiscover
)

// StepError says where getting a session ended.
type StepError struct {
	Step string
	Err  error
}

func (e *StepError) Error() string { return e.Step + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *StepError) Unwrap() error { return e.Err }

// Unanswered remembers sign-ins that a server took and did not answer.
type Unanswered struct {
	At      time.Time // when the last one was sent, or ended in silence
	Silent  int       // times the server took it and said nothing
	Dropped int       // times in a row the connection, or the process, ended first
}

// Wait is how long the sign-in is not sent again, resend after it at most. asked: a person asks for it.
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
	before, err := p.patience(ctx, asked)
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

// patience waits, before anything is dialled, until a sign-in that was not answered may be sent again: not before
// a minute is over, but for the first whose connection broke, and those that a person asks for. It gives what is
// known of it.
func (p *Pool) patience(ctx context.Context, asked bool) (before Unanswered, err error) {
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

// dial opens a connection when the pace, the gate and the account's ceiling let it.
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

// signIn sends the credentials once. A server that took them and stays silent gets them once more, a minute
// later, and then the account waits for a person: guesses are punished by delay. When the connection breaks
// before the answer, or the process ends, they are sent again at once only the first time.
func (p *Pool) signIn(ctx context.Context, s *imap.Session, password secret.Secret, before Unanswered) error {
	p.o.Account.Say(SigningIn, "")
	always := context.WithoutCancel(ctx)
	sent := Unanswered{At: time.Now(), Silent: before.Silent, Dropped: before.Dropped + 1}
	if err := p.o.Memory.SetSignIn(ctx, sent); err != nil {
		return err
	}
	told := time.AfterFunc(slow, func() {
		p.o.Account.Say(SigningIn, "the server takes its time to answer the sign-in")
	})
	err := Authenticate(ctx, s, p.o.User, password)
	told.Stop()
	var answer *imap.StatusError
	switch {
	case err == nil, errors.As(err, &answer):
		return errors.Join(err, p.o.Memory.SetSignIn(always, Unanswered{}))
	case stopped(ctx): // a clean stop gives the attempt back
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

// stopped says whether ctx ended. A dial gives up at its deadline, which is a little before that.
func stopped(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// Authenticate signs in once. AUTHENTICATE PLAIN is preferred, since it carries every character; one attempt is
// one command.
func Authenticate(ctx context.Context, s *imap.Session, user string, password secret.Secret) error {
	if s.Has("AUTH=PLAIN") {
		return s.Authenticate(ctx, sasl.NewPlainClient("", user, password.Reveal()))
	}
	return s.Login(ctx, user, password.Reveal())
}

// Introduce tells the server who we are where it offers ID, or wants it anyway, and gives what it says of itself.
// A refusal is no error.
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

// version is ours. Some servers open no mailbox for a program that does not name one.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") {
		return info.Main.Version
	}
	return "devel"
}
