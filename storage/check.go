package storage

import (
	"context"
	"fmt"
	"io"
	"time"

	"mailcote/storage/check"
)

// checkSnapshot is how old a snapshot of a check may grow while much is written: SQLite checks a table in one, and until it has,
// bulk writing rests before the log grows too long.
const checkSnapshot = 10 * time.Minute

// CheckOptions say how thoroughly a store is checked and who watches.
type CheckOptions struct {
	// Parse reads a message afresh, as it was read when it arrived; nil: derived rows are not compared.
	Parse func(r io.Reader) Header
	// Progress is told how many rows of how many were looked at; nil: nobody asks.
	Progress func(done, total int64)
}

// Finding is one thing that cannot be in a sound store: its kind, where it is, and a sentence for the person.
type Finding = check.Finding

// Check looks for everything that cannot be in a sound store: SQLite's own structure, references, every digest and size,
// counters, coverage against entries, derived rows against a fresh parse, threads, the change feed, the search index and
// the queue. It reads in short snapshots and is right beside an owner that writes. Findings come also with an error.
func (s *Store) Check(ctx context.Context, o CheckOptions) ([]Finding, error) {
	// FTS5 keeps a connection's picture of the index and integrity_check does not renew it: one that searched before the
	// last merge would report damage. So the check has connections of its own, and starts with the tables.
	db, err := s.openReaders(ctx)
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	defer db.Close() //nolint:errcheck // it only read
	fresh := &Store{path: s.path, vfs: s.vfs, readOnly: true, readers: db, limits: s.limits}
	fresh.limits.snapshot = checkSnapshot
	src := check.Source{
		Read: func(ctx context.Context, fn func(check.Snapshot) error) error {
			return fresh.Read(ctx, func(r *Reader) error { return fn(r) })
		},
		Open: func(snapshot check.Snapshot, blob int64) (io.ReadCloser, int64, error) {
			return snapshot.(*Reader).OpenBlob(BlobID(blob)) // Read above gave it
		},
		Progress: o.Progress,
	}
	if o.Parse != nil {
		src.Parse = func(r io.Reader) check.Derived { return derivedOf(o.Parse(r)) }
	}
	found, err := check.Run(ctx, src)
	if err != nil {
		return found, fmt.Errorf("check: %w", err)
	}
	return found, nil
}

// derivedOf gives what StoreBatch keeps of a header.
func derivedOf(h Header) check.Derived {
	d := check.Derived{MessageID: h.MessageID, Subject: h.Subject, Sender: h.Sender, Recipients: h.Recipients, Preview: h.Preview, HasAttachment: h.HasAttachment, Partial: h.Partial}
	if !h.SentAt.IsZero() {
		ms := millis(h.SentAt)
		d.SentAt = &ms
	}
	for _, id := range h.ThreadKeys[:min(len(h.ThreadKeys), maxThreadKeys)] {
		d.ThreadKeys = append(d.ThreadKeys, threadKey(id, h.BaseSubject))
	}
	return d
}
