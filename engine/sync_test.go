package engine

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/truth"
)

func fill(t *testing.T, s *dovecot.Server, seed uint64, messages, mailboxes int) int64 {
	t.Helper()
	n, err := corpus.Fill(seed, messages, mailboxes, corpus.Options{AvgSize: 8000}, func(mailbox string, m corpus.Message) error {
		return s.Put(dovecot.User, mailbox, m.Raw, dovecot.Options{Flags: m.Flags, Date: m.Date})
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSyncEqualsServer is the first promise: after a sync the store holds what the server holds, a second one moves next
// to nothing, and the server does not see that it was read.
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
		t.Errorf("the second sync fetched %d messages and moved %d bytes; want 0 and at most 60 kB", second.Fetched, second.Wire)
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
