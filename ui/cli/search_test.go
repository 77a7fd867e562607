package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailcote/storage"
)

// searched is a store with an owner, beside which searches run.
type searched struct {
	t      *testing.T
	store  *storage.Store
	packer *storage.Packer
	box    storage.MailboxID
	uid    storage.UID
}

func newSearched(t *testing.T) *searched {
	t.Helper()
	s, err := storage.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), storage.Options{Holder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	b := &searched{t: t, store: s}
	if b.packer, err = storage.NewPacker(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(b.packer.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	b.write(func(w *storage.Writer) error {
		account, err := w.AddAccount(storage.Account{Name: "ada", User: "ada", Host: "localhost", Port: 143,
			Security: "plain"})
		if err != nil {
			return err
		}
		if b.box, err = w.PutMailbox(storage.Mailbox{Account: account, Raw: "INBOX", Path: "INBOX", Selectable: true,
			Priority: 5}); err != nil {
			return err
		}
		return w.OpenGeneration(b.box, 7, 1, 0)
	})
	return b
}

func (b *searched) write(fn func(w *storage.Writer) error) {
	b.t.Helper()
	if err := b.store.WriteAlone(context.Background(), fn); err != nil {
		b.t.Error(err)
	}
}

// mail stores and indexes one message.
func (b *searched) mail(text string) {
	b.t.Helper()
	b.uid++
	b.write(func(w *storage.Writer) error {
		raw := fmt.Appendf(nil, "Subject: mail %d\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n", b.uid,
			text)
		if _, err := w.StoreBatch(storage.Batch{Mailbox: b.box, Validity: 7, Arrivals: []storage.Arrival{{UID: b.uid,
			InternalDate: time.Unix(1_700_000_000, 0), Body: b.packer.Pack(raw),
			Header: storage.Header{Subject: fmt.Sprint("mail ", b.uid)}}}}); err != nil {
			return err
		}
		return w.IndexDocs([]storage.IndexDoc{{Email: storage.EmailRow(b.uid), Subject: fmt.Sprint("mail ", b.uid),
			Text: text}})
	})
}

// search runs the command, and gives its status and what it wrote.
func (b *searched) search(args ...string) (status Status, out, said string) {
	b.t.Helper()
	files := [3]*os.File{}
	for i, name := range []string{"in", "out", "err"} {
		var err error
		if files[i], err = os.Create(filepath.Join(b.t.TempDir(), name)); err != nil {
			b.t.Fatal(err)
		}
		defer files[i].Close() //nolint:errcheck // a test's
	}
	args = append([]string{"--store", b.store.Path(), "search"}, args...)
	status = Status(Run(b.t.Context(), args, files[0], files[1], files[2]))
	texts := [2]string{}
	for i, f := range files[1:] {
		text, err := os.ReadFile(f.Name())
		if err != nil {
			b.t.Fatal(err)
		}
		texts[i] = string(text)
	}
	return status, texts[0], texts[1]
}

// A search tells how many messages match, where, and by its status whether any does.
func TestSearchAnswers(t *testing.T) {
	b := newSearched(t)
	for i := range 5 {
		b.mail(fmt.Sprintf("the red rose number %d", i))
	}
	b.mail("Straße im Süden")
	for _, tt := range []struct {
		args   []string
		status Status
		out    string // one line of it
		said   string
	}{
		{[]string{"red"}, Done, "mail 5", ""},
		{[]string{"red", "--limit", "2"}, Done, "mail 5", "2 of 5 messages: --limit 8 shows more."},
		{[]string{"blue"}, Done, "", "Nothing found."},
		{[]string{"blue", "--exists"}, Nothing, "", "Nothing found."},
		{[]string{"red", "--exists"}, Done, "mail 5", ""},
		{[]string{"blue", "--json", "--exists"}, Nothing, "", ""},
		{[]string{"blue", "--wait", "1ms"}, Nothing, "", "Nothing found."},
		{[]string{"red", "--wait", "1h"}, Done, "mail 5", ""},
		{[]string{"red", "AND", "rose"}, Done, "", "AND is searched for as a word."},
		{[]string{"in:nowhere"}, Done, "", `There is no mailbox "nowhere".`},
		{[]string{"form:anna"}, Usage, "", "did you mean from:"},
		{[]string{"has:attachement"}, Usage, "", "did you mean attachment?"},
		{[]string{"red", "--wait", "0s"}, Usage, "", "--wait takes a time"},
		{[]string{"red", "--wait", "-3s"}, Usage, "", "--wait takes a time"},
	} {
		status, out, said := b.search(tt.args...)
		if status != tt.status || !strings.Contains(out, tt.out) || !strings.Contains(said, tt.said) ||
			tt.out == "" && out != "" || tt.said == "" && said != "" {
			t.Errorf("%s: status %d\n%s\n%s", tt.args, status, out, said)
		}
	}
	status, out, _ := b.search("--json", "strasse OR sud*", "--limit", "1")
	var hit hitView
	if err := json.Unmarshal([]byte(out), &hit); err != nil || status != Done {
		t.Fatalf("%d, %v: %s", status, err, out)
	}
	if hit.Total != 1 || hit.Snippet == nil || hit.Snippet.Text != "Straße im Süden" ||
		fmt.Sprint(hit.Snippet.Marks) != "[[0 6] [10 15]]" {
		t.Errorf("%s", out)
	}
	if _, out, _ := b.search("--json", "subject:mail", "--limit", "2"); strings.Count(out, `"total":6`) != 2 ||
		strings.Count(out, `"snippet":null`) != 2 {
		t.Errorf("%s", out)
	}
}

// A search that waits ends with the first message that matches, and not with another.
func TestSearchWaits(t *testing.T) {
	b := newSearched(t)
	ended := make(chan string)
	go func() {
		status, out, said := b.search("red", "--json", "--wait", "10m")
		ended <- fmt.Sprint(status, " ", out, said)
	}()
	b.mail("blue")
	select {
	case got := <-ended:
		t.Fatalf("it ended with nothing to find: %s", got)
	case <-time.After(2 * waitEvery):
	}
	b.mail("red")
	if got := <-ended; !strings.HasPrefix(got, "0 ") || !strings.Contains(got, `"subject":"mail 2"`) {
		t.Errorf("%s", got)
	}
}
