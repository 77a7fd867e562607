package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/class"
)

// ElsewhereError says that a login differs from a known account only in the port
// or in how the connection is secured. It changed nothing.
type ElsewhereError struct {
	Account storage.Account
	Wanted  Login
}

func (e *ElsewhereError) Error() string {
	return fmt.Sprintf("account %s is reached at port %d with security %s, not at port %d with %s", e.Account.Name,
		e.Account.Port, e.Account.Security, e.Wanted.Port, e.Wanted.Security)
}

// Elsewhere returns an *ElsewhereError if the login of a known account leads to
// another port or is secured in another way, otherwise nil.
func Elsewhere(have storage.Account, l Login) error {
	if have.Port == l.Port && have.Security == string(l.Security) {
		return nil
	}
	return &ElsewhereError{have, l}
}

// TakenError says that another account has the port that an account should get.
type TakenError struct {
	Other string // its name
	Key   string // what identifies it
}

func (e *TakenError) Error() string { return fmt.Sprintf("%s is account %s", e.Key, e.Other) }

// Change is what is to change of an account. Zero fields stay as they are.
type Change struct {
	Port     int
	Security imap.Security
	Insecure bool       // plain text to another host was asked for
	Ref      secret.Ref // where its password comes from
}

// change is the way of a Change into the store and beyond it.
type change struct{ *Engine }

// writeTx changes an account and what follows from it. unused is a key whose saved
// password nothing leads to after the commit; "" if there is none.
func (e change) writeTx(w *storage.Writer, have storage.Account, c Change) (unused string, err error) {
	before := loginOf(have)
	now := before
	if c.Port != 0 {
		now.Port = c.Port
	}
	if c.Security != "" {
		now.Security = c.Security
	}
	old, err := secret.ParseRef(have.SecretRef)
	if err != nil {
		return "", err
	}
	ref := c.Ref
	if ref.Kind == secret.None {
		ref = old
	}
	moved := Elsewhere(have, now) != nil
	if moved {
		if other, err := w.AccountByIdentity(now.User, now.Host, now.Port); err == nil && other.ID != have.ID {
			return "", &TakenError{other.Name, now.Key()}
		} else if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return "", err
		}
		insecure := now.Security == imap.Plain && !imap.Loopback(now.Host) && (c.Insecure || have.Insecure)
		if err := w.SetAccountEndpoint(have.ID, now.Port, string(now.Security), insecure); err != nil {
			return "", err
		}
		if ref == old && old == before.SavedRef() && old != now.SavedRef() { // the password moves with the port
			if err := e.box.Copy(before.Key(), now.Key()); err != nil {
				return "", err
			}
			ref = now.SavedRef()
		}
	}
	if ref != old {
		if err := w.SetSecretRef(have.ID, ref.String()); err != nil {
			return "", err
		}
		if old.Kind == secret.Saved {
			unused = cmp.Or(old.Value, before.oldKey())
		}
	}
	mended := moved && have.PauseClass == class.TLS || c.Ref.Kind != secret.None && have.PauseClass == class.Auth
	if !have.Paused || !mended {
		return unused, nil
	}
	if err := w.ResumeAccount(have.ID); err != nil {
		return "", err
	}
	return unused, e.queue.HurryTx(w, have.ID)
}

// end ends a change outside the store: a saved password that nothing leads to
// is deleted, and the source of the password is approved if it was named here.
func (e change) end(ctx context.Context, id storage.AccountID, unused string, named bool) error {
	var err error
	if unused != "" {
		err = e.box.Drop(unused)
	}
	if named {
		err = errors.Join(err, approve(ctx, e.store, e.o.Approvals, id))
	}
	return err
}
