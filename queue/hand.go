package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/storage/tables"
)

// Verb is what is done to a task by hand.
type Verb string

// The verbs. Each applies to tasks in some states only; see Order.
const (
	VerbRetry    Verb = "retry"    // failed, cancelled: pending anew; waiting: due now
	VerbCancel   Verb = "cancel"   // pending, waiting, paused: cancelled
	VerbPause    Verb = "pause"    // pending, waiting: paused
	VerbResume   Verb = "resume"   // paused: pending, or waiting when its time has not come
	VerbPriority Verb = "priority" // unfinished: another place in the queue
)

// Selection says which tasks are meant: the numbered ones, or otherwise every
// one that fits the other fields. Empty fields fit all.
type Selection struct {
	IDs     []storage.TaskID
	Account storage.AccountID
	Mailbox storage.MailboxID
	State   State
	Type    Type
}

// Order is a verb for some tasks. Without task numbers it reaches only the
// tasks that its verb applies to.
type Order struct {
	Verb Verb
	Selection
	Priority int  // VerbPriority: 1–10
	Force    bool // VerbRetry: against a quota's deadline too
}

// Outcome is what became of one task. It is neither Changed nor Refused when it
// already was as asked for.
type Outcome struct {
	Task    Task // as it is now
	Changed bool
	Refused error // ErrQuota, ErrTwin or ErrState, with words for a person; nil: not refused
}

// Why a task was left as it was.
var (
	ErrQuota = errors.New("the server's quota is not over")
	ErrTwin  = errors.New("another unfinished task does the same")
	ErrState = errors.New("not in this state")
)

// ByHand carries out an order in one transaction and wakes the accounts that it
// gave work to. Errors: storage.ErrNotFound when there is no task of a number;
// then nothing was changed.
func (q *Queue) ByHand(ctx context.Context, o Order) (all []Outcome, err error) {
	if err := q.store.Write(ctx, storage.Interactive, 0, func(w *storage.Writer) (err error) {
		all, err = q.ByHandTx(w, o)
		return err
	}); err != nil {
		return nil, err
	}
	for _, one := range all {
		if one.Changed {
			q.Notify(one.Task.Account)
		}
	}
	return all, nil
}

// ByHandTx is ByHand inside a transaction. The caller wakes the accounts
// (Notify) afterwards.
func (q *Queue) ByHandTx(w *storage.Writer, o Order) ([]Outcome, error) {
	if o.Verb == VerbPriority && (o.Priority < 1 || o.Priority > 10) {
		return nil, fmt.Errorf("%s: %d is not between 1 and 10", o.Verb, o.Priority)
	}
	tasks, err := o.tasks(&w.Reader)
	if err != nil {
		return nil, err
	}
	var all []Outcome
	for _, t := range tasks {
		one := Outcome{}
		one.Changed, err = q.obeyTx(w, t, o)
		if errors.Is(err, ErrQuota) || errors.Is(err, ErrTwin) || errors.Is(err, ErrState) {
			one.Changed, one.Refused, err = false, err, nil
		}
		if err == nil {
			one.Task, err = Find(&w.Reader, t.ID)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.Verb, err)
		}
		all = append(all, one)
	}
	return all, nil
}

// tasks finds what an order is about: the numbered tasks in the order given,
// otherwise those that it applies to, the newest first. Of two failed tasks
// that do the same, the newer one is retried.
func (o Order) tasks(r *storage.Reader) ([]Task, error) {
	if len(o.IDs) == 0 {
		all, err := list(tables.Of(r).Query(`SELECT `+taskColumns+` FROM sync_task
			WHERE ? IN (0, account_id) AND ? IN ('', state) AND ? IN ('', task_type) ORDER BY id DESC`,
			o.Account, o.State, o.Type))
		return slices.DeleteFunc(all, func(t Task) bool {
			return !o.Verb.applies(t.State) || o.Mailbox != 0 && o.Mailbox != t.Payload.Mailbox
		}), err
	}
	var all []Task
	for i, id := range o.IDs {
		if slices.Contains(o.IDs[:i], id) {
			continue
		}
		t, err := Find(r, id)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// applies reports whether a verb changes tasks in a state.
func (v Verb) applies(s State) bool {
	switch v {
	case VerbRetry:
		return s == Failed || s == Cancelled || s == Waiting
	case VerbCancel:
		return s == Pending || s == Waiting || s == Paused
	case VerbPause:
		return s == Pending || s == Waiting
	case VerbResume:
		return s == Paused
	case VerbPriority:
		return s == Pending || s == Waiting || s == Paused || s == Processing
	}
	return false
}

// obeyTx carries out an order on one task.
func (q *Queue) obeyTx(w *storage.Writer, t Task, o Order) (changed bool, err error) {
	if !o.Verb.applies(t.State) {
		return false, o.Verb.refusal(t)
	}
	switch o.Verb {
	case VerbRetry:
		if t.State == Waiting {
			return q.sooner(w, t, o.Force)
		}
		return true, q.reviveTx(w, t)
	case VerbCancel:
		return true, q.withdrawTx(w, t, Cancelled)
	case VerbPause:
		return true, q.withdrawTx(w, t, Paused)
	case VerbResume:
		return true, q.resumeTx(w, t)
	}
	if t.Priority == o.Priority {
		return false, nil
	}
	return true, q.rankTx(w, t, o.Priority)
}

// refusal says why a verb does not apply to a task and what does. It is nil
// when the task already is as asked for.
func (v Verb) refusal(t Task) error {
	what := "is " + string(t.State)
	switch {
	case t.State == Processing && v == VerbRetry, t.State == Processing && v == VerbResume,
		t.State == Pending && v != VerbCancel, t.State == Waiting && v == VerbResume,
		t.State == Paused && v == VerbPause, t.State == Cancelled && v == VerbCancel:
		return nil
	case t.State == Processing:
		what = "is being worked on: stop that first"
	case t.State == Paused: // only a retry does not apply
		what += ": resume it"
	case t.State == Failed, t.State == Cancelled:
		what += ": only a retry brings it back"
	case t.State == Completed:
		what += ": the next sync makes a new one if there is more to do"
	}
	return refused(ErrState, "task %d %s", t.ID, what)
}

// refusal is a sentinel in words for the user.
type refusal struct {
	text  string
	cause error
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.cause }

func refused(cause error, format string, args ...any) error {
	return &refusal{fmt.Sprintf(format, args...), cause}
}

// sooner makes a waiting task due now and counts its tries anew.
func (q *Queue) sooner(w *storage.Writer, t Task, force bool) (changed bool, err error) {
	if t.last().Class == class.Quota && time.Now().Before(t.NextRetryAt) && !force {
		return false, refused(ErrQuota, "task %d waits for the server's quota until %s", t.ID,
			t.NextRetryAt.Local().Format("2006-01-02 15:04"))
	}
	if _, err := tables.In(w).Exec(`UPDATE sync_task SET retry_count = 0 WHERE id = ?`, t.ID); err != nil {
		return false, fmt.Errorf("task %d: %w", t.ID, err)
	}
	return true, q.hurryTx(w, t)
}

// reviveTx gives an ended task back as pending and counts its tries anew,
// unless another task does the same by now.
func (q *Queue) reviveTx(w *storage.Writer, t Task) error {
	var twin storage.TaskID
	err := tables.In(w).QueryRow(`SELECT u.id FROM sync_task t JOIN sync_task u
		ON u.account_id = t.account_id AND u.task_type = t.task_type AND u.folder = t.folder AND u.range = t.range
		WHERE t.id = ? AND u.state IN ('pending', 'waiting', 'paused', 'processing')`, t.ID).Scan(&twin)
	if err == nil {
		return refused(ErrTwin, "task %d need not run again: task %d does the same and is not finished", t.ID, twin)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("task %d: %w", t.ID, err)
	}
	message, err := q.sendTx(w, t.Account, t.ID, t.rank(), 0)
	if err != nil {
		return err
	}
	_, err = tables.In(w).Exec(`UPDATE sync_task SET state = 'pending', message_id = ?, completed_at = NULL,
		next_retry_at = NULL, retry_count = 0, again = 0,
		generation = generation + 1 WHERE id = ?`, message, t.ID)
	return wrap("retry task", err)
}

// withdrawTx takes a task that nobody works on out of the queue: paused, or
// cancelled for good. A paused one keeps the time it waits for, so that pause
// and resume are no way around a quota.
func (q *Queue) withdrawTx(w *storage.Writer, t Task, to State) error {
	var ended any
	if to == Cancelled {
		ended, t.NextRetryAt = time.Now().UnixMilli(), time.Time{}
	}
	var next any
	if !t.NextRetryAt.IsZero() {
		next = t.NextRetryAt.UnixMilli()
	}
	if _, err := tables.In(w).Exec(`UPDATE sync_task SET state = ?, message_id = NULL, completed_at = ?,
		next_retry_at = ?, again = 0, generation = generation + 1
		WHERE id = ?`, string(to), ended, next, t.ID); err != nil {
		return fmt.Errorf("task %d: %w", t.ID, err)
	}
	if t.messageID == "" {
		return nil // it was paused
	}
	return q.dropTx(w, t.Account, t.messageID)
}

// resumeTx sends a paused task anew.
func (q *Queue) resumeTx(w *storage.Writer, t Task) error {
	wait := t.wait()
	message, err := q.sendTx(w, t.Account, t.ID, t.rank(), wait)
	if err != nil {
		return err
	}
	state, next := Pending, any(nil)
	if wait > 0 {
		state, next = Waiting, time.Now().Add(wait).UnixMilli()
	}
	_, err = tables.In(w).Exec(`UPDATE sync_task SET state = ?, message_id = ?, next_retry_at = ? WHERE id = ?`,
		string(state), message, next, t.ID)
	return wrap("resume task", err)
}

// DropAccountTx deletes every task of an account. Nobody may work on one.
func (q *Queue) DropAccountTx(w *storage.Writer, account storage.AccountID) error {
	if !q.direct.Load() {
		if _, err := tables.In(w).Exec(`DELETE FROM goqite WHERE id IN (SELECT message_id FROM sync_task
			WHERE account_id = ?)`, account); err != nil {
			return delivery("drop the account's tasks", err)
		}
	}
	if _, err := tables.In(w).Exec(`DELETE FROM sync_task WHERE account_id = ?`, account); err != nil {
		return fmt.Errorf("drop the account's tasks: %w", err)
	}
	return nil
}
