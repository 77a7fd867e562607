package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-sasl"

	"mailcote/engine/imap"
	"mailcote/engine/meter"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/attempt"
	"mailcote/testkit/failpoint"
)

// The phases a fault names.
const (
	phaseConnect  = "connect"
	phaseSignIn   = "sign-in"
	phaseDiscover = "discover"
	phaseOpen     = "open"
	phaseList     = "list"
	phaseFlags    = "flags"
	phaseFetch    = "fetch"
	phaseStore    = "store"
)

const (
	resendSignIn = 60 * time.Second // an unanswered sign-in is not sent again before
	slowSignIn   = 5 * time.Second  // the person is told
	logoutTime   = 2 * time.Second
)

var (
	errSecret    = errors.New("the password could not be read")
	errDroppedIn = errors.New("the connection broke during two sign-ins in a row")
	errSilentIn  = errors.New("the server did not answer two sign-ins")
	// errDisagrees says that a server's answers contradict each other.
	errDisagrees = errors.New("the server's listing and its message count disagree")
)

// connect gives the worker's session, dialling and signing in when there is none.
func (w *worker) connect(ctx context.Context) (*imap.Session, error) {
	if w.session != nil && w.session.Err() == nil {
		return w.session, nil
	}
	w.drop()
	password, err := w.e.password(ctx, w.account)
	if err != nil {
		return nil, in(phaseSignIn, fmt.Errorf("%w: %w", errSecret, err))
	}
	before, err := w.patience(ctx)
	if err != nil {
		return nil, err
	}
	w.e.progress.State(w.account.Name, "connecting", "")
	if err := w.meter.Dial(ctx); err != nil {
		return nil, in(phaseConnect, err)
	}
	s, err := w.e.dial(ctx, w.account, w.meter)
	if err != nil {
		return nil, in(phaseConnect, err)
	}
	w.line.Store(s)
	if err := w.signIn(ctx, s, password, before); err != nil {
		return nil, errors.Join(err, ignoreClosed(s.Close()))
	}
	if err := w.greet(ctx, s); err != nil {
		return nil, errors.Join(in(phaseDiscover, err), ignoreClosed(s.Close()))
	}
	failpoint.Hit("engine.signedIn")
	w.meter.Dialled()
	w.session = s
	w.e.progress.State(w.account.Name, "syncing", "")
	return s, nil
}

func loginOf(a storage.Account) Login {
	return Login{User: a.User, Host: a.Host, Port: a.Port, Security: imap.Security(a.Security)}
}

func (e *Engine) dial(ctx context.Context, a storage.Account, m *meter.Meter) (*imap.Session, error) {
	return imap.Dial(ctx, loginOf(a).Endpoint(), imap.Options{Limits: e.o.Limits, TLSConfig: e.o.TLSConfig, Insecure: a.Insecure, Trace: e.o.Trace,
		Manners: m.Manners(), Meter: m})
}

// patience waits, before anything is dialled, until a sign-in that was not answered may be sent again: not before a minute is
// over, but for the first whose connection broke, and those that a person asks for. It gives what is known of it.
func (w *worker) patience(ctx context.Context) (before attempt.SignIn, err error) {
	if err := w.e.store.Read(ctx, func(r *storage.Reader) (err error) {
		before, err = attempt.SignInOf(r, w.account.ID)
		return err
	}); err != nil {
		return before, in(phaseStore, err)
	}
	wait := min(time.Until(before.SentAt.Add(w.e.o.resend)), w.e.o.resend) // the clock may have been set back
	if wait <= 0 || before.Silent == 0 && (before.Dropped < 2 || w.once) {
		return before, nil
	}
	w.e.progress.State(w.account.Name, "waiting", "the server did not answer the sign-in; it is sent again in a minute")
	return before, in(phaseSignIn, sleep(ctx, wait))
}

// signIn sends the credentials once. A server that took them and stays silent gets them once more, a minute later, and then
// the account waits for a person: guesses are punished by delay. When the connection breaks before the answer, or the process
// ends, they are sent again at once only the first time.
func (w *worker) signIn(ctx context.Context, s *imap.Session, password secret.Secret, before attempt.SignIn) error {
	w.e.progress.State(w.account.Name, "signing in", "")
	sent := attempt.SignIn{SentAt: time.Now(), Silent: before.Silent, Dropped: before.Dropped + 1}
	if err := w.noteSignIn(ctx, sent); err != nil {
		return err
	}
	told := time.AfterFunc(slowSignIn, func() {
		w.e.progress.State(w.account.Name, "signing in", "the server takes its time to answer the sign-in")
	})
	err := authenticate(ctx, s, w.account.User, password)
	told.Stop()
	var answer *imap.StatusError
	switch {
	case err == nil, errors.As(err, &answer):
		return errors.Join(in(phaseSignIn, err), w.noteSignIn(ctx, attempt.SignIn{}))
	case stopped(ctx): // a clean stop gives the attempt back
		return errors.Join(in(phaseSignIn, err), w.noteSignIn(ctx, before))
	case errors.Is(err, imap.ErrStalled):
		if before.Silent++; before.Silent > 1 {
			err = fmt.Errorf("%w: %w", errSilentIn, err)
		}
		before.SentAt = time.Now()
		return errors.Join(in(phaseSignIn, err), w.noteSignIn(ctx, before))
	case sent.Dropped > 1:
		err = fmt.Errorf("%w: %w", errDroppedIn, err)
	}
	return in(phaseSignIn, err)
}

func (w *worker) noteSignIn(ctx context.Context, s attempt.SignIn) error {
	return in(phaseStore, w.e.store.Write(context.WithoutCancel(ctx), storage.Interactive, 0, func(tx *storage.Writer) error {
		return attempt.PutSignIn(tx, w.account.ID, s)
	}))
}

// authenticate prefers AUTHENTICATE PLAIN, which carries every character; one attempt is one command.
func authenticate(ctx context.Context, s *imap.Session, user string, password secret.Secret) error {
	if s.Has("AUTH=PLAIN") {
		return s.Authenticate(ctx, sasl.NewPlainClient("", user, password.Reveal()))
	}
	return s.Login(ctx, user, password.Reveal())
}

// greet tells the server who we are (some want it before SELECT) and notes who it is.
func (w *worker) greet(ctx context.Context, s *imap.Session) error {
	var fields map[string]string
	server := ""
	if s.Has("ID") || w.meter.Profile().IDFirst {
		var err error
		var refused *imap.StatusError
		if fields, err = s.ID(ctx, map[string]string{"name": "mailcote", "vendor": "mailcote"}); err != nil && !errors.As(err, &refused) {
			return err
		}
		server = strings.TrimSpace(fields["name"] + " " + fields["version"])
	}
	capabilities := strings.Join(s.Capabilities(), " ")
	w.meter.Meet(s, fields["name"])
	return w.e.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
		if err := tx.SetServer(w.account.ID, server, capabilities); err != nil {
			return err
		}
		return w.meter.SaveTx(tx)
	})
}

// drop closes the session at once.
func (w *worker) drop() {
	if w.session != nil {
		w.wire += w.session.BytesRead()
		_ = w.session.Close() //nolint:errcheck // it is given up; why was said where it broke
		w.meter.Gone()
		w.session = nil
	}
}

// leave ends the session in order, whatever has happened to the worker's context.
func (w *worker) leave(ctx context.Context) {
	if w.session == nil || w.session.Err() != nil {
		w.drop()
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTime)
	defer cancel()
	_ = w.session.Logout(ctx) //nolint:errcheck // everything that counts is committed
	w.drop()
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
