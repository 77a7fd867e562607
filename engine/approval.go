package engine

import (
	"context"

	"mailcote/engine/secret"
	"mailcote/storage"
)

// grant is the approval that a reference of an account needs.
func grant(r *storage.Reader, row storage.Account, ref secret.Ref) (secret.Grant, error) {
	store, err := r.StoreID()
	return secret.Grant{Store: store, User: row.User, Addr: loginOf(row).Endpoint().Addr(), How: row.Security,
			Ref: ref},
		err
}

// MayUse returns an error if a reference that a store has must not be used on
// this machine, because nobody named it here.
func MayUse(r *storage.Reader, approvals secret.Approvals, row storage.Account, ref secret.Ref) error {
	g, err := grant(r, row, ref)
	if err != nil {
		return err
	}
	return approvals.Check(g)
}

// mayUse is MayUse for a reference that is about to be followed.
func mayUse(ctx context.Context, o Options, row storage.Account, ref secret.Ref) error {
	return o.Store.Read(ctx, func(r *storage.Reader) error { return MayUse(r, o.Approvals, row, ref) })
}

// approved reports whether the source of an account's password may be used here,
// so that it may still be when the account is reached elsewhere.
func approved(w *storage.Writer, approvals secret.Approvals, row storage.Account) bool {
	ref, err := secret.ParseRef(row.SecretRef)
	return err == nil && MayUse(&w.Reader, approvals, row, ref) == nil
}

// approve lets this machine use what an account's password comes from.
func approve(ctx context.Context, s *storage.Store, approvals secret.Approvals, id storage.AccountID) error {
	var g secret.Grant
	if err := s.Read(ctx, func(r *storage.Reader) error {
		row, err := r.Account(id)
		if err != nil {
			return err
		}
		ref, err := secret.ParseRef(row.SecretRef)
		if err == nil {
			g, err = grant(r, row, ref)
		}
		return err
	}); err != nil {
		return err
	}
	return approvals.Approve(g)
}
