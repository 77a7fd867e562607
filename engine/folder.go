package engine

import (
	"context"

	"mailcote/engine/fault"
	"mailcote/engine/fetch"
	"mailcote/engine/health"
	"mailcote/engine/progress"
	"mailcote/engine/reconcile"
	"mailcote/queue"
	"mailcote/storage"
)

// folder runs one folder_sync.
func (w *worker) folder(ctx context.Context, t queue.Task) error {
	if _, err := w.connect(ctx); err != nil {
		return err
	}
	return reconcile.Folder(ctx, reconcile.Task{
		Account: w.account.id, Mailbox: t.Payload.Mailbox, Line: &w.stream,
		Fetcher: w.fetcher, Memory: &w.memory, Tries: w.retries,
		Fetching: fetch.Job{
			Memory:     w.spare,
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
				row := w.record(t, f)
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
		Show:  func(path string, done, total int64) { w.e.progress.Mailbox(w.account.name(), path, done, total) },
		Moved: func() { w.batches.Add(1) },
	})
}

// spare waits while the process is short of memory, and says so.
func (w *worker) spare(ctx context.Context) error {
	if w.e.memory.Open() {
		return nil
	}
	w.account.say(progress.Waiting, "memory is short: it goes on when there is room")
	_, err := w.e.memory.Pass(ctx)
	w.account.say(progress.Syncing, "")
	return in(phaseFetch, err)
}
