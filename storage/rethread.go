package storage

import (
	"fmt"

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

// rethread moves an email to the oldest thread that its message leads to. If it
// leads to none, it stays where it is. With part, it leaves a thread to which
// only other messages lead.
func (w *Writer) rethread(email EmailRow, h Header, part bool) error {
	var account AccountID
	var own, best int64
	if err := w.tx.QueryRow(`SELECT account_id, thread_id FROM email WHERE id = ?`, email).Scan(&account,
		&own); err != nil {
		return missing("email", err)
	}
	for _, id := range h.ThreadKeys[:min(len(h.ThreadKeys), maxThreadKeys)] {
		var found int64
		if err := w.tx.QueryRow(`SELECT coalesce(max(r.thread_id), 0) FROM thread_reference r JOIN thread t
			ON t.id = r.thread_id AND t.account_id = r.account_id WHERE r.account_id = ? AND r.key = ?`, account,
			threadKey(id, h.BaseSubject)).Scan(&found); err != nil {
			return fmt.Errorf("find thread: %w", err)
		}
		if found > 0 && (best == 0 || found < best) {
			best = found
		}
	}
	switch {
	case best == own:
	case best > 0:
		if err := w.moveEmail(account, email, own, best); err != nil {
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
	return w.enterThreads(email, h)
}

// ownThread gives an email a thread of its own.
func (w *Writer) ownThread(email EmailRow) error {
	var account AccountID
	var own int64
	if err := w.tx.QueryRow(`SELECT account_id, thread_id FROM email WHERE id = ?`, email).Scan(&account,
		&own); err != nil {
		return missing("email", err)
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
	if _, err := w.tx.Exec(`UPDATE email SET thread_id = ? WHERE id = ?`, to, email); err != nil {
		return fmt.Errorf("move email: %w", err)
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
	var object string
	var destroyed bool
	if err := w.tx.QueryRow(`SELECT jmap_id, destroyed_at IS NOT NULL FROM email WHERE id = ?`, email).Scan(&object,
		&destroyed); err != nil || destroyed {
		return err
	}
	return w.touch(account, typeEmail, object)
}
