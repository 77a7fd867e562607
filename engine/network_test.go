package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine/imap"
	"mailcote/engine/plan"
	"mailcote/storage"
	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/form"
	"mailcote/testkit/proxy"
	"mailcote/testkit/script"
	"mailcote/testkit/truth"
)

// TestServerDown: five tries, at most 31 s of waiting between them, the task stays, the next sync goes on.
func TestServerDown(t *testing.T) {
	var mu sync.Mutex
	var asked []int
	s, w := scripted(t, 40, script.Options{}, Options{backoff: func(n int, _ *rand.Rand) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, n)
		return time.Millisecond
	}})
	for i := range 6 {
		put(s, fmt.Sprintf("Box %d", i), 3)
	}
	w.complete()
	p := proxy.Start(t, s.Host()+":"+strconv.Itoa(s.Port()), 1)
	if err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
		return tx.SetAccountEndpoint(w.id, p.Port(), string(imap.Plain), false)
	}); err != nil {
		t.Fatal(err)
	}
	p.Set(proxy.Faults{Refuse: true})
	asked = nil
	sum := w.sync()
	if sum.Result != Failed || sum.Class != "network" || p.Stats().Connections != 5 ||
		!slices.Equal(asked, []int{1, 2, 3, 4, 5}) {
		t.Fatalf("%d connections, backoff asked for %v, summary %+v", p.Stats().Connections, asked, sum)
	}
	if left := w.tasks(); len(left) != 1 || left[0].Status() != "pending" || left[0].RetryCount != 5 {
		t.Fatalf("tasks %+v", left)
	}
	w.equals(s)
	// Down in the middle, with the tasks of seven mailboxes waiting: the connection is at fault, so it is five
	// tries in all.
	p.Set(proxy.Faults{})
	s.Change(func(m *script.Model) {
		for _, b := range m.Boxes {
			b.Add(mail("more "+b.Name, 1))
		}
	})
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if c.Name == "EXAMINE" {
			p.Set(proxy.Faults{Refuse: true})
			return script.Drop
		}
		return script.Answer
	}})
	before := p.Stats().Connections
	if sum := w.sync(); sum.Class != "network" || p.Stats().Connections-before != 5 {
		t.Fatalf("%d connections, summary %+v", p.Stats().Connections-before, sum)
	}
	if left := w.tasks(); len(left) != 7 {
		t.Fatalf("%d tasks are left, want 7", len(left))
	}
	s.Misbehave(script.Faults{})
	p.Set(proxy.Faults{})
	w.complete()
	w.equals(s)
}

// TestBackoffSum: what four waits of a --once run may take.
func TestBackoffSum(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		var sum time.Duration
		for n := 1; n < plan.Fruitless; n++ {
			sum += plan.Backoff(n, random)
		}
		if sum > 31*time.Second {
			t.Fatalf("%v of waiting", sum)
		}
	}
}

// TestPhases: a connection that ends at any command is a network fault, and the next try brings everything. One
// that ends with words: TestBye.
func TestPhases(t *testing.T) {
	for _, command := range []string{"GREETING", "AUTHENTICATE", "ID", "LIST", "EXAMINE", "UID SEARCH", "UID FETCH",
		"NOOP"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 30, script.Options{}, Options{})
			var mu sync.Mutex
			times, most := 0, 3
			if command == "AUTHENTICATE" {
				most = 1 // the second in a row waits a minute: TestRefusedSignIn
			}
			s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
				mu.Lock()
				defer mu.Unlock()
				if c.Name == command && times < most {
					times++
					return script.Drop
				}
				return script.Answer
			}})
			w.complete()
			w.equals(s)
			for _, f := range w.faults() {
				if f.Class != "network" {
					t.Errorf("fault %+v", f)
				}
			}
		})
	}
}

// TestResets: a connection that is reset about every megabyte brings everything in the end, and no try counts as
// plan.Fruitless.
func TestResets(t *testing.T) {
	t.Parallel()
	server := dovecot.Start(t, dovecot.Config{})
	bytes, err := corpus.Fill(6, volume(2000), 4, corpus.Options{AvgSize: 20_000},
		func(mailbox string, m corpus.Message) error {
			return server.Put(dovecot.User, mailbox, m.Raw, dovecot.Options{Flags: m.Flags, Date: m.Date})
		})
	if err != nil {
		t.Fatal(err)
	}
	p := proxy.Start(t, server.Addr(), 3)
	p.Set(proxy.Faults{CutEvery: 1 << 20})
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{backoff: quick}).account("127.0.0.1", p.Port())
	w.complete()
	w.agrees(server)
	if cuts := int64(p.Stats().Cuts); cuts < bytes/(2<<20) {
		t.Errorf("%d cuts in %d bytes", cuts, bytes)
	}
	if n := w.text(`SELECT max(retry_count) FROM sync_task`); n > "1" {
		t.Errorf("retry_count reached %s", n)
	}
	t.Logf("%d bytes, %d cuts, %d faults", bytes, p.Stats().Cuts, len(w.faults()))
}

// TestCutAnywhere: one reset at any of 200 offsets of the stream, drawn by seed, changes nothing of the end.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	server := dovecot.Start(t, dovecot.Config{})
	if _, err := corpus.Fill(7, 60, 2, corpus.Options{AvgSize: 2000}, func(mailbox string, m corpus.Message) error {
		return server.Put(dovecot.User, mailbox, m.Raw, dovecot.Options{Flags: m.Flags, Date: m.Date})
	}); err != nil {
		t.Fatal(err)
	}
	want, err := truth.Read(t.Context(), server.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		t.Fatal(err)
	}
	whole := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{}).account(server.Host(), server.Port())
	wire := whole.complete().Wire
	random := rand.New(rand.NewPCG(form.Seed(t, 1), 0))
	t.Logf("%d bytes", wire)
	n := volume(80)
	if form.Long() {
		n = 1000
	}
	cuts := make([]proxy.Faults, n)
	for i := range cuts {
		cuts[i] = proxy.Faults{CutDown: random.Int64N(wire) + 1, CutsAtMost: 1}
		if i%10 == 0 {
			cuts[i] = proxy.Faults{CutUp: random.Int64N(400) + 1, CutsAtMost: 1}
		}
	}
	sideBySide(len(cuts), func(i int) {
		p := proxy.Start(t, server.Addr(), 1)
		defer p.Close()
		p.Set(cuts[i])
		w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{backoff: quick}).account("127.0.0.1", p.Port())
		defer w.close()
		if sum := w.sync(); sum.Result != Complete {
			t.Errorf("cut %+v: %+v", cuts[i], sum)
		}
		w.same(want)
		if i%20 == 0 {
			w.clean()
		}
	})
}

// sideBySide runs cases eight at a time: most of their time they wait for the disk.
func sideBySide(n int, do func(i int)) {
	var all sync.WaitGroup
	next := make(chan int)
	for range 8 {
		all.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
}

// TestInterrupt: a sync stopped at any moment keeps what came whole, gives its task back uncounted, and the next
// one goes on.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	server := dovecot.Start(t, dovecot.Config{})
	fill(t, server, 8, 300, 3)
	want, err := truth.Read(t.Context(), server.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		t.Fatal(err)
	}
	var stopped atomic.Int32
	sideBySide(volume(10), func(i int) {
		random := rand.New(rand.NewPCG(4, uint64(i)))
		w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{}).account(server.Host(), server.Port())
		defer w.close()
		for range 4 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.Int64N(int64(300*time.Millisecond))))
			sum := w.engine.Sync(ctx, []storage.AccountID{w.id}, SyncOptions{})[0]
			cancel()
			if !sum.Interrupted {
				continue
			}
			stopped.Add(1)
			if n := len(w.faults()); n > 0 {
				t.Errorf("a stop was recorded as a fault: %+v", w.faults())
			}
			for _, task := range w.tasks() {
				if task.Status() != "pending" || task.RetryCount != 0 {
					t.Errorf("after a stop: %+v", task)
				}
			}
			if open := w.text(`SELECT count(*) FROM sync_run WHERE ended_at IS NULL`); open != "0" {
				t.Errorf("%s runs are open", open)
			}
		}
		w.clean()
		w.complete()
		w.same(want)
		w.clean()
	})
	if stopped.Load() == 0 {
		t.Error("no sync was stopped")
	}
}
