package engine

import (
	"context"
	"fmt"
	"io"
	"time"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/chunk"
	"mailcote/engine/imap"
	"mailcote/engine/line"
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

// RetryQuarantined has quarantined messages tried at the next pass over their mailboxes, and enqueues it. Errors: storage.ErrNotFound
// for an ID that is not in quarantine.
func (e *Engine) RetryQuarantined(ctx context.Context, all []storage.Quarantined) error {
	err := e.store.Write(ctx, storage.Interactive, 0, func(w *storage.Writer) error {
		for _, q := range all {
			if err := w.AskQuarantined(q.ID); err != nil {
				return err
			}
			m, err := w.Mailbox(q.Mailbox)
			if err != nil {
				return err
			}
			if _, _, err := e.queue.EnqueueTx(w, queue.NewTask{Account: q.Account, Type: queue.FolderSync, Priority: max(m.Priority, queue.DefaultPriority), Hurry: true,
				Payload: queue.Payload{Folder: m.Path, Mailbox: q.Mailbox, PageSize: pageMost}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		for _, q := range all {
			e.queue.Notify(q.Account)
		}
	}
	return err
}

// Raw writes to out what the server will give of a quarantined message, on the connection that is a person's. Errors: what kept it from
// asking at all, or out's; what the server did is in the report.
func (e *Engine) Raw(ctx context.Context, q storage.Quarantined, out io.Writer) (chunk.Report, error) {
	var a storage.Account
	p := &pass{validity: q.Validity}
	if err := e.store.Read(ctx, func(r *storage.Reader) (err error) {
		if a, err = r.Account(q.Account); err != nil {
			return err
		}
		p.mailbox, err = r.Mailbox(q.Mailbox)
		return err
	}); err != nil {
		return chunk.Report{}, err
	}
	var lease *line.Lease
	defer func() {
		if lease != nil {
			lease.Give()
		}
	}()
	report, err := chunk.Download(ctx, func(ctx context.Context) (*imap.Session, error) {
		if lease != nil && lease.Session().Err() == nil {
			return lease.Session(), nil
		}
		s, err := e.person(ctx, a, &lease)
		if err != nil {
			return nil, err
		}
		p.s = s
		if err := p.examine(ctx); err != nil {
			return nil, err
		}
		if v := storage.UIDValidity(p.selected.UIDValidity); v != q.Validity {
			return nil, fmt.Errorf("the server has numbered %s anew since (UIDVALIDITY was %d, is %d): the next sync looks for the message", p.mailbox.Path, q.Validity, v)
		}
		return s, nil
	}, goimap.UID(q.UID), out)
	if err != nil {
		return report, Classify(err)
	}
	return report, nil
}

// NextTry is when a quarantined message is tried again by run; a sync that a person asks for tries it at once.
func NextTry(q storage.Quarantined) (at time.Time) {
	if q.Asked {
		return q.LastAt
	}
	return q.LastAt.Add(min(time.Minute<<min(q.Attempts-1, 12), 24*time.Hour))
}
