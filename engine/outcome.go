package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailcote/engine/connpool"
	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/health"
	"mailcote/engine/plan"
	"mailcote/engine/progress"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/storage/disk"
)

// finish handles the end of a task. plan.Outcome decides what follows.
func (w *worker) finish(ctx context.Context, t queue.Task, err error) {
	progressed, nearer := w.progressed.Swap(false), w.fetcher.Bisection().Progressed()
	if progressed || err == nil && t.Type == queue.FolderSync { // a sign-in or a listing alone is no recovery
		w.streak = streak{}
		if noting := w.e.health.RecordSuccess(ctx, w.account.scope()); err == nil {
			err = noting
		}
	}
	if err == nil && t.Type == queue.FolderSync {
		w.account.health.Clear(t.Payload.Mailbox)
	}
	if err == nil || errors.Is(err, queue.ErrLeaseLost) {
		w.dialFailed = false
		return
	}
	s := w.situation(t, progressed || nearer)
	var held *fault.HeldError
	s.Stopped, s.NotTried = fault.Stopped(ctx), errors.As(err, &held)
	if s.Stopped || s.NotTried {
		w.dialFailed = s.NotTried
		_ = w.apply(ctx, t, fault.Fault{}, s) //nolint:errcheck // the next start releases it
		return
	}
	f := w.throttled(fault.Classify(err))
	if !plan.BeforeSelect(f.Phase, s.Work) {
		f = w.account.health.Attributed(ctx, t.Payload.Mailbox, f)
	}
	if !s.Progressed {
		w.streak.tries++
	}
	s.Streak = w.streak.tries
	s.NoFiles = disk.Exhausted(f.Err)
	s.NoRoom = errors.Is(f.Err, storage.ErrFull) || errors.Is(f.Err, storage.ErrPaused)
	s.NoSession = errors.Is(f.Err, fault.ErrStuck) && (w.lease == nil || w.lease.Session() == nil)
	w.handleFault(ctx, t, f, s)
}

// situation describes the circumstances of a fault that the worker knows
// without looking at the fault.
func (w *worker) situation(t queue.Task, progressed bool) plan.Situation {
	s := plan.Situation{
		Work: plan.NoTask, Once: w.once, Waited: w.streak.waited, Progressed: progressed,
		Elsewhere: w.streak.mailbox != 0 && w.streak.mailbox != t.Payload.Mailbox,
		GaveUp:    w.fetcher.Bisection().GaveUp(),
		Probing:   w.isProbe(t), Relisted: w.relisted[t.Payload.Mailbox],
	}
	switch {
	case t.ID == 0:
	case t.Type == queue.FolderSync:
		s.Work = plan.FolderSync
	default:
		s.Work = plan.Discovery
	}
	return s
}

// handleFault carries out the consequences of a fault. Those for the session,
// the meter and the breaker come first, because those for the task depend on
// how long the account backs off.
func (w *worker) handleFault(ctx context.Context, t queue.Task, f fault.Fault, s plan.Situation) {
	c := plan.Outcome(planFault(f), s)
	if c.Retire { // each idle account may keep a session
		w.e.everyPool(func(p *connpool.Pool) { p.Retire(ctx) })
	}
	if c.Throttle {
		w.meter.Fault(f.Class, f.ServerText, f.Crowded, f.Connections)
	}
	if c.Drop {
		w.drop()
	}
	w.fetcher.Shrink(f)
	if c.AwaitRoom {
		w.awaitStore(ctx, t, f, c)
		return
	}
	w.dialFailed = f.Phase == fault.PhaseConnect
	var err error
	if c.AccountWide {
		err = w.e.health.RecordFailure(ctx, w.account.scope(), f, c.Short)
	}
	if err == nil {
		hold, _ := w.hold()
		s.Until = hold.Until
		err = w.apply(ctx, t, f, s)
	}
	if t.Type == queue.FolderSync {
		w.streak.fault, w.streak.mailbox = &f, t.Payload.Mailbox
	}
	switch {
	case errors.Is(err, queue.ErrLeaseLost):
		w.failed = &f
	case err != nil:
		w.failed = &fault.Fault{Detail: err.Error(), Err: err,
			Verdict: policy.Verdict{Class: class.Storage, Scope: "store"}}
	}
	if c.Refused {
		w.relisted[t.Payload.Mailbox] = true
	}
}

// apply carries out the consequences for a task and its account in one
// transaction.
func (w *worker) apply(ctx context.Context, t queue.Task, f fault.Fault, s plan.Situation) error {
	return w.e.store.Write(context.WithoutCancel(ctx), storage.Interactive, 0, func(tx *storage.Writer) error {
		return w.applyTx(tx, t, f, s)
	})
}

func (w *worker) applyTx(tx *storage.Writer, t queue.Task, f fault.Fault, s plan.Situation) error {
	if t.ID != 0 { // progress since the claim has reset the count
		fresh, err := queue.Find(&tx.Reader, t.ID)
		if err != nil {
			return err
		}
		s.Tries = fresh.RetryCount + 1
	}
	s.Now, s.Delay = time.Now(), func(tries int) time.Duration { return w.e.health.Delay(f, tries) }
	c := plan.Outcome(planFault(f), s)
	why := queue.Failure{At: time.Now().UTC(), Class: f.Class, Message: f.Detail, Held: c.Held, Last: c.Last}
	if c.Record {
		if err := health.ReportTx(tx, w.faultRow(t, f)); err != nil {
			return err
		}
	}
	f.Class = c.Class
	if c.Rest {
		f.Resumes = c.At
		w.meter.Rest(c.At)
		if err := w.meter.SaveTx(tx); err != nil {
			return err
		}
	}
	if c.End {
		w.failed = &f
	}
	if c.Pause {
		if err := w.account.pauseTx(tx, f); err != nil {
			return err
		}
	}
	if c.Relist {
		list := queue.NewTask{Account: w.account.id, Type: queue.IncrementalSync, Priority: t.Priority}
		if _, _, err := w.e.queue.EnqueueTx(tx, list); err != nil {
			return err
		}
	}
	if c.CoolDown {
		w.account.health.CoolDown(t.Payload.Mailbox, f)
	}
	if c.Show {
		w.e.progress.Update(w.account.name(), func(a *AccountProgress) {
			a.State, a.Note, a.Until = progress.Waiting, f.Detail, c.At
		})
	}
	switch c.Task {
	case plan.Return:
		return w.e.queue.ReturnTx(tx, t)
	case plan.Retry:
		return w.e.queue.RetryTx(tx, t, c.At, why)
	case plan.Delay:
		return w.e.queue.DelayTx(tx, t, c.At, why)
	case plan.Fail:
		return w.e.queue.FailTx(tx, t, why)
	}
	return nil
}

// planFault returns the part of a fault that plan.Outcome looks at.
func planFault(f fault.Fault) plan.Fault {
	return plan.Fault{Verdict: f.Verdict, Phase: f.Phase, Said: f.ServerText != ""}
}

// faultRow returns the row that records a fault.
func (w *worker) faultRow(t queue.Task, f fault.Fault) storage.Fault {
	at := w.account.health.Place()
	at.Mailbox, at.Task, at.Attempt = t.Payload.Mailbox, t.ID, t.RetryCount+1
	return at.Row(f)
}

// coolingDown reports whether this worker skips a mailbox for now. A sync that
// the user asked for skips none.
func (w *worker) coolingDown(id storage.MailboxID) bool {
	_, held := w.account.health.HoldMailbox(time.Now(), id)
	return held && !w.once
}

// isProbe reports whether a background task retries a mailbox whose task has
// failed for good. Such a task has one attempt. Discovery enqueues none before
// the cooldown is over, so the user asked for any earlier one.
func (w *worker) isProbe(t queue.Task) bool {
	return !w.once && t.Type == queue.FolderSync && w.account.health.FailedBefore(time.Now(), t.Payload.Mailbox)
}

// throttled interprets an unexpected BYE; see health.Account.Throttled.
func (w *worker) throttled(f fault.Fault) fault.Fault {
	s := w.current.Load()
	if s == nil {
		return f
	}
	return w.account.health.Throttled(f, s.Opened())
}

// awaitStore returns a task that found no space in the store, and waits for
// space.
func (w *worker) awaitStore(ctx context.Context, t queue.Task, f fault.Fault, c plan.Consequence) {
	giveBack := func() error {
		if c.Task != plan.Return {
			return nil
		}
		return w.e.store.Write(context.WithoutCancel(ctx), storage.Interactive, 0, func(tx *storage.Writer) error {
			return w.e.queue.ReturnTx(tx, t)
		})
	}
	err := giveBack()
	if _, paused := w.e.store.Pause(); !paused && w.e.isNewPause() { // the pause is over already
		w.reportPause(ctx, f)
	}
	if c.End {
		w.failed = &f
	}
	if w.waitForStore(ctx) && err != nil {
		err = giveBack()
	}
	// otherwise the next pass or the next start releases the task
	if err != nil && !errors.Is(err, queue.ErrLeaseLost) && w.failed == nil {
		w.failed = &f
	}
}

// pauseFault returns the fault of a pause of the store.
func (w *worker) pauseFault(p disk.Pause) fault.Fault {
	err := storage.ErrPaused
	if p.Full() {
		err = storage.ErrFull
	}
	detail := strings.TrimPrefix(p.String(), err.Error())
	return fault.Classify(fault.In(fault.PhaseStore, fmt.Errorf("%w%s", err, detail)))
}

// reportPause records the fault of a pause. If the disk takes no row at all,
// the pause is reported again later.
func (w *worker) reportPause(ctx context.Context, f fault.Fault) {
	if err := health.Report(ctx, w.e.store, w.faultRow(queue.Task{}, f)); err != nil {
		w.e.mu.Lock()
		w.e.pauseSeen = time.Time{}
		w.e.mu.Unlock()
	}
}
