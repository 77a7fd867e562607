package engine

import (
	"cmp"
	"context"
	"fmt"

	"mailcote/engine/secret"
	"mailcote/storage"
)

// removals are the removals of an engine's accounts. Each begins with hiding
// the account; here it ends.
type removals struct{ *Engine }

// finish deletes what a hidden account has, outside the store first: its row
// says where that is.
func (e removals) finish(ctx context.Context, row storage.Account, report func(done int64)) error {
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

// hidden lists the accounts whose removal has begun.
func (e removals) hidden(ctx context.Context) (all []storage.Account, err error) {
	err = e.store.Read(ctx, func(r *storage.Reader) (err error) {
		all, err = r.HiddenAccounts()
		return err
	})
	return all, err
}

// finishAll deletes the accounts that an earlier process has hidden. What
// cannot be deleted now is tried again by the next New.
func (e removals) finishAll(ctx context.Context) error {
	hidden, err := e.hidden(ctx)
	if err != nil {
		return err
	}
	for _, row := range hidden {
		if e.o.Removing != nil {
			e.o.Removing(row.Name)
		}
		err := e.finish(ctx, row, nil)
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

// RemovingError says that an account has a name or a login still which another
// one should get. Its removal began and cannot be finished.
type RemovingError struct {
	Name string
	Err  error // why not
}

func (e *RemovingError) Error() string {
	return fmt.Sprintf("account %q is being removed, and its name and login are free only when all of it is deleted, "+
		"which failed (%v): try again when that is mended", e.Name, e.Err)
}

func (e *RemovingError) Unwrap() error { return e.Err }

// makeRoom finishes the removal of accounts that have what another one is to
// get. Errors: *RemovingError.
func (e removals) makeRoom(ctx context.Context, has func(storage.Account) bool) error {
	hidden, err := e.hidden(ctx)
	if err != nil {
		return err
	}
	for _, row := range hidden {
		if !has(row) {
			continue
		}
		if err := e.finish(ctx, row, nil); err != nil {
			return &RemovingError{row.Name, err}
		}
	}
	return nil
}
