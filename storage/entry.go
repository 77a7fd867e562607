package storage

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"time"

	"mailcote/storage/internal/file"
)

// Listed is an entry as it is compared with the server's listing. A mailbox has
// millions of them, so it is small.
type Listed struct {
	UID   UID
	Flags uint64 // Flags.Sum by the seed of the call
}

// Entries lists the live entries of one generation of a mailbox by ascending
// UID.
func (r *Reader) Entries(mailbox MailboxID, validity UIDValidity, seed maphash.Seed) ([]Listed, error) {
	var all []Listed
	rows, err := r.snap.Query(`SELECT uid, flags FROM entry
		WHERE mailbox_id = ? AND uidvalidity = ? AND uid IS NOT NULL AND expunged_at IS NULL ORDER BY uid`,
		mailbox, validity)
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		var e Listed
		var flags Flags
		err := rows.Scan(&e.UID, &flags)
		e.Flags = flags.Sum(seed)
		all = append(all, e)
		return err
	})
}

// HasEntries reports whether a generation of a mailbox has a live entry.
func (r *Reader) HasEntries(mailbox MailboxID, validity UIDValidity) (any bool, err error) {
	err = r.snap.QueryRow(`SELECT EXISTS (SELECT 1 FROM entry WHERE mailbox_id = ? AND uidvalidity = ?
		AND uid IS NOT NULL AND expunged_at IS NULL)`,
		mailbox, validity).Scan(&any)
	return any, explain("look for entries", err)
}

// Held is an entry whose body the store has. It is compared with a listing in
// which its UID is unknown.
type Held struct {
	ID           EntryID
	UID          UID
	Size         int64
	InternalDate time.Time
	Expunged     bool
}

// Held lists the entries of one generation of a mailbox that have a body and a
// UID in uids, by ascending UID. Expunged ones are included.
func (r *Reader) Held(mailbox MailboxID, validity UIDValidity, uids Range) ([]Held, error) {
	var all []Held
	rows, err := r.snap.Query(`SELECT id, uid, size, internal_date, expunged_at IS NOT NULL FROM entry
		WHERE mailbox_id = ? AND uidvalidity = ? AND uid BETWEEN ? AND ? AND blob_id IS NOT NULL ORDER BY uid`,
		mailbox, validity, uids.Lo, uids.Hi)
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		var h Held
		var date int64
		err := rows.Scan(&h.ID, &h.UID, &h.Size, &date, &h.Expunged)
		h.InternalDate = time.UnixMilli(date).UTC()
		all = append(all, h)
		return err
	})
}

// Sample is a message that a server has delivered before.
type Sample struct {
	Mailbox MailboxID
	Raw     string // the mailbox's name on the wire
	UID     UID
}

// Sample finds a message whose body the store has: in a generation of a
// mailbox, otherwise in another mailbox of its account. Among the newest it
// takes the largest of up to 64 KiB, since a connection may carry only small
// answers. Errors: ErrNotFound.
func (r *Reader) Sample(of Mailbox, validity UIDValidity) (Sample, error) {
	s, err := r.sample(of, validity)
	if !errors.Is(err, ErrNotFound) {
		return s, err
	}
	all, err := r.Mailboxes(of.Account)
	if err != nil {
		return s, err
	}
	for _, m := range all {
		if m.ID == of.ID || !m.Selectable || m.Total == 0 {
			continue
		}
		if s, err := r.sample(m, m.UIDValidity); !errors.Is(err, ErrNotFound) {
			return s, err
		}
	}
	return s, ErrNotFound
}

func (r *Reader) sample(m Mailbox, validity UIDValidity) (Sample, error) {
	s := Sample{Mailbox: m.ID, Raw: m.Raw}
	err := r.snap.QueryRow(`SELECT uid FROM (SELECT uid, size FROM entry
		WHERE mailbox_id = ? AND uidvalidity = ? AND uid IS NOT NULL
		AND blob_id IS NOT NULL AND expunged_at IS NULL ORDER BY uid DESC LIMIT 50)
		ORDER BY size > 65536, abs(size - 65536) LIMIT 1`, m.ID, validity).Scan(&s.UID)
	return s, missing("message", err)
}

// Shown is a live entry as it is compared with the server's message itself.
type Shown struct {
	UID          UID
	Size         int64 // octets
	Flags        Flags
	InternalDate time.Time
	HasBody      bool
	SHA256       [sha256.Size]byte // zero without a body
}

// Shown lists the live entries of one generation of a mailbox.
func (r *Reader) Shown(mailbox MailboxID, validity UIDValidity) ([]Shown, error) {
	var all []Shown
	rows, err := r.snap.Query(`SELECT n.uid, n.size, n.flags, n.internal_date, b.sha256 FROM entry n
		LEFT JOIN blob b ON b.id = n.blob_id
		WHERE n.mailbox_id = ? AND n.uidvalidity = ? AND n.uid IS NOT NULL AND n.expunged_at IS NULL`,
		mailbox, validity)
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		var h Shown
		var sum []byte
		var at int64
		if err := rows.Scan(&h.UID, &h.Size, &h.Flags, &at, &sum); err != nil {
			return err
		}
		h.InternalDate = time.UnixMilli(at).UTC()
		h.HasBody = copy(h.SHA256[:], sum) == sha256.Size
		all = append(all, h)
		return nil
	})
}

// FlagChange is what the server says about one message's flags.
type FlagChange struct {
	UID    UID
	Flags  Flags
	ModSeq ModSeq
}

// ApplyFlags sets the server's flags of live entries and says how many changed.
// UIDs that the store does not hold are passed over.
func (w *Writer) ApplyFlags(mailbox MailboxID, validity UIDValidity, changes []FlagChange) (int, error) {
	m, err := w.Mailbox(mailbox)
	if err != nil {
		return 0, err
	}
	moved := 0
	for _, c := range changes {
		var id EntryID
		err := w.tx.QueryRow(`UPDATE entry SET flags = ?, modseq = max(modseq, ?)
			WHERE mailbox_id = ? AND uidvalidity = ? AND uid = ? AND expunged_at IS NULL AND flags <> ? RETURNING id`,
			c.Flags, c.ModSeq, mailbox, validity, c.UID, c.Flags).Scan(&id)
		if err == sql.ErrNoRows { //nolint:errorlint // Scan returns it bare
			continue
		}
		if err != nil {
			return moved, fmt.Errorf("apply flags in %s, UID %d: %w", m.Path, c.UID, err)
		}
		moved++
		if err := w.touchEntry(m.Account, id); err != nil {
			return moved, err
		}
	}
	if moved > 0 {
		w.touchMailbox(m.Account, m.ID)
	}
	return moved, nil
}

// Expunge takes messages that the server no longer has out of the views. Rows
// and blobs stay for their retention. An email that lost its last entry stays
// until SettleOrphans: it may be on its way to another mailbox.
func (w *Writer) Expunge(mailbox MailboxID, validity UIDValidity, uids []UID) error {
	m, err := w.Mailbox(mailbox)
	if err != nil {
		return err
	}
	for _, uid := range uids {
		if err := w.expungeWhere(m, `mailbox_id = ? AND uidvalidity = ? AND uid = ?`,
			mailbox, validity, uid); err != nil {
			return err
		}
	}
	return nil
}

// expungeWhere expunges the live entries of m that match a condition, which is
// a constant of this package.
func (w *Writer) expungeWhere(m Mailbox, condition string, args ...any) error {
	var gone []EmailRow
	rows, err := w.tx.Query(`UPDATE entry SET expunged_at = `+nowMillis+` WHERE `+condition+` AND expunged_at IS NULL
		RETURNING email_id`, args...)
	if err := file.Each(rows, err, func(rows *sql.Rows) error {
		var email EmailRow
		err := rows.Scan(&email)
		gone = append(gone, email)
		return err
	}); err != nil {
		return fmt.Errorf("expunge in %s: %w", m.Path, err)
	}
	for _, email := range gone {
		if err := w.touchEmail(email); err != nil {
			return err
		}
	}
	if len(gone) > 0 {
		w.touchMailbox(m.Account, m.ID)
	}
	return nil
}

// nowMillis is now in SQL: Unix milliseconds.
const nowMillis = `CAST(unixepoch('subsec') * 1000 AS INTEGER)`

// touchEntry records that the email of an entry changed.
func (w *Writer) touchEntry(account AccountID, id EntryID) error {
	var object string
	if err := w.tx.QueryRow(`SELECT e.jmap_id FROM email e JOIN entry n ON n.email_id = e.id WHERE n.id = ?`,
		id).Scan(&object); err != nil {
		return fmt.Errorf("find email of entry: %w", err)
	}
	return w.touch(account, typeEmail, object)
}

// touchEmail records that an email changed. If the feed said that the email was
// gone, its thread is back, too. Call it before the entry that revives the
// email is written.
func (w *Writer) touchEmail(row EmailRow) error {
	var email, thread string
	var account AccountID
	var destroyed bool
	if err := w.tx.QueryRow(`SELECT e.jmap_id, t.jmap_id, e.account_id, e.destroyed_at IS NOT NULL FROM email e
		JOIN thread t ON t.id = e.thread_id WHERE e.id = ?`,
		row).Scan(&email, &thread, &account, &destroyed); err != nil {
		return fmt.Errorf("find email: %w", err)
	}
	if destroyed {
		if err := w.touch(account, typeThread, thread); err != nil {
			return err
		}
	}
	return w.touch(account, typeEmail, email)
}

// orphanWait is how long an email that no mailbox holds waits for a mailbox
// that could not be listed: the email may be there.
const orphanWait = 24 * time.Hour

// SettleOrphans destroys the emails of an account that no mailbox holds any
// more and says how many. Call it when a pass has listed every mailbox.
func (w *Writer) SettleOrphans(account AccountID) (int, error) {
	return w.settleOrphans(account, math.MaxInt64)
}

// SettleOldOrphans destroys only those whose last entry was expunged a day
// before at, the wall clock's time. Call it when a pass could not list some
// mailbox. A clock that MaySweep does not believe, or has not seen yet, ends no
// wait.
func (w *Writer) SettleOldOrphans(account AccountID, at time.Time) (int, error) {
	known, doubted, err := w.sweptAt()
	if err != nil {
		return 0, err
	}
	if ok, _ := believed(millis(at), known, doubted); !ok || known == 0 {
		return 0, nil
	}
	// A time ahead of the clock was written while the clock was wrong. The wait
	// begins anew, so that it ends.
	if _, err := w.tx.Exec(`UPDATE entry SET expunged_at = ?2 WHERE expunged_at > ?2
		AND EXISTS (SELECT 1 FROM email WHERE id = email_id AND account_id = ?1 AND live = 0 AND destroyed_at IS NULL)`,
		account, millis(at)); err != nil {
		return 0, fmt.Errorf("set the time of orphans: %w", err)
	}
	return w.settleOrphans(account, millis(at.Add(-orphanWait)))
}

// settleOrphans settles those whose last entry was expunged at upTo or before.
func (w *Writer) settleOrphans(account AccountID, upTo int64) (int, error) {
	type orphan struct {
		row           EmailRow
		email, thread string
		threadID      int64
	}
	var all []orphan
	rows, err := w.tx.Query(`SELECT e.id, e.jmap_id, t.jmap_id, t.id FROM email e JOIN thread t ON t.id = e.thread_id
		WHERE e.account_id = ?1 AND e.live = 0 AND e.destroyed_at IS NULL
		AND NOT EXISTS (SELECT 1 FROM entry WHERE email_id = e.id AND expunged_at > ?2)`, account, upTo)
	if err := file.Each(rows, err, func(rows *sql.Rows) error {
		var o orphan
		err := rows.Scan(&o.row, &o.email, &o.thread, &o.threadID)
		all = append(all, o)
		return err
	}); err != nil {
		return 0, fmt.Errorf("find orphans: %w", err)
	}
	threads := map[int64]string{}
	for _, o := range all {
		if _, err := w.tx.Exec(`UPDATE email SET destroyed_at = ? WHERE id = ?`, millis(now()), o.row); err != nil {
			return 0, fmt.Errorf("destroy email: %w", err)
		}
		if err := w.bury(account, typeEmail, o.email); err != nil {
			return 0, err
		}
		threads[o.threadID] = o.thread
	}
	for id, object := range threads {
		var left bool
		if err := w.tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM email WHERE thread_id = ? AND destroyed_at IS NULL)`,
			id).Scan(&left); err != nil {
			return 0, fmt.Errorf("look into thread: %w", err)
		}
		end := w.bury
		if left {
			end = w.touch
		}
		if err := end(account, typeThread, object); err != nil {
			return 0, err
		}
	}
	return len(all), nil
}

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
		q.alone, q.received, coalesce(q.claimed, -1), q.asked_at IS NOT NULL`

func scanQuarantined(rows *sql.Rows, err error) ([]Quarantined, error) {
	var all []Quarantined
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		var q Quarantined
		var first, last int64
		err := rows.Scan(&q.ID, &q.Account, &q.Mailbox, &q.Path, &q.Validity, &q.UID, &q.Reason, &q.Attempts, &first,
			&last, &q.Alone, &q.Received, &q.Claimed, &q.Asked)
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
