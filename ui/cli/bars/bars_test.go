package bars

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailcote/engine"
	"mailcote/engine/progress"
	"mailcote/ui/cli/voice"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func account(state progress.State, mailboxes ...engine.MailboxProgress) engine.AccountProgress {
	return engine.AccountProgress{Account: "you@example.org", State: state, Mailboxes: mailboxes}
}

func TestAccountWords(t *testing.T) {
	until := time.Now().Add(time.Minute)
	waiting := account("waiting")
	waiting.Note, waiting.Until = "connection\x1b[2J refused", until
	indexing := account("syncing", engine.MailboxProgress{Path: "INBOX", Done: 10, Total: 10})
	indexing.Unindexed = 7
	again := account("syncing", engine.MailboxProgress{Path: "INBOX", Done: 10, Total: 10})
	again.Outdated = 7
	moving := account("syncing", engine.MailboxProgress{Path: "INBOX", Done: 1200, Total: 5000},
		engine.MailboxProgress{Path: "Sent", Total: 7})
	moving.Bytes = 31_000_000
	for _, one := range []struct {
		a    engine.AccountProgress
		want string
	}{
		{account("connecting"), "connecting"},
		{moving, "1,200 of 5,007 · 31.0 MB"},
		{indexing, "10 of 10 · making 7 messages searchable"},
		{again, "10 of 10 · reading 7 messages again"},
		{waiting, "waiting until " + until.Local().Format("15:04:05") + `: connection\u{1b}[2J refused`},
	} {
		done, total := sum(one.a)
		if got := accountWords(one.a, done, total); got != one.want {
			t.Errorf("got %q, want %q", got, one.want)
		}
	}
}

// TestBarWords: beside a bar stands what fits there; why an account waits is not cut.
func TestBarWords(t *testing.T) {
	moving := account("syncing", engine.MailboxProgress{Path: "INBOX", Done: 1200, Total: 5000})
	moving.Bytes = 31_000_000
	start := time.Now()
	p := pace{[]sample{{start, 200}, {start.Add(5 * time.Second), 1200}}}
	waiting := account("waiting")
	waiting.Note, waiting.Until = "connect: connection refused", time.Now().Add(time.Minute)
	until := waiting.Until.Local().Format("15:04:05")
	done := account("done", engine.MailboxProgress{Path: "INBOX", Done: 10, Total: 10})
	done.Fetched, done.Bytes, done.Gone, done.Flags = 3, 31_000, 50, 12
	for _, one := range []struct {
		a    engine.AccountProgress
		room int
		want string
	}{
		{moving, 80, "1,200 of 5,000 · 31.0 MB · 200/s · 19 s left"},
		{moving, 40, "1,200 of 5,000 · 200/s · 19 s left"},
		{moving, 25, "1,200 of 5,000 · 200/s"},
		{moving, 14, "1,200 of 5,000"},
		{waiting, 80, "waiting until " + until + ": connect: connection refused"},
		{waiting, 40, "connection refused until " + until},
		{waiting, 20, "connection refused"},
		{done, 80, "10 of 10 · 31.0 kB · done: 3 new (31.0 kB), 50 gone, 12 flags"},
		{done, 40, "3 new (31.0 kB), 50 gone, 12 flags"},
	} {
		n, total := sum(one.a)
		if got := barWords(one.a, n, total, p, one.room); got != one.want {
			t.Errorf("%d columns: got %q, want %q", one.room, got, one.want)
		}
	}
}

// TestDrawing moves bars through every change a sync makes and takes them away again.
func TestDrawing(t *testing.T) {
	var now []engine.AccountProgress
	d := newDrawing(io.Discard, Options{Snapshot: func() []engine.AccountProgress { return now }})
	box := func(done, total int64) engine.MailboxProgress {
		return engine.MailboxProgress{Path: "INBOX", Done: done, Total: total}
	}
	for _, one := range []struct {
		box  engine.MailboxProgress
		bars int
	}{{box(0, 0), 0}, {box(0, 10), 0}, {box(5, 10), 1}, {box(5, 20), 1}, {box(20, 20), 1}, {box(20, 20), 0},
		{box(21, 30), 1},
		{box(30, 20), 0}, {box(31, 40), 1}} {
		now = []engine.AccountProgress{account("syncing", one.box)}
		d.update()
		if len(d.mailboxes) != one.bars || len(d.accounts) != 1 {
			t.Errorf("%+v: %d bars of mailboxes, %d of accounts", one.box, len(d.mailboxes), len(d.accounts))
		}
	}
	if d.accounts["you@example.org"].bar.Completed() {
		t.Error("a bar completed: it could not grow again")
	}
	d.close()
}

func TestLines(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // it was only read
	now := account("syncing", engine.MailboxProgress{Path: "INBOX", Done: 5, Total: 10})
	l := &lines{voice: voice.New(os.Stdin, w, w), o: Options{Lasting: true, Snapshot: func() []engine.AccountProgress {
		return []engine.AccountProgress{now}
	}},
		last: map[string]string{}}
	l.print()
	l.print() // nothing moved
	now.Mailboxes[0].Done = 6
	l.print()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Count(text, []byte("\n")) != 2 || !strings.HasSuffix(string(text), " you@example.org: 6 of 10\n") {
		t.Errorf("got %q", text)
	}
}

// TestStop starts a display that has nothing to draw on and ends it, twice.
func TestStop(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // nothing was written
	defer w.Close() //nolint:errcheck // nothing was written
	d := Start(voice.New(os.Stdin, w, w), Options{Snapshot: func() []engine.AccountProgress { return nil }})
	d.Stop()
	d.Stop()
}
