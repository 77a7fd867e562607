package file

import (
	"context"
	"database/sql"
)

// Snapshot reads one state of the file. It is valid inside the closure it was
// given to.
type Snapshot struct {
	ctx   context.Context
	tx    *sql.Tx
	stmts *statements // nil: nothing is kept prepared
}

// SnapshotOf reads in a transaction of somebody else's.
func SnapshotOf(ctx context.Context, tx *sql.Tx) *Snapshot { return &Snapshot{ctx: ctx, tx: tx} }

// Tx writes in one transaction and reads what it wrote. It is valid inside the
// closure it was given to.
type Tx struct {
	Snapshot
	Note any // for Options.Committed
}

func newTx(tx *sql.Tx, stmts *statements) *Tx {
	return &Tx{Snapshot: Snapshot{ctx: context.Background(), tx: tx, stmts: stmts}}
}

// Raw is the transaction itself, for statements that are not worth keeping.
func (s *Snapshot) Raw() *sql.Tx { return s.tx }

// Query runs a static query.
func (s *Snapshot) Query(query string, args ...any) (*sql.Rows, error) {
	if s.stmts == nil {
		return s.tx.QueryContext(s.ctx, query, args...)
	}
	stmt, err := s.stmts.get(s.ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(s.ctx, args...)
}

// QueryRow is Query for one row.
func (s *Snapshot) QueryRow(query string, args ...any) *sql.Row {
	if s.stmts != nil {
		if stmt, err := s.stmts.get(s.ctx, query); err == nil {
			return stmt.QueryRowContext(s.ctx, args...)
		}
	}
	return s.tx.QueryRowContext(s.ctx, query, args...)
}

// Exec runs a static statement.
func (t *Tx) Exec(query string, args ...any) (sql.Result, error) {
	stmt, err := t.stmts.get(t.ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(t.ctx, args...)
}

// Insert runs an INSERT and gives the new row's key.
func (t *Tx) Insert(query string, args ...any) (int64, error) {
	result, err := t.Exec(query, args...)
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

// statements keeps prepared statements: compiling one costs more than running
// it. They belong to one connection, so they run inside whatever transaction is
// open on it. Only one goroutine uses them: the writer's, or a Reading's.
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

// close gives the statements and the connection back; the handle is closed next
// and reports what went wrong.
func (c *statements) close() {
	for _, stmt := range c.by {
		_ = stmt.Close() //nolint:errcheck // see above
	}
	_ = c.conn.Close() //nolint:errcheck // see above
}
