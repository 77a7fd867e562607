package health

import (
	"fmt"
	"time"

	"mailcote/engine/fault"
	"mailcote/storage/class"
)

// What is what waits.
type What string

// What may wait.
const (
	TheAccount What = "account"
	TheHost    What = "host" // and every account on it
	TheStore   What = "store"
	AMailbox   What = "mailbox"
	AMessage   What = "message"
	ARetry     What = "retry" // a person's next one; the work itself goes on
)

// Cause is why it waits.
type Cause string

// The causes.
const (
	Paused     Cause = "paused"     // by a person, or by a fault that needs one
	NoRoom     Cause = "no room"    // the store takes no mail
	NoMemory   Cause = "no memory"  // the process is near its limit
	Failing    Cause = "failing"    // it failed, and backs off
	Limited    Cause = "limited"    // the provider's limit is used up
	Unanswered Cause = "unanswered" // the server did not answer the sign-in
	Retrying   Cause = "retrying"   // every task waits for its next attempt
	Cooling    Cause = "cooling"    // the mailbox's task failed for good
	Withheld   Cause = "withheld"   // the server did not give the message
	Retried    Cause = "retried"    // a person has just retried
)

// Who is who may end a wait before its time.
type Who string

// Who may.
const (
	Nobody Who = "nobody"
	Person Who = "person"
	Forced Who = "person, by force" // queue retry --force
	Itself Who = "itself"           // it ends with its cause, and no time is known
)

// offline is how long a network is away that is called offline. A shorter wait is a moment's trouble; half a
// minute, give or take.
const offline = 20 * time.Second

// Hold is one "not now". The zero Hold forbids nothing.
type Hold struct {
	What    What
	Name    string // of the host, the mailbox or the message
	Cause   Cause
	Class   class.Class // of the fault behind it; "": none
	Detail  string      // that fault, in words
	Since   time.Time
	Until   time.Time       // zero: no time is known
	Probing bool            // its time has come, and somebody else's attempt decides
	Changed <-chan struct{} // closed when it is worth asking again, at Until or before; nil: nothing tells
}

// Forbids reports whether the hold is in force.
func (h Hold) Forbids(now time.Time) bool {
	return h.Cause != "" && (h.Until.IsZero() || h.Until.After(now) || h.Probing)
}

// Hurry says who may end the wait before its time.
func (h Hold) Hurry() Who {
	switch h.Cause {
	case Paused, Cooling, Withheld:
		return Person
	case NoRoom, NoMemory:
		return Itself
	case Failing, Limited, Retrying:
		if h.Class == class.Quota {
			return Forced
		}
		return Person
	}
	return Nobody
}

// Offline reports whether the cause is a network that is away for longer.
func (h Hold) Offline() bool {
	return h.Cause == Failing && Offline(Row{Class: h.Class, FailedAt: h.Since, Until: h.Until})
}

// Offline reports whether a failure is that of a network that is away for longer.
func Offline(b Row) bool {
	return b.Until.Sub(b.FailedAt) >= offline && (b.Class == class.Network || b.Class == class.Timeout)
}

// String says for a person what waits and until when.
func (h Hold) String() string {
	it, why := "it", ""
	if h.Name != "" {
		it = h.Name
	}
	if h.Detail != "" {
		why = " (" + h.Detail + ")"
	}
	switch {
	case h.Cause == Paused:
		return "the account is paused" + why
	case h.Probing:
		return "another account is trying " + it + why
	case h.Until.IsZero():
		return h.Detail
	}
	return fmt.Sprintf("%s is tried again at %s%s", it, h.Until.Local().Format("15:04:05"), why)
}

// Err is the error of an attempt that was not made.
func (h Hold) Err() error { return &fault.HeldError{Class: h.Class, Until: h.Until, Why: h.String()} }

// Holds are all that may forbid an attempt, whether it does now or not.
type Holds []Hold

// Hold gives the one that decides when the account goes on: where no time is known the first, otherwise the one
// that ends last. What concerns a single mailbox, a message or a person's retry holds no account.
func (all Holds) Hold(now time.Time) (h Hold, held bool) {
	var changed <-chan struct{}
	for _, one := range all {
		if !one.Forbids(now) || one.What == AMailbox || one.What == AMessage || one.What == ARetry {
			continue
		}
		if changed == nil {
			changed = one.Changed
		}
		if !held || !h.Until.IsZero() && (one.Until.IsZero() || one.Until.After(h.Until)) {
			h, held = one, true
		}
	}
	if h.Changed == nil {
		h.Changed = changed
	}
	return h, held
}
