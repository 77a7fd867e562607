package copying

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailcote/storage/disk"
	"mailcote/storage/internal/schema"
	"mailcote/testkit/failpoint"
)

// What callers can tell apart.
var (
	// ErrName says that a copy was to have a name that the store uses itself.
	ErrName = errors.New("the name is one that the store uses itself")
	// ErrForeign says that something is in the copy's place that is no file
	// of ours to replace.
	ErrForeign = errors.New("it is no file that may be replaced")
	// ErrNoRoom says that the disk has no room for the copy.
	ErrNoRoom = errors.New("there is no room for the copy")
	// ErrRaced says that another copy was made under the same name at the same
	// time.
	ErrRaced = errors.New("another copy is being made under this name")
)

const partialSuffix = ".partial" // of a copy that is being made

// Options of Backup.
type Options struct {
	Checks
	Force    bool // replace a file that is there
	Progress Progress
	Space    func(path string) (disk.Space, error) // nil: disk.Of
}

// Backup copies the store at path, which conn reads, into the file to, and
// gives what the copy holds. Errors: ErrName, ErrForeign, ErrNoRoom, ErrRaced,
// ErrUnsound, fs.ErrExist, SQLite's own.
func Backup(ctx context.Context, conn *sql.Conn, path, to string, o Options) (f Facts, err error) {
	partial := to + partialSuffix
	if err := o.fit(path, to, partial); err != nil {
		return f, err
	}
	file, err := fresh(partial)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	defer func() {
		if err != nil && !errors.Is(err, ErrRaced) {
			err = errors.Join(err, removeSet(partial))
		}
	}()
	if err := snapshot(ctx, conn, func() (err error) {
		if f, err = factsOf(ctx, conn); err != nil {
			return err
		}
		if err := o.room(ctx, conn, to); err != nil {
			return err
		}
		return pages(ctx, conn, partial, o.Progress)
	}); err != nil {
		return f, err
	}
	failpoint.Hit("copying.copied")
	f.CopiedAt = time.Now().UTC().Truncate(time.Millisecond)
	if err := stamp(ctx, partial, f.CopiedAt, max(f.Epoch, f.floor)); err != nil {
		return f, err
	}
	if err := o.verify(ctx, partial, &f, conn); err != nil {
		return f, fmt.Errorf("verify the copy: %w", err)
	}
	if err := file.Sync(); err != nil {
		return f, err
	}
	if !leadsTo(partial, file) {
		return f, fmt.Errorf("%s: %w", partial, ErrRaced)
	}
	if err := o.vacant(to); err != nil { // it may have come meanwhile
		return f, err
	}
	failpoint.Hit("copying.beforeName")
	if err := o.name(partial, to); err != nil {
		return f, err
	}
	return f, disk.SyncDir(to)
}

// name gives a finished copy its name. A rename would replace a file that came
// after it was looked for, so only Force renames. Linking refuses such a name.
func (o Options) name(partial, to string) error {
	if o.Force {
		return os.Rename(partial, to)
	}
	err := os.Link(partial, to)
	switch {
	case err == nil:
		_ = os.Remove(partial) //nolint:errcheck // the copy is whole and has its name; the next one removes it
		return nil
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s: %w", to, fs.ErrExist)
	}
	// The file system has no links. The name is taken first, and then replaced.
	taken, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("%s: %w", to, err)
	}
	if err := errors.Join(taken.Close(), os.Rename(partial, to)); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// fit refuses a name that cannot be the copy's.
func (o Options) fit(path, to, partial string) error {
	for _, name := range []string{to, partial} {
		if Reserved(path, name) {
			return fmt.Errorf("%s: %w", name, ErrName)
		}
	}
	if err := o.vacant(to); err != nil {
		return err
	}
	info, err := os.Lstat(partial)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || !unfinished(partial) {
		return fmt.Errorf("%s: %w", partial, ErrForeign)
	}
	return nil
}

// vacant refuses a file that is there. A log beside it would be taken for the
// copy's.
func (o Options) vacant(to string) error {
	for _, suffix := range []string{logSuffix, journalSuffix} {
		if info, err := os.Lstat(to + suffix); err == nil && info.Size() > 0 {
			return fmt.Errorf("%s: %w", to+suffix, ErrForeign)
		}
	}
	info, err := os.Lstat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: %w", to, ErrForeign)
	case !o.Force:
		return fmt.Errorf("%s: %w", to, fs.ErrExist)
	}
	return nil
}

// unfinished reports whether a file may be a copy that was not finished: a part
// of a store, or nothing yet.
func unfinished(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // it was only read
	var head [100]byte
	n, _ := f.ReadAt(head[:], 0) //nolint:errcheck // what was read decides
	return strings.Trim(string(head[:n]), "\x00") == "" || schema.WasStore(path)
}

// room refuses a copy that the disk has no room for.
func (o Options) room(ctx context.Context, conn *sql.Conn, to string) error {
	var need int64
	if err := conn.QueryRowContext(ctx, `SELECT p.page_count * s.page_size FROM pragma_page_count p,
		pragma_page_size s`).Scan(&need); err != nil {
		return fmt.Errorf("measure the store: %w", err)
	}
	return roomFor(o.Space, to, need)
}

func roomFor(of func(string) (disk.Space, error), to string, need int64) error {
	if of == nil {
		of = disk.Of
	}
	space, err := of(filepath.Dir(to))
	if err == nil && space.Size > 0 && space.Free < need { // a system that does not tell is not asked
		return fmt.Errorf("%w: %s has %s free, and %s are needed", ErrNoRoom, filepath.Dir(to),
			disk.Octets(space.Free), disk.Octets(need))
	}
	return nil
}

// Reserved reports whether a file is one of the store at path, or has a name
// that the store, or its replacement, uses beside it.
func Reserved(path, name string) bool {
	a, errA := os.Stat(path)
	b, errB := os.Stat(name)
	if errA == nil && errB == nil && os.SameFile(a, b) {
		return true
	}
	a, errA = os.Stat(filepath.Dir(path))
	b, errB = os.Stat(filepath.Dir(name))
	if errA != nil || errB != nil || !os.SameFile(a, b) {
		return false
	}
	// some systems do not tell them apart
	rest, ok := strings.CutPrefix(strings.ToLower(filepath.Base(name)), strings.ToLower(filepath.Base(path)))
	return ok && (strings.HasPrefix(rest, ".salvage") || slices.Contains([]string{"", logSuffix, shareSuffix,
		journalSuffix, ".lock", ".owner", ".secrets", ".state", newSuffix, oldSuffix}, rest))
}

// leadsTo reports whether a path still leads to an open file.
func leadsTo(path string, f *os.File) bool {
	ours, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(ours, there)
}
