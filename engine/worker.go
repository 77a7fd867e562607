package engine

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/fetch"
	"mailcote/engine/meter"
	"mailcote/engine/plan"
	"mailcote/engine/reconcile"
	"mailcote/queue"
	"mailcote/storage"
)

const (
	onceWait   = plan.OnceWait
	leastPause = 10 * time.Millisecond // between two looks at a queue that says something is due and shows nothing
)

// worker owns one account while its tasks run. With once it ends when the queue is empty, or after fruitless tries.
type worker struct {
	e *Engine
	stream
	every   time.Duration   // not once: the next pass is not put off longer than that by a task that waits
	only    map[string]bool // decoded mailbox names to sync; nil: all
	run     storage.RunID
	meter   *meter.Meter // the account's limits
	fetcher *fetch.Fetcher
	memory  reconcile.Memory
	started time.Time

	streak    streak
	unreached bool // the last dial came to nothing

	batches    atomic.Int64               // committed, for the watchdog
	progressed atomic.Bool                // a batch was committed since the last fault
	relisted   map[storage.MailboxID]bool // mailboxes a refusal has sent back to discovery
	discovered bool                       // the account's mailboxes were listed
	cut        string                     // why not all of them were; "": all were

	failed *Fault // what ended the work, nil while it goes on
}

// streak is what came of a worker's tasks since something useful was done: its fruitless attempts.
type streak struct {
	tries   int               // in a row; a task's own count is queue.Task.RetryCount (see plan.Situation)
	waited  time.Duration     // in all, for the account or its host
	fault   *Fault            // the last one of a mailbox; nil: there was none
	mailbox storage.MailboxID // that mailbox
}

func (e *Engine) newWorker(a *account, once bool) *worker {
	e.progress.Update(a.name(), func(p *AccountProgress) { p.Fetched, p.Bytes = 0, 0 })
	return &worker{e: e, stream: stream{account: a, once: once},
		started: time.Now().Truncate(time.Millisecond), relisted: map[storage.MailboxID]bool{}}
}

// work runs the account's tasks until none is left (once) or ctx ends. What ended it early is in failed.
func (w *worker) work(ctx context.Context) {
	if !w.metered(ctx) {
		return
	}
	w.until = ctx
	defer w.away(ctx)
	sat := false
	for ctx.Err() == nil && w.failed == nil {
		if !w.room(ctx) {
			return
		}
		news := w.e.listen(w.account)
		if hold, held := w.hold(); held {
			if !w.sit(ctx, news, hold) {
				return
			}
			sat = true
			continue
		}
		if sat {
			sat = false
			if err := w.e.queued(ctx, func(tx *storage.Writer) error { return w.e.queue.FreeTx(tx, w.account.id) }); err != nil {
				w.settle(ctx, queue.Task{}, in(phaseStore, err))
				continue
			}
		}
		t, ok, err := w.e.queue.Claim(ctx, w.account.id)
		if err != nil {
			w.settle(ctx, queue.Task{}, in(phaseStore, err))
			continue
		}
		if !ok {
			if !w.wait(ctx, news) {
				return
			}
			continue
		}
		w.settle(ctx, t, w.watched(ctx, t))
		w.release()
	}
}

// metered fetches the account's limits, and says whether the account may work. One that rests until later works then, or a
// --once run ends.
func (w *worker) metered(ctx context.Context) bool {
	m, err := w.account.meter(ctx)
	if err != nil {
		f := fault.Classify(err)
		w.failed = &f
		return false
	}
	w.meter = m
	w.fetcher = fetch.New(w.e.process, m, &w.account.suspects)
	until := m.Resumes()
	if rest := time.Until(until); w.once && rest > onceWait {
		w.failed = &Fault{Verdict: policy.Verdict{Class: Quota, Scope: "account", Wait: policy.Wait{Floor: rest}},
			Detail: "the account rests", Resumes: until}
		return false
	}
	return true
}

// wait waits until the next task is due, or for news. false: there is nothing to wait for.
func (w *worker) wait(ctx context.Context, news listener) bool {
	var at time.Time
	var any bool
	if err := w.e.store.Read(ctx, func(r *storage.Reader) (err error) {
		at, any, err = queue.Due(r, w.account.id)
		return err
	}); err != nil {
		w.settle(ctx, queue.Task{}, in(phaseStore, err))
		return false
	}
	if !any || w.yields() {
		return false
	}
	pause := time.Until(at)
	if !w.once && w.discovered && pause > w.every { // one mailbox's trouble is not the account's: the others are looked at again
		return false
	}
	if w.once && pause > onceWait {
		w.failed = &Fault{Verdict: policy.Verdict{Class: Quota, Scope: "account", Wait: policy.Wait{Floor: pause}},
			Detail: "the next try is at " + at.Local().Format("15:04")}
		return false
	}
	if pause <= 0 { // due and not given out: the clock was set back since it was sent
		if err := w.e.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
			_, err := w.e.queue.ReleaseTx(tx, w.account.id)
			return err
		}); err != nil {
			w.settle(ctx, queue.Task{}, in(phaseStore, err))
			return false
		}
	}
	news.await(ctx, time.Now().Add(min(max(pause, leastPause), longPause)))
	return true
}

// yields says whether a worker that has nothing to do but wait makes room for a person's.
func (w *worker) yields() bool { return !w.once && w.account.wanted() }

// do runs one task and turns a panic into an error, so that one bug costs one task.
func (w *worker) do(ctx context.Context, t queue.Task) (err error) {
	err = fault.Guard(func() error {
		switch t.Type {
		case queue.InitialSync, queue.IncrementalSync:
			return w.discover(ctx, t)
		case queue.FolderSync:
			return w.folder(ctx, t)
		}
		return errors.New("unknown task type " + string(t.Type))
	})
	var panicked *fault.PanicError
	if errors.As(err, &panicked) {
		w.drop()
	}
	return err
}
