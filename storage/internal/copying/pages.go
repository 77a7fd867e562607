package copying

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
)

const (
	logSuffix     = "-wal"
	shareSuffix   = "-shm"
	journalSuffix = "-journal"

	stepPages = 2048 // copied between two looks at the context: 16 MiB
)

// Progress is told how many of how many pages were copied; nil: nobody asks.
type Progress func(done, total int64)

// backuper is a connection of the driver that can copy its database.
type backuper interface {
	NewBackup(destination string) (*sqlite.Backup, error)
}

// pages copies the database of a connection into an empty file. The connection
// has a snapshot. It keeps it to the end, so commits of others do not make the
// copy begin anew.
func pages(ctx context.Context, conn *sql.Conn, to string, progress Progress) error {
	// Nothing of an unfinished copy is used, so it needs no journal, and it is
	// synced once at its end.
	into := uri(to, url.Values{"mode": {"rw"}, "_pragma": {"journal_mode(off)", "synchronous(off)"}})
	return conn.Raw(func(driver any) error {
		from, ok := driver.(backuper)
		if !ok {
			return fmt.Errorf("copy pages: %T cannot", driver)
		}
		b, err := from.NewBackup(into)
		if err != nil {
			return fmt.Errorf("copy pages: %w", err)
		}
		for more := true; more && err == nil; {
			if err = ctx.Err(); err != nil {
				break
			}
			if more, err = b.Step(stepPages); err == nil && progress != nil {
				total := int64(b.PageCount())
				progress(total-int64(b.Remaining()), total)
			}
		}
		if failed := b.Finish(); err == nil {
			err = failed // otherwise it repeats what is known, or says that the copy is not whole
		}
		if err != nil {
			return fmt.Errorf("copy pages: %w", err)
		}
		return nil
	})
}

// snapshot runs fn on a connection that has taken a snapshot.
func snapshot(ctx context.Context, conn *sql.Conn, fn func() error) error {
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return fmt.Errorf("take a snapshot: %w", err)
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") //nolint:errcheck // it has nothing to keep
	var any int
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&any); err != nil {
		return fmt.Errorf("take a snapshot: %w", err)
	}
	return fn()
}

// reading runs fn on a connection to a file that nobody writes.
func reading(ctx context.Context, path string, fn func(*sql.DB, *sql.Conn) error) error {
	query := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)", "query_only(1)", "trusted_schema(0)",
		"cell_size_check(1)", "temp_store(MEMORY)"}}
	if info, err := os.Stat(path + logSuffix); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		query.Set("immutable", "1") // it may be where nothing can be written beside it
	}
	return with(ctx, uri(path, query), fn)
}

// with runs fn on a connection of its own.
func with(ctx context.Context, dsn string, fn func(*sql.DB, *sql.Conn) error) (err error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxIdleConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return fn(db, conn)
}

// fresh makes an empty file that only its owner can read, in the place of one
// that an earlier try left. The caller closes it.
func fresh(path string) (*os.File, error) {
	if err := removeSet(path); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}

// removeSet removes a file that nobody needs, with what SQLite put beside it.
func removeSet(path string) error {
	return errors.Join(remove(path), remove(path+logSuffix), remove(path+shareSuffix), remove(path+journalSuffix))
}

// remove removes a file that may be missing.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// uri is a file: URI with a query, as the driver wants it.
func uri(path string, query url.Values) string {
	path = filepath.ToSlash(path)
	if path[0] != '/' {
		path = "/" + path // file:///C:/…
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	return u.String()
}
