package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"mailcote/testkit/failpoint"
)

// Lane says who goes first when both wait.
type Lane int

// The writer's lanes.
const (
	Interactive Lane = iota // a person or a decision waits for it
	Bulk                    // batches of mail, indexing, sweeping
	lanes
)

const (
	groupTime = 20 * time.Millisecond
	groupSize = 4 << 20
	// Between two groups a WAL with more uncopied pages than checkpointPages is copied into the file. It starts again from
	// its head when no reader needs it; when it has grown past restartPages, readers are waited for, 200 ms at most.
	checkpointPages = 2000
	restartPages    = 4 * checkpointPages
)

// request is one closure waiting for its turn.
type request struct {
	ctx   context.Context // cancels only while the request waits
	size  int
	alone bool // not in a savepoint: a transaction of its own
	fn    func(*Writer) error
	done  chan error // buffered: the writer never waits for a caller
}

// writer is the only one who writes. Its goroutine is started by Open and ended by Close.
type writer struct {
	store *Store
	db    *sql.DB // one connection; exchanged by reopen, in the writer's goroutine
	stmts *statements

	mu       sync.Mutex
	wake     chan struct{} // capacity 1
	queues   [lanes][]*request
	stopping bool
	finished chan struct{}
	broken   error // set when the store was moved or could not be reopened: every later write fails with it

	groupTime time.Duration
	patience  int // pages of WAL at which a restart of the WAL is tried
}

func startWriter(ctx context.Context, s *Store, db *sql.DB) (*writer, error) {
	w := &writer{store: s, wake: make(chan struct{}, 1), finished: make(chan struct{}), groupTime: groupTime, patience: restartPages}
	if err := w.use(ctx, db); err != nil {
		return nil, err
	}
	go w.run()
	return w, nil
}

// use makes db the writer's handle.
func (w *writer) use(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("writer's connection: %w", err)
	}
	w.db, w.stmts = db, &statements{conn: conn, by: map[string]*sql.Stmt{}}
	return nil
}

// Write runs fn in a transaction and returns when it is committed, or nothing of it is. size is roughly how many bytes fn
// writes. ctx cancels fn only while it waits for its turn. fn may run more than once and sees its own earlier run undone.
//
// Errors: what fn returned, ErrFull, ErrBusy, ErrOutcomeUnknown, ErrMoved, ErrClosed, ErrReadOnly, or ctx's.
func (s *Store) Write(ctx context.Context, lane Lane, size int, fn func(*Writer) error) error {
	return s.enqueue(ctx, lane, &request{ctx: ctx, size: size, fn: fn, done: make(chan error, 1)})
}

// WriteAlone is Write without neighbours and without a savepoint, for the full-text index, which every savepoint flushes.
func (s *Store) WriteAlone(ctx context.Context, fn func(*Writer) error) error {
	return s.enqueue(ctx, Bulk, &request{ctx: ctx, alone: true, fn: fn, done: make(chan error, 1)})
}

func (s *Store) enqueue(ctx context.Context, lane Lane, r *request) error {
	if s.writer == nil {
		return ErrReadOnly
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	w := s.writer
	w.mu.Lock()
	if w.stopping {
		w.mu.Unlock()
		return ErrClosed
	}
	w.queues[lane] = append(w.queues[lane], r)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		if w.withdraw(lane, r) {
			return ctx.Err()
		}
		return <-r.done // it is in a group: its outcome is the truth
	}
}

// withdraw takes a request that still waits out of its lane.
func (w *writer) withdraw(lane Lane, r *request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, one := range w.queues[lane] {
		if one == r {
			w.queues[lane] = append(w.queues[lane][:i:i], w.queues[lane][i+1:]...)
			return true
		}
	}
	return false
}

// next takes the first request of the more urgent lane, or nil.
func (w *writer) next() *request {
	w.mu.Lock()
	defer w.mu.Unlock()
	for lane, waiting := range w.queues {
		if len(waiting) > 0 {
			r := waiting[0]
			waiting[0] = nil
			w.queues[lane] = waiting[1:]
			return r
		}
	}
	return nil
}

// push puts a request back at the head of the interactive lane.
func (w *writer) push(r *request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queues[Interactive] = append([]*request{r}, w.queues[Interactive]...)
}

func (w *writer) run() {
	defer close(w.finished)
	for {
		r := w.next()
		if r == nil {
			w.mu.Lock()
			stopping := w.stopping
			w.mu.Unlock()
			if stopping {
				return
			}
			<-w.wake
			continue
		}
		if w.broken == nil {
			w.broken = w.store.lock.SameFile() // what is written to a store that was moved is lost to whoever opens its path
		}
		switch {
		case w.broken != nil:
			r.done <- w.broken
			continue
		case r.ctx.Err() != nil: // it was cancelled while it waited
			r.done <- r.ctx.Err()
			continue
		case r.alone:
			w.alone(r)
		default:
			w.group(r)
		}
		w.checkpoint()
	}
}

// stop lets what is queued finish and waits for the goroutine.
func (w *writer) stop() {
	w.mu.Lock()
	w.stopping = true
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	<-w.finished
}

// close copies the WAL into the file and closes the handle. The readers are closed by then.
func (w *writer) close() error {
	var errs []error
	failpoint.Hit("storage.beforeClose")
	if w.broken == nil {
		_, err := w.stmts.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
		if err = explain("checkpoint", err); !errors.Is(err, ErrFull) { // on a full disk what is committed stays in the log
			errs = append(errs, err)
		}
	}
	failpoint.Hit("storage.afterLastCheckpoint")
	w.stmts.close()
	return errors.Join(append(errs, w.db.Close())...)
}

// alone runs one request in a transaction of its own; so do closures of a void group.
func (w *writer) alone(r *request) {
	err := w.once(r)
	if severityOf(err) == unknown {
		err = w.recover(err)
	}
	r.done <- err
}

func (w *writer) once(r *request) error {
	tx, err := w.stmts.conn.BeginTx(context.Background(), nil)
	if err != nil {
		return explain("begin", err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do; after an error the error is what counts
	view := newWriter(tx, w.stmts)
	if err := run(view, r.fn); err != nil {
		return explain("write", err)
	}
	failpoint.Hit("storage.beforeCommit")
	if err := tx.Commit(); err != nil {
		if r.alone {
			err = damagedIndex(err)
		}
		return explain("commit", err)
	}
	failpoint.Hit("storage.afterCommit")
	return nil
}

// recover reopens the store after an unknown outcome and says so to the caller.
func (w *writer) recover(cause error) error {
	if err := w.store.reopen(context.Background()); err != nil {
		w.broken = fmt.Errorf("the store could not be reopened: %w", err)
		return errors.Join(ErrOutcomeUnknown, cause, w.broken)
	}
	return fmt.Errorf("%w: %w", ErrOutcomeUnknown, cause)
}

// checkpoint copies a long WAL into the file, outside every commit.
func (w *writer) checkpoint() {
	if w.broken != nil {
		return
	}
	ctx, conn := context.Background(), w.stmts.conn
	var busy, pages, copied int
	if err := conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(NOOP)").Scan(&busy, &pages, &copied); err != nil || pages-copied < w.store.pages {
		return
	}
	failpoint.Hit("storage.beforeCheckpoint")
	var err error
	if pages <= w.patience {
		err = conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &copied)
	} else {
		_, impatient := conn.ExecContext(ctx, "PRAGMA busy_timeout = 200")
		err = conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(RESTART)").Scan(&busy, &pages, &copied)
		_, patient := conn.ExecContext(ctx, "PRAGMA busy_timeout = 5000")
		err = errors.Join(err, impatient, patient)
		if w.patience = restartPages; busy != 0 { // a reader stays: not every group shall wait for it
			w.patience = pages + checkpointPages
		}
	}
	failpoint.Hit("storage.afterCheckpoint")
	if severityOf(err) == unknown {
		_ = w.recover(err) //nolint:errcheck // nobody waits for a checkpoint; a store that cannot be reopened fails the next write
	}
}

// run calls a closure and turns its panic into an error, so that one bug costs one write.
func run(view *Writer, fn func(*Writer) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	if err := fn(view); err != nil {
		return err
	}
	return view.finish()
}

// PanicError is a panic inside a write closure.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic in a write: %v", e.Value) }
