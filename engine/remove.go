package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"mailcote/engine/secret"
	"mailcote/storage"
)

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
	return e.deleteHidden(ctx, row, report)
}

// deleteHidden deletes what a hidden account has, outside the store first: its
// row says where that is.
func (e *Engine) deleteHidden(ctx context.Context, row storage.Account, report func(done int64)) error {
	ref, err := secret.ParseRef(row.SecretRef)
	if err != nil { // a reference that nobody can follow
		ref = secret.Ref{}
	}
	var g secret.Grant
	if err := e.store.Read(ctx, func(r *storage.Reader) (err error) {
		g, err = grant(r, row, ref)
		return err
	}); err != nil {
		return err
	}
	if err := e.o.Approvals.Revoke(g); err != nil {
		return err
	}
	l := loginOf(row)
	keys := []string{l.Key()}
	if ref.Kind == secret.Saved {
		keys = append(keys, cmp.Or(ref.Value, l.oldKey()))
	}
	for _, key := range keys {
		if err := e.box.Drop(key); err != nil {
			return err
		}
	}
	return e.store.DeleteHidden(ctx, row.ID, report)
}

// finishRemovals deletes the accounts that an earlier process has hidden. What
// cannot be deleted now is tried again by the next New.
func (e *Engine) finishRemovals(ctx context.Context) error {
	var hidden []storage.Account
	if err := e.store.Read(ctx, func(r *storage.Reader) (err error) {
		hidden, err = r.HiddenAccounts()
		return err
	}); err != nil {
		return err
	}
	for _, row := range hidden {
		err := e.deleteHidden(ctx, row, nil)
		if err != nil && ctx.Err() == nil {
			e.unfinished = append(e.unfinished, fmt.Sprintf("account %s is removed, and not all of its mail could be "+
				"deleted (%v): the next start goes on", row.Name, err))
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// NameTakenError says that another account has the name that an account should
// get.
type NameTakenError struct{ Name string }

func (e *NameTakenError) Error() string { return fmt.Sprintf("there is an account %q already", e.Name) }

// RenameAccount gives an account another name. Errors: *NameTakenError.
func (e *Engine) RenameAccount(ctx context.Context, id storage.AccountID, name string) error {
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
