package storage

import (
	"database/sql"
	"fmt"
	"io"
	"strings"

	"mailcote/storage/internal/file"
)

// RepairOptions say what a repair mends.
type RepairOptions struct {
	Found []Finding                // of a check of this store, which nobody has written since
	Parse func(r io.Reader) Header // reads a message afresh
	// Synced: the server was asked meanwhile. What is still missing then is
	// mail that it does not have. An email without live entries whose bytes are
	// nowhere then loses its digest. It counts as one without a message: it is
	// not searched, and no check misses its bytes.
	Synced bool
}

// repair is one run of Repair, in its transaction.
type repair struct {
	*Writer
	o    RepairOptions
	rows map[string][]int64 // by kind of finding: the rows that it names
}

// all runs statements in their order. now is ?1 in each that has arguments.
func (r *repair) all(what string, statements ...string) error {
	for _, one := range statements {
		var args []any
		if strings.Contains(one, "?1") {
			args = []any{millis(now())}
		}
		if _, err := r.tx.Raw().Exec(one, args...); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// numbers runs do for the numbers that a query gives.
func (r *repair) numbers(query string, do func(id int64) error) error {
	var ids []int64
	rows, err := r.tx.Raw().Query(query)
	if err := file.Each(rows, err, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}); err != nil {
		return err
	}
	for _, id := range ids {
		if err := do(id); err != nil {
			return err
		}
	}
	return nil
}

// reindex makes the indexes of tables again. What SQLite finds then is damage of
// the tables themselves.
func (r *repair) reindex(tables []string) error {
	for _, table := range tables {
		quoted := `"` + strings.ReplaceAll(table, `"`, `""`) + `"`
		if _, err := r.tx.Raw().Exec(`REINDEX ` + quoted); err != nil {
			return explain("make indexes again", err)
		}
		var verdict string
		if err := r.tx.Raw().QueryRow(`PRAGMA integrity_check(` + quoted + `)`).Scan(&verdict); err != nil {
			return explain("check indexes", err)
		}
		if verdict != "ok" {
			return fmt.Errorf("%w: table %s: %s", ErrCorrupt, table, verdict)
		}
	}
	return nil
}

func (r *repair) renewIndex() error { return r.RenewIndex() }

// facts finds lost facts anew. Numbers that were published and are known no
// longer begin a new epoch, so that mail programs look at everything again.
func (r *repair) facts() error {
	return r.all("find facts anew",
		`INSERT INTO meta (key, value) VALUES ('store_id', lower(hex(randomblob(16)))), ('created_at', ?1)
			ON CONFLICT DO NOTHING`,
		`INSERT INTO meta (key, value) SELECT 'epoch', ?1 ON CONFLICT (key) DO UPDATE SET value = value + 1
			WHERE NOT EXISTS (SELECT 1 FROM meta WHERE key = 'change_no')`,
		`INSERT INTO meta (key, value) SELECT 'change_no', 0 ON CONFLICT DO NOTHING`,
		`UPDATE meta SET value = max(value, (SELECT coalesce(max(changed_no), 0) FROM change),
			(SELECT coalesce(max(floor_no), 0) FROM change_floor)) WHERE key = 'change_no'`)
}

// owners gives mailboxes, emails and threads that name a lost account the one
// of what belongs to them. A mailbox that was listed anew meanwhile stays gone.
func (r *repair) owners() error {
	const lost = `account_id NOT IN (SELECT id FROM account)`
	const byMail = `FROM entry n JOIN email e ON e.id = n.email_id JOIN account a ON a.id = e.account_id
		WHERE n.mailbox_id = mailbox.id`
	const byMailbox = `FROM entry n JOIN mailbox m ON m.id = n.mailbox_id JOIN account a ON a.id = m.account_id
		WHERE n.email_id = email.id`
	const byEmail = `FROM email e JOIN account a ON a.id = e.account_id WHERE e.thread_id = thread.id`
	return r.all("find lost owners",
		`UPDATE mailbox SET gone_at = ?1 WHERE gone_at IS NULL AND `+lost+` AND EXISTS (SELECT 1 FROM mailbox o
			WHERE o.raw = mailbox.raw AND o.gone_at IS NULL
			AND o.account_id = (SELECT e.account_id `+byMail+` LIMIT 1))`,
		`UPDATE mailbox SET account_id = (SELECT e.account_id `+byMail+` LIMIT 1)
			WHERE `+lost+` AND EXISTS (SELECT 1 `+byMail+`)`,
		`UPDATE email SET account_id = (SELECT m.account_id `+byMailbox+` LIMIT 1)
			WHERE `+lost+` AND EXISTS (SELECT 1 `+byMailbox+`)`,
		`UPDATE thread SET account_id = (SELECT e.account_id `+byEmail+` LIMIT 1)
			WHERE `+lost+` AND EXISTS (SELECT 1 `+byEmail+`)`)
}

// parents makes again what rows name and what is lost. The mail of a lost
// mailbox is kept as that of a mailbox that is gone; the next pass lists the
// mailbox anew and finds its mail here.
func (r *repair) parents() error {
	if err := r.numbers(`SELECT DISTINCT thread_id FROM email WHERE thread_id NOT IN (SELECT id FROM thread)`,
		func(id int64) error {
			object, err := r.newID("t")
			if err != nil {
				return err
			}
			_, err = r.tx.Exec(`INSERT INTO thread (id, account_id, jmap_id) SELECT ?1, account_id, ?2 FROM email
				WHERE thread_id = ?1 LIMIT 1`, id, object)
			return err
		}); err != nil {
		return fmt.Errorf("make lost threads: %w", err)
	}
	if err := r.numbers(`SELECT DISTINCT mailbox_id FROM entry n WHERE mailbox_id NOT IN (SELECT id FROM mailbox)
		AND EXISTS (SELECT 1 FROM email WHERE id = n.email_id)`, func(id int64) error {
		_, err := r.tx.Exec(`INSERT INTO mailbox (id, account_id, raw, path, selectable, uidvalidity, gone_at)
			SELECT n.mailbox_id, e.account_id, CAST('lost ' || n.mailbox_id AS BLOB), 'lost ' || n.mailbox_id, 0,
			n.uidvalidity, ?2 FROM entry n JOIN email e ON e.id = n.email_id WHERE n.mailbox_id = ?1
			ORDER BY n.expunged_at IS NOT NULL, n.id DESC LIMIT 1`, id, millis(now()))
		return err
	}); err != nil {
		return fmt.Errorf("make lost mailboxes: %w", err)
	}
	// Before the emails, which get their digests from them.
	if err := r.numbers(`SELECT DISTINCT blob_id FROM blob_piece WHERE blob_id NOT IN (SELECT id FROM blob)`,
		r.adopt); err != nil {
		return fmt.Errorf("make lost messages: %w", err)
	}
	if err := r.numbers(`SELECT id FROM entry WHERE email_id NOT IN (SELECT id FROM email)
		AND mailbox_id IN (SELECT id FROM mailbox)`, r.ownEmail); err != nil {
		return fmt.Errorf("make lost emails: %w", err)
	}
	return r.all("drop rows of nothing",
		`DELETE FROM thread_reference WHERE thread_id NOT IN (SELECT id FROM thread)`,
		`DELETE FROM coverage WHERE mailbox_id NOT IN (SELECT id FROM mailbox)`,
		`DELETE FROM quarantine WHERE mailbox_id NOT IN (SELECT id FROM mailbox)`,
		`UPDATE sync_error SET mailbox_id = NULL WHERE mailbox_id NOT IN (SELECT id FROM mailbox)`,
		`DELETE FROM outdated_view WHERE email_id NOT IN (SELECT id FROM email)`,
		`DELETE FROM unindexed WHERE email_id NOT IN (SELECT id FROM email)`,
		`DELETE FROM email_alias WHERE email_id NOT IN (SELECT id FROM email)`,
		`DELETE FROM refetch WHERE entry_id NOT IN (SELECT id FROM entry)`)
}

// ownEmail gives an entry the email of its bytes in its own account: one that
// its mailbox does not show yet, otherwise a new one.
func (r *repair) ownEmail(entry int64) error {
	var account AccountID
	var email int64
	err := r.tx.QueryRow(`SELECT m.account_id, coalesce((SELECT e.id FROM blob b JOIN email e ON e.digest = b.sha256
		WHERE b.id = n.blob_id AND e.account_id = m.account_id AND NOT EXISTS (SELECT 1 FROM entry o
		WHERE o.email_id = e.id AND o.mailbox_id = n.mailbox_id AND o.uidvalidity = n.uidvalidity AND o.id <> n.id
		AND o.expunged_at IS NULL) LIMIT 1), 0)
		FROM entry n JOIN mailbox m ON m.id = n.mailbox_id WHERE n.id = ?`, entry).Scan(&account, &email)
	if err != nil {
		return err
	}
	if email == 0 {
		thread, _, err := r.addThread(account)
		if err != nil {
			return err
		}
		object, err := r.newID("e")
		if err != nil {
			return err
		}
		email, err = r.tx.Insert(`INSERT INTO email (account_id, jmap_id, thread_id, digest, received_at, size,
			destroyed_at)
			SELECT ?2, ?3, ?4, b.sha256, n.internal_date, coalesce(b.size, n.size), n.expunged_at
			FROM entry n LEFT JOIN blob b ON b.id = n.blob_id WHERE n.id = ?1`, entry, account, object, thread)
		if err != nil {
			return err
		}
	}
	if _, err := r.tx.Exec(`UPDATE entry SET email_id = ? WHERE id = ?`, email, entry); err != nil {
		return err
	}
	return r.outdate(email)
}

// outdate has a view made again, and the threads of its email with it.
func (r *repair) outdate(email int64) error {
	_, err := r.tx.Exec(`INSERT INTO outdated_view (email_id) SELECT id FROM email WHERE id = ? AND digest IS NOT NULL
		ON CONFLICT DO NOTHING`, email)
	return err
}

// dropIndexRows takes emails out of the search index. The statement gives their
// row keys. Where it names search_docsize, the index at hand is meant.
func (r *repair) dropIndexRows(statement string) error {
	tables, err := r.indexTables()
	if err != nil {
		return err
	}
	for _, table := range tables {
		drop := `DELETE FROM ` + table + ` WHERE rowid IN (` +
			strings.ReplaceAll(statement, "search_docsize", table+"_docsize") + `)`
		if _, err := r.tx.Raw().Exec(drop); err != nil {
			return fmt.Errorf("drop search rows: %w", damagedIndex(err))
		}
	}
	return nil
}

// accounts parts what belongs to different accounts.
func (r *repair) accounts() error {
	if err := r.numbers(`SELECT n.id FROM entry n JOIN mailbox m ON m.id = n.mailbox_id
		JOIN email e ON e.id = n.email_id
		WHERE e.account_id <> m.account_id`, r.ownEmail); err != nil {
		return fmt.Errorf("part accounts: %w", err)
	}
	// The keys of the emails that have them are noted again when their thread is looked at.
	if err := r.all("part accounts", `DELETE FROM thread_reference
		WHERE account_id <> (SELECT account_id FROM thread WHERE id = thread_id)`); err != nil {
		return err
	}
	return r.numbers(`SELECT e.id FROM email e JOIN thread t ON t.id = e.thread_id WHERE e.account_id <> t.account_id`,
		func(email int64) error { return r.ownThread(EmailRow(email)) })
}

// formerIDs drops former ids that an email has now: the email is meant.
func (r *repair) formerIDs() error {
	return r.all("drop former ids", `DELETE FROM email_alias WHERE jmap_id IN (SELECT jmap_id FROM email)`)
}

// sizes notes the sizes that messages have.
func (r *repair) sizes() error {
	return r.all("note sizes",
		`UPDATE email SET size = (SELECT size FROM blob WHERE sha256 = email.digest)
			WHERE EXISTS (SELECT 1 FROM blob WHERE sha256 = email.digest AND size <> email.size)`,
		`UPDATE entry SET size = (SELECT size FROM blob WHERE id = entry.blob_id)
			WHERE EXISTS (SELECT 1 FROM blob WHERE id = entry.blob_id AND size <> entry.size)`)
}

// generations takes entries out of the views that belong to no generation of
// their mailbox. If a mailbox shows a generation without any entry, and all its
// live entries are in one other, that one is its own.
func (r *repair) generations() error {
	const live = `FROM entry WHERE mailbox_id = mailbox.id AND expunged_at IS NULL`
	return r.all("settle generations",
		`UPDATE mailbox SET uidvalidity = (SELECT max(uidvalidity) `+live+`), building = NULL
			WHERE gone_at IS NULL AND NOT EXISTS (SELECT 1 `+live+` AND uidvalidity IN (mailbox.uidvalidity,
			coalesce(mailbox.building, mailbox.uidvalidity)))
			AND (SELECT count(DISTINCT uidvalidity) `+live+`) = 1`,
		`UPDATE entry SET expunged_at = ?1 WHERE expunged_at IS NULL AND EXISTS (SELECT 1 FROM mailbox m
			WHERE m.id = entry.mailbox_id AND (m.gone_at IS NOT NULL OR entry.uidvalidity NOT IN (m.uidvalidity,
			coalesce(m.building, m.uidvalidity))))`)
}
