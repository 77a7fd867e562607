package storage

import "time"

// HighestModSeq returns the highest MODSEQ of the live entries of one
// generation of a mailbox; 0: none has one.
func (r *Reader) HighestModSeq(mailbox MailboxID, validity UIDValidity) (highest ModSeq, err error) {
	err = r.snap.QueryRow(`SELECT coalesce(max(modseq), 0) FROM entry WHERE mailbox_id = ? AND uidvalidity = ?
		AND expunged_at IS NULL`, mailbox, validity).Scan(&highest)
	return highest, explain("find the highest modseq", err)
}

// SetModSeq notes that every entry's flags are current up to modseq.
func (w *Writer) SetModSeq(id MailboxID, modseq ModSeq) error {
	_, err := w.tx.Exec(`UPDATE mailbox SET modseq = ? WHERE id = ?`, modseq, id)
	return explain("set modseq", err)
}

// ClearModSeqs forgets every MODSEQ of one generation of a mailbox, because the
// server counts anew or does not count. Flags that come next count as newer.
func (w *Writer) ClearModSeqs(id MailboxID, validity UIDValidity) error {
	if _, err := w.tx.Exec(`UPDATE entry SET modseq = 0 WHERE mailbox_id = ? AND uidvalidity = ? AND modseq > 0`, id,
		validity); err != nil {
		return explain("clear modseq", err)
	}
	_, err := w.tx.Exec(`UPDATE mailbox SET modseq = 0 WHERE id = ? AND uidvalidity = ?`, id, validity)
	return explain("clear modseq", err)
}

// SetHidden notes that a comparison of flags found a change that MODSEQ had not
// shown.
func (w *Writer) SetHidden(id MailboxID, at time.Time) error {
	_, err := w.tx.Exec(`UPDATE mailbox SET hidden_at = ? WHERE id = ?`, millis(at), id)
	return explain("note a hidden change", err)
}

// SetFlagsPlace notes that flags were compared as far as next. With whole all
// were, and the next comparison begins with the first message.
func (w *Writer) SetFlagsPlace(id MailboxID, whole bool, next UID, at time.Time) error {
	if whole {
		next = 0
	}
	_, err := w.tx.Exec(`UPDATE mailbox SET flags_uid = ?1, flags_at = iif(?2, ?3, flags_at) WHERE id = ?4`,
		next, whole, millis(at), id)
	return explain("note compared flags", err)
}
