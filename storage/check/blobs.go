package check

import (
	"errors"
	"fmt"
	"io"
)

// blobs reads every message: its digest, its size, its pieces, and, when there
// is a parser, what the store keeps of it.
func (c *checker) blobs() error {
	type blob struct{ id, size int64 }
	for after := int64(0); ; {
		var all []blob
		if err := c.read(func(s Snapshot) error {
			if err := each(s, func(scan func(...any) error) error {
				var b blob
				err := scan(&b.id, &b.size)
				all = append(all, b)
				return err
			}, `SELECT id, size FROM blob WHERE id > ? AND state = 'sealed' ORDER BY id LIMIT ?`,
				after, window/10); err != nil {
				return err
			}
			bytes := int64(0)
			for i, b := range all {
				if err := c.blob(s, b.id); err != nil {
					return err
				}
				after = b.id
				if bytes += b.size; bytes > windowBytes {
					all = all[:i+1]
					break
				}
			}
			return nil
		}); err != nil {
			return fmt.Errorf("check messages: %w", err)
		}
		if c.progress(int64(len(all))); len(all) == 0 {
			return nil
		}
	}
}

func (c *checker) blob(s Snapshot, id int64) error {
	var stored, pieces, last, bytes int64
	if err := s.QueryRow(`SELECT b.stored, count(p.n), coalesce(max(p.n), -1), coalesce(sum(length(p.frame)), 0)
		FROM blob b LEFT JOIN blob_piece p ON p.blob_id = b.id
		WHERE b.id = ? GROUP BY b.id`, id).Scan(&stored, &pieces, &last, &bytes); err != nil {
		return err
	}
	place := whereBlob(s, id)
	if pieces != last+1 {
		return c.addRow(id, true, "missing piece", place,
			"Of %d pieces %d are there: the message must be fetched again.", last+1, pieces)
	}
	if stored != bytes {
		if err := c.addRow(id, true, "wrong size", place, "It is noted to take %d bytes in the store and takes %d.",
			stored,
			bytes); err != nil {
			return err
		}
	}
	fresh, err := c.verify(s, id)
	if err != nil {
		if c.ctx.Err() != nil {
			return err
		}
		return c.addRow(id, true, "damaged message", place,
			"Its bytes are not those that arrived (%v): the message must be fetched again.", err)
	}
	if fresh == nil {
		return nil
	}
	return c.derived(s, id, *fresh)
}

// verify reads a blob to its end, which proves its digest, and parses it on the
// way.
func (c *checker) verify(s Snapshot, id int64) (fresh *Derived, err error) {
	r, size, err := c.Open(s, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	counted := &counter{r: r}
	if c.Parse != nil {
		d := c.Parse(counted)
		fresh = &d
	}
	if _, err := io.Copy(io.Discard, counted); err != nil {
		return nil, err
	}
	if counted.err != nil {
		return nil, counted.err
	}
	if counted.n != size {
		return nil, fmt.Errorf("%d bytes instead of %d", counted.n, size)
	}
	return fresh, nil
}

// counter counts bytes and remembers a failure that a parser may have
// swallowed.
type counter struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// derived compares the emails of a blob with a fresh parse of it. Those that
// are listed to be read again are passed over.
func (c *checker) derived(s Snapshot, blob int64, fresh Derived) error {
	return each(s, func(scan func(...any) error) error {
		var id, account, thread int64
		var have Derived
		if err := scan(&id, &account, &thread, &have.MessageID, &have.Subject, &have.Sender, &have.Recipients,
			&have.Preview, &have.SentAt, &have.HasAttachment, &have.Partial); err != nil {
			return err
		}
		for _, field := range differences(have, fresh) {
			if err := c.addRow(id, true, "stale field", whereEmail(s, id),
				"Its %s is not what the message says: the row must be rebuilt.", field); err != nil {
				return err
			}
		}
		for _, key := range fresh.ThreadKeys {
			var found bool
			if err := s.QueryRow(`SELECT EXISTS (SELECT 1 FROM thread_reference
				WHERE account_id = ? AND key = ? AND thread_id = ?)`, account, key, thread).Scan(&found); err != nil {
				return err
			}
			if !found {
				return c.addRow(id, true, "wrong thread", whereEmail(s, id),
					"A message that it names is not known in its thread: the threads must be rebuilt.")
			}
		}
		return nil
	}, `SELECT e.id, e.account_id, e.thread_id, e.message_id, e.subject, e.sender, e.recipients, e.preview, e.sent_at,
		e.has_attachment, e.partial
		FROM blob b CROSS JOIN account a CROSS JOIN email e ON e.account_id = a.id AND e.digest = b.sha256
		WHERE b.id = ? AND NOT EXISTS (SELECT 1 FROM outdated_view WHERE email_id = e.id)`, blob)
}

func differences(have, fresh Derived) (fields []string) {
	note := func(field string, same bool) {
		if !same {
			fields = append(fields, field)
		}
	}
	note("Message-ID", have.MessageID == fresh.MessageID)
	note("subject", have.Subject == fresh.Subject)
	note("sender", have.Sender == fresh.Sender)
	note("recipients", have.Recipients == fresh.Recipients)
	note("preview", have.Preview == fresh.Preview)
	note("sent date", have.SentAt == fresh.SentAt || have.SentAt != nil && fresh.SentAt != nil &&
		*have.SentAt == *fresh.SentAt)
	note("attachment mark", have.HasAttachment == fresh.HasAttachment)
	note("mark for unreadable parts", have.Partial == fresh.Partial)
	return fields
}

// whereBlob names a blob by the first message that has it.
func whereBlob(s Snapshot, id int64) string {
	var account, mailbox string
	var uid *int64
	if err := s.QueryRow(`SELECT a.name, m.path, n.uid FROM entry n JOIN mailbox m ON m.id = n.mailbox_id
		JOIN account a ON a.id = m.account_id
		WHERE n.blob_id = ? ORDER BY n.expunged_at IS NOT NULL, n.id LIMIT 1`,
		id).Scan(&account, &mailbox, &uid); err != nil {
		return fmt.Sprintf("message bytes %d", id)
	}
	return where(account, mailbox, uid)
}
