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
	minPause = 10 * time.Millisecond // between two looks at a queue that says something is due and shows nothing
	maxPause = 5 * time.Minute       // a longer wait looks again in between

	storeWait    = 15 * time.Second // how long a --once run waits for the store to be written again
	storeRefresh = 5 * time.Second  // how often a waiting worker tells how much room there is
)

// waitForStore waits until the store may be written in bulk, and holds no connection meanwhile. One row tells of a pause,
// however many tasks it stops. false: something else ended the wait.
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

// waitForHold waits while something forbids the next task, or for news. false: the worker has no time for that.
func (w *worker) waitForHold(ctx context.Context, news listener, h health.Hold) bool {
	if w.preempted() {
		return false
	}
	now := time.Now()
	wait := h.Until.Sub(now)
	if h.Probing {
		wait = maxPause // until it is over
	} else if w.once && w.streak.waited+wait > onceWait {
		w.failed = &fault.Fault{Verdict: policy.Verdict{Class: h.Class, Scope: "account", Wait: policy.Wait{Floor: wait}},
			Detail: h.String()}
		return false
	}
	state := progress.Waiting
	if h.Offline() {
		state = progress.Offline
	}
	w.e.progress.Update(w.account.name(), func(a *AccountProgress) {
		a.State, a.Note, a.Until = state, h.Detail, h.Until
	})
	if wait > maxPause { // a longer one keeps no connection
		w.account.retire(ctx)
	}
	news.released = h.Changed
	news.await(ctx, now.Add(min(wait, maxPause)))
	w.streak.waited += time.Since(now)
	return true
}

// waitForTask waits until the next task is due, or for news. false: there is nothing to wait for.
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
	// one mailbox's trouble is not the account's: the others are looked at again
	if !w.once && w.discovered && pause > w.interval {
		return false
	}
	if w.once && pause > onceWait {
		w.failed = &fault.Fault{Verdict: policy.Verdict{Class: class.Quota, Scope: "account", Wait: policy.Wait{Floor: pause}},
			Detail: "the next try is at " + at.Local().Format("15:04")}
		return false
	}
	if pause <= 0 { // due and not given out: the clock was set back since it was sent
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

// preempted says whether a worker that has nothing to do but wait makes room for a person's.
func (w *worker) preempted() bool { return !w.once && w.account.wanted() }

// hold says what forbids the worker's next task: trouble of the account, a provider's limit, and trouble of the
// host when the last dial came to nothing.
func (w *worker) hold() (health.Hold, bool) {
	host := ""
	if w.dialFailed {
		host = w.account.addr()
	}
	return w.account.hold(w.meter, host)
}
