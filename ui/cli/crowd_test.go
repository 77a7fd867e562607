package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailcote/engine"
	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/testkit/form"
	"mailcote/testkit/script"
)

// TestCrowd syncs 200 accounts at once: memory stays bounded, everything arrives, and nobody is kept waiting for
// the others.
func TestCrowd(t *testing.T) {
	n, each, size := 40, 8, 60_000
	if form.Long() {
		n, each, size = 200, 20, 60_000
	} else if form.Race {
		n = 20
	}
	r, s := scripted(t)
	body := noise(size)
	s.Change(func(m *script.Model) {
		for i := range each - 1 {
			m.Box("INBOX").Add(append([]byte(fmt.Sprintf("Subject: %d\r\n\r\n", i)), body...))
		}
	})
	r.accounts(s, n)
	o := r.exits(0, "sync", "--once", "--json")
	var seconds []float64
	for line := range strings.Lines(o.out) {
		var sum engine.Summary
		if err := json.Unmarshal([]byte(line), &sum); err != nil {
			t.Fatal(err)
		}
		if sum.Result != engine.Complete || sum.Fetched != int64(each) {
			t.Fatalf("%+v", sum)
		}
		seconds = append(seconds, sum.Readable)
	}
	if len(seconds) != n {
		t.Fatalf("%d accounts", len(seconds))
	}
	slices.Sort(seconds)
	t.Logf("%d accounts, %d MB at once: peak memory %.1f MiB, in %v; readable after %.1f to %.1f s, median %.1f s", n,
		n*each*size/1_000_000, mib(o.rss), o.took,
		seconds[0], seconds[n-1], seconds[n/2])
	if most := int64(512 << 20); o.rss > most && !form.Race {
		t.Errorf("peak memory %.1f MiB, more than %.0f", mib(o.rss), mib(most))
	}
	if got := r.number(`SELECT count(*) AS n FROM mail WHERE has_body = 1`); got != int64(n*each) {
		t.Errorf("%d messages have a body", got)
	}
}

// accounts adds accounts that see the same mail of a scripted server.
func (r *rig) accounts(s *script.Server, n int) {
	r.t.Helper()
	file := filepath.Join(r.dir, "password")
	if err := os.WriteFile(file, []byte(script.Password+"\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	store, err := storage.Open(r.t.Context(), r.store, storage.Options{Holder: "test"})
	if err != nil {
		r.t.Fatal(err)
	}
	e, err := engine.New(r.t.Context(), engine.Options{Store: store,
		Approvals: secret.Approvals{Dir: filepath.Join(r.dir, "state", "mailcote", "approved")}})
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range n {
		login := engine.Login{User: fmt.Sprintf("%s+%d", script.User, i), Host: s.Host(), Port: s.Port(),
			Security: imap.Plain}
		if _, _, err := e.AddAccount(r.t.Context(), engine.NewAccount{Login: login,
			Ref: secret.Ref{Kind: secret.File, Value: file}}); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		r.t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		r.t.Fatal(err)
	}
}
