package engine

import (
	"context"

	"mailcote/queue"
	"mailcote/storage"
)

// PauseAccounts stops accounts until a person resumes them. `run` respects it as any other pause; a sync that names the account
// makes one pass and leaves it in place, and only ResumeAccounts ends it. It takes the place of a pause that a fault made.
func (e *Engine) PauseAccounts(ctx context.Context, ids []storage.AccountID, reason string) error {
	if reason == "" {
		reason = "paused by hand"
	}
	return e.store.Write(ctx, storage.Interactive, 0, func(w *storage.Writer) error {
		for _, id := range ids {
			if err := w.PauseAccount(id, storage.ByHand, reason); err != nil {
				return err
			}
		}
		return nil
	})
}

// ResumeAccounts ends any pause of accounts. A person acts: their waiting tasks are due, but for those a quota holds.
func (e *Engine) ResumeAccounts(ctx context.Context, ids []storage.AccountID) error {
	err := e.queued(ctx, func(w *storage.Writer) error {
		for _, id := range ids {
			if err := w.ResumeAccount(id); err != nil {
				return err
			}
			if err := e.queue.HurryTx(w, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		for _, id := range ids {
			e.queue.Notify(id)
		}
	}
	return err
}

// Tasks carries out a person's order on tasks; see queue.ByHand.
func (e *Engine) Tasks(ctx context.Context, o queue.Order) ([]queue.Outcome, error) {
	return e.queue.ByHand(ctx, o)
}
