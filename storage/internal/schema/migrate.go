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
	"time"

	"mailcote/storage/disk"
	"mailcote/testkit/failpoint"
)

// Migrate brings the store to the newest schema, each step in a transaction, after a copy of an older store.
func Migrate(ctx context.Context, db *sql.DB, path string) error {
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
		backup := fmt.Sprintf("%s.v%d.bak", path, have)
		if err := copyBefore(ctx, db, backup); err != nil {
			return err
		}
	}
	for n := have; n < len(texts); n++ {
		if err := step(ctx, db, n+1, texts[n]); err != nil {
			return fmt.Errorf("migrate to schema %d: %w", n+1, err)
		}
	}
	return nil
}

// copyBefore copies the store into a file that only its owner can read. The copy is whole on the disk before it gets its name.
// One of that name was made before a migration that was undone, by a kill or an error, so the store holds all that it does.
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

func step(ctx context.Context, db *sql.DB, version int, text string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	if _, err := tx.ExecContext(ctx, text); err != nil {
		return err
	}
	if version == 1 {
		var id [16]byte
		rand.Read(id[:]) //nolint:errcheck // it never fails (crypto/rand)
		if _, err := tx.ExecContext(ctx, `INSERT INTO meta (key, value) VALUES ('store_id', ?), ('epoch', 1), ('change_no', 0), ('indexed_email', 0), ('created_at', ?)`,
			hex.EncodeToString(id[:]), time.Now().UnixMilli()); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", ApplicationID)); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		return err
	}
	failpoint.Hit("schema.beforeCommit")
	if err := tx.Commit(); err != nil {
		return err
	}
	failpoint.Hit("schema.afterCommit")
	return nil
}

