package file

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"mailcote/storage/disk"
	"mailcote/testkit/failpoint"
)

const (
	// checkpointPages is how many uncopied pages of WAL are copied into the
	// file between two groups.
	checkpointPages = 2000
	// restartTimes as many pages of WAL make the writer wait for readers, 200
	// ms at most. Otherwise the WAL starts again from its head when no reader
	// needs it.
	restartTimes = 4

	groupTime = 20 * time.Millisecond
	groupSize = 4 << 20
)

// writer is the only one who writes. Its goroutine is started by Open and ended
// by Close.
type writer struct {
	lanes
	file  *File
	db    *sql.DB // one connection; exchanged by reopen, in the writer's goroutine
	stmts *statements

	finished chan struct{}
	broken   error // set when the file was moved or fails again and again: writes fail with it

	gate     disk.Gate // closed: bulk writes are refused
	probeAt  time.Time // while the gate is closed, the log is long or something is owed: when to look again
	refusals int       // writes that a full disk refused, since a bulk one was committed
	long     bool      // readers kept the log from being emptied when it should have been
	failures int       // unknown outcomes in a row
	failedAt time.Time // the last one
	reopenAt time.Time // while broken: when to reopen; zero: never

	groupTime time.Duration
	patience  int // pages of WAL at which a restart of the WAL is tried
}

func startWriter(ctx context.Context, f *File, db *sql.DB) (*writer, error) {
	w := &writer{
		lanes: lanes{wake: make(chan struct{}, 1)}, file: f, finished: make(chan struct{}),
		groupTime: groupTime, patience: restartTimes * f.o.Pages, probeAt: time.Now(),
	}
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

// next takes the next request, or nil. over: there will be no other one. Bulk
// requests are refused while the gate is closed.
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
			// What is written to a file that was moved is lost to whoever opens
			// its path.
			if err := w.file.o.Lock.SameFile(); err != nil {
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
		case r.vacuum:
			r.done <- w.vacuum()
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
	w.lanes.close()
	<-w.finished
}

// close copies the WAL into the file and closes the handle. The readers are
// closed by then.
func (w *writer) close() error {
	var errs []error
	failpoint.Hit("storage.beforeClose")
	if w.broken == nil {
		_, err := w.stmts.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
		// On a full disk what is committed stays in the log.
		if err = Explain("checkpoint", err); !errors.Is(err, ErrFull) {
			errs = append(errs, err)
		}
	}
	failpoint.Hit("storage.afterLastCheckpoint")
	w.stmts.close()
	return errors.Join(append(errs, w.db.Close())...)
}

// alone runs one request in a transaction of its own; so do closures of a void
// group.
func (w *writer) alone(r *request) {
	err := w.once(r)
	if severityOf(err) == unknown {
		err = w.recover(err)
	}
	w.outcome(r.lane, err)
	r.done <- err
}

// vacuum rebuilds the file and empties the log, which holds the old pages.
func (w *writer) vacuum() error {
	failpoint.Hit("storage.beforeVacuum")
	if _, err := w.stmts.conn.ExecContext(context.Background(), "VACUUM"); err != nil {
		err = Explain("vacuum", err)
		if severityOf(err) == unknown {
			err = w.recover(err)
		}
		w.full(err)
		return err
	}
	busy, _, err := w.empty(true)
	if err != nil {
		w.trouble(err)
		return Explain("empty the log", err)
	}
	if busy != 0 {
		return ErrLogInUse
	}
	return nil
}

// own runs a closure of the writer itself.
func (w *writer) own(fn func(*Tx) error) error {
	err := w.once(&request{fn: fn})
	if severityOf(err) == unknown {
		err = w.recover(err)
	}
	return err
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
		return Explain("begin", err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do; after an error the error is what counts
	view, rows := newTx(tx, w.stmts), w.rowsChanged()
	if err := run(view, r.fn); err != nil {
		return Explain("write", err)
	}
	changed := w.changedSince(rows)
	failpoint.Hit("storage.beforeCommit")
	if err := tx.Commit(); err != nil {
		if r.alone && w.file.o.CommitAlone != nil {
			err = w.file.o.CommitAlone(err)
		}
		return Explain("commit", err)
	}
	failpoint.Hit("storage.afterCommit")
	if changed {
		w.file.o.Committed([]any{view.Note})
	}
	return nil
}

// rowsChanged is how many rows the writer's connection has changed since it was
// opened, rolled back ones included.
func (w *writer) rowsChanged() (n int64) {
	stmt, err := w.stmts.get(context.Background(), `SELECT total_changes()`)
	if err == nil {
		err = stmt.QueryRow().Scan(&n)
	}
	if err != nil { // the transaction is about to fail, too
		return -1
	}
	return n
}

// changedSince reports whether a closure that began at rows has changed any.
func (w *writer) changedSince(rows int64) bool { return rows < 0 || w.rowsChanged() != rows }

// run calls a closure and turns its panic into an error, so that one bug costs
// one write.
func run(view *Tx, fn func(*Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return fn(view)
}
