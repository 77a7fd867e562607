package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/fetch"
	"mailcote/engine/line"
	"mailcote/engine/meter"
	"mailcote/engine/progress"
	"mailcote/engine/reconcile"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/disk"
)

const (
	fruitless  = 5                     // tries in a row without progress that end a --once run
	onceWait   = 31 * time.Second      // the longest single wait a --once run accepts
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
	random  *rand.Rand
	started time.Time

	drought   drought
	unreached bool // the last dial came to nothing

	batches    atomic.Int64               // committed, for the watchdog
	progressed atomic.Bool                // a batch was committed since the last fault
	relisted   map[storage.MailboxID]bool // mailboxes a refusal has sent back to discovery
	discovered bool                       // the account's mailboxes were listed
	cut        string                     // why not all of them were; "": all were

	failed *Fault // what ended the work, nil while it goes on
}

// drought is what came of a worker's tasks since something useful was done.
type drought struct {
	tries   int               // attempts in a row that got no further
	waited  time.Duration     // in all, for the account or its host
	fault   *Fault            // the last one of a mailbox; nil: there was none
	mailbox storage.MailboxID // that mailbox
}

func (e *Engine) newWorker(a *account, once bool) *worker {
	e.progress.Update(a.name(), func(p *AccountProgress) { p.Fetched, p.Bytes = 0, 0 })
	return &worker{e: e, stream: stream{account: a, once: once}, random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
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
