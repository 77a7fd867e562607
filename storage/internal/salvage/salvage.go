package salvage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mailcote/storage/check"
	"mailcote/storage/disk"
	"mailcote/storage/internal/schema"
	"mailcote/testkit/failpoint"
)

// ErrNothing says that not one account could be read: there is nothing to go on
// from.
var ErrNothing = errors.New("no account could be read from the damaged store")

// ErrNoRoom says that the disk has no room for the copy and the new store.
var ErrNoRoom = errors.New("there is no room to save the damaged store")

// ErrName says that the new file would have a name that salvaging uses itself.
var ErrName = errors.New("the name is one that the store uses itself")

// Options are what salvaging needs.
type Options struct {
	// Open gives the verified raw bytes of a blob of the new store; the last
	// Read fails if its digest differs.
	Open func(tx *sql.Tx, blob int64) (io.ReadCloser, int64, error)
	// Parse reads a message afresh.
	Parse func(io.Reader) check.Derived
	// NewID draws a JMAP id that begins with a letter.
	NewID func(letter string) string
	// NoLog leaves the store's log out: it is another store's.
	NoLog bool
	// Space says what room a folder has; nil: disk.Of.
	Space func(path string) (disk.Space, error)
	// Progress is told how many messages of how many were looked at; nil:
	// nobody asks.
	Progress func(done, total int64)
}

// Report says what was saved.
type Report struct {
	Cause     string // what SQLite said
	Aside     string // the copy of the damaged store; "" when it stayed where it was
	Accounts  int64
	Mailboxes int64
	Messages  int64 // entries in mailboxes, without expunged ones
	Missing   int64 // of those the mailboxes counted
}

// Replace saves what can be read of the store at path and puts it in its place.
// The damaged one is copied aside first, and stays as it is when this fails.
func Replace(ctx context.Context, path string, o Options) (r Report, err error) {
	if err := discard(path); err != nil {
		return r, fmt.Errorf("salvage: %w", err)
	}
	if err := o.room(path, 2*sizeOf(path)); err != nil {
		return r, fmt.Errorf("salvage: %w", err)
	}
	if r, err = replace(ctx, path, o); err == nil {
		failpoint.Hit("salvage.replaced")
		return r, nil
	}
	if full(err) {
		err = fmt.Errorf("%w: %w", ErrNoRoom, err)
	}
	return r, errors.Join(fmt.Errorf("salvage: %w", err), discard(path)) // the damaged store is where it was
}

// room refuses what the folder of path has no room for. A system that does not
// tell is not asked.
func (o Options) room(path string, needed int64) error {
	of := o.Space
	if of == nil {
		of = disk.Of
	}
	space, err := of(filepath.Dir(path))
	if err != nil {
		return err
	}
	if space.Size > 0 && space.Free < needed {
		return fmt.Errorf("%w: copies and the new store take up to %d MB in %s, and %d MB are free", ErrNoRoom,
			needed>>20+1, filepath.Dir(path), space.Free>>20)
	}
	return nil
}

// scratch makes a copy that is made readable. What will be read from it takes
// as much again.
func (o Options) scratch(from, to string) error {
	if err := o.room(to, 2*sizeOf(from)); err != nil {
		return err
	}
	return copySet(from, to)
}

func replace(ctx context.Context, path string, o Options) (r Report, err error) {
	aside := path + asideSuffix
	if err := copySet(path, aside); err != nil {
		return r, fmt.Errorf("copy the damaged store aside: %w", err)
	}
	failpoint.Hit("salvage.copied")
	if r, err = fill(ctx, aside, path+fillSuffix, o); err != nil {
		return r, err
	}
	if err := syncFile(path + fillSuffix); err != nil {
		return r, err
	}
	failpoint.Hit("salvage.filled")
	if r.Aside, err = keep(path, time.Now()); err != nil {
		return r, err
	}
	failpoint.Hit("salvage.kept")
	return r, commit(ctx, path)
}

// Into saves what can be read of the store at path into a new file, which has
// its name only when it is whole. The store is only read, through a copy that
// goes again. Errors: ErrName, fs.ErrExist, what is wrong with the two files.
func Into(ctx context.Context, path, out string, o Options) (r Report, err error) {
	if reserved(path, out) || reserved(out, path) {
		return r, fmt.Errorf("salvage into %s: %w", out, ErrName)
	}
	if err := unused(out); err != nil {
		return r, err
	}
	filled, copied := out+fillSuffix, out+fillSuffix+".copy"
	clean := func() error { return errors.Join(discard(out), removeSet(copied)) }
	defer func() { err = errors.Join(err, clean()) }()
	if err := clean(); err != nil {
		return r, fmt.Errorf("salvage: %w", err)
	}
	if err := o.room(out, 2*sizeOf(path)); err != nil {
		return r, fmt.Errorf("salvage: %w", err)
	}
	if err := copySet(path, copied); err != nil {
		return r, fmt.Errorf("copy the store: %w", err)
	}
	if r, err = fill(ctx, copied, filled, o); err != nil {
		return r, fmt.Errorf("salvage: %w", err)
	}
	if err := syncFile(filled); err != nil {
		return r, fmt.Errorf("salvage: %w", err)
	}
	if err := unused(out); err != nil {
		return r, err
	}
	if err := os.Rename(filled, out); err != nil {
		return r, fmt.Errorf("salvage: %w", err)
	}
	return r, disk.SyncDir(out)
}

// reserved reports whether name is one that a salvage of the store at path, or
// SQLite, gives to what is its own.
func reserved(path, name string) bool {
	a, errA := os.Stat(filepath.Dir(path))
	b, errB := os.Stat(filepath.Dir(name))
	if errA != nil || errB != nil || !os.SameFile(a, b) {
		return false
	}
	// some systems do not tell them apart
	rest, ok := strings.CutPrefix(strings.ToLower(filepath.Base(name)), strings.ToLower(filepath.Base(path)))
	return ok && (strings.HasPrefix(rest, fillSuffix) || rest == logSuffix || rest == shareSuffix ||
		rest == journalSuffix)
}

// unused refuses a name that is taken, or beside which there is a log that
// would be taken for the new store's.
func unused(out string) error {
	for _, suffix := range []string{"", logSuffix, shareSuffix, journalSuffix} {
		if _, err := os.Lstat(out + suffix); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("salvage into %s: %w", out,
				&fs.PathError{Op: "make", Path: out + suffix, Err: fs.ErrExist}), err)
		}
	}
	return nil
}

// fill makes the new store at to, whole and checked, from the copy of a damaged
// one.
func fill(ctx context.Context, from, to string, o Options) (r Report, err error) {
	made, err := create(ctx, to)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, made.Close()) }()
	scratch := to + sourceSuffix
	old, readable, err := open(ctx, from, scratch, made, o)
	if err != nil {
		return r, errors.Join(fmt.Errorf("read the damaged store: %w", err), removeSet(scratch))
	}
	f := &filler{ctx: ctx, o: o, old: &damaged{ctx: ctx, db: old}, db: made, sizes: map[int64]int{}}
	r, err = f.run()
	if err = errors.Join(err, old.Close(), tidy(readable), removeSet(scratch)); err != nil {
		return r, err
	}
	if err := sound(ctx, made); err != nil {
		return r, err
	}
	_, err = made.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return r, err
}

// create makes an empty store. It is worth nothing until it is whole, so
// nothing is synced before the end.
func create(ctx context.Context, path string) (*sql.DB, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	if err := schema.Create(ctx, uri(path, "mode=rw"), path); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", uri(path,
		"mode=rw&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=foreign_keys(1)"+
			"&_pragma=temp_store(MEMORY)&_pragma=cache_size(-16384)&_txlock=immediate"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if err := schema.Migrate(ctx, db, path, schema.Options{}); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// open opens the copy of a damaged store for reading: as it is, or through a
// scratch copy that is made readable, and gives the name of what it opened.
func open(ctx context.Context, from, scratch string, made *sql.DB, o Options) (*sql.DB, string, error) {
	log := ""
	if o.NoLog {
		log = "&immutable=1"
	}
	path, err := mended(from, scratch, o)
	if err != nil {
		return nil, "", err
	}
	db, err := dial(path, "mode=ro"+log)
	if err != nil {
		return nil, "", err
	}
	ok, err := described(ctx, db, made)
	if ok || err != nil {
		return db, path, err
	}
	if err := errors.Join(db.Close(), tidy(path)); err != nil {
		return nil, "", err
	}
	if path == from {
		if err := o.scratch(from, scratch); err != nil {
			return nil, "", err
		}
	}
	if err := redescribe(ctx, scratch, made, o.NoLog); err != nil {
		return nil, "", err
	}
	db, err = dial(scratch, "mode=ro")
	return db, scratch, err
}

func dial(path, mode string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", uri(path,
		mode+"&_pragma=busy_timeout(5000)&_pragma=query_only(1)&_pragma=trusted_schema(0)"+
			"&_pragma=writable_schema(1)&_pragma=cell_size_check(1)"))
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// Unfit says why SQLite must not be given the store as it is: it would play a
// log that is another store's, and delete one whose file is empty. "": it may.
// foreign: the log is not the store's. A store that was closed in order has no
// log.
func Unfit(ctx context.Context, path string) (reason string, foreign bool) {
	if info, err := os.Stat(path + logSuffix); err != nil || info.Size() == 0 {
		return "", false
	}
	if info, err := os.Stat(path); err == nil && info.Size() == 0 {
		return path + " is empty and its log is not", false
	}
	without, alone := identity(ctx, path, "mode=ro&immutable=1")
	with, _ := identity(ctx, path, "mode=ro&_pragma=busy_timeout(5000)")
	if len(without) == 32 && len(with) == 32 && without != with && alone() { // a page that was torn may hold anything
		return path + logSuffix + " belongs to another store", true
	}
	return "", false
}

// identity reads a store's id, and gives a function that reports whether its
// file was sound.
func identity(ctx context.Context, path, query string) (id string, alone func() bool) {
	read := func(statement string) (text string) {
		db, err := sql.Open("sqlite", uri(path, query))
		if err != nil {
			return ""
		}
		defer db.Close() //nolint:errcheck // it only reads
		if db.QueryRowContext(ctx, statement).Scan(&text) != nil {
			return ""
		}
		return text
	}
	return read(`SELECT value FROM meta WHERE key = 'store_id'`), func() bool {
		return read(`PRAGMA quick_check(1)`) == "ok"
	}
}

// sound checks what was made before anything depends on it.
func sound(ctx context.Context, db *sql.DB) error {
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil || verdict != "ok" {
		return errors.Join(fmt.Errorf("the new store is not sound: %q", verdict), err)
	}
	var broken int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM pragma_foreign_key_check").Scan(&broken); err != nil ||
		broken > 0 {
		return errors.Join(fmt.Errorf("the new store has %d broken references", broken), err)
	}
	return nil
}
