package storage

import (
	"context"
	"testing"
)

// A mailbox may take the name of one that is gone, and two may change names. Two that are there never have one name.
func TestMailboxNames(t *testing.T) {
	b := newBed(t)
	inbox, old, sent := b.mailbox("INBOX", 7), b.mailbox("Old", 8), b.mailbox("Sent", 9)
	rename := func(id MailboxID, raw string) error {
		return b.Write(context.Background(), Interactive, 0, func(w *Writer) error {
			_, err := w.tx.Exec(`UPDATE mailbox SET raw = ?, path = ? WHERE id = ?`, []byte(raw), raw, id)
			return err
		})
	}
	found := func(raw string) (id MailboxID) {
		read(t, b.Store, func(r *Reader) error {
			m, err := r.MailboxByRaw(b.account, raw)
			id = m.ID
			return err
		})
		return id
	}
	if rename(sent, "Old") == nil {
		t.Error("two mailboxes have one name")
	}
	write(t, b.Store, func(w *Writer) error { return w.LoseMailbox(old) })
	if err := rename(sent, "Old"); err != nil {
		t.Errorf("the name of a mailbox that is gone: %v", err)
	}
	if id := found("Old"); id != sent {
		t.Errorf("the name leads to mailbox %d, not to the one that is there", id)
	}
	for _, step := range []struct {
		id  MailboxID
		raw string
	}{{inbox, "\x00"}, {sent, "INBOX"}, {inbox, "Old"}} {
		if err := rename(step.id, step.raw); err != nil {
			t.Errorf("mailbox %d to %q: %v", step.id, step.raw, err)
		}
	}
	if found("Old") != inbox || found("INBOX") != sent {
		t.Errorf("after the change of names: Old is %d, INBOX %d", found("Old"), found("INBOX"))
	}
	// Of several that are gone the last one comes back.
	write(t, b.Store, func(w *Writer) error { return w.LoseMailbox(inbox) })
	write(t, b.Store, func(w *Writer) error {
		_, err := w.tx.Exec(`UPDATE mailbox SET gone_at = gone_at - 1000 WHERE id = ?`, old)
		return err
	})
	write(t, b.Store, func(w *Writer) error {
		id, err := w.PutMailbox(Mailbox{Account: b.account, Raw: "Old", Path: "Old", Delimiter: "/", Selectable: true,
			Priority: 5})
		if id != inbox {
			t.Errorf("mailbox %d came back, want %d", id, inbox)
		}
		return err
	})
}
