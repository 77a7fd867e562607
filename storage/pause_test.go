package storage

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/testkit/faultvfs"
)

// TestLeftOver: what a full disk did not let go goes when there is room.
func TestLeftOver(t *testing.T) {
	s := faulty(t)
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

// TestLeftOverOfAnyFailure: what a write that failed in whatever way has staged goes while the store is open, and
// nothing else.
func TestLeftOverOfAnyFailure(t *testing.T) {
	gone := func(t *testing.T, s *Store) {
		t.Helper()
		faultvfs.Reset()
		time.Sleep(time.Minute)
		if n := number(t, s, `SELECT count(*) FROM blob WHERE state = 'staged'`); n > 0 {
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
			_ = s.Write(t.Context(), Interactive, 0, put("a")) //nolint:errcheck // it makes the store fail
			_ = s.Write(t.Context(), Interactive, 0, put("a")) //nolint:errcheck // as above
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
				s := faulty(t)
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
			s := faulty(t)
			b := bedOn(t, s)
			faultvfs.Fail(faultvfs.Sync, "-wal", 1, faultvfs.IOErrSync)
			sp := s.NewSpool(b.packer)
			if err := errors.Join(sp.Take(t.Context(), big()), sp.Flush(t.Context())); !errors.Is(err,
				ErrOutcomeUnknown) {
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
			s := faulty(t)
			b := bedOn(t, s)
			faultvfs.Fail(faultvfs.Write, "-wal", 1, faultvfs.IOErrWrite)
			first := s.NewSpool(b.packer)
			if err := errors.Join(first.Take(t.Context(), big()), first.Flush(t.Context())); !errors.Is(err,
				ErrOutcomeUnknown) {
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
			// as after a batch of which nobody knew that it was kept
			if err := s.Unstage(t.Context(), body); err != nil {
				t.Error(err)
			}
			if got, err := b.body(BlobID(number(t, s, `SELECT blob_id FROM entry`))); err != nil || len(got) != 3<<20 {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	})
}
