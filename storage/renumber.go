package storage

import (
	"errors"
	"fmt"
	"math"
)

// RenumberEntries gives live entries of a generation other UIDs, where the
// server's numbers do not last. No change is published, since the messages are
// the same. left are live entries whose UIDs belong to other messages now: they
// and expunged ones that stand in the way get UIDs beyond all that servers give.
// Nothing stays vouched for or in quarantine.
func (w *Writer) RenumberEntries(mailbox MailboxID, validity UIDValidity, moves map[UID]UID, left []UID) error {
	var free int64
	if err := w.tx.QueryRow(`SELECT coalesce(min(uid), ?3 + 1) FROM entry WHERE mailbox_id = ?1 AND uidvalidity = ?2
		AND uid > ?3 - ?3 / 4`, mailbox, validity, int64(math.MaxUint32)).Scan(&free); err != nil {
		return fmt.Errorf("find free UIDs: %w", err)
	}
	wanted := make(map[UID]bool, len(moves))
	for _, to := range moves {
		wanted[to] = true
	}
	renumber := func(from, to UID) error {
		_, err := w.tx.Exec(`UPDATE entry SET uid = ?1 WHERE mailbox_id = ?2 AND uidvalidity = ?3 AND uid = ?4`,
			to, mailbox, validity, from)
		return explain("renumber entry", err)
	}
	aside := func(from UID) (UID, error) {
		for {
			free--
			var taken bool
			if err := w.tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM entry WHERE mailbox_id = ? AND uidvalidity = ?
				AND uid = ?)`, mailbox, validity, free).Scan(&taken); err != nil || free < 1 {
				return 0, errors.Join(explain("find free UID", err), errors.New("no UID is free"))
			}
			if !taken && !wanted[UID(free)] {
				return UID(free), renumber(from, UID(free))
			}
		}
	}
	waiting := make(map[UID]UID, len(moves)) // where they wait, and where they go
	for from, to := range moves {
		at, err := aside(from)
		if err != nil {
			return err
		}
		waiting[at] = to
	}
	for _, from := range left {
		if _, err := aside(from); err != nil {
			return err
		}
	}
	for at, to := range waiting {
		if _, err := aside(to); err != nil { // an expunged one may be there
			return err
		}
		if err := renumber(at, to); err != nil {
			return err
		}
	}
	return w.forget(mailbox, validity)
}
