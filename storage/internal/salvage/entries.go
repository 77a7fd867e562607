package salvage

import (
	"bytes"
	"fmt"
)

// entries takes over entries whose message is here and whole. One whose email
// was lost gets a new one. An entry that says another size, or names another
// message's email, may have been given a message that is not its own: the next
// pass downloads that one again.
func (f *filler) entries() error {
	var doubted []any
	if err := f.scan("entry", rowsAtOnce, func(one row) (bool, error) {
		var account, size int64
		var digest []byte
		var shown bool
		if err := f.tx.QueryRowContext(f.ctx, `SELECT m.account_id, b.size, b.sha256, m.gone_at IS NULL
			AND m.uidvalidity IS ? FROM mailbox m, blob b WHERE m.id = ? AND b.id = ?`,
			one["uidvalidity"], one["mailbox_id"], one["blob_id"]).Scan(&account, &size, &digest, &shown); err != nil {
			return false, absent(err)
		}
		said := one.whole("size")
		one["size"] = size
		if one["expunged_at"] == nil && !shown {
			// of a generation that was being built, or of a mailbox that is
			// gone: it would be live nowhere
			return false, nil
		}
		var same bool
		var has []byte
		err := f.tx.QueryRowContext(f.ctx, `SELECT digest FROM email WHERE id = ? AND account_id = ?`,
			one["email_id"], account).Scan(&has)
		if same = err == nil && bytes.Equal(has, digest); same || absent(err) != nil {
			return same, absent(err)
		}
		if said != size || err == nil {
			doubted = append(doubted, one["id"])
		}
		one["email_id"], err = f.newEmail(account, digest, one["internal_date"])
		return err == nil && one["email_id"] != int64(0), err
	}); err != nil {
		return err
	}
	for _, id := range doubted {
		if _, err := f.tx.ExecContext(f.ctx, `INSERT OR IGNORE INTO refetch (entry_id) SELECT id FROM entry
			WHERE id = ? AND expunged_at IS NULL`, id); err != nil {
			return fmt.Errorf("note what is to be fetched again: %w", err)
		}
	}
	return nil
}

// newEmail makes the email of an entry that has none; 0: its message is not
// whole.
func (f *filler) newEmail(account int64, digest []byte, received any) (int64, error) {
	one := row{"account_id": account, "digest": digest, "received_at": received, "jmap_id": f.o.NewID("e")}
	if ok, err := f.derive(one, email{account: account, digest: digest}); !ok || err != nil {
		return 0, err
	}
	if taken, err := f.put("email", one); !taken || err != nil {
		return 0, err
	}
	var id int64
	return id, f.tx.QueryRowContext(f.ctx, `SELECT id FROM email WHERE jmap_id = ?`, one["jmap_id"]).Scan(&id)
}
