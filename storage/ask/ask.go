package ask

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ErrRefused says that a statement would do more than read; the message
// names what.
var ErrRefused = errors.New("only reading is allowed")

// Run runs one statement on a connection that nobody else uses, and calls row
// for each row; values are int64, float64, string, []byte or nil. Errors:
// ErrRefused, SQLite's own about the statement, ctx's, or what row returned.
func Run(ctx context.Context, conn *sql.Conn, text string, row func(columns []string, values []any) error) error {
	if err := oneStatement(text); err != nil {
		return err
	}
	var refused string
	if err := guard(conn, &refused); err != nil {
		return err
	}
	rows, err := conn.QueryContext(ctx, text)
	if err == nil {
		err = each(rows, row)
	}
	if refused != "" {
		return fmt.Errorf("%w: %s is refused", ErrRefused, refused)
	}
	return err
}

func each(rows *sql.Rows, row func([]string, []any) error) error {
	columns, err := rows.Columns()
	if err != nil {
		return errors.Join(err, rows.Close())
	}
	targets := make([]any, len(columns))
	defer rows.Close() //nolint:errcheck // rows.Err has what matters
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		for i, v := range values { // the driver reads more into a declared type than SQLite does
			switch v := v.(type) {
			case time.Time:
				values[i] = v.UTC().Format(time.RFC3339Nano)
			case bool:
				values[i] = int64(0)
				if v {
					values[i] = int64(1)
				}
			}
		}
		if err := row(columns, values); err != nil {
			return err
		}
	}
	return rows.Err()
}
