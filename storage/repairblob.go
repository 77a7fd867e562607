package storage

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"mailcote/storage/packing"
)

// held is what the pieces of a blob hold.
type held struct {
	sum          []byte
	size, stored int64
	whole        bool // every piece is there and can be unpacked
}

func (r *repair) held(blob int64) (h held, err error) {
	dec, err := packing.NewUnpacker()
	if err != nil {
		return h, err
	}
	defer dec.Close()
	var pieces, last int
	if err := r.tx.QueryRow(`SELECT count(*), coalesce(max(n), -1), coalesce(sum(length(frame)), 0) FROM blob_piece
		WHERE blob_id = ?`, blob).Scan(&pieces, &last, &h.stored); err != nil {
		return h, err
	}
	sum := sha256.New()
	for n := range last + 1 {
		raw, err := r.piece(dec, BlobID(blob), n)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrDamaged) {
			return h, nil
		}
		if err != nil {
			return h, err
		}
		sum.Write(raw) //nolint:errcheck // a hash never fails
		h.size += int64(len(raw))
	}
	h.sum, h.whole = sum.Sum(nil), pieces == last+1
	return h, nil
}

// adopt makes the row of a lost blob from its pieces, if an entry names it or
// some email is that of their bytes. Other pieces go: they are of nothing.
func (r *repair) adopt(blob int64) error {
	h, err := r.held(blob)
	if err != nil {
		return err
	}
	var named, wanted bool
	if err := r.tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM entry WHERE blob_id = ?1), EXISTS (SELECT 1 FROM account a
		CROSS JOIN email e ON e.account_id = a.id AND e.digest = ?2)
		AND NOT EXISTS (SELECT 1 FROM blob WHERE sha256 = ?2)`, blob, h.sum).Scan(&named, &wanted); err != nil {
		return err
	}
	switch {
	case named:
		_, err = r.tx.Exec(`INSERT INTO blob (id, size, stored, state, created_at) VALUES (?, 0, ?, 'staged', ?)`,
			blob, h.stored, millis(now()))
		return errors.Join(err, r.seal(blob))
	case h.whole && wanted:
		_, err = r.tx.Exec(`INSERT INTO blob (id, sha256, size, stored, state, created_at)
			VALUES (?, ?, ?, ?, 'sealed', ?)`, blob, h.sum, h.size, h.stored, millis(now()))
		return err
	}
	_, err = r.tx.Exec(`DELETE FROM blob_piece WHERE blob_id = ?`, blob)
	return err
}

// halves seals the blobs that count as half received though an entry names
// them. An entry is written only with all of its bytes, so that mark is wrong.
func (r *repair) halves() error {
	return explain("seal messages", r.numbers(`SELECT id FROM blob WHERE state = 'staged'
		AND EXISTS (SELECT 1 FROM entry WHERE blob_id = blob.id)`, r.seal))
}

// seal gives a staged blob that an entry names the digest of its bytes, if they
// are those of the entry. Otherwise it gets that of the email, and counts as
// damaged. One whose digest nobody knows stays as it is: it may be the only
// copy.
func (r *repair) seal(blob int64) error {
	h, err := r.held(blob)
	if err != nil {
		return err
	}
	var right bool
	var size int64
	var digest []byte
	if err := r.tx.QueryRow(`SELECT max(n.size = ?2 OR e.digest IS ?3), max(n.size), min(e.digest) FROM entry n
		LEFT JOIN email e ON e.id = n.email_id WHERE n.blob_id = ?1`, blob, h.size, h.sum).
		Scan(&right, &size, &digest); err != nil {
		return err
	}
	if right = right && h.whole; right {
		digest, size = h.sum, h.size
	} else if err := r.refetch(refetchAll+`n.blob_id = ?`, blob); err != nil || digest == nil {
		return err
	}
	var twin int64 // another blob with that digest
	err = r.tx.QueryRow(`SELECT id FROM blob WHERE sha256 = ? AND id <> ?`, digest, blob).Scan(&twin)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	into, from := blob, twin // which of the two entries name
	if twin != 0 && !right {
		into, from = twin, blob
	}
	if twin != 0 {
		if _, err := r.tx.Exec(`UPDATE entry SET blob_id = ? WHERE blob_id = ?`, into, from); err != nil {
			return err
		}
		if _, err := r.tx.Exec(`DELETE FROM blob WHERE id = ?`, from); err != nil || into == twin {
			return err
		}
	}
	_, err = r.tx.Exec(`UPDATE blob SET sha256 = ?, size = ?, stored = ?, state = 'sealed' WHERE id = ?`, digest, size,
		h.stored, blob)
	return err
}

// blobs settles what blobs hold and what is noted of them. Where the bytes are
// those that an email of the blob had, only the note was wrong. Otherwise they
// are downloaded again.
func (r *repair) blobs() error {
	var all []int64
	for _, what := range []string{"damaged message", "missing piece", "wrong size"} {
		all = append(all, r.rows[what]...)
	}
	slices.Sort(all)
	for _, blob := range slices.Compact(all) {
		if blob == 0 {
			continue
		}
		h, err := r.held(blob)
		if err != nil {
			return fmt.Errorf("read what is damaged: %w", err)
		}
		if _, err := r.tx.Exec(`UPDATE blob SET stored = ? WHERE id = ?`, h.stored, blob); err != nil {
			return fmt.Errorf("note sizes: %w", err)
		}
		if !h.whole {
			if err := r.refetch(refetchAll+`n.blob_id = ?`, blob); err != nil {
				return err
			}
			continue
		}
		if _, err := r.tx.Exec(`UPDATE blob SET size = ? WHERE id = ? AND sha256 = ?`, h.size, blob,
			h.sum); err != nil {
			return fmt.Errorf("note sizes: %w", err)
		}
		if _, err := r.tx.Exec(`UPDATE blob SET sha256 = ?1, size = ?2 WHERE id = ?3 AND sha256 <> ?1
			AND EXISTS (SELECT 1 FROM entry n JOIN email e ON e.id = n.email_id WHERE n.blob_id = ?3 AND e.digest = ?1)
			AND NOT EXISTS (SELECT 1 FROM blob WHERE sha256 = ?1)`, h.sum, h.size, blob); err != nil {
			return fmt.Errorf("note digests: %w", err)
		}
		if err := r.refetch(refetchAll+`n.blob_id = ? AND n.blob_id IN (SELECT id FROM blob WHERE sha256 <> ?)`, blob,
			h.sum); err != nil {
			return err
		}
	}
	return nil
}

// refetchAll lists the entries of a condition to be downloaded again. Expunged
// ones are among them: the server may still have such a message, and then the
// next pass shows it again.
const refetchAll = `INSERT OR IGNORE INTO refetch (entry_id) SELECT n.id FROM entry n WHERE n.uid IS NOT NULL AND `

// refetchLive is refetchAll without expunged entries.
const refetchLive = refetchAll + `n.expunged_at IS NULL AND `

func (r *repair) refetch(statement string, args ...any) error {
	_, err := r.tx.Raw().Exec(statement, args...)
	return explain("list what is fetched again", err)
}

// bodies settles which bytes entries and emails name.
func (r *repair) bodies() error {
	// The digest of an email was changed when all its entries have one other
	// message, and no message has its digest.
	if err := r.all("settle which bytes emails have",
		`UPDATE email SET digest = (SELECT min(b.sha256) FROM entry n JOIN blob b ON b.id = n.blob_id
			WHERE n.email_id = email.id)
			WHERE digest IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blob WHERE sha256 = email.digest)
			AND (SELECT count(DISTINCT b.sha256) FROM entry n JOIN blob b ON b.id = n.blob_id
			WHERE n.email_id = email.id AND b.state = 'sealed') = 1`,
		`UPDATE entry SET blob_id = NULL WHERE blob_id IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM blob WHERE id = entry.blob_id)`,
		// The bytes of an entry that lost its own are here under another number.
		`UPDATE entry SET blob_id = (SELECT b.id FROM email e JOIN blob b ON b.sha256 = e.digest
			WHERE e.id = entry.email_id) WHERE blob_id IS NULL AND EXISTS (SELECT 1 FROM email e
			JOIN blob b ON b.sha256 = e.digest WHERE e.id = entry.email_id)`); err != nil {
		return err
	}
	if err := r.refetch(refetchLive + `(n.blob_id IS NULL OR NOT EXISTS (SELECT 1 FROM blob b
		JOIN email e ON e.digest = b.sha256 WHERE b.id = n.blob_id AND e.id = n.email_id))`); err != nil {
		return err
	}
	// Expunged mail is not on the server: its bytes say which email it is.
	if err := r.numbers(`SELECT n.id FROM entry n JOIN blob b ON b.id = n.blob_id JOIN email e ON e.id = n.email_id
		WHERE n.expunged_at IS NOT NULL AND b.sha256 IS NOT e.digest`, r.ownEmail); err != nil {
		return fmt.Errorf("settle expunged mail: %w", err)
	}
	if !r.o.Synced {
		return nil
	}
	if err := r.all("note which emails have no bytes", `UPDATE email SET digest = NULL WHERE digest IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM blob WHERE sha256 = email.digest) AND NOT EXISTS (SELECT 1 FROM entry
		WHERE email_id = email.id AND expunged_at IS NULL)`,
		`DELETE FROM unindexed WHERE email_id IN (SELECT id FROM email WHERE digest IS NULL)`,
		`DELETE FROM outdated_view WHERE email_id IN (SELECT id FROM email WHERE digest IS NULL)`); err != nil {
		return err
	}
	return r.dropIndexRows(`SELECT id FROM email WHERE digest IS NULL`)
}
