package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"mailcote/engine/clock"
	"mailcote/engine/fault"
	"mailcote/engine/progress"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/class"
)

// sweepTime bounds the sweep of one Sync; a later one goes on.
const sweepTime = 2 * time.Second

// Run keeps every account current until ctx ends: a pass each, then another every so often. Accounts that are added
// meanwhile wait for the next Run.
func (e *Engine) Run(ctx context.Context, every time.Duration) error {
	var accounts []storage.Account
	if err := e.store.Read(ctx, func(r *storage.Reader) (err error) {
		accounts, err = r.Accounts()
		return err
	}); err != nil {
		return err
	}
	var done sync.WaitGroup
	for _, a := range accounts {
		done.Go(func() { e.keepCurrent(ctx, a.ID, every) })
	}
	done.Go(func() { e.sweep(ctx) })
	done.Wait()
	if err := ctx.Err(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// keepCurrent is one account's event loop: it waits between passes, and what it hears begins the next one. Tasks that are due
// are worked on at once, even before the time that a provider wants between two looks: a person asked. After a sleep of
// the machine the mail is looked at again. A pause is respected until a person acts.
func (e *Engine) keepCurrent(ctx context.Context, id storage.AccountID, every time.Duration) {
	a := e.account(id)
	defer a.retire(ctx)
	var next time.Time
	paused := false
	for got := tick; ctx.Err() == nil; {
		news := listen(e, a)
		if whole := got.has(tick | woken | reopened); whole || got.has(notified) {
			var begun bool
			begun, paused = e.runPass(ctx, a, every, whole || paused) // who was paused may have been resumed
			if whole || begun {
				next = time.Now().Add(max(every, a.pollInterval()))
			}
		}
		until, opened := next, e.store.Opened()
		if _, rests := e.store.Pause(); rests { // the pass it stopped is begun again at once
			until, news.reopened = time.Time{}, opened
		}
		got = news.await(ctx, until)
	}
}

// runPass is one pass over an account that is not paused. whole: also when none of its tasks is due.
func (e *Engine) runPass(ctx context.Context, a *account, every time.Duration, whole bool) (begun, paused bool) {
	leave, err := a.acquire(ctx)
	if err != nil {
		return false, false
	}
	defer leave()
	var row storage.Account
	var run storage.RunID
	err = e.queued(ctx, func(tx *storage.Writer) (err error) {
		begun = false
		if row, err = tx.Account(a.id); err != nil || row.Paused {
			return err
		}
		if _, err := e.queue.ReleaseTx(tx, a.id); err != nil {
			return err
		}
		if !whole {
			at, any, err := queue.Due(&tx.Reader, a.id)
			if err != nil || !any || at.After(time.Now()) {
				return err
			}
		}
		begun = true
		run, err = e.startRun(tx, row, queue.DefaultPriority)
		return err
	})
	if err == nil {
		a.setRow(row)
	}
	switch {
	case err != nil && ctx.Err() != nil:
	case err != nil:
		e.progress.State(row.Name, progress.Failed, err.Error())
	case row.Paused:
		a.retire(ctx)
		a.showState(progress.Paused, row.PauseReason)
	case begun:
		w := newWorker(e, a, false)
		w.run, w.interval = run, every
		w.work(ctx)
		e.progress.Update(row.Name, func(p *AccountProgress) { p.Interval = max(every, a.pollInterval()) })
		w.conclude(ctx)
	}
	return begun, row.Paused
}

// sweep ends what its retention kept, at the start and every few hours.
func (e *Engine) sweep(ctx context.Context) {
	for {
		at := e.o.wall()
		ok, err := e.store.MaySweep(ctx, at)
		if ok && err == nil {
			_, err = e.store.Sweep(ctx, at, e.o.Keep)
		}
		if err != nil && ctx.Err() == nil {
			e.reportFault(err)
		}
		if clock.Sleep(ctx, storage.SweepEvery) != nil {
			return
		}
	}
}

// sweepIfDue does what sweep does, for who syncs now and then: when it is due, and within sweepTime.
func (e *Engine) sweepIfDue(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	at := e.o.wall()
	ok, err := e.store.SweepDue(ctx, at, e.o.Keep)
	if ok && err == nil {
		ok, err = e.store.MaySweep(ctx, at)
	}
	if ok && err == nil {
		_, err = e.store.Sweep(ctx, at, e.o.Keep)
	}
	if err != nil && ctx.Err() == nil {
		e.reportFault(err)
	}
}

// newPauseAfter is how closely pauses of the store may follow one another that are told of once.
const newPauseAfter = 10 * time.Minute

// isNewPause says whether a pause of the store is news.
func (e *Engine) isNewPause() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	news := now.Sub(e.pauseSeen) > newPauseAfter
	e.pauseSeen = now
	return news
}

// Sync brings accounts to the server's state, side by side, and returns when their tasks are done and the index
// caught up. What its retention kept ends after that, within sweepTime. A person asked: a pause that a fault made
// ends, and waits after network faults are cut short. A pause by hand lets this one pass through and stays.
func (e *Engine) Sync(ctx context.Context, ids []storage.AccountID, o SyncOptions) []Summary {
	all := make([]Summary, len(ids))
	var done sync.WaitGroup
	for i, id := range ids {
		done.Go(func() { all[i] = e.syncAccount(ctx, id, o) })
	}
	done.Wait()
	e.sweepIfDue(ctx)
	return all
}

func (e *Engine) syncAccount(ctx context.Context, id storage.AccountID, o SyncOptions) Summary {
	start := time.Now()
	a := e.account(id)
	var row storage.Account
	var run storage.RunID
	leave, err := a.acquire(ctx)
	if err != nil {
		_ = e.store.Read(context.WithoutCancel(ctx),
			func(r *storage.Reader) (err error) { //nolint:errcheck // it only names the account
				row, err = r.Account(id)
				return err
			})
		return Summary{Type: "summary", Account: row.Name, Result: Failed, Detail: err.Error(), Interrupted: true}
	}
	defer leave()
	err = e.queued(ctx, func(tx *storage.Writer) (err error) {
		if row, err = tx.Account(id); err != nil {
			return err
		}
		paused := row.Paused && row.PauseClass != class.Manual
		if err := a.setRow(row).allowRetryTx(tx, paused && !a.hasPassword(), false); err != nil {
			return err
		}
		if paused {
			if err := tx.ResumeAccount(id); err != nil {
				return err
			}
		}
		if _, err := e.queue.ReleaseTx(tx, id); err != nil {
			return err
		}
		if err := e.queue.HurryTx(tx, id); err != nil {
			return err
		}
		run, err = e.startRun(tx, row, 8)
		return err
	})
	if soon := (*TooSoonError)(nil); errors.As(err, &soon) {
		return Summary{Type: "summary", Account: row.Name, Result: Failed, Class: class.Quota, Detail: soon.Error(),
			NextStep: "mailcote errors says why"}
	}
	if err == nil {
		err = a.hurry(ctx, false)
	}
	if err != nil {
		f := fault.Classify(fault.In(fault.PhaseStore, err))
		return Summary{Type: "summary", Account: row.Name, Result: Failed, Class: f.Class, Detail: f.Detail,
			NextStep: f.NextStep(row.Name), Err: err, Interrupted: ctx.Err() != nil}
	}
	w := newWorker(e, a, true)
	w.run = run
	if len(o.Mailboxes) > 0 {
		w.only = map[string]bool{}
		for _, name := range o.Mailboxes {
			w.only[name] = true
		}
	}
	w.work(ctx)
	s := w.conclude(ctx)
	s.Readable = time.Since(start).Seconds()
	if err := e.indexer.Drain(ctx); err != nil && s.Result == Complete && ctx.Err() == nil {
		s.Result, s.Class, s.Detail, s.Err = Partial, class.Storage, err.Error(), err
	}
	s.Seconds = time.Since(start).Seconds()
	s.Interrupted = ctx.Err() != nil
	return s
}

// startRun opens a run and its discovery. An account whose first one is still to come keeps that one.
func (e *Engine) startRun(tx *storage.Writer, a storage.Account, priority int) (storage.RunID, error) {
	kind := queue.IncrementalSync
	if a.LastSuccess.IsZero() {
		kind = queue.InitialSync
	}
	if _, _, err := e.queue.EnqueueTx(tx, queue.NewTask{Account: a.ID, Type: kind, Priority: priority,
		Hurry: priority > queue.DefaultPriority}); err != nil {
		return 0, err
	}
	return tx.StartRun(a.ID)
}
