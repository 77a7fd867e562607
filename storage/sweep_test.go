package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mailcote/storage/disk"
	"mailcote/storage/internal/file"
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
	for table, want := range map[string]int64{"email": 2, "thread": 2, "thread_reference": 2, "search_docsize": 2,
		"blob": 2, "blob_piece": 2, "entry": 2} {
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
			if _, err := w.tx.Raw().Exec(`INSERT INTO sync_task (account_id, task_type, state, created_at,
				completed_at) VALUES (?, 'folder_sync', 'completed', ?, ?)`, b.account, when, when); err != nil {
				return err
			}
			if _, err := w.tx.Raw().Exec(`INSERT INTO sync_run (account_id, started_at, ended_at, result)
				VALUES (?, ?, ?, 'complete')`, b.account, when+int64(i), when+int64(i)); err != nil {
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
	if done := b.sweep(time.Now().Add(31*day), 30*day); fmt.Sprint(done.Entries, done.Emails,
		done.Blobs) != "1200 1200 1200" {
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
		"every six hours":  {{0, true}, {6 * time.Hour, true}, {12 * time.Hour, true}, {18 * time.Hour, true}},
		"a weekend asleep": {{0, true}, {2 * day, true}},
		"ten years on, back": {{0, true}, {10 * year, false}, {10*year + 6*time.Hour, false},
			{10*year + 23*time.Hour, false}, {day, true}, {10 * year, false}},
		"ten years on for all": {{0, true}, {10 * year, false}, {10*year + day, true},
			{10*year + day + 6*time.Hour, true}, {2 * day, false}, {3 * day, true}},
		"used once a week": {{0, true}, {7 * day, false}, {14 * day, true}, {21 * day, false}, {28 * day, true}},
		"1970 at each start": {{0, true}, {-50 * year, false}, {6 * time.Hour, true}, {-50 * year, false},
			{12 * time.Hour, true}},
		"farther and farther": {{0, true}, {10 * year, false}, {12 * year, false}, {14 * year, false},
			{14*year + 2*day, true}},
		"both sides":     {{0, true}, {-50 * year, false}, {10 * year, false}, {10*year + day, true}},
		"never the same": {{0, true}, {20 * year, false}, {10 * year, false}, {10*year + time.Hour, false}},
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

// queued is a context that says when a write with it waits for its turn.
type queued struct {
	context.Context
	waits chan struct{}
}

func (q queued) Done() <-chan struct{} {
	close(q.waits)
	return q.Context.Done()
}

// meanwhile opens a store whose writer runs a closure in front of the next bulk write: when that write waits already.
func meanwhile(t *testing.T) (b *bed, arm func(fn func(*Writer) error)) {
	l := file.StandardLimits()
	var s *Store
	var mu sync.Mutex
	var fn func(*Writer) error
	l.Space = func(path string) (disk.Space, error) { // the writer asks before it takes each request
		mu.Lock()
		defer mu.Unlock()
		if fn != nil {
			if s.file.Waiting(Bulk) > 0 {
				first := queued{t.Context(), make(chan struct{})}
				go s.Write(first, Interactive, 0, fn) //nolint:errcheck // what is tested is what the bulk write finds
				<-first.waits
				fn = nil
			}
		}
		return disk.Of(path)
	}
	s = openAt(t, filepath.Join(t.TempDir(), "mail.db"), Options{Holder: "test", limits: &l})
	return bedOn(t, s), func(f func(*Writer) error) {
		mu.Lock()
		defer mu.Unlock()
		fn = f
	}
}

// TestSweepLooksAgain: a blob that nobody named when the sweep looked, and that somebody names when its deletion
// has its turn, stays.
func TestSweepLooksAgain(t *testing.T) {
	arrives := func(b *bed, box MailboxID) func(*Writer) error {
		back := b.arrival(7, 1)
		return func(w *Writer) error {
			_, err := w.StoreBatch(Batch{Mailbox: box, Validity: 7, Arrivals: []Arrival{back}, Cover: []Range{{7, 7}}})
			return err
		}
	}
	for name, named := range map[string]func(b *bed, box MailboxID) func(*Writer) error{
		"by an entry": arrives,
		"by an email whose entry is gone": func(b *bed, box MailboxID) func(*Writer) error {
			arrive := arrives(b, box)
			return func(w *Writer) error {
				if err := arrive(w); err != nil {
					return err
				}
				if err := w.Expunge(box, 7, []UID{7}); err != nil {
					return err
				}
				_, err := w.tx.Exec(`DELETE FROM entry WHERE mailbox_id = ? AND uid = 7`, box)
				return err
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, meanwhile := meanwhile(t)
			box := b.mailbox("INBOX", 7)
			b.store(box, 7, b.arrival(1, 1), b.arrival(2, 2), b.arrival(3, 3))
			write(t, b.Store, func(w *Writer) error { return w.Expunge(box, 7, []UID{1, 2}) })
			b.settle()
			sw := sweep{store: b.Store, ctx: t.Context(), at: time.Now().Add(31 * day),
				before: millis(time.Now().Add(day))}
			for _, step := range []func() error{sw.entries, sw.emails} {
				if err := step(); err != nil {
					t.Fatal(err)
				}
			}
			if n := number(t, b.Store,
				`SELECT count(*) FROM blob WHERE sha256 NOT IN (SELECT digest FROM email)`); n != 2 {
				t.Fatalf("%d blobs are free, want 2", n)
			}
			meanwhile(named(b, box))
			if err := sw.blobs(); err != nil {
				t.Fatal(err)
			}
			if sw.done.Blobs != 1 {
				t.Errorf("%d blobs were deleted, want the one that is free", sw.done.Blobs)
			}
			if n := number(t, b.Store,
				`SELECT count(*) FROM email WHERE digest NOT IN (SELECT sha256 FROM blob)`); n != 0 {
				t.Errorf("%d emails have lost their blob", n)
			}
		})
	}
}

// TestSweepGoesOn: one that is stopped among the blobs is due again at once, and goes on there.
func TestSweepGoesOn(t *testing.T) {
	b := newBed(t)
	exec := func(query string) {
		write(t, b.Store, func(w *Writer) error { _, err := w.tx.Exec(query); return err })
	}
	free := func(at int64) {
		write(t, b.Store, func(w *Writer) error {
			_, err := w.tx.Exec(`INSERT INTO blob (id, sha256, size, stored, state, created_at)
				VALUES (?, randomblob(32), 1, 1, 'sealed', 0)`, at)
			return err
		})
	}
	free(1)
	free(sweepWindow + 1)
	at := time.Now()
	if ok, err := b.MaySweep(t.Context(), at); !ok || err != nil {
		t.Fatal(ok, err)
	}
	due := func(want bool) {
		t.Helper()
		if due, err := b.SweepDue(t.Context(), at, 30*day); due != want || err != nil {
			t.Errorf("due %v, %v, want %v", due, err, want)
		}
	}
	due(false)
	exec(`CREATE TRIGGER stop BEFORE DELETE ON blob WHEN old.id > 5000 BEGIN SELECT RAISE(ABORT, 'stopped'); END`)
	sw := sweep{store: b.Store, ctx: t.Context(), at: at}
	if err := sw.blobs(); err == nil || sw.done.Blobs != 1 {
		t.Fatalf("%v, %+v", err, sw.done)
	}
	exec(`DROP TRIGGER stop`)
	due(true)
	free(2) // the next sweep does not begin at the first window
	sw = sweep{store: b.Store, ctx: t.Context(), at: at}
	if err := sw.blobs(); err != nil || sw.done.Blobs != 1 {
		t.Errorf("%v, %+v", err, sw.done)
	}
	due(false)
	sw = sweep{store: b.Store, ctx: t.Context(), at: at}
	if err := sw.blobs(); err != nil || sw.done.Blobs != 1 {
		t.Errorf("%v, %+v", err, sw.done)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&sweep{store: b.Store, ctx: ctx}).leave(1); err != nil {
		t.Error("a sweep that is cancelled does not say where it was:", err)
	}
	due(true)
}

// TestSweepDue: six hours after the last one, or when something is six hours late.
func TestSweepDue(t *testing.T) {
	at := time.Now()
	late, soon := at.Add(-30*day-7*time.Hour), at.Add(-30*day-5*time.Hour)
	for name, test := range map[string]struct {
		sql  string // with a time
		keep time.Duration
		due  bool // for one that is late; never for another
	}{
		"an entry beside a live one": {`UPDATE entry SET expunged_at = ? WHERE uid = 1 AND expunged_at > 0`,
			30 * day, true},
		"one whose end nobody was told": {`UPDATE entry SET expunged_at = ? WHERE uid = 3`, 30 * day, false},
		"an email": {`UPDATE email SET destroyed_at = ? WHERE destroyed_at > 0`,
			30 * day, true},
		"an email that is kept for ever": {`UPDATE email SET destroyed_at = ? WHERE destroyed_at > 0`, -1, false},
		"a fault": {`INSERT INTO sync_error (at, class, scope)
			VALUES (?, 'network', 'account')`, -1, true},
		"a tombstone":                       {`UPDATE change SET changed_at = ? WHERE destroyed = 1`, -1, true},
		"a change of something that exists": {`UPDATE change SET changed_at = ? WHERE destroyed = 0`, 30 * day, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			inbox, archive := b.mailbox("INBOX", 7), b.mailbox("Archive", 9)
			b.store(inbox, 7, b.arrival(1, 1), b.arrival(2, 2), b.arrival(3, 3))
			b.store(archive, 9, b.arrival(1, 1))
			due := func(at time.Time, want bool) {
				t.Helper()
				if due, err := b.SweepDue(t.Context(), at, test.keep); due != want || err != nil {
					t.Errorf("due %v, %v, want %v", due, err, want)
				}
			}
			due(at, true) // it was never swept
			if ok, err := b.MaySweep(t.Context(), at); !ok || err != nil {
				t.Fatal(ok, err)
			}
			write(t, b.Store, func(w *Writer) error { return w.Expunge(inbox, 7, []UID{1, 2}) })
			b.settle()
			write(t, b.Store, func(w *Writer) error { return w.Expunge(inbox, 7, []UID{3}) })
			due(at.Add(5*time.Hour), false)
			due(at.Add(6*time.Hour), true)
			due(at.Add(-6*time.Hour), true) // the clock was set back
			set := func(when time.Time) {
				write(t, b.Store, func(w *Writer) error { _, err := w.tx.Exec(test.sql, millis(when)); return err })
			}
			set(soon)
			due(at, false)
			set(late)
			due(at, test.due)
		})
	}
}

// TestOldOrphans: an email that no mailbox holds waits for a day, by a clock that is to be believed.
func TestOldOrphans(t *testing.T) {
	const year = 365 * day
	made := time.Now()
	type look struct {
		after time.Duration // since it was expunged, on the wall
		sweep bool          // this is a look of MaySweep
		ended int
	}
	for name, test := range map[string]struct {
		ahead time.Duration // of the clock, when it was expunged
		looks []look
	}{
		"a day": {0, []look{{after: 0, sweep: true}, {after: 0}, {after: day - time.Minute},
			{after: day + time.Minute, ended: 1}, {after: 2 * day}}},
		"never looked": {0, []look{{after: 2 * day}, {after: 2 * day, sweep: true}, {after: 2 * day, ended: 1}}},
		"ten years on": {0, []look{{after: 0, sweep: true}, {after: 10 * year}, {after: 10 * year, sweep: true},
			{after: 10*year + day - time.Hour}, {after: 10*year + day, ended: 1}}},
		"on and back": {0, []look{{after: 0, sweep: true}, {after: 10 * year, sweep: true}, {after: 10 * year},
			{after: time.Hour}, {after: day + time.Minute, ended: 1}}},
		"1970": {0, []look{{after: 0, sweep: true}, {after: -50 * year},
			{after: day + time.Minute, ended: 1}}},
		"it was ahead": {10 * year, []look{{after: 0, sweep: true}, {after: time.Minute}, {after: day},
			{after: day + 2*time.Minute, ended: 1}}},
		"it was a bit ahead": {time.Hour, []look{{after: 0, sweep: true}, {after: time.Minute}, {after: day},
			{after: day + 2*time.Minute, ended: 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			inbox, archive := b.mailbox("INBOX", 7), b.mailbox("Archive", 9)
			b.store(inbox, 7, b.arrival(1, 1), b.arrival(2, 2), b.arrival(3, 3))
			b.store(archive, 9, b.arrival(1, 2)) // this one is not on its way
			write(t, b.Store, func(w *Writer) error {
				if err := w.Expunge(inbox, 7, []UID{1, 2}); err != nil {
					return err
				}
				_, err := w.tx.Exec(`UPDATE entry SET expunged_at = ? WHERE expunged_at IS NOT NULL`,
					millis(made.Add(test.ahead)))
				return err
			})
			for i, one := range test.looks {
				at := made.Add(one.after)
				if one.sweep {
					if _, err := b.MaySweep(t.Context(), at); err != nil {
						t.Fatal(err)
					}
					continue
				}
				write(t, b.Store, func(w *Writer) error {
					n, err := w.SettleOldOrphans(b.account, at)
					if n != one.ended {
						t.Errorf("look %d, after %v: %d ended, want %d", i, one.after, n, one.ended)
					}
					return err
				})
			}
			if found, err := b.Check(t.Context(), CheckOptions{}); err != nil || len(found) > 0 {
				t.Errorf("%v, %v", found, err)
			}
		})
	}
}
