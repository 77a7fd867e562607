package health

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/storage"
	"mailcote/storage/attempt"
	"mailcote/storage/class"
)

const (
	young    = 2 * time.Minute  // a BYE to a younger session …
	mostByes = 5                // so many times …
	byesIn   = 10 * time.Minute // within this is how some servers say that it is too much

	// MostAlerts is how many different alerts of an account are recorded.
	MostAlerts = 20
)

// Account is the health of one account. Its methods may be called from any goroutine.
type Account struct {
	*Process
	id   storage.AccountID
	name func() string

	mu        sync.Mutex
	byes      []time.Time // when the server said BYE to a young session
	cooldowns map[storage.MailboxID]cooldown
	// when they were recorded, by fingerprint; those of the server's alerts apart
	notices map[bool]map[string]time.Time
}

// cooldown keeps a mailbox from being tried for a while. It is in memory only: a restart tries everything.
type cooldown struct {
	times int       // its tasks failed for good in a row
	until time.Time // on the monotonic clock
}

// NewAccount gives the health of an account whose name may change.
func NewAccount(p *Process, id storage.AccountID, name func() string) *Account {
	return &Account{Process: p, id: id, name: name, cooldowns: map[storage.MailboxID]cooldown{},
		notices: map[bool]map[string]time.Time{}}
}

// Scope names the account's breakers.
func (a *Account) Scope() string { return AccountScope(a.id) }

// Place is the account as the place of a fault.
func (a *Account) Place() Place { return Place{Account: a.id, Name: a.name()} }

// Hold says whether the account may be tried now: its own trouble, that of a host unless that is "", and what the
// caller adds.
func (a *Account) Hold(now time.Time, host string, others ...Hold) (Hold, bool) {
	scopes := []string{a.Scope()}
	if host != "" {
		scopes = append(scopes, HostScope(host))
	}
	failing, _ := a.Held(now, scopes...)
	return append(Holds{failing}, others...).Hold(now)
}

// HoldMailbox says whether a mailbox cools down.
func (a *Account) HoldMailbox(now time.Time, id storage.MailboxID) (Hold, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	h := Hold{What: AMailbox, Cause: Cooling, Class: class.Mailbox, Until: a.cooldowns[id].until}
	return h, h.Until.After(now)
}

// FailedBefore reports whether a mailbox's task failed for good, and its cooldown is over.
func (a *Account) FailedBefore(now time.Time, id storage.MailboxID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.cooldowns[id]
	return c.times > 0 && !now.Before(c.until)
}

// CoolDown puts a mailbox whose task failed for good on a cooldown. Otherwise every pass, one a minute, would try
// it as often as the first did and sign in each time.
func (a *Account) CoolDown(id storage.MailboxID, f fault.Fault) {
	f.Wait = policy.Wait{Floor: max(f.Wait.Floor, time.Minute), Factor: max(f.Wait.Factor, 2),
		Cap: max(f.Wait.Cap, 15*time.Minute)}
	a.mu.Lock()
	defer a.mu.Unlock()
	now, c := time.Now(), a.cooldowns[id]
	if !now.Before(c.until) { // otherwise it is a person's task, and the same failure
		c.times++
	}
	if until := now.Add(a.Delay(f, c.times)); until.After(c.until) {
		c.until = until
	}
	a.cooldowns[id] = c
}

// Clear ends the cooldown of a mailbox that is well or gone.
func (a *Account) Clear(id storage.MailboxID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.cooldowns, id)
}

// ClearAll ends all cooldowns: a person resumes the account, and everything is tried.
func (a *Account) ClearAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.cooldowns)
}

// Cooling is how many mailboxes have a cooldown, also one that is over.
func (a *Account) Cooling() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.cooldowns)
}

// RetryTx notes that a person retries the account, unless that is held: it was less than gap ago.
func (a *Account) RetryTx(tx *storage.Writer, now time.Time, gap time.Duration) (Hold, error) {
	again, err := attempt.RetryTx(tx, a.Scope(), now, gap)
	if err != nil || again.IsZero() {
		return Hold{}, err
	}
	return OfRetry(Row{Until: again}), nil
}

// Attributed gives words that may be about one mailbox to that mailbox, until a second one says them too. The
// only mailbox of an account speaks for it.
func (a *Account) Attributed(ctx context.Context, mailbox storage.MailboxID, f fault.Fault) fault.Fault {
	if f.Words == "" || a.words.Say(time.Now(), a.Scope(), mailbox, f.Words) || a.single(ctx) {
		return f
	}
	f.Verdict = policy.OfMailbox(f.Wait)
	return f
}

// single reports whether the account has at most one mailbox that can be opened. In doubt it has more.
func (a *Account) single(ctx context.Context) bool {
	var all []storage.Mailbox
	err := a.store.Read(context.WithoutCancel(ctx), func(r *storage.Reader) (err error) {
		all, err = r.Mailboxes(a.id)
		return err
	})
	all = slices.DeleteFunc(all, func(m storage.Mailbox) bool { return !m.Selectable })
	return err == nil && len(all) <= 1
}

// Throttled judges a BYE that nobody expected, in a session that was opened at a time: one is a connection that
// ended, but a server that sends several young sessions away wants to be left alone, whatever it says.
func (a *Account) Throttled(f fault.Fault, opened time.Time) fault.Fault {
	var bye *imap.StatusError
	if f.Class != class.Network || f.Phase == fault.PhaseConnect || f.Phase == fault.PhaseSignIn ||
		time.Since(opened) > young ||
		!errors.As(f.Err, &bye) || bye.Type != "BYE" {
		return f
	}
	recent := a.bye()
	warned := slices.ContainsFunc(a.Rows(a.Scope()), func(b Row) bool { return b.Class == class.Quota })
	if recent < mostByes && !warned {
		return f // once warned, and nothing useful done since, one more is enough
	}
	limit := policy.PolicyOf(class.Quota)
	f.Class, f.Scope, f.Do, f.Wait = class.Quota, limit.Scope, limit.Do, limit.Wait
	f.Detail = fmt.Sprintf("%d short sessions in %v: %s", mostByes, byesIn, f.Detail)
	return f
}

// bye notes that the server said BYE to a young session, and gives how often it did so lately.
func (a *Account) bye() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	recent := slices.DeleteFunc(a.byes, func(at time.Time) bool { return now.Sub(at) > byesIn })
	recent = append(recent, now)
	a.byes = recent[max(0, len(recent)-mostByes):]
	return len(recent)
}

// Alert records what the server wants a person to read. A server that has many of them shuts out nothing but alerts.
func (a *Account) Alert(st imap.Status) {
	a.tell(true, fault.Fault{
		Verdict: policy.Verdict{Class: class.Protocol, Scope: "nothing",
			Hint: "the server wants you to read this; mailcote goes on"},
		Phase: "alert", ServerText: st.Type + " [ALERT] " + st.Text, Detail: "the server says: " + st.Text})
}

// Notice records what stops nothing and comes with each pass, once in the time that faults are kept.
func (a *Account) Notice(f fault.Fault) { a.tell(false, f) }

func (a *Account) tell(alert bool, f fault.Fault) {
	row, now := a.Place().Row(f), time.Now()
	a.mu.Lock()
	told := a.notices[alert]
	if told == nil {
		told = map[string]time.Time{}
		a.notices[alert] = told
	}
	maps.DeleteFunc(told, func(_ string, at time.Time) bool { return now.Sub(at) >= storage.FaultAge })
	_, known := told[row.Fingerprint]
	if known = known || alert && len(told) >= MostAlerts; !known {
		told[row.Fingerprint] = now
	}
	a.mu.Unlock()
	if known {
		return
	}
	at := now
	err := a.store.Write(context.Background(), storage.Interactive, 0, func(tx *storage.Writer) error {
		before, err := tx.Faults(now.Add(-storage.FaultAge), 1000)
		if err != nil {
			return err
		}
		// Of an earlier process.
		if i := slices.IndexFunc(before, func(f storage.Fault) bool {
			return f.Fingerprint == row.Fingerprint
		}); i >= 0 {
			at = before[i].At
			return nil
		}
		return ReportTx(tx, row)
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	if told[row.Fingerprint] = at; err != nil { // a store that cannot be written says so everywhere
		delete(told, row.Fingerprint)
	}
}
