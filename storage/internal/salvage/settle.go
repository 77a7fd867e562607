package salvage

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// rest takes over the tables that no other step does, row by row: history,
// limits, and what a later schema brings. The queue starts anew, and what is
// counted or derived is counted and derived again.
func (f *filler) rest() error {
	others := []string{"meta", "account", "mailbox", "blob", "blob_piece", "thread", "thread_reference", "email",
		"entry", "coverage", "quarantine",
		"change", "change_floor", "sync_task", "goqite", "search", "unindexed",
		"index_state"}
	rows, err := f.tx.QueryContext(f.ctx, `SELECT name || iif(wr, ' keyed', '') FROM pragma_table_list
		WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%'`)
	if err != nil {
		return err
	}
	names, err := texts(rows)
	if err != nil {
		return err
	}
	for _, name := range names {
		name, keyed := strings.CutSuffix(name, " keyed")
		if slices.Contains(others, name) {
			continue
		}
		if !keyed {
			err = f.scan(name, rowsAtOnce, all)
		} else if t, failed := f.table(name); failed != nil {
			err = failed
		} else {
			err = f.old.keyed(t, func(one row) error {
				_, err := f.put(name, one)
				return err
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settle drops what nothing names, counts, and begins a new epoch of the change
// feed.
func (f *filler) settle() error {
	epoch, _ := f.old.fact("epoch").(int64)        //nolint:errcheck // lost: the time is later than any
	store, _ := f.old.fact("store_id").(string)    //nolint:errcheck // lost: a new one
	created, _ := f.old.fact("created_at").(int64) //nolint:errcheck // lost: now
	if epoch <= 0 || epoch > time.Now().UnixMilli() {
		epoch = time.Now().UnixMilli()
	}
	const shown = `expunged_at IS NULL AND mailbox_id = mailbox.id AND uidvalidity = mailbox.uidvalidity`
	for _, s := range []struct {
		statement string
		args      []any
	}{
		{`DELETE FROM email WHERE NOT EXISTS (SELECT 1 FROM entry WHERE email_id = email.id)`, nil},
		{`DELETE FROM thread WHERE NOT EXISTS (SELECT 1 FROM email WHERE thread_id = thread.id)`, nil},
		{`DELETE FROM blob WHERE NOT EXISTS (SELECT 1 FROM entry WHERE blob_id = blob.id) AND NOT EXISTS (SELECT 1
			FROM email WHERE digest = blob.sha256)`, nil},
		{`UPDATE blob SET stored = (SELECT coalesce(sum(length(frame)), 0) FROM blob_piece WHERE blob_id = blob.id)`,
			nil},
		{`UPDATE email SET live = (SELECT count(*) FROM entry WHERE email_id = email.id AND expunged_at IS NULL),
			destroyed_at = iif(EXISTS (SELECT 1 FROM entry WHERE email_id = email.id
			AND expunged_at IS NULL), NULL, destroyed_at)`, nil},
		{`UPDATE mailbox SET total = (SELECT count(*) FROM entry WHERE ` + shown + `),
			unread = (SELECT count(*) FROM entry WHERE ` + shown + ` AND instr(' ' || flags || ' ', ' \Seen ') = 0)`,
			nil},
		{`INSERT INTO coverage (mailbox_id, uidvalidity, level, lo, hi)
			SELECT mailbox_id, uidvalidity, 'body', min(uid), max(uid) FROM
			(SELECT mailbox_id, uidvalidity, uid, uid - row_number() OVER (PARTITION BY mailbox_id, uidvalidity
			ORDER BY uid) AS run
			 FROM entry WHERE expunged_at IS NULL AND uid IS NOT NULL) GROUP BY mailbox_id, uidvalidity, run`, nil},
		{`INSERT INTO change (account_id, type, object_id, created_no, changed_no, changed_at)
			SELECT account_id, type, object, row_number() OVER (), row_number() OVER (), ?1 FROM
			(SELECT account_id, 'Mailbox' AS type, 'M' || id AS object FROM mailbox WHERE gone_at IS NULL
			 UNION ALL SELECT account_id, 'Thread', jmap_id FROM thread WHERE EXISTS (SELECT 1 FROM email
			WHERE thread_id = thread.id AND destroyed_at IS NULL)
			 UNION ALL SELECT account_id, 'Email', jmap_id FROM email WHERE destroyed_at IS NULL)`,
			[]any{time.Now().UnixMilli()}},
		{`INSERT INTO unindexed (email_id) SELECT id FROM email`, nil},
		{`UPDATE meta SET value = (SELECT count(*) FROM change) WHERE key = 'change_no'`, nil},
		{`UPDATE meta SET value = ? WHERE key = 'epoch'`, []any{epoch + 1}},
		{`UPDATE meta SET value = ?1 WHERE key = 'store_id' AND length(?1) = 32`, []any{store}},
		{`UPDATE meta SET value = ?1 WHERE key = 'created_at' AND ?1 > 0`, []any{created}},
	} {
		if _, err := f.tx.ExecContext(f.ctx, s.statement, s.args...); err != nil {
			return fmt.Errorf("settle: %w", err)
		}
	}
	return nil
}
