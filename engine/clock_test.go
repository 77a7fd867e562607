package engine

import (
	"context"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/tables"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/script"
)

// shift moves every stored time, as a wall clock that jumps does to a program that keeps its own.
func (w *world) shift(jump time.Duration) {
	w.t.Helper()
	if err := w.store.Write(w.t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
		for _, statement := range []string{
			`UPDATE sync_task SET next_retry_at = next_retry_at - ?`,
			`UPDATE breaker SET failed_at = failed_at - ?1, until = until - ?1, opened_at = opened_at - ?1`,
			`UPDATE goqite SET timeout = strftime('%Y-%m-%dT%H:%M:%fZ', timeout, -(? / 1000) || ' seconds')
				WHERE timeout < '2099'`,
		} {
			if _, err := tables.In(tx).Exec(statement, jump.Milliseconds()); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
}

// TestClockJumps is bar 24 (FAULTS C): while tasks wait, the wall clock jumps; none is done more than a minute
// after its time, and nothing is done twice.
func TestClockJumps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, test := range []struct {
		name string
		jump time.Duration
	}{{"an hour on", time.Hour}, {"an hour back", -time.Hour}, {"ten years on", 10 * year},
		{"ten years back", -10 * year}, {"1970", -30 * year}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := script.Start(t, script.Options{Pipe: true})
				put(s, "INBOX", 3)
				put(s, "Held", 3)
				var refusing atomic.Bool
				refusing.Store(true)
				var done atomic.Int64 // when Held was opened at last, in Unix milliseconds
				s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
					if c.Name != "EXAMINE" || !strings.Contains(c.Args, "Held") {
						return script.Answer
					}
					if refusing.Load() {
						return "NO [CORRUPTION] damaged"
					}
					done.CompareAndSwap(0, time.Now().UnixMilli())
					return script.Answer
				}})
				var wall atomic.Int64
				w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{dialer: s.Dial, wall: func() time.Time {
					return time.Now().Add(time.Duration(wall.Load()))
				}})
				w.account("127.0.0.1", 143)
				w.engine.UsePassword(w.id, secret.New(dovecot.Password))
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- w.engine.Run(ctx, time.Minute) }()
				time.Sleep(20 * time.Second)
				synctest.Wait()
				due := w.text(`SELECT next_retry_at FROM sync_task WHERE state = 'waiting'`)
				if due == "" {
					t.Fatalf("nothing waits: %+v", w.tasks())
				}
				at := w.tasks()[0].NextRetryAt
				refusing.Store(false)
				w.shift(test.jump)
				wall.Store(int64(test.jump))
				time.Sleep(3 * time.Hour)
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				late := time.UnixMilli(done.Load()).Sub(at)
				t.Logf("due at %v, done %v later", at, late)
				// set back, a wait keeps its length
				if done.Load() == 0 || late > time.Minute || test.jump < 0 && late < -time.Minute {
					t.Errorf("done %v after its time", late)
				}
				if n := s.Count("UID FETCH"); n > 4 {
					t.Errorf("%d FETCH commands for two mailboxes", n)
				}
				w.equals(s)
			})
		})
	}
}

// TestSweepWhenClockJumps: what is kept for 30 days is not deleted because the clock is set ten years on for a while.
func TestSweepWhenClockJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wall atomic.Int64
		w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{wall: func() time.Time {
			return time.Now().Add(time.Duration(wall.Load()))
		}})
		w.account("127.0.0.1", 143)
		if err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
			return tx.RecordFault(storage.Fault{At: time.Now(), Class: "network", Scope: "account"})
		}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.engine.sweep(ctx)
		}()
		kept := func(want, when string) {
			t.Helper()
			synctest.Wait()
			if n := w.text(`SELECT count(*) FROM sync_error WHERE class = 'network'`); n != want {
				t.Errorf("%s: %s faults are left, want %s", when, n, want)
			}
		}
		time.Sleep(time.Hour)
		kept("1", "at first")
		wall.Store(int64(10 * 365 * 24 * time.Hour))
		time.Sleep(20 * time.Hour)
		kept("1", "while the clock is wrong")
		wall.Store(0)
		time.Sleep(29 * 24 * time.Hour)
		kept("1", "before its time")
		time.Sleep(2 * 24 * time.Hour)
		kept("0", "after its time")
		cancel()
		<-done
	})
}
