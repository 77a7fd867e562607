package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
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

// heldBy is the error of an attempt that was not made.
func heldBy(h health.Hold) error {
	return &fault.HeldError{Class: h.Class, Until: h.Until, Why: words(h)}
}

// words says for a person why nothing is tried and until when.
func words(h health.Hold) string {
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

// dial opens a connection, unless its host is not to be tried now, and keeps the host's breaker.
func (a *account) dial(ctx context.Context, row storage.Account, m *meter.Meter) (*imap.Session, error) {
	to := loginOf(row).Endpoint()
	host := hostOf(to)
	leave, hold, ok := a.breakers.Enter(time.Now(), host)
	if !ok {
		return nil, heldBy(hold)
	}
	defer leave()
	s, err := imap.Dial(ctx, to, imap.Options{Limits: a.o.Limits, TLSConfig: a.o.TLSConfig, Insecure: row.Insecure, Trace: a.o.Trace,
		Manners: m.Manners(), Meter: m, Dial: a.o.dialer, Resolver: a.o.resolver, Detours: &a.detours, Alert: a.alert})
	if err == nil {
		if err = a.recordSuccess(ctx, host); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return s, nil
	}
	if f := fault.Classify(in(phaseConnect, err)); !fault.Stopped(ctx) && f.Do != policy.Pause { // a certificate is no fault of this kind: somebody answers
		err = errors.Join(err, a.recordFailure(ctx, host, f, false))
	}
	return nil, err
}

// recordFailure notes a fault of a scope: nothing is tried there before the wait is over. progressed: the attempt got somewhere.
func (s *shared) recordFailure(ctx context.Context, scope string, f Fault, progressed bool) error {
	s.breakers.Fail(time.Now(), scope, f.Class, f.Detail, func(n int) time.Duration {
		if progressed {
			n = 0
		}
		return s.delay(f, n)
	})
	return s.note(ctx, scope)
}

// recordSuccess clears a scope that did something useful.
func (s *shared) recordSuccess(ctx context.Context, scope string) error {
	s.words.Forget(scope)
	if !s.breakers.Succeed(scope) {
		return nil
	}
	return s.note(ctx, scope)
}

// note stores the breakers of scopes that have just changed.
func (s *shared) note(ctx context.Context, scopes ...string) error {
	return in(phaseStore, s.store.Write(context.WithoutCancel(ctx), storage.Interactive, 0, func(tx *storage.Writer) error {
		return s.noteTx(tx, scopes...)
	}))
}

// noteTx writes the breakers of scopes as they are in memory now, not as they were when the write was queued. If a failure and a
// success race, the later write must not store the older state.
func (s *shared) noteTx(tx *storage.Writer, scopes ...string) error {
	for _, scope := range scopes {
		if err := attempt.DropBreakers(tx, scope); err != nil {
			return err
		}
	}
	for _, row := range s.breakers.Rows(scopes...) {
		if err := attempt.PutBreaker(tx, row); err != nil {
			return err
		}
	}
	return nil
}

// cooldown keeps a mailbox from being tried for a while.
type cooldown struct {
	times int       // its tasks failed for good in a row
	until time.Time // on the monotonic clock
}

// coolDown puts a mailbox whose task failed for good on a cooldown. Otherwise every pass, one a minute, would try it as often as the
// first did and sign in each time.
func (a *account) coolDown(id storage.MailboxID, f Fault) {
	f.Wait = policy.Wait{Floor: max(f.Wait.Floor, time.Minute), Factor: max(f.Wait.Factor, 2), Cap: max(f.Wait.Cap, 15*time.Minute)}
	a.mu.Lock()
	defer a.mu.Unlock()
	now, c := time.Now(), a.cooldowns[id]
	if !now.Before(c.until) { // otherwise it is a person's task, and the same failure
		c.times++
	}
	if until := now.Add(a.delay(f, c.times)); until.After(c.until) {
		c.until = until
	}
	a.cooldowns[id] = c
}

// clear ends the cooldown of a mailbox that is well or gone.
func (a *account) clear(id storage.MailboxID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.cooldowns, id)
}

// clearAll ends all cooldowns: a person resumes the account, and everything is tried.
func (a *account) clearAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.cooldowns)
}

func (a *account) cooldown(id storage.MailboxID) cooldown {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cooldowns[id]
}

// cools reports whether this worker leaves a mailbox alone for now. A person's tries everything.
func (w *worker) cools(id storage.MailboxID) bool {
	return !w.once && time.Now().Before(w.account.cooldown(id).until)
}

// probes reports whether a task failed for good before and nobody asks for this one: one try is enough. Discovery makes none before
// the cooldown is over, so one that comes earlier is a person's.
func (w *worker) probes(t queue.Task) bool {
	c := w.account.cooldown(t.Payload.Mailbox)
	return !w.once && t.Type == queue.FolderSync && c.times > 0 && !time.Now().Before(c.until)
}

// delay is the wait after the n-th fault in a row: the backoff, and never less than the fault asks for. What a provider's limit
// asks for is only ever lengthened, by a moment where the time was named; other least waits are spread to both sides.
func (s *shared) delay(f Fault, n int) time.Duration {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	least := s.o.least(f.Wait, n)
	spread := time.Duration(noise * float64(least) * random.Float64())
	switch {
	case f.Class == Quota && f.Named:
		spread = min(spread, 5*time.Second)
	case f.Class != Quota && random.IntN(2) == 0:
		spread = -spread
	}
	return max(s.o.backoff(n, random), least+spread)
}

// hold says what forbids the worker's next task: trouble of the account, a provider's limit, and trouble of the host when the
// last dial came to nothing.
func (w *worker) hold() (h health.Hold, held bool) {
	scopes := []string{w.account.scope()}
	if w.unreached {
		scopes = append(scopes, w.account.host())
	}
	return w.account.held(w.meter, scopes...)
}

// held reports whether scopes, the account's first, or the account's limits forbid an attempt.
func (a *account) held(m *meter.Meter, scopes ...string) (h health.Hold, held bool) {
	now := time.Now()
	h, held = a.breakers.Held(now, scopes...)
	if until := m.Resumes(); until.After(now) && until.After(h.Until) {
		h.Scope, h.Class, h.Detail = scopes[0], Quota, "the provider's limit is used up"
		h.FailedAt, h.Until, h.Probing, held = now, until, false, true
	}
	return h, held
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
			Detail: words(h)}
		return false
	}
	state := progress.Waiting
	if Offline(h.Row) {
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

// throttled judges a BYE that nobody expected: one is a connection that ended, but a server that sends several young sessions
// away wants to be left alone, whatever it says (PROVIDERS §5).
func (w *worker) throttled(f Fault) Fault {
	var bye *imap.StatusError
	s := w.line.Load()
	if f.Class != Network || f.Phase == phaseConnect || f.Phase == phaseSignIn || s == nil || time.Since(s.Opened()) > young ||
		!errors.As(f.Err, &bye) || bye.Type != "BYE" {
		return f
	}
	recent := w.account.bye()
	warned := slices.ContainsFunc(w.e.breakers.Rows(w.account.scope()), func(b health.Row) bool { return b.Class == Quota })
	if recent < mostByes && !warned {
		return f // once warned, and nothing useful done since, one more is enough
	}
	limit := policy.PolicyOf(Quota)
	f.Class, f.Scope, f.Do, f.Wait = Quota, limit.Scope, limit.Do, limit.Wait
	f.Detail = fmt.Sprintf("%d short sessions in %v: %s", mostByes, byesIn, f.Detail)
	return f
}

// bye notes that the server said BYE to a young session, and gives how often it did so lately.
func (a *account) bye() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	recent := slices.DeleteFunc(a.byes, func(at time.Time) bool { return now.Sub(at) > byesIn })
	recent = append(recent, now)
	a.byes = recent[max(0, len(recent)-mostByes):]
	return len(recent)
}

// Holds gives what an account's next attempt has to wait for, its own trouble and its host's, whether the time is over or not.
func Holds(r *storage.Reader, a storage.Account) ([]health.Row, error) {
	all, err := attempt.Breakers(r)
	return slices.DeleteFunc(all, func(b health.Row) bool {
		return b.Class == class.Manual || b.Scope != scopeOf(a.ID) && b.Scope != hostOf(loginOf(a).Endpoint())
	}), err
}

// Offline says whether what holds an account is a network that is away for longer, and not a moment's trouble.
func Offline(b health.Row) bool {
	return b.Until.Sub(b.FailedAt) >= offline && (b.Class == Network || b.Class == Timeout)
}
