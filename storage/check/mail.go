package check

import "fmt"

// mailboxes compares each mailbox's counters with its entries and its coverage
// with itself.
func (c *checker) mailboxes() error {
	var ids []int64
	if err := c.look(func(s Snapshot) error {
		return each(s, func(scan func(...any) error) error {
			var id int64
			err := scan(&id)
			ids = append(ids, id)
			return err
		}, `SELECT id FROM mailbox`)
	}); err != nil {
		return fmt.Errorf("list mailboxes: %w", err)
	}
	for _, id := range ids {
		if err := c.side(fmt.Sprintf("check mailbox %d", id), func(p *part, s Snapshot) error {
			return p.mailbox(s, id)
		}); err != nil {
			return err
		}
	}
	return nil
}

func (p *part) mailbox(s Snapshot, id int64) error {
	if err := each(s, func(scan func(...any) error) error {
		var place string
		if err := scan(&place); err != nil {
			return err
		}
		return p.add("missing change", place,
			"The change feed does not know it, or says that it is gone: a mail program would never see it.")
	}, `SELECT 'account ' || a.name || ', mailbox ' || m.path FROM mailbox m JOIN account a ON a.id = m.account_id
		WHERE m.id = ? AND m.gone_at IS NULL AND NOT EXISTS (SELECT 1 FROM change
		WHERE account_id = m.account_id AND type = 'Mailbox' AND object_id = 'M' || m.id AND destroyed = 0)`,
		id); err != nil {
		return err
	}
	if err := each(s, func(scan func(...any) error) error {
		var place string
		var total, unread, entries, unseen int64
		if err := scan(&place, &total, &unread, &entries, &unseen); err != nil {
			return err
		}
		if total == entries && unread == unseen {
			return nil
		}
		return p.add("wrong counter", place,
			"It counts %d messages, %d unread, and holds %d, %d unread: a message was lost or a counter is wrong.",
			total, unread, entries, unseen)
	}, `SELECT 'account ' || a.name || ', mailbox ' || m.path, m.total, m.unread, count(n.id),
		coalesce(sum(instr(' ' || n.flags || ' ', ' \Seen ') = 0), 0)
		FROM mailbox m JOIN account a ON a.id = m.account_id LEFT JOIN entry n ON n.mailbox_id = m.id
		AND n.uidvalidity = m.uidvalidity AND n.expunged_at IS NULL
		WHERE m.id = ? GROUP BY m.id`, id); err != nil {
		return err
	}
	return each(s, func(scan func(...any) error) error {
		var place, level string
		var lo, hi, next int64
		if err := scan(&place, &level, &lo, &hi, &next); err != nil {
			return err
		}
		return p.add("overlapping coverage", place, "The proven ranges %d:%d and %d… of level %s overlap.", lo, hi,
			next, level)
	}, `SELECT 'account ' || a.name || ', mailbox ' || m.path, c.level, c.lo, c.hi, d.lo FROM coverage c
		JOIN coverage d ON d.mailbox_id = c.mailbox_id AND d.uidvalidity = c.uidvalidity AND d.level = c.level
		AND d.lo > c.lo AND d.lo <= c.hi
		JOIN mailbox m ON m.id = c.mailbox_id JOIN account a ON a.id = m.account_id WHERE c.mailbox_id = ?`, id)
}

// entries compares each entry with its mailbox, its email, its blob and the
// coverage.
func (c *checker) entries() error {
	return c.windows("check entries", `SELECT coalesce(max(id), 0), count(*)
		FROM (SELECT id FROM entry WHERE id > ? ORDER BY id LIMIT ?)`, window,
		func(p *part, s Snapshot, after, upTo int64) error {
			return each(s, func(scan func(...any) error) error {
				var account, mailbox string
				var uid, blobSize *int64
				var body, live, covered, shown, swapped, foreign bool
				var size int64
				var state *string
				if err := scan(&account, &mailbox, &uid, &size, &blobSize, &state, &body, &live, &covered, &shown,
					&swapped, &foreign); err != nil {
					return err
				}
				place := where(account, mailbox, uid)
				switch {
				case foreign:
					return p.add("wrong account", place, "Its email belongs to another account.")
				case body && (state == nil || *state != "sealed"):
					return p.add("missing message", place,
						"Its bytes are not there whole: the message must be fetched again.")
				case swapped:
					return p.add("wrong message", place,
						"Its bytes and its email are two different messages: it must be fetched again.")
				case body && size != *blobSize:
					return p.add("wrong size", place, "It is noted with %d bytes and has %d.", size, *blobSize)
				case live && !shown:
					return p.add("stray entry", place,
						"It is live in a generation of the mailbox that is neither shown nor being fetched, or in a "+
							"mailbox that is gone.")
				case live && covered && !body:
					return p.add("false coverage", place,
						"It counts as fetched and has no bytes: the message must be fetched again.")
				case live && body && uid != nil && !covered:
					return p.add("missing coverage", place,
						"It is here, but not noted as fetched; the next sync fetches it again.")
				}
				return nil
			}, `SELECT * FROM (SELECT a.name, m.path, n.uid, n.size, b.size AS bytes, b.state,
			n.blob_id IS NOT NULL AS body,
			n.expunged_at IS NULL AS live,
			EXISTS (SELECT 1 FROM coverage c WHERE c.mailbox_id = n.mailbox_id AND c.uidvalidity = n.uidvalidity
			AND c.level = 'body' AND c.lo <= n.uid AND c.hi >= n.uid) AS covered,
			a.removed_at IS NOT NULL OR m.gone_at IS NULL
			AND n.uidvalidity IN (m.uidvalidity, coalesce(m.building, m.uidvalidity)) AS shown,
			n.blob_id IS NOT NULL AND (b.sha256 IS NOT e.digest) AS swapped, e.account_id <> m.account_id AS other
			FROM entry n JOIN mailbox m ON m.id = n.mailbox_id JOIN account a ON a.id = m.account_id
			JOIN email e ON e.id = n.email_id LEFT JOIN blob b ON b.id = n.blob_id
			WHERE n.id > ? AND n.id <= ?)
			WHERE other OR swapped OR body AND (state IS NOT 'sealed' OR size <> bytes)
			OR live AND (NOT shown OR covered <> body)`, after, upTo)
		})
}

// emails compares each email with its entries, its blob, its thread and the
// change feed.
func (c *checker) emails() error {
	return c.windows("check emails", `SELECT coalesce(max(id), 0), count(*)
		FROM (SELECT id FROM email WHERE id > ? ORDER BY id LIMIT ?)`, window,
		func(p *part, s Snapshot, after, upTo int64) error {
			return each(s, func(scan func(...any) error) error {
				var id, live, entries int64
				var destroyed, blob, sized, foreign, former bool
				var feed *bool
				if err := scan(&id, &live, &entries, &destroyed, &blob, &sized, &foreign, &former, &feed); err != nil {
					return err
				}
				switch {
				case live != entries:
					return p.add("wrong counter", whereEmail(s, id),
						"It counts %d live copies and has %d: a message was lost or a counter is wrong.", live, entries)
				case !blob:
					return p.add("missing message", whereEmail(s, id),
						"Its bytes are not there: the message must be fetched again.")
				case !sized:
					return p.add("wrong size", whereEmail(s, id),
						"It is noted with another size than its bytes have: the row must be rebuilt.")
				case foreign:
					return p.add("wrong account", whereEmail(s, id), "Its thread belongs to another account.")
				case former:
					return p.add("wrong former id", whereEmail(s, id),
						"Its id is also noted as one that an email had before.")
				case feed == nil && !destroyed:
					return p.add("missing change", whereEmail(s, id),
						"The change feed does not know it: a mail program would never see it.")
				case feed != nil && *feed != destroyed:
					return p.add("wrong change", whereEmail(s, id),
						"The change feed and the store differ on whether it is gone.")
				}
				return nil
			}, `SELECT * FROM (SELECT e.id, e.live, (SELECT count(*) FROM entry WHERE email_id = e.id
			AND expunged_at IS NULL) AS entries, e.destroyed_at IS NOT NULL AS destroyed,
			e.digest IS NULL OR b.id IS NOT NULL AS blob, b.id IS NULL OR b.size = e.size AS sized,
			t.account_id <> e.account_id AS other,
			EXISTS (SELECT 1 FROM email_alias WHERE jmap_id = e.jmap_id) AS former, c.destroyed AS feed
			FROM email e JOIN thread t ON t.id = e.thread_id LEFT JOIN blob b ON b.sha256 = e.digest
			LEFT JOIN change c ON c.account_id = e.account_id AND c.type = 'Email' AND c.object_id = e.jmap_id
			WHERE e.id > ? AND e.id <= ?)
			WHERE live <> entries OR NOT blob OR NOT sized OR other OR former OR coalesce(feed, 1) <> destroyed`,
				after, upTo)
		})
}

// threads compares each thread with its emails and the change feed.
func (c *checker) threads() error {
	return c.windows("check threads", `SELECT coalesce(max(id), 0), count(*)
		FROM (SELECT id FROM thread WHERE id > ? ORDER BY id LIMIT ?)`, window,
		func(p *part, s Snapshot, after, upTo int64) error {
			return each(s, func(scan func(...any) error) error {
				var place string
				var emails, shown, foreign bool
				var feed *bool
				if err := scan(&place, &emails, &shown, &foreign, &feed); err != nil {
					return err
				}
				switch {
				case !emails:
					return p.add("empty thread", place, "It holds no email.")
				case foreign:
					return p.add("wrong account", place, "A Message-ID of another account leads to it.")
				case feed == nil && shown:
					return p.add("missing change", place,
						"The change feed does not know it: a mail program would never see it.")
				case feed != nil && *feed == shown:
					return p.add("wrong change", place, "The change feed and the store differ on whether it is gone.")
				}
				return nil
			}, `SELECT * FROM (SELECT 'account ' || a.name || ', thread ' || t.jmap_id, EXISTS (SELECT 1 FROM email
			WHERE thread_id = t.id) AS emails,
			EXISTS (SELECT 1 FROM email WHERE thread_id = t.id AND destroyed_at IS NULL) AS shown,
			EXISTS (SELECT 1 FROM thread_reference WHERE thread_id = t.id AND account_id <> t.account_id) AS other,
			c.destroyed AS feed
			FROM thread t JOIN account a ON a.id = t.account_id
			LEFT JOIN change c ON c.account_id = t.account_id AND c.type = 'Thread' AND c.object_id = t.jmap_id
			WHERE t.id > ? AND t.id <= ?)
			WHERE NOT emails OR other OR coalesce(feed, 1) = shown`, after, upTo)
		})
}
