package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"mailcote/storage/ask"
	"mailcote/storage/disk"
	"mailcote/storage/internal/file"
	"mailcote/storage/internal/schema"
	"mailcote/storage/owner"
	"mailcote/testkit/failpoint"
)

// Store is one open store. Its methods may be called from any goroutine.
type Store struct {
	file     *file.File
	lock     *owner.Lock // nil: the store is only read
	warnings []string
	salvaged *Salvaged
	closed   sync.Once
	watches  watches
	staged   BlobID // the highest that was given to a staged blob, kept or not; used in the writer's goroutine
}

// Options say how a store is opened.
type Options struct {
	Default  bool     // the path is the default one: its directory is made (0700) if missing
	ReadOnly bool     // open alongside an owner; the store must exist
	Holder   string   // what other processes are told about this owner, for example "mailcote run"
	Salvage  *Salvage // what to do with a damaged store; nil: ErrCorrupt
	// Migrating is told before an older store is copied and migrated; nil:
	// nobody asks.
	Migrating func(Migration)

	// What tests change of the file: see file.Options.
	vfs    string
	weak   string
	pages  int
	limits *file.Limits
}

// Open opens a store and migrates it. It makes a missing one, unless ReadOnly.
// An owner holds the lock until Close.
//
// Errors: *owner.HeldError, ErrNewer, ErrOlder (ReadOnly), ErrNotStore,
// ErrMissing, or what package owner refuses about the file.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("store path: %w", err)
	}
	file.UseOFDLocks()
	s := &Store{}
	if o.ReadOnly {
		if err := owner.Inspect(path); err != nil {
			return nil, missingStore(path, err)
		}
		if s.file, err = file.Open(ctx, s.options(path, o)); err != nil {
			return nil, cannotOpen(path, err)
		}
		return s, nil
	}
	if s.warnings, err = owner.Prepare(path, o.Default); err != nil {
		return nil, err
	}
	if s.lock, err = owner.Acquire(path, o.Holder); err != nil {
		return nil, err
	}
	failpoint.Hit("storage.beforeOpen")
	if err := s.openSalvaging(ctx, s.options(path, o), o.Salvage); err != nil {
		return nil, errors.Join(err, s.lock.Release())
	}
	return s, nil
}

// options say how the store's file is opened.
func (s *Store) options(path string, o Options) file.Options {
	if o.limits == nil {
		limits := file.StandardLimits()
		o.limits = &limits
	}
	return file.Options{
		Path: path, Lock: s.lock, Migrating: o.Migrating,
		Committed: s.committed, Doubted: s.doubted,
		CommitAlone: damagedIndex, Excused: ofIndex,
		VFS: o.vfs, Synchronous: o.weak, Pages: o.pages, Limits: o.limits,
	}
}

// missingStore says what to do when there is no store.
func missingStore(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w at %s: add an account or name another file with --store", ErrMissing, path)
	}
	return err
}

// cannotOpen says why SQLite cannot open the file, where that is known.
func cannotOpen(path string, err error) error {
	var se *sqlite.Error
	if errors.As(err, &se) && (se.Code()&0xff == lib.SQLITE_CANTOPEN || se.Code()&0xff == lib.SQLITE_READONLY) {
		return cmp.Or(owner.Beside(path), err)
	}
	return err
}

// openOwner opens the file for writing, clears what a dead process staged, and
// makes a copy a store of its own. An index that holds nothing yet gets the
// newest spelling.
func (s *Store) openOwner(ctx context.Context, o file.Options) (err error) {
	if s.file, err = file.Open(ctx, o); err != nil {
		return err
	}
	if err := s.Write(ctx, Interactive, 0, func(w *Writer) error {
		if err := w.dropStaged(); err != nil {
			return fmt.Errorf("clear staged blobs: %w", err)
		}
		if err := w.beginEpoch(); err != nil {
			return err
		}
		return w.respellEmpty()
	}); err != nil {
		return errors.Join(err, s.file.Close())
	}
	s.warnings = append(s.warnings, dropBackups(ctx, s)...)
	return nil
}

// Path is the store's absolute path.
func (s *Store) Path() string { return s.file.Path() }

// ReadOnly reports whether the store was opened alongside an owner.
func (s *Store) ReadOnly() bool { return s.lock == nil }

// Warnings are sentences about the file's surroundings, for the user.
func (s *Store) Warnings() []string { return s.warnings }

// Close lets the queued writes finish, closes every handle and frees the lock.
// Only the first call does it.
func (s *Store) Close() (err error) {
	s.closed.Do(func() {
		err = s.file.Close()
		if s.lock != nil {
			err = errors.Join(err, s.lock.Release())
		}
	})
	return err
}

// Read runs fn on one snapshot. A snapshot that stays open keeps the WAL
// growing, so fn does no network and no rendering. One that does so for too
// long is ended.
//
// Errors: what fn returned, ErrSnapshotTooOld, ErrClosed, ErrFailing,
// ErrCorrupt, or ctx's.
func (s *Store) Read(ctx context.Context, fn func(*Reader) error) error {
	return s.file.Read(ctx, func(snap *file.Snapshot) error { return fn(&Reader{snap}) })
}

// Write runs fn in a transaction. It returns when fn is committed, or when
// nothing of it is kept. size is roughly how many bytes fn writes. ctx cancels
// fn only while it waits for its turn. fn may run more than once and sees its
// own earlier run undone.
//
// While the disk is short of room or the log cannot be emptied, bulk writes are
// refused at once. Opened tells when that is over.
//
// Errors: what fn returned, ErrFull, ErrPaused, ErrBusy, ErrOutcomeUnknown,
// ErrFailing, ErrMoved, ErrClosed, ErrReadOnly, or ctx's.
func (s *Store) Write(ctx context.Context, lane Lane, size int, fn func(*Writer) error) error {
	return s.file.Write(ctx, lane, size, writing(fn))
}

// WriteAlone is Write without neighbours and without a savepoint. It is for the
// full-text index, which every savepoint flushes.
func (s *Store) WriteAlone(ctx context.Context, fn func(*Writer) error) error {
	return s.file.WriteAlone(ctx, writing(fn))
}

// SQL runs one reading statement on a connection of its own and calls row for
// each row. Values are int64, float64, string, []byte or nil. ctx ends a
// statement that runs away. The views of docs/sql.md are stable, the tables are
// not. It works on any open store, also alongside its owner. It reads one
// snapshot, which is ended when it keeps the log long.
//
// Errors: ErrRefused (wrapped with what was refused), ErrSnapshotTooOld,
// SQLite's own about the statement, ctx's, or what row returned.
func (s *Store) SQL(ctx context.Context, text string, row func(columns []string, values []any) error) error {
	return s.file.ReadAlone(ctx, func(ctx context.Context, conn *sql.Conn) error {
		return ask.Run(ctx, conn, text, row)
	})
}

// Pause says why bulk writing rests, if it does. A read-only store judges by
// the free room and the log as they are now.
func (s *Store) Pause() (disk.Pause, bool) { return s.file.Pause() }

// Opened gives a channel that is closed when bulk writing may go on.
func (s *Store) Opened() <-chan struct{} { return s.file.Opened() }

// DataVersion gives a number that changes when another connection commits, in
// whatever process. It costs no snapshot. The first call opens a connection
// that is kept until Close.
//
// Errors: ErrClosed, ErrFailing, SQLite's own, or ctx's.
func (s *Store) DataVersion(ctx context.Context) (int64, error) { return s.file.DataVersion(ctx) }

// While gives a context that ends when the store turns out to be damaged, with
// an ErrCorrupt as its cause. stop frees it.
func (s *Store) While(ctx context.Context) (while context.Context, stop func()) {
	return s.file.While(ctx)
}

// Changed subscribes to this process's own commits. One group of writes gives
// one signal. A rolled back or empty one gives none. A commit whose outcome is
// unknown counts as a change of every type. A slow subscriber delays nobody.
//
// A store that is open read-only has no commits of its own: see DataVersion.
// Closing the store wakes nobody.
func (s *Store) Changed() *Watch { return s.watches.subscribe() }

// committed tells the subscribers what a transaction changed.
func (s *Store) committed(notes []any) {
	news := News{Any: true}
	for _, note := range notes {
		if one, ok := note.(News); ok {
			news.add(one)
		}
	}
	s.watches.publish(news)
}

// doubted tells them that anything may have changed.
func (s *Store) doubted() { s.watches.publish(News{Any: true, Types: allTypes}) }

// DeleteHidden deletes a hidden account in small transactions. It may be stopped
// at any time, and the next call goes on. Bytes that another account has too
// stay. report is told how many emails were deleted; it may be nil.
func (s *Store) DeleteHidden(ctx context.Context, id AccountID, report func(done int64)) error {
	return deleteHidden(ctx, s, id, report)
}

// Wipe leaves nothing in the file of what was deleted: it merges the search
// index, writes every page anew and empties the log. That takes room for a
// second copy of the store. Errors: ErrLogInUse, ErrFull.
func (s *Store) Wipe(ctx context.Context) error {
	if err := s.WriteAlone(ctx, (*Writer).mergeIndex); err != nil {
		return err
	}
	return s.file.Vacuum(ctx)
}

// Migration says what bringing an older store to the newest schema takes.
type Migration = schema.Plan

// SchemaVersion is the newest schema this program knows.
func SchemaVersion() int { return schema.Version() }

// now is the store's clock for created_at and the like.
func now() time.Time { return time.Now().UTC() }
