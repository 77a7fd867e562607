package storage

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"mailcote/storage/internal/file"
	"mailcote/storage/internal/schema"
	"mailcote/storage/query"
)

// IndexDoc is what the search index takes of one email. Subject, text and
// attachment names are plain text, as the message holds them. The index brings
// them into its own spelling (package query). The sender and the recipients
// come from the email's row. People are further names and addresses, one list a
// line; lines that the row holds already are passed over.
type IndexDoc struct {
	Email       EmailRow
	Subject     string
	People      string
	Text        string
	Attachments string
}

// enqueueIndex has an email's search row written. Call it in the transaction
// that stores its body.
func (w *Writer) enqueueIndex(row EmailRow) error {
	_, err := w.tx.Exec(`INSERT INTO unindexed (email_id) VALUES (?) ON CONFLICT DO NOTHING`, row)
	return explain("enqueue for the search index", err)
}

// Unindexed lists the emails whose search row is missing, by ascending row key,
// at most limit.
func (r *Reader) Unindexed(limit int) ([]EmailRow, error) {
	var all []EmailRow
	rows, err := r.snap.Query(`SELECT email_id FROM unindexed ORDER BY email_id LIMIT ?`, limit)
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		var one EmailRow
		err := rows.Scan(&one)
		all = append(all, one)
		return err
	})
}

// IndexDocs writes index rows and notes, in the same transaction, that they are
// written. An email that was indexed before is indexed anew. One that is gone
// is passed over. Call it through Store.WriteAlone: every savepoint flushes the
// index.
func (w *Writer) IndexDocs(docs []IndexDoc) error {
	for _, doc := range docs {
		var sender, recipients string
		err := w.tx.QueryRow(`SELECT sender, recipients FROM email WHERE id = ?`, doc.Email).Scan(&sender, &recipients)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return fmt.Errorf("index email %d: %w", doc.Email, err)
		}
		people := query.IndexPeople(sender, recipients)
		for line := range strings.Lines(doc.People) {
			if line = strings.TrimSpace(line); line != "" && !strings.Contains(sender, line) &&
				!strings.Contains(recipients, line) {
				people += "\n" + query.Index(line)
			}
		}
		if _, err := w.tx.Exec(`INSERT OR REPLACE INTO search (rowid, subject, people, text, attachments)
			VALUES (?, ?, ?, ?, ?)`,
			doc.Email, query.Index(doc.Subject), people, query.Index(doc.Text),
			query.Index(doc.Attachments)); err != nil {
			return fmt.Errorf("index email %d: %w", doc.Email, damagedIndex(err))
		}
		if _, err := w.tx.Exec(`DELETE FROM unindexed WHERE email_id = ?`, doc.Email); err != nil {
			return explain("note what is indexed", err)
		}
	}
	return nil
}

// damagedIndex makes an error of the search index, not of the file around it,
// an ErrIndex. Most show when the index is flushed, at the COMMIT. A damaged
// index may even break its own constraints.
func damagedIndex(err error) error {
	var se *sqlite.Error
	if errors.As(err, &se) && (se.Code() == lib.SQLITE_CORRUPT_VTAB || se.Code() == lib.SQLITE_ERROR ||
		se.Code()&0xff == lib.SQLITE_CONSTRAINT) {
		return fmt.Errorf("%w: %w", ErrIndex, err)
	}
	return err
}

// ofIndex reports whether a verdict of quick_check is about the search index.
// The index is made anew (RenewIndex), so the file counts as sound.
func ofIndex(verdict string) bool {
	return strings.Contains(verdict, "FTS5 table main.search") ||
		strings.HasPrefix(verdict, "fts5: ") && strings.HasSuffix(verdict, ` from table "search"`)
}

// RenewIndex replaces a damaged or missing search index by an empty one. Every
// email with a body is indexed anew. Call it through Store.WriteAlone.
func (w *Writer) RenewIndex() error {
	table, err := schema.SearchTable()
	if err != nil {
		return err
	}
	for _, statement := range []string{`DROP TABLE IF EXISTS search`, table,
		`INSERT INTO unindexed (email_id) SELECT id FROM email WHERE digest IS NOT NULL ON CONFLICT DO NOTHING`} {
		if _, err := w.tx.Raw().Exec(statement); err != nil {
			return fmt.Errorf("renew the search index: %w", damagedIndex(err))
		}
	}
	return nil
}

// fewHits is the number of candidates up to which each is looked up and sorted.
// Where there are more, emails are walked from new to old until enough match.
// Both keep within the budget of 50 ms at 100 000 mails
// (docs/decisions/0001-store.md).
const fewHits = 1000

// An email is shown by its first live entry in a shown mailbox. It counts as
// unread or flagged when any of those entries is. The conditions on flags are
// spelled as in the indexes entry_unread and entry_flagged.
const (
	isUnread     = `expunged_at IS NULL AND instr(' ' || flags || ' ', ' \Seen ') = 0`
	isFlagged    = `expunged_at IS NULL AND instr(' ' || flags || ' ', ' \Flagged ') > 0`
	shownEntries = `FROM entry x JOIN mailbox y ON y.id = x.mailbox_id AND y.uidvalidity = x.uidvalidity
		AND y.gone_at IS NULL
		WHERE x.email_id = e.id AND x.expunged_at IS NULL`
	searchWhere = ` CROSS JOIN entry n ON n.id = (SELECT x.id ` + shownEntries + ` ORDER BY x.id LIMIT 1)
		CROSS JOIN mailbox m ON m.id = n.mailbox_id CROSS JOIN account a ON a.id = m.account_id
		WHERE (?1 = 0 OR e.account_id = ?1) AND e.received_at >= ?2 AND e.received_at < ?3 AND e.live > 0
		AND (?4 IS NULL OR ?4 = EXISTS (SELECT 1 ` + shownEntries + ` AND instr(' ' || x.flags || ' ', ' \Seen ') = 0))
		AND (?5 IS NULL OR ?5 = EXISTS (SELECT 1 ` + shownEntries + ` AND instr(' ' || x.flags || ' ',
		' \Flagged ') > 0))
		AND (?7 IS NULL OR e.id IN (SELECT rowid FROM search WHERE search MATCH ?7))
		AND (?8 IS NULL OR e.id NOT IN (SELECT rowid FROM search WHERE search MATCH ?8))
		ORDER BY e.received_at DESC, e.id DESC LIMIT ?6`

	searchHits = `SELECT ` + mailColumns + ` FROM (SELECT rowid AS hit FROM search WHERE search MATCH ?9)
		CROSS JOIN email e ON e.id = hit` + searchWhere
	searchUnread = `SELECT ` + mailColumns + ` FROM (SELECT DISTINCT email_id AS hit FROM entry
		WHERE ` + isUnread + `) CROSS JOIN email e ON e.id = hit` + searchWhere
	searchFlagged = `SELECT ` + mailColumns + ` FROM (SELECT DISTINCT email_id AS hit FROM entry
		WHERE ` + isFlagged + `) CROSS JOIN email e ON e.id = hit` + searchWhere
	searchAll     = `SELECT ` + mailColumns + ` FROM email e INDEXED BY email_newest` + searchWhere
	searchAccount = `SELECT ` + mailColumns + ` FROM (SELECT 1 WHERE ?1 > 0)
		CROSS JOIN email e INDEXED BY email_received ON e.account_id = ?1` + searchWhere
)

// Search lists the emails that match, the newest arrival first, at most limit,
// each by one live entry. account 0 means all. Mail that is not indexed yet is
// found by its dates and flags only.
func (r *Reader) Search(q query.Query, account AccountID, limit int) ([]Mail, error) {
	after, before := int64(-1<<62), int64(1<<62)
	if !q.After.IsZero() {
		after = millis(q.After)
	}
	if !q.Before.IsZero() {
		before = millis(q.Before)
	}
	match, excluded := nullText(q.FTS()), nullText(q.Excluded())
	plan, err := r.searchPlan(q, account, match)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	args := []any{account, after, before, q.Unread, q.Flagged, limit, match, excluded}
	if plan == searchHits {
		args[6] = nil // asked once is enough
		args = append(args, match)
	}
	rows, err := r.snap.Query(plan, args...)
	found, err := listMail(rows, err)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return found, nil
}

// searchPlan takes the condition that leaves few candidates, if one does.
func (r *Reader) searchPlan(q query.Query, account AccountID, match any) (string, error) {
	few := func(query string, args ...any) (bool, error) {
		var n int
		err := r.snap.QueryRow(query, append(args, fewHits)...).Scan(&n)
		return n < fewHits, err
	}
	if match != nil {
		if ok, err := few(`SELECT count(*) FROM (SELECT 1 FROM search WHERE search MATCH ? LIMIT ?)`,
			match); ok || err != nil {
			return searchHits, err
		}
	}
	if q.Flagged != nil && *q.Flagged {
		if ok, err := few(`SELECT count(*) FROM (SELECT 1 FROM entry WHERE ` + isFlagged + ` LIMIT ?)`); ok ||
			err != nil {
			return searchFlagged, err
		}
	}
	if q.Unread != nil && *q.Unread {
		if ok, err := few(`SELECT count(*) FROM (SELECT 1 FROM entry WHERE ` + isUnread + ` LIMIT ?)`); ok ||
			err != nil {
			return searchUnread, err
		}
	}
	if account != 0 {
		return searchAccount, nil
	}
	return searchAll, nil
}

func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

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
		count(*), coalesce(sum(size), 0), coalesce(sum(stored), 0) FROM blob`).
		Scan(&emails, &gone, &c.Unindexed, &c.OutdatedViews, &c.Entries, &c.Blobs, &c.RawBytes, &c.StoredBytes)
	c.Emails, c.Indexed = emails-gone, emails-c.Unindexed
	if err != nil {
		return c, fmt.Errorf("count: %w", err)
	}
	return c, nil
}
