package storage

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"mailcote/storage/internal/file"
	"mailcote/testkit/faultvfs"
	"mailcote/testkit/form"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openTest opens a store of its own and closes it with the test.
func openTest(t testing.TB) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "mail.db"), Options{Holder: "test"})
}

func openAt(t testing.TB, path string, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func write(t testing.TB, s *Store, fn func(w *Writer) error) {
	t.Helper()
	if err := s.Write(context.Background(), Interactive, 0, fn); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, s *Store, fn func(r *Reader) error) {
	t.Helper()
	if err := s.Read(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// number asks for one number.
func number(t testing.TB, s *Store, query string, args ...any) int64 {
	t.Helper()
	var n int64
	read(t, s, func(r *Reader) error { return r.snap.QueryRow(query, args...).Scan(&n) })
	return n
}

// text asks for one text.
func text(t testing.TB, s *Store, query string, args ...any) string {
	t.Helper()
	var v string
	read(t, s, func(r *Reader) error { return r.snap.QueryRow(query, args...).Scan(&v) })
	return v
}

// another opens the store's file once more, without its writer.
func another(t testing.TB, s *Store) *sql.Conn {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+s.Path()+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(errors.Join(err, db.Close()))
	}
	t.Cleanup(func() {
		if err := errors.Join(conn.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// sink makes a table for marks.
func sink(t testing.TB, s *Store) {
	t.Helper()
	write(t, s, func(w *Writer) error { _, err := w.tx.Exec("CREATE TABLE sink (who TEXT)"); return err })
}

// put is a closure that leaves a mark.
func put(name string) func(*Writer) error {
	return func(w *Writer) error {
		_, err := w.tx.Exec("INSERT INTO sink (who) VALUES (?)", name)
		return err
	}
}

// hasty are limits by which a test need not wait.
func hasty() *file.Limits {
	l := file.StandardLimits()
	l.Probe, l.ProbeMax, l.Reopen = 5*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	return &l
}

// faulty is a store with such limits whose file operations can be made to fail.
func faulty(t *testing.T) *Store {
	t.Helper()
	if err := faultvfs.Register(); err != nil {
		t.Fatal(err)
	}
	faultvfs.Reset()
	s := openAt(t, filepath.Join(t.TempDir(), "mail.db"), Options{vfs: faultvfs.Name, limits: hasty()})
	t.Cleanup(faultvfs.Reset) // before Close
	sink(t, s)
	return s
}

// bed is a store with one account and what tests need to fill it.
type bed struct {
	*Store
	t       testing.TB
	packer  *Packer
	account AccountID
}

func newBed(t testing.TB) *bed { return bedOn(t, openTest(t)) }

func bedOn(t testing.TB, s *Store) *bed {
	t.Helper()
	p, err := NewPacker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	b := &bed{Store: s, t: t, packer: p}
	write(t, s, func(w *Writer) (err error) {
		b.account, err = w.AddAccount(Account{Name: "ada", User: "ada", Host: "localhost", Port: 143,
			Security: "plain"})
		return err
	})
	return b
}

// mailbox makes a mailbox whose generation validity is shown.
func (b *bed) mailbox(path string, validity UIDValidity) MailboxID {
	b.t.Helper()
	var id MailboxID
	write(b.t, b.Store, func(w *Writer) (err error) {
		if id, err = w.PutMailbox(Mailbox{Account: b.account, Raw: path, Path: path, Delimiter: "/", Selectable: true,
			Priority: 5}); err != nil {
			return err
		}
		return w.OpenGeneration(id, validity, 1, 0)
	})
	return id
}

// raw is a small message; n makes it unlike others. Every sixth has lines of base64.
func raw(n int) []byte {
	text := fmt.Appendf(nil,
		"Message-ID: <%d@example.org>\r\nSubject: message %d\r\nFrom: Ada <ada@example.org>\r\n\r\nThis is the text "+
			"of number %d.\r\n", n, n, n)
	for line := 0; line < 4 && n%6 == 0; line++ {
		sum := sha512.Sum512(text)
		text = append(base64.StdEncoding.AppendEncode(text, sum[:57]), "\r\n"...)
	}
	return text
}

// packedBefore packs a message as the first schemas did.
func packedBefore(raw []byte) Body {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(pieceSize))
	if err != nil {
		panic(err) // the options are these
	}
	defer enc.Close() //nolint:errcheck // it frees memory only
	b := Body{SHA256: sha256.Sum256(raw), Size: int64(len(raw))}
	for piece := range slices.Chunk(raw, pieceSize) {
		b.frames = append(b.frames, enc.EncodeAll(piece, nil))
	}
	return b
}

// arrival is a message as the engine would hand it over.
func (b *bed) arrival(uid UID, n int, flags ...string) Arrival {
	return b.arrivalOf(uid, raw(n), n, flags...)
}

// arrivalOf is an arrival of other bytes. Every fourth is packed as the first schemas did: all that reads a store must
// read a mixed one.
func (b *bed) arrivalOf(uid UID, raw []byte, n int, flags ...string) Arrival {
	body := b.packer.Pack(raw)
	if n%4 == 1 {
		body = packedBefore(raw)
	}
	return Arrival{UID: uid, Flags: NewFlags(flags), ModSeq: 1, InternalDate: time.Unix(1_700_000_000+int64(uid), 0),
		Body: body, Header: headerOf(n)}
}

// headerOf is what a parser makes of raw(n).
func headerOf(n int) Header {
	id := fmt.Sprintf("<%d@example.org>", n)
	return Header{
		MessageID: id, ThreadKeys: []string{id}, Subject: fmt.Sprintf("message %d", n),
		BaseSubject: fmt.Sprintf("message %d", n), Sender: "Ada <ada@example.org>",
		SentAt: time.Unix(1_600_000_000, 0), Preview: "This is the text",
	}
}

// store commits one batch that covers exactly what it holds.
func (b *bed) store(box MailboxID, validity UIDValidity, arrivals ...Arrival) Stored {
	b.t.Helper()
	batch := Batch{Mailbox: box, Validity: validity, Arrivals: arrivals}
	for _, a := range arrivals {
		batch.Cover = append(batch.Cover, Range{a.UID, a.UID})
	}
	var done Stored
	write(b.t, b.Store, func(w *Writer) (err error) {
		done, err = w.StoreBatch(batch)
		return err
	})
	return done
}

// body reads a blob whole.
func (b *bed) body(id BlobID) ([]byte, error) {
	var out []byte
	err := b.Read(context.Background(), func(r *Reader) error {
		rd, size, err := r.OpenBlob(id)
		if err != nil {
			return err
		}
		defer rd.Close() //nolint:errcheck // it frees memory only
		if out, err = io.ReadAll(rd); err == nil && int64(len(out)) != size {
			return fmt.Errorf("%d bytes, %d announced", len(out), size)
		}
		return err
	})
	return out, err
}

// raceShare ends a loop over cases that differ in what they ask of SQLite alone:
// under the race detector a few are enough, whichever come. Elsewhere all run.
func raceShare(cases int) (enough func() bool) {
	return func() bool {
		cases--
		return form.Race && cases < 0
	}
}
