package storage

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"

	"mailcote/storage/internal/file"
)

// Mark is what tells a message from others under one UID without its bytes.
type Mark struct {
	UID  UID
	Size int64 // octets
	Date int64 // INTERNALDATE in Unix seconds
}

// Marks lists live entries of one generation of a mailbox from a UID on, at
// most n of them, by ascending UID.
func (r *Reader) Marks(mailbox MailboxID, validity UIDValidity, from UID, n int) ([]Mark, error) {
	var all []Mark
	rows, err := r.snap.Query(`SELECT uid, size, internal_date / 1000 FROM entry
		WHERE mailbox_id = ? AND uidvalidity = ? AND uid >= ? AND expunged_at IS NULL ORDER BY uid LIMIT ?`,
		mailbox, validity, from, n)
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		var one Mark
		err := rows.Scan(&one.UID, &one.Size, &one.Date)
		all = append(all, one)
		return err
	})
}

// Rename says what name on the server a mailbox has now.
type Rename struct {
	Mailbox MailboxID
	Raw     string
}

// RenameMailboxes gives mailboxes other names. They keep their rows and all
// that belongs to these. What LIST says besides comes with PutMailbox. Names
// may go round: no two live rows have one name (mailbox_name), so each row
// waits under a name that no server can give. A mailbox whose name another one
// takes, and which is not renamed itself, is lost (LoseMailbox).
func (w *Writer) RenameMailboxes(account AccountID, all []Rename) (lost []MailboxID, err error) {
	rename := func(id MailboxID, raw string) error {
		_, err := w.tx.Exec(`UPDATE mailbox SET raw = ? WHERE id = ? AND account_id = ?`, []byte(raw), id, account)
		return explain("rename mailbox", err)
	}
	for _, one := range all {
		if err := rename(one.Mailbox, "\x00"+strconv.FormatInt(int64(one.Mailbox), 10)); err != nil {
			return nil, err
		}
	}
	for _, one := range all {
		switch m, err := w.MailboxByRaw(account, one.Raw); {
		case err != nil && !errors.Is(err, ErrNotFound):
			return nil, err
		case err == nil && !m.Gone:
			if err := w.LoseMailbox(m.ID); err != nil {
				return nil, err
			}
			lost = append(lost, m.ID)
		}
		if err := rename(one.Mailbox, one.Raw); err != nil {
			return nil, err
		}
		w.touchMailbox(account, one.Mailbox)
	}
	return lost, nil
}

// NoteObjectID notes a mailbox's MAILBOXID.
func (w *Writer) NoteObjectID(id MailboxID, objectID string) error {
	if _, err := w.tx.Exec(`UPDATE mailbox SET object_id = ?1 WHERE id = ?2 AND object_id IS NOT ?1`,
		objectID, id); err != nil {
		return fmt.Errorf("note MAILBOXID: %w", err)
	}
	return nil
}

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
