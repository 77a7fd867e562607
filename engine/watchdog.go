package engine

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"mailcote/engine/fault"
)

// stuckAfter is how long a task may make no progress: no byte on the wire and
// no batch. Every wait in a task has a shorter limit of its own. This one
// catches whatever those missed.
const stuckAfter = 20 * time.Minute

// grace is how long a command may go on after a stop was asked for. After it
// the connection is closed, even inside a response.
const grace = 2 * time.Second

// watched runs a task. It ends the task when it is stuck, and shortly after ctx
// has ended. activity returns a number that changes whenever something moved.
func watched(ctx context.Context, activity func() int64, task func(context.Context) error) error {
	ctx, end := withGrace(ctx)
	defer end(nil)
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { watchdog(activity, done, end) })
	err := task(ctx)
	close(done)
	watching.Wait()
	if err != nil && errors.Is(context.Cause(ctx), fault.ErrStuck) {
		return errors.Join(fault.ErrStuck, err)
	}
	return err
}

// withGrace returns a context that ends a moment after ctx does. A task that
// sends no new command in that moment can log out in order.
func withGrace(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	hard, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	late := time.AfterFunc(math.MaxInt64, func() { cancel(context.Cause(ctx)) })
	stop := context.AfterFunc(ctx, func() { late.Reset(grace) })
	return hard, func(cause error) {
		stop()
		late.Stop()
		cancel(cause)
	}
}

// watchdog calls end when nothing has moved for too long. It returns when done
// is closed.
func watchdog(activity func() int64, done <-chan struct{}, end context.CancelCauseFunc) {
	tick := time.NewTicker(stuckAfter / 4)
	defer tick.Stop()
	last, since := activity(), time.Now()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		if now := activity(); now != last {
			last, since = now, time.Now()
		} else if time.Since(since) >= stuckAfter {
			end(fault.ErrStuck)
			return
		}
	}
}
