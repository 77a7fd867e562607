package storage

import (
	"database/sql"
	"errors"
	"time"
)

// PasswordTime returns the modification time of an account's password file as
// it was when its password was refused. It is the zero time if the file could
// not be read. known is false if the password came from elsewhere.
func (r *Reader) PasswordTime(id AccountID) (modified time.Time, known bool, err error) {
	var nanos int64
	err = r.snap.QueryRow(`SELECT value FROM meta WHERE key = 'password_time:' || ?`, id).Scan(&nanos)
	if errors.Is(err, sql.ErrNoRows) {
		return modified, false, nil
	}
	if nanos != 0 {
		modified = time.Unix(0, nanos)
	}
	return modified, err == nil, explain("read the time of a password file", err)
}

// SetPasswordTime notes it. The time is all that is kept of a password file,
// because its size would tell the length of the password.
func (w *Writer) SetPasswordTime(id AccountID, modified time.Time) error {
	nanos := int64(0)
	if !modified.IsZero() {
		nanos = modified.UnixNano()
	}
	_, err := w.tx.Exec(`INSERT INTO meta (key, value) VALUES ('password_time:' || ?, ?) ON CONFLICT DO UPDATE
		SET value = excluded.value`, id, nanos)
	return explain("note the time of a password file", err)
}

// ForgetPasswordTime notes that the refused password came from elsewhere.
func (w *Writer) ForgetPasswordTime(id AccountID) error {
	_, err := w.tx.Exec(`DELETE FROM meta WHERE key = 'password_time:' || ?`, id)
	return explain("forget the time of a password file", err)
}
