package schema

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mailcote/storage/disk"
	"mailcote/testkit/failpoint"
)

// ErrNoRoom says that the disk has no room for the copy of an older store.
// Nothing was changed.
var ErrNoRoom = errors.New("there is no room to copy the store before it is migrated")

// Plan says what bringing an older store to the newest schema takes.
type Plan struct {
	From, To int
	Backup   string        // the copy that is made first
	Disk     int64         // bytes it needs
	Time     time.Duration // roughly
}

// Options of Migrate.
type Options struct {
	// Begin is told before anything is done to an older store; nil: nobody
	// asks.
	Begin func(Plan)
	// Space says what room a file's directory has; nil: disk.Of.
	Space func(path string) (disk.Space, error)
}

// pace is how many bytes of a store a slow disk copies once and reads twice
// more in a second.
const pace = 25 << 20

// Migrate brings the store to the newest schema in one transaction, after a
// copy of an older store. Errors: ErrNoRoom, and those of Check.
func Migrate(ctx context.Context, db *sql.DB, path string, o Options) error {
	if err := Check(ctx, db, path); err != nil && !errors.Is(err, errEmpty) {
		return err
	}
	var have int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	texts, err := migrations()
	if err != nil {
		return err
	}
	if have == len(texts) {
		return nil
	}
	if have > 0 {
		plan, err := o.plan(ctx, db, path, have, len(texts))
		if err != nil {
			return err
		}
		if o.Begin != nil {
			o.Begin(plan)
		}
		if err := copyBefore(ctx, db, plan.Backup); err != nil {
			return err
		}
	}
	if err := apply(ctx, db, have, texts[have:]); err != nil {
		return fmt.Errorf("migrate to schema %d: %w", len(texts), err)
	}
	return nil
}

// plan says what a migration takes, and refuses one that the disk has no room
// for.
func (o Options) plan(ctx context.Context, db *sql.DB, path string, from, to int) (Plan, error) {
	p := Plan{From: from, To: to, Backup: Backup(path, from)}
	if err := db.QueryRowContext(ctx, `SELECT (p.page_count - f.freelist_count) * s.page_size
		FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s`).Scan(&p.Disk); err != nil {
		return p, fmt.Errorf("measure the store: %w", err)
	}
	p.Disk += p.Disk/16 + 1<<20 // the log, and the small tables that are made anew
	p.Time = max(time.Duration(float64(p.Disk)/pace*float64(time.Second)).Round(time.Second), time.Second)
	of := o.Space
	if of == nil {
		of = disk.Of
	}
	space, err := of(path)
	if err == nil && space.Size > 0 && space.Free < p.Disk { // a system that does not tell is not asked
		return p, fmt.Errorf("%w: %s has %s free, and %s are needed: make room and try again", ErrNoRoom,
			filepath.Dir(path), disk.Octets(space.Free), disk.Octets(p.Disk))
	}
	return p, nil
}

// UpgradedAt is the key of the fact when the store was first opened after the
// last migration.
const UpgradedAt = "upgraded_at"

// Backup is the name of the copy of the store at path, made when it had that
// schema.
func Backup(path string, version int) string { return fmt.Sprintf("%s.v%d.bak", path, version) }

// copyBefore copies the store into a file that only its owner can read. The
// copy is whole on the disk before it gets its name. One of that name was made
// before a migration that was undone, by a kill or an error, so the store holds
// all that it does.
func copyBefore(ctx context.Context, db *sql.DB, path string) (err error) {
	temp := path + ".new"
	defer func() {
		if err != nil {
			err = fmt.Errorf("copy the store before migrating it: %w", err)
		}
	}()
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", temp)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	failpoint.Hit("schema.beforeRename")
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return disk.SyncDir(path)
}

// apply runs the migrations behind schema have on a connection without foreign
// keys. With them, DROP TABLE would first delete every row that refers to the
// table, and inside a transaction they cannot be switched off.
func apply(ctx context.Context, db *sql.DB, have int, texts []string) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	defer func() { err = errors.Join(err, foreignKeys(context.WithoutCancel(ctx), conn, true)) }()
	if err := foreignKeys(ctx, conn, false); err != nil {
		return err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	before, err := broken(ctx, tx)
	if err != nil {
		return err
	}
	for i, text := range texts {
		if err := step(ctx, tx, have+i+1, text); err != nil {
			return fmt.Errorf("step %d: %w", have+i+1, err)
		}
	}
	after, err := broken(ctx, tx)
	if err != nil {
		return err
	}
	for reference, n := range after {
		if n > before[reference] {
			return fmt.Errorf("%d rows of %s would refer to nothing, so the store stays as it was",
				n-before[reference], reference)
		}
	}
	failpoint.Hit("schema.beforeCommit")
	if err := tx.Commit(); err != nil {
		return err
	}
	failpoint.Hit("schema.afterCommit")
	return nil
}

// foreignKeys switches foreign keys and makes sure of it: where it cannot be
// done SQLite says nothing.
func foreignKeys(ctx context.Context, conn *sql.Conn, on bool) error {
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA foreign_keys = %t", on)); err != nil {
		return fmt.Errorf("switch foreign keys: %w", err)
	}
	var is bool
	if err := conn.QueryRowContext(ctx, "PRAGMA foreign_keys").Scan(&is); err != nil {
		return fmt.Errorf("switch foreign keys: %w", err)
	}
	if is != on {
		return fmt.Errorf("switch foreign keys: SQLite leaves them as they are")
	}
	return nil
}

// step is one migration.
func step(ctx context.Context, tx *sql.Tx, version int, text string) error {
	if version == 2 {
		if err := splitCopies(ctx, tx); err != nil {
			return fmt.Errorf("give each copy of a message an email of its own: %w", err)
		}
	}
	if err := run(ctx, tx, text); err != nil {
		return err
	}
	if version == 1 {
		if err := found(ctx, tx); err != nil {
			return err
		}
		// the copy is a new one
	} else if _, err := tx.ExecContext(ctx, `DELETE FROM meta WHERE key = ?`, UpgradedAt); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
	return err
}

// found notes the first facts of a new store.
func found(ctx context.Context, tx *sql.Tx) error {
	var id [16]byte
	rand.Read(id[:]) //nolint:errcheck // it never fails (crypto/rand)
	if _, err := tx.ExecContext(ctx, `INSERT INTO meta (key, value)
		VALUES ('store_id', ?), ('epoch', 1), ('change_no', 0), ('indexed_email', 0), ('created_at', ?)`,
		hex.EncodeToString(id[:]), time.Now().UnixMilli()); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", ApplicationID))
	return err
}

// broken counts the rows that refer to nothing, by table and what it refers to.
// A store may have had some before.
func broken(ctx context.Context, tx *sql.Tx) (map[string]int, error) {
	rows, err := tx.QueryContext(ctx,
		`SELECT "table" || ' to ' || parent, count(*) FROM pragma_foreign_key_check GROUP BY 1`)
	if err != nil {
		return nil, fmt.Errorf("check references: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err has what matters
	counts := map[string]int{}
	for rows.Next() {
		var reference string
		var n int
		if err := rows.Scan(&reference, &n); err != nil {
			return nil, fmt.Errorf("check references: %w", err)
		}
		counts[reference] = n
	}
	return counts, rows.Err()
}
