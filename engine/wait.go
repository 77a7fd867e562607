package engine

import (
	"context"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/health"
	"mailcote/engine/plan"
	"mailcote/engine/progress"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/class"
)

const (
	onceWait = plan.OnceWait
	minPause = 10 * time.Millisecond // before looking again for a task that is due but was not delivered
	maxPause = 5 * time.Minute       // a longer wait is interrupted to look again

	storeWait    = 15 * time.Second // how long a --once run waits for space in the store
	storeRefresh = 5 * time.Second  // how often a waiting worker updates the shown free space
)

// waitForStore waits until the store accepts bulk writes. It keeps no
// connection meanwhile. A pause is reported once, however many tasks it stops.
// The result is false if something else ended the wait.
func (w *worker) waitForStore(ctx context.Context) bool {
	opened := w.e.store.Opened()
	p, paused := w.e.store.Pause()
	if !paused {
		return true
	}
	if w.e.isNewPause() {
		w.reportPause(ctx, w.pauseFault(p))
	}
	w.drop()
	late := time.Now().Add(storeWait)
	for ; paused; p, paused = w.e.store.Pause() {
		news := listen(w.e, w.account)
		news.reopened = opened
		if w.preempted() {
			return false
		}
		if w.once && !time.Now().Before(late) {
			f := w.pauseFault(p)
			w.failed = &f
			return false
		}
		w.e.progress.State(w.account.name(), progress.Waiting, health.OfStore(p).Detail)
		look := time.Now().Add(storeRefresh)
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

// waitForHold waits until a hold changes or another event comes. The result is
// false if the worker must not wait: it is preempted, or the wait is too long
// for a --once run.
func (w *worker) waitForHold(ctx context.Context, news listener, h health.Hold) bool {
	if w.preempted() {
		return false
	}
	now := time.Now()
	wait := h.Until.Sub(now)
	if h.Probing {
		wait = maxPause // until the other attempt has ended
	} else if w.once && w.streak.waited+wait > onceWait {
		w.failed = tooLong(h.Class, wait, h.String())
		return false
	}
	state := progress.Waiting
	if h.Offline() {
		state = progress.Offline
	}
	w.e.progress.Update(w.account.name(), func(a *AccountProgress) {
		a.State, a.Note, a.Until = state, h.Detail, h.Until
	})
	if wait > maxPause { // no connection is kept for so long
		w.account.retire(ctx)
	}
	news.released = h.Changed
	news.await(ctx, now.Add(min(wait, maxPause)))
	w.streak.waited += time.Since(now)
	return true
}

// waitForTask waits until the next task is due or another event comes. The
// result is false if there is nothing to wait for, or no time.
func (w *worker) waitForTask(ctx context.Context, news listener) bool {
	var at time.Time
	var any bool
	if err := w.e.store.Read(ctx, func(r *storage.Reader) (err error) {
		at, any, err = queue.Due(r, w.account.id)
		return err
	}); err != nil {
		w.finish(ctx, queue.Task{}, fault.In(fault.PhaseStore, err))
		return false
	}
	if !any || w.preempted() {
		return false
	}
	pause := time.Until(at)
	// one mailbox must not keep the others from their next pass
	if !w.once && w.discovered && pause > w.interval {
		return false
	}
	if w.once && pause > onceWait {
		w.failed = tooLong(class.Quota, pause, "the next try is at "+at.Local().Format("15:04"))
		return false
	}
	if pause <= 0 { // due but not delivered: the clock was set back since it was enqueued
		if err := w.e.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
			_, err := w.e.queue.ReleaseTx(tx, w.account.id)
			return err
		}); err != nil {
			w.finish(ctx, queue.Task{}, fault.In(fault.PhaseStore, err))
			return false
		}
	}
	news.await(ctx, time.Now().Add(min(max(pause, minPause), maxPause)))
	return true
}

// tooLong returns the fault that ends a --once run which would wait too long.
func tooLong(c class.Class, wait time.Duration, detail string) *fault.Fault {
	return &fault.Fault{Detail: detail,
		Verdict: policy.Verdict{Class: c, Scope: "account", Wait: policy.Wait{Floor: wait}}}
}

// preempted reports whether an idle background worker must give the account up
// because somebody waits for it.
func (w *worker) preempted() bool { return !w.once && w.account.wanted() }

// hold returns what forbids the worker's next task. The account and the
// provider's limit always count, the host only after a failed dial.
func (w *worker) hold() (health.Hold, bool) {
	host := ""
	if w.dialFailed {
		host = w.account.addr()
	}
	return w.account.hold(w.meter, host)
}
