package view

import (
	"time"

	"mailcote/engine/progress"
	"mailcote/ui/format"
)

// State is the state of an account, in one word.
type State string

// The states, in the order in which Of tries them.
const (
	Paused      State = "paused"
	Syncing     State = "syncing"
	Offline     State = "offline"
	Waiting     State = "waiting"
	New         State = "new"
	Interrupted State = "interrupted"
	Failed      State = "failed"
	Partial     State = "partial"
	Late        State = "late"
	OK          State = "ok"
)

// meaning is a row of the table of states: its words and when it applies.
type meaning struct {
	state State
	words string
	holds string
}

// meanings is the one table of states. docs/states.md is written from it.
func meanings() []meaning {
	return []meaning{
		{Paused, "paused", "A person paused the account, or it needs one: a refused password, a wrong certificate."},
		{Syncing, "syncing", "An agent connects, signs in or moves mail, or another command does."},
		{Offline, "offline", "The network or the server has been away for longer. It is tried again by itself."},
		{Waiting, "waiting", "Nothing is tried before a time or a condition: a retry, a provider's limit, room on " +
			"the disk."},
		{New, "not synced yet", "No pass was begun."},
		{Interrupted, "interrupted", "The last pass was stopped before its end. The next one goes on from there."},
		{Failed, "failed", "The last pass failed."},
		{Partial, "incomplete", "The last pass ended, but messages are missing or quarantined, or tasks are left."},
		{Late, "late", "All was well, but the last pass ended more than two intervals ago."},
		{OK, "up to date", "The last pass ended with everything here, less than two intervals ago, and an agent runs."},
	}
}

// Words is the state as people read it.
func (s State) Words() string {
	for _, m := range meanings() {
		if m.state == s {
			return m.words
		}
	}
	return string(s)
}

// Standing is the state of an account, with its cause and its end.
type Standing struct {
	State State
	Cause string
	Until time.Time // the next try; zero: unknown, or none is due
	AsOf  time.Time // no agent answers: the state at that time; zero: the state is current
}

// UpToDate reports whether all mail is here and an agent keeps it so.
func (s Standing) UpToDate() bool { return s.State == OK && s.AsOf.IsZero() }

// Title is the state and its time: "waiting until 03:15:20", "as of 2026-11-30 03:12".
func (s Standing) Title() string {
	switch {
	case s.AsOf.IsZero() && s.Until.IsZero():
		return s.State.Words()
	case s.AsOf.IsZero():
		return s.State.Words() + " until " + s.Until.Local().Format("15:04:05")
	case s.State == OK:
		return "as of " + format.Moment(s.AsOf)
	}
	return s.State.Words() + " (as of " + format.Moment(s.AsOf) + ")"
}

// String is the title with the cause.
func (s Standing) String() string {
	if s.Cause == "" {
		return s.Title()
	}
	return s.Title() + ": " + s.Cause
}

// Facts is all that a state is derived from.
type Facts struct {
	Now time.Time

	PausedFor string // why the account is paused; "": it is not
	Pass      Pass   // the last one
	Stored    int64  // messages
	Remote    int64  // messages the server announced
	Missing   int64  // messages of mailboxes whose last look did not end
	Unsettled int    // mailboxes whose last look did not end
	More      int64  // by how much the server always counts more than it lists, over its mailboxes
	Fewer     int64  // the same for mailboxes where it counts fewer

	Quarantined int
	Unfinished  int // tasks
	Wait        Wait
	NoRoom      string // why no mail can be stored now; "": it can

	Owned    bool           // a process owns the store
	Silent   bool           // that process is an agent which does not answer
	Interval time.Duration  // between two passes of the agent; 0: no agent answers
	Live     progress.State // what the agent does; "": not known
	Note     string         // the agent's words
	Until    time.Time      // the agent's next try
}

// Pass is how a pass ended; the zero value: there was none.
type Pass struct {
	Began  time.Time
	Ended  time.Time // zero: it is under way, or its process was killed
	Result string    // complete, partial, failed or interrupted
	Detail string
}

// Wait is what forbids the next try.
type Wait struct {
	Until   time.Time
	Cause   string
	Offline bool // the network is away for longer
}

// Of derives the state of an account. Every door uses it.
func Of(f Facts) Standing {
	s := f.standing()
	switch {
	case f.Interval > 0, s.State == Paused, s.State == New:
		return s
	case s.State == Syncing && !f.Silent: // another command syncs
		return s
	}
	s.AsOf = f.Pass.Ended
	if s.AsOf.IsZero() {
		s.AsOf = f.Pass.Began
	}
	return s
}

func (f Facts) standing() Standing {
	owned := f.Owned || f.Interval > 0
	switch {
	case f.PausedFor != "":
		return Standing{State: Paused, Cause: f.PausedFor}
	case owned && f.NoRoom != "":
		return Standing{State: Waiting, Cause: f.NoRoom}
	case f.Live.Works():
		return Standing{State: Syncing, Cause: f.orCount(f.Note)}
	case f.Live == progress.Offline:
		return Standing{State: Offline, Cause: f.Note, Until: f.Until}
	case f.Live == progress.Waiting:
		return Standing{State: Waiting, Cause: f.Note, Until: f.Until}
	case f.Wait.Until.After(f.Now) && f.Wait.Offline:
		return Standing{State: Offline, Cause: f.Wait.Cause, Until: f.Wait.Until}
	case f.Wait.Until.After(f.Now):
		return Standing{State: Waiting, Cause: f.Wait.Cause, Until: f.Wait.Until}
	case f.Pass.Began.IsZero():
		return Standing{State: New}
	case f.Pass.Ended.IsZero() && owned:
		return Standing{State: Syncing, Cause: f.orCount("")}
	case f.Pass.Ended.IsZero(), f.Pass.Result == "interrupted":
		return Standing{State: Interrupted, Cause: f.orCount("")}
	case f.Pass.Result == "failed":
		return Standing{State: Failed, Cause: f.Pass.Detail}
	case f.Pass.Result != "complete", f.lacks() != "":
		return Standing{State: Partial, Cause: f.orLack(f.Pass.Detail)}
	case f.Interval > 0 && f.Now.Sub(f.Pass.Ended) >= 2*f.Interval:
		return Standing{State: Late, Cause: "the last pass ended " + format.Moment(f.Pass.Ended)}
	}
	return Standing{State: OK, Cause: f.differs()}
}

// differs says by how much the server always counts more or fewer messages than
// it lists. All that it lists is here.
func (f Facts) differs() string {
	if f.More > 0 && f.Fewer > 0 {
		return excess(f.More) + ", elsewhere " + format.Count(f.Fewer) + " fewer"
	}
	return excess(f.More - f.Fewer)
}

// orCount is words, or how much is here while messages are missing.
func (f Facts) orCount(words string) string {
	if words == "" && f.Missing > 0 {
		return format.Count(f.Stored) + " of " + format.Plural(f.Remote, "message", "messages")
	}
	return words
}

// orLack is what is missing, in numbers, otherwise words.
func (f Facts) orLack(words string) string {
	if lack := f.lacks(); lack != "" {
		return lack
	}
	return words
}

// lacks says what keeps the account from being complete; "" when it is.
func (f Facts) lacks() string {
	switch {
	case f.Quarantined > 0 && f.Missing > 0:
		return f.orCount("") + ", " + quarantined(f.Quarantined)
	case f.Quarantined > 0:
		return quarantined(f.Quarantined)
	case f.Missing > 0:
		return f.orCount("")
	case f.Unsettled > 0:
		return format.Plural(int64(f.Unsettled), "mailbox", "mailboxes") + " not complete"
	case f.Unfinished > 0:
		return format.Plural(int64(f.Unfinished), "task", "tasks") + " to do"
	}
	return ""
}

func quarantined(n int) string { return format.Count(int64(n)) + " quarantined" }
