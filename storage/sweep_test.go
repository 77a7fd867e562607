package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

const day = 24 * time.Hour

func (b *bed) sweep(at time.Time, keep time.Duration) Swept {
	b.t.Helper()
	done, err := b.Sweep(context.Background(), at, keep)
	if err != nil {
		b.t.Fatal(err)
	}
	if found, err := b.Check(context.Background(), CheckOptions{}); err != nil || len(found) > 0 {
		b.t.Errorf("after the sweep: %v, %v", found, err)
	}
	return done
}

func (b *bed) settle() {
	write(b.t, b.Store, func(w *Writer) error { _, err := w.SettleOrphans(b.account); return err })
}

func TestSweepKeepsItsTime(t *testing.T) {
	b := newBed(t)
	inbox, archive := b.mailbox("INBOX", 7), b.mailbox("Archive", 9)
	b.store(inbox, 7, b.arrival(1, 1), b.arrival(2, 2), b.arrival(3, 3))
	b.store(archive, 9, b.arrival(1, 2))
	b.index(func(row EmailRow) IndexDoc { return IndexDoc{Email: row, Text: "text"} })
	write(t, b.Store, func(w *Writer) error { return w.Expunge(inbox, 7, []UID{1, 2}) })

	later := time.Now().Add(31 * day)
	if done := b.sweep(later, 30*day); done.Entries != 1 || done.Emails != 0 || done.Blobs != 0 {
		t.Errorf("before the doors knew: %+v, want only the entry of the mail that lives elsewhere", done)
	}
	b.settle()
	for name, at := range map[string]time.Time{"too early": time.Now().Add(29 * day)} {
		if done := b.sweep(at, 30*day); done.Entries+done.Emails+done.Blobs != 0 {
			t.Errorf("%s: %+v", name, done)
		}
	}
	if done := b.sweep(later, -1); done.Entries+done.Emails+done.Blobs != 0 {
		t.Errorf("kept for ever: %+v", done)
	}
	if done := b.sweep(time.Now().Add(30*time.Minute), 0); done.Entries != 1 || done.Emails != 1 || done.Blobs != 0 {
		t.Errorf("a young blob: %+v", done)
	}
	if done := b.sweep(later, 30*day); done.Blobs != 1 || done.Bytes == 0 {
		t.Errorf("the blob: %+v", done)
	}
	if got := b.shown(); got != "Archive:1 2 [], INBOX:3 3 []" {
		t.Errorf("left %s", got)
	}
	if got := b.find("text", 9); len(got) != 3 {
		t.Errorf("found %q", got)
	}
	for table, want := range map[string]int64{"email": 2, "thread": 2, "thread_reference": 2, "search_docsize": 2, "blob": 2, "blob_piece": 2, "entry": 2} {
		if n := number(t, b.Store, "SELECT count(*) FROM "+table); n != want {
			t.Errorf("%d rows in %s, want %d", n, table, want)
		}
	}
	// Swept mail that comes again is new mail.
	b.store(inbox, 7, b.arrival(1, 1))
	if got := b.shown(); got != "Archive:1 2 [], INBOX:1 1 [], INBOX:3 3 []" {
		t.Errorf("after its return: %s", got)
	}
}

func TestSweepFeed(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1), b.arrival(2, 2))
	write(t, b.Store, func(w *Writer) error { return w.Expunge(box, 7, []UID{1}) })
	b.settle()
	highest := number(t, b.Store, "SELECT max(changed_no) FROM change WHERE destroyed = 1 AND type = 'Email'")
	if done := b.sweep(time.Now().Add(29*day), -1); done.Tombstones != 0 {
		t.Errorf("%+v", done)
	}
	if done := b.sweep(time.Now().Add(31*day), -1); done.Tombstones != 2 {
		t.Errorf("%+v, want the email's and the thread's", done)
	}
	if n := number(t, b.Store, "SELECT floor_no FROM change_floor WHERE type = 'Email'"); n != highest {
		t.Errorf("floor %d, want %d", n, highest)
	}
	if n := number(t, b.Store, "SELECT count(*) FROM change WHERE destroyed = 0"); n != 3 {
		t.Errorf("%d live changes left, want 3", n)
	}
}

func TestSweepLostMailbox(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1))
	write(t, b.Store, func(w *Writer) error { return w.LoseMailbox(box) })
	b.settle()
	if done := b.sweep(time.Now().Add(31*day), 30*day); done.Mailboxes != 1 || done.Entries != 1 || done.Emails != 1 {
		t.Errorf("%+v", done)
	}
	if again := b.mailbox("INBOX", 7); again == box {
		t.Error("a mailbox that was swept came back under its old key")
	}
}

func TestSweepHistory(t *testing.T) {
	b := newBed(t)
	at := time.Now()
	old, young := millis(at.Add(-40*day)), millis(at.Add(-time.Hour))
	write(t, b.Store, func(w *Writer) error {
		for i := range 250 {
			when := old
			if i >= 240 {
				when = young
			}
			if _, err := w.tx.Exec(`INSERT INTO sync_task (account_id, task_type, state, created_at, completed_at) VALUES (?, 'folder_sync', 'completed', ?, ?)`, b.account, when, when); err != nil {
				return err
			}
			if _, err := w.tx.Exec(`INSERT INTO sync_run (account_id, started_at, ended_at, result) VALUES (?, ?, ?, 'complete')`, b.account, when+int64(i), when+int64(i)); err != nil {
				return err
			}
			if err := w.RecordFault(Fault{At: time.UnixMilli(when), Class: "network", Scope: "account"}); err != nil {
				return err
			}
		}
		return nil
	})
	done := b.sweep(at, -1)
	if done.Tasks != 150 || done.Runs != 150 || done.Faults != 240 {
		t.Errorf("%+v, want 150 tasks, 150 runs, 240 faults", done)
	}
	if done := b.sweep(at, -1); done.Tasks+done.Runs+done.Faults != 0 {
		t.Errorf("again: %+v", done)
	}
}

func TestSweepGivesPagesBack(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	var uids []UID
	for uid := UID(1); uid <= 30; uid++ {
		junk := make([]byte, 1<<20)
		rand.Read(junk)
		b.store(box, 7, b.arrivalOf(uid, junk, int(uid)))
		uids = append(uids, uid)
	}
	write(t, b.Store, func(w *Writer) error { return w.Expunge(box, 7, uids[:25]) })
	b.settle()
	done := b.sweep(time.Now().Add(31*day), 30*day)
	if done.Blobs != 25 || done.Pages < 20<<20/8192 {
		t.Errorf("%+v", done)
	}
	path := b.Path()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 10<<20 {
		t.Errorf("5 MB of mail take %d bytes, %v", info.Size(), err)
	}
}

// What is stopped half-way goes on the next time.
func TestSweepStops(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	var all []Arrival
	var uids []UID
	for uid := UID(1); uid <= 1200; uid++ {
		all, uids = append(all, b.arrival(uid, int(uid))), append(uids, uid)
	}
	b.store(box, 7, all...)
	write(t, b.Store, func(w *Writer) error { return w.Expunge(box, 7, uids) })
	b.settle()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Sweep(ctx, time.Now().Add(31*day), 30*day); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if done := b.sweep(time.Now().Add(31*day), 30*day); fmt.Sprint(done.Entries, done.Emails, done.Blobs) != "1200 1200 1200" {
		t.Errorf("%+v", done)
	}
}

// TestMaySweep: a clock that moved far ends no retention until it says so a day later, also over restarts.
func TestMaySweep(t *testing.T) {
	const year = 365 * day
	type look struct {
		after time.Duration // since the store was made, on the wall
		ok    bool
	}
	for name, looks := range map[string][]look{
		"every six hours":      {{0, true}, {6 * time.Hour, true}, {12 * time.Hour, true}, {18 * time.Hour, true}},
		"a weekend asleep":     {{0, true}, {2 * day, true}},
		"ten years on, back":   {{0, true}, {10 * year, false}, {10*year + 6*time.Hour, false}, {10*year + 23*time.Hour, false}, {day, true}, {10 * year, false}},
		"ten years on for all": {{0, true}, {10 * year, false}, {10*year + day, true}, {10*year + day + 6*time.Hour, true}, {2 * day, false}, {3 * day, true}},
		"used once a week":     {{0, true}, {7 * day, false}, {14 * day, true}, {21 * day, false}, {28 * day, true}},
		"1970 at each start":   {{0, true}, {-50 * year, false}, {6 * time.Hour, true}, {-50 * year, false}, {12 * time.Hour, true}},
		"farther and farther":  {{0, true}, {10 * year, false}, {12 * year, false}, {14 * year, false}, {14*year + 2*day, true}},
		"both sides":           {{0, true}, {-50 * year, false}, {10 * year, false}, {10*year + day, true}},
		"never the same":       {{0, true}, {20 * year, false}, {10 * year, false}, {10*year + time.Hour, false}},
	} {
		t.Run(name, func(t *testing.T) {
			s := openTest(t)
			made := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
			for i, one := range looks {
				if ok, err := s.MaySweep(t.Context(), made.Add(one.after)); ok != one.ok || err != nil {
					t.Errorf("look %d, after %v: %v, %v", i, one.after, ok, err)
				}
			}
		})
	}
}
