package health

import (
	"fmt"
	"time"

	"mailcote/engine/fault"
	"mailcote/storage/class"
)

// What is the thing that waits.
type What string

// The things that may wait.
const (
	TheAccount What = "account"
	TheHost    What = "host" // with every account on it
	TheStore   What = "store"
	AMailbox   What = "mailbox"
	AMessage   What = "message"
	ARetry     What = "retry" // the next one by hand; work goes on meanwhile
)

// Cause is why a thing waits.
type Cause string

// The causes.
const (
	Paused     Cause = "paused"     // by hand, or by a fault that needs a person
	NoRoom     Cause = "no room"    // the store takes no mail
	NoMemory   Cause = "no memory"  // the process is near its memory limit
	Failing    Cause = "failing"    // it failed and backs off
	Limited    Cause = "limited"    // the provider's limit is used up
	Unanswered Cause = "unanswered" // the server did not answer the sign-in
	Retrying   Cause = "retrying"   // every task waits for its next attempt
	Cooling    Cause = "cooling"    // the mailbox's task failed for good
	Withheld   Cause = "withheld"   // the server did not give the message
	Retried    Cause = "retried"    // it was just retried by hand
)

// Who names who may end a wait early.
type Who string

// The possible answers.
const (
	Nobody Who = "nobody"
	Person Who = "person"
	Forced Who = "person, by force" // queue retry --force
	Itself Who = "itself"           // it ends with its cause, at an unknown time
)

// offlineAfter is the wait from which a network counts as offline. It is just
// below the shortest long backoff, which is half a minute give or take. A
// shorter wait is passing trouble.
const offlineAfter = 20 * time.Second

// Hold is one "not now". The zero Hold forbids nothing.
type Hold struct {
	What    What
	Name    string // of the host, mailbox or message
	Cause   Cause
	Class   class.Class // of the fault behind it; "" for none
	Detail  string      // the fault in words
	Since   time.Time
	Until   time.Time // zero if unknown
	Probing bool      // its time has come and another attempt decides
	// closed when it is worth asking again, at Until or before; nil: nothing
	// signals
	Changed <-chan struct{}
}

// Forbids reports whether the hold is in force.
func (h Hold) Forbids(now time.Time) bool {
	return h.Cause != "" && (h.Until.IsZero() || h.Until.After(now) || h.Probing)
}

// Hurry returns who may end the wait early.
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

// Offline reports whether the network has been away for long.
func (h Hold) Offline() bool {
	return h.Cause == Failing && Offline(Row{Class: h.Class, FailedAt: h.Since, Until: h.Until})
}

// Offline reports whether a breaker's failure is a network that has been away
// for long.
func Offline(b Row) bool {
	return b.Until.Sub(b.FailedAt) >= offlineAfter && (b.Class == class.Network || b.Class == class.Timeout)
}

// String tells a person what waits and until when.
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

// Holds are all holds that may forbid an attempt, in force or not.
type Holds []Hold

// Hold returns the hold that decides when the account goes on. A hold without a
// known end wins, the first of them. Otherwise it is the hold that ends last. A
// mailbox, a message or a retry holds no account.
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
