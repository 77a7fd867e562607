package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	"mailcote/storage/ask"
	"mailcote/storage/disk"
	"mailcote/storage/owner"
)

// Reader reads one snapshot. It is valid inside the closure it was given to.
type Reader struct {
	ctx   context.Context
	tx    *sql.Tx
	stmts *statements
}

// Writer writes in one transaction and reads what it wrote. It is valid inside the closure it was given to.
type Writer struct {
	Reader
	change  int64 // next change number, 0 before the first
	types   Types // of the objects whose change was recorded
	touched map[MailboxID]AccountID
}

func newWriter(tx *sql.Tx, stmts *statements) *Writer {
	return &Writer{Reader: Reader{ctx: context.Background(), tx: tx, stmts: stmts}}
}

// Read runs fn on one snapshot. A snapshot that stays open keeps the WAL growing, so fn does no network and no rendering. One
// that does so for too long is ended.
//
// Errors: what fn returned, ErrSnapshotTooOld, ErrClosed, ErrFailing, ErrCorrupt, or ctx's.
func (s *Store) Read(ctx context.Context, fn func(*Reader) error) error {
	s.handles.RLock()
	defer s.handles.RUnlock()
	if s.readers == nil {
		return s.unreadable()
	}
	return s.noteDamage(s.bounded(ctx, func(ctx context.Context, begun func()) error {
		tx, err := s.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		begun()
		if err != nil {
			return explain("read", err)
		}
		defer tx.Rollback() //nolint:errcheck // a snapshot has nothing to keep
		return fn(&Reader{ctx: ctx, tx: tx})
	}))
}

// SQL runs one reading statement of a person on a connection of its own and calls row for each row; values are int64,
// float64, string, []byte or nil. ctx ends a statement that runs away. The views of docs/sql.md are stable, the tables are
// not. It works on any open store, also beside its owner. It reads one snapshot, which is ended when it keeps the log long.
//
// Errors: ErrRefused (wrapped with what was refused), ErrSnapshotTooOld, SQLite's own about the statement, ctx's, or what row
// returned.
func (s *Store) SQL(ctx context.Context, text string, row func(columns []string, values []any) error) error {
	s.handles.RLock()
	open := s.readers != nil
	s.handles.RUnlock() // a long statement on its own connection holds up nobody
	if !open {
		return s.unreadable()
	}
	db, err := sql.Open("sqlite", s.dsn(url.Values{
		"mode": {"ro"}, "_pragma": {"busy_timeout(5000)", "query_only(1)", "trusted_schema(0)", "temp_store(MEMORY)"},
	}))
	if err != nil {
		return fmt.Errorf("open store for SQL: %w", err)
	}
	defer db.Close() //nolint:errcheck // it was only read
	db.SetMaxOpenConns(1)
	return s.bounded(ctx, func(ctx context.Context, begun func()) error {
		conn, err := db.Conn(ctx)
		begun()
		if err != nil {
			return fmt.Errorf("open store for SQL: %w", err)
		}
		defer conn.Close() //nolint:errcheck // as above
		return ask.Run(ctx, conn, text, row)
	})
}

func (s *Store) unreadable() error {
	if s.writer != nil && s.writer.running() {
		return fmt.Errorf("%w: it cannot be read either", ErrFailing)
	}
	return ErrClosed
}

// bounded runs fn, which takes a snapshot and says when, and ends its context when the snapshot is old and the log is long: the
// writer cannot empty a log that a snapshot needs, whichever process has it. A log that is long and did not grow is no matter
// of the snapshot's: its file keeps its length when it starts again from its head. Unless bulk writing rests for it.
func (s *Store) bounded(ctx context.Context, fn func(ctx context.Context, begun func()) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var short int64 // the least length of the log since then
	var timer *time.Timer
	timer = time.AfterFunc(time.Hour, func() {
		log := s.logSize()
		short = min(short, log)
		switch {
		case ctx.Err() != nil:
		case log > s.limits.logMost && (log > short || s.restsForLog(log)):
			cancel(ErrSnapshotTooOld)
		default:
			timer.Reset(s.limits.snapshot / 4)
		}
	})
	defer timer.Stop()
	err := fn(ctx, func() {
		short = s.logSize()
		timer.Reset(s.limits.snapshot)
	})
	if errors.Is(context.Cause(ctx), ErrSnapshotTooOld) {
		return ErrSnapshotTooOld // whatever fn made of it
	}
	return err
}

// restsForLog says whether bulk writing rests until the log can be emptied.
func (s *Store) restsForLog(log int64) bool {
	if s.writer != nil {
		return s.writer.gate.Is(disk.Log)
	}
	_, owned := owner.Holder(s.path)
	return owned && log >= s.limits.logPause
}

// Tx is the transaction itself, for package queue and no other: its rows live in the transaction of the mail they describe.
func (w *Writer) Tx() *sql.Tx { return w.tx }

// Query runs a static query of package queue on this snapshot.
func (r *Reader) Query(query string, args ...any) (*sql.Rows, error) {
	if r.stmts == nil {
		return r.tx.QueryContext(r.ctx, query, args...)
	}
	stmt, err := r.stmts.get(r.ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(r.ctx, args...)
}

// QueryRow is Query for one row.
func (r *Reader) QueryRow(query string, args ...any) *sql.Row {
	if r.stmts != nil {
		if stmt, err := r.stmts.get(r.ctx, query); err == nil {
			return stmt.QueryRowContext(r.ctx, args...)
		}
	}
	return r.tx.QueryRowContext(r.ctx, query, args...)
}

// Exec runs a static statement.
func (w *Writer) Exec(query string, args ...any) (sql.Result, error) {
	stmt, err := w.stmts.get(w.ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(w.ctx, args...)
}

// insert runs an INSERT and gives the new row's key.
func (w *Writer) insert(query string, args ...any) (int64, error) {
	result, err := w.Exec(query, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// Each calls scan for every row and closes the rows.
func Each(rows *sql.Rows, err error, scan func(*sql.Rows) error) error {
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err has what matters
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// missing turns the absence of a row into ErrNotFound.
func missing(what string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	return err
}

// statements keeps the writer's prepared statements; compiling one costs more than running it. They belong to the writer's
// one connection, so they run inside whatever transaction is open on it. Used in the writer's goroutine only.
type statements struct {
	conn *sql.Conn
	by   map[string]*sql.Stmt
}

func (c *statements) get(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, ok := c.by[query]; ok {
		return stmt, nil
	}
	stmt, err := c.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c.by[query] = stmt
	return stmt, nil
}

// close gives the statements and the connection back; the handle is closed next and reports what went wrong.
func (c *statements) close() {
	for _, stmt := range c.by {
		_ = stmt.Close() //nolint:errcheck // see above
	}
	_ = c.conn.Close() //nolint:errcheck // see above
}
