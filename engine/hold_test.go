package engine

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/testkit/script"
)

// TestRetryByHand: a person may always try now, but not again and again while the server still refuses; a restart knows.
func TestRetryByHand(t *testing.T) {
	s := script.Start(t, script.Options{Pipe: true})
	var d dials
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{dialer: d.through(s, syscall.ECONNREFUSED), again: time.Hour,
		backoff: func(n int, _ *rand.Rand) time.Duration {
			if n < 5 {
				return time.Millisecond
			}
			return time.Hour
		}}).account("127.0.0.1", 143)
	for _, want := range []int{5, 6} { // the breaker is open by then: one probe
		if sum := w.sync(); sum.Class != "network" || len(d.at) != want {
			t.Fatalf("%d connections, want %d: %+v", len(d.at), want, sum)
		}
	}
	w.restart()
	sum := w.sync()
	if sum.Class != "quota" || !strings.Contains(sum.Detail, "possible at") || len(d.at) != 6 {
		t.Errorf("%d connections, %+v", len(d.at), sum)
	}
}

// TestOneProbe: of many accounts on a host that is down a few find out, and then one asks for all.
func TestOneProbe(t *testing.T) {
	s := script.Start(t, script.Options{Pipe: true})
	var d dials
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{dialer: d.through(s, syscall.ECONNREFUSED), again: time.Nanosecond,
		backoff: func(int, *rand.Rand) time.Duration { return time.Hour }})
	var ids []storage.AccountID
	for i := range 20 {
		id, _, err := w.engine.AddAccount(t.Context(), NewAccount{Login: Login{User: fmt.Sprint("user", i), Host: "127.0.0.1", Port: 143, Security: "plain", Password: secret.New("x")}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	sum := w.engine.Sync(t.Context(), ids, SyncOptions{})
	for _, one := range sum {
		if one.Result != Failed || one.Class != "network" {
			t.Errorf("%+v", one)
		}
	}
	t.Logf("%d connections for %d accounts", len(d.at), len(ids))
	if len(d.at) > len(ids) {
		t.Errorf("%d connections", len(d.at))
	}
}
