package storage

import (
	"context"
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
func hasty() *limits {
	l := standardLimits()
	l.probe, l.probeMax, l.reopen = 5*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	return &l
}

// hastyFaulty is a store with such limits whose file operations can be made to fail.
func hastyFaulty(t *testing.T, l *limits) *Store {
	t.Helper()
	if err := faultvfs.Register(); err != nil {
		t.Fatal(err)
	}
	faultvfs.Reset()
	s := openAt(t, filepath.Join(t.TempDir(), "mail.db"), Options{vfs: faultvfs.Name, limits: l})
	t.Cleanup(faultvfs.Reset) // before Close
	sink(t, s)
	return s
}

// TestReserve: under the reserve bulk writing stops, what a person needs goes on, and all goes on when there is room.
func TestReserve(t *testing.T) {
	var free atomic.Int64
	free.Store(300 << 20)
	l := hasty()
	l.space = func(string) (disk.Space, error) { return disk.Space{Free: free.Load(), Size: 1 << 40}, nil }
	s := openAt(t, filepath.Join(t.TempDir(), "mail.db"), Options{limits: l})
	sink(t, s)
	if err := s.Write(t.Context(), Bulk, 0, put("a", nil)); err != nil {
		t.Fatal(err)
	}
	free.Store(199 << 20)
	err := s.Write(t.Context(), Bulk, 0, put("b", nil))
	if !errors.Is(err, ErrFull) || !errors.Is(err, ErrPaused) || !strings.Contains(err.Error(), "208 MB free, needs 262 MB; resumes by itself") {
		t.Errorf("under the reserve: %v", err)
	}
	if err := s.WriteAlone(t.Context(), put("c", nil)); !errors.Is(err, ErrPaused) {
		t.Errorf("the index under the reserve: %v", err)
	}
	write(t, s, put("d", nil))
	if p, closed := s.Pause(); !closed || p.Cause != disk.Short || time.Since(p.Since) > time.Minute {
		t.Errorf("%+v, %v", p, closed)
	}
	beside := openAt(t, s.Path(), Options{ReadOnly: true, limits: l})
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

// TestFullShm: a disk too full for the -shm to grow fails as an I/O error; the store comes back by itself when there is room.
func TestFullShm(t *testing.T) {
	s := hastyFaulty(t, hasty())
	write(t, s, put("a", nil))
	faultvfs.FailFrom(faultvfs.Map, "", 1, faultvfs.IOErrShmSize)
	faultvfs.Fail(faultvfs.Sync, "-wal", 1, faultvfs.IOErrShmSize)
	if err := s.Write(t.Context(), Bulk, 0, put("b", nil)); !errors.Is(err, ErrFull) || !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, ErrFailing) {
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
		l.reopen = 300 * time.Millisecond
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

// TestLeftOver: what a full disk did not let go goes when there is room.
func TestLeftOver(t *testing.T) {
	s := hastyFaulty(t, hasty())
	b := bedOn(t, s)
	body, err := s.Stage(t.Context(), b.packer, strings.NewReader(strings.Repeat("x", 3<<20)))
	if err != nil {
		t.Fatal(err)
	}
	faultvfs.FailFrom(faultvfs.Write, "-wal", 1, faultvfs.Full)
	if err := s.Unstage(t.Context(), body); !errors.Is(err, ErrFull) {
		t.Fatalf("told %v", err)
	}
	faultvfs.Reset()
	<-s.Opened()
	if n := number(t, s, `SELECT count(*) FROM blob`); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}

// TestLeftOverOfAnyFailure: what a write that failed in whatever way has staged goes while the store is open, and nothing else.
func TestLeftOverOfAnyFailure(t *testing.T) {
	gone := func(t *testing.T, s *Store) {
		t.Helper()
		faultvfs.Reset()
		time.Sleep(time.Minute)
		if n := number(t, s, `SELECT count(*) FROM blob WHERE state = 'staged'`); n > 0 || len(s.leftOver()) > 0 {
			t.Errorf("%d staged blobs are left", n)
		}
	}
	big := func() *strings.Reader { return strings.NewReader(strings.Repeat("x", 3<<20)) }
	for name, drop := range map[string]func(t *testing.T, s *Store, body Body) error{
		"unknown": func(t *testing.T, s *Store, body Body) error {
			faultvfs.Fail(faultvfs.Write, "-wal", 1, faultvfs.IOErrWrite)
			return s.Unstage(t.Context(), body)
		},
		"failing": func(t *testing.T, s *Store, body Body) error {
			faultvfs.FailFrom(faultvfs.Write, "-wal", 1, faultvfs.IOErrWrite)
			_ = s.Write(t.Context(), Interactive, 0, put("a", nil)) //nolint:errcheck // it makes the store fail
			_ = s.Write(t.Context(), Interactive, 0, put("a", nil)) //nolint:errcheck // as above
			return s.Unstage(t.Context(), body)
		},
		"cancelled": func(t *testing.T, s *Store, body Body) error {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return s.Unstage(ctx, body)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := hastyFaulty(t, hasty())
				b := bedOn(t, s)
				body, err := s.Stage(t.Context(), b.packer, big())
				if err != nil {
					t.Fatal(err)
				}
				if err := drop(t, s, body); err == nil {
					t.Error("it did not fail")
				}
				gone(t, s)
			})
		})
	}
	t.Run("staging", func(t *testing.T) { // the spool does not know whether it has a blob
		synctest.Test(t, func(t *testing.T) {
			s := hastyFaulty(t, hasty())
			b := bedOn(t, s)
			faultvfs.Fail(faultvfs.Sync, "-wal", 1, faultvfs.IOErrSync)
			sp := s.NewSpool(b.packer)
			if err := errors.Join(sp.Take(t.Context(), big()), sp.Flush(t.Context())); !errors.Is(err, ErrOutcomeUnknown) {
				t.Fatalf("told %v", err)
			}
			if sp.id == 0 {
				t.Error("it does not know its blob")
			}
			if err := sp.Drop(t.Context()); err != nil {
				t.Error(err)
			}
			gone(t, s)
		})
	})
	t.Run("another's", func(t *testing.T) { // whose blob would have the same number
		synctest.Test(t, func(t *testing.T) {
			s := hastyFaulty(t, hasty())
			b := bedOn(t, s)
			faultvfs.Fail(faultvfs.Write, "-wal", 1, faultvfs.IOErrWrite)
			first := s.NewSpool(b.packer)
			if err := errors.Join(first.Take(t.Context(), big()), first.Flush(t.Context())); !errors.Is(err, ErrOutcomeUnknown) {
				t.Fatalf("told %v", err)
			}
			body, err := s.Stage(t.Context(), b.packer, big())
			if err != nil {
				t.Fatal(err)
			}
			if err := first.Drop(t.Context()); err != nil {
				t.Error(err)
			}
			box := b.mailbox("INBOX", 7)
			a := b.arrivalOf(1, nil, 1)
			a.Body = body
			b.store(box, 7, a)
			if err := s.Unstage(t.Context(), body); err != nil { // as after a batch of which nobody knew that it was kept
				t.Error(err)
			}
			if got, err := b.body(BlobID(number(t, s, `SELECT blob_id FROM entry`))); err != nil || len(got) != 3<<20 {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	})
}
