package storage

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"time"

	"mailcote/storage/internal/file"
)

// Listed is an entry as it is compared with the server's.
type Listed struct {
	UID   UID
	Flags uint64 // Flags.Sum by the seed of the call
}

// UIDs gives the UIDs of the live entries of one generation of a mailbox,
// ascending. There may be millions. About as many as about are expected; that
// is a stored number, so a wrong one must not cost more than a little.
func (r *Reader) UIDs(mailbox MailboxID, validity UIDValidity, about int64) ([]UID, error) {
	const most = 2 << 20 // 8 MB
	all := make([]UID, 0, min(max(about, 0), most))
	rows, err := r.snap.Query(`SELECT uid FROM entry WHERE mailbox_id = ? AND uidvalidity = ? AND uid IS NOT NULL
		AND expunged_at IS NULL ORDER BY uid`, mailbox, validity)
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		var uid UID
		err := rows.Scan(&uid)
		all = append(all, uid)
		return err
	})
}

// EntriesIn lists the live entries of one generation of a mailbox by ascending
// UID, those in a range of UIDs and of them the newest. newest 0 means all.
func (r *Reader) EntriesIn(mailbox MailboxID, validity UIDValidity, uids Range, newest int, seed maphash.Seed) (
	all []Listed, err error) {
	if newest == 0 {
		newest = -1 // no limit
	}
	rows, err := r.snap.Query(`SELECT uid, flags FROM entry
		WHERE mailbox_id = ? AND uidvalidity = ? AND uid BETWEEN ? AND ? AND expunged_at IS NULL
		ORDER BY uid DESC LIMIT ?`, mailbox, validity, uids.Lo, uids.Hi, newest)
	err = file.Each(rows, err, func(rows *sql.Rows) error {
		var e Listed
		var flags Flags
		err := rows.Scan(&e.UID, &flags)
		e.Flags = flags.Sum(seed)
		all = append(all, e)
		return err
	})
	slices.Reverse(all)
	return all, err
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
// UID in uids, by ascending UID. Expunged ones are included, those whose body is
// damaged are not.
func (r *Reader) Held(mailbox MailboxID, validity UIDValidity, uids Range) ([]Held, error) {
	var all []Held
	rows, err := r.snap.Query(`SELECT id, uid, size, internal_date, expunged_at IS NOT NULL FROM entry
		WHERE mailbox_id = ? AND uidvalidity = ? AND uid BETWEEN ? AND ? AND blob_id IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM refetch WHERE entry_id = entry.id) ORDER BY uid`,
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
// UIDs that the store does not hold are passed over, and flags that are older
// than the stored ones by their MODSEQ.
func (w *Writer) ApplyFlags(mailbox MailboxID, validity UIDValidity, changes []FlagChange) (int, error) {
	m, err := w.Mailbox(mailbox)
	if err != nil {
		return 0, err
	}
	moved := 0
	for _, c := range changes {
		var id EntryID
		err := w.tx.QueryRow(`UPDATE entry SET flags = ?1, modseq = max(modseq, ?2)
			WHERE mailbox_id = ?3 AND uidvalidity = ?4 AND uid = ?5 AND expunged_at IS NULL AND flags <> ?1
			AND (?2 = 0 OR modseq <= ?2) RETURNING id`,
			c.Flags, c.ModSeq, mailbox, validity, c.UID).Scan(&id)
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
