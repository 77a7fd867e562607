package storage

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"time"

	"mailcote/storage/internal/file"
	"mailcote/storage/query"
)

// Copy is a live entry with what is known of its message.
type Copy struct {
	Email        EmailRow
	ID           EmailID
	Thread       string // its JMAP id
	UID          UID
	Flags        Flags
	InternalDate time.Time
	SentAt       time.Time // zero: unknown
	MessageID    string
	Sender       string
	Recipients   string
	Subject      string
	Size         int64  // octets, as the server says
	Blob         BlobID // 0: the body is not here
	SHA256       [sha256.Size]byte
	RawSize      int64 // octets of the body that is here
}

// Copies lists the live entries of one generation of a mailbox whose UID is
// above after, by ascending UID, at most limit.
func (r *Reader) Copies(mailbox MailboxID, validity UIDValidity, after UID, limit int) ([]Copy, error) {
	var all []Copy
	rows, err := r.snap.Query(`SELECT e.id, e.jmap_id, t.jmap_id, n.uid, n.flags, n.internal_date, e.sent_at,
		e.message_id, e.sender, e.recipients, e.subject, n.size, coalesce(b.id, 0), b.sha256, coalesce(b.size, 0)
		FROM entry n CROSS JOIN email e ON e.id = n.email_id CROSS JOIN thread t ON t.id = e.thread_id
		LEFT JOIN blob b ON b.id = n.blob_id AND b.state = 'sealed'
		WHERE n.mailbox_id = ? AND n.uidvalidity = ? AND n.uid > ? AND n.expunged_at IS NULL
		ORDER BY n.uid LIMIT ?`, mailbox, validity, after, limit)
	if err := file.Each(rows, err, func(rows *sql.Rows) error {
		var c Copy
		var date int64
		var sent *int64
		var sum []byte
		if err := rows.Scan(&c.Email, &c.ID, &c.Thread, &c.UID, &c.Flags, &date, &sent, &c.MessageID, &c.Sender,
			&c.Recipients, &c.Subject, &c.Size, &c.Blob, &sum, &c.RawSize); err != nil {
			return err
		}
		copy(c.SHA256[:], sum)
		c.InternalDate, c.SentAt = time.UnixMilli(date).UTC(), fromMillis(sent)
		all = append(all, c)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	return all, nil
}

// FoundEmails gives the row keys of all emails that match, in no order, and the
// mailboxes that the query names; nil: it names none.
func (r *Reader) FoundEmails(q query.Query, account AccountID) (emails []EmailRow, in []MailboxID, err error) {
	s, err := r.plan(q, account, true)
	if err != nil {
		return nil, nil, fmt.Errorf("search: %w", err)
	}
	statement := `SELECT e.id FROM ` + s.from + ` WHERE ` + s.where + ` AND EXISTS (SELECT 1 ` + shownEntries + `)`
	rows, err := r.snap.Query(statement, s.args...)
	err = file.Each(rows, err, func(rows *sql.Rows) error {
		var one EmailRow
		err := rows.Scan(&one)
		emails = append(emails, one)
		return err
	})
	return emails, s.in, explain("search", err)
}
