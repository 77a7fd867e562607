package storage

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"
)

// TestCame: the most that came of a message in quarantine is kept over restarts and sweeps, until it arrives or leaves.
func TestCame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mail.db")
	first, err := Open(t.Context(), path, Options{Holder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	b := bedOn(t, first)
	box, other := b.mailbox("INBOX", 7), b.mailbox("Other", 7)
	quarantine := func(box MailboxID, validity UIDValidity, uid UID, came []byte) {
		t.Helper()
		body, err := b.Stage(t.Context(), b.packer, bytes.NewReader(came))
		if err != nil {
			t.Fatal(err)
		}
		write(t, b.Store, func(w *Writer) error {
			if err := w.Quarantine(Quarantined{Mailbox: box, Validity: validity, UID: uid, Reason: "cut",
				Received: body.Size, Claimed: -1}); err != nil {
				return err
			}
			return w.KeepCame(box, validity, uid, body)
		})
	}
	came := func(box MailboxID, uid UID) string {
		t.Helper()
		r, size, err := b.OpenCame(t.Context(), box, 7, uid)
		if errors.Is(err, ErrNotFound) {
			return "nothing"
		}
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close() //nolint:errcheck // it frees memory only
		out, err := io.ReadAll(r)
		if err != nil || int64(len(out)) != size {
			t.Errorf("%d bytes, %d announced, %v", len(out), size, err)
		}
		return string(out)
	}
	facts := func(want int64) {
		t.Helper()
		if n, staged := number(t, b.Store, `SELECT count(*) FROM meta WHERE key GLOB 'came:*'`),
			number(t, b.Store, `SELECT count(*) FROM blob WHERE state = 'staged'`); n != want || staged != want {
			t.Errorf("%d facts and %d staged blobs, want %d", n, staged, want)
		}
	}

	large := bytes.Repeat([]byte("a line of it\r\n"), 200_000)
	quarantine(box, 7, 4, []byte("half of it"))
	quarantine(box, 7, 5, large)
	quarantine(box, 7, 6, []byte("half"))
	quarantine(other, 7, 4, []byte("another"))
	quarantine(box, 7, 4, []byte("less"))
	quarantine(box, 7, 6, []byte("more than half"))
	facts(4)
	if n := number(t, b.Store, `SELECT received FROM quarantine WHERE mailbox_id = ? AND uid = 4`, box); n != 10 {
		t.Errorf("%d bytes received", n)
	}
	if _, err := b.Stage(t.Context(), b.packer, bytes.NewReader(large)); err != nil { // by a process that dies
		t.Fatal(err)
	}
	if _, err := first.Sweep(t.Context(), time.Now().Add(100*24*time.Hour), 0); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	b.Store = openAt(t, path, Options{Holder: "test"})
	facts(4)
	if got := came(box, 4); got != "half of it" {
		t.Errorf("%q", got)
	}
	if got := came(box, 5); got != string(large) {
		t.Errorf("%d bytes", len(got))
	}
	if got := came(box, 6); got != "more than half" {
		t.Errorf("%q", got)
	}
	if got := came(box, 7); got != "nothing" {
		t.Errorf("%q", got)
	}
	if found, err := b.Check(t.Context(), CheckOptions{}); err != nil || len(found) > 0 {
		t.Errorf("%+v, %v", found, err)
	}

	b.store(box, 7, b.arrival(4, 4))
	if got := came(box, 4); got != "nothing" {
		t.Errorf("it arrived, and %q is kept", got)
	}
	write(t, b.Store, func(w *Writer) error { return w.ReleaseGone(box, 7, []UID{6}) })
	facts(2)
	write(t, b.Store, func(w *Writer) error { // numbered anew, and again
		if err := w.OpenGeneration(box, 8, 1, 0); err != nil {
			return err
		}
		return w.OpenGeneration(box, 9, 1, 0)
	})
	facts(2)
	write(t, b.Store, func(w *Writer) error { return w.SwitchGeneration(box, 1) })
	facts(1)
	write(t, b.Store, func(w *Writer) error { // as when a sweep ends a mailbox
		_, err := w.tx.Exec(`DELETE FROM mailbox WHERE id = ?`, other)
		return err
	})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b.Store = openAt(t, path, Options{Holder: "test"})
	facts(0)
}

// TestSizes: what is known of a server's sizes is known after a restart.
func TestSizes(t *testing.T) {
	b := newBed(t)
	for _, s := range []Sizes{{}, {Short: 1}, {Short: 2, Zero: true}, {Wrong: true, Lack: 29, Zero: true},
		{Wrong: true, Lack: 40, Zero: true}} {
		var got Sizes
		write(t, b.Store, func(w *Writer) error { return w.SetSizes(b.account, s) })
		read(t, b.Store, func(r *Reader) (err error) {
			got, err = r.SizesOf(b.account)
			return err
		})
		if got != s {
			t.Errorf("%+v, want %+v", got, s)
		}
		read(t, b.Store, func(r *Reader) (err error) {
			got, err = r.SizesOf(b.account + 1)
			return err
		})
		if (got != Sizes{}) {
			t.Errorf("of another account: %+v", got)
		}
	}
	if n := number(t, b.Store, `SELECT count(*) FROM meta WHERE key GLOB 'size_*'`); n != 2 {
		t.Errorf("%d facts", n)
	}
}
