package storage

import (
	"database/sql"
	"errors"
	"fmt"

	"mailcote/storage/internal/file"
)

// OutdateViews lists every email whose view an older reader made, when the
// reader's version has risen. The views are made again later. A lower version
// is only noted: the newer reader then lists what this one makes.
func (w *Writer) OutdateViews(version int) error {
	have, err := w.readerVersion()
	if err != nil || have == version {
		return err
	}
	if have < version {
		if err := w.OutdateAll(); err != nil {
			return err
		}
	}
	_, err = w.tx.Exec(`INSERT INTO meta (key, value) VALUES ('reader', ?)
		ON CONFLICT DO UPDATE SET value = excluded.value`, version)
	return explain("note the reader's version", err)
}

// readerVersion is the version of the reader that made all views but the
// outdated ones. 0: none was noted.
func (r *Reader) readerVersion() (version int, err error) {
	err = r.snap.QueryRow(`SELECT coalesce((SELECT value FROM meta WHERE key = 'reader'), 0)`).Scan(&version)
	return version, explain("read the reader's version", err)
}

// OutdateAll lists every email with a body, so that its view is made again.
func (w *Writer) OutdateAll() error {
	_, err := w.tx.Exec(`INSERT INTO outdated_view (email_id) SELECT id FROM email WHERE digest IS NOT NULL
		ON CONFLICT DO NOTHING`)
	return explain("list outdated views", err)
}

// OutdatedViews lists emails whose view is to be made again, at most limit, and
// no more than bytes of mail unless one alone is larger. left is how many there
// are in all.
func (r *Reader) OutdatedViews(limit int, bytes int64) (batch []EmailRow, left int64, err error) {
	rows, err := r.snap.Query(`SELECT o.email_id, e.size FROM outdated_view o JOIN email e ON e.id = o.email_id
		ORDER BY o.email_id LIMIT ?`, limit)
	err = file.Each(rows, err, func(rows *sql.Rows) error {
		var row EmailRow
		var size int64
		if err := rows.Scan(&row, &size); err != nil {
			return err
		}
		if bytes -= size; bytes >= 0 || len(batch) == 0 {
			batch = append(batch, row)
		}
		return nil
	})
	if err == nil && len(batch) > 0 {
		err = r.snap.QueryRow(`SELECT count(*) FROM outdated_view`).Scan(&left)
	}
	return batch, left, explain("read outdated views", err)
}

// NewView is what the newest reader makes of a stored message.
type NewView struct {
	Email  EmailRow
	Read   bool // false: its bytes cannot be read, so it keeps the view it has
	Header Header
	Doc    IndexDoc
}

// RenewViews writes views that were made again and takes them off the list. A
// row that would stay the same is not written and counts as unchanged. An email
// that is searchable is indexed anew; one that waits for the index stays
// waiting. Call it through Store.WriteAlone, as IndexDocs.
func (w *Writer) RenewViews(views []NewView) (changed int, err error) {
	for _, v := range views {
		result, err := w.tx.Exec(`DELETE FROM outdated_view WHERE email_id = ?`, v.Email)
		if err != nil {
			return changed, explain("note what was read", err)
		}
		if n, err := result.RowsAffected(); err != nil {
			return changed, err
		} else if n == 0 || !v.Read { // n is 0 for an email that is gone
			continue
		}
		if err := w.JoinThreads(v.Email, v.Header); err != nil {
			return changed, fmt.Errorf("threads of email %d: %w", v.Email, err)
		}
		differs, err := w.renewView(v.Email, v.Header)
		if err != nil {
			return changed, fmt.Errorf("renew view of email %d: %w", v.Email, err)
		}
		if differs {
			changed++
		}
		var waits bool
		if err := w.tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM unindexed WHERE email_id = ?)`,
			v.Email).Scan(&waits); err != nil {
			return changed, explain("look what is to be indexed", err)
		}
		if !waits {
			v.Doc.Email = v.Email
			if err := w.IndexDocs([]IndexDoc{v.Doc}); err != nil {
				return changed, err
			}
		}
	}
	return changed, nil
}

// renewView writes the view of one email, if it differs.
func (w *Writer) renewView(email EmailRow, h Header) (changed bool, err error) {
	view := []any{h.MessageID, h.Subject, h.Sender, h.Recipients, nullMillis(h.SentAt), h.Preview, h.HasAttachment,
		h.Partial}
	var destroyed bool
	err = w.tx.QueryRow(`UPDATE email SET message_id = ?1, subject = ?2, sender = ?3, recipients = ?4, sent_at = ?5,
		preview = ?6, has_attachment = ?7, partial = ?8 WHERE id = ?9
		AND (message_id, subject, sender, recipients, sent_at, preview, has_attachment, partial)
		IS NOT (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING destroyed_at IS NOT NULL`,
		append(view, email)...).Scan(&destroyed)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil || destroyed { // the change feed says that it is gone
		return err == nil, err
	}
	return true, w.touchEmail(email)
}

// ToRebuild counts what is made again: outdated views, emails that wait for the
// index, and those that the index lacks which is being built anew.
func (r *Reader) ToRebuild() (n int64, err error) {
	if err := r.snap.QueryRow(`SELECT (SELECT count(*) FROM outdated_view) + (SELECT count(*) FROM unindexed)`).
		Scan(&n); err != nil {
		return 0, explain("count what is made again", err)
	}
	reindexed, err := r.toRebuild()
	return n + reindexed, err
}
