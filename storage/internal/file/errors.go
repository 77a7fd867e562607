package file

import (
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"mailcote/storage/disk"
	"mailcote/storage/internal/schema"
)

// What callers can tell apart; package storage says the same.
var (
	// ErrOutcomeUnknown says that a COMMIT failed in a way that may or may not
	// have kept it. Unless the error is ErrFailing too, the store was reopened:
	// read what it says and go on from there.
	ErrOutcomeUnknown = errors.New("the outcome of the write is unknown")
	// ErrFull says that the disk or the file's size limit is reached. Nothing
	// of the write was kept.
	ErrFull = errors.New("the disk is full")
	// ErrPaused says that bulk writing rests: the disk is short of room, or a
	// reader that stays has made the log long. Pause has the particulars,
	// Opened tells when it is over.
	ErrPaused = errors.New("writing rests")
	// ErrFailing says that the disk has failed more than once. The store can be
	// read where that is possible. It is not written until it was reopened and
	// checked, which is tried by the clock.
	ErrFailing = errors.New("the store is not written for now because its disk fails again and again: check the disk")
	// ErrSnapshotTooOld says that a reading lasted so long, while much was
	// written, that the log could not be emptied behind it.
	ErrSnapshotTooOld = errors.New("the reading was ended because it lasted too long while much is being written: " +
		"try again, or ask for less at once")
	// ErrIO says that the file could not be opened, read or written just now.
	ErrIO = errors.New("the store's file cannot be used for now")
	// ErrBusy says that another program locked the file for longer than is
	// waited for. Nothing of the write was kept.
	ErrBusy = errors.New("another program locks the store")
	// ErrLogInUse says that the log could not be emptied because somebody reads
	// the file.
	ErrLogInUse = errors.New("another program reads the store, so its log could not be emptied")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("the store is closed")
	// ErrReadOnly says that the store was opened for reading alongside its
	// owner.
	ErrReadOnly = errors.New("the store is open read-only")
)

// severity is what a write error means for the transaction around it.
type severity int

const (
	harmless severity = iota // the savepoint can be rolled back, neighbours go on
	// the transaction is or may be lost: nothing more is sent in it, its
	// closures are replayed alone
	void
	unknown // what is on disk is not known: close every handle, reopen, check
)

// errLost says that SQLite ended the transaction, and the closure that it
// happened to reported nothing.
var errLost = errors.New("no transaction is active")

// severityOf classifies an error of a statement or of COMMIT (DESIGN §3, the
// writer).
func severityOf(err error) severity {
	if err == nil {
		return harmless
	}
	if strings.Contains(err.Error(), "no such savepoint") || strings.Contains(err.Error(), errLost.Error()) {
		return void
	}
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return harmless
	}
	if se.Code() == lib.SQLITE_CORRUPT_VTAB { // the search index says so of itself, the file around it is sound
		return void
	}
	switch se.Code() & 0xff {
	case lib.SQLITE_FULL, lib.SQLITE_NOMEM, lib.SQLITE_INTERRUPT, lib.SQLITE_ABORT:
		return void
	case lib.SQLITE_IOERR, lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB, lib.SQLITE_CANTOPEN,
		lib.SQLITE_READONLY: // which stays with its handle
		return unknown
	}
	return harmless
}

// Explain adds what the caller can act on.
func Explain(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", op, Mark(err))
}

// Mark makes a full disk an ErrFull, a lock of another program an ErrBusy, a
// failing disk an ErrIO and a damaged file an ErrCorrupt, once.
func Mark(err error) error {
	var se *sqlite.Error
	switch {
	case err == nil, errors.Is(err, ErrFull), errors.Is(err, ErrBusy), errors.Is(err, ErrIO),
		errors.Is(err, schema.ErrCorrupt), errors.Is(err, schema.ErrNotStore):
		return err
	case corrupt(err):
		return fmt.Errorf("%w: %w", schema.ErrCorrupt, err)
	case disk.Full(err), errors.Is(err, schema.ErrNoRoom): // of a file that SQLite does not write
		return fmt.Errorf("%w: %w", ErrFull, err)
	case !errors.As(err, &se):
		return err
	case se.Code()&0xff == lib.SQLITE_FULL,
		se.Code() == lib.SQLITE_IOERR_SHMSIZE: // when the -shm cannot be made longer
		return fmt.Errorf("%w: %w", ErrFull, err)
	case se.Code()&0xff == lib.SQLITE_BUSY:
		return fmt.Errorf("%w: %w", ErrBusy, err)
	case se.Code()&0xff == lib.SQLITE_IOERR, se.Code()&0xff == lib.SQLITE_CANTOPEN:
		return fmt.Errorf("%w: %w", ErrIO, err)
	}
	return err
}

// corrupt reports whether SQLite found the file damaged.
func corrupt(err error) bool {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return false
	}
	code := se.Code() & 0xff // a damaged index is renewed by itself
	return code == lib.SQLITE_CORRUPT && se.Code() != lib.SQLITE_CORRUPT_VTAB || code == lib.SQLITE_NOTADB
}

// pausedError is what a bulk write is told while the gate is closed.
type pausedError struct{ disk.Pause }

func (e *pausedError) Error() string { return e.String() + "; resumes by itself" }

func (e *pausedError) Is(target error) bool {
	return target == ErrPaused || target == ErrFull && e.Full()
}

// PanicError is a panic inside a write closure.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic in a write: %v", e.Value) }
