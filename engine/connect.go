package engine

import (
	"context"
	"errors"
	"strings"
	"time"

	"mailcote/engine/connpool"
	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/health"
	"mailcote/engine/imap"
	"mailcote/engine/meter"
	"mailcote/engine/progress"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/failpoint"
)

// leaseInteractive leases a session for an interactive command and replaces one
// that has ended. It fails without an attempt while a fault has paused the
// account, or while the account or its host backs off. Only a sync, an account
// test and a manual retry try it anyway.
func (a *account) leaseInteractive(ctx context.Context, l **connpool.Lease) (*imap.Session, error) {
	if _, err := a.allowed(ctx); err != nil {
		return nil, err
	}
	p, err := a.connPool(ctx)
	if err != nil {
		return nil, err
	}
	if *l != nil {
		(*l).Drop()
		*l = nil
	}
	next, err := p.Take(ctx, connpool.Want{Use: connpool.Person})
	if err != nil {
		return nil, connectError(err)
	}
	*l = next
	return next.Session(), nil
}

// allowed returns the account's limits if the account may be tried now.
// Otherwise the error says what it waits for.
func (a *account) allowed(ctx context.Context) (*meter.Meter, error) {
	var pause health.Hold
	if row := a.row(); row.PauseClass != class.Manual { // a manual pause does not stop single commands
		pause = health.OfPause(row)
	}
	m, err := a.meter(ctx)
	if err != nil {
		return nil, err
	}
	switch hold, held := a.hold(m, a.addr(), pause); {
	case held && hold.Cause == health.Paused:
		return nil, fault.In(fault.PhaseSignIn, hold.Err())
	case held:
		return nil, fault.In(fault.PhaseConnect, hold.Err())
	}
	return m, nil
}

// connectError adds the phase in which leasing a session failed.
func connectError(err error) error {
	if step := (*connpool.StepError)(nil); errors.As(err, &step) {
		return fault.In(step.Step, step.Err)
	}
	return fault.In(fault.PhaseConnect, err)
}

// pool is an account's connections and where they lead.
type pool struct {
	*connpool.Pool
	endpoint imap.Endpoint
	insecure bool
}

// connPool returns the account's connections. If the account's server is
// reached elsewhere by now, a new pool replaces the old one.
func (a *account) connPool(ctx context.Context) (*connpool.Pool, error) {
	m, err := a.meter(ctx)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	have, row := a.pool, a.latest
	endpoint := loginOf(row).Endpoint()
	if have != nil && have.endpoint == endpoint && have.insecure == row.Insecure {
		a.mu.Unlock()
		return have.Pool, nil
	}
	next := &pool{connpool.New(connpool.Options{
		User: row.User, Account: a, Memory: a, Gate: a.gate, Resend: a.o.resend,
		Connections: m.Connections, Pace: m.Dial, Gone: m.Gone, DialFailed: a.dialFailed, NoConnection: a.noConnection,
		Changed: a.progress.Touch,
		Dial:    func(ctx context.Context) (*imap.Session, error) { return a.dial(ctx, row, m) },
	}), endpoint, row.Insecure}
	a.pool = next
	a.mu.Unlock()
	if have != nil {
		have.Close(ctx)
	}
	return next.Pool, nil
}

// dial opens a connection and records the result in the host's breaker. It
// fails without an attempt while the host backs off.
func (a *account) dial(ctx context.Context, row storage.Account, m *meter.Meter) (*imap.Session, error) {
	to := loginOf(row).Endpoint()
	host := health.HostScope(to.Addr())
	leave, hold, ok := a.health.Enter(time.Now(), host)
	if !ok {
		return nil, hold.Err()
	}
	defer leave()
	s, err := imap.Dial(ctx, to, imap.Options{Limits: a.o.Limits, TLSConfig: a.o.TLSConfig, Insecure: row.Insecure,
		Trace: a.o.Trace, Manners: m.Manners(), Meter: m, Dial: a.o.dialer, Resolver: a.o.resolver, Detours: &a.detours,
		Alert: a.health.Alert})
	if err == nil {
		if err = a.health.RecordSuccess(ctx, host); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return s, nil
	}
	// a certificate is not the host's failure: the host answers
	if f := fault.Classify(fault.In(fault.PhaseConnect, err)); !fault.Stopped(ctx) && f.Do != policy.Pause {
		err = errors.Join(err, a.health.RecordFailure(ctx, host, f, false))
	}
	return nil, err
}

// hold returns what forbids an attempt at the account: its own breaker, the
// breaker of host unless that is "", and the provider's limit.
func (a *account) hold(m *meter.Meter, host string, others ...health.Hold) (health.Hold, bool) {
	now := time.Now()
	return a.health.Hold(now, host, append(others, health.OfLimit(now, m.Resumes()))...)
}

// connections returns the account's connections, or nil before the first dial.
func (a *account) connections() *connpool.Pool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pool == nil {
		return nil
	}
	return a.pool.Pool
}

// retire ends the idle sessions.
func (a *account) retire(ctx context.Context) {
	if p := a.connections(); p != nil {
		p.Retire(ctx)
	}
}

func loginOf(a storage.Account) Login {
	return Login{User: a.User, Host: a.Host, Port: a.Port, Security: imap.Security(a.Security)}
}

// Password returns the account's password, by the reference that the store has
// now.
func (a *account) Password(ctx context.Context) (secret.Secret, error) {
	var row storage.Account
	if err := a.store.Read(ctx, func(r *storage.Reader) (err error) {
		row, err = r.Account(a.id)
		return err
	}); err != nil {
		return secret.Secret{}, err
	}
	return a.setRow(row).password(ctx)
}

// Say publishes a state of the pool.
func (a *account) Say(doing connpool.Doing, note string) { a.showState(progress.State(doing), note) }

// Greeted records the server's name and capabilities.
func (a *account) Greeted(ctx context.Context, s *imap.Session) error {
	m, err := a.meter(ctx)
	if err != nil {
		return err
	}
	fields, err := connpool.Introduce(ctx, s, m.Profile().IDFirst)
	if err != nil {
		return err
	}
	m.Meet(s, fields["name"])
	m.Dialled()
	server, capabilities := strings.TrimSpace(fields["name"]+" "+fields["version"]), strings.Join(s.Capabilities(), " ")
	err = a.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
		if err := tx.SetServer(a.id, server, capabilities); err != nil {
			return err
		}
		return m.SaveTx(tx)
	})
	if err != nil {
		m.Gone()
	}
	failpoint.Hit("engine.signedIn")
	return fault.In(fault.PhaseStore, err)
}

// SignIn returns the sign-in that was not answered.
func (a *account) SignIn(ctx context.Context) (u connpool.Unanswered, err error) {
	err = a.store.Read(ctx, func(r *storage.Reader) error {
		s, err := r.SignInOf(a.id)
		u = connpool.Unanswered{At: s.SentAt, Silent: s.Silent, Dropped: s.Dropped}
		return err
	})
	return u, fault.In(fault.PhaseStore, err)
}

// SetSignIn records a sign-in before it is sent, or its answer.
func (a *account) SetSignIn(ctx context.Context, u connpool.Unanswered) error {
	return fault.In(fault.PhaseStore, a.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
		return tx.PutSignIn(a.id, storage.SignIn{SentAt: u.At, Silent: u.Silent, Dropped: u.Dropped})
	}))
}

// dialFailed handles a failed dial or sign-in of an interactive command.
func (a *account) dialFailed(ctx context.Context, err error) error {
	var held *fault.HeldError
	if errors.As(err, &held) {
		return nil
	}
	m, noMeter := a.meter(ctx)
	if noMeter != nil {
		return noMeter
	}
	return a.commandFailed(ctx, m, fault.Classify(connectError(err)))
}

// noConnection records that work has waited too long for a connection. A paused
// account waits for the user anyway, so nothing is recorded.
func (a *account) noConnection(since time.Time) {
	f := fault.Fault{Verdict: policy.Verdict{Class: class.Network, Scope: "account"}, Phase: fault.PhaseConnect,
		Detail: "no connection for " + time.Since(since).Round(time.Minute).String() + " while there is work"}
	paused := false
	//nolint:errcheck // the faults that led here are recorded
	_ = a.store.Write(context.Background(), storage.Interactive, 0, func(tx *storage.Writer) error {
		row, err := tx.Account(a.id)
		if paused = row.Paused; err != nil || paused {
			return err
		}
		return health.ReportTx(tx, a.health.Place().Row(f))
	})
	if !paused {
		a.progress.Update(a.name(), func(p *AccountProgress) { p.Note = f.Detail })
	}
}
