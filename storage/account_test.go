package storage

import (
	"errors"
	"testing"

	"mailcote/storage/class"
)

// TestPauseByHand: a person's pause takes the place of a fault's, not the other way round.
func TestPauseByHand(t *testing.T) {
	b := newBed(t)
	write(t, b.Store, func(w *Writer) error {
		return errors.Join(w.PauseAccount(b.account, "auth", "wrong password"), w.PauseAccount(b.account, class.Manual, "on holiday"),
			w.PauseAccount(b.account, "tls", "expired"))
	})
	read(t, b.Store, func(r *Reader) error {
		a, err := r.Account(b.account)
		if !a.Paused || a.PauseClass != class.Manual || a.PauseReason != "on holiday" {
			t.Errorf("%+v", a)
		}
		return err
	})
	write(t, b.Store, func(w *Writer) error {
		return errors.Join(w.ResumeAccount(b.account), w.PauseAccount(b.account, "tls", "expired"))
	})
	read(t, b.Store, func(r *Reader) error {
		a, err := r.Account(b.account)
		if !a.Paused || a.PauseClass != "tls" {
			t.Errorf("%+v", a)
		}
		return err
	})
}
