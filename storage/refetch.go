package storage

import (
	"database/sql"
	"fmt"

	"mailcote/storage/internal/file"
)

// Refetch lists the live entries of one generation of a mailbox whose message
// is to be downloaded again, by ascending UID.
func (r *Reader) Refetch(mailbox MailboxID, validity UIDValidity) (all []UID, err error) {
	rows, err := r.snap.Query(`SELECT n.uid FROM refetch f CROSS JOIN entry n ON n.id = f.entry_id
		WHERE n.mailbox_id = ? AND n.uidvalidity = ? AND n.uid IS NOT NULL AND n.expunged_at IS NULL ORDER BY n.uid`,
		mailbox, validity)
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		var uid UID
		err := rows.Scan(&uid)
		all = append(all, uid)
		return err
	})
}

// refetched reports whether the message of an entry was to be downloaded again,
// and takes it off that list: it is here.
func (w *Writer) refetched(id EntryID) (bool, error) {
	result, err := w.tx.Exec(`DELETE FROM refetch WHERE entry_id = ?`, id)
	if err != nil {
		return false, fmt.Errorf("look what is fetched again: %w", err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// isOf reports whether an email is that of some bytes.
func (w *Writer) isOf(email EmailRow, b Body) (same bool, err error) {
	err = w.tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM email WHERE id = ? AND digest = ?)`, email,
		b.SHA256[:]).Scan(&same)
	return same, explain("compare email", err)
}

// Reopen has the next pass of every account look at everything: each mailbox is
// listed, and the flags of every message are compared.
func (w *Writer) Reopen() error {
	_, err := w.tx.Exec(`UPDATE mailbox SET pass_at = NULL, modseq = 0 WHERE gone_at IS NULL`)
	return explain("reopen mailboxes", err)
}

// Refetches reports whether a live entry's message is to be downloaded again.
func (r *Reader) Refetches() (any bool, err error) {
	err = r.snap.QueryRow(`SELECT EXISTS (SELECT 1 FROM refetch f CROSS JOIN entry n ON n.id = f.entry_id
		WHERE n.expunged_at IS NULL)`).Scan(&any)
	return any, explain("look what is fetched again", err)
}
