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

// sweepTime bounds the sweep of one Sync. A later Sync continues it.
const sweepTime = 2 * time.Second

// Run keeps every account current until ctx ends, with a pass every so often.
// Accounts added meanwhile wait for the next Run.
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

// keepCurrent is one account's event loop. It waits between passes, and an
// event begins the next pass. Due tasks are worked on at once, even within the
// provider's poll interval: somebody asked for them. A wake-up of the machine
// begins a whole pass. A pause lasts until the user resumes the account, or
// corrects the password file if a refused password is the cause.
func (e *Engine) keepCurrent(ctx context.Context, id storage.AccountID, every time.Duration) {
	a := e.account(id)
	defer a.retire(ctx)
	var next time.Time
	paused := false
	for got := tick; ctx.Err() == nil; {
		news := listen(e, a)
		if whole := got.has(tick | woken | reopened); whole || got.has(notified) {
			var begun bool
			begun, paused = e.runPass(ctx, a, every, whole || paused) // a paused account may have been resumed
			if whole || begun {
				next = time.Now().Add(max(every, a.pollInterval()))
			}
		}
		until, opened := next, e.store.Opened()
		if _, rests := e.store.Pause(); rests { // then begin the interrupted pass again at once
			until, news.reopened = time.Time{}, opened
		}
		got = awaitEvent(ctx, a, news, until)
	}
}

// lookEvery is how often the password file of a paused account is looked at.
const lookEvery = 5 * time.Second

// awaitEvent waits for an event, or until a time. While a refused password has
// paused the account, it also looks at the password file. A corrected file is
// worth a tick.
func awaitEvent(ctx context.Context, a *account, news listener, until time.Time) events {
	for a.awaitsCorrection(ctx) && (until.IsZero() || time.Until(until) > lookEvery) {
		if got := news.await(ctx, time.Now().Add(lookEvery)); got != tick {
			return got
		}
		if a.corrected(ctx) {
			return tick
		}
	}
	return news.await(ctx, until)
}

// runPass makes one pass over an account unless it is paused. If whole is
// false, it does so only when a task is due.
func (e *Engine) runPass(ctx context.Context, a *account, every time.Duration, whole bool) (begun, paused bool) {
	release, err := a.acquire(ctx)
	if err != nil {
		return false, false
	}
	defer release()
	var row storage.Account
	var run storage.RunID
	corrected := whole && a.corrected(ctx)
	err = e.queued(ctx, func(tx *storage.Writer) (err error) {
		begun = false
		if row, err = tx.Account(a.id); err == nil && corrected && row.PauseClass == class.Auth {
			if err = tx.ResumeAccount(a.id); err == nil {
				row, err = tx.Account(a.id)
			}
		}
		if err != nil || row.Paused {
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
		s := w.conclude(ctx)
		s.Seconds, s.Interrupted = time.Since(w.started).Seconds(), ctx.Err() != nil
		if e.passed != nil {
			e.passed(s)
			e.progress.Touch()
		}
	}
	return begun, row.Paused
}

// sweep deletes what is past its retention, at the start and every few hours.
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

// sweepIfDue is sweep for processes that end soon. It sweeps only when that is
// due, and for sweepTime at most.
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

// newPauseAfter is how far apart two pauses of the store must be for the second
// to be reported too.
const newPauseAfter = 10 * time.Minute

// isNewPause reports whether a pause of the store is to be reported.
func (e *Engine) isNewPause() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	news := now.Sub(e.pauseSeen) > newPauseAfter
	e.pauseSeen = now
	return news
}

// Sync brings accounts to the server's state in parallel. It returns when their
// tasks are done and the index has caught up. Then it sweeps, for sweepTime at
// most. Because the user asked, it ends a pause that a fault made and cuts
// waits after network faults short. A manual pause stays, but lets this one
// pass through.
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

// syncAccount makes the one pass of Sync over an account.
func (e *Engine) syncAccount(ctx context.Context, id storage.AccountID, o SyncOptions) Summary {
	start := time.Now()
	a := e.account(id)
	var row storage.Account
	var run storage.RunID
	release, err := a.acquire(ctx)
	if err != nil {
		//nolint:errcheck // it only names the account
		_ = e.store.Read(context.WithoutCancel(ctx), func(r *storage.Reader) (err error) {
			row, err = r.Account(id)
			return err
		})
		return Summary{Type: "summary", Account: row.Name, Result: Failed, Detail: err.Error(), Interrupted: true}
	}
	defer release()
	corrected := a.corrected(ctx)
	err = e.queued(ctx, func(tx *storage.Writer) (err error) {
		if row, err = tx.Account(id); err != nil {
			return err
		}
		paused := row.Paused && row.PauseClass != class.Manual
		again := paused && !corrected && !a.hasPassword() // the same password, as far as is known
		if err := a.setRow(row).allowRetryTx(tx, again, false); err != nil {
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
			NextStep: "mailcote errors says why", RetryAt: soon.At}
	}
	if err == nil {
		err = a.hurry(ctx, false)
	}
	if err != nil {
		f := fault.Classify(fault.In(fault.PhaseStore, err))
		return Summary{Type: "summary", Account: row.Name, Result: Failed, Class: f.Class, Detail: f.Detail,
			NextStep: f.NextStep(loginOf(row).named(row.Name)), Err: err, Interrupted: ctx.Err() != nil}
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

// startRun opens a run and enqueues its discovery. Until an account's first
// sync has succeeded, that one is the initial sync.
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
