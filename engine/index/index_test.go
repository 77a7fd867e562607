package index

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"mailcote/engine/progress"
	"mailcote/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T) *Indexer {
	t.Helper()
	s, err := storage.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), storage.Options{Holder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	x := Start(s, progress.New())
	t.Cleanup(func() {
		if err := errors.Join(x.Stop(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	return x
}

// Whoever waits for the index is answered when there is nothing to do, and when
// he gives up.
func TestDrain(t *testing.T) {
	x := start(t)
	if err := x.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := x.Drain(ended); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What was parsed and waits for its turn is bounded, and given back with the
// batch that passes it.
func TestOfferIsBounded(t *testing.T) {
	x := start(t)
	text := strings.Repeat("x", 1<<20)
	for row := range 10 {
		x.Offer([]storage.EmailRow{storage.EmailRow(row + 1)}, []storage.IndexDoc{{Text: text}})
	}
	if _, ok := x.take(1); !ok || x.readySize > readyBytes {
		t.Errorf("%d bytes held, the first is there: %v", x.readySize, ok)
	}
	x.forget(10)
	if x.readySize != 0 || len(x.ready) != 0 {
		t.Errorf("%d bytes and %d documents held after all were indexed", x.readySize, len(x.ready))
	}
}

// Documents that were offered are not read again; those that are not there, or no use in the spelling that is asked
// for, are, and are counted.
func TestReparsed(t *testing.T) {
	const n = 5
	s := mailed(t, n)
	x := &Indexer{store: s, ctx: t.Context(), progress: progress.New(), mail: make(chan struct{}, 1),
		ready: map[storage.EmailRow]storage.IndexDoc{}}
	rows := []storage.EmailRow{1, 2, 3}
	docs := make([]storage.IndexDoc, len(rows))
	for i := range docs {
		docs[i] = storage.IndexDoc{Text: "offered"}.Spelled()
	}
	x.Offer(rows, docs)
	if _, reparsed, err := x.documents(rows, false); err != nil || reparsed != len(rows) {
		t.Errorf("%d plain documents were made, %v", reparsed, err)
	}
	if err := x.catchUp(); err != nil {
		t.Fatal(err)
	}
	if found, _ := searchFor(t, s, "offered"); found != len(rows) {
		t.Errorf("%d of the offered are found", found)
	}
	if found, _ := searchFor(t, s, "zebra"); found != n-len(rows) {
		t.Errorf("%d of the others are found", found)
	}
	if err := s.Read(t.Context(), func(r *storage.Reader) error {
		c, err := r.Count()
		if c.Reparsed != int64(n-len(rows)) {
			t.Errorf("%d are counted", c.Reparsed)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// What one transaction writes is bounded, and the rest comes after it.
func TestBatchIsBounded(t *testing.T) {
	const n = plainBatch + 1
	s := mailed(t, n)
	x := &Indexer{store: s, ctx: t.Context(), progress: progress.New(), ready: map[storage.EmailRow]storage.IndexDoc{}}
	var rows []storage.EmailRow
	for row := storage.EmailRow(1); row <= n; row++ {
		rows = append(rows, row)
	}
	for _, large := range []bool{false, true} {
		want := n
		if large {
			x.ready[1], want = storage.IndexDoc{Email: 1, Text: strings.Repeat("x", indexBytes)}, indexStep
		}
		if docs, _, err := x.batch(rows, true); err != nil || len(docs) != want {
			t.Errorf("large %v: %d of %d, %v", large, len(docs), want, err)
		}
	}
	if docs, _, err := x.batch(rows, false); err != nil || len(docs) != plainBatch {
		t.Errorf("plain: %d, %v", len(docs), err)
	}
	if err := x.catchUp(); err != nil {
		t.Fatal(err)
	}
	if found, _ := searchFor(t, s, "zebra"); found != n-1 {
		t.Errorf("%d are found", found)
	}
}
