// Package schema is the shape of the store: numbered forward-only migrations,
// how an empty file gets its lasting settings, and which files are refused.
//
// What always holds: number n brings user_version n-1 to n. A store goes to the
// newest in one transaction, after a copy of it. A file that is no store, and a
// store that a newer program made, are not touched. A migration that was
// released is never edited.
package schema

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"math/bits"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"mailcote/testkit/failpoint"
)

//go:embed *.sql
var files embed.FS

const (
	// ApplicationID marks the file as a store: "mcot".
	ApplicationID = 0x6d636f74
	// PageSize is in bytes; measured, see docs/decisions/0001-store.md.
	PageSize = 8192
)

// What callers can tell apart.
var (
	// ErrNewer says that a newer mailcote made the store; both versions are in
	// the message.
	ErrNewer = errors.New("the store was made by a newer mailcote")
	// ErrOlder says that the store has an older schema, which only its owner
	// brings up to date.
	ErrOlder = errors.New("the store was made by an older mailcote")
	// ErrNotStore says that the file is no mailcote store.
	ErrNotStore = errors.New("not a mailcote store")
	// ErrCorrupt says that the file is a store and damaged.
	ErrCorrupt = errors.New("the store is damaged")
	// errEmpty says that the file holds nothing yet.
	errEmpty = errors.New("the store is empty: mailcote account add or sync makes it whole")
)

// migrations are the numbered files, in order; number n brings user_version n-1
// to n.
func migrations() ([]string, error) {
	names, err := files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	var texts []string
	for _, name := range names { // ReadDir sorts
		text, err := files.ReadFile(name.Name())
		if err != nil {
			return nil, fmt.Errorf("read migration %s: %w", name.Name(), err)
		}
		texts = append(texts, string(text))
	}
	return texts, nil
}

// Version is the newest schema this program knows.
func Version() int {
	texts, err := migrations()
	if err != nil {
		panic(err) // embedded at build time
	}
	return len(texts)
}

// SearchTable is the statement that makes a search index of that name: rowid is
// email.id, and package query has cut the text into words. Contentless: snippets
// come from the blob.
func SearchTable(name string) string {
	return `CREATE VIRTUAL TABLE ` + name + ` USING fts5 (
  subject, people, text, attachments,
  content = '', contentless_delete = 1, tokenize = "ascii"
)`
}

// Create gives an empty file its lasting settings. They only take in this
// order, on the first connection, before any table. dsn sets a busy_timeout:
// after a crash, a reader may be bringing the WAL back at this
// moment.
func Create(ctx context.Context, dsn, path string) error {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	defer db.Close() //nolint:errcheck // nothing was written through it when an error is on its way
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	defer conn.Close() //nolint:errcheck // as above
	var pages int
	if err := conn.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages); err != nil {
		return notStore(path, err)
	}
	if pages > 0 { // the connections that write turn a file into WAL mode: another program's file is refused before
		if err := Check(ctx, db, path); !errors.Is(err, errEmpty) {
			return err
		}
		return nil
	}
	for _, statement := range []string{
		fmt.Sprintf("PRAGMA page_size = %d", PageSize),
		"PRAGMA auto_vacuum = INCREMENTAL",
		"PRAGMA journal_mode = WAL",
		"PRAGMA synchronous = FULL",
	} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("create store: %w", err)
		}
	}
	failpoint.Hit("schema.created")
	var size, vacuum int
	var mode string
	if err := errors.Join(
		conn.QueryRowContext(ctx, "PRAGMA page_size").Scan(&size),
		conn.QueryRowContext(ctx, "PRAGMA auto_vacuum").Scan(&vacuum),
		conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode),
	); err != nil {
		return fmt.Errorf("create store: %w", err)
	}
	if size != PageSize || vacuum != 2 || mode != "wal" {
		return fmt.Errorf("create store: the file took page_size %d, auto_vacuum %d, journal_mode %s instead of %d, "+
			"2, wal: is it on a local disk?", size, vacuum, mode, PageSize)
	}
	return nil
}

// Check refuses files that are no store and stores that are newer than this
// program.
func Check(ctx context.Context, db *sql.DB, path string) error {
	var engine string
	if err := db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&engine); err != nil {
		return notStore(path, err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(engine, "%d.%d", &major, &minor); err != nil || major != 3 || minor < 53 {
		return fmt.Errorf("SQLite %s has the WAL-reset defect; 3.53 or newer is needed", engine)
	}
	var app, version, pages int
	if err := errors.Join(
		db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&app),
		db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version),
		db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&pages),
	); err != nil {
		return notStore(path, err)
	}
	if pages == 0 && app == 0 && version == 0 {
		return fmt.Errorf("%w: %s: %w", ErrNotStore, path, errEmpty)
	}
	// Another program's file has quite another mark, or none of our tables.
	if (app != ApplicationID || version == 0) && bits.OnesCount32(uint32(app)^ApplicationID) <= 8 && WasStore(path) {
		return fmt.Errorf("%w: %s: its first page says that it is no store", ErrCorrupt, path)
	}
	if app != ApplicationID {
		return fmt.Errorf("%w: %s belongs to another program: name another file with --store", ErrNotStore, path)
	}
	if newest := Version(); version > newest {
		return fmt.Errorf("%w: %s has schema %d, this program knows %d: update mailcote", ErrNewer, path, version,
			newest)
	}
	return nil
}

// Readable is Check for a reader, which cannot bring an older
// store up to date.
func Readable(ctx context.Context, db *sql.DB, path string) error {
	if err := Check(ctx, db, path); err != nil {
		return err
	}
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return notStore(path, err)
	}
	if newest := Version(); version < newest {
		return fmt.Errorf("%w: %s has schema %d, this program reads %d: stop the older mailcote if it runs, "+
			"then mailcote sync or mailcote run brings it up to date", ErrOlder, path, version, newest)
	}
	return nil
}

// Empty reports whether an error of Check says that the file holds nothing yet.
func Empty(err error) bool { return errors.Is(err, errEmpty) }

func notStore(path string, err error) error {
	var se *sqlite.Error
	if errors.As(err, &se) && se.Code()&0xff == lib.SQLITE_NOTADB && !WasStore(path) {
		return fmt.Errorf("%w: %s is not an SQLite file: name another file with --store", ErrNotStore, path)
	}
	// a store has a log; only its making, or another program, has a journal
	if se != nil && se.Code() == lib.SQLITE_READONLY_ROLLBACK {
		return fmt.Errorf("%w: %s: its making was interrupted: mailcote account add or sync makes it whole",
			ErrNotStore, path)
	}
	return fmt.Errorf("open store %s: %w", path, err)
}
