package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"mailcote/storage"
	"mailcote/storage/class"
)

// Type says what a task does.
type Type string

// The task types of today.
const (
	InitialSync     Type = "initial_sync"     // discover the mailboxes of an account, sync each
	FolderSync      Type = "folder_sync"      // bring one mailbox to the server's state
	IncrementalSync Type = "incremental_sync" // discover, sync what moved
)

// State is where a task stands.
type State string

// The states. Pending, Waiting, Paused and Processing are unfinished.
const (
	Pending    State = "pending"
	Waiting    State = "waiting" // until next_retry_at
	Paused     State = "paused"
	Processing State = "processing"
	Completed  State = "completed"
	Failed     State = "failed"
	Cancelled  State = "cancelled"
)

// DefaultPriority is that of a task that nobody asked for by hand.
const DefaultPriority = 5

// ErrLeaseLost says that the task was taken back or given to another worker.
// Nothing was changed.
var ErrLeaseLost = errors.New("the task is no longer this worker's")

// Payload is what a task is to do.
type Payload struct {
	Folder    string            `json:"folder,omitempty"` // decoded name, for people
	Mailbox   storage.MailboxID `json:"mailbox,omitempty"`
	StartDate string            `json:"startDate,omitempty"` // RFC 3339 date, inclusive
	EndDate   string            `json:"endDate,omitempty"`   // RFC 3339 date, exclusive
	PageSize  int               `json:"pageSize,omitempty"`
	Limit     int               `json:"limit,omitempty"`
}

// Checkpoint shows how far a task got. It is written with the coverage. No
// decision reads it.
type Checkpoint struct {
	LastUID       storage.UID `json:"lastUid,omitempty"`
	TotalFetched  int64       `json:"totalFetched"`
	CurrentFolder string      `json:"currentFolder,omitempty"`
}

// Failure is one line of a task's error log.
type Failure struct {
	At      time.Time   `json:"at"`
	Class   class.Class `json:"class"`
	Message string      `json:"message"`
	Attempt int         `json:"attempt"`
	Wait    float64     `json:"wait,omitempty"` // seconds until the next one
	Held    bool        `json:"held,omitempty"` // it waits because its account does, for nothing of its own
	// its account rests because of it: afterwards every other mailbox goes
	// first
	Last bool `json:"last,omitempty"`
}

// Task is one unit of sync work.
type Task struct {
	ID          storage.TaskID
	Account     storage.AccountID
	Type        Type
	State       State
	Priority    int
	Payload     Payload
	Checkpoint  Checkpoint
	RetryCount  int
	MaxRetries  int
	ErrorLog    []Failure
	CreatedAt   time.Time
	StartedAt   time.Time // zero: never
	CompletedAt time.Time // zero: unfinished
	NextRetryAt time.Time // zero: at once

	generation int64
	messageID  string
}

// Status is the task's state as one of four words: pending, processing,
// completed or failed.
func (t Task) Status() string {
	switch t.State {
	case Waiting, Paused, Pending:
		return string(Pending)
	case Cancelled, Failed:
		return string(Failed)
	}
	return string(t.State)
}

// last is the fault that made the task wait, or the zero one.
func (t Task) last() (f Failure) {
	if n := len(t.ErrorLog); n > 0 {
		f = t.ErrorLog[n-1]
	}
	return f
}

// rank is the priority that the task is delivered by: the lowest of all while
// every other mailbox goes first.
func (t Task) rank() int {
	if t.last().Last {
		return 0
	}
	return t.Priority
}

// wait is how long the task still waits, never longer than its fault asked for.
// A time that lies further off was written by another clock. Then nobody knows
// how much of the wait is over, so the task is tried soon, unless a quota made
// it wait.
func (t Task) wait() time.Duration {
	left := max(time.Until(t.NextRetryAt), 0)
	asked := time.Duration(t.last().Wait * float64(time.Second))
	switch quota := t.last().Class == class.Quota; {
	case left <= asked:
		return left
	case asked == 0 && quota: // written by an early version
		return min(left, longestQuota)
	case quota:
		return asked
	case asked == 0:
		return min(left, longestWait)
	default:
		return min(asked, doubted)
	}
}

const taskColumns = `id, account_id, task_type, state, priority, payload, checkpoint, retry_count, max_retries,
	error_log,
	created_at, started_at, completed_at, next_retry_at, generation, coalesce(message_id, '')`

func scanTask(row interface{ Scan(...any) error }) (Task, error) {
	var t Task
	var payload, checkpoint, log string
	var created int64
	var started, completed, next *int64
	if err := row.Scan(&t.ID, &t.Account, &t.Type, &t.State, &t.Priority, &payload, &checkpoint, &t.RetryCount,
		&t.MaxRetries, &log,
		&created, &started, &completed, &next, &t.generation, &t.messageID); err != nil {
		return t, err
	}
	t.CreatedAt = time.UnixMilli(created).UTC()
	t.StartedAt, t.CompletedAt, t.NextRetryAt = moment(started), moment(completed), moment(next)
	if err := errors.Join(json.Unmarshal([]byte(payload), &t.Payload),
		json.Unmarshal([]byte(checkpoint), &t.Checkpoint),
		json.Unmarshal([]byte(log), &t.ErrorLog)); err != nil {
		return t, fmt.Errorf("task %d: %w", t.ID, err)
	}
	return t, nil
}

func moment(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return time.UnixMilli(*ms).UTC()
}
