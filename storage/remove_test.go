package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailcote/storage/query"
)

const marker = "zyxmarker"

// secondAccount adds a second account to a bed and makes it the bed's.
func (b *bed) secondAccount() {
	b.t.Helper()
	write(b.t, b.Store, func(w *Writer) (err error) {
		b.account, err = w.AddAccount(Account{Name: marker, User: marker, Host: marker + ".example.org", Port: 993,
			Security: "tls"})
		return err
	})
}

// twoAccounts is a store with mail of an account that stays, and of one that goes and that has a marker wherever a
// word can be. shared messages are in both.
func twoAccounts(t *testing.T, path string, n, shared int) (b *bed, goes AccountID) {
	t.Helper()
	b = bedOn(t, openAt(t, path, Options{}))
	stays := b.account
	box := b.mailbox("INBOX", 7)
	var both, one []Arrival
	for i := 1; i <= shared; i++ {
		both = append(both, b.arrival(UID(i), i))
		one = append(one, b.arrival(UID(i), i))
	}
	b.store(box, 7, both...)
	b.secondAccount()
	goes = b.account
	box = b.mailbox(marker, 9)
	for i := shared + 1; i <= n; i++ {
		body := fmt.Appendf(nil, "Subject: %s %d\r\n\r\n%s %d %s", marker, i, marker, i, strings.Repeat("x", i*100))
		a := b.arrivalOf(UID(i), body, i)
		a.Header.Subject, a.Header.Sender, a.Header.Preview = marker, marker, marker+" text"
		one = append(one, a)
	}
	b.store(box, 9, one...)
	b.index(func(row EmailRow) IndexDoc {
		if int(row) <= shared {
			return IndexDoc{Email: row, Subject: "message"}
		}
		return IndexDoc{Email: row, Subject: marker, People: marker, Text: marker, Attachments: marker}
	})
	write(t, b.Store, func(w *Writer) error {
		return errors.Join(w.RecordFault(Fault{At: now(), Account: goes, Class: "network", Scope: "account",
			Detail: marker}), w.SetServer(goes, marker, marker))
	})
	b.account = stays
	return b, goes
}

func hide(t *testing.T, s *Store, id AccountID) {
	t.Helper()
	write(t, s, func(w *Writer) error { return w.HideAccount(id) })
}

// visible is everything a store shows of an account, through the verbs and the stable views.
func visible(t *testing.T, s *Store, id AccountID, name string) (all []string) {
	t.Helper()
	note := func(what string, shown bool) {
		if shown {
			all = append(all, what)
		}
	}
	read(t, s, func(r *Reader) error {
		accounts, err := r.Accounts()
		if err != nil {
			return err
		}
		for _, one := range accounts {
			note("listed", one.ID == id)
		}
		_, err = r.Account(id)
		note("by key", !errors.Is(err, ErrNotFound))
		_, err = r.AccountByName(name)
		note("by name", !errors.Is(err, ErrNotFound))
		_, err = r.AccountByIdentity(marker, marker+".example.org", 993)
		note("by identity", !errors.Is(err, ErrNotFound))
		boxes, err := r.Mailboxes(id)
		note("mailboxes", err != nil || len(boxes) > 0)
		ids, err := r.IDs("", 1000)
		for _, one := range ids {
			note("completed", one.Subject == marker)
		}
		q, failed := query.Parse(marker, time.UTC)
		n, uncounted := r.CountHits(q, 0)
		note("counted", n > 0)
		found, _, lost := r.FoundEmails(q, 0)
		note("found", len(found) > 0)
		return errors.Join(err, failed, uncounted, lost)
	})
	for _, view := range []string{"accounts", "mailboxes", "mail", "threads", "sync_coverage", "sync_runs",
		"sync_errors", "changes", "rate_limits", "breakers", "sync_quarantine"} {
		column := "account"
		if view == "accounts" {
			column = "name"
		}
		note(view, number(t, s, `SELECT count(*) FROM `+view+` WHERE `+column+` = ?`, name) > 0)
	}
	return all
}

func sound(t *testing.T, s *Store) {
	t.Helper()
	found, err := s.Check(context.Background(), CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.What != "stale field" && f.What != "wrong thread" { // the test's headers are not what the bytes say
			t.Errorf("%s: %s: %s", f.What, f.Where, f.Detail)
		}
	}
}

func TestRemoveAccount(t *testing.T) {
	b, goes := twoAccounts(t, filepath.Join(t.TempDir(), "t.db"), 30, 10)
	if got := visible(t, b.Store, goes, marker); len(got) < 10 {
		t.Fatalf("the test sees only %v", got)
	}
	read(t, b.Store, func(r *Reader) error {
		h, err := r.Holdings(goes)
		if err != nil || h.Mailboxes != 1 || h.Messages != 30 || h.Bytes < 40_000 {
			t.Errorf("%+v, %v", h, err)
		}
		return nil
	})
	hide(t, b.Store, goes)
	if got := visible(t, b.Store, goes, marker); len(got) > 0 {
		t.Errorf("hidden, and shown by %v", got)
	}
	sound(t, b.Store)
	if err := b.DeleteHidden(t.Context(), goes, nil); err != nil {
		t.Fatal(err)
	}
	sound(t, b.Store)
	for table, want := range map[string]int64{"account": 1, "mailbox": 1, "entry": 10, "email": 10, "blob": 10,
		"thread": 10, "thread_reference": 10, "sync_error": 0} {
		if got := number(t, b.Store, `SELECT count(*) FROM `+table); got != want {
			t.Errorf("%d rows of %s, want %d", got, table, want)
		}
	}
	for id := range number(t, b.Store, `SELECT max(id) FROM blob`) {
		if number(t, b.Store, `SELECT count(*) FROM blob WHERE id = ?`, id+1) == 1 {
			if _, err := b.body(BlobID(id + 1)); err != nil {
				t.Errorf("bytes that both had: %v", err)
			}
		}
	}
	if got := number(t, b.Store, `SELECT count(*) FROM mail`); got != 10 {
		t.Errorf("the other account has %d messages", got)
	}
}

// TestRemovalGoesOn stops a removal after each of its transactions and goes on in a store opened anew.
func TestRemovalGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	b, goes := twoAccounts(t, path, 2*removeEmails+30, 5)
	hide(t, b.Store, goes)
	s, stops := b.Store, 0
	for {
		ctx, cancel := context.WithCancel(t.Context())
		err := s.DeleteHidden(ctx, goes, func(int64) { cancel() })
		if err == nil || stops > 20 {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		stops++
		sound(t, s)
		if got := visible(t, s, goes, marker); len(got) > 0 {
			t.Errorf("after %d transactions shown by %v", stops, got)
		}
		read(t, s, func(r *Reader) error {
			hidden, err := r.HiddenAccounts()
			if err != nil || len(hidden) != 1 || hidden[0].ID != goes {
				t.Errorf("after %d transactions: %+v, %v", stops, hidden, err)
			}
			return nil
		})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openAt(t, path, Options{})
		if number(t, s, `SELECT count(*) FROM email WHERE account_id = ?`, goes) == 0 {
			if err := s.DeleteHidden(t.Context(), goes, nil); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if stops < 3 {
		t.Errorf("it was stopped %d times", stops)
	}
	sound(t, s)
	if got := number(t, s, `SELECT count(*) FROM account`); got != 1 {
		t.Errorf("%d accounts", got)
	}
}

// TestWipe looks for what was deleted in every file of the store.
func TestWipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	b, goes := twoAccounts(t, path, 300, 10)
	if found := filesWith(t, filepath.Dir(path)); len(found) == 0 {
		t.Fatal("the marker is nowhere before")
	}
	var box MailboxID
	read(t, b.Store, func(r *Reader) error {
		boxes, err := r.Mailboxes(goes)
		box = boxes[0].ID
		return err
	})
	part, err := b.Stage(t.Context(), b.packer, strings.NewReader(marker))
	if err != nil {
		t.Fatal(err)
	}
	write(t, b.Store, func(w *Writer) error {
		return errors.Join(w.Quarantine(Quarantined{Mailbox: box, Validity: 9, UID: 999, Reason: "cut", Claimed: -1}),
			w.KeepCame(box, 9, 999, part))
	})
	hide(t, b.Store, goes)
	if err := b.DeleteHidden(t.Context(), goes, nil); err != nil {
		t.Fatal(err)
	}
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	began := time.Now()
	if err := b.Wipe(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes before, %d after, %v", before, size(), time.Since(began))
	if found := filesWith(t, filepath.Dir(path)); len(found) > 0 {
		t.Errorf("found in %v", found)
	}
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
		t.Errorf("the log has %d bytes", info.Size())
	}
	sound(t, b.Store)
	b.store(b.mailbox("Later", 3), 3, b.arrival(1, 1)) // the writer goes on
	if got := b.find("message", 10); got == "" {
		t.Error("nothing is found any more")
	}
}

// An index that is built beside the one that answers holds the deleted mail, too.
func TestWipeOfTwoIndexes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	b, goes := twoAccounts(t, path, 40, 10)
	var docs []IndexDoc
	for row := range EmailRow(50) {
		docs = append(docs, IndexDoc{Email: row + 1, Text: marker})
	}
	for _, do := range []func(*Writer) error{(*Writer).RebuildIndex,
		func(w *Writer) error { return w.RebuildDocs(docs[10:]) }} {
		if err := b.WriteAlone(t.Context(), do); err != nil {
			t.Fatal(err)
		}
	}
	hide(t, b.Store, goes)
	if err := b.DeleteHidden(t.Context(), goes, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.Wipe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found := filesWith(t, filepath.Dir(path)); len(found) > 0 {
		t.Errorf("found in %v", found)
	}
}

// filesWith lists the files of a directory that have the marker in them, or a word of the search index that could be
// it: the index leaves out what a word has in common with the one before.
func filesWith(t *testing.T, dir string) (all []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range files {
		text, err := os.ReadFile(filepath.Join(dir, one.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(marker[3:])) {
			all = append(all, one.Name())
		}
	}
	return all
}
