package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

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
