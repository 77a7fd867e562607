package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"

	"mailcote/storage/internal/file"
	"mailcote/storage/internal/threading"
)

// ThreadsOptions say how threads are made again and who watches.
type ThreadsOptions struct {
	// Parse reads a message afresh. A message that it cannot read keeps its
	// thread together.
	Parse func(r io.Reader) (Header, error)
	// Progress is told how many of how many messages were read; nil: nobody
	// asks.
	Progress func(done, total int64)
}

// rethreadBatch is how many emails are listed at once to be read.
const rethreadBatch = 100

// threadsRebuild makes the threads of every account again.
type threadsRebuild struct {
	*Store
	o ThreadsOptions
}

func (b threadsRebuild) run(ctx context.Context) (messages int64, err error) {
	var accounts []Account
	var total int64
	if err := b.Read(ctx, func(r *Reader) (err error) {
		if accounts, err = r.Accounts(); err != nil {
			return err
		}
		return r.snap.QueryRow(`SELECT count(*) FROM email WHERE digest IS NOT NULL`).Scan(&total)
	}); err != nil {
		return 0, explain("count messages", err)
	}
	for _, a := range accounts {
		t := &rethreading{account: a.ID, parse: b.o.Parse, set: threading.New()}
		for more := true; more; {
			if more, err = t.read(ctx, b.Store); err != nil {
				return messages, fmt.Errorf("read the messages of account %s: %w", a.Name, err)
			}
			if b.o.Progress != nil {
				b.o.Progress(min(messages+t.seen, total), total)
			}
		}
		if err := b.WriteAlone(ctx, t.write); err != nil {
			return messages, fmt.Errorf("make the threads of account %s again: %w", a.Name, err)
		}
		messages += t.seen
	}
	return messages, nil
}

// rethreading is what was read of one account.
type rethreading struct {
	account AccountID
	parse   func(r io.Reader) (Header, error)
	set     *threading.Set
	unread  []int    // places of emails whose message is not there or cannot be read
	seen    int64    // messages
	last    EmailRow // that was looked at
}

// toRead is an email that is to be read, if it has a message.
type toRead struct {
	email EmailRow
	body  bool
}

// read looks at the next emails and reports whether there may be more.
func (t *rethreading) read(ctx context.Context, s *Store) (more bool, err error) {
	var batch []toRead
	if err := s.Read(ctx, func(r *Reader) (err error) {
		batch, err = t.next(r)
		return err
	}); err != nil {
		return false, err
	}
	for _, one := range batch { // each in its own snapshot, since parsing takes time
		if err := s.Read(ctx, func(r *Reader) error { return t.add(r, one) }); err != nil {
			return false, err
		}
	}
	return len(batch) > 0, nil
}

// next lists the next emails.
func (t *rethreading) next(r *Reader) (batch []toRead, err error) {
	rows, err := r.snap.Query(`SELECT id, digest IS NOT NULL FROM email WHERE id > ? AND +account_id = ?
		ORDER BY id LIMIT ?`, t.last, t.account, rethreadBatch)
	return batch, file.Each(rows, err, func(rows *sql.Rows) error {
		var one toRead
		err := rows.Scan(&one.email, &one.body)
		batch = append(batch, one)
		return err
	})
}

// add takes an email. One that cannot be read has no keys: its thread joins it.
func (t *rethreading) add(r *Reader, one toRead) error {
	var keys [][]byte
	if one.body {
		h, ok, err := r.readHeader(one.email, t.parse)
		if err != nil {
			return fmt.Errorf("read email %d: %w", one.email, err)
		}
		t.seen++
		if one.body = ok; ok {
			keys = threadKeys(h)
		}
	}
	if t.last = one.email; !one.body {
		t.unread = append(t.unread, len(t.set.IDs()))
	}
	t.set.Add(int64(one.email), keys)
	return nil
}

// write gives each email its thread, and leads each Message-ID to the thread of
// those who name it. It may run again.
func (t *rethreading) write(w *Writer) error {
	for more := true; more; { // what came since the last was read
		batch, err := t.next(&w.Reader)
		if err != nil {
			return err
		}
		for _, one := range batch {
			if err := t.add(&w.Reader, one); err != nil {
				return err
			}
		}
		more = len(batch) > 0
	}
	is, sound, err := t.threads(&w.Reader)
	if err != nil {
		return err
	}
	want, added := t.set.Plan(sound), map[int64]int64{}
	for i, email := range t.set.IDs() {
		if is[i] == 0 { // it is gone
			continue
		}
		if number := want[i]; number < 0 {
			if added[number] == 0 {
				if added[number], _, err = w.addThread(t.account); err != nil {
					return err
				}
			}
			want[i] = added[number]
		}
		if want[i] != is[i] {
			if err := t.leads(w, i, is[i], want[i]); err != nil {
				return err
			}
			if err := w.moveEmail(t.account, EmailRow(email), is[i], want[i]); err != nil {
				return err
			}
		}
	}
	for key, i := range t.set.Keys() {
		if is[i] == 0 {
			continue
		}
		if _, err := w.tx.Exec(`INSERT INTO thread_reference (account_id, key, thread_id) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET thread_id = excluded.thread_id WHERE thread_id <> excluded.thread_id`,
			t.account, key, want[i]); err != nil {
			return fmt.Errorf("note thread reference: %w", err)
		}
	}
	return nil
}

// leads has the Message-IDs of an email that could not be read lead to where its
// whole thread goes. Nobody knows which they are.
func (t *rethreading) leads(w *Writer, place int, from, to int64) error {
	if _, unread := slices.BinarySearch(t.unread, place); !unread {
		return nil
	}
	_, err := w.tx.Exec(`UPDATE thread_reference SET thread_id = ? WHERE thread_id = ? AND account_id = ?`, to, from,
		t.account)
	return explain("note thread reference", err)
}

// threads finds the threads of the emails, by their places. is: the one that a
// row names; 0: the email is gone. sound: the same if the thread is there and
// of this account, otherwise 0. Emails of a thread in which one could not be
// read are joined: that one may be what joins them.
func (t *rethreading) threads(r *Reader) (is, sound []int64, err error) {
	ids := t.set.IDs()
	is, sound = make([]int64, len(ids)), make([]int64, len(ids))
	rows, err := r.snap.Query(`SELECT e.id, e.thread_id, coalesce(t.id, 0) FROM email e
		LEFT JOIN thread t ON t.id = e.thread_id AND t.account_id = e.account_id
		WHERE e.id > 0 AND +e.account_id = ?`, t.account)
	if err := file.Each(rows, err, func(rows *sql.Rows) error {
		var id, thread, there int64
		if err := rows.Scan(&id, &thread, &there); err != nil {
			return err
		}
		if at, ok := slices.BinarySearch(ids, id); ok {
			is[at], sound[at] = thread, there
		}
		return nil
	}); err != nil {
		return nil, nil, fmt.Errorf("find threads: %w", err)
	}
	first := map[int64]int{} // by thread in which one could not be read
	for _, i := range t.unread {
		if thread := sound[i]; thread != 0 {
			first[thread] = i
		}
	}
	for i, thread := range sound {
		if other, ok := first[thread]; ok {
			t.set.Join(i, other)
		}
	}
	return is, sound, nil
}

// rethread moves an email to the thread that its message leads to. If it leads
// to several, they become one. If it leads to none, it stays where it is.
func (w *Writer) rethread(email EmailRow, h Header) error {
	account, own, err := w.threadOfEmail(email)
	if err != nil {
		return err
	}
	named, _, err := w.threadsNamed(account, h)
	if err != nil {
		return err
	}
	var found []int64
	for _, thread := range named { // one may be missing, or another account's
		var sound bool
		if err := w.tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM thread WHERE id = ? AND account_id = ?)`, thread,
			account).Scan(&sound); err != nil {
			return fmt.Errorf("find thread: %w", err)
		}
		if sound {
			found = append(found, thread)
		}
	}
	switch {
	case slices.Contains(found, own):
	case len(found) > 0:
		if err := w.moveEmail(account, email, own, found[0]); err != nil {
			return err
		}
	}
	return w.JoinThreads(email, h)
}

// ownThread gives an email a thread of its own.
func (w *Writer) ownThread(email EmailRow) error {
	account, own, err := w.threadOfEmail(email)
	if err != nil {
		return err
	}
	thread, _, err := w.addThread(account)
	if err != nil {
		return err
	}
	return w.moveEmail(account, email, own, thread)
}

// addThread makes a thread without emails. object is its JMAP id.
func (w *Writer) addThread(account AccountID) (thread int64, object string, err error) {
	if object, err = w.newID("t"); err != nil {
		return 0, "", err
	}
	thread, err = w.tx.Insert(`INSERT INTO thread (account_id, jmap_id) VALUES (?, ?)`, account, object)
	return thread, object, explain("add thread", err)
}

// moveEmail gives an email to another thread and tells of both. A thread that
// is left empty ends.
func (w *Writer) moveEmail(account AccountID, email EmailRow, from, to int64) error {
	if err := w.setThread(account, email, to); err != nil {
		return err
	}
	for _, thread := range []int64{from, to} {
		var object string
		var of AccountID
		var emails, shown bool
		err := w.tx.QueryRow(`SELECT jmap_id, account_id, EXISTS (SELECT 1 FROM email WHERE thread_id = thread.id),
			EXISTS (SELECT 1 FROM email WHERE thread_id = thread.id AND destroyed_at IS NULL) FROM thread WHERE id = ?`,
			thread).Scan(&object, &of, &emails, &shown)
		if errors.Is(err, sql.ErrNoRows) { // in a damaged store
			continue
		}
		if err != nil {
			return fmt.Errorf("look into thread: %w", err)
		}
		tell := w.bury
		if shown {
			tell = w.touch
		}
		if err := tell(of, typeThread, object); err != nil {
			return err
		}
		if !emails {
			if _, err := w.tx.Exec(`DELETE FROM thread WHERE id = ?`, thread); err != nil {
				return fmt.Errorf("drop thread: %w", err)
			}
		}
	}
	return nil
}
