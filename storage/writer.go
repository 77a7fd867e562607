package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"mailcote/storage/disk"
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
	// its head when no reader needs it; when it has grown past restartTimes as many, readers are waited for, 200 ms at most.
	checkpointPages = 2000
	restartTimes    = 4
)

// request is one closure waiting for its turn.
type request struct {
	ctx   context.Context // cancels only while the request waits
	lane  Lane
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
	broken   error // set when the store was moved or fails again and again: writes fail with it

	gate     disk.Gate // closed: bulk writes are refused
	staged   BlobID    // the highest that was given to a staged blob, kept or not
	probeAt  time.Time // while the gate is closed, the log is long or staged blobs are left: when to look again
	refusals int       // writes that a full disk refused, since one of bulk was committed
	long     bool      // readers kept the log from being emptied when it should have been
	failures int       // unknown outcomes in a row
	failedAt time.Time // the last one
	reopenAt time.Time // while broken: when to reopen; zero: never

	groupTime time.Duration
	patience  int // pages of WAL at which a restart of the WAL is tried
}

func startWriter(ctx context.Context, s *Store, db *sql.DB) (*writer, error) {
	w := &writer{store: s, wake: make(chan struct{}, 1), finished: make(chan struct{}), groupTime: groupTime, patience: restartTimes * s.pages, probeAt: time.Now()}
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
// While the disk is short of room or the log cannot be emptied, bulk writes are refused at once (Opened tells of the end).
//
// Errors: what fn returned, ErrFull, ErrPaused, ErrBusy, ErrOutcomeUnknown, ErrFailing, ErrMoved, ErrClosed, ErrReadOnly, or ctx's.
func (s *Store) Write(ctx context.Context, lane Lane, size int, fn func(*Writer) error) error {
	return s.enqueue(ctx, &request{ctx: ctx, lane: lane, size: size, fn: fn, done: make(chan error, 1)})
}

// WriteAlone is Write without neighbours and without a savepoint, for the full-text index, which every savepoint flushes.
func (s *Store) WriteAlone(ctx context.Context, fn func(*Writer) error) error {
	return s.enqueue(ctx, &request{ctx: ctx, lane: Bulk, alone: true, fn: fn, done: make(chan error, 1)})
}

func (s *Store) enqueue(ctx context.Context, r *request) error {
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
	w.queues[r.lane] = append(w.queues[r.lane], r)
	w.mu.Unlock()
	w.nudge()
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		if w.withdraw(r) {
			return ctx.Err()
		}
		return <-r.done // it is in a group: its outcome is the truth
	}
}

// withdraw takes a request that still waits out of its lane.
func (w *writer) withdraw(r *request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, one := range w.queues[r.lane] {
		if one == r {
			w.queues[r.lane] = append(w.queues[r.lane][:i:i], w.queues[r.lane][i+1:]...)
			return true
		}
	}
	return false
}

// next takes the first request of the more urgent lane, or nil. over: there will be no other one. Bulk requests are refused
// while the gate is closed.
func (w *writer) next() (r *request, over bool) {
	for {
		r, over := w.pull()
		if r == nil || r.lane != Bulk || w.broken != nil {
			return r, over
		}
		p, closed := w.gate.Closed()
		if !closed {
			return r, false
		}
		r.done <- &pausedError{p}
	}
}

// pull finds the lanes empty and the store closing in one look. Between two looks a request could be accepted that nobody
// would answer.
func (w *writer) pull() (r *request, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for lane, waiting := range w.queues {
		if len(waiting) > 0 {
			r := waiting[0]
			waiting[0] = nil
			w.queues[lane] = waiting[1:]
			return r, false
		}
	}
	return nil, w.stopping
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
		w.probe()
		if w.broken == nil {
			w.look()
		}
		r, over := w.next()
		if over {
			return
		}
		if r == nil {
			w.sleep()
			continue
		}
		if w.broken == nil {
			if err := w.store.lock.SameFile(); err != nil { // what is written to a store that was moved is lost to whoever opens its path
				_ = w.fail(err, nil) //nolint:errcheck // it is w.broken
			}
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

func (w *writer) running() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.stopping
}

// stop lets what is queued finish and waits for the goroutine.
func (w *writer) stop() {
	w.mu.Lock()
	w.stopping = true
	w.mu.Unlock()
	w.nudge()
	<-w.finished
}

// nudge wakes the writer, or keeps it from falling asleep.
func (w *writer) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
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
	w.outcome(r.lane, err)
	r.done <- err
}

// outcome keeps the gate by what a write came to.
func (w *writer) outcome(lane Lane, err error) {
	w.full(err)
	if err == nil && lane == Bulk {
		w.refusals = 0
	}
}

func (w *writer) once(r *request) error {
	tx, err := w.stmts.conn.BeginTx(context.Background(), nil)
	if err != nil {
		return explain("begin", err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do; after an error the error is what counts
	view, rows := newWriter(tx, w.stmts), w.rowsChanged()
	if err := run(view, r.fn); err != nil {
		return explain("write", err)
	}
	news := w.newsOf(view, rows)
	failpoint.Hit("storage.beforeCommit")
	if err := tx.Commit(); err != nil {
		if r.alone {
			err = damagedIndex(err)
		}
		return explain("commit", err)
	}
	failpoint.Hit("storage.afterCommit")
	w.store.watches.publish(news)
	return nil
}

// checkpoint copies a long WAL into the file, outside every commit.
func (w *writer) checkpoint() {
	if w.broken != nil {
		return
	}
	ctx, conn := context.Background(), w.stmts.conn
	var busy, pages, copied int
	err := conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(NOOP)").Scan(&busy, &pages, &copied)
	if err != nil {
		w.trouble(err)
		return
	}
	if pages-copied < w.store.pages {
		return
	}
	failpoint.Hit("storage.beforeCheckpoint")
	if pages <= w.patience {
		err = conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &copied)
	} else {
		busy, pages, err = w.empty(false)
		if w.patience = restartTimes * w.store.pages; busy != 0 { // a reader stays: not every group shall wait for it
			w.patience = pages + w.store.pages
			w.measure(pages)
		}
	}
	failpoint.Hit("storage.afterCheckpoint")
	if err != nil {
		w.trouble(err)
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
