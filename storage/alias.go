package storage

import (
	"fmt"
	"time"
)

// aliasAge is how long an id that an email had before leads to it.
const aliasAge = 30 * 24 * time.Hour

// alias notes that an email had another id before. It names the email by its
// row key, so an alias still leads there after the next id.
func (w *Writer) alias(old EmailID, email EmailRow) error {
	_, err := w.tx.Exec(`INSERT INTO email_alias (jmap_id, email_id, created_at) VALUES (?, ?, ?)`,
		string(old), email, millis(now()))
	if err != nil {
		return fmt.Errorf("note the email's former id: %w", err)
	}
	return nil
}

// ofAccount leaves out the mail of accounts that are being removed.
const ofAccount = `e.account_id NOT IN (SELECT id FROM account WHERE removed_at IS NOT NULL)`

// emailNamed finds an email by its JMAP id, or by one that it had in the last 30
// days, shown or not, and gives its present id. Errors: ErrNotFound.
func (r *Reader) emailNamed(id EmailID) (row EmailRow, present EmailID, err error) {
	err = r.snap.QueryRow(`SELECT id, jmap_id FROM email e WHERE jmap_id = ?1 AND `+ofAccount+`
		UNION ALL SELECT e.id, e.jmap_id FROM email_alias a JOIN email e ON e.id = a.email_id WHERE a.jmap_id = ?1
		AND `+ofAccount+` LIMIT 1`, string(id)).Scan(&row, &present)
	return row, present, missing("email "+string(id), err)
}

// aliases drops ids that are no longer honoured.
func (sw *sweep) aliases() error {
	return sw.rows(&sw.done.Aliases, `DELETE FROM email_alias WHERE jmap_id IN (SELECT jmap_id FROM email_alias
		WHERE created_at < ? LIMIT ?)`, millis(sw.at.Add(-aliasAge)), sweepRows)
}
