package engine

import (
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine/imap"
	"mailcote/testkit/script"
)

// TestWatchdog: a task that moves nothing ends although no limit of the session does it, and the next try brings everything.
func TestWatchdog(t *testing.T) {
	s, w := scripted(t, 20, script.Options{}, Options{stuck: 200 * time.Millisecond, Limits: imap.Limits{Progress: time.Hour, Wait: time.Hour}})
	var spoken atomic.Bool
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if c.Name == "UID FETCH" && spoken.CompareAndSwap(false, true) {
			return script.Silent
		}
		return script.Answer
	}})
	w.complete()
	w.equals(s)
	if faults := w.faults(); len(faults) != 1 || faults[0].Class != "timeout" {
		t.Errorf("faults %+v", faults)
	}
}
