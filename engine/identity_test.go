package engine

import (
	"errors"
	"os"
	"strings"
	"testing"

	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/storage/tables"
	"mailcote/testkit/script"
)

func (w *world) exec(statement string, args ...any) {
	w.t.Helper()
	if err := w.store.Write(w.t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
		_, err := tables.In(tx).Exec(statement, args...)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) keep(key, password string) {
	w.t.Helper()
	if err := w.engine.box.Put(key, secret.New(password)); err != nil {
		w.t.Fatal(err)
	}
}

// finds wants an account's password to be so; "": there is none.
func (w *world) finds(id storage.AccountID, want string) {
	w.t.Helper()
	got, err := w.engine.account(id).Password(w.t.Context())
	if got.Reveal() != want || errors.Is(err, secret.ErrNoPassword) != (want == "") {
		w.t.Errorf("account %d: another password than %q: %v", id, want, err)
	}
}

// TestOldKey: an account whose password an earlier version saved under user and
// host keeps it, and no other account of that host gets it.
func TestOldKey(t *testing.T) {
	_, w := scripted(t, 3, script.Options{}, Options{})
	first := w.id
	w.exec(`UPDATE account SET name = 'alice@127.0.0.1', secret_ref = 'saved'`)
	w.restart()
	w.engine.account(first).processPassword = nil
	w.keep("alice@127.0.0.1", script.Password)
	w.finds(first, script.Password)
	w.complete()
	other, created, err := w.engine.AddAccount(t.Context(), NewAccount{Login: Login{User: script.User,
		Host: "127.0.0.1", Port: 9, Security: imap.Plain}})
	if err != nil || !created || other == first {
		t.Fatalf("account %d, new %v: %v", other, created, err)
	}
	w.finds(other, "")
	// its own password is under a key of its own, and it cannot name another's
	own := Login{User: script.User, Host: "127.0.0.1", Port: 9}
	w.keep(own.Key(), "another")
	w.exec(`UPDATE account SET secret_ref = ? WHERE id = ?`, own.SavedRef().String(), other)
	w.finds(other, "another")
	w.exec(`UPDATE account SET secret_ref = 'saved:alice@127.0.0.1' WHERE id = ?`, other)
	w.finds(other, "another")
	// a move leaves the old password where it is
	if err := w.engine.SetAccount(t.Context(), first, Change{Port: 10}); err != nil {
		t.Fatal(err)
	}
	w.finds(first, script.Password)
	if names := w.text(`SELECT name FROM account ORDER BY id`); names != "alice@127.0.0.1\nalice@127.0.0.1:9" {
		t.Error(names)
	}
	// a new password is under the new key, and the old one is forgotten
	l := Login{User: script.User, Host: "127.0.0.1", Port: 10, Security: imap.Plain}
	w.keep(l.Key(), "new")
	if id, created, err := w.engine.AddAccount(t.Context(), NewAccount{Login: l, Ref: l.SavedRef()}); id != first ||
		created || err != nil {
		t.Fatalf("account %d, new %v: %v", id, created, err)
	}
	w.finds(first, "new")
	if _, err := w.engine.box.Get("alice@127.0.0.1"); !errors.Is(err, secret.ErrNoPassword) {
		t.Errorf("the old password: %v", err)
	}
}

// TestPasswordMoves: a saved password follows its account to another port, and
// who comes to the old port does not find it.
func TestPasswordMoves(t *testing.T) {
	s, w := scripted(t, 3, script.Options{}, Options{})
	l := w.engine.account(w.id).setRow(w.find()).login()
	w.keep(l.Key(), script.Password)
	w.exec(`UPDATE account SET secret_ref = ?`, l.SavedRef().String())
	w.engine.account(w.id).processPassword = nil
	for _, port := range []int{9, 10, s.Port()} {
		if err := w.engine.SetAccount(t.Context(), w.id, Change{Port: port}); err != nil {
			t.Fatal(err)
		}
		w.finds(w.id, script.Password)
		text, err := os.ReadFile(w.engine.box.Path)
		if n := strings.Count(string(text), script.Password); n != 1 || err != nil {
			t.Errorf("port %d: saved %d times, %v", port, n, err)
		}
	}
	w.complete()
	if err := w.engine.SetAccount(t.Context(), w.id, Change{Ref: secret.Ref{Kind: secret.File,
		Value: "/none"}}); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(w.engine.box.Path); strings.Contains(string(text), script.Password) || err != nil {
		t.Errorf("a password that nothing leads to stays: %v", err)
	}
}

// TestSetEndsPause: a change ends the pause that it may have mended, and no
// other.
func TestSetEndsPause(t *testing.T) {
	_, w := scripted(t, 0, script.Options{}, Options{})
	file := secret.Ref{Kind: secret.File, Value: "/none"}
	port := w.find().Port
	for name, one := range map[string]struct {
		pause  class.Class
		change Change
		ends   bool
	}{
		"certificate, another port":     {class.TLS, Change{Port: 9}, true},
		"certificate, other security":   {class.TLS, Change{Security: imap.StartTLS}, true},
		"certificate, the same port":    {class.TLS, Change{Port: port}, false},
		"certificate, another password": {class.TLS, Change{Ref: file}, false},
		"password, another password":    {class.Auth, Change{Ref: file}, true},
		"password, another port":        {class.Auth, Change{Port: 9}, false},
		"by hand, everything":           {class.Manual, Change{Port: 9, Security: imap.TLS, Ref: file}, false},
	} {
		w.exec(`UPDATE account SET state = 'active', pause_class = '', paused_at = NULL, port = ?, security = 'plain'`,
			port)
		if err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
			return tx.PauseAccount(w.id, one.pause, "why")
		}); err != nil {
			t.Fatal(err)
		}
		if err := w.engine.SetAccount(t.Context(), w.id, one.change); err != nil {
			t.Fatal(err)
		}
		if row := w.find(); row.Paused == one.ends {
			t.Errorf("%s: paused %v", name, row.Paused)
		}
	}
}

// TestKnownElsewhere: a login does not change where a known account is, unless
// that is wanted.
func TestKnownElsewhere(t *testing.T) {
	_, w := scripted(t, 0, script.Options{}, Options{})
	l := Login{User: "anna", Host: "mail.example.org", Port: 993, Security: imap.TLS}
	id, created, err := w.engine.AddAccount(t.Context(), NewAccount{Login: l})
	if err != nil || !created {
		t.Fatal(err)
	}
	row := func() string {
		return w.text(`SELECT format('%d %s %d', port, security, insecure) FROM account WHERE id = ?`, id)
	}
	for _, other := range []Login{{Port: 994, Security: imap.TLS}, {Port: 143, Security: imap.StartTLS},
		{Port: 143, Security: imap.Plain}, {Port: 993, Security: imap.Plain}} {
		other.User, other.Host = l.User, l.Host
		var elsewhere *ElsewhereError
		_, _, err := w.engine.AddAccount(t.Context(), NewAccount{Login: other, Insecure: true,
			Ref: secret.Ref{Kind: secret.Command, Value: "x"}})
		if !errors.As(err, &elsewhere) || elsewhere.Account.ID != id || row() != "993 tls 0" {
			t.Errorf("%+v: %v, now %s", other, err, row())
		}
	}
	if _, _, err := w.engine.AddAccount(t.Context(), NewAccount{Login: l, Insecure: true}); err != nil ||
		row() != "993 tls 0" {
		t.Errorf("the same: %v, now %s", err, row())
	}
	l.Port, l.Security = 143, imap.Plain
	if same, created, err := w.engine.AddAccount(t.Context(), NewAccount{Login: l, Insecure: true,
		Move: true}); err != nil || created || same != id || row() != "143 plain 1" {
		t.Errorf("moved: %v, now %s", err, row())
	}
}
