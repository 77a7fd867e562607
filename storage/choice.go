package storage

import (
	"fmt"
	"strings"
	"time"
)

// SetRefused notes that the server would not let the account read a mailbox,
// with its words. "" notes that it opens. What is stored of it stays, and the
// next pass that asks for it opens it.
func (w *Writer) SetRefused(id MailboxID, words string, at time.Time) error {
	m, err := w.Mailbox(id)
	words = strings.ToValidUTF8(words, "\ufffd")
	if err != nil || words == "" && m.Refused == "" {
		return err
	}
	if words == "" {
		_, err = w.tx.Exec(`UPDATE mailbox SET refused = '', refused_at = NULL WHERE id = ?`, id)
	} else {
		_, err = w.tx.Exec(`UPDATE mailbox SET refused = ?, refused_at = ?, pass_at = NULL WHERE id = ?`,
			words, millis(at), id)
	}
	if err != nil {
		return fmt.Errorf("note that %s is refused: %w", m.Path, err)
	}
	w.touchMailbox(m.Account, id)
	return nil
}

// SetSynced notes whether a person wants a mailbox synced. What is stored and
// vouched for stays either way. One that was complete when it is left out was so
// at the account's last complete pass.
func (w *Writer) SetSynced(id MailboxID, on bool) error {
	m, err := w.Mailbox(id)
	if err != nil || m.Synced == on {
		return err
	}
	if _, err := w.tx.Exec(`UPDATE mailbox SET synced = ?1, completed_at = CASE WHEN ?1 OR pass_at IS NULL
		THEN completed_at
		ELSE max(completed_at, coalesce((SELECT last_success_at FROM account WHERE id = account_id), 0))
		END WHERE id = ?2`, on, id); err != nil {
		return fmt.Errorf("set whether %s is synced: %w", m.Path, err)
	}
	w.touchMailbox(m.Account, id)
	return nil
}
