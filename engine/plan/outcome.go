package plan

import (
	"slices"
	"time"

	"mailcote/engine/fault/policy"
	"mailcote/storage/class"
)

const (
	// Fruitless is how many attempts in a row without progress end a --once
	// run.
	Fruitless = 5
	// OnceWait bounds the waits of a --once run: a single one, and all of them
	// since its last progress.
	OnceWait = 31 * time.Second
)

// Work is what a fault ended.
type Work string

// The kinds of work.
const (
	Discovery   Work = "discovery"   // a task that lists the account's mailboxes
	FolderSync  Work = "folder_sync" // a task that makes one mailbox equal to the server's
	Interactive Work = "interactive" // a command whose user waits for the answer
	NoTask      Work = "no task"     // a worker between two tasks: the store is in trouble
)

// Fault is the part of a fault that decides what follows.
type Fault struct {
	policy.Verdict
	Phase string // one of policy's
	Said  bool   // the server said it in words; otherwise mailcote found it
}

// Situation is what surrounds a fault.
type Situation struct {
	Work Work
	Once bool // the run ends when its tasks do

	// Two counts of two things, both with this attempt. Progress zeroes both.
	// Tries is the task's and is stored: it decides whether the task fails.
	// Streak is the run's, over all its tasks, and ends with it: it decides
	// whether a --once run goes on.
	Tries  int
	Streak int
	Waited time.Duration // by the run, for the account or its host, since its last progress

	Progressed bool // the attempt stored mail, or brought the bisection closer to a message
	Elsewhere  bool // the fault before was another mailbox's
	GaveUp     bool // the bisection found that no message is to blame
	// the mailbox's task failed for good before, and nobody asked for this one
	Probing  bool
	Relisted bool // the mailbox was refused before in this run

	Stopped   bool // the run was asked to stop
	NotTried  bool // nothing was tried: the account or its host backs off
	NoRoom    bool // the store takes no mail now
	NoFiles   bool // the process has no file descriptor left
	NoSession bool // the task ended while it waited for a session: the server has shown nothing

	Now time.Time
	// until when the account or its host backs off, this fault included; zero
	// if it does not
	Until time.Time
	// the wait after so many attempts in a row, 0 after one that progressed;
	// nil: no wait
	Delay func(tries int) time.Duration
}

// Verb is what becomes of a task.
type Verb string

// The queue's verbs that a fault leads to.
const (
	Leave  Verb = ""       // there is no task
	Return Verb = "return" // pending again; the attempt does not count
	Retry  Verb = "retry"  // waits until At; the attempt counts
	Delay  Verb = "delay"  // waits until At; the attempt does not count
	Fail   Verb = "fail"   // failed for good
)

// Consequence is everything that follows from a fault. The caller carries it
// out and decides nothing.
type Consequence struct {
	Task Verb
	// for Retry and Delay: when the task is due; with Rest: until when the
	// account rests
	At     time.Time
	Class  class.Class // the fault's own, or what Verdict.Then made of it
	Record bool        // the fault leaves a row
	Held   bool        // the task waits because its account does
	Last   bool        // the account backs off because of this task: every other mailbox goes first

	// the account backs off, because another task would fare no better; a host
	// backs off by itself, at its dial
	AccountWide bool
	Short       bool // with AccountWide: only for a moment, because the attempt progressed
	Pause       bool // the account waits for a person
	Rest        bool // the provider's limit is used up until At
	Throttle    bool // the account's meter learns from the fault

	Relist   bool // the account's mailboxes are listed again
	Refused  bool // the mailbox was refused: it is relisted once in a run
	CoolDown bool // the mailbox is not tried for a while

	Drop      bool // the session ends
	Retire    bool // the process closes its idle sessions
	AwaitRoom bool // the worker waits until the store takes mail again
	End       bool // the run ends, with this fault as the reason
	Show      bool // the account is shown as waiting until At
}

// BeforeSelect reports whether a fault came before any mailbox was opened. Then
// no mailbox is to blame.
func BeforeSelect(phase string, w Work) bool {
	return w == Discovery || w == NoTask ||
		slices.Contains([]string{policy.PhaseConnect, policy.PhaseSignIn, policy.PhaseDiscover}, phase)
}

// Outcome decides what follows from a fault. What does not depend on Tries and
// Until is the same before they are known: the account backs off first, and
// then Until is known.
func Outcome(f Fault, s Situation) Consequence {
	task := s.Work == Discovery || s.Work == FolderSync
	switch {
	case (s.Stopped || s.NotTried) && task:
		return Consequence{Task: Return}
	case s.Stopped || s.NotTried:
		return Consequence{}
	}
	c := Consequence{Class: f.Class, Record: true, Throttle: !s.NoSession, Retire: s.NoFiles}
	if s.Work == Interactive {
		return interactive(c, f, s)
	}
	c.Drop = drops(f, s)
	if s.NoRoom { // nothing is wrong with the task
		c.Record, c.AwaitRoom = false, true
		// there is room for the store's own check, and not for mail
		c.End = s.Once && s.Streak >= Fruitless
		if task {
			c.Task = Return
		}
		return c
	}
	c.AccountWide, c.Refused = accountWide(f, s), f.Class == class.Mailbox
	c.Short = c.AccountWide && s.Progressed && f.Class != class.Quota
	if !task {
		c.End = true
		return c
	}
	return ofTask(c, f, s)
}

// interactive completes the consequences for an interactive command. The
// command has ended. What it learned is kept for the others.
func interactive(c Consequence, f Fault, s Situation) Consequence {
	dialled := BeforeSelect(f.Phase, Interactive)
	crowded := f.Crowded || f.Connections > 0 // there are sessions, and one of them will be free
	c.Pause = dialled && f.Do == policy.Pause
	switch {
	case !dialled:
		c.AccountWide = f.Class == class.Quota
	case f.Phase != policy.PhaseConnect && !crowded:
		c.AccountWide = f.Do == policy.Retry && f.Class != class.Storage
	}
	if c.Rest = c.AccountWide && f.Class == class.Quota; c.Rest {
		c.At = s.Until
	}
	return c
}

// drops reports whether the worker's session is of no more use. A session that
// has ended goes when it is given back.
func drops(f Fault, s Situation) bool {
	return (f.Class == class.Protocol || f.Class == class.Timeout) && !f.Lives && !(f.Said && s.Probing)
}

// accountWide reports whether a fault is the account's: another task would fare
// no better. Trouble with one mailbox, one message or the store is not the
// account's. A connection that breaks in one mailbox may be the mailbox's
// doing; in a second one it is the connection's. If no connection was made, the
// host backs off, which its dial has noted.
func accountWide(f Fault, s Situation) bool {
	switch {
	case f.Class == class.Storage, f.Do == policy.Pause, f.Phase == policy.PhaseConnect:
		return false
	case f.Class == class.Network && (s.Elsewhere || s.GaveUp), f.Class == class.Quota:
		return true
	}
	return BeforeSelect(f.Phase, s.Work)
}

// ofTask completes the consequences for a task.
func ofTask(c Consequence, f Fault, s Situation) Consequence {
	if f.Then != "" && s.Tries > f.Verdict.Tries {
		f.Class, f.Do = f.Then, policy.PolicyOf(f.Then).Do
		c.Class = f.Class
	}
	switch f.Do {
	case policy.Pause:
		c.Task, c.Pause, c.End = Return, true, true
		return c
	// the mailbox went or moved: a discovery decides, once, and enqueues the
	// rest
	case policy.Relist:
		c.Relist = s.Work == FolderSync && !s.Relisted
		return failed(c, s)
	}
	tries := s.Tries
	if s.Progressed {
		tries = 0
	}
	beforeSelect := BeforeSelect(f.Phase, s.Work)
	// no mailbox is to blame for a rest that our own figures ask for
	planned := f.Class == class.Quota && !f.Said
	c.Last = accountWide(f, s) && !beforeSelect && !s.Progressed && !planned
	c.Held = s.Until.After(s.Now) && (f.Class == class.Quota || beforeSelect)
	c.At = s.Now
	switch {
	case c.Held: // what is not the task's fault ends when the account is tried again
		c.At = s.Until
	case s.Delay != nil && (!beforeSelect || f.Class == class.Storage):
		c.At = s.Now.Add(s.Delay(tries))
	}
	wait := c.At.Sub(s.Now)
	if f.Do == policy.Limit && (tries >= f.Verdict.Tries || tries > 0 && s.Probing || s.Once && wait > OnceWait) {
		return failed(c, s)
	}
	if c.Task = Retry; s.Progressed {
		c.Task = Delay
	}
	if f.Do == policy.Retry {
		c.Rest, c.Show = f.Class == class.Quota, s.Until.IsZero()
		c.End = s.Once && (c.Rest || max(tries, s.Streak) >= Fruitless ||
			s.Waited+max(wait, s.Until.Sub(s.Now)) > OnceWait)
	}
	return c
}

// failed ends a task for good. Without its discovery the account can do
// nothing. Without a folder_sync its mailbox is incomplete. The mailbox cools
// down, unless it is to be relisted first.
func failed(c Consequence, s Situation) Consequence {
	c.Task = Fail
	c.End = s.Work == Discovery
	c.CoolDown = s.Work == FolderSync && !c.Relist
	return c
}
