package engine

import (
	"context"

	"mailcote/engine/fault"
	"mailcote/engine/plan"
	"mailcote/queue"
	"mailcote/storage"
)

// SetSynced leaves a mailbox out of the sync or takes it in again. Of one that
// is left out no task stays, and its mail does. One that is taken in goes on
// with what it has.
func (e *Engine) SetSynced(ctx context.Context, account storage.AccountID, id storage.MailboxID, on bool) error {
	err := e.queued(ctx, func(w *storage.Writer) error {
		if err := w.SetSynced(id, on); err != nil || on {
			return err
		}
		_, err := e.queue.ByHandTx(w, queue.Order{Verb: queue.VerbCancel,
			Selection: queue.Selection{Account: account, Mailbox: id, Type: queue.FolderSync}})
		return err
	})
	if err == nil {
		e.queue.Notify(account)
	}
	return err
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
