package storage

import (
	"database/sql"
	"fmt"
	"strings"
	"time"

	"mailcote/storage/class"
	"mailcote/storage/internal/file"
)

// Fault is one thing that went wrong, as it is kept: class and scope, the
// server's own words, what comes next.
type Fault struct {
	ID          int64
	At          time.Time
	Account     AccountID // 0: none
	AccountName string
	Mailbox     MailboxID // 0: none
	MailboxPath string
	UID         UID // 0: none
	Task        TaskID
	Class       class.Class
	Scope       string
	Phase       string
	Command     string // without arguments
	ServerText  string
	Detail      string
	NextStep    string
	Attempt     int
	Stack       string
	Fingerprint string // equal for faults that are one problem
}

// MaxFaults bounds the error log; the oldest go first.
const MaxFaults = 20_000

// RecordFault keeps a fault.
func (w *Writer) RecordFault(f Fault) error {
	null := func(id int64) any {
		if id == 0 {
			return nil
		}
		return id
	}
	id, err := w.tx.Insert(`INSERT INTO sync_error (at, account_id, mailbox_id, uid, task_id, class, scope, phase,
		command, server_text, detail, next_step,
		attempt, stack, fingerprint) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		millis(f.At), null(int64(f.Account)), null(int64(f.Mailbox)), null(int64(f.UID)), null(int64(f.Task)),
		f.Class, f.Scope, f.Phase, f.Command,
		clip(f.ServerText), clip(f.Detail), f.NextStep, max(f.Attempt, 1), f.Stack, f.Fingerprint)
	if err != nil {
		return fmt.Errorf("record fault: %w", err)
	}
	_, err = w.tx.Exec(`DELETE FROM sync_error WHERE id <= ?`, id-MaxFaults)
	return explain("trim faults", err)
}

// clip bounds text that comes from a server.
func clip(s string) string {
	if len(s) > 1024 {
		s = s[:1024]
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

// Faults lists the faults at or after since, newest first, at most limit.
func (r *Reader) Faults(since time.Time, limit int) ([]Fault, error) {
	var all []Fault
	rows, err := r.snap.Query(`SELECT x.id, x.at, coalesce(x.account_id, 0), coalesce(a.name, ''),
		coalesce(x.mailbox_id, 0), coalesce(m.path, ''), coalesce(x.uid, 0),
		coalesce(x.task_id, 0), x.class, x.scope, x.phase, x.command, x.server_text, x.detail, x.next_step, x.attempt,
		x.stack, x.fingerprint
		FROM sync_error x LEFT JOIN account a ON a.id = x.account_id LEFT JOIN mailbox m ON m.id = x.mailbox_id
		WHERE x.at >= ? ORDER BY x.at DESC, x.id DESC LIMIT ?`, max(millis(since), 0), limit)
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		var f Fault
		var at int64
		err := rows.Scan(&f.ID, &at, &f.Account, &f.AccountName, &f.Mailbox, &f.MailboxPath, &f.UID, &f.Task,
			&f.Class, &f.Scope, &f.Phase,
			&f.Command, &f.ServerText, &f.Detail, &f.NextStep, &f.Attempt, &f.Stack, &f.Fingerprint)
		f.At = time.UnixMilli(at).UTC()
		all = append(all, f)
		return err
	})
}

// CountFaults counts the faults at or after since, by account.
func (r *Reader) CountFaults(since time.Time) (map[AccountID]int, error) {
	all := map[AccountID]int{}
	rows, err := r.snap.Query(`SELECT account_id, count(*) FROM sync_error WHERE at >= ? AND account_id IS NOT NULL
		GROUP BY account_id`,
		max(millis(since), 0))
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		var id AccountID
		var n int
		err := rows.Scan(&id, &n)
		all[id] = n
		return err
	})
}

// FaultGroup is one problem: the faults with one fingerprint.
type FaultGroup struct {
	First, Last time.Time // among those counted
	Count       int
	Fault       Fault // the latest
}

// FaultGroups lists the problems with a fault at or after since, the latest
// first, at most limit. Faults before since are not counted.
func (r *Reader) FaultGroups(since time.Time, limit int) ([]FaultGroup, error) {
	var all []FaultGroup
	rows, err := r.snap.Query(`WITH problem AS MATERIALIZED (SELECT max(id) AS id, min(at) AS first, max(at) AS last,
		count(*) AS n FROM sync_error WHERE at >= ?
		GROUP BY CASE fingerprint WHEN '' THEN 'of ' || id ELSE fingerprint END)
		SELECT p.first, p.last, p.n, x.id, x.at, coalesce(x.account_id, 0), coalesce(a.name, ''),
		coalesce(x.mailbox_id, 0), coalesce(m.path, ''), coalesce(x.uid, 0),
		coalesce(x.task_id, 0), x.class, x.scope, x.phase, x.command, x.server_text, x.detail, x.next_step, x.attempt,
		x.stack, x.fingerprint
		FROM problem p CROSS JOIN sync_error x ON x.id = p.id LEFT JOIN account a ON a.id = x.account_id
		LEFT JOIN mailbox m ON m.id = x.mailbox_id
		ORDER BY p.last DESC, p.id DESC LIMIT ?`, max(millis(since), 0), limit)
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		var g FaultGroup
		var first, last, at int64
		f := &g.Fault
		err := rows.Scan(&first, &last, &g.Count, &f.ID, &at, &f.Account, &f.AccountName, &f.Mailbox, &f.MailboxPath,
			&f.UID, &f.Task, &f.Class, &f.Scope, &f.Phase,
			&f.Command, &f.ServerText, &f.Detail, &f.NextStep, &f.Attempt, &f.Stack, &f.Fingerprint)
		g.First, g.Last, f.At = time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC(), time.UnixMilli(at).UTC()
		all = append(all, g)
		return err
	})
}

// Run is one pass over one account.
type Run struct {
	ID          RunID
	Account     AccountID
	StartedAt   time.Time
	EndedAt     time.Time // zero: under way
	Result      string    // complete, partial, failed or interrupted
	Mailboxes   int
	Fetched     int64
	Bytes       int64
	Quarantined int
	Detail      string
}

// StartRun opens a run. One that a dead process left open is closed as
// interrupted.
func (w *Writer) StartRun(account AccountID) (RunID, error) {
	at := millis(now())
	if _, err := w.tx.Exec(`UPDATE sync_run SET ended_at = ?, result = 'interrupted'
		WHERE account_id = ? AND ended_at IS NULL`, at, account); err != nil {
		return 0, fmt.Errorf("close the run before: %w", err)
	}
	id, err := w.tx.Insert(`INSERT INTO sync_run (account_id, started_at) VALUES (?, ?)`, account, at)
	if err != nil {
		return 0, fmt.Errorf("start run: %w", err)
	}
	return RunID(id), nil
}

// CountRun adds what a batch brought to its run, in the batch's own
// transaction.
func (w *Writer) CountRun(id RunID, fetched int, bytes int64) error {
	_, err := w.tx.Exec(`UPDATE sync_run SET fetched = fetched + ?, bytes = bytes + ? WHERE id = ?`, fetched, bytes, id)
	return explain("count run", err)
}

// EndRun closes a run with its result.
func (w *Writer) EndRun(id RunID, result, detail string, mailboxes, quarantined int) error {
	_, err := w.tx.Exec(`UPDATE sync_run SET ended_at = ?, result = ?, detail = ?, mailboxes = ?, quarantined = ?
		WHERE id = ? AND ended_at IS NULL`,
		millis(now()), result, clip(detail), mailboxes, quarantined, id)
	return explain("end run", err)
}

const runColumns = `id, account_id, started_at, ended_at, coalesce(result, ''), mailboxes, fetched, bytes,
	quarantined, detail`

func scanRun(row interface{ Scan(...any) error }) (Run, error) {
	var run Run
	var started int64
	var ended *int64
	err := row.Scan(&run.ID, &run.Account, &started, &ended, &run.Result, &run.Mailboxes, &run.Fetched, &run.Bytes,
		&run.Quarantined,
		&run.Detail)
	run.StartedAt, run.EndedAt = time.UnixMilli(started).UTC(), fromMillis(ended)
	return run, missing("run", err)
}

// Run finds a run. Errors: ErrNotFound.
func (r *Reader) Run(id RunID) (Run, error) {
	return scanRun(r.snap.QueryRow(`SELECT `+runColumns+` FROM sync_run WHERE id = ?`, id))
}

// LastRun finds an account's last run. Errors: ErrNotFound.
func (r *Reader) LastRun(account AccountID) (Run, error) {
	return scanRun(r.snap.QueryRow(`SELECT `+runColumns+` FROM sync_run WHERE account_id = ? ORDER BY id DESC LIMIT 1`,
		account))
}
