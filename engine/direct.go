package engine

import (
	"context"
	"errors"
	"time"

	"mailcote/queue"
	"mailcote/storage"
)

const phaseQueue = "queue"

// queued runs a transaction that uses the queue. When the queue's table cannot be used the engine does without it from then
// on: the same tasks, the same pager, the same coverage.
func (e *Engine) queued(ctx context.Context, fn func(*storage.Writer) error) error {
	err := e.store.Write(ctx, storage.Interactive, 0, fn)
	if !errors.Is(err, queue.ErrDelivery) || e.queue.Direct() {
		return err
	}
	if helpless := e.goDirect(ctx, err); helpless != nil {
		return errors.Join(err, helpless)
	}
	return e.store.Write(ctx, storage.Interactive, 0, fn)
}

// goDirect does without the queue's table and notes why.
func (e *Engine) goDirect(ctx context.Context, why error) error {
	if err := e.queue.GoDirect(ctx); err != nil {
		return err
	}
	return e.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
		return tx.RecordFault(storage.Fault{At: time.Now().UTC(), Class: string(Storage), Scope: "store", Phase: phaseQueue, Detail: why.Error(),
			NextStep: "mail is synced without it; mailcote check says what else is damaged", Fingerprint: phaseQueue})
	})
}

// Warnings are what the person should know about how this engine works, a sentence each.
func (e *Engine) Warnings() []string {
	if e.queue.Direct() && !e.o.Direct {
		return []string{"the queue's table cannot be used (mailcote errors says why): syncing directly, with the same mail and the same checkpoints"}
	}
	return nil
}
