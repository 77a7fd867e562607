package salvage

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// damaged reads tables of a store whose pages may be damaged: by row key, and past what cannot be read.
type damaged struct {
	ctx  context.Context
	db   *sql.DB
	gaps int // spans of rows that could not be read
}

// table is a table as the damaged store has it and the new one wants it.
type table struct {
	name    string
	columns []string // in both
}

// row is one row by column.
type row map[string]any

// whole gives an integer of a row, 0 where it is NULL.
func (r row) whole(column string) int64 {
	n, _ := r[column].(int64) //nolint:errcheck // NULL
	return n
}

// columns lists the columns of a table.
func columns(ctx context.Context, db querier, name string) ([]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT name FROM pragma_table_info(?)`, name)
	if err != nil {
		return nil, err
	}
	return texts(rows)
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func texts(rows *sql.Rows) (all []string, err error) {
	defer rows.Close() //nolint:errcheck // rows.Err has what matters
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// each gives every row of a table that can be read, by ascending row key, n at a time in memory. Only ctx and give fail it.
func (d *damaged) each(t table, n int, give func(row) error) error {
	if len(t.columns) == 0 {
		return nil
	}
	for after := int64(-1); ; {
		rows, last, err := d.some(t, after, n)
		for _, one := range rows {
			if err := give(one); err != nil {
				return err
			}
		}
		if d.ctx.Err() != nil {
			return d.ctx.Err()
		}
		switch {
		case err != nil:
			d.gaps++
			next, ok := d.beyond(t, last)
			if !ok {
				return nil
			}
			after = next
		case len(rows) < n:
			return nil
		default:
			after = last
		}
	}
}

// some reads at most n rows after a key. last is the key of the last one read.
func (d *damaged) some(t table, after int64, n int) (all []row, last int64, err error) {
	last = after
	rows, err := d.db.QueryContext(d.ctx, fmt.Sprintf(`SELECT rowid, %s FROM %s NOT INDEXED WHERE rowid > ? ORDER BY rowid LIMIT ?`, strings.Join(t.columns, ", "), t.name), after, n)
	if err != nil {
		return nil, last, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err has what matters
	for rows.Next() {
		var key int64
		values := make([]any, len(t.columns))
		into := []any{&key}
		for i := range values {
			into = append(into, &values[i])
		}
		if err := rows.Scan(into...); err != nil {
			return all, last, err
		}
		if key <= last {
			return all, last, fmt.Errorf("row %d after row %d", key, last)
		}
		last = key
		one := row{}
		for i, name := range t.columns {
			one[name] = values[i]
		}
		all = append(all, one)
	}
	return all, last, rows.Err()
}

// beyond finds the least key from which reading works again after the row last. Pages hold spans of keys, so it doubles its
// step until something can be read and then halves back.
func (d *damaged) beyond(t table, last int64) (int64, bool) {
	readable := func(after int64) bool {
		rows, _, err := d.some(t, after, 1)
		return err == nil && len(rows) > 0
	}
	bad := last
	for step := int64(1); step < 1<<40; step *= 2 {
		if d.ctx.Err() != nil {
			return 0, false
		}
		good := last + step
		if !readable(good) {
			bad = good
			continue
		}
		for good-bad > 1 {
			if mid := bad + (good-bad)/2; readable(mid) {
				good = mid
			} else {
				bad = mid
			}
		}
		return good, true
	}
	return 0, false
}

// keyed gives the rows of a table without row keys, until one cannot be read.
func (d *damaged) keyed(t table, give func(row) error) error {
	if len(t.columns) == 0 {
		return nil
	}
	rows, err := d.db.QueryContext(d.ctx, fmt.Sprintf(`SELECT %s FROM %s`, strings.Join(t.columns, ", "), t.name))
	if err != nil {
		d.gaps++
		return d.ctx.Err()
	}
	defer rows.Close() //nolint:errcheck // what could not be read is a gap
	for rows.Next() {
		values, into := make([]any, len(t.columns)), make([]any, len(t.columns))
		for i := range values {
			into[i] = &values[i]
		}
		if rows.Scan(into...) != nil {
			break
		}
		one := row{}
		for i, name := range t.columns {
			one[name] = values[i]
		}
		if err := give(one); err != nil {
			return err
		}
	}
	if rows.Err() != nil {
		d.gaps++
	}
	return d.ctx.Err()
}

// fact reads one value of meta.
func (d *damaged) fact(key string) (value any) {
	if d.db.QueryRowContext(d.ctx, `SELECT value FROM meta WHERE key = ?`, key).Scan(&value) != nil {
		return nil
	}
	return value
}

// common gives the columns that both stores have.
func common(have, want []string) []string {
	return slices.DeleteFunc(slices.Clone(want), func(name string) bool { return !slices.Contains(have, name) })
}
