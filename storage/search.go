package storage

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"mailcote/storage/query"
)

// IndexDoc is what the search index takes of one email. Subject, text and attachment names are plain text, as the message
// holds them; the index brings them into its own spelling (package query). The sender and the recipients come from the
// email's row; People are further names and addresses, one list a line; lines that the row holds already are passed over.
type IndexDoc struct {
	Email       EmailRow
	Subject     string
	People      string
	Text        string
	Attachments string
}

// Unindexed lists the emails beyond the search watermark by ascending row key, at most limit. Every email has a body today;
// one without will have to be held back here until its body comes, because its index row is written once.
func (r *Reader) Unindexed(limit int) ([]EmailRow, error) {
	var all []EmailRow
	rows, err := r.Query(`SELECT id FROM email WHERE id > (SELECT value FROM meta WHERE key = 'indexed_email') ORDER BY id LIMIT ?`, limit)
	return all, Each(rows, err, func(rows *sql.Rows) error {
		var one EmailRow
		err := rows.Scan(&one)
		all = append(all, one)
		return err
	})
}

// IndexDocs writes index rows and moves the watermark to upTo, if it is behind it, in one transaction. An email that was
// indexed before is indexed anew; one that is gone is passed over. Call it through Store.WriteAlone: every savepoint
// flushes the index.
func (w *Writer) IndexDocs(docs []IndexDoc, upTo EmailRow) error {
	for _, doc := range docs {
		var sender, recipients string
		err := w.QueryRow(`SELECT sender, recipients FROM email WHERE id = ?`, doc.Email).Scan(&sender, &recipients)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return fmt.Errorf("index email %d: %w", doc.Email, err)
		}
		people := query.IndexPeople(sender, recipients)
		for line := range strings.Lines(doc.People) {
			if line = strings.TrimSpace(line); line != "" && !strings.Contains(sender, line) && !strings.Contains(recipients, line) {
				people += "\n" + query.Index(line)
			}
		}
		if _, err := w.Exec(`INSERT OR REPLACE INTO search (rowid, subject, people, text, attachments) VALUES (?, ?, ?, ?, ?)`,
			doc.Email, query.Index(doc.Subject), people, query.Index(doc.Text), query.Index(doc.Attachments)); err != nil {
			return fmt.Errorf("index email %d: %w", doc.Email, err)
		}
	}
	_, err := w.Exec(`UPDATE meta SET value = ? WHERE key = 'indexed_email' AND value < ?`, upTo, upTo)
	return explain("move the search watermark", err)
}

// fewHits is up to how many candidates are looked up and sorted one by one; where there are more, emails are walked from new
// to old until enough match. Both keep within the budget of 50 ms at 100 000 mails (docs/decisions/0001-store.md).
const fewHits = 1000

// An email is shown by its first live entry in a mailbox that is shown; it counts as unread or flagged when any of those is.
// The conditions on flags are spelled as those of the indexes entry_unread and entry_flagged.
const (
	isUnread     = `expunged_at IS NULL AND instr(' ' || flags || ' ', ' \Seen ') = 0`
	isFlagged    = `expunged_at IS NULL AND instr(' ' || flags || ' ', ' \Flagged ') > 0`
	shownEntries = `FROM entry x JOIN mailbox y ON y.id = x.mailbox_id AND y.uidvalidity = x.uidvalidity AND y.gone_at IS NULL
		WHERE x.email_id = e.id AND x.expunged_at IS NULL`
	searchWhere = ` CROSS JOIN entry n ON n.id = (SELECT x.id ` + shownEntries + ` ORDER BY x.id LIMIT 1)
		CROSS JOIN mailbox m ON m.id = n.mailbox_id CROSS JOIN account a ON a.id = m.account_id
		WHERE (?1 = 0 OR e.account_id = ?1) AND e.received_at >= ?2 AND e.received_at < ?3 AND e.live > 0
		AND (?4 IS NULL OR ?4 = EXISTS (SELECT 1 ` + shownEntries + ` AND instr(' ' || x.flags || ' ', ' \Seen ') = 0))
		AND (?5 IS NULL OR ?5 = EXISTS (SELECT 1 ` + shownEntries + ` AND instr(' ' || x.flags || ' ', ' \Flagged ') > 0))
		AND (?7 IS NULL OR e.id IN (SELECT rowid FROM search WHERE search MATCH ?7))
		AND (?8 IS NULL OR e.id NOT IN (SELECT rowid FROM search WHERE search MATCH ?8))
		ORDER BY e.received_at DESC, e.id DESC LIMIT ?6`

	searchHits    = `SELECT ` + mailColumns + ` FROM (SELECT rowid AS hit FROM search WHERE search MATCH ?9) CROSS JOIN email e ON e.id = hit` + searchWhere
	searchUnread  = `SELECT ` + mailColumns + ` FROM (SELECT DISTINCT email_id AS hit FROM entry WHERE ` + isUnread + `) CROSS JOIN email e ON e.id = hit` + searchWhere
	searchFlagged = `SELECT ` + mailColumns + ` FROM (SELECT DISTINCT email_id AS hit FROM entry WHERE ` + isFlagged + `) CROSS JOIN email e ON e.id = hit` + searchWhere
	searchAll     = `SELECT ` + mailColumns + ` FROM email e INDEXED BY email_newest` + searchWhere
	searchAccount = `SELECT ` + mailColumns + ` FROM (SELECT 1 WHERE ?1 > 0) CROSS JOIN email e INDEXED BY email_received ON e.account_id = ?1` + searchWhere
)

// Search lists the emails that match, the newest arrival first, at most limit, each by one live entry. account 0 means all.
// Mail beyond the search watermark is found by its dates and flags only.
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
	rows, err := r.Query(plan, args...)
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
		err := r.QueryRow(query, append(args, fewHits)...).Scan(&n)
		return n < fewHits, err
	}
	if match != nil {
		if ok, err := few(`SELECT count(*) FROM (SELECT 1 FROM search WHERE search MATCH ? LIMIT ?)`, match); ok || err != nil {
			return searchHits, err
		}
	}
	if q.Flagged != nil && *q.Flagged {
		if ok, err := few(`SELECT count(*) FROM (SELECT 1 FROM entry WHERE ` + isFlagged + ` LIMIT ?)`); ok || err != nil {
			return searchFlagged, err
		}
	}
	if q.Unread != nil && *q.Unread {
		if ok, err := few(`SELECT count(*) FROM (SELECT 1 FROM entry WHERE ` + isUnread + ` LIMIT ?)`); ok || err != nil {
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
