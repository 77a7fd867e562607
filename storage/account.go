package storage

import (
	"database/sql"
	"fmt"
	"time"

	"mailcote/storage/class"
	"mailcote/storage/internal/file"
)

// A local account has no server, so these columns may be NULL.
const accountColumns = `id, name, coalesce(user, ''), coalesce(host, ''), coalesce(port, 0), coalesce(security, ''),
	insecure,
	secret_ref, state = 'paused', pause_class, pause_reason, server_id, capabilities, created_at, last_success_at`

func scanAccount(row interface{ Scan(...any) error }) (Account, error) {
	var a Account
	var created, success *int64
	err := row.Scan(&a.ID, &a.Name, &a.User, &a.Host, &a.Port, &a.Security, &a.Insecure, &a.SecretRef, &a.Paused,
		&a.PauseClass, &a.PauseReason, &a.ServerID, &a.Capabilities, &created, &success)
	a.CreatedAt, a.LastSuccess = fromMillis(created), fromMillis(success)
	return a, err
}

// StoreID is the store's own id. Its copies have it too.
func (r *Reader) StoreID() (id string, err error) {
	err = r.snap.QueryRow(`SELECT value FROM meta WHERE key = 'store_id'`).Scan(&id)
	return id, explain("read the store's id", err)
}

// Accounts lists every account by name.
func (r *Reader) Accounts() ([]Account, error) {
	var all []Account
	rows, err := r.snap.Query(`SELECT ` + accountColumns + ` FROM account WHERE removed_at IS NULL ORDER BY name`)
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		a, err := scanAccount(rows)
		all = append(all, a)
		return err
	})
}

// Account finds an account by row key. Errors: ErrNotFound.
func (r *Reader) Account(id AccountID) (Account, error) {
	a, err := scanAccount(r.snap.QueryRow(`SELECT `+accountColumns+` FROM account
		WHERE id = ? AND removed_at IS NULL`, id))
	return a, missing("account", err)
}

// AccountByName finds an account by its name. Errors: ErrNotFound.
func (r *Reader) AccountByName(name string) (Account, error) {
	a, err := scanAccount(r.snap.QueryRow(`SELECT `+accountColumns+` FROM account
		WHERE name = ? AND removed_at IS NULL`, name))
	return a, missing("account "+name, err)
}

// AccountByIdentity finds an account by what identifies it: user and host, on a
// loopback host also the port. Errors: ErrNotFound.
func (r *Reader) AccountByIdentity(user, host string, port int) (Account, error) {
	a, err := scanAccount(r.snap.QueryRow(`SELECT `+accountColumns+` FROM account
		WHERE user = ?1 AND endpoint IN (?2, ?2 || ':' || ?3) AND host = ?2 AND removed_at IS NULL`, user, host, port))
	return a, missing("account "+user+" at "+host, err)
}

// AddAccount inserts an account and gives its key. Its name and its identity
// must be new.
func (w *Writer) AddAccount(a Account) (AccountID, error) {
	id, err := w.tx.Insert(`INSERT INTO account (name, user, host, port, security, insecure, secret_ref, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		a.Name, a.User, a.Host, a.Port, a.Security, a.Insecure, a.SecretRef, millis(now()))
	if err != nil {
		return 0, fmt.Errorf("add account %s: %w", a.Name, err)
	}
	return AccountID(id), nil
}

// SetAccountEndpoint notes where and how the account is reached now. Its
// identity stays.
func (w *Writer) SetAccountEndpoint(id AccountID, port int, security string, insecure bool) error {
	_, err := w.tx.Exec(`UPDATE account SET port = ?, security = ?, insecure = ?
		WHERE id = ? AND (port <> ? OR security <> ? OR insecure <> ?)`,
		port, security, insecure, id, port, security, insecure)
	return explain("set account endpoint", err)
}

// RenameAccount gives an account another name, which must be new.
func (w *Writer) RenameAccount(id AccountID, name string) error {
	_, err := w.tx.Exec(`UPDATE account SET name = ? WHERE id = ?`, name, id)
	return explain("rename account", err)
}

// SetSecretRef notes where the password comes from.
func (w *Writer) SetSecretRef(id AccountID, ref string) error {
	_, err := w.tx.Exec(`UPDATE account SET secret_ref = ? WHERE id = ?`, ref, id)
	return explain("set secret reference", err)
}

// SetServer notes what the server calls itself and can do.
func (w *Writer) SetServer(id AccountID, serverID, capabilities string) error {
	_, err := w.tx.Exec(`UPDATE account SET server_id = ?, capabilities = ?
		WHERE id = ? AND (server_id <> ? OR capabilities <> ?)`,
		serverID, capabilities, id, serverID, capabilities)
	return explain("set server", err)
}

// PauseAccount stops an account until it is resumed by hand. A fault does not
// replace a pause by hand.
func (w *Writer) PauseAccount(id AccountID, why class.Class, reason string) error {
	_, err := w.tx.Exec(`UPDATE account SET state = 'paused', pause_class = ?, pause_reason = ?, paused_at = ?
		WHERE id = ? AND (pause_class <> 'manual' OR ? = 'manual')`,
		why, reason, millis(now()), id, why)
	return explain("pause account", err)
}

// ResumeAccount ends a pause.
func (w *Writer) ResumeAccount(id AccountID) error {
	_, err := w.tx.Exec(`UPDATE account SET state = 'active', pause_class = '', pause_reason = '', paused_at = NULL
		WHERE id = ?`, id)
	return explain("resume account", err)
}

// MarkSuccess notes that a pass over the account ended.
func (w *Writer) MarkSuccess(id AccountID, at time.Time) error {
	_, err := w.tx.Exec(`UPDATE account SET last_success_at = ? WHERE id = ?`, millis(at), id)
	return explain("mark success", err)
}

// Sizes is what is known of how an account's server computes RFC822.SIZE.
// Package engine/plan decides what follows from it.
type Sizes struct {
	Wrong bool  // it computes them wrongly
	Short int   // until then: messages that came twice alike and shorter than their size
	Lack  int64 // octets: the most that one of them lacked
	Zero  bool  // it says 0 of messages that are not empty
}

// SizesOf gives what is known of an account's server. Lack is kept only for
// servers that are Wrong.
func (r *Reader) SizesOf(id AccountID) (s Sizes, err error) {
	err = r.snap.QueryRow(`SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'size_wrong:' || ?1),
		coalesce((SELECT value FROM meta WHERE key = 'size_short:' || ?1), 0),
		coalesce((SELECT value FROM meta WHERE key = 'size_wrong:' || ?1), 0),
		EXISTS (SELECT 1 FROM meta WHERE key = 'size_zero:' || ?1)`, id).Scan(&s.Wrong, &s.Short, &s.Lack, &s.Zero)
	return s, explain("read what is known of sizes", err)
}

// SetSizes writes it. For a server that is Wrong, one row says so and has Lack
// as its value.
func (w *Writer) SetSizes(id AccountID, s Sizes) error {
	if s.Zero {
		if _, err := w.tx.Exec(`INSERT INTO meta (key, value) VALUES ('size_zero:' || ?, 1) ON CONFLICT DO NOTHING`,
			id); err != nil {
			return explain("note sizes", err)
		}
	}
	if !s.Wrong && s.Short == 0 {
		return nil
	}
	if !s.Wrong {
		_, err := w.tx.Exec(`INSERT INTO meta (key, value) VALUES ('size_short:' || ?, ?) ON CONFLICT DO UPDATE
			SET value = excluded.value`, id, s.Short)
		return explain("note sizes", err)
	}
	if _, err := w.tx.Exec(`DELETE FROM meta WHERE key = 'size_short:' || ?`, id); err != nil {
		return explain("note sizes", err)
	}
	_, err := w.tx.Exec(`INSERT INTO meta (key, value) VALUES ('size_wrong:' || ?, ?) ON CONFLICT DO UPDATE
		SET value = excluded.value`, id, s.Lack)
	return explain("note sizes", err)
}
