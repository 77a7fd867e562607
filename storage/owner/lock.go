package owner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"mailcote/testkit/failpoint"
)

const (
	lockSuffix = ".lock"
	// A refusal takes at most the sum of the two.
	peekWait  = 500 * time.Millisecond // for somebody's Holder, which holds the lock shared for an instant
	nameWait  = 250 * time.Millisecond // for an owner that has the lock and is about to write its name
	retryWait = 2 * time.Millisecond
)

// ErrMoved says that the store, or its lock, is no longer the file this process
// owns.
var ErrMoved = errors.New("the store was moved or replaced while in use")

// HeldError says that another process owns the store.
type HeldError struct {
	Holder Info // zero when the holder left no name
	Path   string
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("the store %s is in use by %s: wait for it to end, or stop it", printable(e.Path), e.Holder)
}

// Lock is the ownership of one store. Its methods may be called by one
// goroutine at a time.
type Lock struct {
	path  string
	flock *flock.Flock
	store fs.FileInfo // as seen at Acquire
}

// Acquire makes this process the owner of the prepared store at path until
// Release or its end. command is what people are shown when they ask who holds
// the store; it must not contain secrets. When another process (or another Lock
// of this one) owns the store the answer is a *HeldError within a second.
func Acquire(path, command string) (*Lock, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("owner: locate the store: %w", err)
	}
	store, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("owner: look at the store: %w", err)
	}
	os.SameFile(store, store) // Windows reads a file's identity at the first comparison, and it must be this file's
	held, err := takeLock(path)
	if err != nil {
		return nil, err
	}
	failpoint.Hit("owner.locked")
	info := Info{PID: os.Getpid(), Command: command, Started: time.Now().Truncate(time.Second), BootID: bootID()}
	if err := writeInfo(path, info); err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return &Lock{path: path, flock: held, store: store}, nil
}

func takeLock(path string) (*flock.Flock, error) {
	name := path + lockSuffix
	for deadline := time.Now().Add(peekWait); ; time.Sleep(retryWait) {
		if info, err := os.Lstat(name); err == nil {
			if err := thisProcess().check(name, info); err != nil {
				return nil, err
			}
		}
		held := flock.New(name, flock.SetFlag(os.O_CREATE|os.O_RDWR|noFollow), flock.SetPermissions(0o600))
		got, err := held.TryLock()
		if err != nil {
			return nil, fmt.Errorf("owner: lock the store: %w", err)
		}
		same := false
		if got {
			if same, err = sameLock(held, name); err != nil {
				return nil, errors.Join(fmt.Errorf("owner: lock the store: %w", err), held.Close())
			}
		}
		if same {
			return held, nil
		}
		if got { // somebody removed the lock file in this instant: what we hold excludes nobody
			if err := held.Close(); err != nil {
				return nil, fmt.Errorf("owner: lock the store: %w", err)
			}
		}
		if (!got && isHeld(path)) || time.Now().After(deadline) {
			return nil, &HeldError{Holder: holderOf(path), Path: path}
		}
	}
}

// sameLock reports whether name leads to the file that is locked. An error says
// that it cannot be known now.
func sameLock(held *flock.Flock, name string) (bool, error) {
	ours, err := held.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(ours, there), err
}

// isHeld reports whether somebody holds the lock exclusively, by asking for it
// shared for an instant.
func isHeld(path string) bool {
	peek := flock.New(path+lockSuffix, flock.SetFlag(os.O_RDONLY|noFollow|noBlock))
	got, err := peek.TryRLock()
	if got {
		_ = peek.Close() // a descriptor that was only read
	}
	return err == nil && !got
}

func holderOf(path string) Info {
	for deadline := time.Now().Add(nameWait); ; time.Sleep(retryWait) {
		if info, ok := readInfo(path); ok || time.Now().After(deadline) {
			return info
		}
	}
}

// Holder says who owns the store at path now; false when nobody does, or when
// this user may not know. It disturbs neither the holder nor one who is about
// to become it. Info is zero when the holder left no name.
func Holder(path string) (Info, bool) {
	path, err := filepath.Abs(path)
	if err != nil || !isHeld(path) {
		return Info{}, false
	}
	return holderOf(path), true
}

// SameFile checks that the store's path still leads to the file that was there
// at Acquire, and the lock's to the file that is locked. Where another file is
// there, or none, it returns ErrMoved: what SQLite still writes is lost to
// whoever opens the path next, so the caller must stop writing for good.
// Another error says that it cannot be known now.
func (l *Lock) SameFile() error {
	now, err := os.Lstat(l.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("owner: look at the store: %w", err)
	}
	if err != nil || !os.SameFile(now, l.store) {
		return fmt.Errorf("owner: %s: %w", printable(l.path), ErrMoved)
	}
	same, err := sameLock(l.flock, l.path+lockSuffix)
	if err != nil {
		return fmt.Errorf("owner: look at the lock: %w", err)
	}
	if !same {
		return fmt.Errorf("owner: %s: %w", printable(l.path+lockSuffix), ErrMoved)
	}
	return nil
}

// Renew notes that the owner itself put another file in the store's place.
func (l *Lock) Renew() error {
	store, err := os.Lstat(l.path)
	if err != nil {
		return fmt.Errorf("owner: look at the store: %w", err)
	}
	os.SameFile(store, store) // as in Acquire
	l.store = store
	return nil
}

// Release takes the holder's name away and gives the store back. The caller has
// closed SQLite before. A second call does nothing.
func (l *Lock) Release() error {
	if !l.flock.Locked() {
		return nil
	}
	var errs []error
	// A lock file that was replaced may have a new owner already, and the name
	// would be that owner's.
	same, err := sameLock(l.flock, l.path+lockSuffix)
	if err != nil {
		errs = append(errs, fmt.Errorf("owner: look at the lock: %w", err)) // the name stays: it decides nothing
	}
	if same {
		if err := os.Remove(l.path + ownerSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("owner: remove the holder's name: %w", err))
		}
	}
	failpoint.Hit("owner.beforeUnlock")
	if err := l.flock.Close(); err != nil {
		errs = append(errs, fmt.Errorf("owner: unlock the store: %w", err))
	}
	return errors.Join(errs...)
}
