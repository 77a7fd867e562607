package engine

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/engine/clock"
	"mailcote/engine/connpool"
	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/script"
)

// TestWake is FAULTS N11: twenty accounts sleep for eight hours in the middle of a FETCH, and their connections
// are dead when they wake. No command waits for its limit: within the watch's look every connection is presumed
// dead, at most eight dials run at once, and everything arrives, once.
func TestWake(t *testing.T) {
	const accounts, dialling, looks = 20, 3 * time.Second, clock.Every
	synctest.Test(t, func(t *testing.T) {
		s := script.Start(t, script.Options{Pipe: true})
		put(s, "INBOX", 3)
		var now, most atomic.Int32
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			raise(&most, now.Add(1))
			defer now.Add(-1)
			if err := clock.Sleep(ctx, dialling); err != nil {
				return nil, err
			}
			return s.Dial(ctx, network, addr)
		}
		var wall atomic.Int64
		w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{dialer: dial, wall: func() time.Time {
			return time.Now().Add(time.Duration(wall.Load()))
		}})
		for i := range accounts {
			if _, _, err := w.engine.AddAccount(t.Context(),
				NewAccount{Login: Login{User: fmt.Sprintf("%s+%d", script.User, i), Host: "127.0.0.1", Port: 143,
					Security: imap.Plain, Password: secret.New(dovecot.Password)}}); err != nil {
				t.Fatal(err)
			}
		}
		committed := w.commits()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.engine.Run(ctx, time.Minute) }()
		all := func() string { return w.text(`SELECT count(*) FROM mail`) }
		until(t, time.Hour, "all mail", committed, func() bool { return all() == fmt.Sprint(3*accounts) })
		until(t, time.Hour, "the end of each first pass", committed, func() bool {
			return w.text(`SELECT count(*) FROM sync_runs WHERE ended_at IS NOT NULL`) == fmt.Sprint(accounts)
		})
		awake := s.Connections()
		s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
			if c.Connection <= awake && c.Name == "UID FETCH" && strings.Contains(c.Args, "BODY") {
				return script.Silent
			}
			return script.Answer
		}})
		put(s, "INBOX", 3)
		before := s.Count("UID FETCH")
		until(t, time.Hour, "a FETCH of each", s.Changed, func() bool {
			return s.Count("UID FETCH") >= before+accounts
		})
		most.Store(0)
		wall.Store(int64(8 * time.Hour))
		woke := time.Now()
		until(t, 10*time.Minute, "all mail", committed, func() bool { return all() == fmt.Sprint(6*accounts) })
		took := time.Since(woke)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		t.Logf("%d accounts complete %v after they woke, %d dials at once", accounts, took, most.Load())
		if limit := imap.DefaultLimits().Progress; took > looks+limit/2 {
			t.Errorf("it took %v", took)
		}
		if most.Load() > connpool.Dials {
			t.Errorf("%d dials at once", most.Load())
		}
		if n := s.Connections(); n != awake+accounts || s.Count("LOGIN") != n {
			t.Errorf("%d connections and %d sign-ins in all, %d before the sleep", n, s.Count("LOGIN"), awake)
		}
		for _, f := range w.faults() {
			if f.Class != "network" || !strings.Contains(f.Detail, connpool.ErrSlept.Error()) {
				t.Errorf("fault %+v", f)
			}
		}
		w.clean()
	})
}
