package engine

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/engine/connpool"
	"mailcote/engine/imap"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/script"
)

// TestWatchdog: a task that moves nothing ends although no limit of the session does it, and the next try brings
// everything.
func TestWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := scripted(t, 20, script.Options{Pipe: true},
			Options{Limits: imap.Limits{Progress: 24 * time.Hour, Wait: 24 * time.Hour}})
		var spoken atomic.Bool
		s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
			if c.Name == "UID FETCH" && spoken.CompareAndSwap(false, true) {
				return script.Silent
			}
			return script.Answer
		}})
		start := time.Now()
		all := w.engine.Sync(t.Context(), []storage.AccountID{w.id}, SyncOptions{})
		if all[0].Result != Complete {
			t.Errorf("%+v", all[0])
		}
		if took := time.Since(start); took < stuckAfter || took > stuckAfter*3/2 {
			t.Errorf("the task ended after %v", took)
		}
		w.equals(s)
		if faults := w.faults(); len(faults) != 1 || faults[0].Class != "timeout" {
			t.Errorf("faults %+v", faults)
		}
	})
}

// TestWatchdogInThePool: a task that waits for a connection nobody gives back
// ends too, before its first page and between two pages.
func TestWatchdogInThePool(t *testing.T) {
	for _, page := range []int32{0, 1} {
		t.Run(fmt.Sprint("before page ", page+1), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, w := scripted(t, 900, script.Options{Pipe: true}, Options{})
				w.meter().Fault(class.Quota, "NO too many", true, 1)
				for range 4 { // one more is a sign of throttling
					w.meter().Fault(class.Timeout, "", false, 0)
				}
				pace := w.meter().Pace()
				pool, err := w.live().connPool(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				committed := w.commits()
				took, give := make(chan struct{}), make(chan struct{})
				var person sync.WaitGroup
				keep := func() {
					person.Go(func() {
						l, err := pool.Take(t.Context(), connpool.Want{Use: connpool.Person})
						if err != nil {
							t.Error(err)
							return
						}
						close(took)
						<-give
						l.Give()
					})
				}
				var pages atomic.Int32
				s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
					if c.Name == "UID FETCH" && strings.Contains(c.Args, "BODY") && pages.Add(1) == page {
						keep()
						until(t, time.Hour, "the person waits", w.engine.ProgressChanged, func() bool {
							return pool.Figures().Waiting > 0
						})
					}
					return script.Answer
				}})
				if page == 0 {
					keep()
					<-took
				}
				var work sync.WaitGroup
				work.Go(func() {
					all := w.engine.Sync(t.Context(), []storage.AccountID{w.id}, SyncOptions{})
					if all[0].Result != Complete {
						t.Errorf("%+v", all[0])
					}
				})
				until(t, time.Hour, "a fault", committed, func() bool { return len(w.faults()) > 0 })
				if now := w.meter().Pace(); now < pace {
					t.Errorf("the pace was %g and is %g: nobody asked the server", pace, now)
				}
				close(give)
				work.Wait()
				person.Wait()
				w.equals(s)
				if faults := w.faults(); len(faults) == 0 || faults[0].Class != "timeout" {
					t.Errorf("faults %+v", faults)
				}
			})
		})
	}
}
