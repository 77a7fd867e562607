package storage

import (
	"fmt"
	"slices"

	"mailcote/storage/internal/schema"
)

// OutdateThreads forgets which Message-IDs lead to which thread and has every
// email read again. Each then takes the thread that its Message-IDs lead to.
func (w *Writer) OutdateThreads() error {
	for _, statement := range []string{`DELETE FROM thread_reference`,
		`INSERT INTO meta (key, value) SELECT 'rethread', coalesce(max(id), 0) FROM email WHERE true
			ON CONFLICT DO UPDATE SET value = excluded.value`} {
		if _, err := w.tx.Exec(statement); err != nil {
			return explain("forget threads", err)
		}
	}
	return w.OutdateAll()
}

// rethreading is the last email that OutdateThreads found; 0: no threads are
// being made again.
func (r *Reader) rethreading() (last EmailRow, err error) {
	err = r.snap.QueryRow(`SELECT coalesce((SELECT value FROM meta WHERE key = 'rethread'), 0)`).Scan(&last)
	return last, explain("look whether threads are made again", err)
}

// endRethreading notes that every thread was made again.
func (w *Writer) endRethreading() error {
	_, err := w.tx.Exec(`DELETE FROM meta WHERE key = 'rethread' AND NOT EXISTS (SELECT 1 FROM outdated_view)`)
	return explain("note that threads were made again", err)
}

// rethread moves an email to the thread that its message leads to. If it leads
// to several, they become one. If it leads to none, it stays where it is. With
// part, it leaves a thread to which only other messages lead.
func (w *Writer) rethread(email EmailRow, h Header, part bool) error {
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
	case part:
		var led bool
		if err := w.tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM thread_reference WHERE thread_id = ?)`,
			own).Scan(&led); err != nil {
			return fmt.Errorf("look into thread: %w", err)
		}
		if led {
			if err := w.ownThread(email); err != nil {
				return err
			}
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
	thread, err := w.tx.Insert(`INSERT INTO thread (account_id, jmap_id) VALUES (?, ?)`, account, schema.ObjectID("t"))
	if err != nil {
		return fmt.Errorf("add thread: %w", err)
	}
	return w.moveEmail(account, email, own, thread)
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
		if err := w.tx.QueryRow(`SELECT jmap_id, account_id, EXISTS (SELECT 1 FROM email WHERE thread_id = thread.id),
			EXISTS (SELECT 1 FROM email WHERE thread_id = thread.id AND destroyed_at IS NULL) FROM thread WHERE id = ?`,
			thread).Scan(&object, &of, &emails, &shown); err != nil {
			return fmt.Errorf("look into thread: %w", missing("thread", err))
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
