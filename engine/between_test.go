package engine

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine/connpool"
	"mailcote/engine/reconcile"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/script"
)

// longWork are kinds of work in several commands; setup makes a server need it.
var longWork = map[string]struct {
	caps  string
	setup func(s *script.Server, w *world) script.Faults
	asks  func(c script.Command) bool
}{
	"parts of a message": {
		setup: func(s *script.Server, _ *world) script.Faults {
			s.Change(func(m *script.Model) { m.Box("INBOX").Add(large(1, 1)[:1_500_000]) })
			return script.Faults{Part: func(p script.Part) script.Fault {
				if p.UID == 21 && p.Most == 0 && strings.Contains(p.Items, "BODY") {
					return script.Omit
				}
				return script.Whole
			}}
		},
		asks: func(c script.Command) bool { return strings.Contains(c.Args, "BODY.PEEK[]<") },
	},
	"headers": {
		setup: func(s *script.Server, w *world) script.Faults {
			put(s, "INBOX", 4*reconcile.HeaderPage)
			w.complete()
			s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(2000, 1) })
			return script.Faults{}
		},
		asks: func(c script.Command) bool { return strings.Contains(c.Args, "BODY.PEEK[HEADER]") },
	},
	"STATUS": {
		caps: "IMAP4rev1 SASL-IR AUTH=PLAIN",
		setup: func(s *script.Server, w *world) script.Faults {
			for _, box := range []string{"A", "B", "C", "D", "E", "F"} {
				put(s, box, 2)
			}
			w.complete()
			w.meter().OneByOne() // otherwise all of them are in flight together
			return script.Faults{}
		},
		asks: func(c script.Command) bool { return c.Name == "STATUS" },
	},
}

// TestPersonBetweenCommands: where one connection is allowed a person has it before the next command of long
// work, and that goes on afterwards as if nothing had been.
func TestPersonBetweenCommands(t *testing.T) {
	for name, test := range longWork {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 20, script.Options{Capabilities: test.caps}, Options{})
			faults := test.setup(s, w)
			w.meter().Fault(class.Quota, "NO too many", true, 1)
			pool, err := w.live().connPool(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var person sync.WaitGroup
			var asked, served atomic.Int32
			faults.On = func(c script.Command) script.Action {
				if !test.asks(c) || asked.Add(1) != 1 {
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
					served.Store(asked.Load())
					if _, err := session.Examine(t.Context(), "INBOX", false); err != nil {
						t.Error(err)
					}
				})
				until(t, time.Minute, "the person waits", w.engine.ProgressChanged, func() bool {
					return pool.Figures().Waiting > 0
				})
				return script.Answer
			}
			s.Misbehave(faults)
			w.complete()
			person.Wait()
			w.equals(s)
			if served.Load() != 1 || asked.Load() < 3 || len(w.faults()) > 0 {
				t.Errorf("served after command %d of %d, faults %+v", served.Load(), asked.Load(), w.faults())
			}
		})
	}
}

// TestStopBetweenCommands: who has to stop asks for nothing more, though a command under way has a moment left.
func TestStopBetweenCommands(t *testing.T) {
	for name, test := range longWork {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 20, script.Options{Capabilities: test.caps}, Options{})
			faults := test.setup(s, w)
			ctx, cancel := context.WithCancel(t.Context())
			var asked atomic.Int32
			faults.On = func(c script.Command) script.Action {
				if test.asks(c) {
					asked.Add(1)
					cancel()
				}
				return script.Answer
			}
			s.Misbehave(faults)
			sum := w.engine.Sync(ctx, []storage.AccountID{w.id}, SyncOptions{})[0]
			if !sum.Interrupted || asked.Load() != 1 {
				t.Errorf("%d commands, %+v", asked.Load(), sum)
			}
			faults.On = nil
			s.Misbehave(faults)
			w.complete()
			w.equals(s)
		})
	}
}
