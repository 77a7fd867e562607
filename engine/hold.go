package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/health"
	"mailcote/engine/imap"
	"mailcote/engine/meter"
	"mailcote/engine/progress"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/attempt"
	"mailcote/storage/class"
)

const (
	longPause = 5 * time.Minute  // a longer wait looks again in between
	byHand    = 30 * time.Second // between two retries of a person's that cut a wait short
)

// dial opens a connection, unless its host is not to be tried now, and keeps the host's breaker.
func (a *account) dial(ctx context.Context, row storage.Account, m *meter.Meter) (*imap.Session, error) {
	to := loginOf(row).Endpoint()
	host := health.HostScope(to.Addr())
	leave, hold, ok := a.health.Enter(time.Now(), host)
	if !ok {
		return nil, hold.Err()
	}
	defer leave()
	s, err := imap.Dial(ctx, to, imap.Options{Limits: a.o.Limits, TLSConfig: a.o.TLSConfig, Insecure: row.Insecure, Trace: a.o.Trace,
		Manners: m.Manners(), Meter: m, Dial: a.o.dialer, Resolver: a.o.resolver, Detours: &a.detours, Alert: a.health.Alert})
	if err == nil {
		if err = a.health.RecordSuccess(ctx, host); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return s, nil
	}
	if f := fault.Classify(in(phaseConnect, err)); !fault.Stopped(ctx) && f.Do != policy.Pause { // a certificate is no fault of this kind: somebody answers
		err = errors.Join(err, a.health.RecordFailure(ctx, host, f, false))
	}
	return nil, err
}

// cools reports whether this worker leaves a mailbox alone for now. A person's tries everything.
func (w *worker) cools(id storage.MailboxID) bool {
	_, held := w.account.health.HoldMailbox(time.Now(), id)
	return held && !w.once
}

// probes reports whether a task failed for good before and nobody asks for this one: one try is enough. Discovery makes none before
// the cooldown is over, so one that comes earlier is a person's.
func (w *worker) probes(t queue.Task) bool {
	return !w.once && t.Type == queue.FolderSync && w.account.health.FailedBefore(time.Now(), t.Payload.Mailbox)
}

// hold says what forbids the worker's next task: trouble of the account, a provider's limit, and trouble of the host when the
// last dial came to nothing.
func (w *worker) hold() (health.Hold, bool) {
	host := ""
	if w.unreached {
		host = w.account.addr()
	}
	return w.account.hold(w.meter, host)
}

// hold says what forbids an attempt at the account: its trouble, that of a host unless that is "", and the provider's limit.
func (a *account) hold(m *meter.Meter, host string, others ...health.Hold) (health.Hold, bool) {
	now := time.Now()
	return a.health.Hold(now, host, append(others, health.OfLimit(now, m.Resumes()))...)
}

// sit waits while something forbids the next task, or for news. false: the worker has no time for that.
func (w *worker) sit(ctx context.Context, news listener, h health.Hold) bool {
	if w.yields() {
		return false
	}
	now := time.Now()
	wait := h.Until.Sub(now)
	if h.Probing {
		wait = longPause // until it is over
	} else if w.once && w.streak.waited+wait > onceWait {
		w.failed = &Fault{Verdict: policy.Verdict{Class: h.Class, Scope: "account", Wait: policy.Wait{Floor: wait}},
			Detail: h.String()}
		return false
	}
	state := progress.Waiting
	if h.Offline() {
		state = progress.Offline
	}
	w.e.progress.Update(w.account.name(), func(a *AccountProgress) { a.State, a.Note, a.Until = state, h.Detail, h.Until })
	if wait > longPause { // a longer one keeps no connection
		w.account.retire(ctx)
	}
	news.released = h.Changed
	news.await(ctx, now.Add(min(wait, longPause)))
	w.streak.waited += time.Since(now)
	return true
}

// throttled judges a BYE that nobody expected; see health.Account.Throttled.
func (w *worker) throttled(f Fault) Fault {
	s := w.line.Load()
	if s == nil {
		return f
	}
	return w.account.health.Throttled(f, s.Opened())
}

// Holds gives what an account's next attempt has to wait for, its own trouble and its host's, whether the time is over or not.
func Holds(r *storage.Reader, a storage.Account) ([]health.Row, error) {
	all, err := attempt.Breakers(r)
	return slices.DeleteFunc(all, func(b health.Row) bool {
		return b.Class == class.Manual || b.Scope != health.AccountScope(a.ID) && b.Scope != health.HostScope(loginOf(a).Endpoint().Addr())
	}), err
}

// Waits gives all that an account waits for, as the store says. A process that owns the store adds what it alone knows.
func Waits(r *storage.Reader, a storage.Account, now time.Time) (health.Holds, error) {
	return health.Stored(r, a, loginOf(a).Endpoint().Addr(), now)
}
