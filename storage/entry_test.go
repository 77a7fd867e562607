package storage

import (
	"hash/maphash"
	"testing"
)

// TestGenerationsApart: a UID means one message in each generation: news of one says nothing of the other, and
// what went is not listed.
func TestGenerationsApart(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1), b.arrival(2, 2))
	write(t, b.Store, func(w *Writer) error { return w.OpenGeneration(box, 8, 1, 2) })
	b.store(box, 8, b.arrival(1, 3), b.arrival(2, 4))
	write(t, b.Store, func(w *Writer) error {
		if _, err := w.ApplyFlags(box, 8, []FlagChange{{UID: 1, Flags: `\Flagged`}}); err != nil {
			return err
		}
		return w.Expunge(box, 8, []UID{2})
	})
	for validity, want := range map[UIDValidity]map[UID]Flags{7: {1: "", 2: ""}, 8: {1: `\Flagged`}} {
		seed := maphash.MakeSeed()
		read(t, b.Store, func(r *Reader) error {
			all, err := r.EntriesIn(box, validity, AllUIDs(), 0, seed)
			if len(all) != len(want) {
				t.Errorf("generation %d: %d entries, want %d", validity, len(all), len(want))
			}
			for _, one := range all {
				if flags, known := want[one.UID]; !known || one.Flags != flags.Sum(seed) {
					t.Errorf("generation %d: UID %d is not wanted, or with other flags than %q", validity, one.UID,
						flags)
				}
			}
			return err
		})
	}
}

// TestSettleOneAccount: mail of an account that is on its way to another mailbox is not settled when another
// account's pass ends.
func TestSettleOneAccount(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1))
	write(t, b.Store, func(w *Writer) error {
		other, err := w.AddAccount(Account{Name: "other", User: "other", Host: "h", Port: 993, Security: "tls"})
		if err != nil {
			return err
		}
		if err := w.Expunge(box, 7, []UID{1}); err != nil {
			return err
		}
		if n, err := w.SettleOrphans(other); n != 0 || err != nil {
			t.Errorf("%d went, %v", n, err)
		}
		return nil
	})
	b.settle()
	if n := number(t, b.Store, `SELECT count(*) FROM email WHERE destroyed_at IS NOT NULL`); n != 1 {
		t.Errorf("%d went at the end of its own pass", n)
	}
}

// A counter that is damaged beyond measure costs no memory.
func TestUIDsOfAWrongCounter(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1))
	read(t, b.Store, func(r *Reader) error {
		all, err := r.UIDs(box, 7, 1<<50)
		if len(all) != 1 {
			t.Errorf("%v", all)
		}
		return err
	})
}
