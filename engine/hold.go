package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailcote/engine/breaker"
	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/meter"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/attempt"
)

const (
	longPause = 5 * time.Minute  // a longer wait looks again in between
	offline   = 20 * time.Second // a wait from this on is called offline, not waiting: half a minute, give or take
	byHand    = 30 * time.Second // between two retries of a person's that cut a wait short
	noise     = 0.2              // of a least wait, so that accounts do not come back together

	young    = 2 * time.Minute  // a BYE to a younger session …
	mostByes = 5                // so many times …
	byesIn   = 10 * time.Minute // within this is how some servers say that it is too much
)

// scopeOf names an account's breakers.
func scopeOf(id storage.AccountID) string { return "account:" + strconv.FormatInt(int64(id), 10) }

// hostOf names a host's breakers. Each port is a service of its own.
func hostOf(e imap.Endpoint) string { return "host:" + strings.ToLower(e.Addr()) }

// heldError says that nothing was tried, because the account or its host is being let be. Until is zero: a person has to act.
type heldError struct{ breaker.Hold }

func (e *heldError) Error() string { return "nothing was tried: " + words(e.Hold) }

// words says for a person why nothing is tried and until when.
func words(h breaker.Hold) string {
	if h.Until.IsZero() {
		return fmt.Sprintf("the account is paused (%s)", h.Detail)
	}
	of := "it"
	if host, ok := strings.CutPrefix(h.Scope, "host:"); ok {
		of = host
	}
	if h.Probing {
		return fmt.Sprintf("another account is trying %s (%s)", of, h.Detail)
	}
	return fmt.Sprintf("%s is tried again at %s (%s)", of, h.Until.Local().Format("15:04:05"), h.Detail)
}

// dial opens a connection, unless its host is being let be, and keeps the host's breaker.
func (e *Engine) dial(ctx context.Context, a storage.Account, m *meter.Meter) (*imap.Session, error) {
	to := loginOf(a).Endpoint()
	host := hostOf(to)
	leave, hold, ok := e.breakers.Enter(time.Now(), host)
	if !ok {
		return nil, &heldError{hold}
	}
	defer leave()
	s, err := imap.Dial(ctx, to, imap.Options{Limits: e.o.Limits, TLSConfig: e.o.TLSConfig, Insecure: a.Insecure, Trace: e.o.Trace,
		Manners: m.Manners(), Meter: m, Dial: e.o.dialer, Resolver: e.o.resolver, Detours: &e.detours, Alert: accountLine{e, a.ID, a.Name, m}.alert})
	if err == nil {
		if err = e.absolve(ctx, host); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return s, nil
	}
	if f := Classify(in(phaseConnect, err)); !stopped(ctx) && f.Do != fault.Pause { // a certificate is no fault of this kind: somebody answers
		err = errors.Join(err, e.blame(ctx, host, f, false))
	}
	return nil, err
}

// blame notes a fault of a scope: nothing is tried there before the wait is over. further: the attempt got somewhere.
func (e *Engine) blame(ctx context.Context, scope string, f Fault, further bool) error {
	e.breakers.Fail(time.Now(), scope, string(f.Class), f.Detail, func(n int) time.Duration {
		if further {
			n = 0
		}
		return e.delay(f, n)
	})
	return e.note(ctx, scope)
}

// absolve clears a scope that did something useful.
func (e *Engine) absolve(ctx context.Context, scope string) error {
	e.words.Forget(scope)
	if !e.breakers.Succeed(scope) {
		return nil
	}
	return e.note(ctx, scope)
}

// note stores the breakers of scopes that have just changed.
func (e *Engine) note(ctx context.Context, scopes ...string) error {
	return in(phaseStore, e.store.Write(context.WithoutCancel(ctx), storage.Interactive, 0, func(tx *storage.Writer) error { return e.noteTx(tx, scopes...) }))
}

// noteTx makes the rows of scopes what memory says in this moment, and not when the write was asked for: of a failure and a success
// at the same time the later write would else store what is over.
func (e *Engine) noteTx(tx *storage.Writer, scopes ...string) error {
	for _, scope := range scopes {
		if err := attempt.DropBreakers(tx, scope); err != nil {
			return err
		}
	}
	for _, row := range e.breakers.Rows(scopes...) {
		if err := attempt.PutBreaker(tx, row); err != nil {
			return err
		}
	}
	return nil
}

// shunned is a mailbox that is let be for a while.
type shunned struct {
	account storage.AccountID
	times   int       // its tasks were given up in a row
	until   time.Time // on the monotonic clock
}

// shun lets a mailbox be whose task was given up. Its account is well, so a pass comes each minute, and each would have as many
// tries, every one of them with a sign-in, as the first.
func (w *worker) shun(id storage.MailboxID, f Fault) {
	f.Wait = fault.Wait{Floor: max(f.Wait.Floor, time.Minute), Factor: max(f.Wait.Factor, 2), Cap: max(f.Wait.Cap, 15*time.Minute)}
	w.e.mu.Lock()
	defer w.e.mu.Unlock()
	now, s := time.Now(), w.e.shunned[id]
	if !now.Before(s.until) { // else a person's, and the same failure
		s.times++
	}
	if until := now.Add(w.e.delay(f, s.times)); until.After(s.until) {
		s.until = until
	}
	s.account = w.account.ID
	w.e.shunned[id] = s
}

// forgive ends what shun began, for a mailbox that is well or gone.
func (e *Engine) forgive(id storage.MailboxID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.shunned, id)
}

// forgiveAll does so for an account that a person resumes: everything is tried.
func (e *Engine) forgiveAll(id storage.AccountID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.shunned, func(_ storage.MailboxID, s shunned) bool { return s.account == id })
}

// shuns says whether this worker lets a mailbox be for now. A person's tries everything.
func (w *worker) shuns(id storage.MailboxID) bool {
	w.e.mu.Lock()
	defer w.e.mu.Unlock()
	return !w.once && time.Now().Before(w.e.shunned[id].until)
}

// probes says whether a task was given up before and nobody asks for this one: one try is enough. Discovery makes none before the
// time has come, so that one is a person's.
func (w *worker) probes(t queue.Task) bool {
	w.e.mu.Lock()
	defer w.e.mu.Unlock()
	s := w.e.shunned[t.Payload.Mailbox]
	return !w.once && t.Type == queue.FolderSync && s.times > 0 && !time.Now().Before(s.until)
}

// delay is the wait after the n-th fault in a row: the backoff, and never less than the fault asks for. What a provider's limit
// asks for is only ever lengthened, by a moment where the time was named; other least waits are spread to both sides.
func (e *Engine) delay(f Fault, n int) time.Duration {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	least := e.o.least(f.Wait, n)
	spread := time.Duration(noise * float64(least) * random.Float64())
	switch {
	case f.Class == Quota && f.Named:
		spread = min(spread, 5*time.Second)
	case f.Class != Quota && random.IntN(2) == 0:
		spread = -spread
	}
	return max(e.o.backoff(n, random), least+spread)
}

// hold says what forbids the worker's next task: trouble of the account, a provider's limit, and trouble of the host when the
// last dial came to nothing.
func (w *worker) hold() (h breaker.Hold, held bool) {
	scopes := []string{scopeOf(w.account.ID)}
	if w.unreached {
		scopes = append(scopes, hostOf(loginOf(w.account).Endpoint()))
	}
	return w.e.held(w.meter, scopes...)
}

// held says whether scopes, the account's first, or the account's limits forbid an attempt.
func (e *Engine) held(m *meter.Meter, scopes ...string) (h breaker.Hold, held bool) {
	now := time.Now()
	h, held = e.breakers.Held(now, scopes...)
	if until := m.Resumes(); until.After(now) && until.After(h.Until) {
		h.Scope, h.Class, h.Detail = scopes[0], string(Quota), "the provider's limit is used up"
		h.FailedAt, h.Until, h.Probing, held = now, until, false, true
	}
	return h, held
}

// sit waits while something forbids the next task. false: the worker has no time for that.
func (w *worker) sit(ctx context.Context, h breaker.Hold) bool {
	if w.yields() {
		return false
	}
	now := time.Now()
	wait := h.Until.Sub(now)
	if h.Probing {
		wait = longPause // until it is over
	} else if w.once && w.drought.waited+wait > onceWait {
		w.failed = &Fault{Class: Class(h.Class), Scope: "account", Detail: words(h), Wait: fault.Wait{Floor: wait}}
		return false
	}
	state := "waiting"
	if Offline(h.Row) {
		state = "offline"
	}
	w.e.progress.Update(w.account.Name, func(a *AccountProgress) { a.State, a.Note, a.Until = state, h.Detail, h.Until })
	if wait > longPause { // a longer one keeps no connection
		w.e.retire(ctx, w.account.ID)
	}
	w.pause(ctx, min(wait, longPause), h.Changed)
	w.drought.waited += time.Since(now)
	return true
}

// letBe lets an account be after a fault that a person's command met, and rest after a quota.
func (e *Engine) letBe(ctx context.Context, id storage.AccountID, m *meter.Meter, f Fault) error {
	if err := e.blame(ctx, scopeOf(id), f, false); err != nil || f.Class != Quota {
		return err
	}
	hold, _ := e.held(m, scopeOf(id))
	m.Rest(hold.Until)
	return in(phaseStore, e.store.Write(context.WithoutCancel(ctx), storage.Interactive, 0, m.SaveTx))
}

// throttled judges a BYE that nobody expected: one is a connection that ended, but a server that sends several young sessions
// away wants to be left alone, whatever it says (PROVIDERS §5).
func (w *worker) throttled(f Fault) Fault {
	var bye *imap.StatusError
	s := w.line.Load()
	if f.Class != Network || f.Phase == phaseConnect || f.Phase == phaseSignIn || s == nil || time.Since(s.Opened()) > young ||
		!errors.As(f.Err, &bye) || bye.Type != "BYE" {
		return f
	}
	w.e.mu.Lock()
	defer w.e.mu.Unlock()
	now := time.Now()
	recent := slices.DeleteFunc(w.e.byes[w.account.ID], func(at time.Time) bool { return now.Sub(at) > byesIn })
	recent = append(recent, now)
	w.e.byes[w.account.ID] = recent[max(0, len(recent)-mostByes):]
	if warned := slices.ContainsFunc(w.e.breakers.Rows(scopeOf(w.account.ID)), func(b breaker.Row) bool { return b.Class == string(Quota) }); len(recent) < mostByes && !warned {
		return f // once warned, and nothing useful done since, one more is enough
	}
	limit := fault.PolicyOf(Quota)
	f.Class, f.Scope, f.Do, f.Wait = Quota, limit.Scope, limit.Do, limit.Wait
	f.Detail = fmt.Sprintf("%d short sessions in %v: %s", mostByes, byesIn, f.Detail)
	return f
}

// Holds gives what an account's next attempt has to wait for, its own trouble and its host's, whether the time is over or not.
func Holds(r *storage.Reader, a storage.Account) ([]breaker.Row, error) {
	all, err := attempt.Breakers(r)
	return slices.DeleteFunc(all, func(b breaker.Row) bool {
		return b.Class == attempt.ByHand || b.Scope != scopeOf(a.ID) && b.Scope != hostOf(loginOf(a).Endpoint())
	}), err
}

// Offline says whether what holds an account is a network that is away for longer, and not a moment's trouble.
func Offline(b breaker.Row) bool {
	return b.Until.Sub(b.FailedAt) >= offline && (b.Class == string(Network) || b.Class == string(Timeout))
}
