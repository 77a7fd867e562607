package storage

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"mailcote/storage/class"
	"mailcote/storage/internal/file"
)

// Breaker is an account or a host that failed and has done nothing useful
// since. It outlives the process, so that a restart does not knock where the
// process before had to wait. Its times may be another clock's than today's, so
// readers bound the wait.
type Breaker struct {
	Scope    string      // account:ID or host:NAME:PORT
	Class    class.Class // Manual: a retry by hand; Until is when the next one is let through
	Failures int         // in a row
	FailedAt time.Time
	Until    time.Time // nothing is tried before
	OpenedAt time.Time // zero: it is closed
	Detail   string    // the last fault in words
}

// Breakers gives every row.
func (r *Reader) Breakers() (all []Breaker, err error) {
	rows, err := r.snap.Query(`SELECT scope, class, failures, failed_at, until, opened_at, detail FROM breaker
		ORDER BY scope, class`)
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		var b Breaker
		var failed, until int64
		var opened *int64
		if err := rows.Scan(&b.Scope, &b.Class, &b.Failures, &failed, &until, &opened, &b.Detail); err != nil {
			return fmt.Errorf("read breaker: %w", err)
		}
		b.FailedAt, b.Until = time.UnixMilli(failed).UTC(), time.UnixMilli(until).UTC()
		if opened != nil {
			b.OpenedAt = time.UnixMilli(*opened).UTC()
		}
		all = append(all, b)
		return nil
	})
}

// PutBreaker writes a row and replaces an earlier one.
func (w *Writer) PutBreaker(b Breaker) error {
	var opened any
	if !b.OpenedAt.IsZero() {
		opened = b.OpenedAt.UnixMilli()
	}
	if _, err := w.tx.Exec(`INSERT INTO breaker (scope, class, failures, failed_at, until, opened_at, detail)
		VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (scope, class) DO UPDATE SET failures = excluded.failures, failed_at = excluded.failed_at,
		until = excluded.until,
		opened_at = excluded.opened_at, detail = excluded.detail`,
		b.Scope, b.Class, b.Failures, b.FailedAt.UnixMilli(), b.Until.UnixMilli(), opened, b.Detail); err != nil {
		return fmt.Errorf("note breaker: %w", err)
	}
	return nil
}

// DropBreakers forgets the faults of a scope. A retry by hand stays.
func (w *Writer) DropBreakers(scope string) error {
	if _, err := w.tx.Exec(`DELETE FROM breaker WHERE scope = ? AND class <> 'manual'`, scope); err != nil {
		return fmt.Errorf("forget breaker: %w", err)
	}
	return nil
}

// RequestRetry notes that a retry of an account was asked for by hand. Less
// than gap after the last one it changes nothing and gives the time from which
// the next is let through. Otherwise it gives the zero time.
func (w *Writer) RequestRetry(scope string, now time.Time, gap time.Duration) (again time.Time, err error) {
	var until int64
	err = w.tx.QueryRow(`SELECT until FROM breaker WHERE scope = ? AND class = 'manual'`, scope).Scan(&until)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, fmt.Errorf("find retry: %w", err)
	}
	if left := time.UnixMilli(until).Sub(now); err == nil && left > 0 && left <= gap { // more: the clock was set back
		return now.Add(left), nil
	}
	return time.Time{}, w.PutBreaker(Breaker{Scope: scope, Class: class.Manual, Failures: 1, FailedAt: now,
		Until: now.Add(gap)})
}
