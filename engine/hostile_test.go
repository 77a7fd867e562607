package engine

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/storage/tables"
	"mailcote/testkit/child"
	"mailcote/testkit/form"
	"mailcote/testkit/hostile"
	"mailcote/testkit/script"
	"mailcote/testkit/truth"
)

// TestBar6 is bar 6: every hostile server, each on an account of its own. None makes the program panic, hang or
// hold memory, none makes mail go that the server has, and none keeps a mailbox from arriving that it says
// nothing of. What does not arrive is named, and arrives when the server is well again.
func TestBar6(t *testing.T) {
	scripts := hostile.All()
	if !form.Long() { // an eighth of each kind; names are in order
		var some []hostile.Script
		for i := 0; i < len(scripts); i += map[bool]int{false: 8, true: 100}[form.Race] {
			some = append(some, scripts[i])
		}
		scripts = some
	}
	limits := imap.Limits{Line: 256 << 10, Listing: 1 << 20, Literal: 1 << 20, Streamed: 8 << 20, Command: 8 << 20,
		Responses: 200_000,
		Progress:  patience, Greeting: patience, Auth: patience, Bye: 20 * time.Millisecond}
	if form.Long() {
		limits = imap.Limits{}
	}
	beds := 4
	if form.Long() { // each alone: what one server does to the memory
		beds = 1
	}
	worlds := make([]*world, beds)
	for i := range worlds {
		worlds[i] = open(t, filepath.Join(t.TempDir(), "mail.db"),
			Options{Limits: limits, backoff: steps, resend: time.Millisecond,
				least: func(policy.Wait, int) time.Duration { return time.Millisecond }})
	}
	work := make(chan int)
	var slowest atomic.Int64
	var done sync.WaitGroup
	for i, w := range worlds { // what a store and a session hold is no growth
		(&victim{world: w, t: t}).meet(fmt.Sprintf("%s+warm%d", script.User, i))
	}
	before, grown := child.ResetPeak(), int64(0)
	for _, w := range worlds {
		done.Go(func() {
			for i := range work {
				start := time.Now()
				if beds == 1 {
					grown = max(grown, child.Peak()-before)
					before = child.ResetPeak()
				}
				t.Run(scripts[i].Name, func(t *testing.T) {
					(&victim{world: w, t: t, script: scripts[i]}).meet(fmt.Sprintf("%s+%d", script.User, i))
				})
				for took := int64(time.Since(start)); ; {
					if most := slowest.Load(); took <= most || slowest.CompareAndSwap(most, took) {
						break
					}
				}
			}
		})
	}
	start := time.Now()
	for i := range scripts {
		work <- i
	}
	close(work)
	done.Wait()
	grown = max(grown, child.Peak()-before)
	for _, w := range worlds {
		w.clean()
	}
	t.Logf("bar 6: %d hostile scripts in %.1f s, the slowest %.1f s; the program grew by %d MiB at most",
		len(scripts), time.Since(start).Seconds(),
		time.Duration(slowest.Load()).Seconds(), grown>>20)
	if grown > 64<<20 && !form.Race {
		t.Errorf("the program grew by %d MiB", grown>>20)
	}
	// with the limits of the product six tries may take longer
	if took := time.Duration(slowest.Load()); took > 120*time.Second && !form.Long() {
		t.Errorf("a script held the program for %v", took)
	}
}

// victim is an account on one hostile server.
type victim struct {
	*world
	t      *testing.T
	script hostile.Script
	s      *script.Server
	id     storage.AccountID
}

func (v *victim) meet(user string) {
	v.s = script.Start(v.t, script.Options{Capabilities: v.script.Capabilities})
	put(v.s, "INBOX", 12)
	put(v.s, "Archive", 4)
	var err error
	if v.id, _, err = v.engine.AddAccount(v.t.Context(), NewAccount{Login: Login{User: user, Host: v.s.Host(),
		Port: v.s.Port(), Security: "plain",
		Password: secret.New(script.Password)}}); err != nil {
		v.t.Fatal(err)
	}
	v.well("before")
	v.s.Change(func(m *script.Model) { // what the hostile server is asked for
		m.Box("INBOX").Expunge(3)
		m.Box("INBOX").Flag(5, "$Now")
		m.Box("Archive").Flag(1, "$Now")
	})
	put(v.s, "INBOX", 3)
	put(v.s, "Archive", 2)
	held := v.mail()
	v.s.Misbehave(v.script.Faults())
	sum := v.sync()
	v.judge(sum, held)
	v.s.Misbehave(script.Faults{})
	v.s.Change(func(m *script.Model) { // flags it lied about are told anew
		for _, b := range m.Boxes {
			for _, one := range b.Messages {
				b.Flag(one.UID, strings.Fields(one.Flags)...)
			}
		}
	})
	v.well("after")
	v.s.Close()
}

func (v *victim) sync() Summary {
	ctx, cancel := context.WithTimeout(v.t.Context(), 10*time.Minute)
	defer cancel()
	return v.engine.Sync(ctx, []storage.AccountID{v.id}, SyncOptions{})[0]
}

// forbidden are the mailboxes that the server does not let the account read.
func (v *victim) forbidden() (paths []string) {
	v.t.Helper()
	if err := v.store.Read(v.t.Context(), func(r *storage.Reader) error {
		all, err := r.Mailboxes(v.id)
		for _, m := range all {
			if m.Refused != "" {
				paths = append(paths, m.Path)
			}
		}
		return err
	}); err != nil {
		v.t.Fatal(err)
	}
	return paths
}

// well syncs with a server that behaves until everything is there.
func (v *victim) well(when string) {
	v.t.Helper()
	var sum Summary
	if paths := v.forbidden(); len(paths) > 0 { // the rights have changed
		v.engine.Sync(v.t.Context(), []storage.AccountID{v.id}, SyncOptions{Mailboxes: paths})
	}
	for range 3 { // an account that a fault set back may need a second look
		if sum = v.sync(); sum.Result == Complete {
			break
		}
	}
	if diff := truth.Diff(v.truth(), v.mail()); sum.Result != Complete || len(diff) > 0 {
		v.t.Fatalf("%s: %+v, %d lines differ, first %v; faults %+v", when, sum, len(diff), diff[:min(3, len(diff))],
			v.mishaps())
	}
}

// judge says what the script did that it must not.
func (v *victim) judge(sum Summary, held []truth.Line) {
	v.t.Helper()
	server, now, faults := v.truth(), v.mail(), v.mishaps()
	key := func(l truth.Line) string { return l.Mailbox + " " + l.SHA256 }
	has := func(lines []truth.Line, one truth.Line) bool {
		return slices.ContainsFunc(lines, func(l truth.Line) bool { return key(l) == key(one) })
	}
	hides := v.script.Lies && strings.HasPrefix(v.script.Name, "list/INBOX") // the server says the mailbox is not there
	for _, one := range held {
		if has(server, one) && !has(now, one) && !hides {
			v.t.Errorf("%+v went, and the server has it; %+v, faults %+v", one, sum, faults)
			break
		}
	}
	for _, f := range faults {
		if f.Class == class.Bug && f.Stack != "" {
			v.t.Errorf("panic: %+v", f)
		}
	}
	if sum.Result != Complete && len(faults) == 0 && sum.Quarantined == 0 {
		v.t.Errorf("not complete, and nothing says why: %+v", sum)
	}
	missing := func(mailboxes ...string) (lines []string) {
		for _, line := range truth.Diff(server, now) {
			if slices.ContainsFunc(mailboxes, func(m string) bool { return strings.Contains(line, m) }) {
				lines = append(lines, line)
			}
		}
		return lines
	}
	switch {
	case v.script.Harm < hostile.Account && len(missing("Archive")) > 0:
		v.t.Errorf("another mailbox is not complete: %v; %+v, faults %+v", missing("Archive"), sum, faults)
	case v.script.Harm < hostile.Inbox && !v.script.Lies && len(missing("INBOX")) > 0:
		v.t.Errorf("INBOX is not complete: %v; %+v, faults %+v", missing("INBOX"), sum, faults)
	case v.script.Harm == hostile.Nothing && sum.Result != Complete:
		v.t.Errorf("not complete: %+v, faults %+v", sum, faults)
	case sum.Result == Complete && !v.script.Lies && len(v.forbidden()) == 0 && len(missing("INBOX", "Archive")) > 0:
		v.t.Errorf("said to be complete: %v", missing("INBOX", "Archive"))
	}
}

// truth is what the server holds.
func (v *victim) truth() []truth.Line { return modelOf(v.s) }

// mail is what the store shows of the account.
func (v *victim) mail() (all []truth.Line) {
	v.t.Helper()
	if err := v.store.Read(v.t.Context(), func(r *storage.Reader) error {
		rows, err := tables.Of(r).Query(`SELECT b.path, n.uid, lower(hex(l.sha256)), n.flags
			FROM mailbox b JOIN entry n ON n.mailbox_id = b.id AND n.uidvalidity = b.uidvalidity
			JOIN blob l ON l.id = n.blob_id 
			WHERE b.account_id = ? AND n.expunged_at IS NULL AND b.gone_at IS NULL
			ORDER BY b.path, n.uid`, v.id)
		return tables.Each(rows, err, func(rows *sql.Rows) error {
			var l truth.Line
			err := rows.Scan(&l.Mailbox, &l.UID, &l.SHA256, &l.Flags)
			all = append(all, l)
			return err
		})
	}); err != nil {
		v.t.Fatal(err)
	}
	return all
}

// mishaps are the faults of the account.
func (v *victim) mishaps() (all []storage.Fault) {
	v.t.Helper()
	if err := v.store.Read(v.t.Context(), func(r *storage.Reader) (err error) {
		all, err = r.Faults(time.Time{}, 100_000)
		return err
	}); err != nil {
		v.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(f storage.Fault) bool { return f.Account != v.id })
}

// steps is plan.Backoff in small: a mailbox that fails leaves the others their turn.
func steps(n int, _ *rand.Rand) time.Duration { return 20 * time.Millisecond << min(max(n, 0), 4) }
