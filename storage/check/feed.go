package check

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
)

// feed looks for changes of objects that do not exist, and for numbers that
// were never published. Whether a change is right about an object that is there
// is seen where the object is.
func (c *checker) feed() error {
	const what = "check the change feed"
	var after, upTo change
	for n := int64(window); n == window; after = upTo {
		r, err := c.take()
		if err != nil {
			return err
		}
		err = c.read(r, func(s Snapshot) error {
			err := s.QueryRow(`SELECT account_id, type, object_id FROM change WHERE (account_id, type, object_id) >
				(?, ?, ?) ORDER BY account_id, type, object_id LIMIT 1 OFFSET ?`, after.account,
				after.kind, after.object,
				window-1).Scan(&upTo.account, &upTo.kind, &upTo.object)
			if !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			upTo.account = math.MaxInt64
			return s.QueryRow(`SELECT count(*) FROM change WHERE (account_id, type, object_id) > (?, ?, ?)`,
				after.account, after.kind, after.object).Scan(&n)
		})
		if err != nil {
			c.give(r)
			return fmt.Errorf("%s: %w", what, err)
		}
		from, to, rows := after, upTo, n
		c.begin(r, what, func(p *part, s Snapshot) error {
			p.rows = rows
			return p.changes(s, from, to)
		})
	}
	return nil
}

// change is the key of a change.
type change struct {
	account      int64
	kind, object string
}

// changes looks at those in (after, upTo].
func (p *part) changes(s Snapshot, after, upTo change) error {
	var highest int64
	var one bool // account: whose an object is need not be looked up
	if err := s.QueryRow(`SELECT coalesce((SELECT value FROM meta WHERE key = 'change_no'), 0),
		(SELECT count(*) FROM account) = 1`).Scan(&highest, &one); err != nil {
		return err
	}
	return each(s, func(scan func(...any) error) error {
		var name, kind, object string
		var number int64
		if err := scan(&kind, &object, &name, &number); err != nil {
			return err
		}
		place := fmt.Sprintf("account %s, %s %s", name, kind, object)
		if number > highest {
			return p.add("wrong change number", place,
				"It has change number %d, the highest published is %d: mail programs would miss it.", number, highest)
		}
		return p.add("change without object", place,
			"The change feed says that it exists, and it does not: it was lost.")
	}, `SELECT c.type, c.object_id, a.name, c.changed_no FROM change c JOIN account a ON a.id = c.account_id
		WHERE (c.account_id, c.type, c.object_id) > (?1, ?2, ?3) AND (c.account_id, c.type, c.object_id) <= (?4, ?5, ?6)
		AND (c.changed_no > ?7 OR c.destroyed = 0 AND CASE c.type
		WHEN 'Email' THEN NOT EXISTS (SELECT 1 FROM email WHERE jmap_id = c.object_id
		AND (?8 OR account_id = c.account_id))
		WHEN 'Thread' THEN NOT EXISTS (SELECT 1 FROM thread WHERE jmap_id = c.object_id
		AND (?8 OR account_id = c.account_id))
		ELSE NOT EXISTS (SELECT 1 FROM mailbox WHERE id = CAST(substr(c.object_id, 2) AS INTEGER)
		AND account_id = c.account_id AND gone_at IS NULL) END)
		ORDER BY c.account_id, c.type, c.object_id`, after.account, after.kind, after.object, upTo.account, upTo.kind,
		upTo.object, highest, one)
}

// queue compares tasks that wait or run with what the queue delivers. Those of
// a direct sync deliver themselves until the next start.
func (c *checker) queue() error {
	return c.side("check the queue", func(p *part, s Snapshot) error {
		var there bool
		if err := s.QueryRow(`SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'goqite')`).
			Scan(&there); err != nil {
			return err
		}
		if !there {
			return p.add("no queue table", "goqite",
				"The table the queue delivers from is missing: accounts are synced directly, which loses nothing.")
		}
		if err := each(s, func(scan func(...any) error) error {
			var id int64
			var state string
			if err := scan(&id, &state); err != nil {
				return err
			}
			return p.add("stuck task", fmt.Sprintf("task %d", id),
				"It is %s, and the queue does not hold it: it would never run. Sync the account again.", state)
		}, `SELECT id, state FROM sync_task WHERE state IN ('pending', 'waiting', 'processing')
			AND message_id <> 'direct' AND message_id NOT IN (SELECT id FROM goqite)`); err != nil {
			return err
		}
		return each(s, func(scan func(...any) error) error {
			var id, queue string
			if err := scan(&id, &queue); err != nil {
				return err
			}
			return p.add("stray queue row", fmt.Sprintf("queue %s, row %s", queue, id),
				"The queue holds it, and no unfinished task does.")
		}, `SELECT id, queue FROM goqite g WHERE NOT EXISTS (SELECT 1 FROM sync_task WHERE message_id = g.id)`)
	})
}

// quarantine looks for messages that are quarantined and are here.
func (c *checker) quarantine() error {
	return c.side("check the quarantine", func(p *part, s Snapshot) error {
		return each(s, func(scan func(...any) error) error {
			var account, mailbox string
			var uid int64
			if err := scan(&account, &mailbox, &uid); err != nil {
				return err
			}
			return p.add("stray quarantine", where(account, mailbox, &uid),
				"It is quarantined, and it is here: no sync would end complete.")
		}, `SELECT a.name, m.path, q.uid FROM quarantine q JOIN entry n ON n.mailbox_id = q.mailbox_id
			AND n.uidvalidity = q.uidvalidity AND n.uid = q.uid JOIN mailbox m ON m.id = q.mailbox_id
			JOIN account a ON a.id = m.account_id
			WHERE n.expunged_at IS NULL AND n.blob_id IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM refetch WHERE entry_id = n.id)`)
	})
}

// index compares the search index with the emails: each with a body has one row
// or waits for it, and no row is without email.
func (c *checker) index() error {
	if err := c.windows("check the search index", `SELECT coalesce(max(id), 0), count(*)
		FROM (SELECT id FROM email WHERE id > ? ORDER BY id LIMIT ?)`, window,
		func(p *part, s Snapshot, after, upTo int64) error {
			return each(s, func(scan func(...any) error) error {
				var id int64
				if err := scan(&id); err != nil {
					return err
				}
				return p.add("not searchable", whereEmail(s, id),
					"The search index has lost it: the index must be rebuilt.")
			}, `SELECT e.id FROM email e WHERE e.id > ? AND e.id <= ? AND e.digest IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM unindexed WHERE email_id = e.id)
			AND NOT EXISTS (SELECT 1 FROM search_docsize WHERE id = e.id)`, after, upTo)
		}); err != nil {
		return err
	}
	return c.side("check the search index", func(p *part, s Snapshot) error {
		return each(s, func(scan func(...any) error) error {
			var id int64
			if err := scan(&id); err != nil {
				return err
			}
			return p.add("stale index", fmt.Sprintf("search row %d", id),
				"The search index holds an email that is not there or not indexed yet: the index must be rebuilt.")
		}, `SELECT d.id FROM search_docsize d WHERE EXISTS (SELECT 1 FROM unindexed WHERE email_id = d.id)
			OR NOT EXISTS (SELECT 1 FROM email WHERE id = d.id)`)
	})
}
