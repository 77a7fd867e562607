package storage

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"modernc.org/sqlite"

	"mailcote/testkit/faultvfs"
	"mailcote/testkit/form"
)

const (
	errandMails = 24
	errandLarge = 1200 << 10 // bytes of one message that is staged
)

// errand is a small sync against the store, which goes on after each failure as the engine does.
type errand struct {
	t       *testing.T
	path    string
	what    string // the fault it runs under
	packer  *Packer
	store   *Store
	kept    map[UID][]byte // acknowledged
	failed  int
	slowest time.Duration
	full    func(*errand) // called when a write found the disk full, before the errand waits for room
}

// try does one step until it succeeds. Every failure must be one that a caller can act on, told without delay.
func (e *errand) try(step string, fn func() error) {
	e.t.Helper()
	for range 8 {
		began := time.Now()
		err := fn()
		e.slowest = max(e.slowest, time.Since(began))
		if err == nil {
			return
		}
		e.failed++
		var engine *sqlite.Error
		if !errors.As(err, &engine) && !slices.ContainsFunc([]error{ErrFull, ErrPaused, ErrFailing, ErrOutcomeUnknown,
			ErrClosed}, func(known error) bool {
			return errors.Is(err, known)
		}) {
			e.t.Fatalf("%s: %s was told %v", e.what, step, err)
		}
		if errors.Is(err, ErrFull) && e.full != nil {
			e.full(e)
		}
		if e.store != nil {
			<-e.store.Opened()
		}
		if errors.Is(err, ErrFailing) {
			time.Sleep(10 * time.Millisecond) // the writer reopens the store by the clock
		}
	}
	e.t.Fatalf("%s: %s never succeeded", e.what, step)
}

func (e *errand) write(step string, lane Lane, fn func(*Writer) error) {
	e.t.Helper()
	e.try(step, func() error { return e.store.Write(context.Background(), lane, 1<<10, fn) })
}

// run does all of it and closes the store.
func (e *errand) run() {
	e.t.Helper()
	l := hasty()
	l.Probe, l.Reopen = time.Millisecond, time.Millisecond
	e.try("open", func() (err error) {
		e.store, err = Open(context.Background(), e.path, Options{vfs: faultvfs.Name, limits: l, pages: 20})
		return err
	})
	var account AccountID
	var box MailboxID
	e.write("add account", Interactive, func(w *Writer) error {
		if all, err := w.Accounts(); err != nil || len(all) > 0 { // one of which nobody knew that it was added is there
			for _, a := range all {
				account = a.ID
			}
			return err
		}
		var err error
		account, err = w.AddAccount(Account{Name: "ada", User: "ada", Host: "localhost", Port: 143, Security: "plain"})
		return err
	})
	e.write("add mailbox", Interactive, func(w *Writer) (err error) {
		if box, err = w.PutMailbox(Mailbox{Account: account, Raw: "INBOX", Path: "INBOX", Delimiter: "/",
			Selectable: true, Priority: 5}); err != nil {
			return err
		}
		return w.OpenGeneration(box, 7, 1, 0)
	})
	b := &bed{t: e.t, packer: e.packer, account: account}
	for uid := UID(1); uid <= errandMails; uid += 6 {
		batch := Batch{Mailbox: box, Validity: 7, Cover: []Range{{uid, uid + 5}}}
		bodies := map[UID][]byte{}
		for n := uid; n < uid+6; n++ {
			bodies[n] = append(raw(int(n)), bytes.Repeat([]byte{byte(n)}, 3000)...)
			batch.Arrivals = append(batch.Arrivals, b.arrivalOf(n, bodies[n], int(n)))
		}
		e.batch(batch, bodies)
		e.write("note", Interactive, func(w *Writer) error { return w.MarkSuccess(account, time.Unix(int64(uid), 0)) })
	}
	large := append(raw(99), bytes.Repeat([]byte("0123456789abcdef"), errandLarge/16)...)
	a := b.arrivalOf(99, nil, 99)
	e.try("stage", func() (err error) {
		a.Body, err = e.store.Stage(context.Background(), e.packer, bytes.NewReader(large))
		return err
	})
	e.batch(Batch{Mailbox: box, Validity: 7, Arrivals: []Arrival{a}, Cover: []Range{{99, 99}}},
		map[UID][]byte{99: large})
	e.try("read", func() error { return e.verify(e.store) })
	e.write("expunge", Bulk, func(w *Writer) error { return w.Expunge(box, 7, []UID{3}) })
	delete(e.kept, 3)
	e.store.Close() //nolint:errcheck // what it could not do is what the next start finds
	e.store = nil
}

func (e *errand) batch(batch Batch, bodies map[UID][]byte) {
	e.t.Helper()
	e.write("batch", Bulk, func(w *Writer) error { _, err := w.StoreBatch(batch); return err })
	for uid, body := range bodies {
		e.kept[uid] = body
	}
}

// verify reads what was acknowledged.
func (e *errand) verify(s *Store) error {
	return s.Read(context.Background(), func(r *Reader) error {
		for uid, want := range e.kept {
			var blob BlobID
			if err := r.snap.QueryRow(`SELECT blob_id FROM entry WHERE uid = ? AND expunged_at IS NULL`,
				uid).Scan(&blob); err != nil {
				return fmt.Errorf("UID %d: %w", uid, err)
			}
			body, _, err := r.OpenBlob(blob)
			if err != nil {
				return err
			}
			var got bytes.Buffer
			_, err = got.ReadFrom(body)
			if err = errors.Join(err, body.Close()); err != nil {
				return err
			}
			if !bytes.Equal(got.Bytes(), want) {
				e.t.Errorf("%s: UID %d has other bytes", e.what, uid)
			}
		}
		return nil
	})
}

// after opens the store without faults: everything acknowledged is there and nothing is wrong with it.
func (e *errand) after() {
	e.t.Helper()
	faultvfs.Reset()
	s, err := Open(context.Background(), e.path, Options{})
	if err != nil {
		e.t.Fatalf("%s: afterwards: %v", e.what, err)
	}
	defer s.Close() //nolint:errcheck // its errors are not what is tested
	if err := e.verify(s); err != nil {
		e.t.Errorf("%s: lost: %v", e.what, err)
	}
	var n int
	if err := s.Read(context.Background(), func(r *Reader) error {
		return r.snap.QueryRow(`SELECT count(*) FROM mail`).Scan(&n)
	}); err != nil || n != len(e.kept) {
		e.t.Errorf("%s: %d messages, %d kept, %v", e.what, n, len(e.kept), err)
	}
	if found, err := s.Check(context.Background(), CheckOptions{}); err != nil || len(found) > 0 {
		e.t.Errorf("%s: %v, %v", e.what, found, err)
	}
}

// everyNth runs errands with a fault at the n-th call of an operation, n = 1, 2, 3 … until none is left; the
// short form looks at a few of them. It gives how many ran and how many calls there were.
func everyNth(t *testing.T, packer *Packer, op string, inject func(n int),
	full func(*errand)) (runs, calls, failed int, slowest time.Duration) {
	t.Helper()
	once := func(n int) (e *errand, fired bool) {
		e = &errand{t: t, path: filepath.Join(t.TempDir(), "mail.db"), what: fmt.Sprintf("%s %d", op, n),
			packer: packer, kept: map[UID][]byte{}, full: full}
		faultvfs.Reset()
		if n > 0 {
			inject(n)
		}
		e.run()
		calls = faultvfs.Calls(op, "")
		fired = faultvfs.Fired() > 0 || e.failed > 0
		e.after()
		return e, fired
	}
	once(0)
	step := 1
	if !form.Long() {
		step = max(1, calls/7)
	}
	for n := 1; ; n += step {
		e, fired := once(n)
		if !fired || t.Failed() {
			return runs, n - 1, failed, slowest
		}
		runs, failed, slowest = runs+1, failed+e.failed, max(slowest, e.slowest)
	}
}

// TestEveryIOError is FAULTS C3.
func TestEveryIOError(t *testing.T) {
	if err := faultvfs.Register(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(faultvfs.Reset)
	packer, err := NewPacker()
	if err != nil {
		t.Fatal(err)
	}
	defer packer.Close() //nolint:errcheck // it frees memory only
	codes := map[string]int{
		faultvfs.Open: faultvfs.CantOpen, faultvfs.Read: faultvfs.IOErrRead, faultvfs.Write: faultvfs.IOErrWrite,
		faultvfs.Truncate: faultvfs.IOErrTruncate,
		faultvfs.Sync:     faultvfs.IOErrSync, faultvfs.Delete: faultvfs.IOErrDelete, faultvfs.Lock: faultvfs.IOErrLock,
		faultvfs.Map: faultvfs.IOErrShmSize,
	}
	for _, op := range faultvfs.Operations() {
		runs, calls, failed, _ := everyNth(t, packer, op, func(n int) { faultvfs.Fail(op, "", n, codes[op]) }, nil)
		t.Logf("%s: %d runs up to call %d, %d failures told, nothing lost", op, runs, calls, failed)
	}
}

// TestFullAtEveryWrite is FAULTS C4: the n-th write finds the disk full, and so does every one after it until
// there is room.
func TestFullAtEveryWrite(t *testing.T) {
	if err := faultvfs.Register(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(faultvfs.Reset)
	packer, err := NewPacker()
	if err != nil {
		t.Fatal(err)
	}
	defer packer.Close() //nolint:errcheck // it frees memory only
	runs, calls, failed, slowest := everyNth(t, packer, faultvfs.Write, func(n int) {
		faultvfs.FailFrom(faultvfs.Write, "", n, faultvfs.Full)
	}, func(e *errand) {
		defer faultvfs.Reset()
		if e.store == nil {
			return
		}
		if err := e.verify(e.store); err != nil {
			t.Errorf("%s: reading on a full disk: %v", e.what, err)
		}
		if err := e.store.Write(context.Background(), Bulk, 0, func(w *Writer) error {
			_, err := w.addStaged()
			return err
		}); !errors.Is(err, ErrFull) {
			t.Errorf("%s: a batch on a full disk was told %v", e.what, err)
		}
	})
	if slowest > 5*time.Second {
		t.Errorf("the slowest write was told after %v", slowest)
	}
	t.Logf("%d runs up to write %d: %d writes were told, the slowest after %v; nothing lost, each went on by itself",
		runs, calls, failed, slowest.Round(time.Millisecond))
}

// TestMigrationOnFullDisk: a store of the first schema is brought to the newest one while the n-th write, and
// every one after it, finds the disk full. It is told as that, leaves the store as it was or as it shall be, and
// works when there is room.
func TestMigrationOnFullDisk(t *testing.T) {
	if err := faultvfs.Register(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(faultvfs.Reset)
	frozen, err := os.ReadFile(filepath.Join(frozenDir, "0001.sql"))
	if err != nil {
		t.Fatal(err)
	}
	state := func(path string) (version int, mail string) {
		db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close() //nolint:errcheck // it was only read
		if err := errors.Join(db.QueryRow("PRAGMA user_version").Scan(&version),
			db.QueryRow("SELECT group_concat(mailbox || ' ' || uid || ' ' || subject || ' ' || flags) FROM "+
				"mail").Scan(&mail)); err != nil {
			t.Fatal(err)
		}
		return version, mail
	}
	once := func(n int) (fired bool) {
		path := filepath.Join(t.TempDir(), "mail.db")
		build(t, path, string(frozen))
		faultvfs.Reset()
		faultvfs.FailFrom(faultvfs.Write, "", n, faultvfs.Full)
		s, err := Open(t.Context(), path, Options{vfs: faultvfs.Name})
		fired = faultvfs.Fired() > 0
		if err == nil {
			err = s.Close()
			if fired && err == nil { // only what is done at the end, and can be left, was refused
				err = ErrFull
			}
		}
		faultvfs.Reset()
		if fired && (!errors.Is(err, ErrFull) || errors.Is(err, ErrCorrupt)) || !fired && err != nil {
			t.Errorf("write %d: told %v", n, err)
		}
		if version, mail := state(path); version != 1 && version != SchemaVersion() ||
			mail != "INBOX 1 message 1 \\Seen" {
			t.Errorf("write %d: schema %d, %q", n, version, mail)
		}
		if left, err := filepath.Glob(path + ".v1.bak.new*"); err != nil || len(left) > 0 {
			t.Errorf("write %d: left %v, %v", n, left, err)
		}
		if _, err := os.Stat(path + ".v1.bak"); err == nil {
			if version, mail := state(path + ".v1.bak"); version != 1 || mail != "INBOX 1 message 1 \\Seen" {
				t.Errorf("write %d: the copy has schema %d, %q", n, version, mail)
			}
		}
		again, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatalf("write %d: with room: %v", n, err)
		}
		if found, err := again.Check(t.Context(), CheckOptions{}); err != nil || len(found) > 0 {
			t.Errorf("write %d: with room: %v, %v", n, found, err)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
		if version, mail := state(path); version != SchemaVersion() || mail != "INBOX 1 message 1 \\Seen" {
			t.Errorf("write %d: with room: schema %d, %q", n, version, mail)
		}
		return fired
	}
	step := 1
	if !form.Long() {
		step = 9
	}
	n := 1
	for once(n) && !t.Failed() {
		n += step
	}
	t.Logf("full from each write on, up to write %d", n-step)
}
