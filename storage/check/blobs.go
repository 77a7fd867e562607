package check

import (
	"errors"
	"fmt"
	"io"
)

// blobs reads every message: its digest, its size, its pieces, and, when there
// is a parser, what the store keeps of it. A snapshot reads 32 MiB of raw
// messages, and what the last of them has more.
func (c *checker) blobs() error {
	return c.windows("check messages", `SELECT coalesce(max(id), 0), count(*) FROM (SELECT id, sum(size) OVER
		(ORDER BY id) - size AS before FROM (SELECT id, size FROM blob WHERE id > ? AND state = 'sealed' ORDER BY id
		LIMIT ?)) WHERE before < 32 << 20`, window/10, (*part).messages)
}

// messages reads the blobs in (after, upTo].
func (p *part) messages(s Snapshot, after, upTo int64) error {
	var whole []int64
	if err := each(s, func(scan func(...any) error) error {
		var id, stored, pieces, last, bytes int64
		if err := scan(&id, &stored, &pieces, &last, &bytes); err != nil {
			return err
		}
		if pieces != last+1 {
			return p.addRow(id, true, "missing piece", whereBlob(s, id),
				"Of %d pieces %d are there: the message must be fetched again.", last+1, pieces)
		}
		whole = append(whole, id)
		if stored != bytes {
			return p.addRow(id, true, "wrong size", whereBlob(s, id),
				"It is noted to take %d bytes in the store and takes %d.", stored, bytes)
		}
		return nil
	}, `SELECT b.id, b.stored, count(p.n), coalesce(max(p.n), -1), coalesce(sum(length(p.frame)), 0)
		FROM blob b LEFT JOIN blob_piece p ON p.blob_id = b.id
		WHERE b.id > ? AND b.id <= ? AND b.state = 'sealed' GROUP BY b.id`, after, upTo); err != nil {
		return err
	}
	fresh := make(map[int64]*Derived, len(whole))
	for _, id := range whole {
		one, err := p.verify(s, id)
		if err != nil && p.ctx.Err() != nil {
			return err
		}
		if err != nil {
			if err := p.addRow(id, true, "damaged message", whereBlob(s, id),
				"Its bytes are not those that arrived (%v): the message must be fetched again.", err); err != nil {
				return err
			}
		}
		fresh[id] = one
	}
	if p.parse == nil {
		return nil
	}
	return p.derived(s, after, upTo, fresh)
}

// verify reads a blob to its end, which proves its digest, and parses it on the
// way.
func (p *part) verify(s Snapshot, id int64) (fresh *Derived, err error) {
	r, size, err := p.Open(s, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	counted := &counter{r: r}
	if p.parse != nil {
		d := p.parse(counted)
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

// derived compares the emails of blobs in (after, upTo] with a fresh parse of
// them. Those that are listed to be read again are passed over, and those of
// blobs that could not be read.
func (p *part) derived(s Snapshot, after, upTo int64, parsed map[int64]*Derived) error {
	return each(s, func(scan func(...any) error) error {
		var blob, id, account, thread int64
		var have Derived
		if err := scan(&blob, &id, &account, &thread, &have.MessageID, &have.Subject, &have.Sender, &have.Recipients,
			&have.Preview, &have.SentAt, &have.HasAttachment, &have.Partial); err != nil {
			return err
		}
		fresh := parsed[blob]
		if fresh == nil {
			return nil
		}
		for _, field := range differences(have, *fresh) {
			if err := p.addRow(id, true, "stale field", whereEmail(s, id),
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
				return p.addRow(id, true, "wrong thread", whereEmail(s, id),
					"A message that it names is not known in its thread: the threads must be rebuilt.")
			}
		}
		return nil
	}, `SELECT b.id, e.id, e.account_id, e.thread_id, e.message_id, e.subject, e.sender, e.recipients, e.preview,
		e.sent_at, e.has_attachment, e.partial
		FROM blob b CROSS JOIN account a CROSS JOIN email e ON e.account_id = a.id AND e.digest = b.sha256
		WHERE b.id > ? AND b.id <= ? AND NOT EXISTS (SELECT 1 FROM outdated_view WHERE email_id = e.id)
		ORDER BY b.id`, after, upTo)
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
