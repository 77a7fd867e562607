package file

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/storage/disk"
	"mailcote/storage/internal/schema"
	"mailcote/testkit/faultvfs"
)

// faulty opens a store whose file operations can be made to fail.
func faulty(t *testing.T) *File {
	t.Helper()
	if err := faultvfs.Register(); err != nil {
		t.Fatal(err)
	}
	faultvfs.Reset()
	s := openAt(t, filepath.Join(t.TempDir(), "mail.db"), Options{VFS: "fault"})
	t.Cleanup(faultvfs.Reset) // before Close
	sink(t, s)
	return s
}

// usable says that the store works again and holds nothing in part.
func usable(t *testing.T, s *File) {
	t.Helper()
	faultvfs.Reset()
	write(t, s, put("later", nil))
	if m := marks(t, s); !strings.HasSuffix(m, "later") {
		t.Errorf("after the fault the store holds %q", m)
	}
	if got := text(t, s, "PRAGMA integrity_check"); got != "ok" {
		t.Errorf("integrity: %s", got)
	}
}

// A COMMIT whose fsync failed may have happened: nothing is replayed, all are told, every handle is new.
func TestFailedSyncIsUnknownToAll(t *testing.T) {
	s := faulty(t)
	before, readers := s.writer.db, s.readers
	var runs int
	faultvfs.Fail(faultvfs.Sync, "-wal", 1, faultvfs.IOErrSync)
	for i, err := range together(t, s, &request{fn: put("a", &runs)}, &request{fn: put("b", &runs)},
		&request{fn: put("c", &runs)}) {
		if !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("member %d was told %v", i, err)
		}
	}
	if faultvfs.Fired() != 1 || runs != 3 {
		t.Errorf("%d faults, %d runs; want 1 and 3", faultvfs.Fired(), runs)
	}
	if m := marks(t, s); m != "" && m != "a b c" {
		t.Errorf("half a group: %q", m)
	}
	if s.writer.db == before || s.readers == readers {
		t.Error("a handle outlived the unknown outcome")
	}
	usable(t, s)
}

func TestFailedSyncAlone(t *testing.T) {
	s := faulty(t)
	faultvfs.Fail(faultvfs.Sync, "-wal", 1, faultvfs.IOErrSync)
	if err := s.WriteAlone(t.Context(), put("a", nil)); !errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("told %v", err)
	}
	usable(t, s)
}

// The disk is full at COMMIT: each is tried alone, each is told, and all goes on when there is room.
func TestFullDiskAtCommit(t *testing.T) {
	s := faulty(t)
	faultvfs.FailFrom(faultvfs.Write, "-wal", 1, faultvfs.Full)
	for i, err := range together(t, s, &request{fn: put("a", nil)}, &request{fn: put("b", nil)}) {
		if !errors.Is(err, ErrFull) {
			t.Errorf("member %d was told %v", i, err)
		}
	}
	if m := marks(t, s); m != "" { // reads go on
		t.Errorf("kept %q", m)
	}
	usable(t, s)
}

// Room for one of two: the first void group costs the neighbour nothing.
func TestFullDiskOnce(t *testing.T) {
	s := faulty(t)
	faultvfs.Fail(faultvfs.Write, "-wal", 1, faultvfs.Full)
	for i, err := range together(t, s, &request{fn: put("a", nil)}, &request{fn: put("b", nil)}) {
		if err != nil {
			t.Errorf("member %d was told %v", i, err)
		}
	}
	if m := marks(t, s); m != "a b" {
		t.Errorf("kept %q", m)
	}
	usable(t, s)
}

// A checkpoint that fails is nobody's write; what was committed stays.
func TestFailedCheckpoint(t *testing.T) {
	s := faulty(t)
	faultvfs.Fail(faultvfs.Sync, ".db", 1, faultvfs.IOErrSync)
	err := s.Write(t.Context(), Bulk, 0, func(w *Tx) error {
		if err := put("kept", nil)(w); err != nil {
			return err
		}
		_, err := w.Exec("INSERT INTO sink (who, what) VALUES ('big', zeroblob(?))", checkpointPages*schema.PageSize)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, func(w *Tx) error { return nil }) // behind the checkpoint
	if faultvfs.Fired() != 1 {
		t.Fatalf("%d faults", faultvfs.Fired())
	}
	if m := marks(t, s); m != "kept big" {
		t.Errorf("kept %q", m)
	}
	usable(t, s)
}

// So is one before which nobody knows how long the log is.
func TestFailedLookAtTheLog(t *testing.T) {
	s := faulty(t)
	write(t, s, put("kept", nil))
	s.writer.stop() // what it does next is done here
	before := s.writer.db
	share, err := os.OpenFile(s.Path()+"-shm", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := share.Write(make([]byte, 96)); err != nil { // without its head the log must be read again
		t.Fatal(err)
	}
	faultvfs.Fail(faultvfs.Read, "-wal", 1, faultvfs.IOErrRead)
	s.writer.checkpoint()
	if faultvfs.Fired() != 1 || s.writer.db == before {
		t.Errorf("%d faults, and nothing came of them", faultvfs.Fired())
	}
	if err := share.Close(); err != nil {
		t.Fatal(err)
	}
	if m := marks(t, s); m != "kept" {
		t.Errorf("kept %q", m)
	}
}

// Checkpoints that fail in whatever way do not let the log grow for ever.
func TestCheckpointsThatFail(t *testing.T) {
	l := hasty()
	l.LogMost, l.LogPause, l.Probe = 1<<20, 2<<20, time.Hour
	s := hastyFaulty(t, l)
	if err := bulk(t.Context(), s, 3<<20); err != nil {
		t.Fatal(err)
	}
	s.writer.stop() // what it does next is done here
	s.writer.trouble(errors.New("no memory"))
	if p, rests := s.Pause(); !rests || p.Cause != disk.Log || p.Log < l.LogPause {
		t.Errorf("%+v, %v", p, rests)
	}
}

// A write that SQLite refuses because its handle may only read costs the handle.
func TestReadOnlyHandle(t *testing.T) {
	s := faulty(t)
	faultvfs.Fail(faultvfs.Write, "-wal", 1, faultvfs.ReadOnly)
	if err := s.Write(t.Context(), Interactive, 0, put("a", nil)); !errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("told %v", err)
	}
	usable(t, s)
}

// A store that can only be opened for reading is not written by those handles: it is failing until it can be.
func TestReopenedReadOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := hasty()
		l.Reopen = time.Millisecond
		s := hastyFaulty(t, l)
		write(t, s, put("a", nil))
		faultvfs.Fail(faultvfs.Sync, "-wal", 1, faultvfs.IOErrSync)
		faultvfs.FailFrom(faultvfs.Open, ".db", 1, faultvfs.ReadOnly)
		for range 2 {
			if err := s.Write(t.Context(), Interactive, 0, put("b", nil)); !errors.Is(err, ErrFailing) ||
				!strings.Contains(err.Error(), "readonly") {
				t.Errorf("told %v", err)
			}
		}
		if m := marks(t, s); !strings.HasPrefix(m, "a") { // reads go on
			t.Errorf("kept %q", m)
		}
		faultvfs.Reset()
		time.Sleep(time.Minute)
		write(t, s, put("later", nil))
		usable(t, s)
	})
}

// While a reopened store is checked, which lasts with a large one, it is read.
func TestReadingWhileItIsChecked(t *testing.T) {
	s := faulty(t)
	write(t, s, func(w *Tx) error {
		_, err := w.Exec("INSERT INTO sink (who, what) VALUES ('big', zeroblob(20000000))")
		return err
	})
	write(t, s, func(*Tx) error { return nil }) // behind the checkpoint
	fail := func() error {
		faultvfs.Fail(faultvfs.Sync, "-wal", 1, faultvfs.IOErrSync)
		return s.Write(context.Background(), Interactive, 0, put("a", nil))
	}
	if err := fail(); !errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, ErrFailing) {
		t.Fatalf("told %v", err)
	}
	reads := faultvfs.Calls(faultvfs.Read, ".db")
	write(t, s, func(*Tx) error { s.writer.failedAt = time.Time{}; return nil }) // it was long ago
	faultvfs.Reset()
	checks, release := faultvfs.Hold(faultvfs.Read, ".db", reads/2)
	defer release()
	told := make(chan error)
	go func() { told <- fail() }()
	<-checks
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	read := make(chan error)
	go func() {
		read <- s.Read(ctx, func(r *Snapshot) error {
			var n int
			return r.QueryRow("SELECT count(*) FROM meta").Scan(&n)
		})
	}()
	select {
	case err := <-read:
		if err != nil {
			t.Errorf("a reading was told %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a reading waits for the check")
	}
	release()
	if err := <-told; !errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, ErrFailing) {
		t.Errorf("told %v", err)
	}
	if t.Failed() {
		<-read
	}
	usable(t, s)
}

// A store that cannot be reopened says so to every later write, and still closes.
func TestReopenFails(t *testing.T) {
	s := faulty(t)
	faultvfs.Fail(faultvfs.Sync, "-wal", 1, faultvfs.IOErrSync)
	faultvfs.FailFrom(faultvfs.Open, ".db", 1, faultvfs.CantOpen)
	if err := s.Write(context.Background(), Bulk, 0, put("a", nil)); !errors.Is(err, ErrOutcomeUnknown) ||
		!strings.Contains(err.Error(), "reopened") {
		t.Errorf("told %v", err)
	}
	if err := s.Write(context.Background(), Bulk, 0, put("b", nil)); err == nil ||
		!strings.Contains(err.Error(), "could not be reopened") {
		t.Errorf("a later write was told %v", err)
	}
	if err := s.Read(context.Background(), func(r *Snapshot) error {
		var n int
		return r.QueryRow("SELECT 1").Scan(&n)
	}); err == nil {
		t.Error("reads went on")
	}
}

// When the store fails under the first of a void group's closures, nothing of the others was written, and it
// failed once.
func TestFailsInAVoidGroup(t *testing.T) {
	s := faulty(t)
	faultvfs.Fail(faultvfs.Write, "-wal", 1, faultvfs.Full)
	faultvfs.Fail(faultvfs.Sync, "-wal", 1, faultvfs.IOErrSync)
	faultvfs.FailFrom(faultvfs.Open, ".db", 1, faultvfs.CantOpen)
	for i, err := range together(t, s, &request{fn: put("a", nil)}, &request{fn: put("b", nil)},
		&request{fn: put("c", nil)}) {
		if !errors.Is(err, ErrFailing) || errors.Is(err, ErrOutcomeUnknown) != (i == 0) {
			t.Errorf("member %d was told %v", i, err)
		}
	}
	s.writer.stop()
	if n := s.writer.failures; n != 1 {
		t.Errorf("%d failures", n)
	}
}

// A page that cannot be read inside one closure is the whole transaction's matter.
func TestUnreadablePage(t *testing.T) {
	s := faulty(t)
	write(t, s, func(w *Tx) error {
		_, err := w.Exec("INSERT INTO sink (who, what) VALUES ('old', zeroblob(4000000))")
		return err
	})
	got := together(t, s, &request{fn: put("a", nil)}, &request{fn: func(w *Tx) error {
		if _, err := w.tx.Exec("PRAGMA shrink_memory"); err != nil {
			return err
		}
		faultvfs.FailFrom(faultvfs.Read, "", 1, faultvfs.IOErrRead)
		defer faultvfs.Reset()
		var n int
		return w.QueryRow("SELECT sum(length(CAST(what AS TEXT)) + unicode(substr(what, 3900000))) FROM sink").Scan(&n)
	}})
	for i, err := range got {
		if !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("member %d was told %v", i, err)
		}
	}
	usable(t, s)
}
