package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/fetch"
	"mailcote/engine/health"
	"mailcote/engine/meter"
	"mailcote/engine/plan"
	"mailcote/engine/secret"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/class"
)

// minRetryGap is the shortest time between two manual retries that cut a wait
// short.
const minRetryGap = 30 * time.Second

// PauseAccounts stops accounts until the user resumes them. It replaces a pause
// that a fault made. Run respects it like any other pause. A sync that names
// the account makes one pass, and the pause stays.
func (e *Engine) PauseAccounts(ctx context.Context, ids []storage.AccountID, reason string) error {
	if reason == "" {
		reason = "paused by hand"
	}
	err := e.store.Write(ctx, storage.Interactive, 0, func(w *storage.Writer) error {
		for _, id := range ids {
			if err := w.PauseAccount(id, class.Manual, reason); err != nil {
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

// TooSoonError says that a manual retry came right after the one before. It
// changed nothing.
type TooSoonError struct {
	Account string
	At      time.Time // when the next retry is allowed
}

func (e *TooSoonError) Error() string {
	return fmt.Sprintf("%s was tried again by hand just now and its server still refuses: the next try is possible "+
		"at %s", e.Account, e.At.Local().Format("15:04:05"))
}

// allowRetryTx lets the user cut short what the account and its host wait for.
// Only force ends the wait for a quota. Retries have a minimum gap, so that a
// user cannot hammer a server. A retry that cuts nothing short is not counted.
// waits says that the account is paused, or that its rest is to end, whatever
// else it waits for. tx records the retry and must store what it changes.
func (a *account) allowRetryTx(tx *storage.Writer, waits, force bool) error {
	now := time.Now()
	hold, held := a.health.Hold(now, a.addr())
	if !waits && (!held || hold.Hurry() == health.Forced && !force) {
		return nil
	}
	soon, err := a.health.RetryTx(tx, now, a.o.retryGap)
	if err == nil && soon.Forbids(now) {
		err = &TooSoonError{a.name(), soon.Until}
	}
	return err
}

// hurry ends the waits of the account and its host, after allowRetryTx has
// allowed that.
func (a *account) hurry(ctx context.Context, force bool) error {
	scopes := []string{a.scope(), health.HostScope(a.addr())}
	if len(a.health.Hurry(time.Now(), force, scopes...)) == 0 {
		return nil
	}
	return a.health.Note(ctx, scopes...)
}

// ResumeAccounts ends any pause of accounts. Their waiting tasks become due,
// and their waits end, except for a quota. After a *TooSoonError nothing was
// changed.
func (e *Engine) ResumeAccounts(ctx context.Context, ids []storage.AccountID) error {
	var all []*account
	err := e.queued(ctx, func(w *storage.Writer) error {
		all = nil
		for _, id := range ids {
			row, err := w.Account(id)
			if err != nil {
				return err
			}
			a := e.account(id).setRow(row)
			if err := a.allowRetryTx(w, false, false); err != nil {
				return err
			}
			all = append(all, a)
			if err := w.ResumeAccount(id); err != nil {
				return err
			}
			if err := e.queue.HurryTx(w, id); err != nil {
				return err
			}
		}
		return nil
	})
	for _, a := range all {
		if err == nil {
			err = a.hurry(ctx, false)
			a.health.ClearAll()
		}
		e.queue.Notify(a.id)
	}
	return err
}

// endPauseTx ends the pause of a refused password if there is another password
// now. It is tried once, as any is.
func (n NewAccount) endPauseTx(tx *storage.Writer, have storage.Account) error {
	if have.PauseClass != class.Auth || n.Ref.Kind == secret.None && n.Login.Password.Empty() {
		return nil
	}
	return tx.ResumeAccount(have.ID)
}

// restingMeters returns the meters of the accounts that rest.
func (e *Engine) restingMeters(ctx context.Context) (map[storage.AccountID]*meter.Meter, error) {
	var accounts []storage.Account
	if err := e.store.Read(ctx, func(r *storage.Reader) (err error) {
		accounts, err = r.Accounts()
		return err
	}); err != nil {
		return nil, err
	}
	all := map[storage.AccountID]*meter.Meter{}
	for _, row := range accounts {
		m, err := e.account(row.ID).setRow(row).meter(ctx)
		if err != nil {
			return nil, err
		}
		if m.Resumes().After(time.Now()) {
			all[row.ID] = m
		}
	}
	return all, nil
}

// Tasks carries out the user's order on tasks; see queue.ByHand. A retry of
// waiting tasks also ends what their accounts and hosts wait for. A forced
// retry ends their rests too. Errors are those of queue.ByHand and
// *TooSoonError; after these nothing was changed.
func (e *Engine) Tasks(ctx context.Context, o queue.Order) (all []queue.Outcome, err error) {
	var resting map[storage.AccountID]*meter.Meter
	if o.Verb == queue.VerbRetry && o.Force {
		if resting, err = e.restingMeters(ctx); err != nil {
			return nil, err
		}
	}
	lifted := map[*meter.Meter]time.Time{}
	accounts := map[storage.AccountID]*account{}
	if err := e.queued(ctx, func(w *storage.Writer) (err error) {
		clear(accounts)
		if all, err = e.queue.ByHandTx(w, o); err != nil {
			return err
		}
		for _, one := range all {
			id := one.Task.Account
			if _, seen := accounts[id]; seen || !one.Changed {
				continue
			}
			row, err := w.Account(id)
			if err != nil {
				return err
			}
			accounts[id] = e.account(id).setRow(row)
			if o.Verb == queue.VerbRetry {
				m := resting[id]
				if err := accounts[id].allowRetryTx(w, m != nil, o.Force); err != nil {
					return err
				}
				if m == nil {
					continue
				}
				if _, before := lifted[m]; !before {
					lifted[m] = m.Resumes()
				}
				if err := m.LiftTx(w); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		for m, until := range lifted {
			m.Rest(until)
		}
		return nil, err
	}
	for id, a := range accounts {
		if o.Verb == queue.VerbRetry {
			err = errors.Join(err, a.hurry(ctx, o.Force))
		}
		e.queue.Notify(id)
	}
	return all, err
}

// RetryQuarantined enqueues a pass over the mailboxes of quarantined messages
// that tries them again. The error is storage.ErrNotFound for an ID that is not
// in quarantine.
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
			if _, _, err := e.queue.EnqueueTx(w, queue.NewTask{Account: q.Account, Type: queue.FolderSync,
				Priority: max(m.Priority, queue.DefaultPriority), Hurry: true,
				Payload: queue.Payload{Folder: m.Path, Mailbox: q.Mailbox, PageSize: fetch.PageMost}}); err != nil {
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

// commandFailed carries out the consequences of a fault of an interactive
// command: for the account's limits, its breaker, its pause and the fault's
// row. In a store that another process owns it writes nothing. The error is
// about carrying them out.
func (a *account) commandFailed(ctx context.Context, m *meter.Meter, f fault.Fault) error {
	s := plan.Situation{Work: plan.Interactive, Stopped: fault.Stopped(ctx)}
	c := plan.Outcome(planFault(f), s)
	if c.Throttle {
		m.Fault(f.Class, f.ServerText, f.Crowded, f.Connections)
	}
	if a.store.ReadOnly() {
		return nil
	}
	if c.AccountWide {
		if err := a.health.RecordFailure(ctx, a.scope(), f, c.Short); err != nil {
			return err
		}
	}
	if c.Rest {
		hold, _ := a.hold(m, "")
		s.Until = hold.Until
		c = plan.Outcome(planFault(f), s)
		m.Rest(c.At)
	}
	if !c.Record {
		return nil
	}
	return fault.In(fault.PhaseStore, a.store.Write(context.WithoutCancel(ctx), storage.Interactive, 0,
		func(tx *storage.Writer) error {
			if err := health.ReportTx(tx, a.health.Place().Row(f)); err != nil {
				return err
			}
			if c.Pause {
				return a.pauseTx(tx, f)
			}
			if c.Rest || plan.BeforeSelect(f.Phase, s.Work) {
				return m.SaveTx(tx)
			}
			return nil
		}))
}

// NextTry returns when Run tries a quarantined message again. A sync that the
// user asks for tries it at once.
func NextTry(q storage.Quarantined) (at time.Time) {
	return health.OfMessage(q).Until
}

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

// SetAccount changes how an account's server is reached and where its password
// comes from. Its name and its mail stay. A pause that this may have mended ends,
// so that it is tried once. Errors: *TakenError.
func (e *Engine) SetAccount(ctx context.Context, id storage.AccountID, c Change) error {
	unused, named := "", c.Ref.Kind != secret.None
	err := e.queued(ctx, func(w *storage.Writer) error {
		have, err := w.Account(id)
		if err != nil {
			return err
		}
		named = named || approved(w, e.o.Approvals, have)
		unused, err = change{e}.writeTx(w, have, c)
		return err
	})
	if err == nil {
		err = (change{e}).end(ctx, id, unused, named)
		e.queue.Notify(id)
	}
	return err
}

// RemoveAccount removes an account with its mail, its saved password and its
// approval. Once it is hidden nothing shows it any more, and what this call does
// not delete the next New does. report is told how many emails were deleted; it
// may be nil.
func (e *Engine) RemoveAccount(ctx context.Context, id storage.AccountID, report func(done int64)) error {
	var row storage.Account
	if err := e.queued(ctx, func(w *storage.Writer) (err error) {
		if row, err = w.Account(id); err != nil {
			return err
		}
		if err := e.queue.DropAccountTx(w, id); err != nil {
			return err
		}
		return w.HideAccount(id)
	}); err != nil {
		return err
	}
	return removals{e}.finish(ctx, row, report)
}

// NameTakenError says that another account has the name that an account should
// get.
type NameTakenError struct{ Name string }

func (e *NameTakenError) Error() string { return fmt.Sprintf("there is an account %q already", e.Name) }

// RenameAccount gives an account another name. Errors: *NameTakenError,
// *RemovingError.
func (e *Engine) RenameAccount(ctx context.Context, id storage.AccountID, name string) error {
	if err := (removals{e}).makeRoom(ctx, func(old storage.Account) bool { return old.Name == name }); err != nil {
		return err
	}
	return e.store.Write(ctx, storage.Interactive, 0, func(w *storage.Writer) error {
		other, err := w.AccountByName(name)
		switch {
		case err == nil && other.ID != id:
			return &NameTakenError{name}
		case err == nil:
			return nil
		case !errors.Is(err, storage.ErrNotFound):
			return err
		}
		return w.RenameAccount(id, name)
	})
}
