package engine

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/fetch"
	"mailcote/engine/health"
	"mailcote/engine/secret"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/storage/tables"
	"mailcote/testkit/script"
)

// agent is an engine that runs in a synctest bubble, on a server with mail in INBOX and Archive.
type agent struct {
	*world
	s       *script.Server
	every   time.Duration
	backoff time.Duration
	away    atomic.Bool  // the server cannot be reached
	dialled atomic.Int32 // connections that were tried
	stop    func()       // ends the run, which has to end at once
}

// inBubble runs a test on an agent that waits wherever prepare brings it.
func inBubble(t *testing.T, prepare func(a *agent), test func(t *testing.T, a *agent)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := &agent{s: script.Start(t, script.Options{Pipe: true}), every: time.Hour, backoff: 20 * time.Minute}
		put(a.s, "INBOX", 3)
		put(a.s, "Archive", 3)
		a.world = open(t, filepath.Join(t.TempDir(), "mail.db"), Options{retryGap: time.Nanosecond,
			backoff: func(int, *rand.Rand) time.Duration { return a.backoff },
			dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
				a.dialled.Add(1)
				if a.away.Load() {
					return nil, syscall.ECONNREFUSED
				}
				return a.s.Dial(ctx, network, addr)
			}})
		a.account("127.0.0.1", 143)
		a.engine.UsePassword(a.id, secret.New(script.Password))
		if prepare != nil {
			prepare(a)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.engine.Run(ctx, a.every) }()
		a.stop = func() {
			cancel()
			if err := a.atOnce(t, "the stop", func() error { return <-done }); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		test(t, a)
		a.stop()
		a.clean()
	})
}

// atOnce wants something not to take any time.
func (a *agent) atOnce(t *testing.T, what string, do func() error) error {
	t.Helper()
	began := time.Now()
	err := do()
	if took := time.Since(began); took > 0 {
		t.Errorf("%s took %v", what, took)
	}
	return err
}

// passes is how many passes began, and looks how often the server was asked what it has.
func (a *agent) passes() int { return a.number(`SELECT count(*) FROM sync_run`) }
func (a *agent) looks() int  { return a.s.Count("LIST") }

func (a *agent) number(query string) int {
	a.t.Helper()
	n, err := strconv.Atoi(a.text(query))
	if err != nil {
		a.t.Fatal(err)
	}
	return n
}

// ask enqueues work and gives its task.
func (a *agent) ask(n queue.NewTask) (id storage.TaskID) {
	a.t.Helper()
	n.Account = a.id
	if err := a.store.Write(a.t.Context(), storage.Interactive, 0, func(tx *storage.Writer) (err error) {
		id, _, err = a.engine.queue.EnqueueTx(tx, n)
		return err
	}); err != nil {
		a.t.Fatal(err)
	}
	return id
}

// archive is a task for the mailbox Archive.
func (a *agent) archive() queue.NewTask {
	box := a.number(`SELECT id FROM mailbox WHERE path = 'Archive'`)
	return queue.NewTask{Type: queue.FolderSync,
		Payload: queue.Payload{Folder: "Archive", Mailbox: storage.MailboxID(box), PageSize: fetch.PageMost}}
}

func (a *agent) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// retry has a person's retry of all the account's tasks in a state.
func (a *agent) retry(s queue.State) {
	a.t.Helper()
	a.order(queue.VerbRetry, queue.Selection{Account: a.id, State: s})
}

func (a *agent) order(verb queue.Verb, s queue.Selection) {
	a.t.Helper()
	_, err := a.engine.Tasks(a.t.Context(), queue.Order{Verb: verb, Selection: s})
	a.must(err)
}

// TestBetweenPasses: what is due is worked on as soon as somebody says so; what is not begins no pass.
func TestBetweenPasses(t *testing.T) {
	ids := func(a *agent) []storage.AccountID { return []storage.AccountID{a.id} }
	pause := func(a *agent) { a.must(a.engine.PauseAccounts(a.t.Context(), ids(a), "")) }
	for name, test := range map[string]struct {
		before, do func(a *agent)
		looks      int // at once
		passes     int // in all
	}{
		"a task": {nil, func(a *agent) { a.ask(a.archive()); a.engine.queue.Notify(a.id) }, 1, 1},
		"a task that is tried again": {
			func(a *agent) {
				a.order(queue.VerbCancel, queue.Selection{IDs: []storage.TaskID{a.ask(a.archive())}})
			},
			func(a *agent) { a.retry(queue.Cancelled) }, 1, 1},
		"a message that is tried again": {
			func(a *agent) {
				a.must(a.store.Write(a.t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
					box := a.archive().Payload.Mailbox
					m, err := tx.Mailbox(box)
					if err != nil {
						return err
					}
					return tx.Quarantine(storage.Quarantined{Mailbox: box, Validity: m.UIDValidity, UID: 99})
				}))
			},
			func(a *agent) {
				var all []storage.Quarantined
				a.must(a.store.Read(a.t.Context(), func(r *storage.Reader) (err error) {
					all, err = r.QuarantineOf(a.id)
					return err
				}))
				a.must(a.engine.RetryQuarantined(a.t.Context(), all))
			}, 1, 1},
		"an account that is resumed": {
			pause,
			func(a *agent) { a.must(a.engine.ResumeAccounts(a.t.Context(), ids(a))) }, 1, 1},
		// The dial after a sleep is put off by a moment.
		"the machine slept": {nil, func(a *agent) { a.engine.clockJumped(8 * time.Hour) }, 0, 1},

		"nothing is due": {nil, func(a *agent) { a.engine.queue.Notify(a.id) }, 0, 0},
		"a task for later": {
			func(a *agent) {
				a.ask(a.archive())
				a.must(a.store.Write(a.t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
					_, err := tables.In(tx).Exec(`UPDATE sync_task SET state = 'waiting', next_retry_at = ?
						WHERE completed_at IS NULL`,
						time.Now().Add(50*time.Minute).UnixMilli())
					return err
				}))
			},
			func(a *agent) { a.engine.queue.Notify(a.id) }, 0, 0},
		"the clock was set back": {nil, func(a *agent) { a.engine.clockJumped(-time.Hour) }, 0, 0},
		"a task of one that is paused": {
			pause,
			func(a *agent) { a.ask(a.archive()); a.engine.queue.Notify(a.id) }, 0, 0},
		"a task of one that rests": {
			func(a *agent) {
				later := policy.Verdict{Class: class.Quota, Wait: policy.Wait{Floor: 50 * time.Minute}}
				a.must(a.engine.health.RecordFailure(a.t.Context(), health.AccountScope(a.id),
					fault.Fault{Verdict: later}, false))
			},
			func(a *agent) { a.ask(a.archive()); a.engine.queue.Notify(a.id) }, 0, 1},
		"a person's sync": {nil, func(a *agent) { a.complete() }, 1, 1},
		"somebody had the account": {nil, func(a *agent) {
			leave, err := a.live().acquire(a.t.Context())
			a.must(err)
			leave()
		}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, nil, func(t *testing.T, a *agent) {
				if test.before != nil {
					test.before(a)
				}
				synctest.Wait()
				looks, passes := a.looks(), a.passes()
				test.do(a)
				synctest.Wait()
				if n := a.looks() - looks; n != test.looks {
					t.Errorf("the server was asked %d times at once, want %d", n, test.looks)
				}
				if n := a.passes() - passes; n != test.passes {
					t.Errorf("%d passes at once, want %d", n, test.passes)
				}
				time.Sleep(40 * time.Minute)
				synctest.Wait()
				if n := a.passes() - passes; n != test.passes {
					t.Errorf("%d passes before the next is due, want %d", n, test.passes)
				}
			})
		})
	}
}

// TestNextPass: without news each pass comes when it is due.
func TestNextPass(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, a *agent) {
		for n := range 3 {
			if looks := a.looks(); looks != n+1 {
				t.Errorf("%d looks after %d hours", looks, n)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
		}
	})
}

// TestPassBeforeItsTime: a pass that somebody asked for puts off the next one.
func TestPassBeforeItsTime(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, a *agent) {
		time.Sleep(30 * time.Minute)
		a.ask(a.archive())
		a.engine.queue.Notify(a.id)
		for _, want := range []int{2, 3} {
			time.Sleep(50 * time.Minute)
			synctest.Wait()
			if n := a.passes(); n != want {
				t.Errorf("%d passes, want %d", n, want)
			}
		}
	})
}

// waits are the places where an account waits inside a pass.
var waits = map[string]func(a *agent){
	"for a retry": func(a *agent) {
		listing := func(c script.Command) bool {
			return c.Box == "Archive" && (c.Name == "UID SEARCH" || c.Name == "UID FETCH" &&
				strings.HasPrefix(c.Args, "1:*"))
		}
		a.s.Misbehave(script.Faults{On: on(listing, "NO not now")})
	},
	"for a host": func(a *agent) { a.away.Store(true) },
	"for room": func(a *agent) {
		a.s.Change(func(m *script.Model) { m.Box("INBOX").Add(incompressible(4 << 20)) })
		a.roomFor(64 << 10)
	},
}

// roomFor bounds the store's file: bytes more than it has.
func (a *agent) roomFor(bytes int64) {
	a.t.Helper()
	a.must(a.store.Write(a.t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
		var pages, size int64
		if err := tables.In(tx).QueryRow(`SELECT page_count, page_size
			FROM pragma_page_count, pragma_page_size`).Scan(&pages, &size); err != nil {
			return err
		}
		rows, err := tables.In(tx).Query(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages+bytes/size))
		return tables.Each(rows, err, func(*sql.Rows) error { return nil })
	}))
}

// incompressible is a message of a size that stays what it is.
func incompressible(size int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.Write(mail("large", 1))
	for b.Len() < size {
		fmt.Fprintf(&b, "%016x%016x%016x\r\n", random.Uint64(), random.Uint64(), random.Uint64())
	}
	return []byte(b.String())
}

// TestWanted: wherever an agent waits, who wants the account has it at once; afterwards the agent waits for its
// next pass.
func TestWanted(t *testing.T) {
	for name, prepare := range waits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, prepare, func(t *testing.T, a *agent) {
				if n := a.number(`SELECT count(*) FROM sync_run WHERE ended_at IS NULL`); n != 1 {
					t.Fatalf("%d passes go on", n)
				}
				passes := a.passes()
				a.must(a.atOnce(t, "getting the account", func() error {
					leave, err := a.live().acquire(t.Context())
					if err == nil {
						leave()
					}
					return err
				}))
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				if n := a.passes() - passes; n != 0 {
					t.Errorf("%d passes before the next is due", n)
				}
			})
		})
	}
}

// TestStopped: wherever an agent waits, it ends at once.
func TestStopped(t *testing.T) {
	for name, prepare := range waits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, prepare, func(*testing.T, *agent) {})
		})
	}
}

// TestRetriesAreHeard: a task that waits is tried as soon as somebody says that it is due, or the machine has
// slept over its time.
func TestRetriesAreHeard(t *testing.T) {
	for name, do := range map[string]func(a *agent){
		"a person's retry": func(a *agent) { a.retry(queue.Waiting) },
		"a sleep":          func(a *agent) { a.shift(time.Hour); a.engine.woken.send() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, waits["for a retry"], func(t *testing.T, a *agent) {
				before := a.s.Count("EXAMINE")
				do(a)
				synctest.Wait()
				if n := a.s.Count("EXAMINE") - before; n != 1 {
					t.Errorf("tried %d times", n)
				}
				if n := a.passes(); n != 1 {
					t.Errorf("%d passes", n)
				}
			})
		})
	}
}

// TestEndOfHoldIsHeard: what a host forbade is tried as soon as it no longer does.
func TestEndOfHoldIsHeard(t *testing.T) {
	for name, test := range map[string]struct {
		do    func(a *agent)
		after time.Duration // dials after a sleep do not come all at once
	}{
		"another account got through": {
			func(a *agent) {
				a.must(a.engine.health.RecordSuccess(a.t.Context(), health.HostScope(a.live().addr())))
			}, 0},
		"a person's retry": {func(a *agent) { a.retry("") }, 0},
		"a sleep":          {func(a *agent) { a.engine.clockJumped(8 * time.Hour) }, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, waits["for a host"], func(t *testing.T, a *agent) {
				before := a.dialled.Load()
				test.do(a)
				time.Sleep(test.after)
				synctest.Wait()
				if n := a.dialled.Load() - before; n != 1 {
					t.Errorf("dialled %d times", n)
				}
				for range 5 { // it hears it, and what it waits for is not over
					a.engine.queue.Notify(a.id)
					synctest.Wait()
				}
				if n := a.dialled.Load() - before; n != 1 {
					t.Errorf("dialled %d times before its time", n)
				}
			})
		})
	}
}

// TestRoomIsHeard: a pass goes on as soon as the store has space. A pass that
// gave the account up meanwhile begins again then.
func TestRoomIsHeard(t *testing.T) {
	for _, gaveUp := range []bool{false, true} {
		t.Run(fmt.Sprint("gave up: ", gaveUp), func(t *testing.T) {
			t.Parallel()
			inBubble(t, waits["for room"], func(t *testing.T, a *agent) {
				if gaveUp {
					leave, err := a.live().acquire(t.Context())
					a.must(err)
					leave()
				}
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				if n := a.passes(); n != 1 {
					t.Errorf("%d passes without room", n)
				}
				opened, dialled := a.store.Opened(), a.dialled.Load()
				a.roomFor(64 << 20)
				<-opened
				synctest.Wait()
				if n := a.dialled.Load() - dialled; n != 1 {
					t.Errorf("dialled %d times at once", n)
				}
				if n, want := a.passes(), map[bool]int{false: 1, true: 2}[gaveUp]; n != want {
					t.Errorf("%d passes, want %d", n, want)
				}
				time.Sleep(time.Minute) // the dial
				a.equals(a.s)
			})
		})
	}
}

// TestTwoListeners: a sync and the agent wait for one account, and each hears
// every event.
func TestTwoListeners(t *testing.T) {
	inBubble(t, func(a *agent) { a.backoff = 20 * time.Second }, func(t *testing.T, a *agent) {
		waits["for a retry"](a)
		put(a.s, "Archive", 1)
		done := make(chan Summary, 1)
		go func() { done <- a.sync() }()
		synctest.Wait()
		before, passes := a.s.Count("EXAMINE"), a.passes()
		if before == 0 {
			t.Fatal("the sync was not refused")
		}
		a.retry(queue.Waiting)
		synctest.Wait()
		if n := a.s.Count("EXAMINE") - before; n != 1 {
			t.Errorf("tried %d times", n)
		}
		if sum := <-done; sum.Result != Partial {
			t.Errorf("%+v", sum)
		}
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if n := a.passes() - passes; n != 0 {
			t.Errorf("%d passes after the person's", n)
		}
	})
}
