package storage

import (
	"errors"

	"mailcote/storage/ask"
	"mailcote/storage/internal/file"
	"mailcote/storage/internal/salvage"
	"mailcote/storage/internal/schema"
	"mailcote/storage/owner"
	"mailcote/storage/packing"
)

// What callers can tell apart. A store that another process holds is an
// *owner.HeldError.
var (
	// ErrNewer says that a newer mailcote made the store; both versions are in
	// the message.
	ErrNewer = schema.ErrNewer
	// ErrOlder says that the store has an older schema. Its owner migrates it;
	// a read-only store cannot.
	ErrOlder = schema.ErrOlder
	// ErrNotStore says that the file is no mailcote store.
	ErrNotStore = schema.ErrNotStore
	// ErrMoved says that the store was moved or replaced while it was open.
	// Nothing more is written.
	ErrMoved = owner.ErrMoved
	// ErrRefused says that a statement given to Store.SQL would do more than
	// read. The message names what.
	ErrRefused = ask.ErrRefused
	// ErrCorrupt says that SQLite found the file damaged. Nothing is repaired
	// in it; Options.Salvage saves what can be read.
	ErrCorrupt = schema.ErrCorrupt
	// ErrNothingSaved says that not one account could be read from a damaged
	// store. The store stays as it is.
	ErrNothingSaved = salvage.ErrNothing
	// ErrSalvageName says that a store was to be salvaged into a name that it
	// uses itself.
	ErrSalvageName = salvage.ErrName
	// ErrMissing says that there is no store at the path.
	ErrMissing = errors.New("there is no store")
	// ErrNotFound says that the row asked for does not exist.
	ErrNotFound = errors.New("not found")
	// ErrDamaged says that the stored bytes of a message are not those that
	// arrived, or cannot be unpacked.
	ErrDamaged = packing.ErrDamaged
	// ErrOutcomeUnknown says that a COMMIT failed in a way that may have kept
	// it. Unless the error is ErrFailing too, the store was reopened: read it
	// and go on from there.
	ErrOutcomeUnknown = file.ErrOutcomeUnknown
	// ErrFull says that the disk or the file's size limit is reached. Nothing
	// of the write was kept.
	ErrFull = file.ErrFull
	// ErrIndex says that the search index is damaged or missing. The mail is
	// not affected. RenewIndex makes a new index.
	ErrIndex = errors.New("the search index is damaged")
	// ErrPaused says that bulk writing rests: the disk is short of room, or a
	// reader that stays has made the log long. Store.Pause has the particulars.
	// Store.Opened tells when it is over.
	ErrPaused = file.ErrPaused
	// ErrFailing says that the disk has failed more than once. The store can be
	// read where that is possible. It is not written until it is reopened and
	// checked, which is tried by the clock.
	ErrFailing = file.ErrFailing
	// ErrSnapshotTooOld says that a reading lasted too long while much was
	// written: the log could not be emptied behind it.
	ErrSnapshotTooOld = file.ErrSnapshotTooOld
	// ErrIO says that the file could not be opened, read or written just now.
	ErrIO = file.ErrIO
	// ErrBusy says that another program locked the file for longer than the
	// writer waits. Nothing of the write was kept.
	ErrBusy = file.ErrBusy
	// ErrLogInUse says that the log could not be emptied because somebody reads
	// the store.
	ErrLogInUse = file.ErrLogInUse
	// ErrClosed says that the store was closed.
	ErrClosed = file.ErrClosed
	// ErrReadOnly says that the store was opened for reading alongside its
	// owner.
	ErrReadOnly = file.ErrReadOnly
)

// PanicError is a panic inside a write closure.
type PanicError = file.PanicError

// explain adds what the caller can act on.
func explain(op string, err error) error { return file.Explain(op, err) }
