package file

import (
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/storage/disk"
	"mailcote/testkit/faultvfs"
)

// hasty are limits by which a test need not wait.
func hasty() *Limits {
	l := StandardLimits()
	l.Probe, l.ProbeMax, l.Reopen = 5*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	return &l
}

// hastyFaulty is a store with such limits whose file operations can be made to fail.
func hastyFaulty(t *testing.T, l *Limits) *File {
	t.Helper()
	if err := faultvfs.Register(); err != nil {
		t.Fatal(err)
	}
	faultvfs.Reset()
	s := openAt(t, filepath.Join(t.TempDir(), "mail.db"), Options{VFS: faultvfs.Name, Limits: l})
	t.Cleanup(faultvfs.Reset) // before Close
	sink(t, s)
	return s
}

// TestReserve: under the reserve bulk writing stops, what a person needs goes on, and all goes on when there is room.
func TestReserve(t *testing.T) {
	var free atomic.Int64
	free.Store(300 << 20)
	l := hasty()
	l.Space = func(string) (disk.Space, error) { return disk.Space{Free: free.Load(), Size: 1 << 40}, nil }
	s := openAt(t, filepath.Join(t.TempDir(), "mail.db"), Options{Limits: l})
	sink(t, s)
	if err := s.Write(t.Context(), Bulk, 0, put("a", nil)); err != nil {
		t.Fatal(err)
	}
	free.Store(199 << 20)
	err := s.Write(t.Context(), Bulk, 0, put("b", nil))
	if !errors.Is(err, ErrFull) || !errors.Is(err, ErrPaused) ||
		!strings.Contains(err.Error(), "208 MB free, needs 262 MB; resumes by itself") {
		t.Errorf("under the reserve: %v", err)
	}
	if err := s.WriteAlone(t.Context(), put("c", nil)); !errors.Is(err, ErrPaused) {
		t.Errorf("the index under the reserve: %v", err)
	}
	write(t, s, put("d", nil))
	if p, closed := s.Pause(); !closed || p.Cause != disk.Short || time.Since(p.Since) > time.Minute {
		t.Errorf("%+v, %v", p, closed)
	}
	beside := beside(t, s, l)
	if p, closed := beside.Pause(); !closed || !p.Full() {
		t.Errorf("beside: %+v, %v", p, closed)
	}
	free.Store(220 << 20) // over the reserve, and not far enough
	select {
	case <-s.Opened():
		t.Error("resumed at the reserve")
	case <-time.After(50 * time.Millisecond):
	}
	free.Store(251 << 20)
	<-s.Opened()
	if err := s.Write(t.Context(), Bulk, 0, put("e", nil)); err != nil {
		t.Error(err)
	}
	if m := marks(t, s); m != "a d e" {
		t.Errorf("kept %q", m)
	}
}

// TestCloseWhilePaused: nobody waits for a disk to end.
func TestCloseWhilePaused(t *testing.T) {
	s := hastyFaulty(t, nil)
	faultvfs.FailFrom(faultvfs.Write, "", 1, faultvfs.Full)
	if err := s.Write(t.Context(), Bulk, 0, put("a", nil)); !errors.Is(err, ErrFull) {
		t.Fatalf("told %v", err)
	}
	if err := s.Write(t.Context(), Bulk, 0, put("b", nil)); !errors.Is(err, ErrPaused) {
		t.Errorf("told %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close on a full disk: %v", err)
	}
}

// TestFullShm: a disk too full for the -shm to grow fails as an I/O error; the store comes back by itself when
// there is room.
func TestFullShm(t *testing.T) {
	s := hastyFaulty(t, hasty())
	write(t, s, put("a", nil))
	faultvfs.FailFrom(faultvfs.Map, "", 1, faultvfs.IOErrShmSize)
	faultvfs.Fail(faultvfs.Sync, "-wal", 1, faultvfs.IOErrShmSize)
	if err := s.Write(t.Context(), Bulk, 0, put("b", nil)); !errors.Is(err, ErrFull) ||
		!errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, ErrFailing) {
		t.Errorf("told %v", err)
	}
	if err := s.Write(t.Context(), Interactive, 0, put("c", nil)); !errors.Is(err, ErrFull) {
		t.Errorf("a later write was told %v", err)
	}
	faultvfs.Reset()
	<-s.Opened()
	if err := s.Write(t.Context(), Bulk, 0, put("d", nil)); err != nil {
		t.Errorf("after it: %v", err)
	}
	if m := marks(t, s); m != "a d" && m != "a b d" {
		t.Errorf("kept %q", m)
	}
}

// TestFailsAgain: a disk that fails twice in a row leaves a store that is read, says so to every write, and comes back.
func TestFailsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := hasty()
		l.Reopen = 300 * time.Millisecond
		s := hastyFaulty(t, l)
		write(t, s, put("a", nil))
		faultvfs.FailFrom(faultvfs.Sync, "-wal", 1, faultvfs.IOErrSync)
		for i, failing := range []bool{false, true, true} {
			err := s.Write(t.Context(), Interactive, 0, put("b", nil))
			if err == nil || errors.Is(err, ErrFailing) != failing {
				t.Errorf("write %d was told %v", i, err)
			}
		}
		if m := marks(t, s); !strings.HasPrefix(m, "a") { // read-only, and what was acknowledged is there
			t.Errorf("kept %q", m)
		}
		faultvfs.Reset()
		time.Sleep(30 * time.Second)
		write(t, s, put("later", nil))
		usable(t, s)
	})
}

// What a full disk did not let be done is done once there is room, and once.
func TestLater(t *testing.T) {
	s := hastyFaulty(t, hasty())
	faultvfs.FailFrom(faultvfs.Write, "-wal", 1, faultvfs.Full)
	if err := s.Write(t.Context(), Interactive, 0, put("a", nil)); !errors.Is(err, ErrFull) {
		t.Fatalf("told %v", err)
	}
	s.Later(put("owed", nil))
	faultvfs.Reset()
	<-s.Opened()
	if m := marks(t, s); m != "owed" {
		t.Errorf("kept %q", m)
	}
	if n := len(s.owed()); n != 0 {
		t.Errorf("%d closures are still owed", n)
	}
}
