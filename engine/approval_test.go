package engine

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"mailcote/engine/secret"
	"mailcote/testkit/script"
)

// TestApproval: a command runs for the account, the server and the store for
// which it was named in this state directory, and for no other.
func TestApproval(t *testing.T) {
	_, w := scripted(t, 2, script.Options{}, Options{Approvals: secret.Approvals{Dir: filepath.Join(t.TempDir(), "a")}})
	ran := filepath.Join(t.TempDir(), "ran")
	command := secret.Ref{Kind: secret.Command, Value: "echo x >> " + ran + "; echo " + script.Password}
	runs := func(what string, want bool) {
		t.Helper()
		var unapproved *secret.UnapprovedError
		_, err := w.engine.account(w.id).Password(t.Context())
		_, failed := os.Stat(ran)
		if (failed == nil) != want || (err == nil) != want || errors.As(err, &unapproved) == want {
			t.Errorf("%s: ran %v, %v", what, failed == nil, err)
		}
		_ = os.Remove(ran) // it may be missing
	}
	w.engine.account(w.id).processPassword = nil
	l := w.engine.account(w.id).setRow(w.find()).login()
	w.exec(`UPDATE account SET secret_ref = ?`, command.String())
	runs("a store that says so", false)
	if err := w.engine.SetAccount(t.Context(), w.id, Change{Port: 9}); err != nil {
		t.Fatal(err)
	}
	runs("another port, which names no command", false)
	if err := w.engine.SetAccount(t.Context(), w.id, Change{Port: l.Port}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.engine.AddAccount(t.Context(), NewAccount{Login: l}); err != nil {
		t.Fatal(err)
	}
	runs("added again without a word of it", false)
	if _, _, err := w.engine.AddAccount(t.Context(), NewAccount{Login: l, Ref: command}); err != nil {
		t.Fatal(err)
	}
	runs("named", true)
	w.complete()
	_ = os.Remove(ran)
	if err := w.engine.SetAccount(t.Context(), w.id, Change{Port: 9}); err != nil {
		t.Fatal(err)
	}
	runs("moved by hand", true)
	for what, statement := range map[string]string{
		"a host that the store changed": `UPDATE account SET host = 'mail.example.org'`,
		"another user":                  `UPDATE account SET user = 'eve'`,
		"another store":                 `UPDATE meta SET value = hex(randomblob(16)) WHERE key = 'store_id'`,
	} {
		w.exec(statement)
		runs(what, false)
	}
	if err := w.engine.SetAccount(t.Context(), w.id, Change{Ref: command}); err != nil {
		t.Fatal(err)
	}
	runs("named again", true)
}
