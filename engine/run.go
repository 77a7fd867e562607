package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"mailcote/engine/clock"
	"mailcote/engine/progress"
	"mailcote/queue"
	"mailcote/storage"
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
		done.Go(func() { e.keep(ctx, a.ID, every) })
	}
	done.Go(func() { e.sweep(ctx) })
	done.Wait()
	if err := ctx.Err(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// keep is one account's event loop: it waits between passes, and what it hears begins the next one. Tasks that are due
// are worked on at once, even before the time that a provider wants between two looks: a person asked. After a sleep of
// the machine the mail is looked at again. A pause is respected until a person acts.
func (e *Engine) keep(ctx context.Context, id storage.AccountID, every time.Duration) {
	a := e.account(id)
	defer a.retire(ctx)
	var next time.Time
	paused := false
	for got := tick; ctx.Err() == nil; {
		news := e.listen(a)
		if whole := got.has(tick | woken | reopened); whole || got.has(notified) {
			var begun bool
			begun, paused = e.turn(ctx, a, every, whole || paused) // who was paused may have been resumed
			if whole || begun {
				next = time.Now().Add(max(every, a.poll()))
			}
		}
		until, opened := next, e.store.Opened()
		if _, rests := e.store.Pause(); rests { // the pass it stopped is begun again at once
			until, news.reopened = time.Time{}, opened
		}
		got = news.await(ctx, until)
	}
}

// turn is one pass over an account that is not paused. whole: also when none of its tasks is due.
func (e *Engine) turn(ctx context.Context, a *account, every time.Duration, whole bool) (begun, paused bool) {
	leave, err := a.own(ctx)
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
		run, err = e.begin(tx, row, queue.DefaultPriority)
		return err
	})
	if err == nil {
		a.read(row)
	}
	switch {
	case err != nil && ctx.Err() != nil:
	case err != nil:
		e.progress.State(row.Name, progress.Failed, err.Error())
	case row.Paused:
		a.retire(ctx)
		a.say(progress.Paused, row.PauseReason)
	case begun:
		w := e.newWorker(a, false)
		w.run, w.every = run, every
		w.work(ctx)
		e.progress.Update(row.Name, func(p *AccountProgress) { p.Interval = max(every, a.poll()) })
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
			e.report(err)
		}
		if clock.Sleep(ctx, storage.SweepEvery) != nil {
			return
		}
	}
}

// sweepSome does what sweep does, for who syncs now and then: when it is due, and within sweepTime.
func (e *Engine) sweepSome(ctx context.Context) {
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
		e.report(err)
	}
}
