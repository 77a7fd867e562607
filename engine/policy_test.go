package engine

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine/fault/policy"
	"mailcote/engine/progress"
	"mailcote/testkit/script"
)

// TestInUse: a mailbox that another program holds is opened again, not given up after one look.
func TestInUse(t *testing.T) {
	s, w := scripted(t, 20, script.Options{}, Options{least: func(policy.Wait, int) time.Duration { return 0 }})
	var left atomic.Int32
	left.Store(8)
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if c.Name == "EXAMINE" && left.Add(-1) >= 0 {
			return "NO [INUSE] held by another program"
		}
		return script.Answer
	}})
	if sum := w.sync(); sum.Result != Complete || s.Count("EXAMINE") != 9 {
		t.Errorf("%d EXAMINE, summary %+v", s.Count("EXAMINE"), sum)
	}
	left.Store(1000)
	put(s, "INBOX", 1)
	if sum := w.sync(); sum.Result != Partial || s.Count("EXAMINE") != 9+10 || len(w.tasks()) != 0 {
		t.Errorf("%d EXAMINE, summary %+v", s.Count("EXAMINE"), sum)
	}
}

// TestDamagedMailbox: a wait of an hour is one mailbox's; a pass that is to end goes on without it.
func TestDamagedMailbox(t *testing.T) {
	s, w := scripted(t, 20, script.Options{}, Options{})
	put(s, "Archive", 30)
	s.Misbehave(script.Faults{On: on(func(c script.Command) bool {
		return c.Name == "EXAMINE" && strings.Contains(c.Args, "INBOX")
	}, "NO [CORRUPTION] index broken")})
	if sum := w.sync(); sum.Result != Partial || sum.Fetched != 30 {
		t.Errorf("summary %+v", sum)
	}
}

// TestLimitThenPause: words that mean a limit, and after three attempts a refusal.
func TestLimitThenPause(t *testing.T) {
	s, w := scripted(t, 20, script.Options{}, Options{least: func(policy.Wait, int) time.Duration { return 0 }})
	s.Misbehave(script.Faults{On: on(func(c script.Command) bool {
		return c.Name == "EXAMINE"
	}, "NO User is authenticated but not connected.")})
	committed := w.commits()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.engine.Run(ctx, time.Hour) }()
	until(t, time.Minute, "paused", committed, func() bool { return w.find().Paused })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := s.Count("EXAMINE"); n != 4 || w.find().PauseClass != "auth" {
		t.Errorf("%d EXAMINE, paused for %s", n, w.find().PauseClass)
	}
}

// TestLimitRestsTheAccount: after a limit no other task of the account knocks.
func TestLimitRestsTheAccount(t *testing.T) {
	s, w := scripted(t, 20, script.Options{}, Options{})
	put(s, "Archive", 30)
	put(s, "Sent", 30)
	s.Misbehave(script.Faults{On: on(func(c script.Command) bool {
		return c.Name == "UID FETCH"
	}, "NO [LIMIT] UID FETCH Rate limit hit.")})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.engine.Run(ctx, time.Millisecond) }()
	until(t, time.Minute, "waiting", w.engine.ProgressChanged, func() bool { return w.state() == progress.Waiting })
	time.Sleep(200 * time.Millisecond) // nothing is to happen
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := s.Count("UID FETCH"); n != 1 {
		t.Errorf("%d FETCH commands", n)
	}
}
