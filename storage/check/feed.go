package check

import "fmt"

// feed looks for changes of objects that do not exist, and for numbers that
// were never published.
func (c *checker) feed() error {
	var account int64
	var kind, object string
	for {
		n := int64(0)
		if err := c.read(func(s Snapshot) error {
			var highest int64
			if err := s.QueryRow(`SELECT coalesce((SELECT value FROM meta WHERE key = 'change_no'), 0)`).
				Scan(&highest); err != nil {
				return err
			}
			return each(s, func(scan func(...any) error) error {
				var name string
				var number int64
				var destroyed, exists bool
				if err := scan(&account, &kind, &object, &name, &number, &destroyed, &exists); err != nil {
					return err
				}
				n++
				place := fmt.Sprintf("account %s, %s %s", name, kind, object)
				switch {
				case number > highest:
					return c.add("wrong change number", place,
						"It has change number %d, the highest published is %d: mail programs would miss it.", number,
						highest)
				case !destroyed && !exists:
					return c.add("change without object", place,
						"The change feed says that it exists, and it does not: it was lost.")
				case destroyed && exists:
					return c.add("wrong change", place, "The change feed says that it is gone, and it is there.")
				}
				return nil
			}, `SELECT c.account_id, c.type, c.object_id, a.name, c.changed_no, c.destroyed, CASE c.type
				WHEN 'Email' THEN EXISTS (SELECT 1 FROM email WHERE jmap_id = c.object_id
				AND account_id = c.account_id AND destroyed_at IS NULL)
				WHEN 'Thread' THEN EXISTS (SELECT 1 FROM thread t JOIN email e ON e.thread_id = t.id
				WHERE t.jmap_id = c.object_id AND t.account_id = c.account_id AND e.destroyed_at IS NULL)
				ELSE EXISTS (SELECT 1 FROM mailbox WHERE id = CAST(substr(c.object_id, 2) AS INTEGER)
				AND account_id = c.account_id AND gone_at IS NULL) END
				FROM change c JOIN account a ON a.id = c.account_id
				WHERE (c.account_id, c.type, c.object_id) > (?, ?, ?) ORDER BY c.account_id, c.type, c.object_id
				LIMIT ?`, account, kind, object, window)
		}); err != nil {
			return fmt.Errorf("check the change feed: %w", err)
		}
		if c.progress(n); n < window {
			return nil
		}
	}
}

// queue compares tasks that wait or run with what the queue delivers. Those of
// a direct sync deliver themselves until the next start.
func (c *checker) queue() error {
	if err := c.read(func(s Snapshot) error {
		var there bool
		if err := s.QueryRow(`SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'goqite')`).
			Scan(&there); err != nil {
			return err
		}
		if !there {
			return c.add("no queue table", "goqite",
				"The table the queue delivers from is missing: accounts are synced directly, which loses nothing.")
		}
		if err := each(s, func(scan func(...any) error) error {
			var id int64
			var state string
			if err := scan(&id, &state); err != nil {
				return err
			}
			return c.add("stuck task", fmt.Sprintf("task %d", id),
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
			return c.add("stray queue row", fmt.Sprintf("queue %s, row %s", queue, id),
				"The queue holds it, and no unfinished task does.")
		}, `SELECT id, queue FROM goqite g WHERE NOT EXISTS (SELECT 1 FROM sync_task WHERE message_id = g.id)`)
	}); err != nil {
		return fmt.Errorf("check the queue: %w", err)
	}
	return nil
}

// quarantine looks for messages that are quarantined and are here.
func (c *checker) quarantine() error {
	if err := c.read(func(s Snapshot) error {
		return each(s, func(scan func(...any) error) error {
			var account, mailbox string
			var uid int64
			if err := scan(&account, &mailbox, &uid); err != nil {
				return err
			}
			return c.add("stray quarantine", where(account, mailbox, &uid),
				"It is quarantined, and it is here: no sync would end complete.")
		}, `SELECT a.name, m.path, q.uid FROM quarantine q JOIN entry n ON n.mailbox_id = q.mailbox_id
			AND n.uidvalidity = q.uidvalidity AND n.uid = q.uid JOIN mailbox m ON m.id = q.mailbox_id
			JOIN account a ON a.id = m.account_id
			WHERE n.expunged_at IS NULL AND n.blob_id IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM refetch WHERE entry_id = n.id)`)
	}); err != nil {
		return fmt.Errorf("check the quarantine: %w", err)
	}
	return nil
}

// index compares the search index with the emails: each with a body has one row
// or waits for it, and no row is without email.
func (c *checker) index() error {
	if err := c.windows(`SELECT coalesce(max(id), 0), count(*) FROM (SELECT id FROM email WHERE id > ? ORDER BY id
		LIMIT ?)`, "check the search index", func(s Snapshot, after, upTo int64) error {
		return each(s, func(scan func(...any) error) error {
			var id int64
			if err := scan(&id); err != nil {
				return err
			}
			return c.add("not searchable", whereEmail(s, id),
				"The search index has lost it: the index must be rebuilt.")
		}, `SELECT e.id FROM email e WHERE e.id > ? AND e.id <= ? AND e.digest IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM unindexed WHERE email_id = e.id)
			AND NOT EXISTS (SELECT 1 FROM search_docsize WHERE id = e.id)`, after, upTo)
	}); err != nil {
		return err
	}
	return c.read(func(s Snapshot) error {
		return each(s, func(scan func(...any) error) error {
			var id int64
			if err := scan(&id); err != nil {
				return err
			}
			return c.add("stale index", fmt.Sprintf("search row %d", id),
				"The search index holds an email that is not there or not indexed yet: the index must be rebuilt.")
		}, `SELECT d.id FROM search_docsize d WHERE EXISTS (SELECT 1 FROM unindexed WHERE email_id = d.id)
			OR NOT EXISTS (SELECT 1 FROM email WHERE id = d.id)`)
	})
}
