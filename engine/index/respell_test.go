package index

import (
	"bytes"
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

// mailed is a store with n messages that wait to be indexed.
func mailed(t *testing.T, n int) *storage.Store {
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
			raw := fmt.Appendf(nil, "From: Ada <ada@example.org>\r\nMessage-ID: <%d@example.org>\r\n\r\nzebra %d\r\n",
				i, i)
			view := message.Parse(bytes.NewReader(raw), message.Limits{})
			batch.Arrivals = append(batch.Arrivals, storage.Arrival{UID: storage.UID(i + 1),
				InternalDate: time.Unix(1_700_000_000, 0), Body: packer.Pack(raw), Header: row.Header(view)})
		}
		_, err = w.StoreBatch(batch)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

// searchFor gives how many messages a word finds, and how many the new index lacks.
func searchFor(t *testing.T, s *storage.Store, word string) (found int, lacks int64) {
	t.Helper()
	q, err := query.Parse(word, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Read(t.Context(), func(r *storage.Reader) error {
		hits, err := r.Search(q, 0, 10_000)
		if err != nil {
			return err
		}
		counts, err := r.Count()
		found, lacks = len(hits), counts.Reindexing
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return found, lacks
}

// An index that is to be built anew is built in batches while the old one answers; an indexer that is stopped in the
// middle leaves the rest to the next.
func TestRespell(t *testing.T) {
	const n = 2*respellBatch + 10
	s := mailed(t, n)
	x := Start(s, progress.New())
	if err := errors.Join(x.Drain(t.Context()), s.WriteAlone(t.Context(), (*storage.Writer).RebuildIndex)); err != nil {
		t.Fatal(err)
	}
	if found, lacks := searchFor(t, s, "zebra"); found != n || lacks != n {
		t.Errorf("%d found, %d to go", found, lacks)
	}
	if err := x.Stop(); err != nil {
		t.Fatal(err)
	}
	one := &Indexer{store: s, ctx: t.Context()}
	if !one.respell() {
		t.Error("nothing is left to do after a batch")
	}
	if found, lacks := searchFor(t, s, "zebra"); found != n || lacks != n-respellBatch {
		t.Errorf("%d found, %d to go after a batch", found, lacks)
	}
	changed := s.Changed()
	defer changed.Close()
	x = Start(s, progress.New())
	for {
		found, lacks := searchFor(t, s, "zebra")
		if found != n {
			t.Fatalf("%d found while %d are to go", found, lacks)
		}
		if lacks == 0 {
			break
		}
		select {
		case <-changed.C:
			changed.News()
		case <-t.Context().Done():
			t.Fatal("it does not end")
		}
	}
	if err := x.Stop(); err != nil {
		t.Error(err)
	}
	if found, _ := searchFor(t, s, "5"); found != 1 {
		t.Errorf("%d found", found)
	}
}
