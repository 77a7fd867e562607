package engine

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mailcote/engine/fault"
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

// Summary is how one account's sync ended.
type Summary struct {
	Type        string      `json:"type"` // summary
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
	Readable    float64     `json:"readable_seconds"` // when all mail was readable; Seconds includes the index
	Wire        int64       `json:"wire_bytes"`       // taken from the server, below TLS

	Interrupted bool  `json:"-"`
	Err         error `json:"-"` // what Class and Detail tell of

	incomplete int  // mailboxes that are not complete
	finished   bool // every task has ended, one way or the other
}

// conclude closes the run: emails that no mailbox holds any more are destroyed for the doors, and the result says
// what is missing.
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
		s.Result, s.Class, s.Detail, s.NextStep, s.Err = Failed, f.Class, f.Detail, f.NextStep(w.account.name()), err
	}
	state := map[string]progress.State{Complete: progress.Done, Partial: progress.Partial,
		Failed: progress.Failed}[s.Result]
	w.e.progress.State(w.account.name(), state, s.Detail)
	return s
}

// recordHealth draws the account's conclusion: a pass that came to its end is a recovery, one in which no mailbox could
// be had is none.
func (w *worker) recordHealth(ctx context.Context, s Summary) error {
	switch none := s.Mailboxes > 0 && s.incomplete == s.Mailboxes; {
	case s.finished && !none:
		return w.e.health.RecordSuccess(ctx, w.account.scope())
	case none && w.failed == nil && w.streak.fault != nil && ctx.Err() == nil:
		return w.e.health.RecordFailure(ctx, w.account.scope(), *w.streak.fault, false)
	}
	return nil
}

func (w *worker) concludeTx(tx *storage.Writer, s *Summary, interrupted bool) error {
	*s = Summary{Type: "summary", Account: w.account.name(), Result: Complete, Wire: w.wireBytes}
	mailboxes, err := tx.Mailboxes(w.account.id)
	if err != nil {
		return err
	}
	apart, awaited := false, false // a mailbox that was open before was left out, or could not be listed
	for _, m := range mailboxes {
		if !m.Selectable {
			continue
		}
		opened := m.UIDValidity != 0
		if !w.wants(m.Path) {
			apart = apart || opened
			continue
		}
		s.Mailboxes++
		if m.Pass.At.IsZero() {
			s.incomplete++
			awaited = awaited || opened
		}
	}
	held, err := tx.QuarantineOf(w.account.id)
	if err != nil {
		return err
	}
	for _, q := range held {
		if w.wants(q.Path) {
			s.Quarantined++
		}
	}
	run, err := tx.Run(w.run)
	if err != nil {
		return err
	}
	s.Fetched, s.Bytes = run.Fetched, run.Bytes
	switch {
	case w.failed != nil:
		s.Result, s.Class, s.Detail, s.NextStep = Failed, w.failed.Class, w.failed.Detail,
			w.failed.NextStep(w.account.name())
		s.Err = w.failed.Err
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
	if s.Result == Complete && w.only != nil && s.Mailboxes < len(w.only) {
		s.Result, s.Detail, s.NextStep = Partial, "the server lists no such mailbox",
			"mailcote status "+w.account.name()+" shows their names"
	}
	result := s.Result
	if interrupted && w.failed == nil {
		result = "interrupted"
	}
	s.finished = w.failed == nil && !interrupted && w.discovered && unfinished == 0
	if w.discovered && !interrupted && w.incomplete == "" && !apart { // otherwise an email may be where nobody looked
		if err := w.destroyOrphans(tx, s.finished && !awaited); err != nil {
			return err
		}
	}
	if s.finished && w.only == nil { // one that made room for a person's has done nothing
		if err := tx.MarkSuccess(w.account.id, time.Now()); err != nil {
			return err
		}
	}
	return tx.EndRun(w.run, result, s.Detail, s.Mailboxes, s.Quarantined)
}

// destroyOrphans destroys, for the doors, the emails that no mailbox holds. all: every mailbox that was open
// before was listed. Otherwise an email may be on its way to one that cannot be opened, and waits for a day at
// most. A task that is due has not been tried: then all of them wait.
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

// missingText names what a partial sync lacks.
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

// plural is "1 mailbox", "12 mailboxes".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
