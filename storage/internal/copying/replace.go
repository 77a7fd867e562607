package copying

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"time"

	"mailcote/storage/disk"
	"mailcote/storage/internal/schema"
	"mailcote/testkit/failpoint"
)

const (
	newSuffix  = ".restoring"       // the new store while it is made
	oldSuffix  = ".restoring.old"   // the copy of the old one while it is made
	keptSuffix = ".before-restore-" // before a time: the copy of the old one
)

// ErrUnusable says that the file is nothing that can take a store's place.
var ErrUnusable = errors.New("the file cannot be restored")

// ErrRead says that another program reads the store and its log cannot be
// merged meanwhile.
var ErrRead = errors.New("another program is reading the store, so its log cannot be merged now")

// Replacement is a store that is about to be replaced by a copy. The store at
// path has no owner but the caller.
type Replacement struct {
	path, from string
	o          Options
	New        Facts // what the copy holds
	Old        Facts // what the store holds, as far as it can be read
	Size       int64 // bytes of the store; 0: there is none
	OldErr     error // why the store cannot be read
}

// Prepare looks at both files and checks the copy. It changes nothing. Errors:
// ErrName, ErrUnusable with those of schema.Check, ErrUnsound or SQLite's own.
func Prepare(ctx context.Context, path, from string, o Options) (*Replacement, error) {
	if Reserved(path, from) {
		return nil, fmt.Errorf("%s: %w", from, ErrName)
	}
	r := &Replacement{path: path, from: from, o: o}
	err := reading(ctx, from, func(db *sql.DB, conn *sql.Conn) error {
		if err := schema.Check(ctx, db, from); err != nil {
			return err
		}
		if err := quick(ctx, conn, o.Excused); err != nil {
			return err
		}
		var err error
		r.New, err = factsOf(ctx, conn)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	for _, suffix := range []string{"", logSuffix, journalSuffix} {
		if info, err := os.Stat(path + suffix); err == nil {
			r.Size += info.Size()
		}
	}
	if r.Size > 0 {
		r.Old, r.OldErr = Look(ctx, path)
	}
	if errors.Is(r.OldErr, schema.ErrNotStore) && !schema.Empty(r.OldErr) {
		return nil, r.OldErr // it was hardly meant
	}
	return r, nil
}

// Run replaces the store and gives the name of the file that keeps the old one,
// "" when there was none. Errors: ErrNoRoom, ErrRead, ErrUnsound, SQLite's own.
func (r *Replacement) Run(ctx context.Context, at time.Time) (kept string, err error) {
	fromSize, err := sizeOf(r.from)
	if err != nil {
		return "", err
	}
	if err := roomFor(r.o.Space, r.path, fromSize+r.Size); err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeSet(r.path+newSuffix), removeSet(r.path+oldSuffix))
		}
	}()
	if err := r.copyNew(ctx); err != nil {
		return "", err
	}
	failpoint.Hit("copying.newWhole")
	if r.Size > 0 {
		if err := r.merge(ctx); err != nil {
			return "", err
		}
		if kept, err = r.keep(at); err != nil {
			return "", err
		}
	}
	// All of the old log is in the old file, or kept beside its copy. Left
	// here, it would be taken for the new store's.
	for _, suffix := range []string{logSuffix, shareSuffix, journalSuffix} {
		if err := remove(r.path + suffix); err != nil {
			return kept, err
		}
	}
	if err := disk.SyncDir(r.path); err != nil {
		return kept, err
	}
	failpoint.Hit("copying.beforeReplace")
	if err := os.Rename(r.path+newSuffix, r.path); err != nil {
		return kept, err
	}
	failpoint.Hit("copying.replaced")
	return kept, disk.SyncDir(r.path)
}

// copyNew makes the new store beside the old one, stamped and checked.
func (r *Replacement) copyNew(ctx context.Context) error {
	file, err := fresh(r.path + newSuffix)
	if err != nil {
		return err
	}
	err = reading(ctx, r.from, func(_ *sql.DB, conn *sql.Conn) error {
		if err := snapshot(ctx, conn, func() error {
			return pages(ctx, conn, r.path+newSuffix, r.o.Progress)
		}); err != nil {
			return err
		}
		at := r.New.CopiedAt
		if at.IsZero() {
			at = time.Now()
		}
		// The store may have published its own epoch, which is not to come again.
		floor := max(r.New.Epoch, r.New.floor, r.Old.Epoch, r.Old.floor)
		if err := stamp(ctx, r.path+newSuffix, at, floor); err != nil {
			return err
		}
		if err := r.o.verify(ctx, r.path+newSuffix, &r.New, conn); err != nil {
			return fmt.Errorf("verify the new store: %w", err)
		}
		return nil
	})
	return errors.Join(err, file.Sync(), file.Close())
}

// merge brings the old store's log into its file. A store that is damaged keeps
// its log.
func (r *Replacement) merge(ctx context.Context) error {
	query := url.Values{"mode": {"rw"}, "_pragma": {"busy_timeout(5000)", "synchronous(full)"}}
	var busy bool
	err := with(ctx, uri(r.path, query), func(_ *sql.DB, conn *sql.Conn) error {
		var all, done int
		return conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &all, &done)
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil && busy:
		return ErrRead
	case err != nil && r.OldErr == nil:
		return fmt.Errorf("merge the log of the old store: %w", err)
	}
	return nil
}

// keep copies the old store beside itself and gives the copy's name. It stays
// in its place meanwhile.
func (r *Replacement) keep(at time.Time) (string, error) {
	name := r.path + keptSuffix + at.UTC().Format("20060102-150405")
	for n := 2; ; n++ {
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return "", err
		}
		name = fmt.Sprintf("%s%s%s-%d", r.path, keptSuffix, at.UTC().Format("20060102-150405"), n)
	}
	// The log first: without it the copy would look whole and lack what was
	// committed last.
	for _, suffix := range []string{logSuffix, journalSuffix, ""} {
		info, err := os.Lstat(r.path + suffix)
		if errors.Is(err, fs.ErrNotExist) || err == nil && suffix != "" && info.Size() == 0 {
			continue
		}
		if err != nil {
			return "", err
		}
		if err := copyFile(r.path+suffix, r.path+oldSuffix); err != nil {
			return "", fmt.Errorf("keep the old store: %w", err)
		}
		failpoint.Hit("copying.beforeKept")
		if err := os.Rename(r.path+oldSuffix, name+suffix); err != nil {
			return "", err
		}
	}
	return name, disk.SyncDir(r.path)
}

// copyFile makes a file that only its owner can read; on the disk when it
// returns.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was only read
	out, err := fresh(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// sizeOf is how many bytes the files of a store take.
func sizeOf(path string) (n int64, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	n = info.Size()
	if info, err := os.Stat(path + logSuffix); err == nil {
		n += info.Size()
	}
	return n, nil
}
