package storage

import (
	"database/sql"
	"fmt"
	"time"

	"mailcote/storage/internal/file"
)

// Rate is one kind of limit of an account. A row vouches for nothing: it is
// what the engine had counted when it was written.
type Rate struct {
	Kind     string // connections, commands, messages or bytes
	Provider string
	Allowed  int64
	Window   time.Duration // 0: at once
	At       time.Time     // where the window begins
	Used     int64
	Pace     float64 // in (0, 1]
	Ceiling  int     // of connections, learned; 0: none
	Until    time.Time
	Resumes  time.Time // zero: the account does not rest
}

// slotAge is how long a slot is kept: longer than the day it counts for.
const slotAge = 25 * time.Hour

// RateSlot is what came from the server in ten minutes.
type RateSlot struct {
	At    time.Time
	Bytes int64
}

// Rates gives an account's limits, as they were last written.
func (r *Reader) Rates(account AccountID) (all []Rate, err error) {
	rows, err := r.snap.Query(`SELECT kind, provider, allowed, window_s, window_at, used, pace, ceiling,
		ceiling_until, resumes_at FROM rate
		WHERE account_id = ? ORDER BY kind`, account)
	err = file.Each(rows, err, func(rows *sql.Rows) error {
		var one Rate
		var window, at int64
		var ceiling, until, resumes *int64
		if err := rows.Scan(&one.Kind, &one.Provider, &one.Allowed, &window, &at, &one.Used, &one.Pace, &ceiling,
			&until, &resumes); err != nil {
			return err
		}
		one.Window, one.At = time.Duration(window)*time.Second, time.UnixMilli(at).UTC()
		if ceiling != nil && until != nil {
			one.Ceiling, one.Until = int(*ceiling), time.UnixMilli(*until).UTC()
		}
		if resumes != nil {
			one.Resumes = time.UnixMilli(*resumes).UTC()
		}
		all = append(all, one)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read limits: %w", err)
	}
	return all, nil
}

// RateSlots gives the slots that are still kept, the earliest first.
func (r *Reader) RateSlots(account AccountID) (all []RateSlot, err error) {
	rows, err := r.snap.Query(`SELECT at, bytes FROM rate_slot WHERE account_id = ? ORDER BY at`, account)
	err = file.Each(rows, err, func(rows *sql.Rows) error {
		var one RateSlot
		var at int64
		if err := rows.Scan(&at, &one.Bytes); err != nil {
			return err
		}
		one.At = time.UnixMilli(at).UTC()
		all = append(all, one)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read octets of the day: %w", err)
	}
	return all, nil
}

// PutRates replaces the account's limits and adds new slots. slots must be
// complete and oldest first. Of those the store has, only the newest may have
// grown. Slots that no day counts any more are deleted, and so are those that a
// wrong clock made.
func (w *Writer) PutRates(account AccountID, rows []Rate, slots []RateSlot, now time.Time) error {
	if _, err := w.tx.Exec(`DELETE FROM rate WHERE account_id = ?`, account); err != nil {
		return fmt.Errorf("write limits: %w", err)
	}
	for _, one := range rows {
		var ceiling, until, resumes any
		if one.Ceiling > 0 {
			ceiling, until = one.Ceiling, one.Until.UnixMilli()
		}
		if !one.Resumes.IsZero() {
			resumes = one.Resumes.UnixMilli()
		}
		if _, err := w.tx.Exec(`INSERT INTO rate (account_id, kind, provider, allowed, window_s, window_at, used,
			pace, ceiling, ceiling_until, resumes_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			account, one.Kind, one.Provider, one.Allowed, int64(one.Window/time.Second), one.At.UnixMilli(), one.Used,
			one.Pace, ceiling, until, resumes); err != nil {
			return fmt.Errorf("write limits: %w", err)
		}
	}
	if _, err := w.tx.Exec(`DELETE FROM rate_slot WHERE account_id = ?1 AND (at < ?2 OR at > ?3)`,
		account, now.Add(-slotAge).UnixMilli(), now.Add(slotAge).UnixMilli()); err != nil {
		return fmt.Errorf("forget octets of earlier days: %w", err)
	}
	var newest int64
	if err := w.tx.QueryRow(`SELECT coalesce(max(at), 0) FROM rate_slot WHERE account_id = ?`,
		account).Scan(&newest); err != nil {
		return fmt.Errorf("find octets of the day: %w", err)
	}
	for _, one := range slots {
		if one.At.UnixMilli() < newest {
			continue
		}
		if _, err := w.tx.Exec(`INSERT INTO rate_slot (account_id, at, bytes) VALUES (?, ?, ?)
			ON CONFLICT (account_id, at) DO UPDATE SET bytes = excluded.bytes`,
			account, one.At.UnixMilli(), one.Bytes); err != nil {
			return fmt.Errorf("write octets of the day: %w", err)
		}
	}
	return nil
}

// RateUse is a row of the view rate_limits: what an account uses now.
type RateUse struct {
	Provider, Kind string
	Used, Allowed  int64
	Window         time.Duration // 0: at once
	Pace           float64
	Learned        int // connections; 0: nothing was learned
	LearnedUntil   time.Time
	Resumes        time.Time // zero: the account does not rest
}

// moment reads a time of the view; an empty one is the zero time.
func moment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, text)
}

// RateUses gives what an account uses of its limits now.
func (r *Reader) RateUses(account string) (all []RateUse, err error) {
	rows, err := r.snap.Query(`SELECT provider, kind, used, allowed, window_seconds, pace, coalesce(learned, 0),
		coalesce(learned_until, ''), coalesce(resumes_at, '')
		FROM rate_limits WHERE account = ? ORDER BY kind`, account)
	err = file.Each(rows, err, func(rows *sql.Rows) error {
		var one RateUse
		var window int64
		var until, resumes string
		if err := rows.Scan(&one.Provider, &one.Kind, &one.Used, &one.Allowed, &window, &one.Pace, &one.Learned,
			&until, &resumes); err != nil {
			return err
		}
		one.Window = time.Duration(window) * time.Second
		var err error
		if one.LearnedUntil, err = moment(until); err == nil {
			one.Resumes, err = moment(resumes)
		}
		all = append(all, one)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read use of limits: %w", err)
	}
	return all, nil
}
