package disk

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReserve(t *testing.T) {
	for _, c := range []struct{ size, reserve int64 }{
		{0, 0}, {5 << 20, 512 << 10}, {64 << 20, 6710886}, {2000 << 20, 200 << 20}, {1 << 40, 200 << 20},
		{math.MaxInt64, 200 << 20},
	} {
		s := Space{Size: c.size, Free: c.reserve}
		if s.Reserve() != c.reserve || s.Short() {
			t.Errorf("of %d: %d, short %v", c.size, s.Reserve(), s.Short())
		}
		if s.Free--; c.size > 0 && !s.Short() || c.size == 0 && s.Need() != 0 {
			t.Errorf("of %d: a byte under the reserve is not short", c.size)
		}
	}
}

func TestOf(t *testing.T) {
	s, err := Of(t.TempDir())
	if err != nil || s.Free <= 0 || s.Size < s.Free {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := Of(t.TempDir() + "/missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
}

func TestErrors(t *testing.T) {
	full := &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	many := fmt.Errorf("dial: %w", os.NewSyscallError("socket", syscall.EMFILE))
	if !Full(full) || Full(many) || !Exhausted(many) || Exhausted(full) || Full(nil) || Exhausted(nil) {
		t.Error("errors are mixed up")
	}
}

func TestPauseWords(t *testing.T) {
	room := Space{Free: 12_300_000, Size: 1 << 40}
	for _, c := range []struct {
		p    Pause
		says string
	}{
		{Pause{Cause: Short, Space: room}, "the disk is full: 12 MB free, needs 262 MB"},
		{Pause{Cause: Refused, Space: Space{Free: 1_230_000, Size: 1 << 40}}, "1.2 MB free, needs 262 MB"},
		{Pause{Cause: Refused, Space: Space{Free: 30_000_000_000, Size: 1 << 40}}, "refused though 30 GB are free"},
		{Pause{Cause: Log, Log: 250_000_000}, "grown to 250 MB"},
	} {
		if got := c.p.String(); !strings.Contains(got, c.says) {
			t.Errorf("%q does not say %q", got, c.says)
		}
	}
}

// TestGate: it opens with the last cause, wakes who waits, and shows the gravest.
func TestGate(t *testing.T) {
	open := func(opened <-chan struct{}) bool {
		select {
		case <-opened:
			return true
		default:
			return false
		}
	}
	var g Gate
	if _, closed := g.Closed(); closed || !open(g.Opened()) {
		t.Error("a new gate is closed")
	}
	first := time.Now()
	g.Close(Pause{Cause: Log, Since: first})
	opened := g.Opened()
	g.Close(Pause{Cause: Short, Since: first.Add(time.Hour)})
	g.Close(Pause{Cause: Log, Since: first.Add(time.Hour), Log: 7})
	if p, ok := g.Closed(); !ok || p.Cause != Short || !p.Full() || !p.Since.Equal(first) {
		t.Errorf("%+v, %v", p, ok)
	}
	g.Open(Short, Refused)
	if p, ok := g.Closed(); !ok || p.Cause != Log || p.Full() || p.Log != 7 || !g.Is(Log) || g.Is(Short) ||
		open(opened) {
		t.Errorf("%+v, %v", p, ok)
	}
	g.Open(Log)
	if _, closed := g.Closed(); closed || !open(opened) {
		t.Error("it did not open with the last cause")
	}
	second := first.Add(time.Minute)
	g.Close(Pause{Cause: Short, Since: second})
	if p, _ := g.Closed(); !p.Since.Equal(second) || g.Is(Log) {
		t.Errorf("%+v remembers the pause before", p)
	}
}
