package engine

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailcote/engine/secret"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/form"
	"mailcote/testkit/proxy"
	"mailcote/testkit/script"
	"mailcote/testkit/truth"
)

// TestModel is the part of bar 7 that only reads: mailboxes on a server change in every way there is, the line
// breaks, the process dies, a person pauses and retries, in any order; after each sync that says it is complete,
// and in the end, the store holds exactly what the server has, and check finds nothing. The model is the scripted
// server's own: mailboxes × UIDs × flags × hashes.
func TestModel(t *testing.T) {
	checks := map[bool]string{false: strconv.Itoa(max(2, volume(10))), true: "1000"}[form.Long()]
	restore := flag.Lookup("rapid.checks").Value.String()
	if restore == "100" { // nobody asked for another number
		if err := flag.Set("rapid.checks", checks); err != nil {
			t.Fatal(err)
		}
		defer flag.Set("rapid.checks", restore) //nolint:errcheck // it was right before
	}
	var sum deeds
	began := time.Now()
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(t, rt, &sum)
		defer m.close()
		rt.Repeat(map[string]func(*rapid.T){
			"append": m.append, "flag": m.flag, "expunge": m.expunge, "rename": m.rename, "delete": m.drop,
			"recreate": m.recreate,
			"renumber": m.renumber, "break": m.breaks, "sync": m.sync, "sync again": m.sync, "crash": m.crash,
			"pause": m.pause, "retry": m.retry,
		})
		m.settle(rt)
	})
	t.Logf("%+v in %v", sum, time.Since(began).Round(time.Millisecond))
}

// deeds are totals of what was done.
type deeds struct{ Checks, Syncs, Complete, Crashes, Faults int }

// model is a server, a line and a store, with what was done to them.
type model struct {
	t        *testing.T
	sum      *deeds
	server   *script.Server
	line     *proxy.Proxy
	world    *world
	dir      string
	stores   int
	validity uint32
	written  uint32 // messages made so far: each is another, unless it is a copy
	paused   bool
}

var modelBoxes = []string{"INBOX", "A", "B", "B/C", "D&AOk-"}

func newModel(t *testing.T, rt *rapid.T, sum *deeds) *model {
	s := script.Start(t, script.Options{})
	dir, err := os.MkdirTemp("", "model")
	if err != nil {
		rt.Fatal(err)
	}
	p := proxy.Start(t, net.JoinHostPort(s.Host(), strconv.Itoa(s.Port())), 1)
	m := &model{t: t, sum: sum, server: s, line: p, dir: dir, validity: 1000}
	m.world = open(t, m.path(), hurried()).account("127.0.0.1", p.Port())
	sum.Checks++
	return m
}

func (m *model) path() string { return filepath.Join(m.dir, fmt.Sprintf("%d.db", m.stores)) }

func (m *model) close() {
	m.world.close()
	m.line.Close()
	m.server.Close()
	os.RemoveAll(m.dir) //nolint:errcheck // of the temporary directory
}

// box draws a mailbox and changes it.
func (m *model) box(rt *rapid.T, change func(model *script.Model, b *script.Box)) {
	m.server.Change(func(all *script.Model) {
		change(all, all.Boxes[rapid.IntRange(0, len(all.Boxes)-1).Draw(rt, "mailbox")])
	})
}

// some draws messages of a mailbox.
func some(rt *rapid.T, b *script.Box) (uids []uint32) {
	for _, one := range b.Messages {
		if rapid.IntRange(0, 3).Draw(rt, "chosen") == 0 {
			uids = append(uids, one.UID)
		}
	}
	return uids
}

func (m *model) append(rt *rapid.T) {
	m.box(rt, func(_ *script.Model, b *script.Box) {
		for range rapid.IntRange(1, 6).Draw(rt, "messages") {
			raw := mail("any", m.written)
			if n := len(b.Messages); n > 0 && rapid.IntRange(0, 5).Draw(rt, "copy") == 0 {
				raw = b.Messages[n-1].Raw
			}
			m.written++
			b.Add(raw, rapid.SampledFrom([]string{"", `\Seen`, `\Flagged \Seen`, "$Work"}).Draw(rt, "flags"))
		}
	})
}

func (m *model) flag(rt *rapid.T) {
	m.box(rt, func(_ *script.Model, b *script.Box) {
		for _, uid := range some(rt, b) {
			b.Flag(uid, rapid.SampledFrom([]string{"", `\Seen`, `\Answered`, "$Later"}).Draw(rt, "flags"))
		}
	})
}

func (m *model) expunge(rt *rapid.T) {
	m.box(rt, func(_ *script.Model, b *script.Box) { b.Expunge(some(rt, b)...) })
}

// another draws a name that no mailbox has.
func another(rt *rapid.T, all *script.Model) string {
	var free []string
	for _, name := range modelBoxes {
		taken := false
		for _, b := range all.Boxes {
			taken = taken || b.Name == name
		}
		if !taken {
			free = append(free, name)
		}
	}
	if len(free) == 0 {
		rt.Skip("every name is taken")
	}
	return rapid.SampledFrom(free).Draw(rt, "name")
}

func (m *model) rename(rt *rapid.T) {
	m.box(rt, func(all *script.Model, b *script.Box) {
		if b.Name == "INBOX" {
			rt.Skip("INBOX stays")
		}
		b.Name = another(rt, all)
	})
}

func (m *model) drop(rt *rapid.T) {
	m.box(rt, func(all *script.Model, b *script.Box) {
		if b.Name == "INBOX" {
			rt.Skip("INBOX stays")
		}
		all.Drop(b.Name)
	})
}

// recreate makes a mailbox, often under a name that another had before.
func (m *model) recreate(rt *rapid.T) {
	m.server.Change(func(all *script.Model) {
		b := all.Box(another(rt, all))
		m.validity++
		b.UIDValidity = m.validity
	})
}

func (m *model) renumber(rt *rapid.T) {
	m.box(rt, func(_ *script.Model, b *script.Box) {
		m.validity++
		b.Renumber(m.validity, rapid.Uint32Range(1, 50).Draw(rt, "first"))
	})
}

// breaks lets the next sync meet one of the faults of bar 5, those apart that cost two seconds of silence.
func (m *model) breaks(rt *rapid.T) {
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "fault"), 0))
	what, where := trouble(random), phases(random)
	for {
		switch a := what[random.IntN(len(what))].Act; a.Kind {
		case proxy.Void, proxy.Deaf, proxy.Mute, proxy.Dark, proxy.Drip:
			continue
		case proxy.Stall:
			a.For /= 100
			m.line.Arm(where[random.IntN(len(where))].Place, a)
		default:
			m.line.Arm(where[random.IntN(len(where))].Place, a)
		}
		m.sum.Faults++
		return
	}
}

func (m *model) sync(rt *rapid.T) { m.synced(rt, m.world.sync()) }

// synced wants what a sync that calls itself complete promises.
func (m *model) synced(rt *rapid.T, s Summary) {
	m.sum.Syncs++
	if s.Result != Complete {
		return
	}
	m.sum.Complete++
	m.same(rt, "a complete sync")
}

func (m *model) same(rt *rapid.T, after string) {
	if diff := truth.Diff(modelOf(m.server), m.world.lines()); len(diff) > 0 {
		rt.Fatalf("after %s %d lines differ between server (-) and store (+):\n%s", after, len(diff),
			strings.Join(diff[:min(10, len(diff))], "\n"))
	}
}

func (m *model) sound(rt *rapid.T, after string) {
	findings, err := Check(m.t.Context(), m.world.store, nil)
	if err != nil || len(findings) > 0 {
		rt.Fatalf("check after %s: %v, %d findings: %+v", after, err, len(findings), findings[:min(3, len(findings))])
	}
}

// crash takes the store's files as they are in the middle of a sync, and goes on with those.
func (m *model) crash(rt *rapid.T) {
	left := atomic.Int64{}
	left.Store(rapid.Int64Range(1, 30).Draw(rt, "commands before the crash"))
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	m.stores++
	image, old, taken, failed := m.path(), m.world, false, error(nil)
	m.server.Misbehave(script.Faults{On: func(script.Command) script.Action {
		if left.Add(-1) == 0 {
			taken, failed = true, photograph(ctx, old.store.Path(), image)
			cancel()
		}
		return script.Answer
	}})
	sum := old.engine.Sync(ctx, []storage.AccountID{old.id}, SyncOptions{})[0]
	m.server.Misbehave(script.Faults{}) // what it waits for has returned, or its session would not have ended
	if failed != nil {
		rt.Fatal(failed)
	}
	if !taken {
		m.synced(rt, sum)
		return
	}
	m.sum.Crashes++
	old.close()
	m.world = open(m.t, image, hurried())
	m.world.id = old.id
	m.world.engine.UsePassword(old.id, secret.New(dovecot.Password))
	m.sound(rt, "a crash")
}

// photograph copies a store as a process leaves it that dies now: while nothing can be committed, file and log
// are a pair.
func photograph(ctx context.Context, from, to string) error {
	db, err := sql.Open("sqlite", "file:"+from+"?_txlock=immediate&_pragma=busy_timeout(20000)")
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	for _, suffix := range []string{"", "-wal"} {
		raw, reading := os.ReadFile(from + suffix)
		err = errors.Join(err, reading, os.WriteFile(to+suffix, raw, 0o600))
	}
	return errors.Join(err, tx.Rollback(), db.Close())
}

func (m *model) pause(rt *rapid.T) {
	ids := []storage.AccountID{m.world.id}
	m.paused = !m.paused
	order := m.world.engine.ResumeAccounts
	if m.paused {
		order = func(ctx context.Context, ids []storage.AccountID) error {
			return m.world.engine.PauseAccounts(ctx, ids, "")
		}
	}
	if err := order(m.t.Context(), ids); err != nil {
		rt.Fatal(err)
	}
}

func (m *model) retry(rt *rapid.T) {
	verb := rapid.SampledFrom([]queue.Verb{queue.VerbRetry, queue.VerbPause, queue.VerbResume}).Draw(rt, "order")
	if _, err := m.world.engine.Tasks(m.t.Context(), queue.Order{Verb: verb,
		Selection: queue.Selection{Account: m.world.id}}); err != nil {
		rt.Fatal(err)
	}
}

// settle ends all trouble and wants the server's state.
func (m *model) settle(rt *rapid.T) {
	m.line.Disarm()
	if _, err := m.world.engine.Tasks(m.t.Context(), queue.Order{Verb: queue.VerbResume,
		Selection: queue.Selection{Account: m.world.id}}); err != nil {
		rt.Fatal(err)
	}
	sum, syncs := m.world.until()
	if sum.Result != Complete {
		rt.Fatalf("in peace, after %d syncs: %+v", syncs, sum)
	}
	m.same(rt, "the end")
	m.sound(rt, "the end")
	if left := m.world.tasks(); len(left) > 0 {
		rt.Fatalf("%d tasks are left, the first %+v", len(left), left[0])
	}
}
