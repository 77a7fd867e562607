package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mailcote/engine/imap"
	"mailcote/queue"
)

// stuckAfter is how long a task may move nothing: no byte on the wire, no batch. Every wait in it has a shorter limit of its
// own, so this one ends what those limits missed.
const stuckAfter = 20 * time.Minute

// errStuck ends a task that moved nothing.
var errStuck = fmt.Errorf("nothing moved for too long and the task was ended: %w", imap.ErrStalled)

// watched runs a task and ends it when it is stuck.
func (w *worker) watched(ctx context.Context, t queue.Task) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { w.watch(done, end) })
	err := w.do(ctx, t)
	close(done)
	watching.Wait()
	if err != nil && errors.Is(context.Cause(ctx), errStuck) {
		return errors.Join(errStuck, err)
	}
	return err
}

// watch calls end when nothing has moved for too long, and returns when done is closed.
func (w *worker) watch(done <-chan struct{}, end context.CancelCauseFunc) {
	tick := time.NewTicker(w.e.o.stuck / 4)
	defer tick.Stop()
	last, since := w.pulse(), time.Now()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		if now := w.pulse(); now != last {
			last, since = now, time.Now()
		} else if time.Since(since) >= w.e.o.stuck {
			end(errStuck)
			return
		}
	}
}

// pulse changes whenever a byte or a batch moved.
func (w *worker) pulse() int64 {
	n := w.batches.Load()
	if s := w.line.Load(); s != nil {
		n += s.BytesRead() + s.BytesWritten()
	}
	return n
}
