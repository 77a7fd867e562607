package queue

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/storage/tables"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a store with two accounts and their queue.
type bench struct {
	t     *testing.T
	path  string
	store *storage.Store
	*Queue
	ada, bob storage.AccountID
}

func open(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "mail.db")}
	b.reopen()
	b.write(func(w *storage.Writer) (err error) {
		account := storage.Account{Name: "ada", User: "ada", Host: "h", Port: 993, Security: "tls"}
		if b.ada, err = w.AddAccount(account); err != nil {
			return err
		}
		account.Name, account.User = "bob", "bob"
		b.bob, err = w.AddAccount(account)
		return err
	})
	t.Cleanup(b.close)
	return b
}

func (b *bench) close() {
	if err := errors.Join(b.Queue.Close(), b.store.Close()); err != nil {
		b.t.Error(err)
	}
}

func (b *bench) reopen() {
	b.t.Helper()
	if b.store != nil {
		b.close()
	}
	store, err := storage.Open(b.t.Context(), b.path, storage.Options{Holder: "test"})
	if err != nil {
		b.t.Fatal(err)
	}
	b.store, b.Queue = store, New(store)
}

func (b *bench) try(do func(w *storage.Writer) error) error {
	return b.store.Write(b.t.Context(), storage.Interactive, 0, do)
}

func (b *bench) write(do func(w *storage.Writer) error) {
	b.t.Helper()
	if err := b.try(do); err != nil {
		b.t.Fatal(err)
	}
}

// add enqueues a folder_sync.
func (b *bench) add(account storage.AccountID, mailbox, priority int) (id storage.TaskID) {
	b.t.Helper()
	b.write(func(w *storage.Writer) (err error) {
		id, _, err = b.EnqueueTx(w, NewTask{Account: account, Type: FolderSync, Priority: priority,
			Payload: Payload{Mailbox: storage.MailboxID(mailbox)}})
		return err
	})
	return id
}

func (b *bench) claim(account storage.AccountID) (Task, bool) {
	b.t.Helper()
	t, ok, err := b.Claim(b.t.Context(), account)
	if err != nil {
		b.t.Fatal(err)
	}
	return t, ok
}

// take claims and fails the test when it is another task.
func (b *bench) take(account storage.AccountID, want storage.TaskID) Task {
	b.t.Helper()
	t, ok := b.claim(account)
	if !ok || t.ID != want || t.State != Processing {
		b.t.Fatalf("claimed %v %+v, want task %d", ok, t, want)
	}
	return t
}

func (b *bench) find(id storage.TaskID) (t Task) {
	b.t.Helper()
	if err := b.store.Read(b.t.Context(), func(r *storage.Reader) (err error) {
		t, err = Find(r, id)
		return err
	}); err != nil {
		b.t.Fatal(err)
	}
	return t
}

func (b *bench) number(query string, args ...any) (n int64) {
	b.t.Helper()
	if err := b.store.Read(b.t.Context(), func(r *storage.Reader) error {
		return tables.Of(r).QueryRow(query, args...).Scan(&n)
	}); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func why(c class.Class) Failure { return Failure{At: time.Now(), Class: c, Message: "x"} }

// rows says whether each unfinished task that is not paused has exactly its goqite row, with its priority, in its
// account's queue, and whether there is no other.
func (b *bench) rows() error {
	return b.store.Read(b.t.Context(), func(r *storage.Reader) error {
		var lonely, other int
		if err := tables.Of(r).QueryRow(`SELECT count(*) FROM sync_task t
			WHERE state IN ('pending', 'waiting', 'processing') AND
			(SELECT count(*) FROM goqite g WHERE g.id = t.message_id AND CAST(g.body AS TEXT) = CAST(t.id AS TEXT)
			AND g.queue = 'account-' || t.account_id AND g.priority = t.priority) <> 1`).Scan(&lonely); err != nil {
			return err
		}
		if err := tables.Of(r).QueryRow(`SELECT count(*) FROM goqite g WHERE NOT EXISTS (SELECT 1 FROM sync_task t
			WHERE t.message_id = g.id)`).Scan(&other); err != nil {
			return err
		}
		if lonely+other > 0 {
			return fmt.Errorf("%d tasks without their row, %d rows without a task", lonely, other)
		}
		return nil
	})
}

func (b *bench) consistent() {
	b.t.Helper()
	if b.Direct() {
		if n := b.number(`SELECT count(*) FROM goqite`); n != 0 {
			b.t.Fatalf("%d rows left in a table that is done without", n)
		}
		return
	}
	if err := b.rows(); err != nil {
		b.t.Fatal(err)
	}
}

// TestDedupe: one unfinished task per account, type, folder and range; a second request raises the priority, also where
// goqite looks, and a finished one stands in nobody's way.
func TestDedupe(t *testing.T) {
	b := open(t)
	first := b.add(b.ada, 1, 3)
	other := b.add(b.ada, 2, 4)
	if again := b.add(b.ada, 1, 7); again != first {
		t.Fatalf("a second task %d", again)
	}
	if again := b.add(b.ada, 1, 2); again != first || b.find(first).Priority != 7 {
		t.Fatalf("%+v", b.find(first))
	}
	if b.add(b.bob, 1, 3) == first {
		t.Fatal("another account's task")
	}
	b.write(func(w *storage.Writer) error {
		for _, n := range []NewTask{
			{Account: b.ada, Type: IncrementalSync, Payload: Payload{Mailbox: 1}},
			{Account: b.ada, Type: FolderSync, Payload: Payload{Mailbox: 1, StartDate: "2024-01-01"}},
		} {
			if _, created, err := b.EnqueueTx(w, n); err != nil || !created {
				return fmt.Errorf("%+v: created %v, %w", n, created, err)
			}
		}
		return nil
	})
	b.consistent()
	done := b.take(b.ada, first) // 7 goes before 5 and 4
	b.write(func(w *storage.Writer) error { _, err := b.CompleteTx(w, done); return err })
	if b.add(b.ada, 1, 9) == first {
		t.Error("a finished task was found")
	}
	if next, _ := b.claim(b.ada); next.Priority != 9 || next.ID == other {
		t.Errorf("%+v", next)
	}
	b.consistent()
}

// TestAgain: a task asked for while it is worked on runs once more.
func TestAgain(t *testing.T) {
	b := open(t)
	id := b.add(b.ada, 1, 5)
	for range 2 {
		task := b.take(b.ada, id)
		b.add(b.ada, 1, 6)
		b.add(b.ada, 1, 6)
		var again bool
		b.write(func(w *storage.Writer) (err error) { again, err = b.CompleteTx(w, task); return err })
		if !again || b.find(id).State != Pending {
			t.Fatalf("again %v, %+v", again, b.find(id))
		}
		b.consistent()
	}
	task := b.take(b.ada, id)
	b.write(func(w *storage.Writer) error { _, err := b.CompleteTx(w, task); return err })
	if got := b.find(id); got.State != Completed || got.CompletedAt.IsZero() || got.Status() != "completed" {
		t.Fatalf("%+v", got)
	}
	if _, ok := b.claim(b.ada); ok {
		t.Error("it ran a fourth time")
	}
	b.consistent()
}

// TestWaiting: a task that waits is not given out, a hurry ends the wait, a quota's wait stays.
func TestWaiting(t *testing.T) {
	b := open(t)
	id := b.add(b.ada, 1, 5)
	retry := func(c class.Class) {
		t.Helper()
		task := b.take(b.ada, id)
		b.write(func(w *storage.Writer) error { return b.RetryTx(w, task, time.Now().Add(time.Hour), why(c)) })
		if _, ok := b.claim(b.ada); ok {
			t.Fatal("it did not wait")
		}
		b.consistent()
	}
	retry("network")
	if got := b.find(id); got.RetryCount != 1 || got.Status() != "pending" || len(got.ErrorLog) != 1 ||
		time.Until(got.NextRetryAt) < 50*time.Minute {
		t.Fatalf("%+v", got)
	}
	b.add(b.ada, 1, 5) // nobody hurries
	if _, ok := b.claim(b.ada); ok {
		t.Fatal("an ordinary request ended the wait")
	}
	b.write(func(w *storage.Writer) error {
		_, _, err := b.EnqueueTx(w, NewTask{Account: b.ada, Type: FolderSync, Hurry: true,
			Payload: Payload{Mailbox: 1}})
		return err
	})
	retry("timeout")
	b.write(func(w *storage.Writer) error { return b.HurryTx(w, b.ada) })
	if got := b.find(id); got.RetryCount != 0 || got.State != Pending {
		t.Fatalf("hurried: %+v", got)
	}
	retry("quota")
	b.write(func(w *storage.Writer) error { return b.HurryTx(w, b.ada) })
	if _, ok := b.claim(b.ada); ok {
		t.Fatal("a quota's deadline was not kept")
	}
	b.write(func(w *storage.Writer) error {
		_, _, err := b.EnqueueTx(w, NewTask{Account: b.ada, Type: FolderSync, Hurry: true,
			Payload: Payload{Mailbox: 1}})
		return err
	})
	if _, ok := b.claim(b.ada); ok {
		t.Fatal("a hurried request ended a quota's deadline")
	}
	if err := b.store.Read(t.Context(), func(r *storage.Reader) error {
		at, any, err := Due(r, b.ada)
		if !any || time.Until(at) < 50*time.Minute {
			t.Errorf("due %v %v", at, any)
		}
		if _, any, _ := Due(r, b.bob); any {
			t.Error("bob has nothing due")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestProgress: progress zeroes the retries and adds up; an attempt that got further is not counted.
func TestProgress(t *testing.T) {
	b := open(t)
	id := b.add(b.ada, 1, 5)
	for n := range 3 {
		task := b.take(b.ada, id)
		b.write(func(w *storage.Writer) error { return b.RetryTx(w, task, time.Now(), why("network")) })
		if got := b.find(id).RetryCount; got != n+1 {
			t.Fatalf("retry_count %d", got)
		}
	}
	task := b.take(b.ada, id)
	b.write(func(w *storage.Writer) error { return b.ProgressTx(w, task, "INBOX", 70, 10) })
	b.write(func(w *storage.Writer) error { return b.ProgressTx(w, task, "INBOX", 60, 5) })
	b.write(func(w *storage.Writer) error { return b.DelayTx(w, task, time.Now(), why("network")) })
	if got := b.find(id); got.RetryCount != 0 || got.Checkpoint != (Checkpoint{LastUID: 60, TotalFetched: 15,
		CurrentFolder: "INBOX"}) || len(got.ErrorLog) != 4 {
		t.Fatalf("%+v", got)
	}
	for range keptErrors + 5 {
		task := b.take(b.ada, id)
		b.write(func(w *storage.Writer) error { return b.RetryTx(w, task, time.Now(), why("network")) })
	}
	if got := b.find(id); len(got.ErrorLog) != keptErrors || got.ErrorLog[keptErrors-1].Attempt != keptErrors+5 {
		t.Errorf("%d lines of error log, %+v", len(got.ErrorLog), got)
	}
}

// TestRelease: a start gives back what a dead process had, uses up no retry, and takes its lease away.
func TestRelease(t *testing.T) {
	b := open(t)
	held, waiting, pending := b.add(b.ada, 1, 7), b.add(b.ada, 2, 6), b.add(b.bob, 3, 5)
	old := b.take(b.ada, held)
	task := b.take(b.ada, waiting)
	b.write(func(w *storage.Writer) error { return b.RetryTx(w, task, time.Now().Add(time.Minute), why("network")) })
	b.reopen()
	if _, ok := b.claim(b.ada); ok {
		t.Fatal("a lease ended by itself")
	}
	start := time.Now()
	b.write(func(w *storage.Writer) error {
		released, err := b.StartTx(w)
		if released != 1 {
			t.Errorf("released %d", released)
		}
		return err
	})
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %v", took)
	}
	if got := b.find(held); got.State != Pending || got.RetryCount != 0 {
		t.Fatalf("%+v", got)
	}
	if got := b.find(waiting); got.State != Waiting || got.RetryCount != 1 {
		t.Fatalf("%+v", got)
	}
	for name, verb := range map[string]func(*storage.Writer) error{
		"progress": func(w *storage.Writer) error { return b.ProgressTx(w, old, "x", 1, 1) },
		"complete": func(w *storage.Writer) error { _, err := b.CompleteTx(w, old); return err },
		"retry":    func(w *storage.Writer) error { return b.RetryTx(w, old, time.Now(), why("x")) },
		"delay":    func(w *storage.Writer) error { return b.DelayTx(w, old, time.Now(), why("x")) },
		"return":   func(w *storage.Writer) error { return b.ReturnTx(w, old) },
		"fail":     func(w *storage.Writer) error { return b.FailTx(w, old, why("x")) },
	} {
		for range 2 { // before and after somebody else has it
			if err := b.try(verb); !errors.Is(err, ErrLeaseLost) {
				t.Errorf("%s with a lost lease: %v", name, err)
			}
		}
	}
	again := b.take(b.ada, held)
	if err := b.try(func(w *storage.Writer) error {
		_, err := b.CompleteTx(w, old)
		return err
	}); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("the old lease completes the new one's task: %v", err)
	}
	b.write(func(w *storage.Writer) error { return b.ReturnTx(w, again) })
	if got := b.find(held); got.State != Pending || got.RetryCount != 0 {
		t.Errorf("%+v", got)
	}
	b.take(b.bob, pending)
	b.consistent()
}

// TestClock: waits that a wrong clock made too long are cut at a start, and what is pending can be claimed.
func TestClock(t *testing.T) {
	b := open(t)
	network, quota, pending := b.add(b.ada, 1, 9), b.add(b.ada, 2, 8), b.add(b.ada, 3, 7)
	for id, class := range map[storage.TaskID]string{network: "network", quota: "quota"} {
		b.write(func(w *storage.Writer) error { // as Claim and RetryTx do, a year ahead
			_, err := tables.In(w).Exec(`UPDATE sync_task SET state = 'waiting', next_retry_at = ?, error_log = ?
				WHERE id = ?`,
				time.Now().AddDate(1, 0, 0).UnixMilli(), `[{"class":"`+class+`"}]`, id)
			return err
		})
	}
	b.write(func(w *storage.Writer) error {
		if _, err := tables.In(w).Exec(`UPDATE goqite SET timeout = '2099-01-01T00:00:00.000Z'`); err != nil {
			return err
		}
		_, err := b.StartTx(w)
		return err
	})
	b.take(b.ada, pending)
	for id, most := range map[storage.TaskID]time.Duration{network: longestWait, quota: longestQuota} {
		if wait := time.Until(b.find(id).NextRetryAt); wait > most || wait < most-time.Minute {
			t.Errorf("task %d waits %v, want %v", id, wait, most)
		}
		visible := b.number(`SELECT CAST((julianday(g.timeout) - julianday('now')) * 86400 AS INTEGER) FROM goqite g
			JOIN sync_task t ON t.message_id = g.id WHERE t.id = ?`, id)
		if d := time.Duration(visible) * time.Second; d > most+time.Second || d < most-time.Minute {
			t.Errorf("task %d is visible in %v, want %v", id, d, most)
		}
	}
}

// TestReleaseAccount is a start for one account only.
func TestReleaseAccount(t *testing.T) {
	b := open(t)
	mine, other := b.add(b.ada, 1, 5), b.add(b.bob, 1, 5)
	b.take(b.ada, mine)
	theirs := b.take(b.bob, other)
	b.write(func(w *storage.Writer) error { _, err := b.ReleaseTx(w, b.ada); return err })
	b.take(b.ada, mine)
	b.write(func(w *storage.Writer) error { _, err := b.CompleteTx(w, theirs); return err })
	b.consistent()
}

// TestFairness: an account's tasks are not behind another's, whatever their priority and number.
func TestFairness(t *testing.T) {
	b := open(t)
	for i := range 200 {
		b.add(b.ada, i+1, 10)
	}
	id := b.add(b.bob, 1, 1)
	b.take(b.bob, id)
	if _, ok := b.claim(b.bob); ok {
		t.Error("bob got a task of ada's")
	}
}

// TestOrder: priority first, then age.
func TestOrder(t *testing.T) {
	b := open(t)
	var want []storage.TaskID
	for _, priority := range []int{9, 9, 5, 1} {
		want = append(want, b.add(b.ada, len(want)+1, priority))
		time.Sleep(2 * time.Millisecond) // goqite orders by its clock, in milliseconds
	}
	for _, id := range want {
		b.take(b.ada, id)
	}
}

// TestSweptMessage: a message whose task has ended is passed over and swept.
func TestSweptMessage(t *testing.T) {
	b := open(t)
	dead, id := b.add(b.ada, 1, 9), b.add(b.ada, 2, 5)
	b.write(func(w *storage.Writer) error {
		_, err := tables.In(w).Exec(`UPDATE sync_task SET state = 'cancelled', completed_at = 1, message_id = NULL
			WHERE id = ?`, dead)
		return err
	})
	b.take(b.ada, id)
	b.consistent()
}

// TestFinishedRows: a long history does not slow a claim.
func TestFinishedRows(t *testing.T) {
	b := open(t)
	b.write(func(w *storage.Writer) error {
		_, err := tables.In(w).Exec(`INSERT INTO sync_task (account_id, task_type, folder, state, completed_at,
			created_at)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
			SELECT ?, 'folder_sync', i % 50, 'completed', i, i FROM n`, b.ada)
		return err
	})
	round := func() time.Duration {
		start := time.Now()
		for i := range 50 {
			id := b.add(b.ada, i+1, 5)
			task := b.take(b.ada, id)
			b.write(func(w *storage.Writer) error { _, err := b.CompleteTx(w, task); return err })
			if err := b.store.Read(t.Context(), func(r *storage.Reader) error {
				_, _, err := Due(r, b.ada)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		b.write(func(w *storage.Writer) error { return b.HurryTx(w, b.ada) })
		b.write(func(w *storage.Writer) error { _, err := b.StartTx(w); return err })
		return time.Since(start)
	}
	// 0.3 s on a quiet machine; a scan of the history in each would take minutes
	if took := round(); took > 5*time.Second {
		t.Errorf("50 tasks took %v", took)
	}
	for _, query := range []string{
		`SELECT min(next_retry_at) FROM sync_task WHERE account_id = 1 AND state IN ('pending', 'waiting')`,
		`SELECT id FROM sync_task WHERE account_id = 1 AND task_type = 'folder_sync' AND folder = '1' AND range = ''
			AND state IN ('pending', 'waiting', 'paused', 'processing')`,
		`SELECT id FROM sync_task WHERE message_id IS NOT NULL AND state IN ('pending', 'processing', 'waiting')
			AND 0 IN (0, account_id)`,
	} {
		if n := b.number(`SELECT count(*) FROM sync_task`); n < 100_000 {
			t.Fatal("no history")
		}
		start := time.Now()
		for range 20 {
			b.store.Read(t.Context(), func(r *storage.Reader) error { //nolint:errcheck // only its time counts
				var x any
				return tables.Of(r).QueryRow(query).Scan(&x)
			})
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%v for 20 of %s", took, query)
		}
	}
}

// TestWake: everybody who waited at a notification hears it, whoever asks later waits for the next, and no other
// account's waiters are woken.
func TestWake(t *testing.T) {
	b := open(t)
	for _, notify := range []func(){
		func() { b.Notify(b.ada); b.Notify(b.ada) },
		b.NotifyAll,
	} {
		one, two := b.Wake(b.ada), b.Wake(b.ada)
		notify()
		<-one
		<-two
		select {
		case <-b.Wake(b.ada):
			t.Error("woken twice")
		default:
		}
	}
	bob := b.Wake(b.bob)
	b.Notify(b.ada)
	select {
	case <-bob:
		t.Error("bob was woken")
	default:
	}
}

// TestClaimCancelled: a claim whose context ended has claimed nothing, or the task is in hand.
func TestClaimCancelled(t *testing.T) {
	b := open(t)
	id := b.add(b.ada, 1, 5)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if task, ok, err := b.Claim(ctx, b.ada); ok || err == nil {
		t.Fatalf("%+v %v %v", task, ok, err)
	}
	b.take(b.ada, id)
}

// TestDirect: a table that is gone, or that refuses rows, is found at the start and done without; tasks come in
// their order and at their time, and go back to the table once it is there.
func TestDirect(t *testing.T) {
	for name, broken := range map[string]struct{ broken, whole string }{
		"missing": {`ALTER TABLE goqite RENAME TO away`, `ALTER TABLE away RENAME TO goqite`},
		"another shape": {`ALTER TABLE goqite RENAME COLUMN timeout TO until`,
			`ALTER TABLE goqite RENAME COLUMN until TO timeout`},
		"refuses rows": {`CREATE TRIGGER no BEFORE INSERT ON goqite BEGIN SELECT RAISE(ABORT, 'no'); END`,
			`DROP TRIGGER no`},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			low, high, late, held := b.add(b.ada, 1, 3), b.add(b.ada, 2, 7), b.add(b.ada, 3, 9), b.add(b.bob, 1, 5)
			b.take(b.bob, held)
			waits := b.take(b.ada, late)
			b.write(func(w *storage.Writer) error {
				if err := b.RetryTx(w, waits, time.Now().Add(10*time.Minute), why("network")); err != nil {
					return err
				}
				_, err := tables.In(w).Exec(broken.broken)
				return err
			})
			b.reopen()
			start := func(w *storage.Writer) error { _, err := b.StartTx(w); return err }
			if err := b.try(start); !errors.Is(err, ErrDelivery) {
				t.Fatalf("a start: %v", err)
			}
			if err := b.GoDirect(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.write(start)
			first, second := b.take(b.ada, high), b.take(b.ada, low)
			if one, ok := b.claim(b.ada); ok {
				t.Errorf("claimed %+v before its time", one)
			}
			b.write(func(w *storage.Writer) error {
				if _, err := b.CompleteTx(w, first); err != nil {
					return err
				}
				return b.RetryTx(w, second, time.Now(), why("network"))
			})
			b.take(b.ada, low)
			b.take(b.bob, held)
			b.write(func(w *storage.Writer) error { _, err := tables.In(w).Exec(broken.whole); return err })
			b.reopen()
			b.write(start)
			b.consistent()
			b.take(b.ada, low)
			b.take(b.bob, held)
			b.write(func(w *storage.Writer) error { return b.HurryTx(w, b.ada) })
			b.take(b.ada, late)
		})
	}
}

// TestDirectUnderWay: a claim that comes while the rows do not deliver themselves yet finds nothing and ends.
func TestDirectUnderWay(t *testing.T) {
	b := open(t)
	id := b.add(b.ada, 1, 5)
	b.direct.Store(true)
	if one, ok := b.claim(b.ada); ok {
		t.Errorf("claimed %+v", one)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.GoDirect(ended); err == nil || b.Direct() {
		t.Errorf("direct %v without a committed row: %v", b.Direct(), err)
	}
	if err := b.GoDirect(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.take(b.ada, id)
}

// TestTurns: a mailbox's task that failed goes behind its equals, and behind all others when its account rested
// because of it; with goqite and without, across a restart, and as long as it takes until it has its turn.
func TestTurns(t *testing.T) {
	for _, direct := range []bool{false, true} {
		t.Run(fmt.Sprint("direct ", direct), func(t *testing.T) {
			b := open(t)
			if direct {
				if err := b.GoDirect(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			again := func(task Task, last bool) {
				time.Sleep(2 * time.Millisecond) // goqite and started_at count in milliseconds
				b.write(func(w *storage.Writer) error {
					return b.RetryTx(w, task, time.Now(), Failure{At: time.Now(), Class: "mailbox", Last: last})
				})
			}
			first, second, third, low := b.add(b.ada, 1, 5), b.add(b.ada, 2, 5), b.add(b.ada, 3, 5), b.add(b.ada, 4, 2)
			high := b.add(b.ada, 5, 9)
			again(b.take(b.ada, high), false)
			again(b.take(b.ada, high), true)
			again(b.take(b.ada, first), false)
			again(b.take(b.ada, second), false)
			if !direct {
				b.reopen()
				b.write(func(w *storage.Writer) error {
					_, err := b.StartTx(w)
					return err
				})
			}
			again(b.take(b.ada, third), true)
			again(b.take(b.ada, first), false)
			for _, want := range []storage.TaskID{second, first, low, high, third} {
				task := b.take(b.ada, want)
				b.write(func(w *storage.Writer) error {
					_, err := b.CompleteTx(w, task)
					return err
				})
			}
		})
	}
}
