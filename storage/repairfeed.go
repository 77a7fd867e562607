package storage

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"io"

	"mailcote/storage/internal/file"
)

// counters counts again what emails and mailboxes count. An email that the
// change feed has as gone, and that no mailbox shows, is gone.
func (r *repair) counters() error {
	const shown = `FROM entry WHERE mailbox_id = mailbox.id AND uidvalidity = mailbox.uidvalidity
		AND expunged_at IS NULL`
	const unseen = shown + ` AND instr(' ' || flags || ' ', ' \Seen ') = 0`
	if err := r.all("count emails",
		`UPDATE email SET live = (SELECT count(*) FROM entry WHERE email_id = email.id AND expunged_at IS NULL),
			destroyed_at = iif(EXISTS (SELECT 1 FROM entry WHERE email_id = email.id AND expunged_at IS NULL), NULL,
			destroyed_at)
			WHERE live <> (SELECT count(*) FROM entry WHERE email_id = email.id AND expunged_at IS NULL)`,
		`UPDATE email SET destroyed_at = ?1 WHERE live = 0 AND destroyed_at IS NULL AND EXISTS (SELECT 1 FROM change
			WHERE account_id = email.account_id AND type = 'Email' AND object_id = email.jmap_id
			AND destroyed = 1)`); err != nil {
		return err
	}
	rows, err := r.tx.Raw().Query(`UPDATE mailbox SET total = (SELECT count(*) ` + shown + `),
		unread = (SELECT count(*) ` + unseen + `) WHERE total <> (SELECT count(*) ` + shown + `)
		OR unread <> (SELECT count(*) ` + unseen + `)
		RETURNING id, account_id`)
	if err := file.Each(rows, err, func(rows *sql.Rows) error {
		var id MailboxID
		var account AccountID
		err := rows.Scan(&id, &account)
		r.touchMailbox(account, id)
		return err
	}); err != nil {
		return fmt.Errorf("count mailboxes: %w", err)
	}
	return nil
}

// coverage vouches for what mailboxes have, where a check found that it is
// wrong.
func (r *repair) coverage() error {
	if r.rows["false coverage"] == nil && r.rows["missing coverage"] == nil && r.rows["overlapping coverage"] == nil {
		return nil
	}
	return r.all("vouch for what is here", `DELETE FROM coverage`,
		`INSERT INTO coverage (mailbox_id, uidvalidity, level, lo, hi)
			SELECT mailbox_id, uidvalidity, 'body', min(uid), max(uid) FROM (SELECT mailbox_id, uidvalidity, uid,
			uid - row_number() OVER (PARTITION BY mailbox_id, uidvalidity ORDER BY uid) AS run
			FROM entry WHERE expunged_at IS NULL AND uid IS NOT NULL AND blob_id IS NOT NULL)
			GROUP BY mailbox_id, uidvalidity, run`)
}

// threads moves emails to the threads that their messages lead to.
func (r *repair) threads() error {
	for _, email := range r.rows["wrong thread"] {
		h, ok, err := r.readHeader(EmailRow(email), func(body io.Reader) (Header, error) {
			return r.o.Parse(body), nil
		})
		if err != nil {
			return fmt.Errorf("read email %d: %w", email, err)
		}
		if !ok {
			continue
		}
		if err := r.rethread(EmailRow(email), h); err != nil {
			return fmt.Errorf("thread of email %d: %w", email, err)
		}
	}
	return nil
}

// readHeader reads an email's message again. ok: all of its bytes are there and
// parse could read them. What keeps the store from being read is an error.
func (r *Reader) readHeader(email EmailRow, parse func(io.Reader) (Header, error)) (h Header, ok bool, err error) {
	blob, err := r.EmailBlob(email)
	if err != nil {
		return h, false, unlessLost(err)
	}
	body, _, err := r.OpenBlob(blob)
	if err != nil {
		return h, false, unlessLost(err)
	}
	defer body.Close()       //nolint:errcheck // it only frees memory
	bytes := &noted{r: body} // a parser may swallow that reading fails
	h, failed := parse(bytes)
	_, err = io.Copy(io.Discard, bytes)
	if err = cmp.Or(bytes.err, err); err != nil {
		return h, false, unlessLost(err)
	}
	return h, failed == nil, nil
}

// noted reads and remembers the first failure.
type noted struct {
	r   io.Reader
	err error
}

func (n *noted) Read(p []byte) (int, error) {
	read, err := n.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && n.err == nil {
		n.err = err
	}
	return read, err
}

// emptyThreads drops threads without an email.
func (r *repair) emptyThreads() error {
	return r.all("drop empty threads", `DELETE FROM thread WHERE NOT EXISTS (SELECT 1 FROM email
		WHERE thread_id = thread.id)`)
}

// feedQueries give objects whose change is missing or wrong: account, type,
// object, and whether it is there.
const feedQueries = `SELECT account_id, 'Mailbox' AS type, 'M' || id AS object, 1 AS here FROM mailbox m
	WHERE gone_at IS NULL AND NOT EXISTS (SELECT 1 FROM change WHERE account_id = m.account_id AND type = 'Mailbox'
	AND object_id = 'M' || m.id AND destroyed = 0)
	UNION ALL SELECT account_id, 'Email', jmap_id, 1 FROM email e WHERE destroyed_at IS NULL AND NOT EXISTS (SELECT 1
	FROM change WHERE account_id = e.account_id AND type = 'Email' AND object_id = e.jmap_id AND destroyed = 0)
	UNION ALL SELECT account_id, 'Thread', jmap_id, 1 FROM thread t WHERE EXISTS (SELECT 1 FROM email
	WHERE thread_id = t.id AND destroyed_at IS NULL) AND NOT EXISTS (SELECT 1 FROM change
	WHERE account_id = t.account_id
	AND type = 'Thread' AND object_id = t.jmap_id AND destroyed = 0)
	UNION ALL SELECT account_id, type, object_id, 0 FROM change c WHERE destroyed = 0 AND NOT CASE type
	WHEN 'Email' THEN EXISTS (SELECT 1 FROM email WHERE jmap_id = c.object_id AND account_id = c.account_id
	AND destroyed_at IS NULL)
	WHEN 'Thread' THEN EXISTS (SELECT 1 FROM thread t JOIN email e ON e.thread_id = t.id WHERE t.jmap_id = c.object_id
	AND t.account_id = c.account_id AND e.destroyed_at IS NULL)
	ELSE EXISTS (SELECT 1 FROM mailbox WHERE id = CAST(substr(c.object_id, 2) AS INTEGER)
	AND account_id = c.account_id AND gone_at IS NULL) END`

// feed tells what is here and was not told, and the end of what is not here.
func (r *repair) feed() error {
	type news struct {
		account      AccountID
		kind, object string
		here         bool
	}
	var all []news
	rows, err := r.tx.Raw().Query(feedQueries)
	if err := file.Each(rows, err, func(rows *sql.Rows) error {
		var n news
		err := rows.Scan(&n.account, &n.kind, &n.object, &n.here)
		all = append(all, n)
		return err
	}); err != nil {
		return fmt.Errorf("compare the change feed: %w", err)
	}
	for _, n := range all {
		tell := r.bury
		if n.here {
			tell = r.touch
		}
		if err := tell(n.account, n.kind, n.object); err != nil {
			return err
		}
	}
	return nil
}

// index lists what is to be indexed, and drops search rows of nothing.
func (r *repair) index() error {
	if err := r.dropIndexRows(`SELECT id FROM search_docsize WHERE id IN (SELECT email_id FROM unindexed)
		OR id NOT IN (SELECT id FROM email)`); err != nil {
		return err
	}
	return r.all("mend the search index",
		`INSERT INTO unindexed (email_id) SELECT id FROM email WHERE digest IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM search_docsize WHERE id = email.id) ON CONFLICT DO NOTHING`)
}

// queue drops rows without a task and tasks without a row: each pass makes its
// own tasks.
func (r *repair) queue() error {
	return r.all("mend the queue",
		`DELETE FROM goqite WHERE NOT EXISTS (SELECT 1 FROM sync_task WHERE message_id = goqite.id)`,
		`UPDATE sync_task SET state = 'cancelled', completed_at = ?1, message_id = NULL, next_retry_at = NULL
			WHERE state IN ('pending', 'waiting', 'processing') AND message_id <> 'direct'
			AND message_id NOT IN (SELECT id FROM goqite)`)
}

// quarantine takes messages out of the quarantine that are here.
func (r *repair) quarantine() error {
	return r.all("mend the quarantine", `DELETE FROM quarantine WHERE EXISTS (SELECT 1 FROM entry n
		WHERE n.mailbox_id = quarantine.mailbox_id AND n.uidvalidity = quarantine.uidvalidity
		AND n.uid = quarantine.uid AND n.expunged_at IS NULL AND n.blob_id IS NOT NULL)`)
}

// views has views made again.
func (r *repair) views() error {
	for _, email := range r.rows["stale field"] {
		if err := r.outdate(email); err != nil {
			return fmt.Errorf("list outdated views: %w", err)
		}
	}
	return nil
}

// unlessLost drops an error that says that a message is not there whole.
func unlessLost(err error) error {
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrDamaged) {
		return nil
	}
	return err
}
