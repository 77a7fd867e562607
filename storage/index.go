package storage

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"

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
// line; lines that the row holds already are passed over. Cc and Bcc say which
// people are those.
//
// A document that is Spelled brings the sender and the recipients itself, in
// From and To, as they are in the row.
type IndexDoc struct {
	Email       EmailRow
	Subject     string
	From, To    string
	People      string
	Cc, Bcc     string
	Text        string
	Attachments string

	spelled bool // the columns are in query.Newest, People is all of that column
}

// Spelled gives the document in the newest spelling. That is most of the work of
// indexing, and takes no transaction.
func (d IndexDoc) Spelled() IndexDoc {
	spelled := d.in(query.Newest)
	spelled.spelled = true
	return spelled
}

// in gives the columns in a spelling.
func (d IndexDoc) in(s query.Spelling) IndexDoc {
	people := query.People{From: d.From, To: d.To, Cc: d.Cc, Bcc: d.Bcc}
	for line := range strings.Lines(d.People) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(people.From, line) &&
			!strings.Contains(people.To, line) {
			people.Others += line + "\n"
		}
	}
	return IndexDoc{Email: d.Email, Subject: s.Text(d.Subject), People: s.People(people), Text: s.Text(d.Text),
		Attachments: s.Text(d.Attachments)}
}

// Size is about what it takes in memory, in bytes.
func (d IndexDoc) Size() int {
	return len(d.Subject) + len(d.From) + len(d.To) + len(d.People) + len(d.Cc) + len(d.Bcc) + len(d.Text) +
		len(d.Attachments) + 256
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

// CountUnindexed counts the emails whose search row is missing.
func (r *Reader) CountUnindexed() (n int64, err error) {
	err = r.snap.QueryRow(`SELECT count(*) FROM unindexed`).Scan(&n)
	return n, explain("count what is to be indexed", err)
}

// IndexDocs writes index rows and notes, in the same transaction, that they are
// written. An email that was indexed before is indexed anew. One that is gone
// is passed over. While an index is being built beside the one that answers,
// both get them. A document that is spelled is written as it is, and refused
// by an index of another spelling: ask NewestSpelling. Call it through
// Store.WriteAlone: every savepoint flushes the index.
func (w *Writer) IndexDocs(docs []IndexDoc) error {
	state, err := w.indexState()
	if err != nil {
		return err
	}
	for _, doc := range docs {
		there, err := w.putIndexRow(`search`, state.spelling, doc)
		if err == nil && there && state.next != 0 {
			_, err = w.putIndexRow(`search_next`, state.next, doc)
		}
		if err != nil {
			return err
		}
		// Also of one that is gone: Drain, which ends when nothing waits, would loop.
		if _, err := w.tx.Exec(`DELETE FROM unindexed WHERE email_id = ?`, doc.Email); err != nil {
			return explain("note what is indexed", err)
		}
	}
	return nil
}

// CountReparsed notes how often messages were read and parsed again when they
// were indexed, as the documents made on their arrival were not at hand. What
// builds an index anew is not counted.
func (w *Writer) CountReparsed(n int) error {
	_, err := w.tx.Exec(`INSERT INTO meta (key, value) VALUES ('index_reparsed', ?) ON CONFLICT DO UPDATE
		SET value = value + excluded.value`, n)
	return explain("count what was read again for the search index", err)
}

// putIndexRow writes one row of an index in its spelling. there is false for an
// email that is gone.
func (w *Writer) putIndexRow(table string, spelling query.Spelling, doc IndexDoc) (there bool, err error) {
	from, to, err := w.Correspondents(doc.Email)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if doc.spelled && spelling != query.Newest {
		return false, fmt.Errorf("index email %d: the search index has another spelling than its document", doc.Email)
	}
	if !doc.spelled {
		doc.From, doc.To = from, to
		doc = doc.in(spelling)
	}
	if _, err := w.tx.Exec(intoIndex(table), doc.Email, doc.Subject, doc.People, doc.Text,
		doc.Attachments); err != nil {
		return false, fmt.Errorf("index email %d: %w", doc.Email, damagedIndex(err))
	}
	return true, nil
}

// Correspondents gives the sender and the recipients in an email's row.
func (r *Reader) Correspondents(email EmailRow) (from, to string, err error) {
	err = r.snap.QueryRow(`SELECT sender, recipients FROM email WHERE id = ?`, email).Scan(&from, &to)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", ErrNotFound
	}
	if err != nil {
		return "", "", fmt.Errorf("read who email %d is from and to: %w", email, err)
	}
	return from, to, nil
}

// intoIndex writes a row. One that reads from a table (INSERT … SELECT) would
// have a savepoint of its own, and flush the index.
func intoIndex(table string) string {
	return `INSERT OR REPLACE INTO ` + table + ` (rowid, subject, people, text, attachments) VALUES (?, ?, ?, ?, ?)`
}

// dropIndexRow takes an email out of the search index.
func (w *Writer) dropIndexRow(email EmailRow) error {
	if _, err := w.tx.Exec(`DELETE FROM search WHERE rowid = ?`, email); err != nil {
		return fmt.Errorf("drop search row: %w", err)
	}
	state, err := w.indexState()
	if err != nil || state.next == 0 {
		return err
	}
	if _, err := w.tx.Raw().Exec(`DELETE FROM search_next WHERE rowid = ?`, email); err != nil {
		return fmt.Errorf("drop search row: %w", err)
	}
	return nil
}

// indexTables names the index that answers, and the one that is being built.
func (r *Reader) indexTables() ([]string, error) {
	state, err := r.indexState()
	if err != nil || state.next == 0 {
		return []string{"search"}, err
	}
	return []string{"search", "search_next"}, nil
}

// mergeIndex leaves nothing in the search index of what was deleted.
func (w *Writer) mergeIndex() error {
	tables, err := w.indexTables()
	for _, table := range tables {
		err = errors.Join(err, w.define("merge the search index",
			`INSERT INTO `+table+` (`+table+`) VALUES ('optimize')`))
	}
	return err
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
		strings.HasPrefix(verdict, "fts5: ") && (strings.HasSuffix(verdict, ` from table "search"`) ||
			strings.HasSuffix(verdict, ` from table "search_next"`))
}

// RenewIndex replaces a damaged or missing search index by an empty one in the
// newest spelling. Every email with a body is indexed anew. Call it through
// Store.WriteAlone.
func (w *Writer) RenewIndex() error {
	return w.define("renew the search index", `DROP TABLE IF EXISTS search_next`, `DROP TABLE IF EXISTS search`,
		schema.SearchTable("search"),
		`INSERT INTO unindexed (email_id) SELECT id FROM email WHERE digest IS NOT NULL ON CONFLICT DO NOTHING`,
		setState(query.Newest, 0))
}

// RemakeIndex begins to make the search index again. A sound one answers until
// the one that is built beside it takes its place; what was built of that one
// already is kept. A damaged one is dropped at once. Call it through
// Store.WriteAlone.
func (w *Writer) RemakeIndex() error {
	err := w.define("check the search index", `INSERT INTO search (search) VALUES ('integrity-check')`)
	if errors.Is(err, ErrIndex) {
		return w.RenewIndex()
	}
	if err != nil {
		return err
	}
	state, err := w.indexState()
	if err != nil || state.next == query.Newest {
		return err
	}
	return w.RebuildIndex()
}

// define runs statements that make, drop or merge tables.
func (w *Writer) define(what string, statements ...string) error {
	for _, statement := range statements {
		if _, err := w.tx.Raw().Exec(statement); err != nil {
			return fmt.Errorf("%s: %w", what, damagedIndex(err))
		}
	}
	return nil
}
