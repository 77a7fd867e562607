package file

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"

	"mailcote/storage/disk"
	"mailcote/storage/owner"
)

// Read runs fn on one snapshot. A snapshot that stays open keeps the WAL
// growing, so fn does no network and no rendering. One that does so for too
// long is ended.
//
// Errors: what fn returned, ErrSnapshotTooOld, ErrClosed, ErrFailing,
// ErrCorrupt, or ctx's.
func (f *File) Read(ctx context.Context, fn func(*Snapshot) error) error {
	f.handles.RLock()
	defer f.handles.RUnlock()
	if f.readers == nil {
		return f.unreadable()
	}
	return f.damage.note(f.bounded(ctx, func(ctx context.Context, begun func()) error {
		tx, err := f.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		begun()
		if err != nil {
			return Explain("read", err)
		}
		defer tx.Rollback() //nolint:errcheck // a snapshot has nothing to keep
		return fn(&Snapshot{ctx: ctx, tx: tx})
	}))
}

// Reading reads on a connection of its own and keeps its statements prepared.
// It is for what runs the same ones thousands of times, in one goroutine.
type Reading struct {
	f     *File
	stmts *statements
}

// Reading takes a connection, until Close. It caches so many KiB of pages.
func (f *File) Reading(ctx context.Context, cache int) (*Reading, error) {
	conn, err := f.readers.Conn(ctx)
	if err != nil {
		return nil, Explain("open store for reading", err)
	}
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA cache_size = -%d", cache)); err != nil {
		return nil, errors.Join(Explain("open store for reading", err), conn.Close())
	}
	return &Reading{f: f, stmts: &statements{conn: conn, by: map[string]*sql.Stmt{}}}, nil
}

// Read is File.Read.
func (r *Reading) Read(ctx context.Context, fn func(*Snapshot) error) error {
	return r.f.damage.note(r.f.bounded(ctx, func(ctx context.Context, begun func()) error {
		tx, err := r.stmts.conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		begun()
		if err != nil {
			return Explain("read", err)
		}
		defer tx.Rollback() //nolint:errcheck // a snapshot has nothing to keep
		return fn(&Snapshot{ctx: ctx, tx: tx, stmts: r.stmts})
	}))
}

// Close gives the connection back.
func (r *Reading) Close() { r.stmts.close() }

// ReadAlone runs fn on a connection that only reads and that nobody else uses,
// so that a long statement holds up nobody. Its snapshot is bounded as Read's.
func (f *File) ReadAlone(ctx context.Context, fn func(context.Context, *sql.Conn) error) error {
	f.handles.RLock()
	open := f.readers != nil
	f.handles.RUnlock()
	if !open {
		return f.unreadable()
	}
	pragmas := []string{"busy_timeout(5000)", "query_only(1)", "trusted_schema(0)", "temp_store(MEMORY)"}
	db, err := sql.Open("sqlite", f.dsn(url.Values{"mode": {"ro"}, "_pragma": pragmas}))
	if err != nil {
		return fmt.Errorf("open store for SQL: %w", err)
	}
	defer db.Close() //nolint:errcheck // it was only read
	db.SetMaxOpenConns(1)
	return f.bounded(ctx, func(ctx context.Context, begun func()) error {
		conn, err := db.Conn(ctx)
		begun()
		if err != nil {
			return fmt.Errorf("open store for SQL: %w", err)
		}
		defer conn.Close() //nolint:errcheck // as above
		return fn(ctx, conn)
	})
}

func (f *File) unreadable() error {
	if f.writer != nil && f.writer.running() {
		return fmt.Errorf("%w: it cannot be read either", ErrFailing)
	}
	return ErrClosed
}

// bounded runs fn, which takes a snapshot and says when. It ends fn's context
// when the snapshot is old and the log is long: the writer cannot empty a log
// that a snapshot needs, whichever process has it. A log that is long and did
// not grow is not the snapshot's doing: its file keeps its length when it
// starts again from its head. It is, when bulk writing rests for it.
func (f *File) bounded(ctx context.Context, fn func(ctx context.Context, begun func()) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var short int64 // the least length of the log since then
	var timer *time.Timer
	timer = time.AfterFunc(time.Hour, func() {
		log := f.logSize()
		short = min(short, log)
		switch {
		case ctx.Err() != nil:
		case log > f.o.Limits.LogMost && (log > short || f.restsForLog(log)):
			cancel(ErrSnapshotTooOld)
		default:
			timer.Reset(f.o.Limits.Snapshot / 4)
		}
	})
	defer timer.Stop()
	err := fn(ctx, func() {
		short = f.logSize()
		timer.Reset(f.o.Limits.Snapshot)
	})
	if errors.Is(context.Cause(ctx), ErrSnapshotTooOld) {
		return ErrSnapshotTooOld // whatever fn made of it
	}
	return err
}

// While gives a context that ends when the file turns out to be damaged, with
// an ErrCorrupt as its cause. stop frees it.
func (f *File) While(ctx context.Context) (while context.Context, stop func()) {
	return f.damage.while(ctx)
}

// logSize is how long the log's file is.
func (f *File) logSize() int64 {
	info, err := os.Stat(f.o.Path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// restsForLog reports whether bulk writing rests until the log can be emptied.
func (f *File) restsForLog(log int64) bool {
	if f.writer != nil {
		return f.writer.gate.Is(disk.Log)
	}
	_, owned := owner.Holder(f.o.Path)
	return owned && log >= f.o.Limits.LogPause
}

// versions reads PRAGMA data_version, which has a meaning on one connection
// only.
type versions struct {
	mu   sync.Mutex
	db   *sql.DB
	conn *sql.Conn
	base int64 // what connections before this one came to
	last int64
}

// DataVersion gives a number that changes when another connection commits, in
// whatever process. It costs no snapshot. The first call opens a connection
// that is kept until Close.
//
// Errors: ErrClosed, ErrFailing, SQLite's own, or ctx's.
func (f *File) DataVersion(ctx context.Context) (int64, error) {
	f.handles.RLock()
	defer f.handles.RUnlock()
	if f.readers == nil {
		return 0, f.unreadable()
	}
	v := &f.versions
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.conn == nil {
		pragmas := []string{"busy_timeout(5000)", "query_only(1)", "trusted_schema(0)"}
		if err := v.open(ctx, f.dsn(url.Values{"mode": {"ro"}, "_pragma": pragmas})); err != nil {
			return 0, Explain("open store to watch it", err)
		}
	}
	var n int64
	if err := v.conn.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&n); err != nil {
		if ctx.Err() == nil {
			err = errors.Join(err, v.close())
		}
		return 0, Explain("read data version", err)
	}
	v.last = v.base + n
	return v.last, nil
}

// open takes a connection. It begins at a low number again, so it counts on
// from where the one before ended.
func (v *versions) open(ctx context.Context, dsn string) error {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	v.db, v.conn, v.base = db, conn, v.last
	return nil
}

// close gives the connection back; the next call opens another.
func (v *versions) close() error {
	if v.conn == nil {
		return nil
	}
	err := errors.Join(v.conn.Close(), v.db.Close())
	v.db, v.conn = nil, nil
	if err != nil {
		return fmt.Errorf("close the watching connection: %w", err)
	}
	return nil
}

// drop is close for whoever exchanges the file's handles.
func (v *versions) drop() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.close()
}
