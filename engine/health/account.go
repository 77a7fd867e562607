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
	"mailcote/storage/class"
)

const (
	youngSession = 2 * time.Minute  // a session younger than this …
	maxByes      = 5                // … that gets BYE so many times …
	byeWindow    = 10 * time.Minute // … within this has met a server's limit

	// MostAlerts bounds the different alerts that are recorded of an account.
	MostAlerts = 20
)

// Account is the health of one account. Its methods may be called from any
// goroutine.
type Account struct {
	*Process
	id storage.AccountID
	of func() fault.Account

	mu        sync.Mutex
	byes      []time.Time // when young sessions got BYE
	cooldowns map[storage.MailboxID]cooldown
	// by whether it is an alert, then by fingerprint: when it was recorded
	notices map[bool]map[string]time.Time
}

// cooldown keeps a mailbox from being tried for a while. It is only in memory:
// after a restart every mailbox is tried.
type cooldown struct {
	times int       // tasks in a row that failed for good
	until time.Time // on the monotonic clock
}

// NewAccount makes the health of an account. What of returns may change.
func NewAccount(p *Process, id storage.AccountID, of func() fault.Account) *Account {
	return &Account{Process: p, id: id, of: of, cooldowns: map[storage.MailboxID]cooldown{},
		notices: map[bool]map[string]time.Time{}}
}

// Scope names the account's breakers.
func (a *Account) Scope() string { return AccountScope(a.id) }

// Place is the account as the place of a fault.
func (a *Account) Place() Place { return Place{Account: a.id, For: a.of()} }

// Hold reports whether the account may not be tried now, and why. It weighs the
// trouble of the account, that of the host unless host is "", and the holds
// that the caller adds.
func (a *Account) Hold(now time.Time, host string, others ...Hold) (Hold, bool) {
	scopes := []string{a.Scope()}
	if host != "" {
		scopes = append(scopes, HostScope(host))
	}
	failing, _ := a.Held(now, scopes...)
	return append(Holds{failing}, others...).Hold(now)
}

// HoldMailbox reports whether a mailbox cools down.
func (a *Account) HoldMailbox(now time.Time, id storage.MailboxID) (Hold, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	h := Hold{What: AMailbox, Cause: Cooling, Class: class.Mailbox, Until: a.cooldowns[id].until}
	return h, h.Until.After(now)
}

// FailedBefore reports whether a mailbox's task failed for good and its
// cooldown is over.
func (a *Account) FailedBefore(now time.Time, id storage.MailboxID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.cooldowns[id]
	return c.times > 0 && !now.Before(c.until)
}

// CoolDown puts a mailbox whose task failed for good on a cooldown. Otherwise
// every pass, one a minute, would try it as often as the first did and sign in
// each time.
func (a *Account) CoolDown(id storage.MailboxID, f fault.Fault) {
	f.Wait = policy.Wait{Floor: max(f.Wait.Floor, time.Minute), Factor: max(f.Wait.Factor, 2),
		Cap: max(f.Wait.Cap, 15*time.Minute)}
	a.mu.Lock()
	defer a.mu.Unlock()
	now, c := time.Now(), a.cooldowns[id]
	if !now.Before(c.until) { // otherwise it was tried by hand, and this is the same failure
		c.times++
	}
	if until := now.Add(a.Delay(f, c.times)); until.After(c.until) {
		c.until = until
	}
	a.cooldowns[id] = c
}

// Clear ends the cooldown of a mailbox that works again or is gone.
func (a *Account) Clear(id storage.MailboxID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.cooldowns, id)
}

// ClearAll ends all cooldowns. It is called when the account is resumed by
// hand, so that everything is tried.
func (a *Account) ClearAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.cooldowns)
}

// Cooling counts the mailboxes that have a cooldown, including one that is
// over.
func (a *Account) Cooling() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.cooldowns)
}

// RetryTx notes that the account is retried by hand. If the last retry was less
// than gap ago, it notes nothing and returns a Hold.
func (a *Account) RetryTx(tx *storage.Writer, now time.Time, gap time.Duration) (Hold, error) {
	again, err := tx.RequestRetry(a.Scope(), now, gap)
	if err != nil || again.IsZero() {
		return Hold{}, err
	}
	return OfRetry(Row{Until: again}), nil
}

// Attributed gives a fault whose words may be about one mailbox to that
// mailbox, until a second mailbox says the same words. An account's only
// mailbox speaks for the account.
func (a *Account) Attributed(ctx context.Context, mailbox storage.MailboxID, f fault.Fault) fault.Fault {
	if f.Words == "" || a.words.Say(time.Now(), a.Scope(), mailbox, f.Words) || a.hasOneMailbox(ctx) {
		return f
	}
	f.Verdict = policy.OfMailbox(f.Wait)
	return f
}

// hasOneMailbox reports whether at most one mailbox of the account can be
// opened. An error counts as more than one.
func (a *Account) hasOneMailbox(ctx context.Context) bool {
	var all []storage.Mailbox
	err := a.store.Read(context.WithoutCancel(ctx), func(r *storage.Reader) (err error) {
		all, err = r.Mailboxes(a.id)
		return err
	})
	all = slices.DeleteFunc(all, func(m storage.Mailbox) bool { return !m.Counts() })
	return err == nil && len(all) <= 1
}

// Throttled judges an unexpected BYE in a session opened at the given time. One
// BYE is a connection that ended. A server that ends several young sessions
// wants fewer of them, whatever it says.
func (a *Account) Throttled(f fault.Fault, opened time.Time) fault.Fault {
	var bye *imap.StatusError
	if f.Class != class.Network || f.Phase == fault.PhaseConnect || f.Phase == fault.PhaseSignIn ||
		time.Since(opened) > youngSession ||
		!errors.As(f.Err, &bye) || bye.Type != "BYE" {
		return f
	}
	recent := a.countBye()
	warned := slices.ContainsFunc(a.Rows(a.Scope()), func(b Row) bool { return b.Class == class.Quota })
	// After a warning without useful work since, one more is enough.
	if recent < maxByes && !warned {
		return f
	}
	limit := policy.PolicyOf(class.Quota)
	f.Class, f.Scope, f.Do, f.Wait = class.Quota, limit.Scope, limit.Do, limit.Wait
	f.Hint = "" // it was of the class before
	f.Detail = fmt.Sprintf("%d short sessions in %v: %s", maxByes, byeWindow, f.Detail)
	return f
}

// countBye notes that a young session got BYE and counts the recent ones.
func (a *Account) countBye() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	recent := slices.DeleteFunc(a.byes, func(at time.Time) bool { return now.Sub(at) > byeWindow })
	recent = append(recent, now)
	a.byes = recent[max(0, len(recent)-maxByes):]
	return len(recent)
}

// Alert records a text that the server wants people to read. Many alerts
// displace only other alerts.
func (a *Account) Alert(st imap.Status) {
	a.recordOnce(true, fault.Fault{
		Verdict: policy.Verdict{Class: class.Protocol, Scope: "nothing",
			Hint: "the server wants you to read this; mailcote goes on"},
		Phase: "alert", ServerText: st.Type + " [ALERT] " + st.Text, Detail: "the server says: " + st.Text})
}

// Notice records a fault that stops nothing and recurs in each pass. It is
// recorded once in the time that faults are kept.
func (a *Account) Notice(f fault.Fault) { a.recordOnce(false, f) }

func (a *Account) recordOnce(alert bool, f fault.Fault) {
	row, now := a.Place().Row(f), time.Now()
	a.mu.Lock()
	recorded := a.notices[alert]
	if recorded == nil {
		recorded = map[string]time.Time{}
		a.notices[alert] = recorded
	}
	maps.DeleteFunc(recorded, func(_ string, at time.Time) bool { return now.Sub(at) >= storage.FaultAge })
	_, seen := recorded[row.Fingerprint]
	if seen = seen || alert && len(recorded) >= MostAlerts; !seen {
		recorded[row.Fingerprint] = now
	}
	a.mu.Unlock()
	if seen {
		return
	}
	at := now
	err := a.store.Write(context.Background(), storage.Interactive, 0, func(tx *storage.Writer) error {
		before, err := tx.Faults(now.Add(-storage.FaultAge), 1000)
		if err != nil {
			return err
		}
		// an earlier process may have recorded it
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
	if recorded[row.Fingerprint] = at; err != nil { // a store that cannot be written is reported elsewhere
		delete(recorded, row.Fingerprint)
	}
}
