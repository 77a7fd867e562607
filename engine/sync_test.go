package engine

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailcote/engine/imap"
	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/script"
	"mailcote/testkit/truth"
)

func fill(t *testing.T, s *dovecot.Server, seed uint64, messages, mailboxes int) int64 {
	t.Helper()
	n, err := corpus.Fill(seed, messages, mailboxes, corpus.Options{AvgSize: 8000},
		func(mailbox string, m corpus.Message) error {
			return s.Put(dovecot.User, mailbox, m.Raw, dovecot.Options{Flags: m.Flags, Date: m.Date})
		})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSyncEqualsServer is the first promise: after a sync the store holds what the server holds, a second one
// moves next to nothing, and the server does not see that it was read.
func TestSyncEqualsServer(t *testing.T) {
	server := dovecot.Start(t, dovecot.Config{})
	count := volume(2000)
	fill(t, server, 1, count, 8)
	before, err := truth.RecentSeen(t.Context(), server.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		t.Fatal(err)
	}
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{}).account(server.Host(), server.Port())
	first := w.complete()
	if first.Fetched != int64(count) {
		t.Errorf("fetched %d of %d", first.Fetched, count)
	}
	second := w.complete()
	if second.Fetched != 0 || second.Wire > 60_000 {
		t.Errorf("the second sync fetched %d messages and moved %d bytes; want 0 and at most 60 kB", second.Fetched,
			second.Wire)
	}
	after, err := truth.RecentSeen(t.Context(), server.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("reading left a trace (-before +after):\n%s", diff)
	}
	w.agrees(server)
	t.Logf("first %.1f s readable, %.1f s searchable, second %d bytes", first.Readable, first.Seconds, second.Wire)
}

// TestSyncFollowsServer adds mail in steps, changes flags, expunges, makes, renames and drops mailboxes.
func TestSyncFollowsServer(t *testing.T) {
	server := dovecot.Start(t, dovecot.Config{})
	fill(t, server, 2, 300, 3)
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{}).account(server.Host(), server.Port())
	w.complete()
	client, err := truth.Dial(t.Context(), server.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for step := range 5 {
		fill(t, server, uint64(10+step), 100, 4)
		must(t, client.Store("INBOX", fmt.Sprintf("%d:%d", 1+step, 20+step), "+FLAGS", `\Flagged`, "$Work"))
		must(t, client.Store("INBOX", "5:8", "-FLAGS", `\Flagged`))
		must(t, client.Expunge("INBOX", fmt.Sprintf("%d:%d", 30+step*5, 33+step*5)))
		must(t, client.Create(fmt.Sprintf("Neu/Ordner %d äöü", step)))
		w.complete()
		w.agrees(server)
	}
	must(t, client.Rename("Neu/Ordner 1 äöü", "Anders"))
	must(t, client.Delete("Neu/Ordner 2 äöü"))
	w.complete()
	w.agrees(server)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTooManyMailboxes is FAULTS S15: of a server that lists more mailboxes than are kept the first are synced,
// one row says that the others are not, and nothing goes from the store for that: no mailbox that is left out,
// and no email that was moved to one.
func TestTooManyMailboxes(t *testing.T) {
	s, w := scripted(t, 3, script.Options{}, Options{Limits: imap.Limits{Mailboxes: 5}})
	for i := range 4 {
		put(s, fmt.Sprintf("Box %d", i), 2)
	}
	w.complete()
	s.Change(func(m *script.Model) { // one that is kept is among the last now
		m.Boxes[1], m.Boxes[4] = m.Boxes[4], m.Boxes[1]
	})
	want := modelOf(s)
	put(s, "First", 1)
	s.Change(func(m *script.Model) {
		last := len(m.Boxes) - 1
		m.Boxes = append([]*script.Box{m.Boxes[last]}, m.Boxes[:last]...)
	})
	put(s, "INBOX", 1)
	for range 2 {
		if sum := w.sync(); sum.Result != Partial || !strings.Contains(sum.Detail, "too many") {
			t.Errorf("%+v", sum)
		}
	}
	have := w.lines()
	for _, line := range append(want, modelOf(s)[0]) {
		if !slices.Contains(have, line) {
			t.Errorf("%+v is not there", line)
		}
	}
	if n := w.text(`SELECT count(*) FROM mail WHERE mailbox = 'INBOX'`); n != "4" {
		t.Errorf("%s messages in INBOX", n)
	}
	s.Change(func(m *script.Model) {
		in := m.Box("INBOX")
		m.Box("Behind").Add(in.Messages[0].Raw)
		in.Expunge(in.Messages[0].UID)
	})
	for range 2 {
		w.sync()
		if n := w.text(`SELECT count(*) FROM email WHERE destroyed_at IS NOT NULL`); n != "0" {
			t.Errorf("%s emails are destroyed that the server has", n)
		}
		w.restart()
	}
	if faults := w.faults(); len(faults) != 1 || faults[0].Class != "protocol" ||
		!strings.Contains(faults[0].Detail, "more than 5 mailboxes") {
		t.Errorf("faults %+v", faults)
	}
}

// TestOtherMailboxes: a server that lists too many mailboxes, and others each time, fills no store; what is known
// goes on being synced.
func TestOtherMailboxes(t *testing.T) {
	s, w := scripted(t, 1, script.Options{}, Options{Limits: imap.Limits{Mailboxes: 3}})
	for i := range 3 {
		put(s, fmt.Sprint("Box ", i), 1)
	}
	for pass := range 6 {
		put(s, "INBOX", 1)
		s.Change(func(m *script.Model) {
			for i, b := range m.Boxes[1:] {
				b.Name = fmt.Sprintf("Box %d of %d", i, pass)
			}
		})
		w.sync()
	}
	if n := w.text(`SELECT count(*) FROM mailbox WHERE gone_at IS NULL`); n != "6" {
		t.Errorf("%s mailboxes", n)
	}
	if n := w.text(`SELECT count(*) FROM mail WHERE mailbox = 'INBOX'`); n != "7" {
		t.Errorf("%s messages in INBOX", n)
	}
	if faults := w.faults(); len(faults) != 1 || !strings.Contains(faults[0].NextStep, "new ones are left out") {
		t.Errorf("faults %+v", faults)
	}
}
