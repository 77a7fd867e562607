package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"mailcote/storage"
	"mailcote/ui/cli/voice"
)

// tableRows is how many rows are aligned together.
const tableRows = 1000

func (a *app) sql() *cobra.Command {
	var most time.Duration
	c := &cobra.Command{
		Use: "sql QUERY", Short: "Ask the store with SQL, reading only", Args: exactly(1, "QUERY"),
		Long: `Ask the store with SQL. Only reading is possible. These views are stable
(docs/sql.md), and the tables below them are not:

  accounts       mailboxes      mail             threads     changes
  sync_tasks     sync_runs      sync_errors      breakers    rate_limits
  sync_coverage  sync_quarantine

BLOBs are printed in hex. A statement that takes longer than --timeout is ended
(status 75); Ctrl-C ends it too.`,
		Example: `  mailcote sql 'SELECT mailbox, count(*) FROM mail GROUP BY mailbox'
  mailcote sql --json 'SELECT date, sender, subject FROM mail
    ORDER BY date DESC LIMIT 10'`,
		RunE: func(c *cobra.Command, args []string) error {
			if most < 0 {
				return usagef("--timeout takes a time such as 30s, or 0 for none")
			}
			ctx, stop := c.Context(), func() {}
			if most > 0 {
				ctx, stop = context.WithTimeoutCause(ctx, most, &tookTooLongError{most})
			}
			defer stop()
			err := a.reading(ctx, func(s *storage.Store) error { return a.ask(ctx, s, args[0]) })
			if late := (*tookTooLongError)(nil); err != nil && errors.As(context.Cause(ctx), &late) {
				return &failure{Temporary, late}
			}
			return err
		},
	}
	c.Flags().DurationVar(&most, "timeout", 30*time.Second, "end the statement after `TIME`; 0: never")
	return c
}

// ask prints what a statement gives.
func (a *app) ask(ctx context.Context, s *storage.Store, text string) error {
	if a.json {
		return explainedSQL(s.SQL(ctx, text, func(columns []string, values []any) error {
			return a.voice.JSON(rowJSON{columns, values})
		}))
	}
	t := table{app: a}
	if err := explainedSQL(s.SQL(ctx, text, t.add)); err != nil {
		return err
	}
	return t.flush()
}

// tookTooLongError says that a statement was ended.
type tookTooLongError struct{ most time.Duration }

func (e *tookTooLongError) Error() string {
	return fmt.Sprintf("the statement was ended because it took longer than %s: ask for less, or give it more time "+
		"with --timeout", e.most)
}

// explainedSQL adds where the tables are described.
func explainedSQL(err error) error {
	if err == nil || errors.Is(err, storage.ErrRefused) || errors.Is(err, context.Canceled) {
		return err
	}
	err = fmt.Errorf("%w: mailcote sql --help names the views", err)
	// a mistake in the statement
	if engine := (*sqlite.Error)(nil); errors.As(err, &engine) && engine.Code() == lib.SQLITE_ERROR {
		return &failure{Usage, err}
	}
	return err
}

// table prints rows in columns, a chunk at a time.
type table struct {
	app  *app
	head []string
	rows [][]string
	went bool // the head has been printed
}

func (t *table) add(columns []string, values []any) error {
	t.head = columns
	row := make([]string, len(values))
	for i, v := range values {
		row[i] = cell(v)
	}
	if t.rows = append(t.rows, row); len(t.rows) < tableRows {
		return nil
	}
	return t.flush()
}

func (t *table) flush() error {
	if len(t.rows) == 0 {
		if !t.went {
			t.app.voice.Note("No rows.")
		}
		return nil
	}
	head := t.head
	if t.went {
		head = nil
	}
	rows := t.rows
	t.rows, t.went = nil, true
	return t.app.voice.Table(head, rows, voice.Layout{})
}

// cell is a value of SQLite as text; NULL is empty.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []byte:
		return hex.EncodeToString(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

// rowJSON is a row as an object with its keys in the order of the columns.
type rowJSON struct {
	columns []string
	values  []any
}

// MarshalJSON writes BLOBs in hex. Numbers that JSON cannot write become null.
func (r rowJSON) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, column := range r.columns {
		v := r.values[i]
		switch x := v.(type) {
		case []byte:
			v = hex.EncodeToString(x)
		case float64:
			if math.IsInf(x, 0) || math.IsNaN(x) {
				v = nil
			}
		}
		key, err := json.Marshal(column)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}
