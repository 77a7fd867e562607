package queue

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"maragu.dev/goqite"

	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/storage/tables"
)

const (
	leaseTime = 100 * 365 * 24 * time.Hour // a lease ends by a verb, never by the clock

	longestQuota = 12 * time.Hour // what a quota may have asked for that did not write it down
	longestWait  = time.Hour      // and any other fault
	doubted      = time.Minute    // a wait that a clock set back has made too long

	keptErrors = 20 // lines of a task's error log
)

// Queue is the tasks of one store. Its methods may be called from any
// goroutine, …Tx verbs only inside a storage.Write closure.
type Queue struct {
	bells
	store  *storage.Store
	dead   *sql.DB     // goqite wants a handle; only its …Tx verbs are used, so this one always fails
	direct atomic.Bool // goqite is done without

	mu     sync.Mutex
	byName map[storage.AccountID]*goqite.Queue
}

// New makes the queue of a store.
func New(store *storage.Store) *Queue {
	return &Queue{store: store, dead: sql.OpenDB(noConnector{}), byName: map[storage.AccountID]*goqite.Queue{}}
}

// Close frees what New made.
func (q *Queue) Close() error { return q.dead.Close() }

type noConnector struct{}

func (noConnector) Connect(context.Context) (driver.Conn, error) {
	return nil, errors.New("the queue has no connection of its own")
}
func (noConnector) Driver() driver.Driver { return nil }

// of gives the account's goqite queue. Each account has its own, so that none
// waits behind another's tasks.
func (q *Queue) of(account storage.AccountID) *goqite.Queue {
	q.mu.Lock()
	defer q.mu.Unlock()
	if have := q.byName[account]; have != nil {
		return have
	}
	made := goqite.New(goqite.NewOpts{DB: q.dead, Name: "account-" + strconv.FormatInt(int64(account), 10),
		MaxReceive: math.MaxInt32, Timeout: leaseTime})
	q.byName[account] = made
	return made
}

// NewTask describes a task to enqueue.
type NewTask struct {
	Account  storage.AccountID
	Type     Type
	Priority int // 0: DefaultPriority
	Payload  Payload
	Hurry    bool // a person asks: do not wait for the retry time of an unfinished one, unless a quota set it
}

// EnqueueTx adds a task. If an unfinished task does the same, it raises that
// one's priority instead.
func (q *Queue) EnqueueTx(w *storage.Writer, n NewTask) (id storage.TaskID, created bool, err error) {
	if n.Priority == 0 {
		n.Priority = DefaultPriority
	}
	folder, span := "", ""
	if n.Payload.Mailbox != 0 {
		folder = strconv.FormatInt(int64(n.Payload.Mailbox), 10)
	}
	if n.Payload.StartDate != "" || n.Payload.EndDate != "" {
		span = n.Payload.StartDate + ".." + n.Payload.EndDate
	}
	have, err := scanTask(tables.In(w).QueryRow(`SELECT `+taskColumns+` FROM sync_task
		WHERE account_id = ? AND task_type = ? AND folder = ? AND range = ?
		AND state IN ('pending', 'waiting', 'paused', 'processing')`,
		n.Account, n.Type, folder, span))
	if err == nil {
		return have.ID, false, q.joinTx(w, have, n)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return 0, false, fmt.Errorf("find task: %w", err)
	}
	payload, err := json.Marshal(n.Payload)
	if err != nil {
		return 0, false, fmt.Errorf("encode payload: %w", err)
	}
	if err := tables.In(w).QueryRow(`INSERT INTO sync_task (account_id, task_type, folder, range, state, priority,
		payload, message_id, created_at)
		VALUES (?, ?, ?, ?, 'pending', ?, ?, '', ?) RETURNING id`,
		n.Account, n.Type, folder, span, n.Priority, string(payload), time.Now().UnixMilli()).Scan(&id); err != nil {
		return 0, false, fmt.Errorf("add task: %w", err)
	}
	message, err := q.sendTx(w, n.Account, id, n.Priority, 0)
	if err != nil {
		return 0, false, err
	}
	if _, err := tables.In(w).Exec(`UPDATE sync_task SET message_id = ? WHERE id = ?`, message, id); err != nil {
		return 0, false, fmt.Errorf("add task: %w", err)
	}
	return id, true, nil
}

// joinTx folds a new request into the unfinished task that does the same.
func (q *Queue) joinTx(w *storage.Writer, have Task, n NewTask) error {
	if n.Priority > have.Priority {
		if err := q.rankTx(w, have, n.Priority); err != nil {
			return err
		}
	}
	switch {
	case have.State == Processing:
		_, err := tables.In(w).Exec(`UPDATE sync_task SET again = 1 WHERE id = ?`, have.ID)
		return wrap("run task again", err)
	case have.State == Waiting && n.Hurry && have.last().Class != class.Quota: // a quota's deadline is kept
		return q.hurryTx(w, have)
	}
	return nil
}

// hurryTx makes a waiting task visible now.
func (q *Queue) hurryTx(w *storage.Writer, t Task) error {
	if _, err := tables.In(w).Exec(`UPDATE sync_task SET state = 'pending', next_retry_at = NULL
		WHERE id = ? AND state = 'waiting'`, t.ID); err != nil {
		return fmt.Errorf("hurry task: %w", err)
	}
	return q.delayTx(w, t, 0)
}

// HurryTx makes every waiting task of an account visible now and counts its
// tries anew: it was asked for by hand. Quota deadlines are kept.
func (q *Queue) HurryTx(w *storage.Writer, account storage.AccountID) error {
	tasks, err := list(tables.In(w).Query(`SELECT `+taskColumns+` FROM sync_task
		WHERE account_id = ? AND state IN ('pending', 'waiting')`, account))
	if err != nil {
		return fmt.Errorf("hurry tasks: %w", err)
	}
	for _, t := range tasks {
		if t.State == Waiting && t.last().Class == class.Quota {
			continue
		}
		if t.RetryCount > 0 {
			if _, err := tables.In(w).Exec(`UPDATE sync_task SET retry_count = 0 WHERE id = ?`, t.ID); err != nil {
				return fmt.Errorf("hurry task: %w", err)
			}
		}
		if t.State == Waiting {
			if err := q.hurryTx(w, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// FreeTx makes tasks due that waited only because their account did.
func (q *Queue) FreeTx(w *storage.Writer, account storage.AccountID) error {
	tasks, err := list(tables.In(w).Query(`SELECT `+taskColumns+` FROM sync_task
		WHERE account_id = ? AND state = 'waiting'`, account))
	if err != nil {
		return fmt.Errorf("free tasks: %w", err)
	}
	for _, t := range tasks {
		if t.last().Held {
			if err := q.hurryTx(w, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// StartTx is the first thing an owner of the store does. Tasks that a dead
// process was working on are pending again, without using up a retry. The waits
// of others are rewritten from next_retry_at, never longer than their fault
// asks for. Errors: ErrDelivery when goqite's table cannot be used.
func (q *Queue) StartTx(w *storage.Writer) (released int, err error) {
	if err := q.handOverTx(w); err != nil {
		return 0, err
	}
	return q.releaseTx(w, 0)
}

// ReleaseTx is StartTx for one account. Only the goroutine that owns the
// account may call it, before it claims anything. A worker before it may have
// failed to give its task back, and the clock may have been set.
func (q *Queue) ReleaseTx(w *storage.Writer, account storage.AccountID) (released int, err error) {
	return q.releaseTx(w, account)
}

func (q *Queue) releaseTx(w *storage.Writer, account storage.AccountID) (released int, err error) {
	tasks, err := list(tables.In(w).Query(`SELECT `+taskColumns+` FROM sync_task
		WHERE message_id IS NOT NULL AND state IN ('pending', 'processing', 'waiting') AND ? IN (0, account_id)`,
		account))
	if err != nil {
		return 0, fmt.Errorf("release tasks: %w", err)
	}
	for _, t := range tasks {
		if t.State == Processing {
			err = q.visibleTx(w, t)
			released++
		} else {
			err = q.retimeTx(w, t)
		}
		if err != nil {
			return 0, err
		}
	}
	return released, nil
}

// retimeTx writes again when a task that nobody works on is due: the clock may
// have been set since.
func (q *Queue) retimeTx(w *storage.Writer, t Task) error {
	if t.State == Pending {
		return q.delayTx(w, t, 0)
	}
	wait := t.wait()
	if _, err := tables.In(w).Exec(`UPDATE sync_task SET next_retry_at = min(next_retry_at, ?) WHERE id = ?`,
		time.Now().Add(wait).UnixMilli(), t.ID); err != nil {
		return fmt.Errorf("retime task: %w", err)
	}
	return q.delayTx(w, t, wait)
}

// JumpTx follows a wall clock that was set by jump while tasks wait. When it
// was set back, every wait keeps its length. When it was set forward, what is
// due by the new time is due. Call Notify afterwards, for every account.
func (q *Queue) JumpTx(w *storage.Writer, jump time.Duration) error {
	if jump < 0 {
		if _, err := tables.In(w).Exec(`UPDATE sync_task SET next_retry_at = max(next_retry_at + ?, 0)
			WHERE state IN ('waiting', 'paused') AND next_retry_at IS NOT NULL`,
			jump.Milliseconds()); err != nil {
			return fmt.Errorf("shift waits: %w", err)
		}
	}
	tasks, err := list(tables.In(w).Query(`SELECT ` + taskColumns + ` FROM sync_task
		WHERE message_id IS NOT NULL AND state IN ('pending', 'waiting')`))
	for _, t := range tasks {
		if err == nil {
			err = q.retimeTx(w, t)
		}
	}
	return wrap("follow the clock", err)
}

// visibleTx makes a task pending again and ends the lease of whoever has it.
func (q *Queue) visibleTx(w *storage.Writer, t Task) error {
	if _, err := tables.In(w).Exec(`UPDATE sync_task SET state = 'pending', again = 0, generation = generation + 1,
		next_retry_at = NULL WHERE id = ?`, t.ID); err != nil {
		return fmt.Errorf("give task back: %w", err)
	}
	return q.delayTx(w, t, 0)
}

func wrap(op string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}
