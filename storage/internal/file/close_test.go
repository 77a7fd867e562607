package file

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
)

// TestWriterEnds: the look that finds nothing waiting also says whether anything can still come.
func TestWriterEnds(t *testing.T) {
	for _, stopping := range []bool{false, true} {
		for lane := range laneCount {
			w := &writer{lanes: lanes{stopping: stopping}, broken: errors.New("broken")}
			one := &request{lane: lane}
			w.queues[lane] = []*request{one}
			if r, over := w.next(); r != one || over {
				t.Errorf("stopping %v, lane %d: %v, over %v, with a request that waits", stopping, lane, r, over)
			}
			if r, over := w.next(); r != nil || over != stopping {
				t.Errorf("stopping %v, lane %d: %v, over %v, with nothing that waits", stopping, lane, r, over)
			}
		}
	}
}

// TestCloseAnswers: whatever was accepted while the writer stops is answered. The writer is a broken one, which answers
// without a disk, so that many ends can be tried. In a bubble a write that nobody answers is a deadlock.
func TestCloseAnswers(t *testing.T) {
	broken := errors.New("broken")
	for range 3000 {
		synctest.Test(t, func(t *testing.T) {
			w := &writer{lanes: lanes{wake: make(chan struct{}, 1)}, finished: make(chan struct{}), broken: broken}
			s := &File{writer: w}
			go w.run()
			var callers sync.WaitGroup
			for _, lane := range []Lane{Interactive, Bulk, Interactive, Bulk} {
				callers.Go(func() {
					for {
						err := s.Write(context.Background(), lane, 0, func(*Tx) error { return nil })
						if errors.Is(err, ErrClosed) {
							return
						}
						if !errors.Is(err, broken) {
							t.Errorf("answered %v", err)
							return
						}
					}
				})
			}
			w.stop()
			callers.Wait()
		})
	}
}

// TestCloseDrains: what waits when the store is closed is written, in both lanes; what was withdrawn is not. A
// second Close waits for the first.
func TestCloseDrains(t *testing.T) {
	s := openTest(t)
	sink(t, s)
	started, release := make(chan struct{}), make(chan struct{})
	var callers sync.WaitGroup
	callers.Go(func() {
		if err := s.Write(context.Background(), Bulk, groupSize, func(w *Tx) error {
			close(started)
			<-release
			_, err := w.Exec("INSERT INTO sink (who, what) VALUES ('large', zeroblob(?))", groupSize)
			return err
		}); err != nil {
			t.Error(err)
		}
	})
	<-started // no request is taken before release
	gone, withdraw := context.WithCancel(t.Context())
	withdraw()
	waiting := []*request{{fn: put("a", nil)}, {fn: put("b", nil), lane: Bulk},
		{fn: put("c", nil), lane: Bulk, alone: true}, {fn: put("gone", nil), ctx: gone}}
	s.writer.mu.Lock()
	for _, r := range waiting {
		if r.done = make(chan error, 1); r.ctx == nil {
			r.ctx = t.Context()
		}
		s.writer.queues[r.lane] = append(s.writer.queues[r.lane], r)
	}
	s.writer.stopping = true // as Close does first
	s.writer.mu.Unlock()
	for _, lane := range []Lane{Interactive, Bulk} {
		if err := s.Write(t.Context(), lane, 0, put("late", nil)); !errors.Is(err, ErrClosed) {
			t.Errorf("a write after Close was called: %v", err)
		}
	}
	for range 2 {
		callers.Go(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			for i, r := range waiting {
				select {
				case err := <-r.done:
					if r.done <- err; (err == nil) == (r.ctx == gone) {
						t.Errorf("request %d: %v", i, err)
					}
				default:
					t.Errorf("request %d is not answered when Close returns", i)
				}
			}
		})
	}
	close(release)
	callers.Wait()
	again := beside(t, s, nil)
	if got := marks(t, again); got != "large a b c" {
		t.Errorf("kept %q", got)
	}
}
