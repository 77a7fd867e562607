package file

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"sync"

	"modernc.org/sqlite"

	"mailcote/storage/internal/schema"
	"mailcote/storage/owner"
)

// File is one open file. Its methods may be called from any goroutine.
type File struct {
	o      Options
	damage damage

	handles sync.RWMutex // held for reading while a handle is in use, for writing while they are exchanged
	readers *sql.DB
	writer  *writer // nil: the file is only read
	closed  sync.Once

	versions versions

	mu    sync.Mutex
	later []func(*Tx) error // see Later
}

// Options say how a file is opened.
type Options struct {
	Path string      // absolute
	Lock *owner.Lock // held by whoever opens; nil: the file is only read

	// Migrating is told before an older file is brought to the newest schema;
	// nil: nobody asks.
	Migrating func(schema.Plan)
	// Committed is told what the closures of a transaction left in Tx.Note,
	// after the COMMIT and before those who wrote are answered. It is called
	// only when rows changed.
	Committed func(notes []any)
	// Doubted is called instead when the outcome of a COMMIT is unknown.
	Doubted func()
	// CommitAlone says what the failure of a COMMIT of WriteAlone means; nil:
	// just that.
	CommitAlone func(error) error
	// Excused reports whether a verdict of quick_check is no damage of the
	// file.
	Excused func(verdict string) bool

	VFS         string  // SQLite's by name, its default if ""; tests inject faults with it
	Synchronous string  // PRAGMA synchronous, FULL if ""; a test of power loss shows what another one costs
	Pages       int     // uncopied pages of WAL at which it is checkpointed, checkpointPages if 0
	Limits      *Limits // nil: StandardLimits
}

// Open opens an existing file. It makes an empty one a store and migrates an
// older one, unless it only reads.
func Open(ctx context.Context, o Options) (*File, error) {
	o.Synchronous, o.Pages = cmp.Or(o.Synchronous, "FULL"), cmp.Or(o.Pages, checkpointPages)
	if o.Limits == nil {
		limits := StandardLimits()
		o.Limits = &limits
	}
	if o.Committed == nil {
		o.Committed = func([]any) {}
	}
	if o.Doubted == nil {
		o.Doubted = func() {}
	}
	f := &File{o: o}
	var err error
	if o.Lock == nil {
		if f.readers, err = f.openReaders(ctx); err != nil {
			return nil, err
		}
		return f, nil
	}
	db, err := f.openWriting(ctx)
	if err != nil {
		return nil, err
	}
	if f.readers, err = f.openReaders(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := o.Lock.SameFile(); err != nil { // what was opened by its name is what was prepared
		return nil, errors.Join(err, f.readers.Close(), db.Close())
	}
	if f.writer, err = startWriter(ctx, f, db); err != nil {
		return nil, errors.Join(err, f.readers.Close(), db.Close())
	}
	return f, nil
}

// Fresh opens the same file for reading once more, on connections that have
// cached nothing. The limit of its snapshots' age is another one, and so many
// can read at once.
func (f *File) Fresh(ctx context.Context, limits Limits, conns int) (*File, error) {
	readers, err := f.openReaders(ctx)
	if err != nil {
		return nil, err
	}
	readers.SetMaxOpenConns(conns)
	o := f.o
	o.Lock, o.Limits = nil, &limits
	return &File{o: o, readers: readers}, nil
}

func (f *File) openWriting(ctx context.Context) (*sql.DB, error) {
	making := url.Values{"mode": {"rw"}, "_pragma": {"busy_timeout(5000)"}}
	if err := schema.Create(ctx, f.dsn(making), f.o.Path); err != nil {
		return nil, Mark(err)
	}
	pragmas := []string{
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(" + f.o.Synchronous + ")", "foreign_keys(1)",
		"wal_autocheckpoint(0)", "cache_size(-8192)", "temp_store(MEMORY)", "cell_size_check(1)",
		fmt.Sprintf("journal_size_limit(%d)", f.o.Limits.LogMost),
	}
	if runtime.GOOS == "darwin" {
		pragmas = append(pragmas, "fullfsync(1)", "checkpoint_fullfsync(1)")
	}
	db, err := sql.Open("sqlite", f.dsn(url.Values{"mode": {"rw"}, "_pragma": pragmas, "_txlock": {"immediate"}}))
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	db.SetMaxOpenConns(1)
	options := schema.Options{Begin: f.o.Migrating, Space: f.o.Limits.Space}
	if err := schema.Migrate(ctx, db, f.o.Path, options); err != nil {
		return nil, errors.Join(Mark(err), db.Close())
	}
	// A file that may only be read opens, too, and BEGIN IMMEDIATE makes a
	// reading transaction of it. No row has this key.
	if _, err := db.ExecContext(ctx, `DELETE FROM meta WHERE key = ''`); err != nil {
		return nil, errors.Join(Explain("open store for writing", err), db.Close())
	}
	return db, nil
}

// readers is how many can read at once.
const readers = 4

func (f *File) openReaders(ctx context.Context) (*sql.DB, error) {
	db, err := sql.Open("sqlite", f.dsn(url.Values{
		"mode": {"ro"},
		"_pragma": {
			"busy_timeout(5000)", "query_only(1)", "trusted_schema(0)", "cell_size_check(1)",
			"cache_size(-1024)", "temp_store(MEMORY)",
		},
	}))
	if err != nil {
		return nil, fmt.Errorf("open store for reading: %w", err)
	}
	db.SetMaxOpenConns(readers)
	db.SetMaxIdleConns(readers)
	if err := schema.Readable(ctx, db, f.o.Path); err != nil {
		return nil, errors.Join(Mark(err), db.Close())
	}
	if f.o.Lock == nil {
		return db, nil
	}
	// All at once, while there are descriptors: later they may all be
	// connections.
	var conns [readers]*sql.Conn
	for i := range conns {
		if conns[i], err = db.Conn(ctx); err != nil {
			return nil, errors.Join(Explain("open store for reading", err), db.Close())
		}
		defer conns[i].Close() //nolint:errcheck // it goes back
	}
	return db, nil
}

// dsn makes a file: URI; on a bare path the driver would ignore mode. Only
// package owner makes a file: an empty one in the place of a store that was
// moved away would look as if all mail was gone.
func (f *File) dsn(params url.Values) string {
	if f.o.VFS != "" {
		params.Set("vfs", f.o.VFS)
	}
	path := filepath.ToSlash(f.o.Path)
	if path[0] != '/' {
		path = "/" + path // file:///C:/…
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: params.Encode()}
	return u.String()
}

// Path is the file's absolute path.
func (f *File) Path() string { return f.o.Path }

// Limits are what the file is bounded by.
func (f *File) Limits() Limits { return *f.o.Limits }

// Close lets the queued writes finish and closes every handle. Only the first
// call does it.
func (f *File) Close() (err error) {
	f.closed.Do(func() { err = f.close() })
	return err
}

func (f *File) close() error {
	var errs []error
	if f.writer != nil {
		f.writer.stop()
	}
	f.handles.Lock()
	defer f.handles.Unlock()
	errs = append(errs, f.versions.drop())
	if f.readers != nil {
		errs = append(errs, f.readers.Close())
		f.readers = nil
	}
	if f.writer != nil {
		errs = append(errs, f.writer.close())
	}
	return errors.Join(errs...)
}

// reopen exchanges every handle after an unknown outcome: the page cache of the
// old ones may hold what is not on disk. The file is checked before it is
// written again. It is read meanwhile, and when reopening fails.
func (f *File) reopen(ctx context.Context) error {
	if err := f.onlyRead(ctx); err != nil {
		return err
	}
	db, err := f.openWriting(ctx)
	if err != nil {
		return err
	}
	if err := f.quickCheck(ctx, db); err != nil {
		return errors.Join(Explain("check after reopening", err), db.Close())
	}
	if err := f.writer.use(ctx, db); err != nil {
		return errors.Join(err, db.Close())
	}
	return nil
}

// onlyRead leaves the file open for reading, where that is possible.
func (f *File) onlyRead(ctx context.Context) error {
	f.handles.Lock()
	defer f.handles.Unlock()
	err := f.drop()
	if errors.Is(err, owner.ErrMoved) {
		return err
	}
	readers, failed := f.openReaders(ctx)
	f.readers = readers
	return errors.Join(err, failed)
}

// drop closes every handle. What the old ones say to it is of no interest; that
// the path still leads to the file is.
func (f *File) drop() error {
	f.writer.stmts.close()
	_ = f.writer.db.Close() //nolint:errcheck // see above
	_ = f.versions.drop()   //nolint:errcheck // see above
	if f.readers != nil {
		_ = f.readers.Close() //nolint:errcheck // see above
		f.readers = nil
	}
	return f.o.Lock.SameFile()
}

// quickCheck looks whether the file is sound.
func (f *File) quickCheck(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "PRAGMA quick_check(20)")
	return Each(rows, err, func(rows *sql.Rows) error {
		var verdict string
		if err := rows.Scan(&verdict); err != nil {
			return err
		}
		if verdict != "ok" && (f.o.Excused == nil || !f.o.Excused(verdict)) {
			return fmt.Errorf("%w: %s", schema.ErrCorrupt, verdict)
		}
		return nil
	})
}

// UseOFDLocks makes SQLite's locks survive the closing of another descriptor of
// the file in this process. Where the system has none, or another store of this
// process took locks already, what is there stays: nothing here opens the file
// twice.
func UseOFDLocks() {
	if !sqlite.OFDLockingEnabled() {
		_, _ = sqlite.OFDLocking(true) //nolint:errcheck // ErrOFDLockingUnavailable is a platform's fact, not a failure
	}
}
