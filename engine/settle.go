package engine

import (
	"context"
	"errors"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/line"
	"mailcote/engine/progress"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/disk"
)

// settle acts on how a task ended: the one place where faults have consequences.
func (w *worker) settle(ctx context.Context, t queue.Task, err error) {
	progressed, narrowed := w.progressed.Swap(false), w.fetcher.Bisection().Progressed()
	if progressed || err == nil && t.Type == queue.FolderSync { // a sign-in or a listing alone is no recovery
		w.drought = drought{}
		if noting := w.e.recordSuccess(ctx, w.account.scope()); err == nil {
			err = noting
		}
	}
	if err == nil && t.Type == queue.FolderSync {
		w.account.clear(t.Payload.Mailbox)
	}
	if err == nil || errors.Is(err, queue.ErrLeaseLost) {
		w.unreached = false
		return
	}
	var held *fault.HeldError
	if fault.Stopped(ctx) || errors.As(err, &held) { // it gives the attempt back
		w.unreached = held != nil
		_ = w.e.store.Write(context.WithoutCancel(ctx), storage.Interactive, 0, func(tx *storage.Writer) error { return w.e.queue.ReturnTx(tx, t) }) //nolint:errcheck // the next start releases it
		return
	}
	f := w.throttled(fault.Classify(err))
	if !early(t, f) {
		f = w.account.attributed(ctx, t.Payload.Mailbox, f)
	}
	if disk.Exhausted(f.Err) { // accounts that have nothing to do keep a session each
		w.e.everyPool(func(p *line.Pool) { p.Retire(ctx) })
	}
	if !errors.Is(f.Err, fault.ErrStuck) || w.lease != nil && w.lease.Session() != nil { // a wait for a session is no silence of the server's
		w.meter.Fault(f.Class, f.ServerText, f.Crowded, f.Connections)
	}
	if (f.Class == Protocol || f.Class == Timeout) && !f.Lives && (f.ServerText == "" || !w.probes(t)) { // a session that is over goes when it is given back
		w.drop()
	}
	w.fetcher.Shrink(f)
	if !progressed && !narrowed {
		w.drought.tries++
	}
	if errors.Is(f.Err, storage.ErrFull) || errors.Is(f.Err, storage.ErrPaused) {
		w.giveWay(ctx, t, f)
		return
	}
	w.unreached = f.Phase == phaseConnect
	failed := w.punish(ctx, t, f, progressed || narrowed)
	if t.Type == queue.FolderSync {
		w.drought.fault, w.drought.mailbox = &f, t.Payload.Mailbox
	}
	if failed != nil {
		w.failed = &f
		if !errors.Is(failed, queue.ErrLeaseLost) {
			w.failed = &Fault{Verdict: policy.Verdict{Class: Storage, Scope: "store"}, Detail: failed.Error(), Err: failed}
		}
	}
	if f.Class == Mailbox {
		w.relisted[t.Payload.Mailbox] = true
	}
}

// punish notes a fault of the account (one of the host is noted by the dial that met it), and acts.
func (w *worker) punish(ctx context.Context, t queue.Task, f Fault, further bool) error {
	if w.wholly(t, f) && !w.unreached {
		if err := w.e.recordFailure(ctx, w.account.scope(), f, further && f.Class != Quota); err != nil {
			return err
		}
	}
	hold, _ := w.hold()
	return w.e.store.Write(context.WithoutCancel(ctx), storage.Interactive, 0, func(tx *storage.Writer) error { return w.act(tx, t, f, further, hold.Until) })
}

// wholly says whether a fault is the account's: another task would be no luckier. Trouble with one mailbox, message or the
// store is not; a line that breaks in one mailbox may be the mailbox's doing, in a second one it is the line.
func (w *worker) wholly(t queue.Task, f Fault) bool {
	if f.Class == Storage || f.Do == policy.Pause {
		return false
	}
	elsewhere := w.drought.mailbox != 0 && w.drought.mailbox != t.Payload.Mailbox
	return f.Class == Network && (elsewhere || w.fetcher.Bisection().GaveUp()) || f.Class == Quota || early(t, f)
}

// early says whether a fault came before any mailbox was opened.
func early(t queue.Task, f Fault) bool {
	return t.Type != queue.FolderSync || f.Phase == phaseConnect || f.Phase == phaseSignIn || f.Phase == phaseDiscover
}

// act records a fault and does what its class asks for, in one transaction. The account or its host is let be until then.
func (w *worker) act(tx *storage.Writer, t queue.Task, f Fault, further bool, until time.Time) error {
	if err := tx.RecordFault(w.record(t, f)); err != nil {
		return err
	}
	why := queue.Failure{At: time.Now().UTC(), Class: f.Class, Message: f.Detail}
	if t.ID == 0 {
		w.failed = &f
		return nil
	}
	fresh, err := queue.Find(&tx.Reader, t.ID) // progress since the claim has zeroed the count
	if err != nil {
		return err
	}
	tries := fresh.RetryCount + 1
	if f.Then != "" && tries > f.Tries {
		f.Class, f.Do = f.Then, policy.PolicyOf(f.Then).Do
	}
	switch f.Do {
	case policy.Pause:
		w.failed = &f
		if err := tx.PauseAccount(w.account.id, f.Class, f.Detail); err != nil {
			return err
		}
		return w.e.queue.ReturnTx(tx, t)
	case policy.Relist:
		// The mailbox went or moved: a discovery decides, and enqueues what is left to do. Once: a mailbox that is listed and
		// cannot be opened would go round for ever.
		if t.Type == queue.FolderSync && !w.relisted[t.Payload.Mailbox] {
			if _, _, err := w.e.queue.EnqueueTx(tx, queue.NewTask{Account: w.account.id, Type: queue.IncrementalSync, Priority: t.Priority}); err != nil {
				return err
			}
		}
		return w.fail(tx, t, f, why)
	}
	if further {
		tries = 0
	}
	at := time.Now()
	planned := f.Class == Quota && f.ServerText == "" // a rest that our own figures ask for is nobody's doing
	why.Last = w.wholly(t, f) && !further && !planned && !early(t, f)
	switch why.Held = until.After(at) && (f.Class == Quota || early(t, f)); {
	case why.Held: // what is no fault of the task's is over when the account is tried again
		at = until
	case !early(t, f) || f.Class == Storage:
		at = at.Add(w.e.delay(f, tries))
	}
	if f.Do == policy.Limit && (tries >= f.Tries || tries > 0 && w.probes(t) || w.once && time.Until(at) > onceWait) {
		return w.fail(tx, t, f, why)
	}
	if f.Do == policy.Retry {
		rest := max(time.Until(at), time.Until(until))
		if f.Class == Quota {
			f.Resumes = at
			w.meter.Rest(at)
			if err := w.meter.SaveTx(tx); err != nil {
				return err
			}
		}
		if w.once && (max(tries, w.drought.tries) >= fruitless || f.Class == Quota || w.drought.waited+rest > onceWait) {
			w.failed = &f
		}
		if until.IsZero() { // else sit says so
			w.e.progress.Update(w.account.name(), func(a *AccountProgress) { a.State, a.Note, a.Until = progress.Waiting, f.Detail, at })
		}
	}
	if further {
		return w.e.queue.DelayTx(tx, t, at, why)
	}
	return w.e.queue.RetryTx(tx, t, at, why)
}

// fail ends a task for good. Without its discovery the account got nowhere; without a folder_sync its mailbox is not complete,
// which the discovery has noted.
func (w *worker) fail(tx *storage.Writer, t queue.Task, f Fault, why queue.Failure) error {
	if t.Type != queue.FolderSync {
		w.failed = &f
	} else if f.Do != policy.Relist || w.relisted[t.Payload.Mailbox] {
		w.account.coolDown(t.Payload.Mailbox, f)
	}
	return w.e.queue.FailTx(tx, t, why)
}

// record is the row a fault leaves.
func (w *worker) record(t queue.Task, f Fault) storage.Fault {
	return storage.Fault{
		At: time.Now().UTC(), Account: w.account.id, Mailbox: t.Payload.Mailbox, Task: t.ID,
		Class: f.Class, Scope: f.Scope, Phase: f.Phase, Command: f.Command, ServerText: f.ServerText, Detail: f.Detail,
		NextStep: f.NextStep(w.account.name()), Attempt: t.RetryCount + 1, Stack: f.Stack,
		Fingerprint: f.Fingerprint(w.account.id, t.Payload.Mailbox),
	}
}
