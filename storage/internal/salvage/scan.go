package salvage

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"
)

// damaged reads tables of a store whose pages may be damaged: by row key, and
// past what cannot be read.
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

// each gives every row of a table that can be read, by ascending row key, n at
// a time in memory. Only ctx and give fail it.
func (d *damaged) each(t table, n int, give func(row) error) error {
	if len(t.columns) == 0 {
		return nil
	}
	for from := int64(0); ; {
		rows, next, err := d.some(t, from, n)
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
			ok := false
			if from, ok = d.beyond(t, next); !ok {
				return d.ctx.Err()
			}
		case len(rows) < n, next <= from: // the latter behind the last key there can be
			return nil
		default:
			from = next
		}
	}
}

// some reads at most n rows from a key on. next is that key, or the one behind
// the last row that was read.
func (d *damaged) some(t table, from int64, n int) (all []row, next int64, err error) {
	next = from
	rows, err := d.db.QueryContext(d.ctx, fmt.Sprintf(`SELECT rowid, %s FROM %s NOT INDEXED WHERE rowid >= ?
		ORDER BY rowid LIMIT ?`, strings.Join(t.columns, ", "), t.name), from, n)
	if err != nil {
		return nil, next, err
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
			return all, next, err
		}
		if key < next {
			return all, next, fmt.Errorf("row %d is not before row %d", next-1, key)
		}
		next = key + 1
		one := row{}
		for i, name := range t.columns {
			one[name] = values[i]
		}
		all = append(all, one)
	}
	return all, next, rows.Err()
}

// near is how many keys a gap is searched for one by one: many pages full of
// small rows.
const near = 1 << 14

// beyond finds the least key behind bad from which reading works, if only to
// say that nothing comes any more. Between two damaged pages there may be a
// sound one, so it takes no larger steps while it is near. Then it doubles them
// until something can be read and halves back.
func (d *damaged) beyond(t table, bad int64) (int64, bool) {
	readable := func(from int64) bool {
		_, _, err := d.some(t, from, 1)
		return err == nil
	}
	for n := 0; n < near && bad < math.MaxInt64; n++ {
		if d.ctx.Err() != nil {
			return 0, false
		}
		if bad++; readable(bad) {
			return bad, true
		}
	}
	for step := int64(1); step < 1<<40; step *= 2 {
		if d.ctx.Err() != nil {
			return 0, false
		}
		good := bad + step
		if good < bad {
			return 0, false
		}
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
