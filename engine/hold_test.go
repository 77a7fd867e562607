package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/engine/connpool"
	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/health"
	"mailcote/engine/secret"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/script"
)

// TestRetryByHand: the user may always retry now, but not again and again while
// the server still refuses. A restart remembers that.
func TestRetryByHand(t *testing.T) {
	s := script.Start(t, script.Options{Pipe: true})
	var d dials
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{dialer: d.through(s, syscall.ECONNREFUSED),
		retryGap: time.Hour,
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

// TestForcedRetry: a forced retry ends the account's rest too, also in the
// store. Another one at once, while the server still refuses, changes nothing.
func TestForcedRetry(t *testing.T) {
	s, w := scripted(t, 20, script.Options{Capabilities: gmailCapabilities}, Options{retryGap: time.Hour})
	refused := script.Faults{On: on(func(c script.Command) bool {
		return c.Name == "UID FETCH"
	}, "NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)")}
	s.Misbehave(refused)
	if sum := w.sync(); sum.Class != "quota" {
		t.Fatalf("%+v", sum)
	}
	rests := func() bool { return w.text(`SELECT count(*) FROM rate WHERE resumes_at IS NOT NULL`) != "0" }
	retry := func(force bool) error {
		_, err := w.engine.Tasks(t.Context(), queue.Order{Verb: queue.VerbRetry,
			Selection: queue.Selection{Account: w.id}, Force: force})
		return err
	}
	w.restart() // as the command does
	if err := retry(false); err != nil || !rests() || !w.meter().Resumes().After(time.Now()) {
		t.Errorf("a retry that is not forced: rests %v, %v", rests(), err)
	}
	if err := retry(true); err != nil || rests() || w.meter().Resumes().After(time.Now()) {
		t.Errorf("a forced one: rests %v until %v, %v", rests(), w.meter().Resumes(), err)
	}
	if sum := w.sync(); sum.Class != "quota" || !rests() {
		t.Errorf("it was not tried: %+v", sum)
	}
	soon := (*TooSoonError)(nil)
	if err := retry(true); !errors.As(err, &soon) || !rests() || !w.meter().Resumes().After(time.Now()) {
		t.Errorf("again at once: rests %v until %v, %v", rests(), w.meter().Resumes(), err)
	}
}

// TestBreakerRows: of a failure and a success at the same time the table keeps what memory does, whichever is
// written last.
func TestBreakerRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{backoff: quick})
		const scope = "host:x:1"
		second := func(int) time.Duration { return time.Second }
		rows := func() string { return w.text(`SELECT class FROM breaker`) }
		for name, test := range map[string]struct {
			first func() error
			then  func()
			want  string
		}{
			"success last": {
				func() error {
					return w.engine.health.RecordFailure(t.Context(), scope,
						fault.Fault{Verdict: policy.Verdict{Class: class.Network}}, false)
				},
				func() { w.engine.health.Succeed(scope) }, ""},
			"failure last": {
				func() error { return w.engine.health.RecordSuccess(t.Context(), scope) },
				func() { w.engine.health.Fail(time.Now(), scope, "timeout", "", second) }, "timeout"},
		} {
			w.engine.health.Succeed(scope)
			if name == "failure last" {
				w.engine.health.Fail(time.Now(), scope, "network", "", second)
			}
			busy, free := make(chan struct{}), make(chan struct{})
			var writes sync.WaitGroup
			writes.Go(func() {
				if err := w.store.Write(t.Context(), storage.Interactive, 0, func(*storage.Writer) error {
					close(busy)
					<-free
					return nil
				}); err != nil {
					t.Error(err)
				}
			})
			<-busy
			writes.Go(func() {
				if err := test.first(); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // the first write is queued
			test.then()     // its own write has overtaken the first one's
			close(free)
			writes.Wait()
			if got := rows(); got != test.want {
				t.Errorf("%s: the table says %q, want %q", name, got, test.want)
			}
		}
	})
}

// TestOneProbe: when a host has backed off for long enough, one dial is made
// for everybody who wants one, workers and interactive commands. No other dial
// is made until its result is known. If it fails, none is made before the next
// wait is over.
func TestOneProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const accounts, wait = 12, time.Minute
		s := script.Start(t, script.Options{Pipe: true})
		put(s, "INBOX", 2)
		var dialled atomic.Int32
		outcome := make(chan error)
		w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{backoff: func(int, *rand.Rand) time.Duration {
			return wait
		},
			dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
				dialled.Add(1)
				select {
				case err, open := <-outcome:
					if open {
						return nil, err
					}
					return s.Dial(ctx, network, addr)
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}})
		var all []storage.Account
		for i := range accounts {
			id, _, err := w.engine.AddAccount(t.Context(), NewAccount{Login: Login{User: fmt.Sprint(script.User, "+",
				i), Host: "127.0.0.1", Port: 143,
				Security: "plain", Password: secret.New(script.Password)}})
			if err != nil {
				t.Fatal(err)
			}
			w.id = id
			all = append(all, w.find())
		}
		for range 5 {
			if err := w.engine.health.RecordFailure(t.Context(), health.HostScope(loginOf(all[0]).Endpoint().Addr()),
				fault.Fault{Verdict: policy.Verdict{Class: class.Network}, Detail: "refused"}, false); err != nil {
				t.Fatal(err)
			}
			time.Sleep(wait)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.engine.Run(ctx, time.Hour) }()
		var doors sync.WaitGroup
		knock := func() (held *atomic.Int32) {
			held = new(atomic.Int32)
			for _, a := range all[:accounts/2] {
				doors.Go(func() {
					var l *connpool.Lease
					_, err := w.engine.account(a.ID).setRow(a).leaseInteractive(ctx, &l)
					if l != nil {
						l.Give()
					}
					if errors.As(err, new(*fault.HeldError)) {
						held.Add(1)
					}
				})
			}
			synctest.Wait()
			return held
		}
		time.Sleep(time.Second)
		if held := knock(); dialled.Load() != 1 || held.Load() != accounts/2 {
			t.Errorf("%d dials when the time has come, %d doors were told to wait", dialled.Load(), held.Load())
		}
		outcome <- syscall.ECONNREFUSED
		time.Sleep(wait - 2*time.Second)
		if held := knock(); dialled.Load() != 1 || held.Load() != accounts/2 {
			t.Errorf("%d dials before the next time, %d doors were told to wait", dialled.Load(), held.Load())
		}
		time.Sleep(5 * time.Second)
		if knock(); dialled.Load() != 2 {
			t.Errorf("%d dials at the next time", dialled.Load()-1)
		}
		close(outcome)
		time.Sleep(time.Minute)
		if n := w.text(`SELECT count(*) FROM mail`); n != strconv.Itoa(2*accounts) {
			t.Errorf("%s messages came", n)
		}
		cancel()
		doors.Wait()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestDeadHost: of many accounts on a host that is down each finds out once at most.
func TestDeadHost(t *testing.T) {
	s := script.Start(t, script.Options{Pipe: true})
	var d dials
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{dialer: d.through(s, syscall.ECONNREFUSED),
		retryGap: time.Nanosecond,
		backoff:  func(int, *rand.Rand) time.Duration { return time.Hour }})
	var ids []storage.AccountID
	for i := range 20 {
		id, _, err := w.engine.AddAccount(t.Context(), NewAccount{Login: Login{User: fmt.Sprint("user", i),
			Host: "127.0.0.1", Port: 143, Security: "plain", Password: secret.New("x")}})
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

// TestCooldown: a mailbox that its server refuses does not cost an agent a
// sign-in each minute. It is tried after growing waits, and the other mailboxes
// go on. The user's sync tries it at once. When the server gives it again it
// arrives by itself.
func TestCooldown(t *testing.T) {
	for _, test := range []struct {
		name, command string
		a             script.Action
		most          int // commands in three hours
	}{
		{"NO to SEARCH", "UID SEARCH", "NO not now", 2 * 30},
		{"nonsense in place of a listing", "UID SEARCH", "* SEARCH ((", 30},
		{"NO to EXAMINE", "EXAMINE", "NO not now", 2 * 30},
		{"a damaged mailbox", "EXAMINE", "NO [CORRUPTION] index broken", 6},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := script.Start(t, script.Options{Pipe: true})
				put(s, "INBOX", 3)
				put(s, "Archive", 3)
				var asked atomic.Int32
				s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
					instead := test.command == "UID SEARCH" && listsByFetch(c)
					if c.Name != test.command && !instead || c.Box != "Archive" &&
						!strings.Contains(c.Args, "Archive") {
						return script.Answer
					}
					if !instead {
						asked.Add(1)
					}
					return test.a
				}})
				w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{dialer: s.Dial})
				w.account("127.0.0.1", 143)
				w.engine.UsePassword(w.id, secret.New(script.Password))
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- w.engine.Run(ctx, time.Minute) }()
				time.Sleep(90 * time.Minute)
				put(s, "INBOX", 1)
				time.Sleep(2 * time.Minute)
				if n := w.text(`SELECT count(*) FROM mail`); n != "4" {
					t.Errorf("%s messages of the other mailbox", n)
				}
				time.Sleep(90 * time.Minute)
				passes := s.Count("LIST")
				t.Logf("%d passes over %d connections, %s asked %d times", passes, s.Connections(), test.command,
					asked.Load())
				if n := int(asked.Load()); n < 2 || n > test.most || s.Connections() > 30 || passes < 150 {
					t.Errorf("%d passes over %d connections, asked %d times", passes, s.Connections(), n)
				}
				before := asked.Load()
				if sum := w.sync(); sum.Result != Partial || asked.Load() == before {
					t.Errorf("a person's sync asked %d times: %+v", asked.Load()-before, sum)
				}
				s.Misbehave(script.Faults{})
				time.Sleep(80 * time.Minute)
				w.equals(s)
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestCooldownEnds: the user's retry of a mailbox that cools down has all its
// attempts. An account that is resumed tries all its mailboxes. Nothing is kept
// of a mailbox that is gone.
func TestCooldownEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script.Start(t, script.Options{Pipe: true})
		put(s, "INBOX", 3)
		put(s, "Archive", 3)
		var asked atomic.Int32
		refuse := script.Faults{On: func(c script.Command) script.Action {
			if c.Name != "UID SEARCH" || c.Box != "Archive" {
				return script.Answer
			}
			asked.Add(1)
			return "* SEARCH (("
		}}
		s.Misbehave(refuse)
		w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{dialer: s.Dial, retryGap: time.Nanosecond})
		w.account("127.0.0.1", 143)
		w.engine.UsePassword(w.id, secret.New(script.Password))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.engine.Run(ctx, time.Minute) }()
		time.Sleep(time.Hour)
		tried := func() { // from here on it is let be for 12 minutes at least
			t.Helper()
			before := asked.Load()
			until(t, 30*time.Minute, "another try", s.Changed, func() bool { return asked.Load() > before })
			synctest.Wait() // what it comes to is noted
		}
		tried()
		before := asked.Load()
		if _, err := w.engine.Tasks(t.Context(), queue.Order{Verb: queue.VerbRetry,
			Selection: queue.Selection{Account: w.id, State: queue.Failed}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if n := asked.Load() - before; n < 3 {
			t.Errorf("a person's retry had %d tries", n)
		}
		tried()
		if err := w.engine.PauseAccounts(t.Context(), []storage.AccountID{w.id}, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		s.Misbehave(script.Faults{})
		if err := w.engine.ResumeAccounts(t.Context(), []storage.AccountID{w.id}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		w.equals(s)
		put(s, "Archive", 1)
		s.Misbehave(refuse)
		cooling := w.engine.account(w.id).health.Cooling
		time.Sleep(time.Hour)
		if n := cooling(); n != 1 {
			t.Errorf("%d mailboxes cool down", n)
		}
		s.Change(func(m *script.Model) { m.Drop("Archive") })
		time.Sleep(20 * time.Minute)
		if n := cooling(); n != 0 {
			t.Errorf("%d mailboxes are let be that are gone", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
