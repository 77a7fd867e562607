package storage

import (
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// SignIn is a sign-in that was sent and not answered. The zero value means that
// there is none. It is written before it is sent, so that one whose answer was
// never seen counts too. Its times may be another clock's than today's, so
// readers bound the wait.
type SignIn struct {
	SentAt  time.Time
	Silent  int // times the server took it and said nothing
	Dropped int // times in a row the connection, or the process, ended first
}

// SignInOf gives an account's unanswered sign-in.
func (r *Reader) SignInOf(account AccountID) (s SignIn, err error) {
	var sent int64
	err = r.snap.QueryRow(`SELECT sent_at, silent, dropped FROM sign_in WHERE account_id = ?`,
		account).Scan(&sent, &s.Silent, &s.Dropped)
	if errors.Is(err, sql.ErrNoRows) {
		return SignIn{}, nil
	}
	if err != nil {
		return SignIn{}, fmt.Errorf("find sign-in: %w", err)
	}
	s.SentAt = time.UnixMilli(sent).UTC()
	return s, nil
}

// PutSignIn replaces an account's unanswered sign-in. The zero value says that
// it was answered.
func (w *Writer) PutSignIn(account AccountID, s SignIn) error {
	var err error
	if s == (SignIn{}) {
		_, err = w.tx.Exec(`DELETE FROM sign_in WHERE account_id = ?`, account)
	} else {
		_, err = w.tx.Exec(`INSERT INTO sign_in (account_id, sent_at, silent, dropped) VALUES (?, ?, ?, ?)
			ON CONFLICT (account_id) DO UPDATE SET sent_at = excluded.sent_at, silent = excluded.silent,
			dropped = excluded.dropped`,
			account, s.SentAt.UnixMilli(), s.Silent, s.Dropped)
	}
	if err != nil {
		return fmt.Errorf("note sign-in: %w", err)
	}
	return nil
}
