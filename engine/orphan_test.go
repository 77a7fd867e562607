package engine

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/storage/tables"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/script"
)

// hands is a wall clock that a test sets.
type hands struct{ ahead atomic.Int64 }

func (h *hands) now() time.Time          { return time.Now().Add(time.Duration(h.ahead.Load())) }
func (h *hands) set(ahead time.Duration) { h.ahead.Store(int64(ahead)) }
func (w *world) ended() string {
	return w.text(`SELECT count(*) FROM email WHERE destroyed_at IS NOT NULL`)
}
func opens(c script.Command) bool { return c.Name == "EXAMINE" }
func opensIt(box string) func(script.Command) bool {
	return func(c script.Command) bool { return opens(c) && strings.Contains(c.Args, box) }
}

const aDay = 24 * time.Hour

// TestOrphanWaits: an email that left its last mailbox waits for a mailbox that
// was open before and cannot be listed, for a day at most. No email waits for a
// mailbox that was never open or is gone.
func TestOrphanWaits(t *testing.T) {
	for name, test := range map[string]struct {
		late   bool // the mailbox is refused from the start
		faults script.Faults
		change func(*script.Model) // beside what is expunged
		waits  bool
	}{
		"never open":     {true, script.Faults{On: on(opensIt("Team"), "NO [NOPERM] permission denied")}, nil, false},
		"never open, NO": {true, script.Faults{On: on(opensIt("Team"), "NO permission denied")}, nil, false},
		"locked":         {false, script.Faults{On: on(opensIt("Team"), "NO [NOPERM] permission denied")}, nil, true},
		"damaged":        {false, script.Faults{On: on(opensIt("Team"), "NO [CORRUPTION] it is damaged")}, nil, true},
		"not listed": {false, script.Faults{On: on(func(c script.Command) bool {
			return listsAll(c) && c.Box == "Team"
		}, "NO cannot list it")}, nil, true},
		"counts more than it lists": {false, script.Faults{Exists: func(_ int, box string, n int) int {
			if box == "Team" {
				return n + 1
			}
			return n
		}}, nil, true},
		"no longer listed": {false, script.Faults{On: on(opensIt("Team"), "NO [NONEXISTENT] gone")},
			func(m *script.Model) {
				m.Drop("Team")
			}, false},
		"well": {false, script.Faults{}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var wall hands
			s, w := scripted(t, 10, script.Options{}, Options{wall: wall.now, least: soon})
			put(s, "Team", 3)
			if test.late {
				s.Misbehave(test.faults)
				w.sync()
			} else {
				w.complete()
			}
			s.Misbehave(test.faults)
			s.Change(func(m *script.Model) {
				m.Box("INBOX").Expunge(1, 2)
				m.Box("Team").Add(mail("Team", 4))
				if test.change != nil {
					test.change(m)
				}
			})
			gone := "2"
			if test.change != nil {
				gone = "5"
			}
			at := func(ahead time.Duration, want, when string) {
				t.Helper()
				wall.set(ahead)
				sum := w.sync()
				if got := w.ended(); got != want {
					t.Errorf("%s: %s emails have ended, want %s; %+v", when, got, want, sum)
				}
			}
			if !test.waits {
				at(0, gone, "at once")
				return
			}
			at(0, "0", "at first")
			w.restart()
			at(aDay-time.Minute, "0", "before the day is over")
			at(aDay+time.Minute, "2", "after a day")
			s.Misbehave(script.Faults{})
			wall.set(3 * aDay) // a mailbox that may not be read is asked for once a day
			w.complete()
			w.equals(s)
		})
	}
}

// TestOrphanArrives: an email that went to a mailbox which cannot be opened for a while is the same one there,
// and nobody was told that it had ended.
func TestOrphanArrives(t *testing.T) {
	for answer, result := range map[script.Action]string{
		"NO permission denied":          Partial,
		"NO [NOPERM] permission denied": Complete,
	} {
		t.Run(string(answer), func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 10, script.Options{}, Options{})
			put(s, "Team", 3)
			w.complete()
			before := w.emails()
			s.Change(func(m *script.Model) {
				in := m.Box("INBOX")
				m.Box("Team").Add(in.Messages[0].Raw)
				in.Expunge(in.Messages[0].UID)
			})
			s.Misbehave(script.Faults{On: on(opensIt("Team"), answer)})
			for range 3 {
				if sum := w.sync(); sum.Result != result {
					t.Errorf("%+v", sum)
				}
				if n := w.text(`SELECT count(*) FROM changes WHERE destroyed = 1`); n != "0" {
					t.Fatalf("%s things have ended for who follows the changes", n)
				}
			}
			s.Misbehave(script.Faults{})
			w.engine.Sync(t.Context(), []storage.AccountID{w.id}, SyncOptions{Mailboxes: []string{"Team"}})
			w.complete()
			w.equals(s)
			if after := w.emails(); after != before {
				t.Errorf("emails before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

// TestOrphanNotLookedFor: where a pass has not come to its end, or has not looked at every mailbox that was open,
// no email ends, however long ago it left.
func TestOrphanNotLookedFor(t *testing.T) {
	for name, test := range map[string]struct {
		faults    func(end context.CancelFunc) script.Faults
		mailboxes []string
		limits    imap.Limits
	}{
		"interrupted": {faults: func(end context.CancelFunc) script.Faults {
			return script.Faults{On: func(c script.Command) script.Action {
				if opensIt("Team")(c) {
					end()
				}
				return script.Answer
			}}
		}},
		"paused": {faults: func(context.CancelFunc) script.Faults {
			return script.Faults{On: on(func(c script.Command) bool {
				return strings.HasPrefix(c.Name, "AUTH") || c.Name == "LOGIN"
			}, "NO [AUTHENTICATIONFAILED] no")}
		}},
		"only INBOX":         {mailboxes: []string{"INBOX"}},
		"too many mailboxes": {limits: imap.Limits{Mailboxes: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var wall hands
			s, w := scripted(t, 10, script.Options{}, Options{wall: wall.now})
			put(s, "Team", 3)
			put(s, "Lists", 3)
			w.complete()
			s.Change(func(m *script.Model) { m.Box("INBOX").Expunge(1) })
			s.Misbehave(script.Faults{On: on(opensIt("Team"), "NO [NOPERM] permission denied")})
			s.Change(func(m *script.Model) { m.Box("Team").Add(mail("Team", 4)) })
			w.sync() // it is expunged now
			wall.set(aDay + time.Hour)
			w.engine.o.Limits = test.limits
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s.Misbehave(script.Faults{})
			if test.faults != nil {
				s.Misbehave(test.faults(cancel))
			}
			sum := w.engine.Sync(ctx, []storage.AccountID{w.id}, SyncOptions{Mailboxes: test.mailboxes})[0]
			if got := w.ended(); got != "0" {
				t.Errorf("%s emails have ended; %+v", got, sum)
			}
		})
	}
}

// TestOrphanOfOneMailbox: for who syncs one mailbox only, the others were never open.
func TestOrphanOfOneMailbox(t *testing.T) {
	s, w := scripted(t, 10, script.Options{}, Options{})
	put(s, "Team", 3)
	only := func() Summary {
		return w.engine.Sync(t.Context(), []storage.AccountID{w.id}, SyncOptions{Mailboxes: []string{"INBOX"}})[0]
	}
	only()
	s.Change(func(m *script.Model) { m.Box("INBOX").Expunge(1) })
	if sum := only(); sum.Result != Complete || w.ended() != "1" {
		t.Errorf("%s emails have ended; %+v", w.ended(), sum)
	}
}

// TestOrphanOfAnother: a mailbox that cannot be opened keeps nothing of another account.
func TestOrphanOfAnother(t *testing.T) {
	s, w := scripted(t, 10, script.Options{}, Options{})
	put(s, "Team", 3)
	other := script.Start(t, script.Options{})
	put(other, "INBOX", 10)
	id, _, err := w.engine.AddAccount(t.Context(), NewAccount{Login: Login{User: dovecot.User, Host: "localhost",
		Port: other.Port(), Security: "plain", Password: secret.New(dovecot.Password)}})
	if err != nil {
		t.Fatal(err)
	}
	both := []storage.AccountID{w.id, id}
	w.engine.Sync(t.Context(), both, SyncOptions{})
	s.Misbehave(script.Faults{On: on(opensIt("Team"), "NO [NOPERM] permission denied")})
	for _, one := range []*script.Server{s, other} {
		one.Change(func(m *script.Model) { m.Box("INBOX").Expunge(1, 2) })
	}
	s.Change(func(m *script.Model) { m.Box("Team").Add(mail("Team", 4)) })
	w.engine.Sync(t.Context(), both, SyncOptions{})
	if got := w.text(`SELECT account_id || ' ' || count(*) FROM email
		WHERE destroyed_at IS NOT NULL GROUP BY account_id`); got != fmt.Sprint(id, " 2") {
		t.Errorf("ended: %q", got)
	}
}

// TestOrphanOfRun: a pass of the agent ends the wait, too, also while the mailbox's task waits to be tried again.
func TestOrphanOfRun(t *testing.T) {
	var wall hands
	s := script.Start(t, script.Options{})
	put(s, "INBOX", 10)
	put(s, "Team", 3)
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{wall: wall.now}).account(s.Host(), s.Port())
	w.complete()
	s.Misbehave(script.Faults{On: on(opensIt("Team"), "NO [CORRUPTION] it is damaged")})
	s.Change(func(m *script.Model) {
		m.Box("INBOX").Expunge(1, 2)
		m.Box("Team").Add(mail("Team", 4))
	})
	for _, one := range []struct {
		ahead time.Duration
		want  string
	}{{0, "0"}, {aDay - time.Minute, "0"}, {aDay + time.Minute, "2"}} {
		wall.set(one.ahead)
		w.engine.runPass(t.Context(), w.engine.account(w.id), time.Millisecond, true)
		if waiting := w.tasks(); len(waiting) != 1 || waiting[0].NextRetryAt.IsZero() {
			t.Fatalf("tasks %+v", waiting)
		}
		if got := w.ended(); got != one.want {
			t.Errorf("after %v: %s emails have ended, want %s", one.ahead, got, one.want)
		}
	}
	w.engine.account(w.id).retire(t.Context())
}

// TestOrphanOfBrokenPass: only a pass that listed the mailboxes and has nothing left to try knows that nobody
// holds an email.
func TestOrphanOfBrokenPass(t *testing.T) {
	var wall hands
	_, w := scripted(t, 10, script.Options{}, Options{wall: wall.now})
	w.complete()
	if err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
		boxes, err := tx.Mailboxes(w.id)
		if err != nil {
			return err
		}
		return tx.Expunge(boxes[0].ID, boxes[0].UIDValidity, []storage.UID{1})
	}); err != nil {
		t.Fatal(err)
	}
	wall.set(aDay + time.Minute)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, one := range []struct {
		name       string
		ctx        context.Context
		discovered bool
		tasks      int // that are due
		want       string
	}{
		{"it listed nothing", t.Context(), false, 0, "0"},
		{"it was interrupted", over, true, 0, "0"},
		{"it failed with a mailbox to try", t.Context(), true, 1, "0"},
		{"it failed with none", t.Context(), true, 0, "1"},
	} {
		pass := newWorker(w.engine, w.live(), false)
		pass.discovered, pass.failed = one.discovered, &fault.Fault{Verdict: policy.Verdict{Class: class.Network}}
		if err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) (err error) {
			if _, err := tables.In(tx).Exec(`UPDATE sync_task
				SET state = 'cancelled', completed_at = 0, message_id = NULL
				WHERE completed_at IS NULL`); err != nil {
				return err
			}
			for range one.tasks {
				if _, _, err := w.engine.queue.EnqueueTx(tx,
					queue.NewTask{Account: w.id, Type: queue.FolderSync}); err != nil {
					return err
				}
			}
			pass.run, err = tx.StartRun(w.id)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if sum := pass.conclude(one.ctx); w.ended() != one.want {
			t.Errorf("%s: %s emails have ended, want %s; %+v", one.name, w.ended(), one.want, sum)
		}
	}
}

// TestStoppedBeforeItBegins: a signal that comes when a pass has begun and did nothing yet makes it no failure.
func TestStoppedBeforeItBegins(t *testing.T) {
	_, w := scripted(t, 3, script.Options{}, Options{})
	w.complete()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	a := w.live()
	a.mu.Lock()
	a.limits = nil // as in a new process
	a.mu.Unlock()
	pass := newWorker(w.engine, a, false)
	if err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) (err error) {
		pass.run, err = tx.StartRun(w.id)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	pass.work(over)
	if sum := pass.conclude(over); sum.Result != Partial || sum.Detail != "interrupted" {
		t.Errorf("%+v", sum)
	}
}
