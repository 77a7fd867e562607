package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"mailcote/testkit/faultvfs"
)

// A message that cannot be read may be what joins the others: its thread stays whole.
func TestRebuildWithUnreadable(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.threaded(1, 1, "talk", "a"), b.threaded(2, 2, "talk", "b"),
		b.threaded(3, 3, "talk", "c", "a", "b"), b.threaded(4, 4, "talk", "d"), b.threaded(5, 5, "talk", "e", "d"))
	before := b.everyThread()
	b.rebuildThreads(func(r io.Reader) (Header, error) {
		h, err := threadedHeader(r)
		if len(h.ThreadKeys) > 0 && h.ThreadKeys[0] == "c" {
			err = errors.New("a header that the parser cannot bear")
		}
		return h, err
	})
	if after := b.everyThread(); after != before {
		t.Errorf("changed from\n%s\nto\n%s", before, after)
	}
	b.execute(`DELETE FROM blob_piece WHERE blob_id = (SELECT blob_id FROM entry WHERE uid = 3)`)
	b.rebuildThreads(threadedHeader)
	if after := b.everyThread(); after != before {
		t.Errorf("changed from\n%s\nto\n%s", before, after)
	}
}

// A thread with a message that cannot be read, or that has none, moves whole to one that is larger, and what answers
// that message follows.
func TestRebuildMovesUnreadable(t *testing.T) {
	for name, damage := range map[string]string{
		"damaged": `DELETE FROM blob_piece WHERE blob_id = (SELECT blob_id FROM entry WHERE uid = 2)`,
		"none": `UPDATE email SET digest = NULL WHERE id = 2; UPDATE entry SET blob_id = NULL, expunged_at = 5
			WHERE email_id = 2;
			UPDATE change SET destroyed = 1 WHERE object_id = (SELECT jmap_id FROM email WHERE id = 2);
			DELETE FROM unindexed WHERE email_id = 2`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			box := b.mailbox("INBOX", 7)
			b.store(box, 7, b.threaded(1, 1, "talk", "a", "c"), b.threaded(2, 2, "talk", "b"),
				b.threaded(3, 3, "talk", "c"), b.threaded(4, 4, "talk", "d", "c"), b.threaded(5, 5, "talk", "e", "c"))
			b.execute(`INSERT INTO thread (id, account_id, jmap_id) VALUES (77, 1, 'tother')`,
				`UPDATE email SET thread_id = 77 WHERE id < 3`,
				`DELETE FROM thread WHERE id NOT IN (SELECT thread_id FROM email)`,
				`INSERT OR REPLACE INTO thread_reference (account_id, key, thread_id) VALUES (1, x'`+
					fmt.Sprintf("%x", threadKeys(Header{BaseSubject: "talk", ThreadKeys: []string{"b"}})[0])+`', 77)`,
				damage)
			id := b.idOf(3)
			b.rebuildThreads(threadedHeader)
			if n := number(t, b.Store, `SELECT count(DISTINCT thread_id) FROM email`); n != 1 {
				t.Errorf("%d threads", n)
			}
			if b.idOf(3) != id {
				t.Error("the larger thread has other ids")
			}
			b.store(box, 7, b.threaded(6, 6, "talk", "f", "b"))
			if n := number(t, b.Store, `SELECT count(DISTINCT thread_id) FROM email`); n != 1 {
				t.Errorf("the answer is in another thread")
			}
		})
	}
}

// A disk that cannot be read ends a rebuild, also where the parser swallows it: no message is worse than before.
func TestRebuildFails(t *testing.T) {
	b := bedOn(t, faulty(t))
	random := rand.New(rand.NewPCG(1, 2))
	big := make([]byte, 6<<20) // more than SQLite keeps in memory
	for i := range big {
		big[i] = byte(random.Uint32())
	}
	body, err := b.Stage(t.Context(), b.packer, bytes.NewReader(big))
	if err != nil {
		t.Fatal(err)
	}
	a := b.arrival(1, 1)
	a.Body = body
	b.store(b.mailbox("INBOX", 7), 7, a)
	_, err = b.RebuildThreads(t.Context(), ThreadsOptions{Parse: func(r io.Reader) (Header, error) {
		faultvfs.FailFrom(faultvfs.Read, "", 1, faultvfs.IOErrRead)
		if _, err := io.Copy(io.Discard, r); err == nil {
			t.Error("all of it could be read")
		}
		faultvfs.Reset()
		return Header{}, nil
	}})
	if !errors.Is(err, ErrIO) {
		t.Errorf("error %v", err)
	}
}

// Messages that share a Message-ID are in one thread, and so is what was in one with a message that cannot be read.
// Nothing else is.
func (b *bed) anyUnreadable(random *rand.Rand, all []Arrival, ofAll func(what string) []string) {
	b.t.Helper()
	dark := map[string]bool{}
	for range 1 + random.IntN(3) {
		one := all[random.IntN(len(all))].Header
		dark[one.Subject] = true
	}
	in := ofAll("e.thread_id")
	group := make([]int, len(all))
	for i := range group {
		group[i] = i
	}
	join := func(i, j int) {
		for k, from := 0, group[j]; k < len(group); k++ {
			if group[k] == from {
				group[k] = group[i]
			}
		}
	}
	for i, one := range all {
		for j, other := range all {
			if dark[one.Header.Subject] && in[i] == in[j] {
				join(i, j)
			}
			if !dark[one.Header.Subject] && !dark[other.Header.Subject] &&
				slices.ContainsFunc(threadKeys(one.Header), func(key []byte) bool {
					return slices.ContainsFunc(threadKeys(other.Header), func(o []byte) bool {
						return bytes.Equal(key, o)
					})
				}) {
				join(i, j)
			}
		}
	}
	rebuild := func() {
		b.rebuildThreads(func(r io.Reader) (Header, error) {
			h, err := threadedHeader(r)
			if err == nil && dark[h.Subject] {
				err = errors.New("a header that the parser cannot bear")
			}
			return h, err
		})
	}
	rebuild()
	now := ofAll("e.thread_id")
	for i := range all {
		for j := range all {
			if (now[i] == now[j]) != (group[i] == group[j]) {
				b.t.Fatalf("messages %d and %d: threads %s and %s, were %s and %s", i+1, j+1, now[i], now[j], in[i],
					in[j])
			}
		}
	}
	state := b.everyThread()
	rebuild()
	if got := b.everyThread(); got != state {
		b.t.Fatalf("a second rebuild changed\n%s\nto\n%s", state, got)
	}
}
