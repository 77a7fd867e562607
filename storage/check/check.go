package check

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
)

// Snapshot reads one state of the store.
type Snapshot interface {
	Query(query string, args ...any) (*sql.Rows, error)
	QueryRow(query string, args ...any) *sql.Row
}

// Reader reads the store, one snapshot after the other. It is used by one
// goroutine at a time.
type Reader struct {
	// Read runs fn on a snapshot.
	Read func(ctx context.Context, fn func(Snapshot) error) error
	// Open gives the verified raw bytes of a blob and their number. They are
	// closed before the next are opened.
	Open func(s Snapshot, blob int64) (io.ReadCloser, int64, error)
}

// Source is the store that is looked at.
type Source struct {
	// Readers read side by side. There is at least one.
	Readers []Reader
	// Parse reads a message afresh; nil: derived rows are not compared.
	Parse func(io.Reader) Derived
	// Progress is told how many rows were looked at; nil: nobody asks.
	Progress func(done, total int64)
}

// Derived is what the store keeps of a message in addition to its bytes.
type Derived struct {
	MessageID, Subject, Sender, Recipients, Preview string
	SentAt                                          *int64 // Unix milliseconds
	HasAttachment, Partial                          bool
	ThreadKeys                                      [][]byte // of thread_reference
}

// Finding is one thing that cannot be in a sound store.
type Finding struct {
	What   string // its kind, the same words for the same kind
	Where  string // for people: account, mailbox, UID
	Detail string // a sentence
	Mends  bool   // a repair mends it, with what the server still has
	Row    int64  // of the blob or email that a repair has to read; 0: it reads none
	File   bool   // pages are damaged: only a new file mends it
	Index  string // a table with indexes that differ from it
}

// mends reports whether a repair mends what is found of a kind.
func mends(what string) bool {
	switch what {
	case "no queue table", "more findings", "impossible value":
		return false
	}
	return true
}

const (
	maxFindings = 1000
	window      = 2000 // rows one snapshot looks at
)

// Run looks at everything. The findings so far come with an error.
func Run(ctx context.Context, src Source) ([]Finding, error) {
	c := newChecker(ctx, src)
	err := c.end(c.run())
	if errors.Is(err, errEnough) {
		c.found = append(c.found, Finding{What: "more findings",
			Detail: fmt.Sprintf("There are more than %d findings; the rest was not looked for.", maxFindings)})
		err = nil
	}
	return c.found, err
}

func (c *checker) run() error {
	if err := c.count(); err != nil {
		return err
	}
	// SQLite first: where pages are damaged, the rest cannot be trusted.
	for _, step := range []func() error{
		c.tables, c.facts, c.mailboxes, c.entries, c.emails, c.threads, c.feed, c.queue, c.quarantine, c.index, c.blobs,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) count() error {
	return c.look(func(s Snapshot) error {
		return s.QueryRow(`SELECT (SELECT count(*) FROM blob) + (SELECT count(*) FROM entry) + 2 * (SELECT count(*)
			FROM email) + (SELECT count(*) FROM thread) + (SELECT count(*) FROM change)`).
			Scan(&c.total)
	})
}

// each runs a query and calls fn with every row's scanner.
func each(s Snapshot, fn func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := s.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err has what matters
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// where names an entry for people.
func where(account, mailbox string, uid *int64) string {
	if uid == nil {
		return fmt.Sprintf("account %s, mailbox %s, a message without a UID", account, mailbox)
	}
	return fmt.Sprintf("account %s, mailbox %s, UID %d", account, mailbox, *uid)
}

// whereEmail names an email by its first entry.
func whereEmail(s Snapshot, id int64) string {
	var account, mailbox, subject string
	var uid *int64
	err := s.QueryRow(`SELECT a.name, coalesce(m.path, ''), n.uid, e.subject FROM email e
		JOIN account a ON a.id = e.account_id
		LEFT JOIN entry n ON n.id = (SELECT id FROM entry WHERE email_id = e.id ORDER BY expunged_at IS NOT NULL, id
		LIMIT 1)
		LEFT JOIN mailbox m ON m.id = n.mailbox_id WHERE e.id = ?`, id).Scan(&account, &mailbox, &uid, &subject)
	if err != nil || uid == nil {
		return fmt.Sprintf("account %s, email row %d", account, id)
	}
	return fmt.Sprintf("%s (%.60q)", where(account, mailbox, uid), subject)
}
