package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// splitCopies gives the younger of two live entries of one email in one mailbox
// an email of its own. The first schema did not forbid them, and the second
// does: two copies in one mailbox are two emails. No entry goes.
func splitCopies(ctx context.Context, tx *sql.Tx) error {
	type copied struct{ entry, email int64 }
	rows, err := tx.QueryContext(ctx, `SELECT n.id, n.email_id FROM entry n
		JOIN entry o ON o.email_id = n.email_id AND o.mailbox_id = n.mailbox_id AND o.uidvalidity = n.uidvalidity
		AND o.id < n.id
		WHERE n.expunged_at IS NULL AND o.expunged_at IS NULL GROUP BY n.id ORDER BY n.id`)
	if err != nil {
		return err
	}
	var all []copied
	for rows.Next() {
		var one copied
		if err := rows.Scan(&one.entry, &one.email); err != nil {
			return errors.Join(err, rows.Close())
		}
		all = append(all, one)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, one := range all {
		if err := splitCopy(ctx, tx, one.entry, one.email); err != nil {
			return fmt.Errorf("entry %d: %w", one.entry, err)
		}
	}
	return nil
}

// splitCopy moves an entry to a copy of its email, which the watermark of the
// search index has not passed. The change feed names both emails and their
// thread.
func splitCopy(ctx context.Context, tx *sql.Tx, entry, email int64) error {
	const copied = `thread_id, digest, message_id, subject, sender, recipients, sent_at, received_at,
		size, preview, has_attachment, partial`
	result, err := tx.ExecContext(ctx,
		`INSERT INTO email (account_id, jmap_id, `+copied+`) SELECT account_id, ?2, `+copied+`
		FROM email WHERE id = ?1`, email, ObjectID("e", 0))
	if err != nil {
		return err
	}
	fresh, err := result.LastInsertId()
	if err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	for _, s := range []struct {
		text string
		args []any
	}{
		{`UPDATE entry SET email_id = ?2 WHERE id = ?1`, []any{entry, fresh}},
		{`UPDATE email SET live = (SELECT count(*) FROM entry WHERE email_id = email.id AND expunged_at IS NULL)
			WHERE id IN (?1, ?2)`, []any{email, fresh}},
		{`INSERT INTO change (account_id, type, object_id, created_no, changed_no, changed_at)
			SELECT account_id, type, object, no + row_number() OVER (ORDER BY rank),
			no + row_number() OVER (ORDER BY rank), ?3 FROM
			(SELECT 1 AS rank, account_id, 'Email' AS type, jmap_id AS object FROM email WHERE id = ?2
			 UNION ALL SELECT 2, account_id, 'Email', jmap_id FROM email WHERE id = ?1
			 UNION ALL SELECT 3, account_id, 'Thread', jmap_id FROM thread WHERE id = (SELECT thread_id FROM email
			WHERE id = ?1)),
			(SELECT value AS no FROM meta WHERE key = 'change_no') WHERE true
			ON CONFLICT DO UPDATE SET changed_no = excluded.changed_no, destroyed = 0,
			changed_at = excluded.changed_at`,
			[]any{email, fresh, now}},
		{`UPDATE meta SET value = value + 3 WHERE key = 'change_no'`, nil},
	} {
		if _, err := tx.ExecContext(ctx, s.text, s.args...); err != nil {
			return err
		}
	}
	return nil
}
