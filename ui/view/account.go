package view

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"mailcote/engine"
	"mailcote/engine/health"
	"mailcote/engine/progress"
	"mailcote/engine/secret"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/class"
)

// errorsFor is the age of the oldest fault that is counted.
const errorsFor = 24 * time.Hour

// Around is what is known of the processes around a store.
type Around struct {
	Now      time.Time
	Owned    bool               // a process owns the store
	Silent   bool               // that process is an agent which does not answer
	Interval time.Duration      // between two passes of the agent that answers; 0: none does
	Live     []progress.Account // what it says
	NoRoom   string             // why no mail can be stored now; "": it can
}

// Account is one IMAP login.
type Account struct {
	ID          int64
	Name        string
	Standing    Standing
	NextStep    string    // what a person can do; may be empty
	LastSuccess time.Time // end of the last complete pass; zero if never
	Errors      int       // faults of the last 24 hours
	Quarantined int
	Unfinished  int // tasks
	Mailboxes   []Mailbox
	Stored      int64 // messages
	Remote      int64 // messages the server announced
	NextTry     time.Time
	Holds       []health.Row // what fails, and until when it is not tried
	Limits      []storage.RateUse
	Live        *progress.Account // of the agent that answers
}

// Accounts reads every account and where it stands.
func Accounts(r *storage.Reader, around Around) ([]Account, error) {
	accounts, err := r.Accounts()
	if err != nil {
		return nil, err
	}
	faults, err := r.CountFaults(around.Now.Add(-errorsFor))
	if err != nil {
		return nil, err
	}
	all := make([]Account, 0, len(accounts))
	for _, a := range accounts {
		one, err := accountOf(r, a, around)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", a.Name, err)
		}
		one.Errors = faults[a.ID]
		all = append(all, one)
	}
	return all, nil
}

func accountOf(r *storage.Reader, a storage.Account, around Around) (Account, error) {
	one := Account{ID: int64(a.ID), Name: a.Name, LastSuccess: a.LastSuccess}
	facts := Facts{Now: around.Now, Owned: around.Owned, Silent: around.Silent, Interval: around.Interval,
		NoRoom: around.NoRoom}
	if a.Paused {
		facts.PausedFor = pausedFor(a)
	}
	for _, live := range around.Live {
		if live.Account == a.Name {
			one.Live = &live
			facts.Live, facts.Note, facts.Until = live.State, live.Note, live.Until
			facts.Interval = max(facts.Interval, live.Interval)
		}
	}
	if err := one.readMailboxes(r, &facts); err != nil {
		return one, err
	}
	if err := one.readWork(r, a, &facts); err != nil {
		return one, err
	}
	run, err := r.LastRun(a.ID)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return one, err
	}
	if err == nil {
		facts.Pass = Pass{Began: run.StartedAt, Ended: run.EndedAt, Result: run.Result, Detail: run.Detail}
	}
	one.Standing = Of(facts)
	one.NextStep = one.nextStep(a, around.Owned)
	return one, nil
}

// nextStep says what to do about the state of an account; "" when there is
// nothing.
func (one *Account) nextStep(a storage.Account, owned bool) string {
	switch s := one.Standing.State; {
	case s == Paused:
		return Resume(a)
	case s == Failed || s == Partial:
		return "mailcote errors says why"
	case !owned && (s == New || one.Unfinished > 0):
		return "mailcote sync " + ShellWord(a.Name)
	}
	return ""
}

// Resume says how to end the pause of an account.
func Resume(a storage.Account) string {
	if a.PauseClass == class.Manual {
		return "mailcote account resume " + ShellWord(a.Name)
	}
	ref, err := secret.ParseRef(a.SecretRef)
	switch {
	case err != nil || a.PauseClass != class.Auth:
	case ref.Kind == secret.Saved:
		return "give the password: mailcote account add " + ShellWord(engine.AccountURL(a))
	case ref.Kind == secret.File:
		return "correct the password in " + ref.Value + " (an agent notices that by itself), then mailcote sync " +
			ShellWord(a.Name)
	}
	return "correct it, then mailcote sync " + ShellWord(a.Name)
}

// ShellWord writes a name as one word of a shell command.
func ShellWord(name string) string {
	odd := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("@%+=:,./_-", r)
	}
	if name != "" && !strings.ContainsFunc(name, odd) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// pausedFor says why an account is paused; it is never empty.
func pausedFor(a storage.Account) string {
	if a.PauseReason == "" {
		return "until it is resumed"
	}
	return a.PauseReason
}

func (one *Account) readMailboxes(r *storage.Reader, facts *Facts) error {
	mailboxes, err := r.Mailboxes(storage.AccountID(one.ID))
	for _, m := range mailboxes {
		box := MailboxOf(m)
		one.Mailboxes = append(one.Mailboxes, box)
		one.Stored += box.Stored
		one.Remote += box.Total
		facts.More += max(0, box.Excess)
		facts.Fewer += max(0, -box.Excess)
		if m.Counts() && m.Pass.At.IsZero() {
			facts.Unsettled++
			facts.Missing += max(0, m.RemoteTotal-m.Total)
		}
	}
	facts.Stored, facts.Remote = one.Stored, one.Remote
	return err
}

// readWork reads what is left to do and what holds it up.
func (one *Account) readWork(r *storage.Reader, a storage.Account, facts *Facts) error {
	waits, err := engine.Waits(r, a, facts.Now)
	if err != nil {
		return err
	}
	if one.Quarantined, err = r.Quarantined(a.ID); err != nil {
		return err
	}
	if one.Unfinished, err = queue.Unfinished(r, a.ID); err != nil {
		return err
	}
	facts.Quarantined, facts.Unfinished = one.Quarantined, one.Unfinished
	if one.Holds, err = engine.Breakers(r, a); err != nil {
		return err
	}
	if one.Limits, err = r.RateUses(a.Name); err != nil {
		return err
	}
	waits = slices.DeleteFunc(waits, func(h health.Hold) bool { return h.Cause == health.Paused }) // shown apart
	if h, held := waits.Hold(facts.Now); held {
		facts.Wait = Wait{Until: h.Until, Cause: h.Detail}
		facts.Wait.Offline = slices.ContainsFunc(waits, func(h health.Hold) bool {
			return h.Offline() && h.Forbids(facts.Now)
		})
	}
	// Resumes has the time of a limit.
	tries := slices.DeleteFunc(waits, func(h health.Hold) bool { return h.Cause == health.Limited })
	if h, held := tries.Hold(facts.Now); held {
		one.NextTry = h.Until.UTC()
	}
	return nil
}

// Resumes is until when a provider's limit stops the account; zero: it does
// not.
func (one *Account) Resumes() time.Time {
	if len(one.Limits) == 0 {
		return time.Time{}
	}
	return one.Limits[0].Resumes
}
