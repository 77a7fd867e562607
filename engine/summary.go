package engine

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/plan"
	"mailcote/engine/progress"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/failpoint"
)

// The results of a run.
const (
	Complete = "complete"
	Partial  = "partial"
	Failed   = "failed"
)

// SyncOptions narrow a sync.
type SyncOptions struct {
	Mailboxes []string // decoded names; empty: all
}

// Summary describes how one account's sync ended.
type Summary struct {
	Type        string      `json:"type"` // always "summary"
	Account     string      `json:"account"`
	Mailboxes   int         `json:"mailboxes"`
	Fetched     int64       `json:"fetched"`
	Bytes       int64       `json:"bytes"`
	Quarantined int         `json:"quarantined"`
	Seconds     float64     `json:"seconds"`
	Result      string      `json:"result"`
	Class       class.Class `json:"class,omitempty"` // of the fault that ended it early
	Detail      string      `json:"detail,omitempty"`
	NextStep    string      `json:"next_step,omitempty"`
	Readable    float64     `json:"readable_seconds"` // until all mail was readable; Seconds includes the index
	Wire        int64       `json:"wire_bytes"`       // read from the server, below TLS
	Gone        int64       `json:"gone"`             // messages that the server no longer has
	Flags       int64       `json:"flags"`            // messages whose flags changed there

	Interrupted bool  `json:"-"`
	Refused     bool  `json:"-"` // the server refused the password
	Err         error `json:"-"` // the cause behind Class and Detail

	RetryAt time.Time `json:"-"` // when the account may be tried again; zero: at once, or unknown

	incomplete int  // mailboxes that are not complete
	finished   bool // no task is left, and nothing cut the run short
}

// conclude closes the run and returns its result. It also destroys emails that
// are in no mailbox any more.
func (w *worker) conclude(ctx context.Context) Summary {
	s := Summary{Type: "summary", Account: w.account.name(), Result: Complete, Wire: w.wireBytes}
	failpoint.Hit("engine.beforeConclude")
	err := w.e.store.Write(context.WithoutCancel(ctx), storage.Interactive, 0, func(tx *storage.Writer) error {
		return w.concludeTx(tx, &s, ctx.Err() != nil)
	})
	if err == nil {
		err = w.recordHealth(ctx, s)
	}
	if err != nil {
		f := fault.Classify(fault.In(fault.PhaseStore, err))
		s.Result, s.Class, s.Detail, s.Err = Failed, f.Class, f.Detail, err
		s.NextStep = f.NextStep(w.account.addressee())
	}
	if w.meter != nil && s.Result != Complete {
		if hold, held := w.hold(); held {
			s.RetryAt = hold.Until
		}
	}
	state := map[string]progress.State{Complete: progress.Done, Partial: progress.Partial,
		Failed: progress.Failed}[s.Result]
	w.e.progress.State(w.account.name(), state, s.Detail)
	return s
}

// recordHealth records the run as a success or a failure of the account. A
// finished run is a success. If no mailbox could be synced, the last fault of a
// mailbox counts as the account's.
func (w *worker) recordHealth(ctx context.Context, s Summary) error {
	switch none := s.Mailboxes > 0 && s.incomplete == s.Mailboxes; {
	case s.finished && !none:
		return w.e.health.RecordSuccess(ctx, w.account.scope())
	case none && w.failed == nil && w.streak.fault != nil && ctx.Err() == nil:
		return w.e.health.RecordFailure(ctx, w.account.scope(), *w.streak.fault, false)
	}
	return nil
}

// concludeTx fills the summary from the store and ends the run there.
func (w *worker) concludeTx(tx *storage.Writer, s *Summary, interrupted bool) error {
	*s = Summary{Type: "summary", Account: w.account.name(), Result: Complete, Wire: w.wireBytes}
	mailboxes, err := tx.Mailboxes(w.account.id)
	if err != nil {
		return err
	}
	// a mailbox that was opened before is not part of this run, or its UIDs
	// were not all listed
	skipped, unlisted := false, false
	var uncounted []storage.Mailbox
	for _, m := range mailboxes {
		if !m.Selectable {
			continue
		}
		opened := m.UIDValidity != 0
		switch {
		case !w.wants(m.Path):
			skipped = skipped || opened
			continue
		case !m.Counts():
			uncounted = append(uncounted, m)
			unlisted = unlisted || opened
			continue
		}
		s.Mailboxes++
		if m.Pass.At.IsZero() {
			s.incomplete++
			unlisted = unlisted || opened
		}
		unlisted = unlisted || plan.Excess(m.Pass) > 0 // a message that it counts may be one that moved
	}
	quarantined, err := tx.QuarantineSums(w.account.id, 1)
	if err != nil {
		return err
	}
	for _, q := range quarantined {
		if w.wants(q.Path) && q.Missing {
			s.Quarantined += q.Messages
		}
	}
	run, err := tx.Run(w.run)
	if err != nil {
		return err
	}
	s.Fetched, s.Bytes, s.Gone, s.Flags = run.Fetched, run.Bytes, w.gone, w.flags
	switch {
	case w.failed != nil:
		s.Result, s.Class, s.Detail, s.Err = Failed, w.failed.Class, w.failed.Detail, w.failed.Err
		s.NextStep, s.Refused = w.failed.NextStep(w.account.addressee()), w.failed.Refused()
		if s.Fetched > 0 {
			s.Result = Partial
		}
	case interrupted:
		s.Result, s.Detail = Partial, "interrupted"
	case s.incomplete > 0 || s.Quarantined > 0:
		s.Result = Partial
		s.Detail, s.NextStep = missingText(s.incomplete, s.Quarantined), "mailcote errors says why"
	case w.incomplete != "":
		s.Result, s.Detail, s.NextStep = Partial, w.incomplete, "mailcote errors says why"
	}
	unfinished, err := queue.Unfinished(&tx.Reader, w.account.id)
	if err != nil {
		return err
	}
	if unfinished > 0 && s.Result == Complete {
		s.Result, s.Detail = Partial, fmt.Sprintf("%d tasks are not finished", unfinished)
	}
	if s.Result == Complete && w.only != nil && len(uncounted) > 0 { // somebody asked for it
		s.Result = Partial
		s.Detail, s.NextStep = uncountedText(uncounted[0])
	}
	if s.Result == Complete && w.only != nil && s.Mailboxes < len(w.only) {
		s.Result, s.Detail, s.NextStep = Partial, "the server lists no such mailbox",
			"mailcote status "+w.account.name()+" shows their names"
	}
	result := s.Result
	if interrupted && w.failed == nil {
		result = "interrupted"
	}
	s.finished = w.failed == nil && !interrupted && w.discovered && unfinished == 0
	// otherwise an email may be in a mailbox that was not looked at
	if w.discovered && !interrupted && w.incomplete == "" && !skipped {
		if err := w.destroyOrphans(tx, s.finished && !unlisted); err != nil {
			return err
		}
	}
	if s.finished && w.only == nil { // a preempted pass is not finished
		if err := tx.MarkSuccess(w.account.id, time.Now()); err != nil {
			return err
		}
	}
	return tx.EndRun(w.run, result, s.Detail, s.Mailboxes, s.Quarantined)
}

// destroyOrphans marks emails destroyed that are in no mailbox. all says that
// every mailbox that was once opened was listed. Otherwise an email may have
// moved to one that cannot be opened, so it waits for a day. A task that is due
// has not been tried yet; until then all emails wait.
func (w *worker) destroyOrphans(tx *storage.Writer, all bool) error {
	if all {
		_, err := tx.SettleOrphans(w.account.id)
		return err
	}
	due, any, err := queue.Due(&tx.Reader, w.account.id)
	if err != nil || any && !due.After(time.Now()) {
		return err
	}
	_, err = tx.SettleOldOrphans(w.account.id, w.e.o.wall())
	return err
}

// missingText says what a partial sync lacks.
func missingText(mailboxes, messages int) string {
	var parts []string
	if mailboxes > 0 {
		parts = append(parts, plural(mailboxes, "mailbox is", "mailboxes are")+" not complete")
	}
	if messages > 0 {
		parts = append(parts, plural(messages, "message is", "messages are")+" quarantined")
	}
	return strings.Join(parts, ", ")
}

// uncountedText says why a mailbox that was asked for was not synced, and what
// can be done.
func uncountedText(m storage.Mailbox) (detail, next string) {
	if !m.Synced {
		return m.Path + " is left out of the sync", "mailcote mailbox set --sync on takes it in again"
	}
	return m.Path + " is not readable: " + m.Refused, "ask its owner or the server's operator for the right to read it"
}

// plural returns "1 mailbox" or "12 mailboxes".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
