package storage

import (
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Header is what a message says about itself, as package message parsed it. It
// can be rebuilt from the raw bytes.
type Header struct {
	MessageID     string
	ThreadKeys    []string // Message-IDs that join a conversation: its own, In-Reply-To, References
	Subject       string
	BaseSubject   string // RFC 5256 §2.1
	Sender        string // for people: Name <address>
	Recipients    string // To and Cc for people
	SentAt        time.Time
	Preview       string
	HasAttachment bool
	Partial       bool // part of it could not be read
}

// Arrival is one message with its body as the server delivered it.
type Arrival struct {
	UID          UID
	Flags        Flags
	ModSeq       ModSeq
	InternalDate time.Time
	Body         Body
	Header       Header
}

// Batch is what one closure commits: messages of one generation of a mailbox,
// and the coverage they earn.
type Batch struct {
	Mailbox  MailboxID
	Validity UIDValidity
	Arrivals []Arrival
	Cover    []Range
}

// Size is roughly how many bytes the batch writes.
func (b Batch) Size() int {
	n := 0
	for _, a := range b.Arrivals {
		n += a.Body.Stored() + 1024
	}
	return n
}

// Stored says what a batch did.
type Stored struct {
	New       int        // entries that were not there before
	Bytes     int64      // raw bytes of those
	Conflicts []UID      // UIDs the store held with other bytes; the server's bytes won
	Emails    []EmailRow // of each arrival that became a new entry: its email; else 0
}

// StoreBatch writes a batch: blobs, entries, emails, threads, coverage and
// changes. It may be replayed: what is there already stays as it is.
func (w *Writer) StoreBatch(b Batch) (Stored, error) {
	var done intake
	err := w.storeBatch(b, &done)
	return done.Stored, err
}

// intake is the result of one batch, and what it counts.
type intake struct {
	Stored
	added, unread int64 // entries inserted

	fresh       bool         // the generation held no entry between the UIDs of the batch
	seen        map[UID]bool // of the batch, so far
	quarantined bool         // the generation has messages in quarantine
}

func (w *Writer) storeBatch(b Batch, done *intake) error {
	m, err := w.Mailbox(b.Mailbox)
	if err != nil {
		return err
	}
	if b.Validity != m.UIDValidity && (m.Building == nil || *m.Building != b.Validity) {
		return fmt.Errorf("store batch in %s: UIDVALIDITY %d is neither shown nor being built: %w", m.Path,
			b.Validity, ErrNotFound)
	}
	if err := w.look(b, done); err != nil {
		return err
	}
	done.Emails = make([]EmailRow, len(b.Arrivals))
	for i, a := range b.Arrivals {
		if done.Emails[i], err = w.arrive(m, b.Validity, a, done); err != nil {
			return fmt.Errorf("store %s, UID %d: %w", m.Path, a.UID, err)
		}
	}
	if done.added > 0 {
		if _, err := w.tx.Exec(`UPDATE mailbox SET total = total + ?, unread = unread + ?
			WHERE id = ? AND uidvalidity = ?`,
			done.added, done.unread, m.ID, b.Validity); err != nil {
			return fmt.Errorf("count %s: %w", m.Path, err)
		}
	}
	return w.cover(m.ID, b.Validity, LevelBody, b.Cover)
}

// look finds out once what then need not be looked up for each message.
func (w *Writer) look(b Batch, done *intake) error {
	done.seen = make(map[UID]bool, len(b.Arrivals))
	var uids Range
	for i, a := range b.Arrivals {
		if i == 0 {
			uids = Range{a.UID, a.UID}
		}
		uids.Lo, uids.Hi = min(uids.Lo, a.UID), max(uids.Hi, a.UID)
	}
	err := w.tx.QueryRow(`SELECT NOT EXISTS (SELECT 1 FROM entry WHERE mailbox_id = ?1 AND uidvalidity = ?2
		AND uid BETWEEN ?3 AND ?4),
		EXISTS (SELECT 1 FROM quarantine WHERE mailbox_id = ?1 AND uidvalidity = ?2)`,
		b.Mailbox, b.Validity, uids.Lo, uids.Hi).Scan(&done.fresh, &done.quarantined)
	return explain("look what is here", err)
}

// find looks for the entry of an arriving UID.
func (w *Writer) find(m Mailbox, validity UIDValidity, uid UID, done *intake) (have known, found bool, err error) {
	unheard := done.fresh && !done.seen[uid]
	done.seen[uid] = true
	if unheard {
		return have, false, nil
	}
	err = w.tx.QueryRow(`SELECT id, email_id, blob_id, flags, expunged_at IS NOT NULL FROM entry
		WHERE mailbox_id = ? AND uidvalidity = ? AND uid = ?`,
		m.ID, validity, uid).Scan(&have.id, &have.email, &have.blob, &have.flags, &have.expunged)
	if errors.Is(err, sql.ErrNoRows) {
		return have, false, nil
	}
	return have, err == nil, explain("find entry", err)
}

func (w *Writer) arrive(m Mailbox, validity UIDValidity, a Arrival, done *intake) (EmailRow, error) {
	have, known, err := w.find(m, validity, a.UID, done)
	if err != nil {
		return 0, err
	}
	if known {
		if have.again, err = w.refetched(have.id); err != nil {
			return 0, err
		}
	}
	blob, fresh, err := w.putBlob(a.Body, have.again)
	if err != nil {
		return 0, err
	}
	same := known && have.blob != nil && *have.blob == blob
	if same && have.again {
		if same, err = w.isOf(have.email, a.Body); err != nil {
			return 0, err
		}
	}
	if same {
		taken, err := w.taken(m, validity, have)
		if err != nil {
			return 0, err
		}
		if !taken {
			return 0, w.replay(m, have, a, done)
		}
	}
	w.touchMailbox(m.Account, m.ID)
	if known { // the server gives other bytes under a known UID: what it gives now is the truth
		if have.blob != nil && !same {
			done.Conflicts = append(done.Conflicts, a.UID)
		}
		return 0, w.rebind(m, validity, have, blob, a, done)
	}
	var email EmailRow
	if fresh {
		email, err = w.addEmail(m, a, 1)
	} else {
		email, err = w.bindEmail(m, validity, a, 1)
	}
	if err != nil {
		return 0, err
	}
	if _, err := w.tx.Exec(`INSERT INTO entry (mailbox_id, uidvalidity, uid, email_id, blob_id, flags, modseq,
		internal_date, size) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.ID, validity, a.UID, email, blob, a.Flags, a.ModSeq, millis(a.InternalDate), a.Body.Size); err != nil {
		return 0, fmt.Errorf("add entry: %w", err)
	}
	if done.added++; !a.Flags.Has(`\Seen`) {
		done.unread++
	}
	done.New++
	done.Bytes += a.Body.Size
	if !done.quarantined {
		return email, nil
	}
	return email, w.release(m.ID, validity, a.UID)
}

// known is what the store holds under a UID that arrives.
type known struct {
	id       EntryID
	email    EmailRow
	blob     *BlobID
	flags    Flags
	expunged bool
	again    bool // it was to be downloaded again
}

// taken reports whether the email of an expunged entry has gone to another copy
// in the same mailbox. Two copies in one mailbox are two emails, so an entry
// that comes back must then find another.
func (w *Writer) taken(m Mailbox, validity UIDValidity, have known) (taken bool, err error) {
	if !have.expunged {
		return false, nil
	}
	err = w.tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM entry WHERE email_id = ? AND mailbox_id = ? AND uidvalidity = ?
		AND expunged_at IS NULL)`,
		have.email, m.ID, validity).Scan(&taken)
	return taken, explain("find email", err)
}

// replay handles an entry that is stored already. Its flags may be new, and an
// expunged one becomes live again.
func (w *Writer) replay(m Mailbox, have known, a Arrival, done *intake) error {
	if !have.expunged && have.flags == a.Flags {
		return nil
	}
	w.touchMailbox(m.Account, m.ID)
	if err := w.touchEmail(have.email); err != nil {
		return err
	}
	if _, err := w.tx.Exec(`UPDATE entry SET flags = ?1, modseq = max(modseq, ?2) WHERE id = ?3
		AND (expunged_at IS NOT NULL OR ?2 = 0 OR modseq <= ?2)`, a.Flags, a.ModSeq, have.id); err != nil {
		return fmt.Errorf("update entry: %w", err)
	}
	if !have.expunged {
		return nil
	}
	done.New++
	done.Bytes += a.Body.Size
	_, err := w.tx.Exec(`UPDATE entry SET expunged_at = NULL WHERE id = ?`, have.id)
	return explain("revive entry", err)
}

// rebind gives an entry other bytes. The email it leaves keeps its row and blob
// for the retention time.
func (w *Writer) rebind(m Mailbox, validity UIDValidity, have known, blob BlobID, a Arrival, done *intake) error {
	if !have.expunged {
		if err := w.touchEmail(have.email); err != nil {
			return err
		}
		if _, err := w.tx.Exec(`UPDATE entry SET expunged_at = ? WHERE id = ?`, millis(now()), have.id); err != nil {
			return fmt.Errorf("rebind entry: %w", err)
		}
	}
	email, err := w.bindEmail(m, validity, a, 0) // the trigger counts it below
	if err != nil {
		return err
	}
	if _, err := w.tx.Exec(`UPDATE entry SET email_id = ?, blob_id = ?, flags = ?, modseq = ?, internal_date = ?,
		size = ? WHERE id = ?`,
		email, blob, a.Flags, a.ModSeq, millis(a.InternalDate), a.Body.Size, have.id); err != nil {
		return fmt.Errorf("rebind entry: %w", err)
	}
	if _, err := w.tx.Exec(`UPDATE entry SET expunged_at = NULL WHERE id = ?`, have.id); err != nil {
		return fmt.Errorf("rebind entry: %w", err)
	}
	done.New++
	done.Bytes += a.Body.Size
	return w.release(m.ID, validity, a.UID)
}

// Binding says that a message the server lists is the same as a stored entry of
// that mailbox.
type Binding struct {
	UID          UID
	From         EntryID
	Flags        Flags
	ModSeq       ModSeq
	InternalDate time.Time // zero: as before
}

// Bind gives listed messages the email and blob of stored entries, so that they
// need no download. Those entries stay as they are.
//
// A message is left out of stored when its UID is live already, when the entry
// is in another mailbox or has no body, or when its email is live in this
// generation under another UID.
func (w *Writer) Bind(mailbox MailboxID, validity UIDValidity, all []Binding) (stored []UID, err error) {
	m, err := w.Mailbox(mailbox)
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		ok, err := w.bind(m, validity, b)
		if err != nil {
			return nil, fmt.Errorf("bind %s, UID %d: %w", m.Path, b.UID, err)
		}
		if ok {
			stored = append(stored, b.UID)
		}
	}
	if len(stored) > 0 {
		w.touchMailbox(m.Account, m.ID)
	}
	return stored, nil
}

// bind writes the entry as an expunged one first: the triggers count it when it
// becomes live.
func (w *Writer) bind(m Mailbox, validity UIDValidity, b Binding) (bool, error) {
	var id EntryID
	var email EmailRow
	err := w.tx.QueryRow(`INSERT INTO entry (mailbox_id, uidvalidity, uid, email_id, blob_id, flags, modseq,
		internal_date, size, expunged_at)
		SELECT o.mailbox_id, ?2, ?3, o.email_id, o.blob_id, ?4, ?5, coalesce(?6, o.internal_date), o.size,
		`+nowMillis+` FROM entry o
		WHERE o.id = ?1 AND o.mailbox_id = ?7 AND o.blob_id IS NOT NULL
		  AND NOT EXISTS (SELECT 1 FROM entry n WHERE n.email_id = o.email_id AND n.mailbox_id = ?7
		AND n.uidvalidity = ?2 AND n.expunged_at IS NULL)
		ON CONFLICT (mailbox_id, uidvalidity, uid) DO UPDATE SET email_id = excluded.email_id,
		blob_id = excluded.blob_id, flags = excluded.flags,
		  modseq = excluded.modseq, internal_date = excluded.internal_date, size = excluded.size
		WHERE expunged_at IS NOT NULL RETURNING id, email_id`,
		b.From, validity, b.UID, b.Flags, b.ModSeq, nullMillis(b.InternalDate), m.ID).Scan(&id, &email)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("add entry: %w", err)
	}
	if err := w.touchEmail(email); err != nil {
		return false, err
	}
	if _, err := w.tx.Exec(`UPDATE entry SET expunged_at = NULL WHERE id = ?`, id); err != nil {
		return false, fmt.Errorf("bind entry: %w", err)
	}
	return true, w.release(m.ID, validity, b.UID)
}

// bindEmail finds the email of an arriving body or makes one (DESIGN §4, Email
// identity). It takes an email with the same digest and no live entry of this
// mailbox and generation. Emails without any live entry come first, then the
// lowest row key. Only the first 32 of one digest are looked at, so that a
// mailbox of equal copies stays linear. live is how many entries the caller
// inserts for it.
func (w *Writer) bindEmail(m Mailbox, validity UIDValidity, a Arrival, live int) (EmailRow, error) {
	var row EmailRow
	err := w.tx.QueryRow(`SELECT same.id FROM (SELECT id, live FROM email WHERE account_id = ? AND digest = ?
		ORDER BY id LIMIT 32) same
		WHERE NOT EXISTS (SELECT 1 FROM entry n WHERE n.email_id = same.id AND n.mailbox_id = ? AND n.uidvalidity = ?
		AND n.expunged_at IS NULL)
		ORDER BY same.live > 0, same.id LIMIT 1`, m.Account, a.Body.SHA256[:], m.ID, validity).Scan(&row)
	if err == nil {
		if err := w.touchEmail(row); err != nil || live == 0 {
			return row, err
		}
		_, err := w.tx.Exec(`UPDATE email SET live = live + ?, destroyed_at = NULL WHERE id = ?`, live, row)
		return row, explain("count email", err)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("find email: %w", err)
	}
	return w.addEmail(m, a, live)
}

func (w *Writer) addEmail(m Mailbox, a Arrival, live int) (EmailRow, error) {
	thread, err := w.threadOf(m.Account, a.Header)
	if err != nil {
		return 0, err
	}
	id, err := w.newID("e")
	if err != nil {
		return 0, err
	}
	h := a.Header
	key, err := w.tx.Insert(`INSERT INTO email (account_id, jmap_id, thread_id, digest, message_id, subject, sender,
		recipients, sent_at, received_at,
		size, preview, has_attachment, partial, live) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.Account, id, thread, a.Body.SHA256[:], h.MessageID, h.Subject, h.Sender, h.Recipients, nullMillis(h.SentAt),
		millis(a.InternalDate),
		a.Body.Size, h.Preview, h.HasAttachment, h.Partial, live)
	if err != nil {
		return 0, fmt.Errorf("add email: %w", err)
	}
	if err := w.enqueueIndex(EmailRow(key)); err != nil {
		return 0, err
	}
	return EmailRow(key), w.touch(m.Account, typeEmail, id)
}
