package storage

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"mailcote/storage/internal/file"
	"mailcote/testkit/failpoint"
)

// maxThreadKeys bounds how many Message-IDs of one message count.
const maxThreadKeys = 1000

// threadKeys gives the keys by which a message joins a thread. Of too many, the
// first and the last count: the root and the parents bind a thread.
func threadKeys(h Header) [][]byte {
	ids := h.ThreadKeys
	if len(ids) > maxThreadKeys {
		ids = slices.Concat(ids[:maxThreadKeys/2], ids[len(ids)-maxThreadKeys/2:])
	}
	keys := make([][]byte, len(ids))
	for i, id := range ids {
		keys[i] = threadKey(id, h.BaseSubject)
	}
	return keys
}

// threadKey folds a Message-ID and a base subject into the 16 bytes that
// thread_reference holds. Two messages share a thread when they share a
// Message-ID under the same base subject (RFC 8621 §3).
func threadKey(messageID, baseSubject string) []byte {
	sum := sha256.Sum256([]byte(messageID + "\x00" + baseSubject))
	return sum[:16]
}

// threadOf finds the thread that a new email joins, or makes one. It enters
// every Message-ID that the email names, so that a reply seen before its parent
// joins without a search. If they lead to several threads, these become one.
func (w *Writer) threadOf(account AccountID, h Header) (int64, error) {
	found, unknown, err := w.threadsNamed(account, h)
	if err != nil {
		return 0, err
	}
	var thread int64
	object := ""
	if len(found) == 0 {
		thread, object, err = w.addThread(account)
	} else {
		thread, err = w.merge(account, found)
	}
	if err != nil {
		return 0, err
	}
	if err := w.refer(account, thread, unknown); err != nil {
		return 0, err
	}
	return thread, w.tellThread(account, thread, object)
}

// tellThread records once a closure that a thread got emails. object is its JMAP
// id; "": it is looked up.
func (w *Writer) tellThread(account AccountID, thread int64, object string) (err error) {
	if w.told[thread] {
		return nil
	}
	if object == "" {
		if object, err = w.threadObject(thread); err != nil {
			return err
		}
	}
	if w.told == nil {
		w.told = map[int64]bool{}
	}
	w.told[thread] = true
	return w.touch(account, typeThread, object)
}

// JoinThreads lets an email that is here already join the threads that h leads
// to. Call it when the message was read anew: h may name more Message-IDs, or
// have another base subject, than the header it arrived with. Threads only
// join; what the earlier header joined stays together. The email and others of
// its thread may get new JMAP ids. It may be repeated. Errors: ErrNotFound.
func (w *Writer) JoinThreads(email EmailRow, h Header) error {
	account, own, err := w.threadOfEmail(email)
	if err != nil {
		return err
	}
	found, unknown, err := w.threadsNamed(account, h)
	if err != nil {
		return err
	}
	if !slices.Contains(found, own) {
		found = append(found, own)
	}
	thread, err := w.merge(account, found)
	if err != nil {
		return err
	}
	if err := w.refer(account, thread, unknown); err != nil || len(found) == 1 {
		return err
	}
	return w.touchThread(account, thread)
}

// touchThread records that a thread changed, unless the feed says that all of it
// is gone.
func (w *Writer) touchThread(account AccountID, thread int64) error {
	var shown bool
	if err := w.tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM email WHERE thread_id = ? AND destroyed_at IS NULL)`,
		thread).Scan(&shown); err != nil {
		return fmt.Errorf("look into thread: %w", err)
	}
	if !shown {
		return nil
	}
	object, err := w.threadObject(thread)
	if err != nil {
		return err
	}
	return w.touch(account, typeThread, object)
}

// threadOfEmail gives an email's account and thread.
func (w *Writer) threadOfEmail(email EmailRow) (account AccountID, thread int64, err error) {
	err = w.tx.QueryRow(`SELECT account_id, thread_id FROM email WHERE id = ?`, email).Scan(&account, &thread)
	return account, thread, missing("email", err)
}

// threadsNamed finds the threads that a header leads to, each once, and the
// keys that lead to none.
func (w *Writer) threadsNamed(account AccountID, h Header) (found []int64, unknown [][]byte, err error) {
	seen := map[int64]bool{}
	for _, key := range threadKeys(h) {
		var thread int64
		err := w.tx.QueryRow(`SELECT thread_id FROM thread_reference WHERE account_id = ? AND key = ?`,
			account, key).Scan(&thread)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			unknown = append(unknown, key)
		case err != nil:
			return nil, nil, fmt.Errorf("find thread: %w", err)
		case !seen[thread]:
			seen[thread] = true
			found = append(found, thread)
		}
	}
	return found, unknown, nil
}

// refer notes that keys lead to a thread.
func (w *Writer) refer(account AccountID, thread int64, keys [][]byte) error {
	for _, key := range keys {
		if _, err := w.tx.Exec(`INSERT INTO thread_reference (account_id, key, thread_id) VALUES (?, ?, ?)
			ON CONFLICT DO NOTHING`, account, key, thread); err != nil {
			return fmt.Errorf("add thread reference: %w", err)
		}
	}
	return nil
}

func (w *Writer) threadObject(thread int64) (object string, err error) {
	err = w.tx.QueryRow(`SELECT jmap_id FROM thread WHERE id = ?`, thread).Scan(&object)
	return object, explain("find thread", err)
}

// merge makes one thread of several and returns it. The one with the most
// emails stays, so an email moves no more often than its thread doubles. The
// caller touches the thread that stays.
func (w *Writer) merge(account AccountID, threads []int64) (int64, error) {
	into, err := w.largest(threads)
	if err != nil {
		return 0, err
	}
	for _, from := range threads {
		if from == into {
			continue
		}
		object, err := w.threadObject(from)
		if err != nil {
			return 0, err
		}
		if err := w.moveEmails(account, from, into); err != nil {
			return 0, err
		}
		failpoint.Hit("storage.merging")
		if _, err := w.tx.Exec(`UPDATE thread_reference SET thread_id = ? WHERE thread_id = ?`, into,
			from); err != nil {
			return 0, fmt.Errorf("move thread references: %w", err)
		}
		if _, err := w.tx.Exec(`DELETE FROM thread WHERE id = ?`, from); err != nil {
			return 0, fmt.Errorf("drop thread: %w", err)
		}
		if err := w.bury(account, typeThread, object); err != nil {
			return 0, err
		}
	}
	return into, nil
}

// largest finds the thread with the most emails, of equal ones the oldest. It
// counts each only until the others are known to be smaller. Counting whole
// threads would make a conversation that grows by one email at a time cost its
// square.
func (w *Writer) largest(threads []int64) (int64, error) {
	left := slices.Sorted(slices.Values(threads))
	for limit := 1; len(left) > 1; limit *= 4 {
		var more []int64
		best, most := left[0], 0
		for _, thread := range left {
			var n int
			if err := w.tx.QueryRow(`SELECT count(*) FROM (SELECT 1 FROM email WHERE thread_id = ? LIMIT ?)`,
				thread, limit+1).Scan(&n); err != nil {
				return 0, fmt.Errorf("count thread: %w", err)
			}
			if n > most {
				best, most = thread, n
			}
			if n > limit {
				more = append(more, thread)
			}
		}
		if len(more) == 0 {
			return best, nil
		}
		left = more
	}
	return left[0], nil
}

// moveEmails gives the emails of a thread to another.
func (w *Writer) moveEmails(account AccountID, from, into int64) error {
	var all []EmailRow
	rows, err := w.tx.Query(`SELECT id FROM email WHERE thread_id = ? ORDER BY id`, from)
	if err := file.Each(rows, err, func(rows *sql.Rows) error {
		var row EmailRow
		err := rows.Scan(&row)
		all = append(all, row)
		return err
	}); err != nil {
		return fmt.Errorf("find emails of thread: %w", err)
	}
	for _, row := range all {
		if err := w.setThread(account, row, into); err != nil {
			return err
		}
	}
	return nil
}

// setThread gives an email to another thread. An email's threadId never changes
// (RFC 8621 §4.1.1), so the email gets a new JMAP id, and the old one becomes an
// alias.
func (w *Writer) setThread(account AccountID, row EmailRow, into int64) error {
	var old string
	var destroyed bool
	if err := w.tx.QueryRow(`SELECT jmap_id, destroyed_at IS NOT NULL FROM email WHERE id = ?`, row).
		Scan(&old, &destroyed); err != nil {
		return fmt.Errorf("find email: %w", err)
	}
	object, err := w.newID("e")
	if err != nil {
		return err
	}
	if _, err := w.tx.Exec(`UPDATE email SET thread_id = ?, jmap_id = ? WHERE id = ?`, into, object, row); err != nil {
		return fmt.Errorf("move email: %w", err)
	}
	if err := w.alias(EmailID(old), row); err != nil {
		return err
	}
	if destroyed {
		return nil // the feed says so already, and tells of the new id when the email comes back
	}
	if err := w.bury(account, typeEmail, old); err != nil {
		return err
	}
	return w.touch(account, typeEmail, object)
}
