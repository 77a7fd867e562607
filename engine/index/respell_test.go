package index

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"mailcote/engine/message"
	"mailcote/engine/progress"
	"mailcote/engine/row"
	"mailcote/storage"
	"mailcote/storage/query"
)

// mailed is a store with n messages that wait to be indexed.
func mailed(t *testing.T, n int) *storage.Store {
	t.Helper()
	nothing := func(*storage.Writer) error { return nil }
	return storeOf(t, nothing, n, func(i int) ([]byte, storage.Header) {
		raw := fmt.Appendf(nil, "From: Ada <ada@example.org>\r\nMessage-ID: <%d@example.org>\r\n\r\nzebra %d\r\n", i, i)
		return raw, row.Header(message.Parse(bytes.NewReader(raw), message.Limits{}))
	})
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
	if more, err := one.respell(); !more || err != nil {
		t.Errorf("nothing is left to do after a batch: %v", err)
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

// The index is made again while the old one answers, also for mail that comes meanwhile. Who waits for it is answered
// when the new one answers.
func TestRemade(t *testing.T) {
	const n = 2*respellBatch + 10
	s := mailed(t, n)
	x := Start(s, progress.New())
	if err := errors.Join(x.Drain(t.Context()), s.WriteAlone(t.Context(), (*storage.Writer).RemakeIndex)); err != nil {
		t.Fatal(err)
	}
	changed := s.Changed()
	defer changed.Close()
	remade, steps := make(chan error, 1), 0
	go func() { remade <- x.Remade(t.Context()) }()
	for ended := false; !ended; {
		found, lacks := searchFor(t, s, "zebra")
		if found != n {
			t.Fatalf("%d found while %d are to go", found, lacks)
		}
		if lacks > 0 {
			steps++
		}
		select {
		case err := <-remade:
			if err != nil {
				t.Error(err)
			}
			ended = true
		case <-changed.C:
			changed.News()
		}
	}
	if found, lacks := searchFor(t, s, "zebra"); found != n || lacks != 0 || steps == 0 {
		t.Errorf("at the end %d found, %d to go; %d looks meanwhile", found, lacks, steps)
	}
	if err := errors.Join(x.Remade(t.Context()), x.Stop()); err != nil {
		t.Error(err)
	}
}
