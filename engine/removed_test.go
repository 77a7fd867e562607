package engine

import (
	"context"
	"errors"
	"os"
	"testing"

	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/testkit/script"
)

// TestPassCounts: a pass says what it changed of the messages that were there, and of no others.
func TestPassCounts(t *testing.T) {
	s, w := scripted(t, 8, script.Options{}, Options{})
	if got := w.complete(); got.Fetched != 8 || got.Gone != 0 || got.Flags != 0 {
		t.Errorf("the first pass: %d new, %d gone, %d flags", got.Fetched, got.Gone, got.Flags)
	}
	s.Change(func(m *script.Model) {
		b := m.Box("INBOX")
		for uid := uint32(4); uid < 7; uid++ {
			b.Flag(uid, `\Draft`)
		}
		b.Expunge(1, 2)
	})
	put(s, "INBOX", 1)
	got := w.complete()
	if got.Fetched != 1 || got.Gone != 2 || got.Flags != 3 {
		t.Errorf("the second pass: %d new, %d gone, %d flags", got.Fetched, got.Gone, got.Flags)
	}
	if p := w.engine.Progress(); len(p) != 1 || p[0].Gone != 2 || p[0].Flags != 3 {
		t.Errorf("progress: %+v", p)
	}
	if got := w.complete(); got.Fetched != 0 || got.Gone != 0 || got.Flags != 0 {
		t.Errorf("the third pass: %d new, %d gone, %d flags", got.Fetched, got.Gone, got.Flags)
	}
}

// left is what is still here of an account: rows, a saved password, an approval.
func (w *world) left() (all []string) {
	w.t.Helper()
	for _, table := range []string{"account", "mailbox", "email", "entry", "blob", "thread", "sync_task", "goqite",
		"sync_run", "change"} {
		if w.text(`SELECT count(*) FROM `+table) != "0" {
			all = append(all, table)
		}
	}
	if text, err := os.ReadFile(w.engine.box.Path); err == nil && string(text) != "{}" {
		all = append(all, "password")
	}
	if files, err := os.ReadDir(w.engine.o.Approvals.Dir); err == nil && len(files) > 0 {
		all = append(all, "approval")
	}
	return all
}

// TestRemoveAccount: nothing stays of an account that was removed, whether the process that began lives to end it or
// the next one does.
func TestRemoveAccount(t *testing.T) {
	for name, killed := range map[string]bool{"at once": false, "by the next process": true} {
		t.Run(name, func(t *testing.T) {
			_, w := scripted(t, 30, script.Options{}, Options{})
			w.complete()
			l := loginOf(w.find())
			w.keep(l.Key(), script.Password)
			c := Change{Ref: secret.Ref{Kind: secret.Command, Value: "pass show mail"}}
			if err := w.engine.SetAccount(t.Context(), w.id, c); err != nil {
				t.Fatal(err)
			}
			w.keep(l.Key(), script.Password)
			if got := w.left(); len(got) < 11 {
				t.Fatalf("before, only %v", got)
			}
			if killed {
				if err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
					return errors.Join(w.engine.queue.DropAccountTx(tx, w.id), tx.HideAccount(w.id))
				}); err != nil {
					t.Fatal(err)
				}
				w.clean()
				w.restart()
			} else if err := w.engine.RemoveAccount(t.Context(), w.id, nil); err != nil {
				t.Fatal(err)
			}
			if got := w.left(); len(got) > 0 {
				t.Errorf("left: %v", got)
			}
			w.clean()
		})
	}
}

// TestRemovalEndsEarly: what an interrupted removal leaves is no account any more, and no start fails for it.
func TestRemovalEndsEarly(t *testing.T) {
	_, w := scripted(t, 30, script.Options{}, Options{})
	w.complete()
	ctx, cancel := context.WithCancel(t.Context())
	err := w.engine.RemoveAccount(ctx, w.id, func(int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if got := w.text(`SELECT count(*) FROM accounts`); got != "0" {
		t.Errorf("%s accounts are shown", got)
	}
	name, told := w.text(`SELECT name FROM account`), ""
	w.engine.o.Removing = func(account string) { told += account }
	w.restart()
	if got := w.left(); len(got) > 0 || len(w.engine.Warnings()) > 0 {
		t.Errorf("left: %v, %v", got, w.engine.Warnings())
	}
	if told != name {
		t.Errorf("told of %q, want %q", told, name)
	}
}

// TestAddedDuringRemoval: an account whose removal was interrupted leaves its name and its login to one that is
// added or renamed. While the removal cannot be finished, the error says so.
func TestAddedDuringRemoval(t *testing.T) {
	_, w := scripted(t, 30, script.Options{}, Options{})
	w.complete()
	old := w.find()
	other, _, err := w.engine.AddAccount(t.Context(), NewAccount{Name: "other", Login: Login{User: "eve",
		Host: "mail.example.org", Port: 993, Security: "tls"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
		return errors.Join(w.engine.queue.DropAccountTx(tx, w.id), tx.HideAccount(w.id))
	}); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(w.engine.box.Path, 0o700); err != nil { // so that no saved password can be deleted
		t.Fatal(err)
	}
	l, removing := loginOf(old), (*RemovingError)(nil)
	for name, n := range map[string]NewAccount{"login": {Name: "new", Login: l}, "default name": {Login: l},
		"name": {Name: old.Name, Login: Login{User: "eva", Host: "mail.example.org", Port: 993, Security: "tls"}}} {
		if _, _, err := w.engine.AddAccount(t.Context(), n); !errors.As(err, &removing) || removing.Name != old.Name {
			t.Errorf("the same %s: %v", name, err)
		}
	}
	if err := w.engine.RenameAccount(t.Context(), other, old.Name); !errors.As(err, &removing) {
		t.Errorf("renamed: %v", err)
	}
	if err := os.Remove(w.engine.box.Path); err != nil {
		t.Fatal(err)
	}
	if _, created, err := w.engine.AddAccount(t.Context(), NewAccount{Name: old.Name, Login: l}); err != nil ||
		!created {
		t.Errorf("added: %t, %v", created, err)
	}
	if got := w.text(`SELECT count(*) || ' ' || (SELECT count(*) FROM email) FROM account`); got != "2 0" {
		t.Errorf("accounts and emails: %s", got)
	}
}

func TestRenameAccount(t *testing.T) {
	_, w := scripted(t, 1, script.Options{}, Options{})
	other, _, err := w.engine.AddAccount(t.Context(), NewAccount{Name: "other", Login: Login{User: "eve",
		Host: "mail.example.org", Port: 993, Security: "tls"}})
	if err != nil {
		t.Fatal(err)
	}
	taken := (*NameTakenError)(nil)
	if err := w.engine.RenameAccount(t.Context(), w.id, "other"); !errors.As(err, &taken) || taken.Name != "other" {
		t.Errorf("a name that is taken: %v", err)
	}
	for _, name := range []string{"work", "work"} {
		if err := w.engine.RenameAccount(t.Context(), w.id, name); err != nil {
			t.Error(err)
		}
	}
	if got := w.text(`SELECT name FROM account WHERE id <> ?`, other); got != "work" {
		t.Errorf("it is called %q", got)
	}
}
