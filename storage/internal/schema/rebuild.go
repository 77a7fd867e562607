package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"mailcote/testkit/failpoint"
)

// A line that begins with directive is an order to run, not SQL.
const directive = "\n--! "

// run runs a migration's text. The line "--! replace NAME" puts the table
// NAME_rebuilt, which the text has made and filled, in the place of NAME.
func run(ctx context.Context, tx *sql.Tx, text string) error {
	parts := strings.Split("\n"+text, directive)
	if _, err := tx.ExecContext(ctx, parts[0]); err != nil {
		return err
	}
	for _, part := range parts[1:] {
		order, rest, _ := strings.Cut(part, "\n")
		table, ok := strings.CutPrefix(order, "replace ")
		if !ok {
			return fmt.Errorf("unknown order %q", order)
		}
		if err := replace(ctx, tx, table); err != nil {
			return fmt.Errorf("replace table %s: %w", table, err)
		}
		if _, err := tx.ExecContext(ctx, rest); err != nil {
			return err
		}
	}
	return nil
}

// object is an index, a trigger or a view.
type object struct{ kind, name, text string }

// replace puts a rebuilt table in the place of the old one. SQLite drops the
// old one's indexes and triggers with it, refuses to rename a table while a
// view names one that is missing, and does not bring any of them back. So the
// old one's indexes and every trigger and view of the store are made again from
// their own text, whatever they name.
func replace(ctx context.Context, tx *sql.Tx, table string) error {
	rebuilt := table + "_rebuilt"
	all, err := around(ctx, tx, table)
	if err != nil {
		return err
	}
	for _, one := range all {
		if one.kind == "index" { // goes with its table
			continue
		}
		if _, err := tx.ExecContext(ctx, fmt.Sprintf(`DROP %s "%s"`, one.kind, one.name)); err != nil {
			return err
		}
	}
	failpoint.Hit("schema.beforeDrop")
	for _, statement := range []string{
		// A key that was given out once must not be again, so the old table's
		// sequence goes on. The renaming renames it, too.
		`DELETE FROM sqlite_sequence WHERE name = '` + rebuilt + `'
			AND EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = '` + table + `')`,
		`UPDATE sqlite_sequence SET name = '` + rebuilt + `' WHERE name = '` + table + `'`,
		`DROP TABLE "` + table + `"`,
		`ALTER TABLE "` + rebuilt + `" RENAME TO "` + table + `"`,
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	failpoint.Hit("schema.renamed")
	for _, one := range all {
		if _, err := tx.ExecContext(ctx, one.text); err != nil {
			return fmt.Errorf("make %s %s again: %w", one.kind, one.name, err)
		}
	}
	failpoint.Hit("schema.remade")
	return nil
}

// around lists what goes with a table or may name it, in the order in which it
// was made.
func around(ctx context.Context, tx *sql.Tx, table string) (all []object, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT type, name, sql FROM sqlite_schema WHERE type IN ('trigger', 'view')
		OR type = 'index' AND tbl_name = ? AND sql IS NOT NULL ORDER BY rowid`, table)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var one object
		if err := rows.Scan(&one.kind, &one.name, &one.text); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		all = append(all, one)
	}
	return all, errors.Join(rows.Err(), rows.Close())
}
