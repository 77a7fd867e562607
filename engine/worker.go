package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"mailcote/engine/imap"
	"mailcote/engine/plan"
	"mailcote/queue"
	"mailcote/storage"
)

const (
	fruitless  = 5                // tries in a row without progress that end a --once run, or a task that may fail
	onceWait   = 31 * time.Second // the longest single wait a --once run accepts
	bugRetries = 2
)

// worker owns one account while its tasks run.
type worker struct {
	e       *Engine
	account storage.Account
	once    bool            // end when the queue is empty; network faults end it after fruitless tries
	only    map[string]bool // decoded mailbox names to sync; nil: all
	run     storage.RunID
	session *imap.Session
	page    int // UIDs a FETCH asks for
	suspect suspicion
	random  *rand.Rand

	wire   int64  // bytes taken from the server by sessions that ended
	failed *Fault // what ended the work, nil while it goes on
}

func (e *Engine) newWorker(a storage.Account, once bool) *worker {
	return &worker{e: e, account: a, once: once, page: pageStart, random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
}

// work runs the account's tasks until none is left (once) or ctx ends. What ended it early is in failed.
func (w *worker) work(ctx context.Context) {
	defer w.leave(ctx)
	for ctx.Err() == nil && w.failed == nil {
		t, ok, err := w.e.queue.Claim(ctx, w.account.ID)
		if err != nil {
			w.settle(ctx, queue.Task{}, in(phaseStore, err))
			continue
		}
		if !ok {
			if !w.wait(ctx) {
				return
			}
			continue
		}
		w.settle(ctx, t, w.do(ctx, t))
	}
}

// wait sleeps until the next task is due or something is enqueued. false: there is nothing to wait for.
func (w *worker) wait(ctx context.Context) bool {
	var at time.Time
	var any bool
	if err := w.e.store.Read(ctx, func(r *storage.Reader) (err error) {
		at, any, err = queue.Due(r, w.account.ID)
		return err
	}); err != nil {
		return false
	}
	if !any {
		return false
	}
	pause := time.Until(at)
	if w.once && pause > onceWait {
		w.failed = &Fault{Class: Quota, Scope: "account", Detail: "the next try is at " + at.Local().Format("15:04"), Wait: pause}
		return false
	}
	timer := time.NewTimer(max(pause, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.e.queue.Wake(w.account.ID):
	case <-ctx.Done():
	}
	return true
}

// do runs one task and turns a panic into an error, so that one bug costs one task.
func (w *worker) do(ctx context.Context, t queue.Task) (err error) {
	defer func() {
		if p := recover(); p != nil {
			w.drop()
			err = &panicError{p, debug.Stack()}
		}
	}()
	switch t.Type {
	case queue.InitialSync, queue.IncrementalSync:
		return w.discover(ctx, t)
	case queue.FolderSync:
		return w.folder(ctx, t)
	}
	return errors.New("unknown task type " + string(t.Type))
}

// settle acts on how a task ended: the one place where faults have consequences.
func (w *worker) settle(ctx context.Context, t queue.Task, err error) {
	if err == nil || errors.Is(err, queue.ErrLeaseLost) {
		return
	}
	always := context.WithoutCancel(ctx)
	if ctx.Err() != nil { // a clean stop gives the attempt back
		_ = w.e.store.Write(always, storage.Interactive, 0, func(tx *storage.Writer) error { return w.e.queue.ReturnTx(tx, t) }) //nolint:errcheck // the next start releases it
		return
	}
	f := Classify(err)
	if w.session != nil && w.session.Err() != nil || f.Class == Protocol || f.Class == Timeout {
		w.drop()
	}
	w.shrink(f)
	if recording := w.e.store.Write(always, storage.Interactive, 0, func(tx *storage.Writer) error { return w.act(tx, t, f) }); recording != nil {
		w.failed = &f
		if !errors.Is(recording, queue.ErrLeaseLost) {
			w.failed = &Fault{Class: Storage, Scope: "store", Detail: recording.Error(), Err: recording}
		}
	}
}

// act records a fault and does what its class asks for, in one transaction.
func (w *worker) act(tx *storage.Writer, t queue.Task, f Fault) error {
	if err := tx.RecordFault(w.record(t, f)); err != nil {
		return err
	}
	why := queue.Failure{At: time.Now().UTC(), Class: string(f.Class), Message: f.Detail}
	if t.ID == 0 {
		w.failed = &f
		return nil
	}
	fresh, err := queue.Find(&tx.Reader, t.ID) // progress since the claim has zeroed the count
	if err != nil {
		return err
	}
	tries := fresh.RetryCount + 1
	switch f.Class {
	case Auth, TLS:
		w.failed = &f
		if err := tx.PauseAccount(w.account.ID, string(f.Class), f.Detail); err != nil {
			return err
		}
		return w.e.queue.ReturnTx(tx, t)
	case Network, Timeout, Quota, Storage:
		delay := max(plan.Backoff(tries, w.random), f.Wait)
		if w.once && (tries >= fruitless || f.Class == Quota || delay > onceWait) {
			w.failed = &f
		}
		w.e.progress.update(w.account.Name, func(a *AccountProgress) {
			a.State, a.Note, a.Until = "waiting", f.Detail, time.Now().Add(delay)
		})
		return w.e.queue.RetryTx(tx, t, time.Now().Add(delay), why)
	case Mailbox:
		// The mailbox went or moved: a discovery decides, and enqueues what is left to do.
		if t.Type == queue.FolderSync && tries < fruitless {
			if _, _, err := w.e.queue.EnqueueTx(tx, queue.NewTask{Account: w.account.ID, Type: queue.IncrementalSync, Priority: t.Priority}); err != nil {
				return err
			}
		}
		return w.e.queue.FailTx(tx, t, why)
	case Bug:
		if tries > bugRetries {
			return w.e.queue.FailTx(tx, t, why)
		}
	}
	if tries >= fruitless {
		return w.e.queue.FailTx(tx, t, why)
	}
	return w.e.queue.RetryTx(tx, t, time.Now().Add(plan.Backoff(tries, w.random)), why)
}

// record is the row a fault leaves.
func (w *worker) record(t queue.Task, f Fault) storage.Fault {
	return storage.Fault{
		At: time.Now().UTC(), Account: w.account.ID, Mailbox: t.Payload.Mailbox, Task: t.ID,
		Class: string(f.Class), Scope: f.Scope, Phase: f.Phase, Command: f.Command, ServerText: f.ServerText, Detail: f.Detail,
		NextStep: f.NextStep(w.account.Name), Attempt: t.RetryCount + 1, Stack: f.Stack,
		Fingerprint: f.fingerprint(w.account.ID, t.Payload.Mailbox),
	}
}
