package storage

import (
	"errors"
	"fmt"
	"testing"

	"mailcote/storage/class"
)

// TestPauseByHand: a person's pause takes the place of a fault's, not the other way round.
func TestPauseByHand(t *testing.T) {
	b := newBed(t)
	write(t, b.Store, func(w *Writer) error {
		return errors.Join(w.PauseAccount(b.account, "auth", "wrong password"),
			w.PauseAccount(b.account, class.Manual, "on holiday"),
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

// On a loopback host several servers may listen, so the port is part of an account's identity there and only there.
func TestAccountIdentity(t *testing.T) {
	s := openTest(t)
	add := func(host string, port int) (id AccountID, err error) {
		err = s.Write(t.Context(), Interactive, 0, func(w *Writer) error {
			id, err = w.AddAccount(Account{Name: fmt.Sprint(host, " ", port), User: "ada", Host: host, Port: port,
				Security: "tls"})
			return err
		})
		return id, err
	}
	for _, host := range []string{"127.0.0.1", "127.9.8.7", "localhost", "::1", "[::1]", "::ffff:127.0.0.1"} {
		first, err1 := add(host, 1143)
		second, err2 := add(host, 1144)
		_, again := add(host, 1144)
		if err1 != nil || err2 != nil || again == nil {
			t.Errorf("%s: %v, %v; again: %v", host, err1, err2, again)
		}
		read(t, s, func(r *Reader) error {
			for port, id := range map[int]AccountID{1143: first, 1144: second} {
				if a, err := r.AccountByIdentity("ada", host, port); err != nil || a.ID != id {
					t.Errorf("%s, port %d: account %d, %v; want %d", host, port, a.ID, err, id)
				}
			}
			if a, err := r.AccountByIdentity("ada", host, 1145); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s, another port: account %d, %v", host, a.ID, err)
			}
			return nil
		})
	}
	for _, host := range []string{"mail.example.org", "127.example.org", "10.0.0.1", "fe80::1",
		"localhost.example.org"} {
		id, err := add(host, 143)
		_, again := add(host, 993)
		if err != nil || again == nil {
			t.Errorf("%s: %v; on another port: %v", host, err, again)
		}
		read(t, s, func(r *Reader) error {
			if a, err := r.AccountByIdentity("ada", host, 993); err != nil || a.ID != id {
				t.Errorf("%s on another port: account %d, %v; want %d", host, a.ID, err, id)
			}
			return nil
		})
	}
}

// Only an account without a server may lack one.
func TestLocalAccount(t *testing.T) {
	s := openTest(t)
	insert := func(kind string) error {
		return s.Write(t.Context(), Interactive, 0, func(w *Writer) error {
			_, err := w.tx.Exec(`INSERT INTO account (kind, name, created_at) VALUES (?1, ?1 || random(), 1)`, kind)
			return err
		})
	}
	if insert("imap") == nil || insert("other") == nil {
		t.Error("an account of no known kind, or one without its server, was taken")
	}
	if err := errors.Join(insert("local"), insert("local")); err != nil {
		t.Error(err)
	}
	read(t, s, func(r *Reader) error {
		all, err := r.Accounts()
		if len(all) != 2 || all[0].Host != "" {
			t.Errorf("%+v", all)
		}
		return err
	})
}
