package storage

import (
	"bytes"
	"io"
	"testing"
)

// TestOpenBlobHoldsNothing: who reads a message slowly has no snapshot between its pieces.
func TestOpenBlobHoldsNothing(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	raw := bytes.Repeat([]byte("0123456789abcdef"), 3<<16)
	b.store(box, 7, b.arrivalOf(1, raw, 1))
	beside := openAt(t, b.Path(), Options{ReadOnly: true})
	body, err := beside.OpenBlob(t.Context(), BlobID(number(t, b.Store, "SELECT id FROM blob")))
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close() //nolint:errcheck // it frees memory only
	first := make([]byte, 1)
	if _, err := body.Read(first); err != nil {
		t.Fatal(err)
	}
	var busy, pages, copied int // a snapshot would keep the log from being emptied
	if err := another(t, b.Store).QueryRowContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)").
		Scan(&busy, &pages, &copied); err != nil || busy != 0 {
		t.Errorf("between two pieces the log is held: busy %d, %v", busy, err)
	}
	rest, err := io.ReadAll(body)
	if err != nil || !bytes.Equal(append(first, rest...), raw) {
		t.Errorf("%d bytes, %v", len(rest)+1, err)
	}
}
