package storage

import (
	"errors"

	"mailcote/storage/ask"
	"mailcote/storage/internal/file"
	"mailcote/storage/internal/salvage"
	"mailcote/storage/internal/schema"
	"mailcote/storage/owner"
)

// What callers can tell apart. A store that another process holds is an *owner.HeldError.
var (
	// ErrNewer says that a newer mailcote made the store; both versions are in the message.
	ErrNewer = schema.ErrNewer
	// ErrOlder says that the store has an older schema. Its owner brings it up to date; who only reads cannot.
	ErrOlder = schema.ErrOlder
	// ErrNotStore says that the file is no mailcote store.
	ErrNotStore = schema.ErrNotStore
	// ErrMoved says that the store was moved or replaced while it was open; nothing more is written.
	ErrMoved = owner.ErrMoved
	// ErrRefused says that a person's SQL would do more than read; the message names what.
	ErrRefused = ask.ErrRefused
	// ErrCorrupt says that SQLite found the file damaged. Nothing is repaired in it; Options.Salvage saves what
	// can be read.
	ErrCorrupt = schema.ErrCorrupt
	// ErrNothingSaved says that not one account could be read from a damaged store, which stays as it is.
	ErrNothingSaved = salvage.ErrNothing
	// ErrSalvageName says that a store was to be salvaged into a name that the store uses itself.
	ErrSalvageName = salvage.ErrName
	// ErrMissing says that there is no store at the path.
	ErrMissing = errors.New("there is no store")
	// ErrNotFound says that the row asked for does not exist.
	ErrNotFound = errors.New("not found")
	// ErrOutcomeUnknown says that a COMMIT failed in a way that may or may not have kept it. Unless the error is
	// ErrFailing too, the store was reopened: read what it says and go on from there.
	ErrOutcomeUnknown = file.ErrOutcomeUnknown
	// ErrFull says that the disk or the file's size limit is reached. Nothing of the write was kept.
	ErrFull = file.ErrFull
	// ErrIndex says that the search index is damaged or missing. Mail is not touched by that; RenewIndex makes a
	// new one.
	ErrIndex = errors.New("the search index is damaged")
	// ErrPaused says that bulk writing rests: the disk is short of room, or a reader that stays has made the log
	// long. Store.Pause has the particulars, Store.Opened tells of the end.
	ErrPaused = file.ErrPaused
	// ErrFailing says that the disk has failed more than once: the store can be read where that is possible, and
	// is not written until it was reopened and checked, which is tried by the clock.
	ErrFailing = file.ErrFailing
	// ErrSnapshotTooOld says that a reading lasted so long, while much was written, that the log could not be
	// emptied behind it.
	ErrSnapshotTooOld = file.ErrSnapshotTooOld
	// ErrIO says that the file could not be opened, read or written just now.
	ErrIO = file.ErrIO
	// ErrBusy says that another program locked the file, and for longer than is waited for. Nothing of the write
	// was kept.
	ErrBusy = file.ErrBusy
	// ErrClosed says that the store was closed.
	ErrClosed = file.ErrClosed
	// ErrReadOnly says that the store was opened for reading beside its owner.
	ErrReadOnly = file.ErrReadOnly
)

// PanicError is a panic inside a write closure.
type PanicError = file.PanicError

// explain adds what the caller can act on.
func explain(op string, err error) error { return file.Explain(op, err) }
