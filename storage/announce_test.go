package storage

import "testing"

// TestAnnounce: what LIST or STATUS announces counts until the mailbox was opened.
func TestAnnounce(t *testing.T) {
	b := newBed(t)
	opened := b.mailbox("INBOX", 7)
	var listed MailboxID
	write(t, b.Store, func(w *Writer) (err error) {
		listed, err = w.PutMailbox(Mailbox{Account: b.account, Raw: "Archive", Path: "Archive", Selectable: true,
			Priority: 5})
		return err
	})
	remote := func(id MailboxID) int64 {
		return number(t, b.Store, `SELECT remote_total FROM mailbox WHERE id = ?`, id)
	}
	before := remote(opened)
	write(t, b.Store, func(w *Writer) error {
		if err := w.Announce(opened, before+70); err != nil {
			return err
		}
		return w.Announce(listed, 70)
	})
	if remote(listed) != 70 || remote(opened) != before {
		t.Errorf("%d of a mailbox that is listed, %d of one that was open at %d", remote(listed), remote(opened),
			before)
	}
}
