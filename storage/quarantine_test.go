package storage

import (
	"slices"
	"testing"
	"time"
)

// TestQuarantineSums: a sum says of a mailbox what its rows say, and reading it
// takes no memory for each of them.
func TestQuarantineSums(t *testing.T) {
	const many = 10_000
	b := newBed(t)
	box, other, gone := b.mailbox("INBOX", 7), b.mailbox("Archive", 8), b.mailbox("Old", 9)
	put := func(w *Writer, q Quarantined, tries int) error {
		q.Reason, q.Claimed = "the server ends the connection inside this message", -1
		for range tries {
			if err := w.Quarantine(q); err != nil {
				return err
			}
		}
		return nil
	}
	write(t, b.Store, func(w *Writer) error {
		for uid := UID(1); uid <= many; uid++ {
			if err := put(w, Quarantined{Mailbox: box, Validity: 7, UID: uid}, 1); err != nil {
				return err
			}
		}
		for _, one := range []struct {
			box      MailboxID
			validity UIDValidity
			uid      UID
			tries    int
		}{{other, 8, 1, 1}, {other, 8, 2, 3}, {other, 8, 3, 5}, {other, 7, 4, 1}, {gone, 9, 1, 1}} {
			if err := put(w, Quarantined{Mailbox: one.box, Validity: one.validity, UID: one.uid},
				one.tries); err != nil {
				return err
			}
		}
		return w.LoseMailbox(gone)
	})
	alter := func(statement string, args ...any) {
		write(t, b.Store, func(w *Writer) error {
			_, err := w.tx.Exec(statement, args...)
			return err
		})
	}
	alter(`UPDATE quarantine SET last_at = 1000`)
	alter(`UPDATE quarantine SET last_at = 5000 WHERE mailbox_id = ? AND uid = 3`, other)
	alter(`UPDATE quarantine SET asked_at = 1 WHERE mailbox_id = ? AND uid = 77`, box)
	at := func(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
	want := []QuarantineSum{
		{box, "INBOX", 1, many, at(1000), at(1000), true, true},
		{other, "Archive", 1, 1, at(1000), at(1000), false, true},
		{other, "Archive", 3, 2, at(1000), at(5000), false, true},
	}
	read(t, b.Store, func(r *Reader) error {
		got, err := r.QuarantineSums(b.account, 3)
		if !slices.Equal(got, want) {
			t.Errorf("%+v\nwant %+v", got, want)
		}
		all, failed := r.QuarantineOf(b.account)
		if n, err := r.Quarantined(b.account); n != len(all) || n != many+3 {
			t.Errorf("%d, %v; the list has %d, %v", n, err, len(all), failed)
		}
		if n := testing.AllocsPerRun(1, func() {
			if _, err := r.QuarantineSums(b.account, 3); err != nil {
				t.Error(err)
			}
		}); n > many/10 {
			t.Errorf("%.0f allocations for %d rows", n, many)
		}
		return err
	})
}
