package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mailcote/storage/internal/copying"
	"mailcote/storage/internal/file"
	"mailcote/storage/internal/schema"
)

// backupAge is how long the copy made before a migration stays, counted from
// the first start after the migration. A store that turns out to be damaged
// meanwhile is replaced by a new one. Its time begins anew.
const backupAge = 7 * 24 * time.Hour

// dropBackups removes the copies that migrations have left, when the store has
// opened well for long enough. What it cannot remove is tried again at the next
// start; a warning says so.
func dropBackups(ctx context.Context, s *Store) (warnings []string) {
	var copies []string
	for version := 1; version < schema.Version(); version++ {
		name := schema.Backup(s.Path(), version)
		if _, err := os.Lstat(name); err == nil {
			copies = append(copies, name)
		}
	}
	if len(copies) == 0 {
		return nil
	}
	var over bool
	if err := s.Write(ctx, Interactive, 0, func(w *Writer) (err error) {
		over, err = w.backupsOver(now())
		return err
	}); err != nil || !over {
		return nil
	}
	for _, name := range copies {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			warnings = append(warnings,
				fmt.Sprintf("the copy %s is not needed any more and cannot be removed: %v", name, err))
		}
	}
	return warnings
}

// backupsOver reports whether the copies have been kept for long enough by the
// wall clock at, if that is believed. The first call after a migration starts
// the time.
func (w *Writer) backupsOver(at time.Time) (bool, error) {
	var since int64
	err := w.tx.QueryRow(`SELECT value FROM meta WHERE key = ?`, schema.UpgradedAt).Scan(&since)
	if errors.Is(err, sql.ErrNoRows) || err == nil && since > millis(at) {
		_, err := w.tx.Exec(`INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE
			SET value = excluded.value`,
			schema.UpgradedAt, millis(at))
		return false, explain("note the first start after a migration", err)
	}
	if err != nil {
		return false, explain("read when the store was migrated", err)
	}
	known, doubted, err := w.sweptAt()
	if err != nil {
		return false, err
	}
	ok, _ := believed(millis(at), known, doubted)
	return ok && millis(at)-since >= backupAge.Milliseconds(), nil
}

// backupSnapshot is how old the snapshot of a backup may grow while much is
// written. Bulk writing rests meanwhile, as soon as the log is long.
const backupSnapshot = time.Hour

// What Backup and Restore refuse.
var (
	// ErrCopyName says that a copy of the store has, or was to have, a name
	// that the store uses itself.
	ErrCopyName = copying.ErrName
	// ErrCopyForeign says that something is in the way that is no file, or
	// that was not made by a backup.
	ErrCopyForeign = copying.ErrForeign
	// ErrCopyRaced says that two backups are made under one name.
	ErrCopyRaced = copying.ErrRaced
	// ErrCopyUnsound says that a copy is damaged. It is not used.
	ErrCopyUnsound = copying.ErrUnsound
	// ErrCopyUnusable says that a file is nothing that can be restored.
	ErrCopyUnusable = copying.ErrUnusable
	// ErrStoreRead says that a reader keeps the store from being replaced.
	ErrStoreRead = copying.ErrRead
)

// CopyFacts are what a store, or a copy of one, holds.
type CopyFacts = copying.Facts

// BackupOptions say how a backup is made.
type BackupOptions struct {
	Force    bool                    // replace a file that is there
	Progress func(done, total int64) // is told how many of how many pages were copied; nil: nobody asks
}

// Backup writes a copy of the store into the file to. The copy is the store as
// it was at one COMMIT. It may be made beside an owner that writes, and takes
// as long as reading the store does: commits do not make it begin anew. It is
// verified and has its name only then. It is stamped: see beginEpoch.
//
// Errors: ErrCopyName, ErrCopyForeign, ErrCopyRaced, ErrCopyUnsound,
// fs.ErrExist, ErrFull, ErrSnapshotTooOld, or ctx's.
func Backup(ctx context.Context, s *Store, to string, o BackupOptions) (f CopyFacts, err error) {
	if to, err = filepath.Abs(to); err != nil {
		return f, fmt.Errorf("back up: %w", err)
	}
	limits := s.file.Limits()
	limits.Snapshot = backupSnapshot
	fresh, err := s.file.Fresh(ctx, limits, 1)
	if err != nil {
		return f, fmt.Errorf("back up: %w", err)
	}
	defer fresh.Close() //nolint:errcheck // it only read
	err = fresh.ReadAlone(ctx, func(ctx context.Context, conn *sql.Conn) (err error) {
		f, err = copying.Backup(ctx, conn, s.Path(), to,
			copying.Options{Checks: copyChecks(), Force: o.Force, Progress: o.Progress, Space: limits.Space})
		return err
	})
	return f, copyError("back up", err)
}

// copyError wraps an error of package copying.
func copyError(what string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, copying.ErrNoRoom) {
		return fmt.Errorf("%s: %w: %w", what, ErrFull, err)
	}
	if errors.Is(err, copying.ErrUnusable) { // it is not the store's
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, file.Mark(err))
}

func copyChecks() copying.Checks {
	return copying.Checks{Excused: ofIndex, Blob: func(ctx context.Context, tx *sql.Tx, blob int64) error {
		raw, _, err := (&Reader{file.SnapshotOf(ctx, tx)}).OpenBlob(BlobID(blob))
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, raw)
		return errors.Join(err, raw.Close())
	}}
}
