package storage

import (
	"context"
	"database/sql"
	"fmt"

	"mailcote/storage/internal/file"
	"mailcote/testkit/failpoint"
)

// removeEmails is how many emails one transaction of a removal deletes.
const removeEmails = 200

// Holdings is what an account has in the store.
type Holdings struct {
	Mailboxes int64
	Messages  int64
	Bytes     int64 // of the messages, as the server counts them
}

// Holdings counts what an account has. It reads every entry of the account.
func (r *Reader) Holdings(id AccountID) (Holdings, error) {
	var h Holdings
	err := r.snap.QueryRow(`SELECT count(*), coalesce(sum(total), 0) FROM mailbox
		WHERE account_id = ? AND gone_at IS NULL`, id).Scan(&h.Mailboxes, &h.Messages)
	if err == nil {
		err = r.snap.QueryRow(`SELECT coalesce(sum(n.size), 0) FROM mailbox m CROSS JOIN entry n ON n.mailbox_id = m.id
			AND n.uidvalidity = m.uidvalidity AND n.expunged_at IS NULL
			WHERE m.account_id = ? AND m.gone_at IS NULL`, id).Scan(&h.Bytes)
	}
	return h, explain("count what the account has", err)
}

// HideAccount begins the removal of an account: from its commit on nothing shows
// the account or its mail. Its tasks must be dropped in the same transaction.
// Store.DeleteHidden deletes it.
func (w *Writer) HideAccount(id AccountID) error {
	at := millis(now())
	if _, err := w.tx.Exec(`UPDATE account SET removed_at = ? WHERE id = ? AND removed_at IS NULL`, at,
		id); err != nil {
		return fmt.Errorf("hide account: %w", err)
	}
	if _, err := w.tx.Exec(`UPDATE mailbox SET gone_at = ? WHERE account_id = ? AND gone_at IS NULL`, at,
		id); err != nil {
		return fmt.Errorf("hide account: %w", err)
	}
	if err := w.each(id, `DELETE FROM change WHERE account_id = ? AND type = 'Mailbox'`,
		`DELETE FROM sync_run WHERE account_id = ?`,
		`DELETE FROM sync_error WHERE account_id = ?`,
		`DELETE FROM rate WHERE account_id = ?`,
		`DELETE FROM breaker WHERE scope = 'account:' || ?1 OR scope = (SELECT 'host:' || lower(host) || ':' || port
			FROM account a WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM account
			WHERE removed_at IS NULL AND lower(host) = lower(a.host) AND port = a.port))`,
		`DELETE FROM meta WHERE key IN ('size_wrong:' || ?1, 'size_short:' || ?1, 'size_zero:' || ?1,
			'password_time:' || ?1)`); err != nil {
		return fmt.Errorf("hide account: %w", err)
	}
	w.types |= allTypes // as far as a watcher can tell
	return nil
}

// each runs statements that are about one account.
func (w *Writer) each(id AccountID, statements ...string) error {
	for _, one := range statements {
		if _, err := w.tx.Exec(one, id); err != nil {
			return err
		}
	}
	return nil
}

// HiddenAccounts lists the accounts whose removal has begun.
func (r *Reader) HiddenAccounts() ([]Account, error) {
	var all []Account
	rows, err := r.snap.Query(`SELECT ` + accountColumns + ` FROM account WHERE removed_at IS NOT NULL ORDER BY id`)
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		a, err := scanAccount(rows)
		all = append(all, a)
		return err
	})
}

// deleteHidden is Store.DeleteHidden.
func deleteHidden(ctx context.Context, s *Store, id AccountID, report func(done int64)) error {
	var done int64
	for {
		n, err := removeSome(ctx, s, id)
		if err != nil {
			return fmt.Errorf("delete account: %w", err)
		}
		if done += n; report != nil {
			report(done)
		}
		if n == 0 {
			break
		}
	}
	r := sweep{store: s, ctx: ctx}
	var count int64
	for _, step := range []func() error{
		func() error {
			return r.rows(&count, `DELETE FROM change WHERE (account_id, type, object_id) IN (SELECT account_id, type,
				object_id FROM change WHERE account_id = ? LIMIT ?)`, id, sweepRows)
		},
		func() error {
			return r.rows(&count,
				`DELETE FROM mailbox WHERE id IN (SELECT id FROM mailbox WHERE account_id = ? LIMIT ?)`,
				id, sweepRows)
		},
		func() error {
			return s.Write(ctx, Interactive, 0, func(w *Writer) error {
				if err := w.dropCameGone(); err != nil {
					return err
				}
				_, err := w.tx.Exec(`DELETE FROM account WHERE id = ? AND removed_at IS NOT NULL`, id)
				return err
			})
		},
		r.vacuum,
	} {
		failpoint.Hit("storage.removeStep")
		if err := step(); err != nil {
			return fmt.Errorf("delete account: %w", err)
		}
	}
	return nil
}

// going is an email of a hidden account.
type going struct {
	email, thread int64
	object        string
	digest        []byte
}

// removeSome deletes the next emails of a hidden account with their entries,
// and the bytes that nobody else has. 0: there are no more.
func removeSome(ctx context.Context, s *Store, id AccountID) (n int64, err error) {
	failpoint.Hit("storage.removeEmails")
	err = s.WriteAlone(ctx, func(w *Writer) error {
		var all []going
		rows, err := w.tx.Query(`SELECT id, thread_id, jmap_id, digest FROM email WHERE account_id = ? LIMIT ?`, id,
			removeEmails)
		if err := file.Each(rows, err, func(rows *sql.Rows) error {
			var one going
			err := rows.Scan(&one.email, &one.thread, &one.object, &one.digest)
			all = append(all, one)
			return err
		}); err != nil {
			return err
		}
		n = 0
		for stored := int64(0); n < int64(len(all)) && stored < sweepBytes; n++ {
			bytes, err := w.removeEmail(id, all[n])
			if err != nil {
				return err
			}
			stored += bytes
		}
		return nil
	})
	return n, err
}

// removeEmail deletes one email of a hidden account and gives how many stored
// bytes went with it. An entry must be expunged before it may be deleted.
func (w *Writer) removeEmail(account AccountID, e going) (stored int64, err error) {
	var blobs []freeBlob
	rows, err := w.tx.Query(`SELECT id, stored FROM blob WHERE id IN (SELECT blob_id FROM entry WHERE email_id = ?1
		UNION SELECT id FROM blob WHERE sha256 = ?2)`, e.email, e.digest)
	if err := file.Each(rows, err, func(rows *sql.Rows) error {
		var one freeBlob
		err := rows.Scan(&one.id, &one.stored)
		blobs = append(blobs, one)
		return err
	}); err != nil {
		return 0, fmt.Errorf("find bytes: %w", err)
	}
	if _, err := w.tx.Exec(`UPDATE entry SET expunged_at = ?2 WHERE email_id = ?1 AND expunged_at IS NULL`, e.email,
		millis(now())); err != nil {
		return 0, fmt.Errorf("expunge entries: %w", err)
	}
	if _, err := w.tx.Exec(`DELETE FROM entry WHERE email_id = ?`, e.email); err != nil {
		return 0, fmt.Errorf("drop entries: %w", err)
	}
	if _, err := w.tx.Exec(`DELETE FROM change WHERE account_id = ?1 AND (type = 'Email' AND object_id = ?2
		OR type = 'Thread' AND object_id = (SELECT jmap_id FROM thread t WHERE id = ?3
		AND NOT EXISTS (SELECT 1 FROM email WHERE thread_id = t.id AND id <> ?4)))`, account, e.object, e.thread,
		e.email); err != nil {
		return 0, fmt.Errorf("drop change: %w", err)
	}
	if err := w.dropEmail(e.email, e.thread); err != nil {
		return 0, err
	}
	for _, one := range blobs {
		gone, err := w.dropFree(one.id)
		if err != nil {
			return 0, err
		}
		if gone {
			stored += one.stored
		}
	}
	return stored, nil
}
