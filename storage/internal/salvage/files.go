package salvage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"mailcote/storage/disk"
	"mailcote/storage/owner"
	"mailcote/testkit/failpoint"
)

const (
	fillSuffix    = ".salvage"       // the new store while it is being filled; worth nothing
	doneSuffix    = ".salvaged"      // the new store, whole: it takes the old one's place
	keptSuffix    = ".corrupt-"      // before a time: the copy of the damaged one, which stays
	asideSuffix   = ".salvage.aside" // the copy of the damaged one until it has its lasting name
	firstSuffix   = ".first"         // beside that: where its first page is made
	sourceSuffix  = ".source"        // beside the new store: a copy of the damaged one, made readable
	logSuffix     = "-wal"
	shareSuffix   = "-shm"
	journalSuffix = "-journal"
)

// keep gives the copy of the damaged store its lasting name,
// <store>.corrupt-<time>.
func keep(path string, at time.Time) (string, error) {
	name := path + keptSuffix + at.UTC().Format("20060102-150405")
	for n := 2; ; n++ {
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return "", err
		}
		name = fmt.Sprintf("%s%s%s-%d", path, keptSuffix, at.UTC().Format("20060102-150405"), n)
	}
	// The log first: without it the copy would look whole and lack what was
	// committed last.
	if err := os.Rename(path+asideSuffix+logSuffix, name+logSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.Rename(path+asideSuffix, name); err != nil {
		return "", err
	}
	return name, disk.SyncDir(path)
}

// discard removes what a salvage that failed or was killed has left.
func discard(path string) error {
	return errors.Join(removeSet(path+fillSuffix), removeSet(path+fillSuffix+sourceSuffix),
		removeSet(path+fillSuffix+sourceSuffix+firstSuffix), removeSet(path+asideSuffix))
}

// copySet copies a store and its log, if there is one. What is there of a copy
// that failed goes again.
func copySet(from, to string) error {
	if err := copyFile(from, to); err != nil {
		return err
	}
	if err := copyFile(from+logSuffix, to+logSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, os.Remove(to))
	}
	return disk.SyncDir(to)
}

// copyFile makes a file that only its owner can read; on the disk when it
// returns.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was only read
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// commit gives a store that is whole the name that decides, and puts it in
// place.
func commit(ctx context.Context, path string) error {
	if err := os.Rename(path+fillSuffix, path+doneSuffix); err != nil {
		return err
	}
	if err := disk.SyncDir(path); err != nil {
		return err
	}
	failpoint.Hit("salvage.decided")
	_, err := Finish(ctx, path)
	return err
}

// Finish puts a salvaged store in place, if one waits for it and nothing is
// lost by it, and reports whether it did. The old one's log goes first, on the
// disk too: it would be taken for the new one's.
func Finish(ctx context.Context, path string) (bool, error) {
	done := path + doneSuffix
	if err := owner.Inspect(done); errors.Is(err, fs.ErrNotExist) {
		return false, discard(path)
	} else if err != nil {
		return false, err
	}
	if err := fit(ctx, done); err != nil {
		return false, err
	}
	if ok, err := expendable(path); err != nil {
		return false, fmt.Errorf("put the salvaged store in place: %w", err)
	} else if !ok {
		return false, fmt.Errorf("%[2]s waits to take the place of %[1]s, but no %[1]s%[3]s* is the same as that: "+
			"another store was put there, or the copy was removed. "+
			"Nothing was changed: to go on with %[1]s remove %[2]s; to use what was saved move %[1]s and %[1]s%[4]s "+
			"away", path, done, keptSuffix, logSuffix)
	}
	for _, suffix := range []string{logSuffix, shareSuffix} {
		if err := remove(path + suffix); err != nil {
			return false, fmt.Errorf("put the salvaged store in place: %w", err)
		}
	}
	if err := disk.SyncDir(path); err != nil {
		return false, fmt.Errorf("put the salvaged store in place: %w", err)
	}
	failpoint.Hit("salvage.beforeReplace")
	if err := os.Rename(done, path); err != nil {
		return false, fmt.Errorf("put the salvaged store in place: %w", err)
	}
	return true, disk.SyncDir(path)
}

// remove removes a file that may be missing.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// removeSet removes a store that nobody needs, with what SQLite put beside it.
func removeSet(path string) error {
	return errors.Join(remove(path), remove(path+logSuffix), remove(path+shareSuffix), remove(path+journalSuffix))
}

// tidy removes what reading a copy put beside it.
func tidy(path string) error {
	if info, err := os.Stat(path + logSuffix); err == nil && info.Size() == 0 {
		return errors.Join(remove(path+logSuffix), remove(path+shareSuffix))
	}
	return remove(path + shareSuffix)
}

// full says that the disk, or what this user may take of it, is full.
func full(err error) bool {
	var se *sqlite.Error
	return disk.Full(err) || errors.As(err, &se) && se.Code()&0xff == lib.SQLITE_FULL
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// sizeOf is how many bytes the files of a store take.
func sizeOf(path string) (n int64) {
	for _, name := range []string{path, path + logSuffix} {
		if info, err := os.Stat(name); err == nil {
			n += info.Size()
		}
	}
	return n
}

// uri is a file: URI with a query, as the driver wants it.
func uri(path, query string) string {
	path = filepath.ToSlash(path)
	if path[0] != '/' {
		path = "/" + path
	}
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path) + "?" + query
}
