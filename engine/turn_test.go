package engine

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/engine/progress"
	"mailcote/storage"
	"mailcote/storage/tables"
	"mailcote/testkit/proxy"
	"mailcote/testkit/script"
)

// TestOneWorker: an account has one session at a time, however many callers
// there are.
func TestOneWorker(t *testing.T) {
	s, w := scripted(t, 200, script.Options{}, Options{})
	var open, most atomic.Int32
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		switch c.Name {
		case "AUTHENTICATE":
			raise(&most, open.Add(1))
		case "LOGOUT":
			open.Add(-1)
		}
		return script.Answer
	}})
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { w.engine.Run(ctx, time.Millisecond) }) //nolint:errcheck // it ends by cancel
	var asked sync.WaitGroup
	for range 3 {
		asked.Go(func() {
			if sum := w.sync(); sum.Result != Complete {
				t.Errorf("summary %+v", sum)
			}
		})
	}
	asked.Wait()
	cancel()
	all.Wait()
	if most.Load() != 1 {
		t.Errorf("%d sessions at once", most.Load())
	}
	w.complete()
	w.equals(s)
}

// TestYield: an agent that is offline and waits makes room for a person at once.
func TestYield(t *testing.T) {
	s, w := scripted(t, 5, script.Options{}, Options{backoff: func(int, *rand.Rand) time.Duration {
		return 15 * time.Minute
	}})
	for _, name := range []string{"A", "B", "C"} {
		put(s, name, 2)
	}
	p := proxy.Start(t, s.Host()+":"+strconv.Itoa(s.Port()), 1)
	w.account("127.0.0.1", p.Port())
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if c.Name == "EXAMINE" {
			p.Set(proxy.Faults{Refuse: true})
			return script.Drop
		}
		return script.Answer
	}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.engine.Run(ctx, time.Hour) }()
	until(t, time.Minute, "offline", w.engine.ProgressChanged, func() bool { return w.state() == progress.Offline })
	if sum := w.sync(); sum.Class != "network" {
		t.Errorf("still down: %+v", sum)
	}
	if last := w.find().LastSuccess; !last.IsZero() {
		t.Errorf("the one that made room notes a success at %v", last)
	}
	p.Set(proxy.Faults{})
	s.Misbehave(script.Faults{})
	w.complete()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	w.equals(s)
}

// TestStuckMailbox: a mailbox that always takes too long does not keep the
// agent from the others.
func TestStuckMailbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := scripted(t, 5, script.Options{Pipe: true}, Options{backoff: func(int, *rand.Rand) time.Duration {
			return time.Hour
		}})
		put(s, "Stuck", 5)
		s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
			if c.Name == "EXAMINE" && strings.Contains(c.Args, "Stuck") {
				return script.Silent
			}
			return script.Answer
		}})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- w.engine.Run(ctx, time.Minute) }()
		for n := 6; n < 12; n++ {
			put(s, "INBOX", 1)
			time.Sleep(15 * time.Minute) // a pass, or the limit of a silent command and a pass
			synctest.Wait()
			if got := w.stored("INBOX"); got != strconv.Itoa(n) {
				t.Errorf("%s messages, want %d; tasks %+v", got, n, w.tasks())
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestBrokenCondstore: a server that offers it and refuses it is compared in full.
func TestBrokenCondstore(t *testing.T) {
	s, w := scripted(t, 30, script.Options{}, Options{})
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if strings.Contains(c.Args, "CHANGEDSINCE") || c.Name == "EXAMINE" && strings.Contains(c.Args, "CONDSTORE") {
			return "BAD what?"
		}
		return script.Answer
	}})
	for n := range 3 {
		w.complete()
		w.equals(s)
		s.Change(func(m *script.Model) { m.Box("INBOX").Flag(uint32(n+3), "$N") })
		if n == 1 {
			s.Misbehave(script.Faults{On: on(func(c script.Command) bool {
				return strings.Contains(c.Args, "CHANGEDSINCE")
			}, "BAD what?")})
		}
	}
	w.complete()
	w.equals(s)
	if f := w.faults(); len(f) > 0 {
		t.Errorf("faults %+v", f)
	}
}

// TestOrphanedTask: a task that a lost worker left processing is done by the next one, and nothing is complete before.
func TestOrphanedTask(t *testing.T) {
	s, w := scripted(t, 5, script.Options{}, Options{})
	w.complete()
	put(s, "INBOX", 5)
	if err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
		_, err := w.engine.startRun(tx, w.find(), 5)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := w.engine.queue.Claim(t.Context(), w.id); !ok || err != nil {
		t.Fatal(ok, err)
	}
	w.complete()
	w.equals(s)
	if left := w.tasks(); len(left) > 0 {
		t.Errorf("unfinished: %+v", left)
	}
}

// TestNarrow: only the named mailboxes are synced, and a name that is not there is said.
func TestNarrow(t *testing.T) {
	s, w := scripted(t, 5, script.Options{}, Options{})
	put(s, "Archive", 5)
	sync := func(names ...string) Summary {
		return w.engine.Sync(t.Context(), []storage.AccountID{w.id}, SyncOptions{Mailboxes: names})[0]
	}
	if sum := sync("Archive"); sum.Result != Complete || sum.Fetched != 5 || sum.Mailboxes != 1 {
		t.Errorf("%+v", sum)
	}
	if sum := sync("Archive", "Nowhere"); sum.Result == Complete {
		t.Errorf("%+v", sum)
	}
	if w.find().LastSuccess != (time.Time{}) {
		t.Error("a narrow sync counts as a whole one")
	}
	if sum := w.complete(); sum.Fetched != 5 {
		t.Errorf("%+v", sum)
	}
	w.equals(s)
}

// TestInboxByAnyName: INBOX is one mailbox however a server writes it.
func TestInboxByAnyName(t *testing.T) {
	s, w := scripted(t, 0, script.Options{}, Options{})
	s.Change(func(m *script.Model) { m.Boxes[0].Name = "Inbox"; m.Boxes[0].Add(mail("x", 1)) })
	w.complete()
	s.Change(func(m *script.Model) { m.Boxes[0].Name = "INBOX"; m.Boxes[0].Add(mail("x", 2)) })
	if sum := w.complete(); sum.Fetched != 1 || sum.Mailboxes != 1 {
		t.Errorf("%+v", sum)
	}
	w.equals(s)
	if n := w.text(`SELECT count(*) FROM mailbox`); n != "1" {
		t.Errorf("%s mailboxes", n)
	}
}

// TestClockBack: a clock that is set back while tasks wait to be claimed does not hide them until it has caught up.
func TestClockBack(t *testing.T) {
	s, w := scripted(t, 3, script.Options{}, Options{})
	w.complete()
	put(s, "INBOX", 1)
	if err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) (err error) {
		if _, err = w.engine.startRun(tx, w.find(), 5); err != nil {
			return err
		}
		// as the clock was when it was sent
		_, err = tables.In(tx).Exec(`UPDATE goqite SET timeout = '2099-01-01T00:00:00.000Z'`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	newWorker(w.engine, w.live(), true).work(ctx)
	if ctx.Err() != nil {
		t.Errorf("it never came to its tasks: %+v", w.tasks())
	}
	w.equals(s)
}
