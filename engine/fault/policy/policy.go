package policy

import (
	"slices"
	"time"

	"mailcote/storage/class"
)

// Action says what is done about a fault.
type Action string

// The actions.
const (
	Pause  Action = "pause"  // the account waits for its user; nothing is tried
	Retry  Action = "retry"  // the task is retried until it succeeds
	Limit  Action = "limit"  // the task fails after a number of attempts without progress
	Relist Action = "relist" // the task fails; the server's mailboxes are listed again, once
)

// Policy says what follows from a class.
type Policy struct {
	Class class.Class
	Scope string // what the fault usually stops
	Do    Action
	Tries int  // for Limit: attempts without progress before the task fails
	Wait  Wait // least wait, in addition to the backoff
	// The next step, for the user. {account} is the account's name and {server}
	// its host and port. {url}, {starttls} and {imaps} are URLs of it, and
	// {set starttls} and {set imaps} are the commands that make it use them.
	Shows string
	Why   string // what is done, for docs/errors.md
}

// Policies returns the policy of every class.
func Policies() []Policy {
	return []Policy{
		{Class: class.Network, Scope: "connection", Do: Retry,
			Shows: "the server could not be reached: check the network if it lasts; the next sync goes on from here",
			Why:   "a new connection; no task of the account starts before the wait is over"},
		{Class: class.Timeout, Scope: "connection", Do: Retry,
			Shows: "the server did not answer in time: the next sync goes on from here",
			Why:   "a new connection; while fetching, a page of half the size"},
		{Class: class.Auth, Scope: "account", Do: Pause,
			Shows: "sign-in was refused and is not tried again: check the password (some providers want an app " +
				"password), then mailcote sync {account}, or give another one: mailcote account add {url}",
			Why: "one attempt, then the account is paused, across restarts too; a sync that a person asks for, " +
				"another password given with account add and a corrected password file are one attempt more each"},
		{Class: class.Quota, Scope: "account", Do: Retry, Wait: Wait{Floor: time.Minute, Factor: 2,
			Cap: 15 * time.Minute},
			Shows: "the provider's limit was reached: it resumes by itself",
			Why:   "no task of the account starts before the wait is over; sync --once ends"},
		{Class: class.Parsing, Scope: "message", Do: Limit, Tries: 5,
			Shows: "the message is set aside and tried again later; everything else arrives",
			Why: "what came is kept, the rest of the page is asked for in halves; what does not come alone, " +
				"without its other items or in parts is quarantined"},
		{Class: class.TLS, Scope: "account", Do: Pause,
			Shows: "nothing was sent: check the host name and its certificate, then mailcote sync {account}",
			Why:   "the account is paused before any password is sent; the certificate is shown"},
		{Class: class.Protocol, Scope: "connection", Do: Limit, Tries: 5,
			Shows: "it is tried again on a new connection",
			Why: "a new connection; while fetching, a page of half the size, at last the message alone, without " +
				"its other items, in parts, then quarantine"},
		{Class: class.Mailbox, Scope: "mailbox", Do: Relist,
			Shows: "the mailbox is looked for again in the next pass",
			Why:   "the account's other mailboxes go on; mail that was stored stays"},
		{Class: class.Conflict, Scope: "operation", Do: Limit, Tries: 5,
			Shows: "it is tried again on a new connection",
			Why:   "the server's state is read again"},
		{Class: class.Storage, Scope: "store", Do: Retry,
			Shows: "the store was reopened and work goes on from what it holds; check the disk if it lasts",
			Why:   "nothing that was not confirmed is taken as stored; work goes on from what the store says"},
		{Class: class.Bug, Scope: "task", Do: Limit, Tries: 3,
			Shows: "this is a defect in mailcote: mailcote errors shows the stack, please report it",
			Why:   "it costs one task; the stack is kept"},
	}
}

// PolicyOf returns the policy of a class. An unknown class gets the policy of a
// bug.
func PolicyOf(c class.Class) Policy {
	all := Policies()
	i := slices.IndexFunc(all, func(p Policy) bool { return p.Class == c })
	if i < 0 {
		i = len(all) - 1
	}
	return all[i]
}

// Wait is the least wait between attempts. It is Floor after the first attempt.
// Each further attempt without progress multiplies it by Factor, up to Cap.
type Wait struct {
	Floor  time.Duration
	Factor int           // 0 or 1: no growth
	Cap    time.Duration // below Floor: no growth
}

// After returns the wait after n fruitless attempts in a row. n < 1 means that
// the attempt made progress.
func (w Wait) After(n int) time.Duration {
	d := w.Floor
	for ; n > 1 && d > 0 && d < w.Cap && w.Factor > 1; n-- {
		d = min(d*time.Duration(w.Factor), w.Cap)
	}
	return d
}

// longer combines two waits into one that is never shorter than either.
func (w Wait) longer(o Wait) Wait {
	return Wait{max(w.Floor, o.Floor), max(w.Factor, o.Factor), max(w.Cap, o.Cap)}
}
