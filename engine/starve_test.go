package engine

import (
	"strings"
	"sync/atomic"
	"testing"

	"mailcote/engine/health"
	"mailcote/testkit/script"
)

// TestStarvedBudget: when slow accounts hold all memory there is, another account's mail goes through the store
// and arrives.
func TestStarvedBudget(t *testing.T) {
	s, w := scripted(t, 3, script.Options{}, Options{})
	if !w.engine.process.Budget.TryAcquire(budgetBytes) {
		t.Fatal("somebody holds memory already")
	}
	defer w.engine.process.Budget.Release(budgetBytes)
	w.complete()
	w.equals(s)
}

// TestShortOfMemory: while the heap is near the process's limit nothing is asked for, and the account says so.
func TestShortOfMemory(t *testing.T) {
	var live, asked atomic.Int64
	live.Store(900)
	var w *world
	s, w := scripted(t, 3, script.Options{}, Options{memory: health.MemoryReadings{
		Limit: func() int64 { return 1000 },
		Live:  live.Load,
		Collect: func() {
			if w == nil {
				return
			}
			for _, a := range w.engine.Progress() {
				if strings.Contains(a.Note, "memory is short") {
					live.Store(100)
				}
			}
		},
	}})
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if c.Name == "UID FETCH" && live.Load() > 100 && strings.Contains(c.Args, "BODY") {
			asked.Add(1)
		}
		return script.Answer
	}})
	w.complete()
	w.equals(s)
	if n := asked.Load(); n > 0 || live.Load() != 100 {
		t.Errorf("%d pages were asked for while memory was short, %d in use", n, live.Load())
	}
}
