package salvage

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"mailcote/storage/internal/schema"
)

// described reports whether the damaged store still knows its tables, those of
// the first schema at least.
func described(ctx context.Context, old, made *sql.DB) (bool, error) {
	rows, err := old.QueryContext(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table'`)
	if err != nil {
		return false, ctx.Err()
	}
	names, err := texts(rows)
	if err != nil {
		return false, ctx.Err()
	}
	for _, name := range []string{"meta", "account", "mailbox", "blob", "blob_piece", "thread", "email", "entry"} {
		want, err := columns(ctx, made, name)
		if err != nil {
			return false, err
		}
		if !slices.Contains(names, name) {
			return false, nil
		}
		if have, err := columns(ctx, old, name); err != nil || len(common(have, want)) == 0 {
			return false, ctx.Err()
		}
	}
	return true, nil
}

// redescribe gives a store that forgot its tables a first page that names them.
// In a file that can be vacuumed a new table's root is the page after the last
// root, so the same migrations put each at the same page in every store: where
// the new store has it. Those after the search index are left out: one that was
// renewed has moved them.
func redescribe(ctx context.Context, path string, made *sql.DB, noLog bool) error {
	if noLog {
		if err := remove(path + logSuffix); err != nil {
			return err
		}
	}
	// The log goes into the file first: it may hold a first page of its own.
	db, err := sql.Open("sqlite", uri(path, "mode=rw&_pragma=busy_timeout(5000)"))
	if err != nil {
		return err
	}
	_, checkpoint := db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	if err := db.Close(); err != nil && checkpoint == nil {
		return err
	}
	if err := errors.Join(remove(path+logSuffix), remove(path+shareSuffix)); err != nil {
		return err
	}
	page, err := firstPage(ctx, path+firstSuffix, made)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // the copy is worth nothing if it cannot be read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	pages := max(uint32(info.Size()/schema.PageSize), binary.BigEndian.Uint32(page[lastRootAt:]))
	binary.BigEndian.PutUint32(page[pagesAt:], pages)
	if _, err := f.WriteAt(page, 0); err != nil {
		return err
	}
	return f.Truncate(int64(pages) * schema.PageSize)
}

const lastRootAt = 52 // the number of the last root page

// firstPage makes the first page of a store that has the new one's tables at
// the new one's places, in short words: no rule, no index. It is made in a file
// that goes again.
func firstPage(ctx context.Context, path string, made *sql.DB) (page []byte, err error) {
	defer func() { err = errors.Join(err, removeSet(path)) }()
	db, err := sql.Open("sqlite", uri(path, "mode=rwc"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	last, err := describe(ctx, db, made)
	if err = errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	page = make([]byte, schema.PageSize)
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	if _, err := f.ReadAt(page, 0); err != nil {
		return nil, err
	}
	for at, want := range fixed() {
		copy(page[at:], want)
	}
	binary.BigEndian.PutUint32(page[lastRootAt:], last)
	return page, nil
}

// describe writes the tables into an empty file's schema and gives the number
// of the last root.
func describe(ctx context.Context, db, made *sql.DB) (last uint32, err error) {
	for _, statement := range []string{fmt.Sprintf("PRAGMA page_size = %d", schema.PageSize),
		"PRAGMA auto_vacuum = INCREMENTAL", "PRAGMA writable_schema = ON"} {
		if _, err := db.ExecContext(ctx, statement); err != nil { // in a DSN the first would not take
			return 0, err
		}
	}
	rows, err := made.QueryContext(ctx, `SELECT s.name, s.rootpage, l.wr FROM sqlite_schema s
		JOIN pragma_table_list l ON l.name = s.name AND l.schema = 'main'
		WHERE s.type = 'table' AND l.type = 'table' AND s.rootpage BETWEEN 1 AND (SELECT rootpage FROM sqlite_schema
		WHERE name = 'search_data')
		AND s.name NOT LIKE 'sqlite%' ORDER BY s.rowid`)
	if err != nil {
		return 0, err
	}
	type found struct {
		name  string
		root  int64
		keyed bool
	}
	var tables []found
	for rows.Next() {
		var one found
		if err := rows.Scan(&one.name, &one.root, &one.keyed); err != nil {
			return 0, errors.Join(err, rows.Close())
		}
		tables = append(tables, one)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, err
	}
	for _, t := range tables {
		text, err := shortly(ctx, made, t.name, t.keyed)
		if err != nil {
			return 0, err
		}
		if _, err := db.ExecContext(ctx, `INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql)
			VALUES ('table', ?1, ?1, ?2, ?3)`, t.name, t.root, text); err != nil {
			return 0, err
		}
	}
	return last, made.QueryRowContext(ctx, `SELECT max(rootpage) FROM sqlite_schema`).Scan(&last)
}

// shortly writes a table's columns and key and nothing else.
func shortly(ctx context.Context, made *sql.DB, name string, keyed bool) (string, error) {
	rows, err := made.QueryContext(ctx, `SELECT name, type, pk FROM pragma_table_info(?) ORDER BY cid`, name)
	if err != nil {
		return "", err
	}
	defer rows.Close() //nolint:errcheck // rows.Err has what matters
	var parts []string
	key := map[int]string{}
	for rows.Next() {
		var column, kind string
		var pk int
		if err := rows.Scan(&column, &kind, &pk); err != nil {
			return "", err
		}
		if pk > 0 {
			key[pk] = column
		}
		parts = append(parts, column+" "+kind)
	}
	if err := rows.Err(); err != nil {
		return "", err
	}
	end := ")"
	if keyed {
		var names []string
		for n := 1; n <= len(key); n++ {
			names = append(names, key[n])
		}
		parts, end = append(parts, "PRIMARY KEY ("+strings.Join(names, ", ")+")"), ") WITHOUT ROWID"
	} else if len(key) == 1 {
		for i, part := range parts {
			if part == key[1]+" INTEGER" {
				parts[i] += " PRIMARY KEY"
			}
		}
	}
	return "CREATE TABLE " + name + " (" + strings.Join(parts, ", ") + end, nil
}
