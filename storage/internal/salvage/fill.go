package salvage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"mailcote/storage/check"
)

const (
	rowsAtOnce  = 200
	pieceRows   = 4 // a piece is up to 1 MiB
	commitEvery = 500
)

// filler fills a new store from a damaged one.
type filler struct {
	ctx  context.Context
	o    Options
	old  *damaged
	db   *sql.DB
	tx   *sql.Tx
	done int // rows in tx

	sizes           map[int64]int // emails, by thread
	messages, total int64
}

// run takes over what verifies, in the order in which rows name each other.
func (f *filler) run() (r Report, err error) {
	if f.tx, err = f.db.BeginTx(f.ctx, nil); err != nil {
		return r, err
	}
	defer func() { _ = f.tx.Rollback() }() //nolint:errcheck // after Commit it has nothing to do
	for _, step := range []func() error{
		f.accounts, f.mailboxes, f.blobs, f.pieces, f.emails, f.entries, f.rest, f.settle,
	} {
		if err := step(); err != nil {
			return r, err
		}
	}
	if err := f.tx.QueryRowContext(f.ctx, `SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM mailbox
		WHERE gone_at IS NULL), (SELECT count(*) FROM entry WHERE expunged_at IS NULL)`).
		Scan(&r.Accounts, &r.Mailboxes, &r.Messages); err != nil {
		return r, err
	}
	r.Missing = max(f.total-r.Messages, 0)
	if r.Accounts == 0 {
		return r, ErrNothing
	}
	return r, f.tx.Commit()
}

// pace commits now and then, so that the log of the new store stays short.
func (f *filler) pace(weight int) error {
	if f.done += weight; f.done < commitEvery {
		return nil
	}
	f.done = 0
	if err := f.tx.Commit(); err != nil {
		return err
	}
	if _, err := f.db.ExecContext(f.ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return err
	}
	tx, err := f.db.BeginTx(f.ctx, nil)
	if err == nil {
		f.tx = tx
	}
	return err
}

// table finds the columns of a table that both stores have.
func (f *filler) table(name string) (t table, err error) {
	want, err := columns(f.ctx, f.tx, name)
	if err != nil {
		return t, err
	}
	have, err := columns(f.ctx, f.old.db, name)
	if err != nil { // not even the schema can be read
		have = nil
	}
	return table{name, common(have, want)}, f.ctx.Err()
}

// put inserts a row, unless the new store's own rules refuse it: then it was
// damaged.
func (f *filler) put(name string, one row) (taken bool, err error) {
	columns := slices.Sorted(maps.Keys(one))
	values := make([]any, len(columns))
	for i, column := range columns {
		values[i] = one[column]
	}
	_, err = f.tx.ExecContext(f.ctx, fmt.Sprintf(`INSERT INTO %s (%s) VALUES (?%s)`,
		name, strings.Join(columns, ", "), strings.Repeat(", ?", len(columns)-1)), values...)
	switch {
	case err == nil:
		return true, f.pace(1)
	case refused(err):
		return false, nil
	}
	return false, err
}

// refused says that a row broke one of the table's rules.
func refused(err error) bool {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return false
	}
	code := se.Code() & 0xff
	return code == lib.SQLITE_CONSTRAINT || code == lib.SQLITE_MISMATCH
}

// scan takes over the rows of a table that keep lets through.
func (f *filler) scan(name string, n int, keep func(row) (bool, error)) error {
	t, err := f.table(name)
	if err != nil {
		return err
	}
	if err := f.old.each(t, n, func(one row) error {
		ok, err := keep(one)
		if ok && err == nil {
			_, err = f.put(name, one)
		}
		return err
	}); err != nil {
		return fmt.Errorf("save table %s: %w", name, err)
	}
	return nil
}

func all(row) (bool, error) { return true, nil }

func (f *filler) accounts() error { return f.scan("account", rowsAtOnce, all) }

// mailboxes takes over mailboxes without their watermarks: the next pass opens,
// lists and compares each.
func (f *filler) mailboxes() error {
	return f.scan("mailbox", rowsAtOnce, func(one row) (bool, error) {
		if one["gone_at"] == nil {
			f.total += max(one.whole("total"), 0)
		}
		one["building"], one["pass_at"], one["modseq"], one["total"], one["unread"] = nil, nil, int64(0), int64(0),
			int64(0)
		return true, nil
	})
}

func (f *filler) blobs() error {
	return f.scan("blob", rowsAtOnce, func(one row) (bool, error) { return one["state"] == "sealed", nil })
}

func (f *filler) pieces() error {
	return f.scan("blob_piece", pieceRows, func(one row) (bool, error) {
		frame, _ := one["frame"].([]byte) //nolint:errcheck // refused by the table then
		return true, f.pace(len(frame) >> 13)
	})
}

// email is what an email's row names of others.
type email struct {
	account, thread int64
	object          string // the thread's JMAP id
	digest          []byte
}

// emails takes over emails whose message is here and whole. What they say comes
// from the message, not from the row.
func (f *filler) emails() error {
	threads, err := f.threads()
	if err != nil {
		return err
	}
	return f.scan("email", rowsAtOnce, func(one row) (bool, error) {
		f.messages++
		if f.o.Progress != nil {
			f.o.Progress(min(f.messages, f.total), f.total)
		}
		digest, _ := one["digest"].([]byte) //nolint:errcheck // NULL
		e := email{account: one.whole("account_id"), digest: digest, thread: one.whole("thread_id")}
		e.object = threads[e.thread]
		return f.derive(one, e)
	})
}

// threads reads the JMAP ids of the threads.
func (f *filler) threads() (map[int64]string, error) {
	t, err := f.table("thread")
	if err != nil {
		return nil, err
	}
	ids := map[int64]string{}
	return ids, f.old.each(t, rowsAtOnce, func(one row) error {
		ids[one.whole("id")], _ = one["jmap_id"].(string) //nolint:errcheck // the table has no other
		return nil
	})
}

// derive writes into an email's row what its message says. false: the message
// is not here, or not whole.
func (f *filler) derive(one row, e email) (bool, error) {
	var blob, size int64
	if err := f.tx.QueryRowContext(f.ctx, `SELECT id, size FROM blob WHERE sha256 = ? AND EXISTS (SELECT 1
		FROM account WHERE id = ?)`, e.digest, e.account).Scan(&blob, &size); err != nil {
		return false, absent(err)
	}
	d, err := f.read(blob, size)
	if err != nil {
		if f.ctx.Err() != nil {
			return false, f.ctx.Err()
		}
		_, err = f.tx.ExecContext(f.ctx, `DELETE FROM blob WHERE id = ? AND NOT EXISTS (SELECT 1 FROM email
			WHERE digest = sha256)`, blob)
		return false, err
	}
	one["message_id"], one["subject"], one["sender"], one["recipients"], one["preview"] = d.MessageID, d.Subject,
		d.Sender, d.Recipients, d.Preview
	one["sent_at"], one["has_attachment"], one["partial"], one["size"], one["live"] = nil, d.HasAttachment, d.Partial,
		size, int64(0)
	if d.SentAt != nil {
		one["sent_at"] = *d.SentAt
	}
	one["thread_id"], err = f.thread(e, d.ThreadKeys)
	return err == nil, err
}

// read reads a message to its end, which proves its digest, and parses it on
// the way.
func (f *filler) read(blob, size int64) (d check.Derived, err error) {
	r, _, err := f.o.Open(f.tx, blob)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	c := &counted{r: r}
	d = f.o.Parse(c)
	if _, err := io.Copy(io.Discard, c); err != nil {
		return d, err
	}
	if c.err != nil {
		return d, c.err
	}
	if c.n != size {
		return d, fmt.Errorf("%d bytes instead of %d", c.n, size)
	}
	return d, nil
}

// counted remembers what a parser may swallow.
type counted struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// thread finds the thread that a message joins, by the rule by which it
// arrived: those that its keys lead to become one. Else it is its own thread,
// under the id it had if nobody has it.
func (f *filler) thread(e email, keys [][]byte) (id int64, err error) {
	var all []int64
	for _, key := range keys {
		var found int64
		if err := f.tx.QueryRowContext(f.ctx, `SELECT thread_id FROM thread_reference WHERE account_id = ? AND key = ?`,
			e.account, key).Scan(&found); err == nil {
			all = append(all, found)
		} else if absent(err) != nil {
			return 0, err
		}
	}
	if len(all) == 0 {
		id, err = f.newThread(e)
	} else {
		id, err = f.merge(all)
	}
	if err != nil {
		return 0, err
	}
	f.sizes[id]++
	for _, key := range keys {
		if _, err := f.tx.ExecContext(f.ctx, `INSERT INTO thread_reference (account_id, key, thread_id)
			VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, e.account, key, id); err != nil {
			return 0, err
		}
	}
	return id, nil
}

// merge makes one thread of several. The one with the most emails stays, of
// equal ones the oldest, so an email moves no more often than its thread
// doubles. Emails keep their JMAP ids: the change feed is a new epoch, so nobody
// knows their threads.
func (f *filler) merge(threads []int64) (int64, error) {
	slices.Sort(threads)
	threads = slices.Compact(threads)
	into := threads[0]
	for _, one := range threads {
		if f.sizes[one] > f.sizes[into] {
			into = one
		}
	}
	for _, from := range threads {
		if from == into {
			continue
		}
		for _, statement := range []string{
			`UPDATE email SET thread_id = ?1 WHERE thread_id = ?2`,
			`UPDATE thread_reference SET thread_id = ?1 WHERE thread_id = ?2`,
			`DELETE FROM thread WHERE id = ?2 AND ?1 <> ?2`,
		} {
			if _, err := f.tx.ExecContext(f.ctx, statement, into, from); err != nil {
				return 0, fmt.Errorf("merge threads: %w", err)
			}
		}
		f.sizes[into] += f.sizes[from]
		delete(f.sizes, from)
	}
	return into, nil
}

func (f *filler) newThread(e email) (id int64, err error) {
	if e.object != "" {
		if taken, err := f.put("thread", row{"id": e.thread, "account_id": e.account, "jmap_id": e.object}); taken ||
			err != nil {
			return e.thread, err
		}
	}
	result, err := f.tx.ExecContext(f.ctx, `INSERT INTO thread (account_id, jmap_id) VALUES (?, ?)`,
		e.account, f.o.NewID("t"))
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// absent drops the error of a row that is not there.
func absent(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}
