package storage

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"mailcote/storage/internal/file"
)

// Quarantined is one message in quarantine: the server lists it and does not
// deliver it. It stays outside coverage.
type Quarantined struct {
	ID       int64
	Account  AccountID
	Mailbox  MailboxID
	Path     string
	Validity UIDValidity // the generation UID belongs to
	UID      UID
	Reason   string
	Attempts int
	FirstAt  time.Time
	LastAt   time.Time
	Alone    bool  // it ended sessions
	Received int64 // bytes: the most that came in one try
	Claimed  int64 // RFC822.SIZE; -1: unknown
	Asked    bool  // a person wants it tried at the next pass
	Missing  bool  // its mailbox counts for the account; see Mailbox.Counts
}

// Quarantine notes a message that the server does not deliver, or one more try
// that failed.
func (w *Writer) Quarantine(q Quarantined) error {
	var claimed any
	if q.Claimed >= 0 {
		claimed = q.Claimed
	}
	_, err := w.tx.Exec(`INSERT INTO quarantine (mailbox_id, uidvalidity, uid, reason, first_at, last_at, alone,
		received, claimed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (mailbox_id, uidvalidity, uid) DO UPDATE SET attempts = attempts + 1, last_at = excluded.last_at,
		reason = excluded.reason,
		alone = max(alone, excluded.alone), received = max(received, excluded.received),
		claimed = coalesce(excluded.claimed, claimed), asked_at = NULL`,
		q.Mailbox, q.Validity, q.UID, q.Reason, millis(now()), millis(now()), q.Alone, q.Received, claimed)
	return explain("quarantine", err)
}

// AskQuarantined has a message tried at the next pass. Errors: ErrNotFound.
func (w *Writer) AskQuarantined(id int64) error {
	result, err := w.tx.Exec(`UPDATE quarantine SET asked_at = ? WHERE id = ?`, millis(now()), id)
	if err != nil {
		return fmt.Errorf("ask for quarantined message: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(missing("quarantined message", sql.ErrNoRows), err)
	}
	return nil
}

// release takes a message out of quarantine: it arrived or left.
func (w *Writer) release(mailbox MailboxID, validity UIDValidity, uid UID) error {
	result, err := w.tx.Exec(`DELETE FROM quarantine WHERE mailbox_id = ? AND uidvalidity = ? AND uid = ?`,
		mailbox, validity, uid)
	if err != nil {
		return explain("release from quarantine", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 { // the usual
		return err
	}
	return w.dropCame(cameKey(mailbox, validity, uid))
}

// cameKey is the key in meta that leads to the staged blob with the part of a
// quarantined message that arrived.
func cameKey(mailbox MailboxID, validity UIDValidity, uid UID) string {
	return fmt.Sprintf("came:%d:%d:%d", mailbox, validity, uid)
}

// KeepCame keeps the part of a quarantined message that arrived, until the
// message arrives or leaves. It does nothing when a larger part is kept
// already. b is staged; afterwards it is the store's.
func (w *Writer) KeepCame(mailbox MailboxID, validity UIDValidity, uid UID, b Body) error {
	key := cameKey(mailbox, validity, uid)
	var have BlobID
	var size int64
	err := w.tx.QueryRow(`SELECT b.id, b.size FROM meta m JOIN blob b ON b.id = m.value WHERE m.key = ?`,
		key).Scan(&have, &size)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return explain("find what came", err)
	}
	if err == nil && size >= b.Size {
		return w.dropBlob(b.staged)
	}
	if err := w.dropCame(key); err != nil {
		return err
	}
	result, err := w.tx.Exec(`UPDATE blob SET size = ? WHERE id = ? AND state = 'staged'`, b.Size, b.staged)
	if err != nil {
		return explain("keep what came", err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(fmt.Errorf("keep what came: blob %d is not staged", b.staged), err)
	}
	_, err = w.tx.Exec(`INSERT INTO meta (key, value) VALUES (?, ?)`, key, b.staged)
	return explain("keep what came", err)
}

// dropCame drops what is kept of a quarantined message, if anything is.
func (w *Writer) dropCame(key string) error {
	if _, err := w.tx.Exec(`DELETE FROM blob WHERE state = 'staged' AND id = (SELECT value FROM meta WHERE key = ?)`,
		key); err != nil {
		return explain("drop what came", err)
	}
	_, err := w.tx.Exec(`DELETE FROM meta WHERE key = ?`, key)
	return explain("drop what came", err)
}

// dropCameGone drops what is kept of messages that are no longer in quarantine:
// their mailbox or its generation went.
func (w *Writer) dropCameGone() error {
	var keys []string
	rows, err := w.tx.Query(`SELECT key FROM meta WHERE key GLOB 'came:*'`)
	if err := file.Each(rows, err, func(rows *sql.Rows) error {
		var key string
		err := rows.Scan(&key)
		keys = append(keys, key)
		return err
	}); err != nil {
		return explain("list what came", err)
	}
	for _, key := range keys {
		var mailbox MailboxID
		var validity UIDValidity
		var uid UID
		held := false
		if _, err := fmt.Sscanf(key, "came:%d:%d:%d", &mailbox, &validity, &uid); err == nil {
			if err := w.tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM quarantine
				WHERE mailbox_id = ? AND uidvalidity = ? AND uid = ?)`,
				mailbox, validity, uid).Scan(&held); err != nil {
				return explain("find quarantine", err)
			}
		}
		if !held {
			if err := w.dropCame(key); err != nil {
				return err
			}
		}
	}
	return nil
}

// QuarantineOf lists the quarantine of an account's mailboxes that are not
// gone, in their shown and building generations, by mailbox, generation and
// UID.
func (r *Reader) QuarantineOf(account AccountID) ([]Quarantined, error) {
	return scanQuarantined(r.snap.Query(`SELECT `+quarantinedColumns+` FROM quarantine q
		JOIN mailbox m ON m.id = q.mailbox_id
		WHERE m.account_id = ? AND m.gone_at IS NULL AND q.uidvalidity IN (m.uidvalidity, m.building)
		ORDER BY m.path, q.mailbox_id, q.uidvalidity, q.uid`, account))
}

// QuarantineSum is what one mailbox has in quarantine after a number of tries:
// what a pass, a summary or a status needs of many messages.
type QuarantineSum struct {
	Mailbox  MailboxID
	Path     string
	Attempts int // most: as many or more
	Messages int
	Oldest   time.Time // the earliest LastAt of them
	Newest   time.Time // the latest
	Asked    bool      // one of them is asked for
	Missing  bool      // the mailbox counts for the account; see Mailbox.Counts
}

// QuarantineSums sums up what QuarantineOf lists. An account may have 100,000
// messages in quarantine, and the rows are a few for each mailbox. Attempts
// from most on are one sum.
func (r *Reader) QuarantineSums(account AccountID, most int) ([]QuarantineSum, error) {
	var all []QuarantineSum
	rows, err := r.snap.Query(`SELECT q.mailbox_id, m.path, min(q.attempts, ?2) AS tries, count(*), min(q.last_at),
		max(q.last_at), max(q.asked_at) IS NOT NULL, m.synced = 1 AND m.refused = ''
		FROM mailbox m JOIN quarantine q ON q.mailbox_id = m.id
		WHERE m.account_id = ?1 AND m.gone_at IS NULL AND q.uidvalidity IN (m.uidvalidity, m.building)
		GROUP BY q.mailbox_id, tries`, account, most)
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		var s QuarantineSum
		var oldest, newest int64
		err := rows.Scan(&s.Mailbox, &s.Path, &s.Attempts, &s.Messages, &oldest, &newest, &s.Asked,
			&s.Missing)
		s.Oldest, s.Newest = time.UnixMilli(oldest).UTC(), time.UnixMilli(newest).UTC()
		all = append(all, s)
		return err
	})
}

// Quarantined counts what the mailboxes that count for an account have in
// quarantine.
func (r *Reader) Quarantined(account AccountID) (n int, err error) {
	all, err := r.QuarantineSums(account, 1)
	for _, s := range all {
		if s.Missing {
			n += s.Messages
		}
	}
	return n, err
}

// QuarantineIn lists the quarantine of one generation of a mailbox, by UID.
func (r *Reader) QuarantineIn(mailbox MailboxID, validity UIDValidity) ([]Quarantined, error) {
	return scanQuarantined(r.snap.Query(`SELECT `+quarantinedColumns+` FROM quarantine q
		JOIN mailbox m ON m.id = q.mailbox_id
		WHERE q.mailbox_id = ? AND q.uidvalidity = ? ORDER BY q.uid`, mailbox, validity))
}

// QuarantineRows counts the rows of an account's quarantine, up to enough.
func (r *Reader) QuarantineRows(account AccountID, enough int) (n int, err error) {
	err = r.snap.QueryRow(`SELECT count(*) FROM (SELECT 1 FROM mailbox m JOIN quarantine q ON q.mailbox_id = m.id
		WHERE m.account_id = ? LIMIT ?)`,
		account, enough).Scan(&n)
	return n, explain("count the quarantine", err)
}

const quarantinedColumns = `q.id, m.account_id, q.mailbox_id, m.path, q.uidvalidity, q.uid, q.reason, q.attempts,
		q.first_at, q.last_at,
		q.alone, q.received, coalesce(q.claimed, -1), q.asked_at IS NOT NULL, m.synced = 1 AND m.refused = ''`

func scanQuarantined(rows *sql.Rows, err error) ([]Quarantined, error) {
	var all []Quarantined
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		var q Quarantined
		var first, last int64
		err := rows.Scan(&q.ID, &q.Account, &q.Mailbox, &q.Path, &q.Validity, &q.UID, &q.Reason, &q.Attempts, &first,
			&last, &q.Alone, &q.Received, &q.Claimed, &q.Asked, &q.Missing)
		q.FirstAt, q.LastAt = time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
		all = append(all, q)
		return err
	})
}

// ReleaseGone takes messages that the server no longer lists out of quarantine.
func (w *Writer) ReleaseGone(mailbox MailboxID, validity UIDValidity, uids []UID) error {
	for _, uid := range uids {
		if err := w.release(mailbox, validity, uid); err != nil {
			return err
		}
	}
	return nil
}
