package engine

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/engine/connpool"
	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/proxy"
	"mailcote/testkit/script"
)

// TestPersonBetweenPages: where a server allows one connection, an interactive
// command runs on the same session between two pages of a long FETCH. The
// mailbox is examined again, and mail that came meanwhile is found.
func TestPersonBetweenPages(t *testing.T) {
	s, w := scripted(t, 900, script.Options{}, Options{})
	put(s, "Other", 3)
	m, err := w.live().meter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.Fault(class.Quota, "NO too many", true, 1)
	if m.Connections() != 1 {
		t.Fatalf("%d connections are allowed", m.Connections())
	}
	pool, err := w.live().connPool(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var person sync.WaitGroup
	var pages atomic.Int32
	var between int32
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if c.Name != "UID FETCH" || !strings.Contains(c.Args, "BODY") || pages.Add(1) != 1 {
			return script.Answer
		}
		person.Go(func() {
			l, err := pool.Take(t.Context(), connpool.Want{Use: connpool.Person})
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Give()
			between = pages.Load()
			if _, err := l.Session().Examine(t.Context(), "Other", false); err != nil {
				t.Error(err)
			}
			put(s, "INBOX", 1)
		})
		until(t, time.Minute, "the person waits", w.engine.ProgressChanged, func() bool {
			return pool.Figures().Waiting > 0
		})
		return script.Answer
	}})
	w.complete()
	person.Wait()
	w.equals(s)
	if s.Connections() != 1 || s.Count("LOGIN") != 1 || between != 1 || len(w.faults()) > 0 {
		t.Errorf("%d connections, %d sign-ins, served after page %d, faults %+v", s.Connections(), s.Count("LOGIN"),
			between, w.faults())
	}
}

// TestPersonLearns: a person whose sign-in is refused because the server takes no more connections waits for the
// one there is, and what the server said is kept for a day.
func TestPersonLearns(t *testing.T) {
	s, w := scripted(t, 900, script.Options{}, Options{})
	m, noted := w.meter(), w.commits()
	var person sync.WaitGroup
	var pages, signIns atomic.Int32
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		switch {
		case c.Name == "AUTHENTICATE" && signIns.Add(1) == 2:
			return "NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded " +
				"(mail_max_userip_connections=3)"
		case c.Name != "UID FETCH" || !strings.Contains(c.Args, "BODY") || pages.Add(1) != 1:
			return script.Answer
		}
		person.Go(func() {
			var l *connpool.Lease
			session, err := w.live().leaseInteractive(t.Context(), &l)
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Give()
			if err := session.Noop(t.Context()); err != nil {
				t.Error(err)
			}
		})
		until(t, 10*time.Second, "one connection is allowed", noted, func() bool { return m.Connections() == 1 })
		return script.Answer
	}})
	w.complete()
	person.Wait()
	w.equals(s)
	if n := signIns.Load(); n != 2 || s.Connections() != 2 {
		t.Errorf("%d sign-ins, %d connections", n, s.Connections())
	}
	w.restart()
	if n := w.meter().Connections(); n != 1 {
		t.Errorf("%d connections after a restart", n)
	}
}

// TestSessionKept: run signs in once for many passes, and out when it ends; a server that ended the session
// meanwhile costs a new one and is no fault.
func TestSessionKept(t *testing.T) {
	s, w := scripted(t, 5, script.Options{}, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	passes := func() int { return s.Count("LIST") }
	go func() { done <- w.engine.Run(ctx, 5*time.Millisecond) }()
	until(t, time.Minute, "five passes", s.Changed, func() bool { return passes() >= 5 })
	if s.Connections() != 1 {
		t.Errorf("%d connections in %d passes", s.Connections(), passes())
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if s.Count("LOGOUT") != 1 {
		t.Errorf("commands %v", s.Counts())
	}
	w.complete()
	w.equals(s)
}

// TestBlackHoles is bar 8's other half: whatever a server was asked when it falls silent, and inside whatever it
// was saying, the command ends by its own limit, the rest of the mail arrives over the next connection, and the
// fault is called a timeout.
func TestBlackHoles(t *testing.T) {
	d := imap.DefaultLimits()
	limit := max(d.Connect, d.TLS, d.Greeting, d.Auth, d.Progress)
	if limit > time.Minute {
		t.Errorf("a black hole is noticed after %v", limit)
	}
	silent := func(name string) func(s *script.Server, fired *atomic.Int32) {
		return func(s *script.Server, fired *atomic.Int32) {
			s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
				if c.Name == name && fired.Add(1) == 1 {
					return script.Silent
				}
				return script.Answer
			}})
		}
	}
	holes := map[string]func(s *script.Server, fired *atomic.Int32){
		"inside a literal": func(s *script.Server, fired *atomic.Int32) {
			s.Misbehave(script.Faults{Message: func(_ string, uid uint32) script.Fault {
				if uid == 7 && fired.Add(1) == 1 {
					return script.Stall
				}
				return script.Whole
			}})
		},
	}
	for _, name := range []string{"GREETING", "AUTHENTICATE", "ID", "LIST", "EXAMINE", "UID SEARCH", "UID FETCH",
		"NOOP"} {
		holes[name] = silent(name)
	}
	for name, dig := range holes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, w := scripted(t, 20, script.Options{Pipe: true}, Options{})
				var fired atomic.Int32
				dig(s, &fired)
				began := time.Now()
				if name == "AUTHENTICATE" { // it is not sent again within a minute: that run ends
					if sum := w.sync(); sum.Class != "timeout" || s.Count("LOGIN") != 1 {
						t.Errorf("%d sign-ins, %+v", s.Count("LOGIN"), sum)
					}
					time.Sleep(connpool.Resend)
					began = began.Add(connpool.Resend)
				}
				w.complete()
				if took := time.Since(began); took > limit+10*time.Second {
					t.Errorf("complete %v after the start, limit %v", took, limit)
				}
				w.equals(s)
				faults := w.faults()
				if len(faults) != 1 || faults[0].Class != "timeout" || fired.Load() == 0 {
					t.Errorf("faults %+v", faults)
				}
			})
		})
	}
}

// TestNeighbour: accounts on lines of a byte a second in both directions, before servers that fall silent inside
// a message and before ones that never answer, more of them than may dial at once, keep nothing from another
// account (FAULTS N1, N4, N5); each of their connections is ended, and when the lines are well everything
// arrives.
func TestNeighbour(t *testing.T) {
	slow, fast := script.Start(t, script.Options{}), script.Start(t, script.Options{})
	put(slow, "INBOX", 5)
	put(fast, "INBOX", 50)
	var well atomic.Bool
	slow.Misbehave(script.Faults{Message: func(string, uint32) script.Fault {
		if well.Load() {
			return script.Whole
		}
		return script.Stall
	}})
	const limit = time.Second
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{backoff: quick, retryGap: time.Nanosecond,
		resend: time.Millisecond, Limits: imap.Limits{Greeting: limit, TLS: limit, Auth: limit, Progress: limit,
			Window: limit}})
	w.account(fast.Host(), fast.Port())
	drip, hole := proxy.Start(t, slow.Addr(), 1), proxy.Start(t, slow.Addr(), 1)
	drip.Set(proxy.Faults{Rate: 1})
	hole.Set(proxy.Faults{BlackHole: true})
	var ids []storage.AccountID
	for i := range 15 {
		port := []int{drip.Port(), hole.Port(), slow.Port()}[i%3]
		id, _, err := w.engine.AddAccount(t.Context(), NewAccount{Login: Login{User: fmt.Sprintf("%s+%d",
			dovecot.User, i), Host: "127.0.0.1", Port: port,
			Security: imap.Plain, Password: secret.New(dovecot.Password)}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan []Summary, 1)
	go func() { done <- w.engine.Sync(ctx, ids, SyncOptions{}) }()
	until(t, time.Minute, "a FETCH", slow.Changed, func() bool { return slow.Count("UID FETCH") > 0 })
	for _, p := range []*proxy.Proxy{drip, hole} {
		until(t, time.Minute, "two connections", p.Accepted, func() bool { return p.Stats().Connections >= 2 })
	}
	began := time.Now()
	w.complete()
	took := time.Since(began)
	cancel()
	for _, sum := range <-done {
		if sum.Result == Complete {
			t.Errorf("%+v", sum)
		}
	}
	t.Logf("complete in %v beside %d others", took.Round(time.Millisecond), len(ids))
	if took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	well.Store(true)
	drip.Set(proxy.Faults{})
	hole.Set(proxy.Faults{})
	for _, sum := range w.engine.Sync(t.Context(), ids, SyncOptions{}) {
		if sum.Result != Complete || sum.Fetched != 5 {
			t.Errorf("%+v", sum)
		}
	}
	for _, f := range w.faults() {
		if f.Class != "timeout" && f.Class != "network" {
			t.Errorf("fault %+v", f)
		}
	}
}

// TestLowPool: a pool without a connection for too long is reported in errors
// and in the progress, unless the account is paused anyway.
func TestLowPool(t *testing.T) {
	_, w := scripted(t, 1, script.Options{}, Options{})
	a := w.find()
	of := w.engine.account(a.ID).setRow(a)
	of.noConnection(time.Now().Add(-connpool.Patience))
	faults := w.faults()
	if len(faults) != 1 || faults[0].Class != "network" || !strings.Contains(faults[0].Detail, "no connection for 5m") {
		t.Errorf("faults %+v", faults)
	}
	if p := w.engine.Progress(); len(p) != 1 || !strings.Contains(p[0].Note, "no connection") {
		t.Errorf("progress %+v", p)
	}
	if err := w.engine.PauseAccounts(t.Context(), []storage.AccountID{a.ID}, ""); err != nil {
		t.Fatal(err)
	}
	if of.noConnection(time.Now()); len(w.faults()) != 1 {
		t.Errorf("a paused account is told of: %+v", w.faults())
	}
}

// TestYieldIsCheap: discovery offers its session after each mailbox that is listed, and nearly always nobody wants it.
func TestYieldIsCheap(t *testing.T) {
	_, w := scripted(t, 0, script.Options{}, Options{})
	worker := newWorker(w.engine, w.live(), true)
	worker.until = t.Context()
	if _, err := worker.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer worker.logout(t.Context())
	if n := testing.AllocsPerRun(100, func() {
		if moved, err := worker.Yield(t.Context()); moved || err != nil {
			t.Error(moved, err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
