package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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
	touched map[MailboxID]AccountID
}

func newWriter(tx *sql.Tx, stmts *statements) *Writer {
	return &Writer{Reader: Reader{ctx: context.Background(), tx: tx, stmts: stmts}}
}

// Read runs fn on one snapshot. A snapshot that stays open keeps the WAL growing, so fn does no network and no rendering.
func (s *Store) Read(ctx context.Context, fn func(*Reader) error) error {
	s.handles.RLock()
	defer s.handles.RUnlock()
	if s.readers == nil {
		return ErrClosed
	}
	tx, err := s.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return explain("read", err)
	}
	defer tx.Rollback() //nolint:errcheck // a snapshot has nothing to keep
	return fn(&Reader{ctx: ctx, tx: tx})
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
