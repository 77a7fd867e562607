package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"mailcote/storage/internal/schema"
	"mailcote/storage/owner"
	"mailcote/testkit/failpoint"
)

// Store is one open store. Its methods may be called from any goroutine.
type Store struct {
	path      string
	vfs       string
	weak      string
	pages     int
	readOnly  bool
	lock      *owner.Lock
	warnings  []string
	limits    limits
	salvaged  *Salvaged
	migrating func(Migration)
	damage    struct {
		mu  sync.Mutex
		err error // what SQLite said first
		end []context.CancelCauseFunc
	}

	handles sync.RWMutex // held for reading while a handle is in use, for writing while they are exchanged
	readers *sql.DB
	writer  *writer
	closed  sync.Once

	watches  watches
	versions versions

	mu   sync.Mutex
	left []BlobID // staged blobs that could not be dropped
}

// Options say how a store is opened.
type Options struct {
	Default  bool     // the path is the default one: its directory is made (0700) if missing
	ReadOnly bool     // open beside an owner; the store must exist
	Holder   string   // what other processes are told about this owner, for example "mailcote run"
	Salvage  *Salvage // what to do with a damaged store; nil: ErrCorrupt
	// Migrating is told before an older store is copied and brought to the newest schema; nil: nobody asks.
	Migrating func(Migration)
	vfs       string  // SQLite VFS by name; tests inject faults with it
	weak      string  // PRAGMA synchronous, FULL if ""; a test of power loss shows what another one costs
	pages     int     // uncopied pages of WAL at which it is checkpointed, checkpointPages if 0; a small store has few
	limits    *limits // nil: standardLimits
}

// Open opens a store, making it if it is missing (unless ReadOnly), and migrates it. An owner holds the lock until Close.
//
// Errors: *owner.HeldError, ErrNewer, ErrOlder (ReadOnly), ErrNotStore, ErrMissing, or what package owner refuses about the file.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("store path: %w", err)
	}
	useOFDLocks()
	s := &Store{path: path, readOnly: o.ReadOnly, vfs: o.vfs, weak: cmp.Or(o.weak, "FULL"), pages: cmp.Or(o.pages, checkpointPages),
		limits: standardLimits(), migrating: o.Migrating}
	if o.limits != nil {
		s.limits = *o.limits
	}
	if o.ReadOnly {
		if err := owner.Inspect(path); err != nil {
			return nil, missingStore(path, err)
		}
		if s.readers, err = s.openReaders(ctx); err != nil {
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
	if err := s.openSalvaging(ctx, o.Salvage); err != nil {
		return nil, errors.Join(err, s.lock.Release())
	}
	return s, nil
}

// missingStore says what to do when there is no store.
func missingStore(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w at %s: add an account or name another file with --store", ErrMissing, path)
	}
	return err
}

// cannotOpen says why where SQLite does not.
func cannotOpen(path string, err error) error {
	var se *sqlite.Error
	if errors.As(err, &se) && (se.Code()&0xff == lib.SQLITE_CANTOPEN || se.Code()&0xff == lib.SQLITE_READONLY) {
		return cmp.Or(owner.Beside(path), err)
	}
	return err
}

// openOwner opens the writing handle, migrates, clears what a dead process staged, and opens the readers.
func (s *Store) openOwner(ctx context.Context) error {
	db, err := s.openWriting(ctx)
	if err != nil {
		return err
	}
	if s.readers, err = s.openReaders(ctx); err != nil {
		return errors.Join(err, db.Close())
	}
	if err := s.lock.SameFile(); err != nil { // what was opened by its name is what was prepared
		return errors.Join(err, s.readers.Close(), db.Close())
	}
	if s.writer, err = startWriter(ctx, s, db); err != nil {
		return errors.Join(err, s.readers.Close(), db.Close())
	}
	if err := s.Write(ctx, Interactive, 0, func(w *Writer) error { return w.dropStaged() }); err != nil {
		s.writer.stop()
		err = fmt.Errorf("clear staged blobs: %w", err)
		if s.readers != nil { // reopening may have failed
			err = errors.Join(err, s.readers.Close())
		}
		return errors.Join(err, s.writer.close())
	}
	s.dropBackups(ctx)
	return nil
}

func (s *Store) openWriting(ctx context.Context) (*sql.DB, error) {
	if err := schema.Create(ctx, s.dsn(url.Values{"mode": {"rw"}, "_pragma": {"busy_timeout(5000)"}}), s.path); err != nil {
		return nil, mark(err)
	}
	pragmas := []string{
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(" + s.weak + ")", "foreign_keys(1)", "wal_autocheckpoint(0)",
		"cache_size(-8192)", "temp_store(MEMORY)", "cell_size_check(1)", fmt.Sprintf("journal_size_limit(%d)", s.limits.logMost),
	}
	if runtime.GOOS == "darwin" {
		pragmas = append(pragmas, "fullfsync(1)", "checkpoint_fullfsync(1)")
	}
	db, err := sql.Open("sqlite", s.dsn(url.Values{"mode": {"rw"}, "_pragma": pragmas, "_txlock": {"immediate"}}))
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	db.SetMaxOpenConns(1)
	if err := schema.Migrate(ctx, db, s.path, schema.Options{Begin: s.migrating, Space: s.limits.space}); err != nil {
		return nil, errors.Join(mark(err), db.Close())
	}
	// A file that may only be read opens, too, and BEGIN IMMEDIATE makes a reading transaction of it. No row has this key.
	if _, err := db.ExecContext(ctx, `DELETE FROM meta WHERE key = ''`); err != nil {
		return nil, errors.Join(explain("open store for writing", err), db.Close())
	}
	return db, nil
}

// readers is how many can read at once.
const readers = 4

func (s *Store) openReaders(ctx context.Context) (*sql.DB, error) {
	db, err := sql.Open("sqlite", s.dsn(url.Values{
		"mode":    {"ro"},
		"_pragma": {"busy_timeout(5000)", "query_only(1)", "trusted_schema(0)", "cell_size_check(1)", "cache_size(-1024)", "temp_store(MEMORY)"},
	}))
	if err != nil {
		return nil, fmt.Errorf("open store for reading: %w", err)
	}
	db.SetMaxOpenConns(readers)
	db.SetMaxIdleConns(readers)
	if err := schema.Readable(ctx, db, s.path); err != nil {
		return nil, errors.Join(mark(err), db.Close())
	}
	if s.readOnly {
		return db, nil
	}
	// All at once, while there are descriptors: later they may all be connections.
	var conns [readers]*sql.Conn
	for i := range conns {
		if conns[i], err = db.Conn(ctx); err != nil {
			return nil, errors.Join(explain("open store for reading", err), db.Close())
		}
		defer conns[i].Close() //nolint:errcheck // it goes back
	}
	return db, nil
}

// dsn makes a file: URI; on a bare path the driver would ignore mode. Nothing but package owner makes a file: an empty one in
// the place of a store that was moved away would look as if all mail was gone.
func (s *Store) dsn(params url.Values) string {
	if params == nil {
		params = url.Values{}
	}
	if s.vfs != "" {
		params.Set("vfs", s.vfs)
	}
	path := filepath.ToSlash(s.path)
	if path[0] != '/' {
		path = "/" + path // file:///C:/…
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: params.Encode()}
	return u.String()
}

// Path is the store's absolute path.
func (s *Store) Path() string { return s.path }

// ReadOnly says whether the store was opened beside an owner.
func (s *Store) ReadOnly() bool { return s.readOnly }

// Warnings are what the person should know about the file's surroundings, a sentence each.
func (s *Store) Warnings() []string { return s.warnings }

// Close lets the writes that were asked for finish, closes every handle and frees the lock. Only the first call does it.
func (s *Store) Close() (err error) {
	s.closed.Do(func() { err = s.close() })
	return err
}

func (s *Store) close() error {
	var errs []error
	if s.writer != nil {
		s.writer.stop()
	}
	s.handles.Lock()
	defer s.handles.Unlock()
	errs = append(errs, s.versions.drop())
	if s.readers != nil {
		errs = append(errs, s.readers.Close())
		s.readers = nil
	}
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Release())
	}
	return errors.Join(errs...)
}

// reopen exchanges every handle after an unknown outcome: the page cache of the old ones may hold what is not on disk. The file is
// checked before it is written again; it is read meanwhile, and when this fails.
func (s *Store) reopen(ctx context.Context) error {
	if err := s.onlyRead(ctx); err != nil {
		return err
	}
	db, err := s.openWriting(ctx)
	if err != nil {
		return err
	}
	if err := quickCheck(ctx, db); err != nil {
		return errors.Join(explain("check after reopening", err), db.Close())
	}
	if err := s.writer.use(ctx, db); err != nil {
		return errors.Join(err, db.Close())
	}
	return nil
}

// onlyRead leaves the store open for reading, where that is possible.
func (s *Store) onlyRead(ctx context.Context) error {
	s.handles.Lock()
	defer s.handles.Unlock()
	err := s.drop()
	if errors.Is(err, ErrMoved) {
		return err
	}
	readers, failed := s.openReaders(ctx)
	s.readers = readers
	return errors.Join(err, failed)
}

// drop closes every handle. What the old ones say to it is of no interest; that the path still leads to the store is.
func (s *Store) drop() error {
	s.writer.stmts.close()
	_ = s.writer.db.Close() //nolint:errcheck // see above
	_ = s.versions.drop()   //nolint:errcheck // see above
	if s.readers != nil {
		_ = s.readers.Close() //nolint:errcheck // see above
		s.readers = nil
	}
	return s.lock.SameFile()
}

// quickCheck looks whether the file is sound. A damaged search index does not count: it is made anew (RenewIndex).
func quickCheck(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "PRAGMA quick_check(20)")
	return Each(rows, err, func(rows *sql.Rows) error {
		var verdict string
		if err := rows.Scan(&verdict); err != nil {
			return err
		}
		if verdict != "ok" && !strings.Contains(verdict, "FTS5 table main.search") {
			return fmt.Errorf("%w: %s", ErrCorrupt, verdict)
		}
		return nil
	})
}

// useOFDLocks makes SQLite's locks survive the closing of another descriptor of the file in this process. Where the system
// has none, or another store of this process took locks already, what is there stays: nothing here opens the file twice.
func useOFDLocks() {
	if !sqlite.OFDLockingEnabled() {
		_, _ = sqlite.OFDLocking(true) //nolint:errcheck // ErrOFDLockingUnavailable is a platform's fact, not a failure
	}
}

// Migration says what bringing an older store to the newest schema takes.
type Migration = schema.Plan

// SchemaVersion is the newest schema this program knows.
func SchemaVersion() int { return schema.Version() }

// now is the store's clock for created_at and the like.
func now() time.Time { return time.Now().UTC() }
