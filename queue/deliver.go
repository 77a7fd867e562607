package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"maragu.dev/goqite"
	lib "modernc.org/sqlite/lib"

	"mailcote/storage"
	"mailcote/storage/tables"
)

// ErrDelivery says that goqite's table cannot be used: it is missing, has
// another shape or refuses rows. GoDirect does without it.
var ErrDelivery = errors.New("the queue's table cannot be used")

// direct is the message_id of rows that deliver themselves.
const direct = "direct"

// GoDirect makes the rows of sync_task deliver themselves until this process
// ends, in the same order and at the same times. The next StartTx of a process
// that can use goqite's table hands them over to it again.
func (q *Queue) GoDirect(ctx context.Context) error {
	q.direct.Store(true) // before the rows say so: nobody may rely on the table any more
	err := q.store.Write(ctx, storage.Interactive, 0, func(w *storage.Writer) error {
		_, err := tables.In(w).Exec(`UPDATE sync_task SET message_id = ? WHERE message_id IS NOT NULL`, direct)
		return err
	})
	if err != nil {
		q.direct.Store(false)
		return fmt.Errorf("do without the queue's table: %w", err)
	}
	err = q.store.Write(ctx, storage.Interactive, 0, func(w *storage.Writer) error {
		_, err := tables.In(w).Exec(`DELETE FROM goqite`)
		return delivery("clear the queue's table", err)
	})
	if errors.Is(err, ErrDelivery) {
		return nil // it is why we are here; what is left in it names no task any more and is swept
	}
	return err
}

// Direct reports whether the rows deliver themselves.
func (q *Queue) Direct() bool { return q.direct.Load() }

// handOverTx tries goqite's table and makes it hold exactly the tasks that wait
// or run. Some may have delivered themselves in an earlier process.
func (q *Queue) handOverTx(w *storage.Writer) error {
	if q.direct.Load() {
		return nil
	}
	probe, err := q.sendTx(w, 0, 0, 0, 0)
	if err != nil {
		return err
	}
	if err := q.dropTx(w, 0, probe); err != nil {
		return err
	}
	lost, err := list(tables.In(w).Query(`SELECT ` + taskColumns + ` FROM sync_task
		WHERE message_id IS NOT NULL AND message_id NOT IN (SELECT id FROM goqite)`))
	if err != nil {
		return delivery("read the queue's table", err)
	}
	for _, t := range lost {
		message, err := q.sendTx(w, t.Account, t.ID, t.rank(), t.wait())
		if err != nil {
			return err
		}
		if _, err := tables.In(w).Exec(`UPDATE sync_task SET message_id = ? WHERE id = ?`, message, t.ID); err != nil {
			return fmt.Errorf("hand over task %d: %w", t.ID, err)
		}
	}
	_, err = tables.In(w).Exec(`DELETE FROM goqite WHERE NOT EXISTS (SELECT 1 FROM sync_task
		WHERE message_id = goqite.id)`)
	return delivery("sweep the queue's table", err)
}

// sendTx makes a task deliverable after a while and gives the name of its
// message.
func (q *Queue) sendTx(w *storage.Writer, account storage.AccountID, id storage.TaskID, priority int,
	wait time.Duration) (message string, err error) {
	if q.direct.Load() {
		return direct, nil
	}
	m, err := q.of(account).SendAndGetIDTx(context.Background(), tables.In(w).Raw(),
		goqite.Message{Body: []byte(strconv.FormatInt(int64(id), 10)), Priority: priority, Delay: wait})
	return string(m), delivery("send task", err)
}

// receiveTx gives the account's next visible task and its message. Without a
// message there is none.
func (q *Queue) receiveTx(w *storage.Writer, account storage.AccountID) (id storage.TaskID, message string, err error) {
	if q.direct.Load() {
		err := tables.In(w).QueryRow(`SELECT id FROM sync_task WHERE account_id = ? AND message_id = ?
			AND (state = 'pending' OR state = 'waiting' AND next_retry_at <= ?)
			ORDER BY CASE WHEN json_extract(error_log, '$[#-1].last') THEN 0 ELSE priority END DESC,
				CASE WHEN task_type = 'folder_sync' AND error_log <> '[]' THEN started_at ELSE 0 END, id LIMIT 1`,
			account, direct, time.Now().UnixMilli()).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return 0, "", nil
		}
		return id, direct, wrap("receive task", err)
	}
	m, err := q.of(account).ReceiveTx(context.Background(), tables.In(w).Raw())
	if err != nil || m == nil {
		return 0, "", delivery("receive task", err)
	}
	n, err := strconv.ParseInt(string(m.Body), 10, 64)
	if err != nil {
		return 0, "", fmt.Errorf("receive task: body %q: %w", m.Body, err)
	}
	return storage.TaskID(n), string(m.ID), nil
}

// delayTx hides a task for a while. Without goqite, next_retry_at alone does
// that.
func (q *Queue) delayTx(w *storage.Writer, t Task, wait time.Duration) error {
	if q.direct.Load() {
		return nil
	}
	return delivery("delay task", q.of(t.Account).ExtendTx(context.Background(), tables.In(w).Raw(),
		goqite.ID(t.messageID), wait))
}

// rearTx hides a mailbox's task for a while and puts it behind those of other
// mailboxes: behind its equals, or behind all (rank). goqite orders equals by
// age, so the task is sent anew. Without goqite, the order is by when a task
// that failed was begun.
func (q *Queue) rearTx(w *storage.Writer, t Task, wait time.Duration) error {
	if err := q.dropTx(w, t.Account, t.messageID); err != nil {
		return err
	}
	message, err := q.sendTx(w, t.Account, t.ID, t.rank(), wait)
	if err != nil {
		return err
	}
	_, err = tables.In(w).Exec(`UPDATE sync_task SET message_id = ? WHERE id = ?`, message, t.ID)
	return wrap("put task behind others", err)
}

// dropTx forgets a message.
func (q *Queue) dropTx(w *storage.Writer, account storage.AccountID, message string) error {
	if q.direct.Load() {
		return nil
	}
	return delivery("drop message", q.of(account).DeleteTx(context.Background(), tables.In(w).Raw(),
		goqite.ID(message)))
}

// rankTx changes a task's priority, also in goqite's table, for which goqite
// has no call. A paused task has no row there.
func (q *Queue) rankTx(w *storage.Writer, t Task, priority int) error {
	if _, err := tables.In(w).Exec(`UPDATE sync_task SET priority = ? WHERE id = ?`, priority, t.ID); err != nil {
		return fmt.Errorf("rank task: %w", err)
	}
	if q.direct.Load() {
		return nil
	}
	_, err := tables.In(w).Exec(`UPDATE goqite SET priority = ? WHERE id = ?`, priority, t.messageID)
	return delivery("rank task", err)
}

// delivery marks an error that is due to the shape of goqite's table, not to
// the disk or the moment.
func delivery(op string, err error) error {
	var code interface{ Code() int }
	if errors.As(err, &code) {
		switch code.Code() & 0xff {
		case lib.SQLITE_ERROR, lib.SQLITE_CONSTRAINT, lib.SQLITE_MISMATCH, lib.SQLITE_SCHEMA:
			return fmt.Errorf("%s: %w: %w", op, ErrDelivery, err)
		}
	}
	return wrap(op, err)
}
