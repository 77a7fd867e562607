package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"mailcote/storage/check"
	"mailcote/storage/internal/file"
	"mailcote/storage/internal/salvage"
	"mailcote/storage/internal/schema"
	"mailcote/storage/owner"
	"mailcote/storage/packing"
)

// checkSnapshot is how old a snapshot of a check may grow while much is
// written. SQLite checks a table in one snapshot. Until that ends, bulk writing
// rests before the log grows too long.
const checkSnapshot = 10 * time.Minute

const (
	// checkReaders is how many read at once at most when a store is checked.
	checkReaders = 8
	// checkCache is how many KiB of pages they cache together. SQLite looks up
	// each row in each index of its table, which is random reading.
	checkCache = 16 << 10
)

// CheckOptions say how thoroughly a store is checked and who watches.
type CheckOptions struct {
	// Parse reads a message as it was read when it arrived; nil: derived rows
	// are not compared.
	Parse func(r io.Reader) Header
	// Reader is the version of Parse. What an older one made is not compared.
	// 0: everything is.
	Reader int
	// Progress is told how many of how many rows were looked at; nil: nobody
	// asks.
	Progress func(done, total int64)
}

// Finding is one thing that cannot be in a sound store: its kind, where it is,
// and a sentence for the user.
type Finding = check.Finding

// Check looks for everything that cannot be in a sound store: SQLite's own
// structure, references, every digest and size, counters, coverage against
// entries, derived rows against a fresh parse, threads, the change feed, the
// search index and the queue. It reads in short snapshots, so it is right while
// an owner writes. Findings come with an error, too.
func (s *Store) Check(ctx context.Context, o CheckOptions) ([]Finding, error) {
	// A connection of FTS5 caches the index, and integrity_check does not renew
	// the cache: one that searched before the last merge would report damage.
	// So the check has connections of its own, and starts with the tables.
	limits := s.file.Limits()
	limits.Snapshot = checkSnapshot
	readers := min(runtime.GOMAXPROCS(0), checkReaders)
	fresh, err := s.file.Fresh(ctx, limits, readers)
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	defer fresh.Close() //nolint:errcheck // it only read
	src := check.Source{Progress: o.Progress}
	for range readers {
		r, done, err := checkReader(ctx, fresh, checkCache/readers)
		if err != nil {
			return nil, fmt.Errorf("check: %w", err)
		}
		defer done()
		src.Readers = append(src.Readers, r)
	}
	var reader int
	if err := s.Read(ctx, func(r *Reader) (err error) {
		reader, err = r.readerVersion()
		return err
	}); err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	if o.Parse != nil && reader >= o.Reader {
		src.Parse = derivedBy(o.Parse)
	}
	found, err := check.Run(ctx, src)
	if err != nil {
		return found, fmt.Errorf("check: %w", err)
	}
	return found, nil
}

// checkReader reads the store on one connection, with a cache of so many KiB and
// one unpacker. done frees them.
func checkReader(ctx context.Context, fresh *file.File, cache int) (r check.Reader, done func(), err error) {
	reading, err := fresh.Reading(ctx, cache)
	if err != nil {
		return r, nil, err
	}
	dec, err := packing.NewUnpacker()
	if err != nil {
		reading.Close()
		return r, nil, err
	}
	return check.Reader{
		Read: func(ctx context.Context, fn func(check.Snapshot) error) error {
			return reading.Read(ctx, func(snap *file.Snapshot) error { return fn(snap) })
		},
		Open: func(snapshot check.Snapshot, blob int64) (io.ReadCloser, int64, error) {
			return (&Reader{snapshot.(*file.Snapshot)}).openBlob(BlobID(blob), dec) // Read above gave it
		},
	}, func() { dec.Close(); reading.Close() }, nil
}

// derivedBy gives what the store keeps of a message.
func derivedBy(parse func(io.Reader) Header) func(io.Reader) check.Derived {
	return func(r io.Reader) check.Derived { return derivedOf(parse(r)) }
}

// derivedOf gives what StoreBatch keeps of a header.
func derivedOf(h Header) check.Derived {
	d := check.Derived{MessageID: h.MessageID, Subject: h.Subject, Sender: h.Sender, Recipients: h.Recipients,
		Preview: h.Preview, HasAttachment: h.HasAttachment, Partial: h.Partial, ThreadKeys: threadKeys(h)}
	if !h.SentAt.IsZero() {
		ms := millis(h.SentAt)
		d.SentAt = &ms
	}
	return d
}

// Salvage allows Open to replace a damaged store by a new one with all that can
// be read and verifies. The damaged one is copied aside.
type Salvage struct {
	Parse    func(r io.Reader) Header // reads a message afresh
	Progress func(done, total int64)  // is told how many messages of how many were looked at; nil: nobody asks
	Cause    error                    // not nil: the store turned out to be damaged while it was open
}

// Salvaged says what was saved of a damaged store.
type Salvaged = salvage.Report

// Salvaged says what Open saved of a damaged store; nil: it was sound.
func (s *Store) Salvaged() *Salvaged { return s.salvaged }

// openSalvaging is openOwner for a store that may be damaged.
func (s *Store) openSalvaging(ctx context.Context, how file.Options, o *Salvage) error {
	if replaced, err := salvage.Finish(ctx, how.Path); err != nil {
		return err
	} else if replaced {
		if err := s.lock.Renew(); err != nil {
			return err
		}
	}
	reason, foreign := salvage.Unfit(ctx, how.Path)
	var damage error
	switch {
	case reason != "":
		damage = fmt.Errorf("%w: %s", ErrCorrupt, reason)
	case o != nil && o.Cause != nil:
		damage = o.Cause
	default:
		if damage = s.openOwner(ctx, how); !errors.Is(damage, ErrCorrupt) {
			return damage
		}
	}
	if o == nil {
		return damage
	}
	options := salvageOptions(ctx, o)
	options.NoLog, options.Space = foreign, how.Limits.Space
	saved, err := salvage.Replace(ctx, how.Path, options)
	if errors.Is(err, salvage.ErrNoRoom) {
		return fmt.Errorf("%w: %w: %w", ErrFull, err, damage)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", damage, err)
	}
	saved.Cause = damage.Error()
	s.salvaged = &saved
	if err := s.lock.Renew(); err != nil {
		return err
	}
	return s.openOwner(ctx, how)
}

// SalvageInto saves what can be read of the store at path into a new store at
// out. It only reads the store, which nobody may own meanwhile. Errors:
// *owner.HeldError, ErrMissing, ErrSalvageName, fs.ErrExist, or what is wrong
// with the two files.
func SalvageInto(ctx context.Context, path, out string, o Salvage) (Salvaged, error) {
	if err := owner.Inspect(path); err != nil {
		return Salvaged{}, missingStore(path, err)
	}
	file.UseOFDLocks()
	lock, err := owner.Acquire(path, "mailcote check --salvage")
	if err != nil {
		return Salvaged{}, err
	}
	options := salvageOptions(ctx, &o)
	_, options.NoLog = salvage.Unfit(ctx, path)
	saved, err := salvage.Into(ctx, path, out, options)
	if errors.Is(err, salvage.ErrNoRoom) {
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
	return saved, errors.Join(file.Mark(err), lock.Release())
}

func salvageOptions(ctx context.Context, o *Salvage) salvage.Options {
	return salvage.Options{
		Open: func(tx *sql.Tx, blob int64) (io.ReadCloser, int64, error) {
			return (&Reader{file.SnapshotOf(ctx, tx)}).OpenBlob(BlobID(blob))
		},
		Parse:    derivedBy(o.Parse),
		NewID:    func(letter string) string { return schema.ObjectID(letter, 0) },
		Progress: o.Progress,
	}
}

// Repair mends what a check found, in one transaction. Derived rows are made
// again from what they are derived of. An entry whose bytes are missing or
// damaged is listed to be downloaded again by the next pass (Refetch). No mail is
// deleted: what cannot be mended stays as it is. Where pages are damaged it
// changes nothing and gives an ErrCorrupt: the store is to be salvaged first. Where
// indexes differ from their tables it only makes those again: what else was
// found may be wrong, so the store is to be checked again.
func (s *Store) Repair(ctx context.Context, o RepairOptions) error {
	rows, tables := map[string][]int64{}, []string(nil)
	for _, f := range o.Found {
		if f.File {
			return fmt.Errorf("repair: %w: %s: %s", ErrCorrupt, f.Where, f.Detail)
		}
		if f.Index != "" && !slices.Contains(tables, f.Index) {
			tables = append(tables, f.Index)
		}
		if f.Mends {
			rows[f.What] = append(rows[f.What], f.Row)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	err := s.WriteAlone(ctx, func(w *Writer) error {
		r := repair{Writer: w, o: o, rows: rows}
		if len(tables) > 0 {
			return r.reindex(tables)
		}
		for _, step := range []struct {
			do    func() error
			after []string // the kinds of findings that it mends; none: it follows from the others
		}{
			{r.renewIndex, []string{"damaged file"}},
			{r.facts, []string{"missing fact", "wrong change number"}},
			{r.owners, []string{"broken reference", "wrong account"}},
			{r.halves, []string{"missing message", "broken reference"}}, // before lost emails get their digests
			{r.parents, []string{"broken reference"}},
			{r.blobs, []string{"damaged message", "missing piece", "wrong size", "missing message", "wrong message"}},
			{r.bodies, []string{"missing message", "wrong message", "false coverage", "broken reference",
				"damaged message", "missing piece"}},
			{r.accounts, []string{"wrong account"}},
			{r.formerIDs, []string{"wrong former id"}},
			{r.sizes, []string{"wrong size"}},
			{r.counters, nil}, // before entries leave, which counts
			{r.generations, []string{"stray entry"}},
			{r.counters, nil},
			{r.coverage, nil},
			{r.threads, []string{"wrong thread"}},
			{r.emptyThreads, nil},
			{r.feed, nil},
			{r.index, []string{"not searchable", "stale index", "broken reference"}},
			{r.queue, []string{"stray queue row", "stuck task"}},
			{r.quarantine, []string{"stray quarantine"}},
			{r.views, []string{"stale field"}},
		} {
			if step.after != nil && !slices.ContainsFunc(step.after, func(what string) bool {
				return rows[what] != nil
			}) {
				continue
			}
			if err := step.do(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	return nil
}

// RebuildThreads makes the threads again from the messages and gives how many
// messages there are. Emails whose messages lead to each other become one
// thread, others part. Of a sound thread nothing changes.
//
// All messages of an account are read first. Until then its threads stay as
// they are, and new mail joins them as ever. Then one transaction writes what
// differs, so a rebuild that is stopped has changed nothing of that account.
func (s *Store) RebuildThreads(ctx context.Context, o ThreadsOptions) (messages int64, err error) {
	return threadsRebuild{s, o}.run(ctx)
}
