package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/health"
	"mailcote/engine/plan"
	"mailcote/engine/progress"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/disk"
)

const (
	roomWait = 15 * time.Second // how long a --once run waits for the store to be written again
	roomLook = 5 * time.Second  // how often a waiting worker tells how much room there is
	roomTold = 10 * time.Minute // pauses of the store that follow one another so closely are told of once
)

// stuckAfter is how long a task may move nothing: no byte on the wire, no batch. Every wait in it has a shorter limit of its
// own, so this one ends what those limits missed.
const stuckAfter = 20 * time.Minute

// grace is how long a command may run on after a stop was asked for. Then its connection ends in the middle of it.
const grace = 2 * time.Second

// watched runs a task and ends it when it is stuck, and a moment after ctx has ended.
func (w *worker) watched(ctx context.Context, t queue.Task) error {
	ctx, end := graced(ctx)
	defer end(nil)
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { w.watch(done, end) })
	err := w.do(ctx, t)
	close(done)
	watching.Wait()
	if err != nil && errors.Is(context.Cause(ctx), fault.ErrStuck) {
		return errors.Join(fault.ErrStuck, err)
	}
	return err
}

// graced gives a context that ends a moment after ctx does: who asks for no new command meanwhile leaves the server in order.
func graced(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	hard, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	late := time.AfterFunc(math.MaxInt64, func() { cancel(context.Cause(ctx)) })
	stop := context.AfterFunc(ctx, func() { late.Reset(grace) })
	return hard, func(cause error) {
		stop()
		late.Stop()
		cancel(cause)
	}
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
			end(fault.ErrStuck)
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

// room waits until the store may be written in bulk, and holds no connection meanwhile. One row tells of a pause, however many tasks
// it stops. false: something else ended the wait.
func (w *worker) room(ctx context.Context) bool {
	opened := w.e.store.Opened()
	p, paused := w.e.store.Pause()
	if !paused {
		return true
	}
	if w.e.tellOfPause() {
		w.tell(ctx, w.pausedBy(p))
	}
	w.drop()
	late := time.Now().Add(roomWait)
	for ; paused; p, paused = w.e.store.Pause() {
		news := w.e.listen(w.account)
		news.reopened = opened
		if w.yields() {
			return false
		}
		if w.once && !time.Now().Before(late) {
			f := w.pausedBy(p)
			w.failed = &f
			return false
		}
		w.e.progress.State(w.account.name(), progress.Waiting, health.OfStore(p).Detail)
		look := time.Now().Add(roomLook)
		if w.once && late.Before(look) {
			look = late
		}
		if news.await(ctx, look).has(reopened) {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
	}
	return true
}

func (w *worker) pausedBy(p disk.Pause) Fault {
	err := storage.ErrPaused
	if p.Full() {
		err = storage.ErrFull
	}
	return fault.Classify(in(phaseStore, fmt.Errorf("%w%s", err, strings.TrimPrefix(p.String(), err.Error()))))
}

// giveWay returns a task that the store had no room for, and waits for room.
func (w *worker) giveWay(ctx context.Context, t queue.Task, f Fault, c plan.Consequence) {
	giveBack := func() error {
		if c.Task != plan.Return {
			return nil
		}
		return w.e.store.Write(context.WithoutCancel(ctx), storage.Interactive, 0, func(tx *storage.Writer) error {
			return w.e.queue.ReturnTx(tx, t)
		})
	}
	err := giveBack()
	if _, paused := w.e.store.Pause(); !paused && w.e.tellOfPause() { // it is over already
		w.tell(ctx, f)
	}
	if c.End {
		w.failed = &f
	}
	if w.room(ctx) && err != nil {
		err = giveBack()
	}
	if err != nil && !errors.Is(err, queue.ErrLeaseLost) && w.failed == nil { // the next pass, or the next start, releases it
		w.failed = &f
	}
}

// tell records a fault that is no task's. On a disk that takes no row at all it is told again later.
func (w *worker) tell(ctx context.Context, f Fault) {
	if err := health.Report(ctx, w.e.store, w.record(queue.Task{}, f)); err != nil {
		w.e.mu.Lock()
		w.e.toldPause = time.Time{}
		w.e.mu.Unlock()
	}
}

// tellOfPause says whether a pause of the store is news.
func (e *Engine) tellOfPause() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	news := now.Sub(e.toldPause) > roomTold
	e.toldPause = now
	return news
}
