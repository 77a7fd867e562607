package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"mailcote/storage"
	"mailcote/storage/tables"
	"mailcote/testkit/failpoint"
)

// Claim takes the account's next visible task, or none. The lease is in the row
// before any work starts.
func (q *Queue) Claim(ctx context.Context, account storage.AccountID) (t Task, ok bool, err error) {
	err = q.store.Write(ctx, storage.Interactive, 0, func(w *storage.Writer) error {
		ok = false
		for !ok {
			id, message, err := q.receiveTx(w, account)
			if err != nil || message == "" {
				return err
			}
			t, err = scanTask(tables.In(w).QueryRow(`UPDATE sync_task
				SET state = 'processing', started_at = ?, generation = generation + 1, next_retry_at = NULL
				WHERE id = ? AND message_id = ? AND state IN ('pending', 'waiting') RETURNING `+taskColumns,
				time.Now().UnixMilli(), id, message))
			switch {
			case errors.Is(err, sql.ErrNoRows): // a message whose task ended: sweep it
				if err := q.dropTx(w, account, message); err != nil {
					return fmt.Errorf("sweep: %w", err)
				}
			case err != nil:
				return fmt.Errorf("claim task: %w", err)
			default:
				ok = true
			}
		}
		return nil
	})
	failpoint.Hit("queue.afterClaim")
	return t, ok, err
}

// leased runs a statement that names id and generation. It answers ErrLeaseLost
// when they no longer fit.
func leased(w *storage.Writer, t Task, statement string, args ...any) error {
	result, err := tables.In(w).Exec(statement+` WHERE id = ? AND generation = ? AND state = 'processing'`,
		append(args, t.ID, t.generation)...)
	if err != nil {
		return fmt.Errorf("task %d: %w", t.ID, err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(fmt.Errorf("task %d: %w", t.ID, ErrLeaseLost), err)
	}
	return nil
}

// ProgressTx writes the checkpoint with the batch that earned it and zeroes the
// retries. The row adds fetched up.
func (q *Queue) ProgressTx(w *storage.Writer, t Task, folder string, last storage.UID, fetched int) error {
	return leased(w, t, `UPDATE sync_task SET retry_count = 0, checkpoint = json_set(checkpoint, '$.lastUid', ?,
		'$.currentFolder', ?,
		'$.totalFetched', coalesce(json_extract(checkpoint, '$.totalFetched'), 0) + ?)`, last, folder, fetched)
}

// CompleteTx ends a task, or puts it back when it was asked for again while it
// ran.
func (q *Queue) CompleteTx(w *storage.Writer, t Task) (again bool, err error) {
	if err := leased(w, t, `UPDATE sync_task SET retry_count = 0`); err != nil {
		return false, err
	}
	if err := tables.In(w).QueryRow(`SELECT again FROM sync_task WHERE id = ?`, t.ID).Scan(&again); err != nil {
		return false, fmt.Errorf("complete task: %w", err)
	}
	if again {
		return true, q.visibleTx(w, t)
	}
	return false, q.endTx(w, t, Completed)
}

// endTx finishes a task and drops its message.
func (q *Queue) endTx(w *storage.Writer, t Task, end State) error {
	if err := leased(w, t, `UPDATE sync_task SET state = ?, completed_at = ?, message_id = NULL, next_retry_at = NULL`,
		string(end), time.Now().UnixMilli()); err != nil {
		return err
	}
	return q.dropTx(w, t.Account, t.messageID)
}

// RetryTx puts a task back to wait until at, which may be now, and notes why.
// The attempt counts as one without progress.
func (q *Queue) RetryTx(w *storage.Writer, t Task, at time.Time, why Failure) error {
	return q.waitTx(w, t, at, why, 1)
}

// DelayTx is RetryTx for an attempt that made progress: it is not counted.
func (q *Queue) DelayTx(w *storage.Writer, t Task, at time.Time, why Failure) error {
	return q.waitTx(w, t, at, why, 0)
}

func (q *Queue) waitTx(w *storage.Writer, t Task, at time.Time, why Failure, counted int) error {
	wait := max(time.Until(at), 0)
	why.Wait = wait.Seconds()
	if err := q.noteTx(w, t, why); err != nil {
		return err
	}
	state, next := Pending, any(nil)
	if wait > 0 {
		state, next = Waiting, at.UnixMilli()
	}
	if err := leased(w, t, `UPDATE sync_task SET retry_count = retry_count + ?, state = ?, next_retry_at = ?,
		generation = generation + 1, again = 0`,
		counted, string(state), next); err != nil {
		return err
	}
	if t.Type != FolderSync {
		return q.delayTx(w, t, wait)
	}
	t.ErrorLog = append(t.ErrorLog[:len(t.ErrorLog):len(t.ErrorLog)], why)
	return q.rearTx(w, t, wait)
}

// ReturnTx gives a task back at a clean stop. It is pending, and the attempt is
// not counted.
func (q *Queue) ReturnTx(w *storage.Writer, t Task) error {
	if err := leased(w, t, `UPDATE sync_task SET again = 0`); err != nil {
		return err
	}
	return q.visibleTx(w, t)
}

// FailTx ends a task as failed and notes why. A task that was asked for again
// while it ran is put back once instead. A failed task can be retried by hand.
func (q *Queue) FailTx(w *storage.Writer, t Task, why Failure) error {
	if err := q.noteTx(w, t, why); err != nil {
		return err
	}
	var again bool
	if err := tables.In(w).QueryRow(`SELECT again FROM sync_task WHERE id = ?`, t.ID).Scan(&again); err != nil {
		return fmt.Errorf("fail task: %w", err)
	}
	if again {
		return q.visibleTx(w, t)
	}
	return q.endTx(w, t, Failed)
}

// noteTx adds a line to the error log and drops the oldest beyond its bound.
func (q *Queue) noteTx(w *storage.Writer, t Task, why Failure) error {
	why.Attempt = t.RetryCount + 1
	log := append(t.ErrorLog[:len(t.ErrorLog):len(t.ErrorLog)], why)
	if len(log) > keptErrors {
		log = log[len(log)-keptErrors:]
	}
	text, err := json.Marshal(log)
	if err != nil {
		return fmt.Errorf("encode error log: %w", err)
	}
	return leased(w, t, `UPDATE sync_task SET error_log = ?`, string(text))
}

// Due says when the account's next task is visible: now or earlier if one is,
// later if all wait, false if there is none.
func Due(r *storage.Reader, account storage.AccountID) (at time.Time, any bool, err error) {
	var next *int64
	err = tables.Of(r).QueryRow(`SELECT min(CASE state WHEN 'pending' THEN 0 ELSE next_retry_at END) FROM sync_task
		WHERE account_id = ? AND state IN ('pending', 'waiting')`, account).Scan(&next)
	if err != nil || next == nil {
		return time.Time{}, false, wrap("find due task", err)
	}
	return time.UnixMilli(*next), true, nil
}

// Unfinished counts the account's tasks that are not finished.
func Unfinished(r *storage.Reader, account storage.AccountID) (n int, err error) {
	err = tables.Of(r).QueryRow(`SELECT count(*) FROM sync_task WHERE account_id = ?
		AND state IN ('pending', 'waiting', 'paused', 'processing')`, account).Scan(&n)
	return n, wrap("count tasks", err)
}

// List gives an account's tasks (0: every account's), at most limit. Unfinished
// ones come first, then the newest.
func List(r *storage.Reader, account storage.AccountID, limit int) ([]Task, error) {
	return list(tables.Of(r).Query(`SELECT `+taskColumns+` FROM sync_task WHERE ? IN (0, account_id)
		ORDER BY completed_at IS NOT NULL, CASE WHEN completed_at IS NULL THEN -priority ELSE -completed_at END, id
		LIMIT ?`, account, limit))
}

// Find gives one task. Errors: storage.ErrNotFound.
func Find(r *storage.Reader, id storage.TaskID) (Task, error) {
	t, err := scanTask(tables.Of(r).QueryRow(`SELECT `+taskColumns+` FROM sync_task WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return t, fmt.Errorf("task %d: %w", id, storage.ErrNotFound)
	}
	return t, err
}

func list(rows *sql.Rows, err error) ([]Task, error) {
	var all []Task
	return all, tables.Each(rows, err, func(rows *sql.Rows) error {
		t, err := scanTask(rows)
		all = append(all, t)
		return err
	})
}
