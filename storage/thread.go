package storage

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"

	"mailcote/storage/internal/schema"
)

// maxThreadKeys bounds how many Message-IDs of one message count.
const maxThreadKeys = 1000

// threadKey folds a Message-ID and a base subject into the 16 bytes that
// thread_reference holds. Two messages share a thread when they share a
// Message-ID under the same base subject (RFC 8621 §3).
func threadKey(messageID, baseSubject string) []byte {
	sum := sha256.Sum256([]byte(messageID + "\x00" + baseSubject))
	return sum[:16]
}

// threadOf finds the thread that a new email joins, or makes one. It enters
// every Message-ID that the email names, so that a reply seen before its parent
// joins without a search. Of several threads the oldest wins; merging them is
// another verb's work.
func (w *Writer) threadOf(account AccountID, h Header) (int64, error) {
	ids := h.ThreadKeys
	if len(ids) > maxThreadKeys {
		ids = ids[:maxThreadKeys]
	}
	var thread int64
	var unknown [][]byte
	for _, id := range ids {
		key := threadKey(id, h.BaseSubject)
		var found int64
		err := w.tx.QueryRow(`SELECT thread_id FROM thread_reference WHERE account_id = ? AND key = ?`,
			account, key).Scan(&found)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			unknown = append(unknown, key)
		case err != nil:
			return 0, fmt.Errorf("find thread: %w", err)
		case thread == 0 || found < thread:
			thread = found
		}
	}
	object := ""
	if thread == 0 {
		object = schema.ObjectID("t")
		id, err := w.tx.Insert(`INSERT INTO thread (account_id, jmap_id) VALUES (?, ?)`, account, object)
		if err != nil {
			return 0, fmt.Errorf("add thread: %w", err)
		}
		thread = id
	} else if err := w.tx.QueryRow(`SELECT jmap_id FROM thread WHERE id = ?`, thread).Scan(&object); err != nil {
		return 0, fmt.Errorf("find thread: %w", err)
	}
	for _, key := range unknown {
		if _, err := w.tx.Exec(`INSERT INTO thread_reference (account_id, key, thread_id) VALUES (?, ?, ?)
			ON CONFLICT DO NOTHING`, account, key, thread); err != nil {
			return 0, fmt.Errorf("add thread reference: %w", err)
		}
	}
	return thread, w.touch(account, typeThread, object)
}
