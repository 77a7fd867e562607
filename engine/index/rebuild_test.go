package index

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"mailcote/engine/message"
	"mailcote/engine/progress"
	"mailcote/engine/row"
	"mailcote/storage"
	"mailcote/storage/query"
)

// filled is a store of some messages that an older reader has seen.
type filled struct {
	t *testing.T
	s *storage.Store
}

func newFilled(t *testing.T, n int) *filled {
	t.Helper()
	outdate := func(w *storage.Writer) error { return w.OutdateViews(1) }
	return &filled{t: t, s: storeOf(t, outdate, n, func(i int) ([]byte, storage.Header) {
		return raw(i + 1), storage.Header{Subject: "as it was read before"}
	})}
}

// storeOf makes a store with n messages in one mailbox, after first.
func storeOf(t *testing.T, first func(*storage.Writer) error, n int,
	message func(i int) ([]byte, storage.Header)) *storage.Store {
	t.Helper()
	s, err := storage.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), storage.Options{Holder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	packer, err := storage.NewPacker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(packer.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := s.Write(t.Context(), storage.Interactive, 0, func(w *storage.Writer) error {
		if err := first(w); err != nil {
			return err
		}
		account, err := w.AddAccount(storage.Account{Name: "ada", User: "ada", Host: "localhost", Port: 143,
			Security: "plain"})
		if err != nil {
			return err
		}
		box, err := w.PutMailbox(storage.Mailbox{Account: account, Raw: "INBOX", Path: "INBOX", Selectable: true,
			Priority: 5})
		if err != nil {
			return err
		}
		if err := w.OpenGeneration(box, 7, 1, 0); err != nil {
			return err
		}
		batch := storage.Batch{Mailbox: box, Validity: 7, Cover: []storage.Range{{Lo: 1, Hi: storage.UID(n)}}}
		for i := range n {
			bytes, header := message(i)
			batch.Arrivals = append(batch.Arrivals, storage.Arrival{UID: storage.UID(i + 1),
				InternalDate: time.Unix(int64(1_700_000_000+i), 0), Body: packer.Pack(bytes), Header: header})
		}
		_, err = w.StoreBatch(batch)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

func raw(n int) []byte {
	return fmt.Appendf(nil, "Message-ID: <%d@example.org>\r\nSubject: =?utf-8?q?caf=C3=A9_%d?=\r\n"+
		"From: Ada <ada@example.org>\r\n\r\nThe word is zebra%d.\r\n", n, n, n)
}

func (f *filled) write(fn func(w *storage.Writer) error) {
	f.t.Helper()
	if err := f.s.Write(f.t.Context(), storage.Interactive, 0, fn); err != nil {
		f.t.Fatal(err)
	}
}

// one asks for one value, as text.
func (f *filled) one(statement string) (v string) {
	f.t.Helper()
	if err := f.s.SQL(f.t.Context(), statement, func(_ []string, values []any) error {
		v = fmt.Sprint(values[0])
		return nil
	}); err != nil {
		f.t.Fatal(err)
	}
	return v
}

func (f *filled) alter(statement string, args ...any) {
	f.t.Helper()
	db, err := sql.Open("sqlite", "file:"+f.s.Path()+"?_pragma=busy_timeout(5000)")
	if err != nil {
		f.t.Fatal(err)
	}
	_, err = db.ExecContext(f.t.Context(), statement, args...)
	if err := errors.Join(err, db.Close()); err != nil {
		f.t.Fatal(err)
	}
}

// outdate has all views made again.
func (f *filled) outdate() {
	f.t.Helper()
	f.write(func(w *storage.Writer) error { return w.OutdateViews(message.Version) })
}

func (f *filled) left() (n int64) {
	f.t.Helper()
	if err := f.s.Read(f.t.Context(), func(r *storage.Reader) error {
		c, err := r.Count()
		n = c.OutdatedViews
		return err
	}); err != nil {
		f.t.Fatal(err)
	}
	return n
}

func (f *filled) drained(p *progress.Progress) {
	f.t.Helper()
	x := Start(f.s, p)
	if err := errors.Join(x.Drain(f.t.Context()), x.Stop()); err != nil {
		f.t.Error(err)
	}
}

// Mail that is here profits from a newer reader: views, search rows and
// conversations. What cannot be read any more keeps its view.
func TestRebuild(t *testing.T) {
	const n = 2*viewBatch + 7
	f := newFilled(t, n)
	f.drained(progress.New())
	f.alter(`UPDATE blob_piece SET frame = substr(frame, 1, length(frame) - 4)
		WHERE blob_id = (SELECT blob_id FROM entry WHERE uid = 3)`)
	f.alter(`DELETE FROM blob_piece WHERE blob_id = (SELECT blob_id FROM entry WHERE uid = 4)`)
	f.outdate()
	if left := f.left(); left != n {
		t.Errorf("%d views are outdated, want %d", left, n)
	}
	f.drained(progress.New())
	if left := f.left(); left != 0 {
		t.Errorf("%d views are outdated still", left)
	}
	if got := f.one(`SELECT count(*) FROM mail WHERE subject LIKE 'café %'`); got != fmt.Sprint(n-2) {
		t.Errorf("%s of %d views were made again", got, n-2)
	}
	if got := f.one(`SELECT subject FROM mail WHERE uid = 3`); got != "as it was read before" {
		t.Errorf("the view of a damaged message became %q", got)
	}
	q, err := query.Parse("café zebra9", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.s.Read(t.Context(), func(r *storage.Reader) error {
		found, err := r.Search(q, 0, 10)
		if len(found) != 1 || found[0].UID != 9 {
			t.Errorf("found %v", found)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// A rebuild that stops in the middle goes on where it stopped.
func TestRebuildResumes(t *testing.T) {
	const n = 3 * viewBatch
	f := newFilled(t, n)
	f.drained(progress.New())
	f.outdate()
	p := progress.New()
	x := &Indexer{store: f.s, ctx: t.Context(), progress: p, draining: 1}
	if more, err := x.rebuild(); err != nil || !more {
		t.Fatal(more, err)
	}
	left := f.left()
	if left != n-viewBatch {
		t.Errorf("%d of %d left after a batch", left, n)
	}
	if got := f.one(`SELECT count(*) FROM mail WHERE subject LIKE 'café %'`); got != fmt.Sprint(n-left) {
		t.Errorf("%s views were made again, and %d are listed", got, left)
	}
	f.drained(p)
	if got := f.one(`SELECT count(*) FROM mail WHERE subject LIKE 'café %'`); got != fmt.Sprint(n) {
		t.Errorf("%s of %d views were made again", got, n)
	}
}

// A rebuilt view that is the same changes nothing that a mail program sees.
func TestRebuildSame(t *testing.T) {
	f := newFilled(t, 10)
	f.write(func(w *storage.Writer) error { return w.OutdateAll() })
	f.drained(progress.New())
	before := f.one(`SELECT max(changed_no) FROM changes`)
	f.write(func(w *storage.Writer) error { return w.OutdateAll() })
	f.drained(progress.New())
	if after := f.one(`SELECT max(changed_no) FROM changes`); after != before {
		t.Errorf("the change number went from %s to %s", before, after)
	}
	if f.left() != 0 {
		t.Error("some are outdated still")
	}
}

// New mail is indexed before the next views are made again.
func TestNewMailFirst(t *testing.T) {
	f := newFilled(t, 2*viewBatch)
	f.outdate() // nothing is indexed yet
	x := Start(f.s, progress.New())
	defer func() {
		if err := x.Stop(); err != nil {
			t.Error(err)
		}
	}()
	watch := f.s.Changed()
	defer watch.Close()
	for f.left() == 2*viewBatch {
		<-watch.C
	}
	var counts storage.Counts
	if err := f.s.Read(context.Background(), func(r *storage.Reader) (err error) {
		counts, err = r.Count()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if counts.Unindexed != 0 {
		t.Errorf("a view was made again while %d messages waited for the index", counts.Unindexed)
	}
}

// The document that the rebuild makes is that of an arrival.
func TestViewIsThatOfAnArrival(t *testing.T) {
	f := newFilled(t, 1)
	x := &Indexer{store: f.s, ctx: t.Context(), progress: progress.New()}
	v, err := x.view(1)
	if err != nil {
		t.Fatal(err)
	}
	want := row.Header(message.Parse(bytes.NewReader(raw(1)), message.Limits{}))
	if !v.Read || v.Header.Subject != want.Subject || v.Header.MessageID != want.MessageID ||
		v.Doc.Text != "The word is zebra1." {
		t.Errorf("%+v", v)
	}
}
