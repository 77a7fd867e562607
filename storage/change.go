package storage

import (
	"fmt"
	"strconv"

	"mailcote/storage/internal/schema"
)

// The object types of the change feed (RFC 8621's names).
const (
	typeEmail   = "Email"
	typeMailbox = "Mailbox"
	typeThread  = "Thread"
)

// number draws the next change number. Numbers are unique in a store. The
// commit publishes them.
func (w *Writer) number() (int64, error) {
	if err := w.readNumber(); err != nil {
		return 0, err
	}
	w.change++
	return w.change, nil
}

// readNumber reads the last change number when it is first asked for.
func (w *Writer) readNumber() error {
	if w.change != 0 {
		return nil
	}
	err := w.tx.QueryRow(`SELECT value FROM meta WHERE key = 'change_no'`).Scan(&w.change)
	return explain("read change number", err)
}

// newID makes the JMAP id of a new object. The caller records its change.
func (w *Writer) newID(letter string) (string, error) {
	err := w.readNumber()
	return schema.ObjectID(letter, w.change), err
}

// touch records that an object was created, updated or came back.
func (w *Writer) touch(account AccountID, kind, id string) error {
	n, err := w.number()
	if err != nil {
		return err
	}
	w.types |= typeBit(kind)
	_, err = w.tx.Exec(`INSERT INTO change (account_id, type, object_id, created_no, changed_no, destroyed, changed_at)
		VALUES (?, ?, ?, ?, ?, 0, ?)
		ON CONFLICT DO UPDATE SET created_no = CASE WHEN destroyed = 1 THEN excluded.created_no ELSE created_no END,
		  changed_no = excluded.changed_no, destroyed = 0, changed_at = excluded.changed_at`,
		account, kind, id, n, n, millis(now()))
	if err != nil {
		return fmt.Errorf("record change of %s %s: %w", kind, id, err)
	}
	return nil
}

// touchGeneration records that every email of a generation changed: they are
// shown now.
func (w *Writer) touchGeneration(m Mailbox, validity UIDValidity) error {
	n, err := w.number()
	if err != nil {
		return err
	}
	w.types |= Emails
	result, err := w.tx.Exec(`INSERT INTO change (account_id, type, object_id, created_no, changed_no, destroyed,
		changed_at)
		SELECT ?1, 'Email', jmap_id, ?2 + row_number() OVER (), ?2 + row_number() OVER (), 0, ?3 FROM
		  (SELECT DISTINCT e.jmap_id FROM entry n JOIN email e ON e.id = n.email_id
		WHERE n.mailbox_id = ?4 AND n.uidvalidity = ?5 AND n.expunged_at IS NULL)
		WHERE true
		ON CONFLICT DO UPDATE SET created_no = CASE WHEN destroyed = 1 THEN excluded.created_no ELSE created_no END,
		  changed_no = excluded.changed_no, destroyed = 0, changed_at = excluded.changed_at`,
		m.Account, n, millis(now()), m.ID, validity)
	if err != nil {
		return fmt.Errorf("record changes of %s: %w", m.Path, err)
	}
	touched, err := result.RowsAffected()
	w.change += touched
	return err
}

// bury records that an object is gone.
func (w *Writer) bury(account AccountID, kind, id string) error {
	clear(w.told)
	n, err := w.number()
	if err != nil {
		return err
	}
	w.types |= typeBit(kind)
	if _, err := w.tx.Exec(`UPDATE change SET destroyed = 1, changed_no = ?, changed_at = ?
		WHERE account_id = ? AND type = ? AND object_id = ?`,
		n, millis(now()), account, kind, id); err != nil {
		return fmt.Errorf("record end of %s %s: %w", kind, id, err)
	}
	return nil
}

// touchMailbox notes that a mailbox's row or counts changed. finish records it
// once.
func (w *Writer) touchMailbox(account AccountID, id MailboxID) {
	if w.touched == nil {
		w.touched = map[MailboxID]AccountID{}
	}
	w.touched[id] = account
}

// finish writes what a closure gathered. It runs after the closure, inside its
// savepoint.
func (w *Writer) finish() error {
	for id, account := range w.touched {
		if err := w.touch(account, typeMailbox, mailboxObject(id)); err != nil {
			return err
		}
	}
	if w.change == 0 {
		return nil
	}
	if _, err := w.tx.Exec(`UPDATE meta SET value = ? WHERE key = 'change_no'`, w.change); err != nil {
		return fmt.Errorf("publish change number: %w", err)
	}
	return nil
}

func mailboxObject(id MailboxID) string { return "M" + strconv.FormatInt(int64(id), 10) }
