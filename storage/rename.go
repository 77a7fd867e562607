package storage

import (
	"database/sql"
	"errors"
	"fmt"
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
