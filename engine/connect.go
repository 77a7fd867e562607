package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"mailcote/engine/breaker"
	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/line"
	"mailcote/engine/meter"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/attempt"
	"mailcote/testkit/failpoint"
)

// The phases a fault names.
const (
	phaseConnect  = line.StepConnect
	phaseSignIn   = line.StepSignIn
	phaseDiscover = line.StepGreet
	phaseOpen     = "open"
	phaseList     = "list"
	phaseFlags    = "flags"
	phaseFetch    = "fetch"
	phaseStore    = "store"
)

// errDisagrees says that a server's answers contradict each other.
var errDisagrees = errors.New("the server's listing and its message count disagree")

// connect gives the worker's session: the one it has, else one of the account's pool.
func (w *worker) connect(ctx context.Context) (*imap.Session, error) {
	if w.lease != nil && w.lease.Session() != nil && w.lease.Session().Err() == nil {
		return w.lease.Session(), nil
	}
	return w.borrow(ctx, false)
}

// reconnect gives the worker a session that owes nothing to the one it had.
func (w *worker) reconnect(ctx context.Context) (*imap.Session, error) {
	w.leave(ctx)
	return w.borrow(ctx, true)
}

func (w *worker) borrow(ctx context.Context, fresh bool) (*imap.Session, error) {
	w.drop()
	p, err := w.e.lines(ctx, w.account)
	if err != nil {
		return nil, err
	}
	waiting, end := w.waiting(ctx)
	defer end()
	l, err := p.Take(waiting, line.Want{Use: line.Bulk, Fresh: fresh, Asked: w.once})
	if err != nil {
		return nil, unconnected(err)
	}
	w.lease = l
	w.line.Store(l.Session())
	w.e.progress.State(w.account.Name, "syncing", "")
	return l.Session(), nil
}

// person gives a session to somebody who waits for an answer, in place of one that is over. Where a fault has paused the account, or
// it or its host is let be, nothing is tried: to try all the same is for a sync, an account test and the retries by hand.
func (e *Engine) person(ctx context.Context, a storage.Account, l **line.Lease) (*imap.Session, error) {
	if _, err := e.free(ctx, a); err != nil {
		return nil, err
	}
	p, err := e.lines(ctx, a)
	if err != nil {
		return nil, err
	}
	if *l != nil {
		(*l).Drop()
		*l = nil
	}
	next, err := p.Take(ctx, line.Want{Use: line.Person})
	if err != nil {
		return nil, unconnected(err)
	}
	*l = next
	return next.Session(), nil
}

// free gives the limits of an account that may be tried now; else the error says what it waits for.
func (e *Engine) free(ctx context.Context, a storage.Account) (*meter.Meter, error) {
	if a.Paused && a.PauseClass != storage.ByHand {
		return nil, in(phaseSignIn, &heldError{breaker.Hold{Row: breaker.Row{Class: a.PauseClass, Detail: a.PauseReason}}})
	}
	m, err := e.meters.Of(ctx, e.store, a)
	if err != nil {
		return nil, in(phaseStore, err)
	}
	if hold, held := e.held(m, scopeOf(a.ID), hostOf(loginOf(a).Endpoint())); held {
		return nil, in(phaseConnect, &heldError{hold})
	}
	return m, nil
}

// unconnected says where getting a session ended.
func unconnected(err error) error {
	if step := (*line.StepError)(nil); errors.As(err, &step) {
		return in(step.Step, step.Err)
	}
	return in(phaseConnect, err)
}

// yield is called between two commands: it ends the work of one who has to stop, and lets a person have the session where the
// server allows no other. moved: somebody had it, and no mailbox can be taken for open.
func (w *worker) yield(ctx context.Context) (moved bool, err error) {
	if w.until.Err() != nil {
		return false, errStop
	}
	select {
	case <-w.lease.Wanted():
	default: // the usual, and once a mailbox of a listing
		return false, nil
	}
	waiting, end := w.waiting(ctx)
	defer end()
	if moved, err = w.lease.Yield(waiting); err != nil {
		return true, unconnected(err)
	}
	if moved {
		w.line.Store(w.lease.Session())
	}
	return moved, nil
}

// waiting gives a context for waits in the pool: they end as soon as nothing new may be begun, and with the task, which the watchdog
// may end.
func (w *worker) waiting(ctx context.Context) (context.Context, func()) {
	waiting, cancel := context.WithCancelCause(w.until)
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	return waiting, func() {
		stop()
		cancel(nil)
	}
}

// release gives the session back between two tasks.
func (w *worker) release() { w.end((*line.Lease).Give) }

// drop closes the session at once.
func (w *worker) drop() { w.end((*line.Lease).Drop) }

// away ends the work: what nobody will want soon is signed out.
func (w *worker) away(ctx context.Context) {
	w.release()
	if w.once || ctx.Err() != nil {
		w.e.retire(ctx, w.account.ID)
	}
}

// leave ends the session in order, whatever has happened to the worker's context.
func (w *worker) leave(ctx context.Context) { w.end(func(l *line.Lease) { l.Leave(ctx) }) }

func (w *worker) end(how func(*line.Lease)) {
	if w.lease != nil {
		how(w.lease)
		w.wire += w.lease.BytesRead()
		w.lease = nil
	}
}

// pool is an account's connections, and where they lead.
type pool struct {
	*line.Pool
	account  string
	endpoint imap.Endpoint
	insecure bool
}

// lines gives an account's connections. They are new ones when it is reached elsewhere by now.
func (e *Engine) lines(ctx context.Context, a storage.Account) (*line.Pool, error) {
	m, err := e.meters.Of(ctx, e.store, a)
	if err != nil {
		return nil, in(phaseStore, err)
	}
	endpoint := loginOf(a).Endpoint()
	e.mu.Lock()
	have, ok := e.pools[a.ID]
	if ok && have.endpoint == endpoint && have.insecure == a.Insecure {
		e.mu.Unlock()
		return have.Pool, nil
	}
	of := accountLine{e, a.ID, a.Name, m}
	now := line.New(line.Options{
		User: a.User, Account: of, Memory: of, Gate: e.gate, Resend: e.o.resend,
		Connections: m.Connections, Pace: m.Dial, Gone: m.Gone, Vain: of.vain, Low: of.low,
		Dial: func(ctx context.Context) (*imap.Session, error) { return e.dial(ctx, a, m) },
	})
	e.pools[a.ID] = pool{now, a.Name, endpoint, a.Insecure}
	e.mu.Unlock()
	if ok {
		have.Close(ctx)
	}
	return now, nil
}

func loginOf(a storage.Account) Login {
	return Login{User: a.User, Host: a.Host, Port: a.Port, Security: imap.Security(a.Security)}
}

// everyPool runs fn for each pool, side by side.
func (e *Engine) everyPool(fn func(pool)) {
	e.mu.Lock()
	all := make([]pool, 0, len(e.pools))
	for _, p := range e.pools {
		all = append(all, p)
	}
	e.mu.Unlock()
	var done sync.WaitGroup
	for _, p := range all {
		done.Go(func() { fn(p) })
	}
	done.Wait()
}

// retire ends the sessions of an account that nobody uses.
func (e *Engine) retire(ctx context.Context, id storage.AccountID) {
	e.mu.Lock()
	have, ok := e.pools[id]
	e.mu.Unlock()
	if ok {
		have.Retire(ctx)
	}
}

// accountLine is what an account's connections need of the engine; it implements line.Account and line.Memory.
type accountLine struct {
	e     *Engine
	id    storage.AccountID
	name  string
	meter *meter.Meter
}

// Password finds the account's password.
func (l accountLine) Password(ctx context.Context) (secret.Secret, error) {
	var a storage.Account
	if err := l.e.store.Read(ctx, func(r *storage.Reader) (err error) {
		a, err = r.Account(l.id)
		return err
	}); err != nil {
		return secret.Secret{}, err
	}
	return l.e.password(ctx, a)
}

// Say shows a state at the doors.
func (l accountLine) Say(state, note string) { l.e.progress.State(l.name, state, note) }

// Greeted notes what the server calls itself and can do.
func (l accountLine) Greeted(ctx context.Context, s *imap.Session) error {
	fields, err := line.Introduce(ctx, s, l.meter.Profile().IDFirst)
	if err != nil {
		return err
	}
	l.meter.Meet(s, fields["name"])
	l.meter.Dialled()
	server, capabilities := strings.TrimSpace(fields["name"]+" "+fields["version"]), strings.Join(s.Capabilities(), " ")
	err = l.e.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
		if err := tx.SetServer(l.id, server, capabilities); err != nil {
			return err
		}
		return l.meter.SaveTx(tx)
	})
	if err != nil {
		l.meter.Gone()
	}
	failpoint.Hit("engine.signedIn")
	return in(phaseStore, err)
}

// SignIn gives the sign-in that was not answered.
func (l accountLine) SignIn(ctx context.Context) (u line.Unanswered, err error) {
	err = l.e.store.Read(ctx, func(r *storage.Reader) error {
		s, err := attempt.SignInOf(r, l.id)
		u = line.Unanswered{At: s.SentAt, Silent: s.Silent, Dropped: s.Dropped}
		return err
	})
	return u, in(phaseStore, err)
}

// SetSignIn notes it.
func (l accountLine) SetSignIn(ctx context.Context, u line.Unanswered) error {
	return in(phaseStore, l.e.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
		return attempt.PutSignIn(tx, l.id, attempt.SignIn{SentAt: u.At, Silent: u.Silent, Dropped: u.Dropped})
	}))
}

// vain settles a person's dial or sign-in that came to nothing, as the end of a task does a worker's: what it showed of the server's
// limits, how long the account is let be, and whether it waits for a person now.
func (l accountLine) vain(ctx context.Context, err error) error {
	var held *heldError
	if errors.As(err, &held) { // nothing was tried
		return nil
	}
	f := Classify(unconnected(err))
	l.meter.Fault(f.Class, f.ServerText, f.Crowded, f.Connections)
	crowded := f.Crowded || f.Connections > 0 // there are sessions, and one of them comes free
	if f.Do == fault.Retry && f.Class != Storage && f.Phase != phaseConnect && !crowded {
		if err := l.e.letBe(ctx, l.id, l.meter, f); err != nil {
			return err
		}
	}
	return in(phaseStore, l.e.store.Write(context.WithoutCancel(ctx), storage.Interactive, 0, func(tx *storage.Writer) error {
		if err := tx.RecordFault(l.record(f)); err != nil {
			return err
		}
		if f.Do == fault.Pause {
			return tx.PauseAccount(l.id, string(f.Class), f.Detail)
		}
		return l.meter.SaveTx(tx)
	}))
}

// record is the row of a fault that belongs to no task.
func (l accountLine) record(f Fault) storage.Fault {
	return storage.Fault{At: time.Now().UTC(), Account: l.id, Class: string(f.Class), Scope: f.Scope, Phase: f.Phase, Command: f.Command,
		ServerText: f.ServerText, Detail: f.Detail, NextStep: f.NextStep(l.name), Attempt: 1, Stack: f.Stack, Fingerprint: f.fingerprint(l.id, 0)}
}

// low records that work has waited too long for a connection, unless the account waits for a person anyway.
func (l accountLine) low(since time.Time) {
	f := Fault{Class: Network, Scope: "account", Phase: phaseConnect,
		Detail: "no connection for " + time.Since(since).Round(time.Minute).String() + " while there is work"}
	paused := false
	_ = l.e.store.Write(context.Background(), storage.Interactive, 0, func(tx *storage.Writer) error { //nolint:errcheck // the faults that led here are recorded
		a, err := tx.Account(l.id)
		if paused = a.Paused; err != nil || paused {
			return err
		}
		return tx.RecordFault(l.record(f))
	})
	if !paused {
		l.e.progress.Update(l.name, func(a *AccountProgress) { a.Note = f.Detail })
	}
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
