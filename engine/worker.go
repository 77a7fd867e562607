package engine

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/fetch"
	"mailcote/engine/health"
	"mailcote/engine/meter"
	"mailcote/engine/plan"
	"mailcote/engine/progress"
	"mailcote/engine/reconcile"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/class"
)

// worker owns one account while its tasks run. With once it ends when the queue
// is empty, or after fruitless attempts.
type worker struct {
	e *Engine
	stream
	interval time.Duration   // background only: a waiting task delays the next pass no longer than this
	only     map[string]bool // decoded mailbox names to sync; nil: all
	run      storage.RunID
	meter    *meter.Meter // the account's limits
	fetcher  *fetch.Fetcher
	memory   reconcile.Memory
	started  time.Time

	gone, flags int64 // stored messages that the server no longer has, and those with other flags

	streak     streak
	dialFailed bool // the last dial failed, so the host's breaker counts

	batches    atomic.Int64                      // committed, for the watchdog
	progressed atomic.Bool                       // a batch was committed since the last fault
	relisted   map[storage.MailboxID]bool        // mailboxes whose refusal has already led to a new listing
	broke      map[string]int                    // how often comparing a mailbox with stored ones broke the session
	discovered bool                              // the account's mailboxes were listed
	incomplete string                            // why the listing is incomplete; "": it is complete
	said       map[storage.MailboxID]plan.Status // of mailboxes to open, what STATUS said
	differs    map[storage.MailboxID]bool        // of them, those whose flags differ though nothing moved

	failed *fault.Fault // what ended the work; nil while it goes on
}

// streak counts a worker's fruitless attempts since it last made progress.
type streak struct {
	tries   int               // in a row; a task's own count is queue.Task.RetryCount (see plan.Situation)
	waited  time.Duration     // in all, for the account or its host
	fault   *fault.Fault      // the last fault of a mailbox; nil: there was none
	mailbox storage.MailboxID // the mailbox of that fault
}

func newWorker(e *Engine, a *account, once bool) *worker {
	e.progress.Update(a.name(), func(p *AccountProgress) { p.Fetched, p.Bytes, p.Gone, p.Flags = 0, 0, 0, 0 })
	return &worker{e: e, stream: stream{account: a, once: once},
		started: time.Now().Truncate(time.Millisecond), relisted: map[storage.MailboxID]bool{},
		said: map[storage.MailboxID]plan.Status{}, differs: map[storage.MailboxID]bool{}, broke: map[string]int{}}
}

// work runs the account's tasks until none is left (once) or ctx ends. If a
// fault ends it earlier, failed says which.
func (w *worker) work(ctx context.Context) {
	if !w.loadMeter(ctx) {
		return
	}
	w.until = ctx
	defer w.endWork(ctx)
	waited := false
	for ctx.Err() == nil && w.failed == nil {
		if !w.waitForStore(ctx) {
			return
		}
		news := listen(w.e, w.account)
		if hold, held := w.hold(); held {
			if !w.waitForHold(ctx, news, hold) {
				return
			}
			waited = true
			continue
		}
		if waited {
			waited = false
			if err := w.e.queued(ctx, func(tx *storage.Writer) error {
				return w.e.queue.FreeTx(tx, w.account.id)
			}); err != nil {
				w.finish(ctx, queue.Task{}, fault.In(fault.PhaseStore, err))
				continue
			}
		}
		t, ok, err := w.e.queue.Claim(ctx, w.account.id)
		if err != nil {
			w.finish(ctx, queue.Task{}, fault.In(fault.PhaseStore, err))
			continue
		}
		if !ok {
			if !w.waitForTask(ctx, news) {
				return
			}
			continue
		}
		w.finish(ctx, t, watched(ctx, w.activity, func(ctx context.Context) error {
			return w.runTask(ctx, t)
		}))
		w.release()
	}
}

// loadMeter loads the account's limits and reports whether the worker may
// begin. A --once run ends if the account rests for longer than it waits.
func (w *worker) loadMeter(ctx context.Context) bool {
	m, err := w.account.meter(ctx)
	switch {
	case err != nil && fault.Stopped(ctx):
		return false
	case err != nil:
		f := fault.Classify(err)
		w.failed = &f
		return false
	}
	w.meter = m
	w.fetcher = fetch.New(w.e.process, m, &w.account.suspects)
	until := m.Resumes()
	if rest := time.Until(until); w.once && rest > onceWait {
		w.failed = tooLong(class.Quota, rest, "the account rests")
		w.failed.Resumes = until
		return false
	}
	return true
}

// runTask runs one task and turns a panic into an error. A bug then costs one
// task and not the process.
func (w *worker) runTask(ctx context.Context, t queue.Task) (err error) {
	err = fault.Guard(func() error {
		switch t.Type {
		case queue.InitialSync, queue.IncrementalSync:
			return (&discovery{worker: w}).run(ctx, t)
		case queue.FolderSync:
			return w.syncFolder(ctx, t)
		}
		return errors.New("unknown task type " + string(t.Type))
	})
	var panicked *fault.PanicError
	if errors.As(err, &panicked) {
		w.drop()
	}
	return err
}

// syncFolder runs one folder_sync.
func (w *worker) syncFolder(ctx context.Context, t queue.Task) error {
	if ended, err := w.endUnsynced(ctx, t); err != nil || ended {
		return err
	}
	if _, err := w.connect(ctx); err != nil {
		return err
	}
	err := reconcile.Folder(ctx, reconcile.Task{
		Account: w.account.id, Mailbox: t.Payload.Mailbox, Sessions: &w.stream,
		Fetcher: w.fetcher, Memory: &w.memory, Tries: w.mayRetry, Said: w.said[t.Payload.Mailbox],
		Verify: w.differs[t.Payload.Mailbox], Wall: w.e.o.wall,
		Fetching: fetch.Job{
			Memory:     w.waitForMemory,
			Progressed: func() { w.progressed.Store(true) },
			StoredTx: func(tx *storage.Writer, path string, last storage.UID, s storage.Stored) error {
				if err := w.e.queue.ProgressTx(tx, t, path, last, s.New); err != nil {
					return err
				}
				return tx.CountRun(w.run, s.New, s.Bytes)
			},
			Stored: func(path string, messages int, s storage.Stored, docs []storage.IndexDoc) {
				w.e.progress.Fetched(w.account.name(), path, messages, s.Bytes)
				w.e.indexer.Offer(s.Emails, docs)
				w.batches.Add(1)
			},
			RecordTx: func(tx *storage.Writer, uid storage.UID, f fault.Fault, odd bool) error {
				row := w.faultRow(t, f)
				if row.UID = uid; odd {
					row.NextStep = ""
				}
				return health.ReportTx(tx, row)
			},
			Judge: w.throttled,
			InTrouble: func() bool {
				return !w.progressed.Load() && len(w.e.health.Rows(w.account.scope())) > 0
			},
		},
		ProgressTx: func(tx *storage.Writer, path string, last storage.UID, n int) error {
			return w.e.queue.ProgressTx(tx, t, path, last, n)
		},
		CompleteTx: func(tx *storage.Writer) error {
			_, err := w.e.queue.CompleteTx(tx, t)
			return err
		},
		Show: func(path string, done, total int64) { w.e.progress.Mailbox(w.account.name(), path, done, total) },
		Changed: func(gone, flags int) {
			w.gone, w.flags = w.gone+int64(gone), w.flags+int64(flags)
			w.e.progress.Count(w.account.name(), gone, flags)
		},
		Moved: func() { w.batches.Add(1) },
	})
	return w.noteForbidden(ctx, t, err)
}

// waitForMemory waits while the process is short of memory, and shows that.
func (w *worker) waitForMemory(ctx context.Context) error {
	if w.e.memory.Open() {
		return nil
	}
	w.account.showState(progress.Waiting, health.OfMemory().Detail)
	_, err := w.e.memory.Pass(ctx)
	w.account.showState(progress.Syncing, "")
	return fault.In(fault.PhaseFetch, err)
}

// mayRetry reports whether a quarantined message is tried again. A --once run
// tries it once, a background worker after growing waits. The user's retry is
// always tried.
func (w *worker) mayRetry(q storage.Quarantined) bool {
	if q.Asked {
		return true
	}
	if w.once {
		return q.LastAt.Before(w.started)
	}
	now := time.Now()
	return !now.Before(NextTry(q)) || now.Before(q.LastAt) // the clock was set back
}

// retriesDue returns the mailboxes that have quarantined messages, and whether
// any of them is tried again.
func (w *worker) retriesDue(r *storage.Reader) (map[storage.MailboxID]bool, error) {
	due := map[storage.MailboxID]bool{}
	sums, err := r.QuarantineSums(w.account.id, health.MostTries)
	for _, s := range sums {
		oldest := storage.Quarantined{Attempts: s.Attempts, Asked: s.Asked, LastAt: s.Oldest}
		newest := oldest
		newest.LastAt = s.Newest
		// the newest alone is due if the clock was set back
		due[s.Mailbox] = due[s.Mailbox] || w.mayRetry(oldest) || w.mayRetry(newest)
	}
	return due, err
}

// wants reports whether this worker syncs a mailbox.
func (w *worker) wants(path string) bool { return w.only == nil || w.only[path] }

// activity returns a number that changes whenever a byte or a batch moved.
func (w *worker) activity() int64 {
	n := w.batches.Load()
	if s := w.current.Load(); s != nil {
		n += s.BytesRead() + s.BytesWritten()
	}
	return n
}

// asks reports whether this worker asks the server for a mailbox.
func (w *worker) asks(m storage.Mailbox) bool { return plan.Asks(m, w.e.o.wall(), w.only != nil) }

// endUnsynced completes the task of a mailbox that was left out since.
func (w *worker) endUnsynced(ctx context.Context, t queue.Task) (ended bool, err error) {
	var m storage.Mailbox
	if err := w.e.store.Read(ctx, func(r *storage.Reader) (err error) {
		m, err = r.Mailbox(t.Payload.Mailbox)
		return err
	}); err != nil || m.Synced {
		return false, fault.In(fault.PhaseStore, err)
	}
	return true, fault.In(fault.PhaseStore, w.e.store.Write(ctx, storage.Interactive, 0,
		func(tx *storage.Writer) error {
			_, err := w.e.queue.CompleteTx(tx, t)
			return err
		}))
}

// noteForbidden completes the task of a mailbox that the account may not read,
// and notes the server's words with the mailbox. Any other error stays.
func (w *worker) noteForbidden(ctx context.Context, t queue.Task, err error) error {
	words, forbidden := fault.Forbidden(err)
	if !forbidden {
		return err
	}
	return fault.In(fault.PhaseStore, w.e.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
		if err := tx.SetRefused(t.Payload.Mailbox, words, w.e.o.wall()); err != nil {
			return err
		}
		_, err := w.e.queue.CompleteTx(tx, t)
		return err
	}))
}
