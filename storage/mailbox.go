package storage

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"mailcote/storage/internal/file"
)

const mailboxColumns = `id, account_id, raw, path, delimiter, role, attributes, selectable, priority, uidvalidity,
	building, modseq, remote_total, pass_uidnext, pass_total, pass_modseq, pass_at, total, unread, gone_at IS NOT NULL,
	coalesce(object_id, ''), coalesce(own_validity, 0), synced, completed_at, refused, refused_at, pass_unseen,
	pass_exists, unstable, flags_at, flags_uid, hidden_at`

func scanMailbox(row interface{ Scan(...any) error }) (Mailbox, error) {
	var m Mailbox
	var raw []byte
	var building, pass, completed, refused, flags, hidden *int64
	err := row.Scan(&m.ID, &m.Account, &raw, &m.Path, &m.Delimiter, &m.Role, &m.Attributes, &m.Selectable, &m.Priority,
		&m.UIDValidity, &building, &m.ModSeq, &m.RemoteTotal, &m.Pass.UIDNext, &m.Pass.Total, &m.Pass.ModSeq, &pass,
		&m.Total, &m.Unread, &m.Gone, &m.ObjectID, &m.OwnValidity, &m.Synced, &completed, &m.Refused, &refused,
		&m.Pass.Unseen, &m.Pass.Exists, &m.Unstable, &flags, &m.FlagsUID, &hidden)
	m.Raw, m.Pass.At = string(raw), fromMillis(pass)
	m.CompletedAt, m.RefusedAt, m.FlagsAt = fromMillis(completed), fromMillis(refused), fromMillis(flags)
	m.HiddenAt = fromMillis(hidden)
	if building != nil {
		v := UIDValidity(*building)
		m.Building = &v
	}
	return m, err
}

// Mailboxes lists an account's mailboxes that are not gone, the highest
// priority first.
func (r *Reader) Mailboxes(account AccountID) ([]Mailbox, error) {
	var all []Mailbox
	rows, err := r.snap.Query(`SELECT `+mailboxColumns+` FROM mailbox WHERE account_id = ? AND gone_at IS NULL
		ORDER BY priority DESC, path`, account)
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		m, err := scanMailbox(rows)
		all = append(all, m)
		return err
	})
}

// Mailbox finds a mailbox by row key. Errors: ErrNotFound.
func (r *Reader) Mailbox(id MailboxID) (Mailbox, error) {
	m, err := scanMailbox(r.snap.QueryRow(`SELECT `+mailboxColumns+` FROM mailbox WHERE id = ?`, id))
	return m, missing("mailbox", err)
}

// MailboxByRaw finds a mailbox by its name on the server: the present one,
// otherwise the last one that had it. Errors: ErrNotFound.
func (r *Reader) MailboxByRaw(account AccountID, raw string) (Mailbox, error) {
	m, err := scanMailbox(r.snap.QueryRow(`SELECT `+mailboxColumns+` FROM mailbox WHERE account_id = ? AND raw = ?
		ORDER BY gone_at IS NOT NULL, gone_at DESC, id DESC LIMIT 1`, account, []byte(raw)))
	return m, missing("mailbox", err)
}

// MailboxRows counts an account's mailboxes, including those that are gone.
func (r *Reader) MailboxRows(account AccountID) (n int, err error) {
	err = r.snap.QueryRow(`SELECT count(*) FROM mailbox WHERE account_id = ?`, account).Scan(&n)
	return n, explain("count mailboxes", err)
}

// ListedAs reports whether a mailbox already has what LIST says of it.
func (m Mailbox) ListedAs(now Mailbox) bool {
	return m.Path == strings.ToValidUTF8(now.Path, "\ufffd") && m.Delimiter == now.Delimiter && m.Role == now.Role &&
		m.Attributes == now.Attributes && m.Selectable == now.Selectable && m.Priority == now.Priority
}

// PutMailbox inserts a mailbox or updates what LIST says about it. It revives
// one that was gone. It reads only the fields that LIST decides.
func (w *Writer) PutMailbox(m Mailbox) (MailboxID, error) {
	have, err := w.MailboxByRaw(m.Account, m.Raw)
	path := strings.ToValidUTF8(m.Path, "\ufffd")
	if err != nil && !errors.Is(err, ErrNotFound) {
		return 0, err
	}
	if err != nil {
		id, err := w.tx.Insert(`INSERT INTO mailbox (account_id, raw, path, delimiter, role, attributes, selectable,
			priority) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			m.Account, []byte(m.Raw), path, m.Delimiter, m.Role, m.Attributes, m.Selectable, m.Priority)
		if err != nil {
			return 0, fmt.Errorf("add mailbox %s: %w", path, err)
		}
		w.touchMailbox(m.Account, MailboxID(id))
		return MailboxID(id), nil
	}
	if !have.Gone && have.ListedAs(m) {
		return have.ID, nil
	}
	if _, err := w.tx.Exec(`UPDATE mailbox SET path = ?, delimiter = ?, role = ?, attributes = ?, selectable = ?,
		priority = ?, gone_at = NULL WHERE id = ?`,
		path, m.Delimiter, m.Role, m.Attributes, m.Selectable, m.Priority, have.ID); err != nil {
		return 0, fmt.Errorf("update mailbox %s: %w", path, err)
	}
	if have.Gone {
		if err := w.reviveMailbox(have); err != nil {
			return 0, err
		}
	}
	w.touchMailbox(m.Account, have.ID)
	return have.ID, nil
}

// reviveMailbox starts the next pass from nothing: what the mailbox held was
// expunged when it went.
func (w *Writer) reviveMailbox(m Mailbox) error {
	_, err := w.tx.Exec(`UPDATE mailbox SET pass_at = NULL, building = NULL, modseq = 0 WHERE id = ?`, m.ID)
	if err != nil {
		return fmt.Errorf("revive mailbox %s: %w", m.Path, err)
	}
	_, err = w.tx.Exec(`DELETE FROM coverage WHERE mailbox_id = ?`, m.ID)
	return explain("revive mailbox "+m.Path, err)
}

// LoseMailbox takes a mailbox out of the views. Its entries are expunged. Rows
// and blobs stay for their retention.
func (w *Writer) LoseMailbox(id MailboxID) error {
	m, err := w.Mailbox(id)
	if err != nil {
		return err
	}
	if err := w.expungeWhere(m, `mailbox_id = ?`, id); err != nil {
		return err
	}
	if _, err := w.tx.Exec(`UPDATE mailbox SET gone_at = ?, pass_at = NULL WHERE id = ?`,
		millis(now()), id); err != nil {
		return fmt.Errorf("lose mailbox %s: %w", m.Path, err)
	}
	delete(w.touched, id) // its end is the news
	return w.bury(m.Account, typeMailbox, mailboxObject(id))
}

// Announce notes how many messages the server announced in a mailbox that was
// never opened. In one that was, SELECT decides.
func (w *Writer) Announce(id MailboxID, messages int64) error {
	m, err := w.Mailbox(id)
	if err != nil || m.UIDValidity != 0 || m.Building != nil || m.RemoteTotal == messages {
		return err
	}
	if _, err := w.tx.Exec(`UPDATE mailbox SET remote_total = ? WHERE id = ?`, messages, id); err != nil {
		return fmt.Errorf("announce messages of %s: %w", m.Path, err)
	}
	w.touchMailbox(m.Account, id)
	return nil
}

// OpenGeneration notes the UIDVALIDITY that a SELECT gave and how many messages
// it announced. The first generation is shown at once. Another one is built
// alongside it until SwitchGeneration, and replaces one that is unfinished.
// modseq starts the flag watermark of a generation that holds nothing yet.
func (w *Writer) OpenGeneration(id MailboxID, validity UIDValidity, modseq ModSeq, exists int64) error {
	m, err := w.Mailbox(id)
	if err != nil {
		return err
	}
	switch {
	case m.UIDValidity == validity:
		if m.Building != nil { // the server went back
			if err := w.abandon(m); err != nil {
				return err
			}
		}
		_, err = w.tx.Exec(`UPDATE mailbox SET remote_total = ? WHERE id = ?`, exists, id)
	case m.UIDValidity == 0 && m.Total == 0:
		_, err = w.tx.Exec(`UPDATE mailbox SET uidvalidity = ?, building = NULL, modseq = ?, remote_total = ?,
			pass_at = NULL WHERE id = ?`, validity, modseq, exists, id)
	case m.Building != nil && *m.Building == validity:
		_, err = w.tx.Exec(`UPDATE mailbox SET remote_total = ? WHERE id = ?`, exists, id)
	default:
		if m.Building != nil {
			if err := w.abandon(m); err != nil {
				return err
			}
		}
		_, err = w.tx.Exec(`UPDATE mailbox SET building = ?, remote_total = ?, pass_at = NULL WHERE id = ?`,
			validity, exists, id)
	}
	return explain("open generation of "+m.Path, err)
}

// NoteValidity notes the number that stands in for the UIDVALIDITY that the
// server does not give (0: it gives one), and how often in a row it gave another
// one.
func (w *Writer) NoteValidity(id MailboxID, own UIDValidity, unstable int) error {
	_, err := w.tx.Exec(`UPDATE mailbox SET own_validity = nullif(?, 0), unstable = ? WHERE id = ?`, own, unstable, id)
	return explain("note UIDVALIDITY", err)
}

// abandon gives up a generation that was being built.
func (w *Writer) abandon(m Mailbox) error {
	if err := w.expungeWhere(m, `mailbox_id = ? AND uidvalidity = ?`, m.ID, *m.Building); err != nil {
		return err
	}
	if err := w.forget(m.ID, *m.Building); err != nil {
		return err
	}
	_, err := w.tx.Exec(`UPDATE mailbox SET building = NULL WHERE id = ?`, m.ID)
	return explain("abandon generation of "+m.Path, err)
}

// forget drops what was vouched for in a generation.
func (w *Writer) forget(id MailboxID, validity UIDValidity) error {
	if _, err := w.tx.Exec(`DELETE FROM coverage WHERE mailbox_id = ? AND uidvalidity = ?`, id, validity); err != nil {
		return explain("forget coverage", err)
	}
	result, err := w.tx.Exec(`DELETE FROM quarantine WHERE mailbox_id = ? AND uidvalidity = ?`, id, validity)
	if err != nil {
		return explain("forget quarantine", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return w.dropCameGone()
}

// SwitchGeneration shows the generation that was built and retires the one
// before it.
func (w *Writer) SwitchGeneration(id MailboxID, modseq ModSeq) error {
	m, err := w.Mailbox(id)
	if err != nil {
		return err
	}
	if m.Building == nil {
		return fmt.Errorf("switch generation of %s: none is being built", m.Path)
	}
	if err := w.expungeWhere(m, `mailbox_id = ? AND uidvalidity = ?`, id, m.UIDValidity); err != nil {
		return err
	}
	if err := w.forget(id, m.UIDValidity); err != nil {
		return err
	}
	if err := w.touchGeneration(m, *m.Building); err != nil {
		return err
	}
	w.touchMailbox(m.Account, id)
	_, err = w.tx.Exec(`UPDATE mailbox SET uidvalidity = building, building = NULL, modseq = ?, hidden_at = NULL,
		total = (SELECT count(*) FROM entry WHERE mailbox_id = mailbox.id AND uidvalidity = mailbox.building
		AND expunged_at IS NULL),
		unread = (SELECT count(*) FROM entry WHERE mailbox_id = mailbox.id AND uidvalidity = mailbox.building
		AND expunged_at IS NULL
		          AND instr(' ' || flags || ' ', ' \Seen ') = 0)
		WHERE id = ?`, modseq, id)
	return explain("switch generation of "+m.Path, err)
}

// EndPass notes what the server said when the mailbox was complete. The next
// pass opens it only if that has changed.
func (w *Writer) EndPass(id MailboxID, p Pass) error {
	_, err := w.tx.Exec(`UPDATE mailbox SET pass_uidnext = ?1, pass_total = ?2, pass_modseq = ?3, pass_at = ?4,
		pass_unseen = ?5, pass_exists = ?6, completed_at = coalesce(?4, completed_at), remote_total = ?2 WHERE id = ?7`,
		p.UIDNext, p.Total, p.ModSeq, nullMillis(p.At), p.Unseen, p.Exists, id)
	return explain("end pass", err)
}

// BreakPass notes that the mailbox is not complete.
func (w *Writer) BreakPass(id MailboxID) error {
	_, err := w.tx.Exec(`UPDATE mailbox SET pass_at = NULL WHERE id = ?`, id)
	return explain("break pass", err)
}

// Coverage lists what is vouched for in a generation of a mailbox, ascending
// and disjoint.
func (r *Reader) Coverage(mailbox MailboxID, validity UIDValidity, level Level) ([]Range, error) {
	var all []Range
	rows, err := r.snap.Query(`SELECT lo, hi FROM coverage WHERE mailbox_id = ? AND uidvalidity = ? AND level = ?
		ORDER BY lo`, mailbox, validity, level)
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		var one Range
		err := rows.Scan(&one.Lo, &one.Hi)
		all = append(all, one)
		return err
	})
}

// Vouch notes that every message of the ranges is committed with its body.
func (w *Writer) Vouch(mailbox MailboxID, validity UIDValidity, ranges []Range) error {
	return w.cover(mailbox, validity, LevelBody, ranges)
}

// cover adds ranges to what is vouched for. Adjacent ranges become one row.
func (w *Writer) cover(mailbox MailboxID, validity UIDValidity, level Level, add []Range) error {
	for _, one := range add {
		if one.Lo == 0 || one.Hi < one.Lo {
			return fmt.Errorf("cover %d:%d: not a range of UIDs", one.Lo, one.Hi)
		}
		lo, hi := one.Lo, one.Hi
		var touching []UID
		rows, err := w.tx.Query(`SELECT lo, hi FROM coverage WHERE mailbox_id = ?1 AND uidvalidity = ?2 AND level = ?3
			AND lo >= coalesce((SELECT max(lo) FROM coverage WHERE mailbox_id = ?1 AND uidvalidity = ?2 AND level = ?3
			AND lo < ?4), 0)
			AND lo <= ?5 AND hi >= ?4 - 1`, mailbox, validity, level, lo, int64(hi)+1)
		if err := file.Each(rows, err, func(rows *sql.Rows) error {
			var have Range
			if err := rows.Scan(&have.Lo, &have.Hi); err != nil {
				return err
			}
			lo, hi = min(lo, have.Lo), max(hi, have.Hi)
			touching = append(touching, have.Lo)
			return nil
		}); err != nil {
			return fmt.Errorf("read coverage: %w", err)
		}
		for _, start := range touching {
			if _, err := w.tx.Exec(`DELETE FROM coverage WHERE mailbox_id = ? AND uidvalidity = ? AND level = ?
				AND lo = ?`, mailbox, validity, level, start); err != nil {
				return fmt.Errorf("merge coverage: %w", err)
			}
		}
		if _, err := w.tx.Exec(`INSERT INTO coverage (mailbox_id, uidvalidity, level, lo, hi) VALUES (?, ?, ?, ?, ?)`,
			mailbox, validity, level, lo, hi); err != nil {
			return fmt.Errorf("add coverage: %w", err)
		}
	}
	return nil
}
