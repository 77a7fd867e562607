package export

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"

	"mailcote/storage"
)

// sink takes the messages of one mailbox, by ascending UID.
type sink interface {
	// begin makes what the mailbox needs and gives the UID after which
	// messages are wanted.
	begin() (after storage.UID, err error)
	// has reports whether a message is there already.
	has(c storage.Copy) bool
	// put takes a message. raw writes its bytes; nil: the body is not here, so
	// it is counted as missing. It reports whether the message was written.
	put(c storage.Copy, raw func(io.Writer) error) (written bool, err error)
	// damaged goes past a message that the store cannot read.
	damaged(c storage.Copy)
	// flush makes what was put last on the disk.
	flush() error
	// end is flush, and gives the mailbox its name.
	end() error
	// close frees the mailbox, after end or without it.
	close() error
}

// page is how many messages are listed, and made to last, at once.
const page = 256

// mailbox exports one mailbox. One of which nothing matches a query is left
// out.
func (x *exporter) mailbox(ctx context.Context, b box) (err error) {
	s := x.sink(b)
	begun := false
	var after storage.UID
	begin := func() (err error) {
		if !begun {
			begun = true
			x.r.Mailboxes++
			after, err = s.begin()
		}
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if x.emails == nil {
		if err := begin(); err != nil {
			return err
		}
	}
	last, before := after, x.done
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var copies []storage.Copy
		if err := x.store.Read(ctx, func(r *storage.Reader) (err error) {
			copies, err = r.Copies(b.ID, b.UIDValidity, last, page)
			return err
		}); err != nil {
			return err
		}
		for _, c := range copies {
			last = c.UID
			x.done++
			if _, found := slices.BinarySearch(x.emails, c.Email); x.emails != nil && !found {
				continue
			}
			if err := begin(); err != nil {
				return err
			}
			if c.UID <= after {
				continue
			}
			if err := x.message(ctx, b, s, c); err != nil {
				return err
			}
		}
		if len(copies) < page {
			break
		}
		if begun {
			if err := s.flush(); err != nil {
				return err
			}
		}
		x.report()
	}
	x.done = before + b.Total
	x.report()
	if !begun {
		return nil
	}
	return s.end()
}

func (x *exporter) report() {
	if x.Progress != nil {
		x.Progress(min(x.done, x.total), x.total)
	}
}

// retries is how often a message is read again whose snapshot was ended.
const retries = 5

// message exports one message.
func (x *exporter) message(ctx context.Context, b box, s sink, c storage.Copy) error {
	if s.has(c) {
		x.r.Already++
		return nil
	}
	var raw func(io.Writer) error
	if c.Blob != 0 {
		raw = func(w io.Writer) error { return x.raw(ctx, c, w) }
	}
	for try := 1; ; try++ {
		written, err := s.put(c, raw)
		unread := (*readError)(nil)
		switch {
		case err == nil && written:
			x.r.Written++
			x.r.Bytes += c.RawSize
			return nil
		case err == nil:
			return nil
		case ctx.Err() != nil || !errors.As(err, &unread):
			return err
		case errors.Is(err, storage.ErrSnapshotTooOld) && try < retries:
		case errors.Is(err, storage.ErrNotFound): // it went while it was exported
			return nil
		case errors.Is(err, storage.ErrSnapshotTooOld), errors.Is(err, storage.ErrClosed),
			errors.Is(err, storage.ErrFailing):
			return err
		default:
			s.damaged(c)
			x.r.Damaged = append(x.r.Damaged, Damage{b.account, b.Path, c.UID, unread.err})
			return nil
		}
	}
}

// readError is an error of the store, not of the file that is written.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// inMemory is up to which size a message is read before it is written, so that
// no snapshot waits for the disk.
const inMemory = 4 << 20

// raw writes the verified bytes of a message.
func (x *exporter) raw(ctx context.Context, c storage.Copy, w io.Writer) error {
	var small bytes.Buffer
	var failed error // of w
	err := x.store.Read(ctx, func(r *storage.Reader) error {
		small.Reset()
		from, _, err := r.OpenBlob(c.Blob)
		if err != nil {
			return err
		}
		defer from.Close() //nolint:errcheck // it frees memory only
		if c.RawSize <= inMemory {
			_, err = small.ReadFrom(from)
			return err
		}
		_, err = io.Copy(watched{w, &failed}, from)
		return err
	})
	switch {
	case failed != nil:
		return failed
	case err != nil:
		return &readError{err}
	}
	_, err = w.Write(small.Bytes())
	return err
}

// watched keeps the error of a writer apart from those of a reader.
type watched struct {
	w   io.Writer
	err *error
}

func (w watched) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	*w.err = err
	return n, err
}
