package storage

import (
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"mailcote/storage/internal/schema"
	"mailcote/storage/owner"
)

// What callers can tell apart. A store that another process holds is an *owner.HeldError.
var (
	// ErrNewer says that a newer mailcote made the store; both versions are in the message.
	ErrNewer = schema.ErrNewer
	// ErrNotStore says that the file is no mailcote store.
	ErrNotStore = schema.ErrNotStore
	// ErrMoved says that the store was moved or replaced while it was open; nothing more is written.
	ErrMoved = owner.ErrMoved
	// ErrMissing says that there is no store at the path.
	ErrMissing = errors.New("there is no store")
	// ErrNotFound says that the row asked for does not exist.
	ErrNotFound = errors.New("not found")
	// ErrOutcomeUnknown says that a COMMIT failed in a way that may or may not have kept it. The store was reopened:
	// read what it says and go on from there.
	ErrOutcomeUnknown = errors.New("the outcome of the write is unknown; the store was reopened")
	// ErrFull says that the disk or the file's size limit is reached. Nothing of the write was kept.
	ErrFull = errors.New("the disk is full")
	// ErrIndex says that the search index is damaged or missing. Mail is not touched by that; RenewIndex makes a new one.
	ErrIndex = errors.New("the search index is damaged")
	// ErrBusy says that another program locked the file, and for longer than is waited for. Nothing of the write was kept.
	ErrBusy = errors.New("another program locks the store")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("the store is closed")
	// ErrReadOnly says that the store was opened for reading beside its owner.
	ErrReadOnly = errors.New("the store is open read-only")
)

// severity is what a write error means for the transaction around it.
type severity int

const (
	harmless severity = iota // the savepoint can be rolled back, neighbours go on
	void                     // the transaction is lost or may be: nothing more is sent in it, its closures are replayed alone
	unknown                  // what is on disk is not known: close every handle, reopen, check
)

// severityOf classifies an error of a statement or of COMMIT (DESIGN §3, the writer).
func severityOf(err error) severity {
	if err == nil {
		return harmless
	}
	if strings.Contains(err.Error(), "no such savepoint") || strings.Contains(err.Error(), "no transaction is active") {
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
	case lib.SQLITE_IOERR, lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB, lib.SQLITE_CANTOPEN:
		return unknown
	}
	return harmless
}

// explain adds what the caller can act on.
func explain(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", op, mark(err))
}

// mark makes a full disk an ErrFull and a lock of another program an ErrBusy.
func mark(err error) error {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return err
	}
	switch se.Code() & 0xff {
	case lib.SQLITE_FULL:
		return fmt.Errorf("%w: %w", ErrFull, err)
	case lib.SQLITE_BUSY:
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return err
}
