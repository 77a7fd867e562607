package copying

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	"mailcote/storage/internal/schema"
)

// The stamp of a copy: two facts of the table meta.
const (
	copiedAt    = "copied_at"    // when, in Unix milliseconds
	copiedEpoch = "copied_epoch" // epochs up to this one may have been published by others
)

// Facts are what a file says of itself.
type Facts struct {
	Schema    int
	Store     string // the store's id
	Epoch     int64
	CopiedAt  time.Time // zero: it is no copy
	Accounts  int64
	Mailboxes int64
	Messages  int64
	Damaged   int // of the blobs that were looked at, those that the original cannot read either
	rows      rows
	floor     int64 // copied_epoch
}

// rows are counts that a copy must have as its original has them.
type rows struct{ entries, emails, blobs, pieces, changes int64 }

// querier is a connection or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// factsOf reads the facts of a store of any schema.
func factsOf(ctx context.Context, q querier) (Facts, error) {
	var f Facts
	var at int64
	err := q.QueryRowContext(ctx, `SELECT user_version FROM pragma_user_version`).Scan(&f.Schema)
	if err == nil {
		err = q.QueryRowContext(ctx, `SELECT (SELECT value FROM meta WHERE key = 'store_id'),
			(SELECT value FROM meta WHERE key = 'epoch'),
			coalesce((SELECT value FROM meta WHERE key = ?), 0), coalesce((SELECT value FROM meta WHERE key = ?), 0),
			(SELECT count(*) FROM account), (SELECT count(*) FROM mailbox WHERE gone_at IS NULL),
			(SELECT coalesce(sum(total), 0) FROM mailbox WHERE gone_at IS NULL),
			(SELECT count(*) FROM entry), (SELECT count(*) FROM email), (SELECT count(*) FROM blob),
			(SELECT count(*) FROM blob_piece), (SELECT count(*) FROM change)`, copiedAt, copiedEpoch).
			Scan(&f.Store, &f.Epoch, &at, &f.floor, &f.Accounts, &f.Mailboxes, &f.Messages,
				&f.rows.entries, &f.rows.emails, &f.rows.blobs, &f.rows.pieces, &f.rows.changes)
	}
	if err != nil {
		return f, fmt.Errorf("read what the store holds: %w", err)
	}
	if at > 0 {
		f.CopiedAt = time.UnixMilli(at).UTC()
	}
	return f, nil
}

// Look reads what a file holds that nobody writes. Errors: those of
// schema.Check, SQLite's own.
func Look(ctx context.Context, path string) (f Facts, err error) {
	err = reading(ctx, path, func(db *sql.DB, conn *sql.Conn) error {
		if err := schema.Check(ctx, db, path); err != nil {
			return err
		}
		f, err = factsOf(ctx, conn)
		return err
	})
	return f, err
}

// ErrUnsound says that a copy is damaged, or is not what was copied.
var ErrUnsound = errors.New("the copy is not sound")

// Checks are what a copy is checked with.
type Checks struct {
	// Excused reports whether a verdict of quick_check is no damage of the
	// file.
	Excused func(verdict string) bool
	// Blob reads a blob to its end and fails if its digest differs.
	Blob func(ctx context.Context, tx *sql.Tx, blob int64) error
}

// verify checks a copy that nobody writes: SQLite's structure, that it holds
// what want says, and the digests of some blobs. A blob that cannot be read in
// the original either is no fault of the copy: want.Damaged counts it.
func (c Checks) verify(ctx context.Context, path string, want *Facts, original *sql.Conn) error {
	var bad []int64
	if err := reading(ctx, path, func(db *sql.DB, conn *sql.Conn) error {
		if err := schema.Check(ctx, db, path); err != nil {
			return err
		}
		if err := quick(ctx, conn, c.Excused); err != nil {
			return err
		}
		return inTx(ctx, conn, func(tx *sql.Tx) error {
			have, err := factsOf(ctx, tx)
			if err != nil {
				return err
			}
			if have.rows != want.rows || have.Schema != want.Schema || have.Store != want.Store {
				return fmt.Errorf("%w: it holds %+v, and %+v was copied", ErrUnsound, have, *want)
			}
			bad, err = c.sample(ctx, tx)
			return err
		})
	}); err != nil {
		return err
	}
	if len(bad) == 0 {
		return nil
	}
	return inTx(ctx, original, func(tx *sql.Tx) error {
		for _, id := range bad {
			if err := c.Blob(ctx, tx, id); err == nil {
				return fmt.Errorf("%w: a message is damaged in it and not in the store: the disk may be failing",
					ErrUnsound)
			}
			want.Damaged++
		}
		return nil
	})
}

// inTx runs fn in a transaction that keeps nothing.
func inTx(ctx context.Context, conn *sql.Conn, fn func(*sql.Tx) error) error {
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // it has nothing to keep
	return fn(tx)
}

// quick runs SQLite's own check.
func quick(ctx context.Context, conn *sql.Conn, excused func(string) bool) error {
	found, err := conn.QueryContext(ctx, "PRAGMA quick_check(20)")
	if err != nil {
		return err
	}
	defer found.Close() //nolint:errcheck // Err has what matters
	for found.Next() {
		var verdict string
		if err := found.Scan(&verdict); err != nil {
			return err
		}
		if verdict != "ok" && (excused == nil || !excused(verdict)) {
			return fmt.Errorf("%w: %s", ErrUnsound, verdict)
		}
	}
	return found.Err()
}

// sampled is how many blobs are read of a copy. The pages were copied as they
// are, so this finds a fault of the disk and not one of single messages.
const sampled = 64

// sample reads blobs from all over the file and gives those that it cannot read
// or whose digest differs.
func (c Checks) sample(ctx context.Context, tx *sql.Tx) (bad []int64, err error) {
	var least, most int64
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM blob`).
		Scan(&least, &most); err != nil {
		return nil, err
	}
	last := int64(-1)
	for i := range int64(sampled) {
		var id int64
		err := tx.QueryRowContext(ctx, `SELECT id FROM blob WHERE state = 'sealed' AND id >= ? ORDER BY id LIMIT 1`,
			max(least+(most-least)/sampled*i, last+1)).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return bad, nil
		}
		if err != nil {
			return bad, err
		}
		if err := c.Blob(ctx, tx, id); ctx.Err() != nil {
			return bad, err
		} else if err != nil {
			bad = append(bad, id)
		}
		last = id
	}
	return bad, nil
}

// stamp marks a file as a copy and makes it one file without a log. Epochs up
// to floor are not begun in it.
func stamp(ctx context.Context, path string, at time.Time, floor int64) error {
	query := url.Values{"mode": {"rw"}, "_pragma": {"busy_timeout(5000)", "journal_mode(delete)", "synchronous(full)"}}
	err := with(ctx, uri(path, query), func(_ *sql.DB, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, `INSERT INTO meta (key, value) VALUES (?, ?), (?, ?)
			ON CONFLICT DO UPDATE SET value = excluded.value`, copiedAt, at.UnixMilli(), copiedEpoch, floor)
		return err
	})
	if err != nil {
		return fmt.Errorf("stamp the copy: %w", err)
	}
	return nil
}

// Renewal is the statement by which an owner begins an epoch of its own in a
// stamped file, and Unstamp the one that removes the stamp. Both belong in one
// transaction.
const (
	Renewal = `UPDATE meta SET value = 1 + max(value, (SELECT value FROM meta WHERE key = '` + copiedEpoch + `'))
		WHERE key = 'epoch' AND EXISTS (SELECT 1 FROM meta WHERE key = '` + copiedEpoch + `')`
	Unstamp = `DELETE FROM meta WHERE key IN ('` + copiedAt + `', '` + copiedEpoch + `')`
)
