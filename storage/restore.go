package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"mailcote/storage/internal/copying"
	"mailcote/storage/internal/file"
	"mailcote/storage/internal/salvage"
	"mailcote/storage/owner"
)

// RestorePlan says what a restore is about to do.
type RestorePlan struct {
	Copy    CopyFacts
	Store   CopyFacts // what is replaced, if Replaces and Unread is nil
	Unread  error     // why the store cannot be read; it is kept as it is
	Schema  int       // the newest that this program knows
	Replace bool      // there is a store
}

// RestoreOptions say how a store is restored.
type RestoreOptions struct {
	Default bool   // as in Options
	Holder  string // as in Options
	// Confirm is asked before anything is done; an error ends the restore.
	Confirm  func(RestorePlan) error
	Progress func(done, total int64) // is told how many of how many pages were copied; nil: nobody asks
}

// Restored says what a restore did.
type Restored struct {
	Copy CopyFacts
	Kept string // the file with what the store was before; "": there was none
}

// Restore puts a copy of the file from in the place of the store at path, which
// nobody may own meanwhile. The copy is checked before. What the store was is
// kept in a file beside it. A kill at any moment leaves the old store or the
// new one. Whoever opens the store next begins a new epoch of the change feed.
//
// Errors: *owner.HeldError, ErrCopyName, ErrCopyUnsound, ErrNotStore, ErrNewer,
// ErrCorrupt, ErrFull, ErrStoreRead, what Confirm returned, what package owner
// refuses, or ctx's.
func Restore(ctx context.Context, from, path string, o RestoreOptions) (r Restored, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return r, fmt.Errorf("store path: %w", err)
	}
	if from, err = filepath.Abs(from); err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	file.UseOFDLocks()
	_, missing := os.Lstat(path)
	if _, err := owner.Prepare(path, o.Default); err != nil {
		return r, err
	}
	lock, err := owner.Acquire(path, o.Holder)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	defer func() {
		// Prepare made an empty store, which nothing has taken the place of.
		if info, failed := os.Lstat(path); err != nil && missing != nil && failed == nil && info.Size() == 0 {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	if _, err := salvage.Finish(ctx, path); err != nil { // as Open does: what it kept is what is replaced
		return r, err
	}
	limits := file.StandardLimits()
	replacement, err := copying.Prepare(ctx, path, from,
		copying.Options{Checks: copyChecks(), Progress: o.Progress, Space: limits.Space})
	if err != nil {
		return r, copyError("restore", err)
	}
	if err := o.Confirm(RestorePlan{Copy: replacement.New, Store: replacement.Old, Unread: replacement.OldErr,
		Schema: SchemaVersion(), Replace: replacement.Size > 0}); err != nil {
		return r, err
	}
	r.Kept, err = replacement.Run(ctx, now())
	r.Copy = replacement.New
	return r, copyError("restore", err)
}

// beginEpoch begins a new epoch of the change feed in a file that was copied
// from a store: the original may have gone on, and its later states would be
// taken for this one's.
func (w *Writer) beginEpoch() error {
	for _, statement := range []string{copying.Renewal, copying.Unstamp} {
		if _, err := w.tx.Exec(statement); err != nil {
			return fmt.Errorf("begin a new epoch: %w", err)
		}
	}
	return nil
}
