package storage

import (
	"database/sql"
	"fmt"
	"time"

	"mailcote/storage/internal/file"
)

// Mail is one live entry with what a list shows of its email.
type Mail struct {
	Entry         EntryID
	Email         EmailRow
	ID            EmailID
	Account       AccountID
	AccountName   string
	Mailbox       MailboxID
	MailboxPath   string
	UID           UID
	MessageID     string
	Date          time.Time // INTERNALDATE
	SentAt        time.Time // zero: unknown
	Sender        string
	Recipients    string
	Subject       string
	Preview       string
	Size          int64
	Flags         Flags
	HasAttachment bool
	Partial       bool
}

const mailColumns = `n.id, e.id, e.jmap_id, m.account_id, a.name, m.id, m.path, coalesce(n.uid, 0), e.message_id,
	n.internal_date, e.sent_at,
	e.sender, e.recipients, e.subject, e.preview, n.size, n.flags, e.has_attachment, e.partial`

const mailFrom = ` FROM entry n JOIN mailbox m ON m.id = n.mailbox_id AND m.uidvalidity = n.uidvalidity
	AND m.gone_at IS NULL
	JOIN account a ON a.id = m.account_id JOIN email e ON e.id = n.email_id `

func scanMail(row interface{ Scan(...any) error }) (Mail, error) {
	var m Mail
	var date int64
	var sent *int64
	err := row.Scan(&m.Entry, &m.Email, &m.ID, &m.Account, &m.AccountName, &m.Mailbox, &m.MailboxPath, &m.UID,
		&m.MessageID, &date, &sent,
		&m.Sender, &m.Recipients, &m.Subject, &m.Preview, &m.Size, &m.Flags, &m.HasAttachment, &m.Partial)
	m.Date, m.SentAt = time.UnixMilli(date).UTC(), fromMillis(sent)
	return m, err
}

func listMail(rows *sql.Rows, err error) ([]Mail, error) {
	var all []Mail
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		m, err := scanMail(rows)
		all = append(all, m)
		return err
	})
}

// Cursor is a place in a list that runs from new to old. The zero cursor is its
// beginning.
type Cursor struct {
	Date  time.Time
	Entry EntryID
}

// Newest lists a mailbox's live entries from new to old, at most limit,
// starting after the cursor.
func (r *Reader) Newest(mailbox MailboxID, after Cursor, limit int) ([]Mail, error) {
	date, entry := int64(1<<62), EntryID(0)
	if after.Entry != 0 {
		date, entry = millis(after.Date), after.Entry
	}
	rows, err := r.snap.Query(`SELECT `+mailColumns+mailFrom+` WHERE n.mailbox_id = ? AND n.expunged_at IS NULL
		AND (n.internal_date, n.id) < (?, ?)
		ORDER BY n.internal_date DESC, n.id DESC LIMIT ?`, mailbox, date, entry, limit)
	return listMail(rows, err)
}

// MailOf lists the live entries of an email.
func (r *Reader) MailOf(row EmailRow) ([]Mail, error) {
	rows, err := r.snap.Query(`SELECT `+mailColumns+mailFrom+` WHERE n.email_id = ? AND n.expunged_at IS NULL
		ORDER BY n.id`, row)
	return listMail(rows, err)
}

// Counts are the store's sizes for status.
type Counts struct {
	Emails, Entries, Blobs int64
	RawBytes, StoredBytes  int64
	Indexed, Unindexed     int64
	OutdatedViews          int64
	Reindexing             int64 // found, and to be written to the index that is being built
	Reparsed               int64 // times that a message was read and parsed again when it was indexed
}

// Count sums the store up.
func (r *Reader) Count() (Counts, error) {
	var c Counts
	var emails, gone int64
	err := r.snap.QueryRow(`SELECT (SELECT count(*) FROM email),
		(SELECT count(*) FROM email WHERE live = 0 AND destroyed_at IS NULL) + (SELECT count(*) FROM email
		WHERE destroyed_at IS NOT NULL),
		(SELECT count(*) FROM unindexed), (SELECT count(*) FROM outdated_view),
		(SELECT coalesce(sum(total), 0) FROM mailbox WHERE gone_at IS NULL),
		coalesce((SELECT value FROM meta WHERE key = 'index_reparsed'), 0),
		count(*), coalesce(sum(size), 0), coalesce(sum(stored), 0) FROM blob`).
		Scan(&emails, &gone, &c.Unindexed, &c.OutdatedViews, &c.Entries, &c.Reparsed, &c.Blobs, &c.RawBytes,
			&c.StoredBytes)
	c.Emails, c.Indexed = emails-gone, emails-c.Unindexed
	if err != nil {
		return c, fmt.Errorf("count: %w", err)
	}
	c.Reindexing, err = r.toRebuild()
	return c, err
}
