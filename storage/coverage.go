package storage

import (
	"database/sql"
	"fmt"
	"slices"
)

// Coverage lists what is vouched for a generation of a mailbox, ascending and disjoint.
func (r *Reader) Coverage(mailbox MailboxID, validity UIDValidity, level Level) ([]Range, error) {
	var all []Range
	rows, err := r.Query(`SELECT lo, hi FROM coverage WHERE mailbox_id = ? AND uidvalidity = ? AND level = ? ORDER BY lo`, mailbox, validity, level)
	return all, Each(rows, err, func(rows *sql.Rows) error {
		var one Range
		err := rows.Scan(&one.Lo, &one.Hi)
		all = append(all, one)
		return err
	})
}

// cover adds ranges to what is vouched; neighbours become one row.
func (w *Writer) cover(mailbox MailboxID, validity UIDValidity, level Level, add []Range) error {
	for _, one := range add {
		if one.Lo == 0 || one.Hi < one.Lo {
			return fmt.Errorf("cover %d:%d: not a range of UIDs", one.Lo, one.Hi)
		}
		lo, hi := one.Lo, one.Hi
		var touching []UID
		rows, err := w.Query(`SELECT lo, hi FROM coverage WHERE mailbox_id = ?1 AND uidvalidity = ?2 AND level = ?3
			AND lo >= coalesce((SELECT max(lo) FROM coverage WHERE mailbox_id = ?1 AND uidvalidity = ?2 AND level = ?3 AND lo < ?4), 0)
			AND lo <= ?5 AND hi >= ?4 - 1`, mailbox, validity, level, lo, int64(hi)+1)
		if err := Each(rows, err, func(rows *sql.Rows) error {
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
			if _, err := w.Exec(`DELETE FROM coverage WHERE mailbox_id = ? AND uidvalidity = ? AND level = ? AND lo = ?`, mailbox, validity, level, start); err != nil {
				return fmt.Errorf("merge coverage: %w", err)
			}
		}
		if _, err := w.Exec(`INSERT INTO coverage (mailbox_id, uidvalidity, level, lo, hi) VALUES (?, ?, ?, ?, ?)`, mailbox, validity, level, lo, hi); err != nil {
			return fmt.Errorf("add coverage: %w", err)
		}
	}
	return nil
}

// MergeRanges sorts ranges and joins those that touch.
func MergeRanges(ranges []Range) []Range {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b Range) int { return int(int64(a.Lo) - int64(b.Lo)) })
	var out []Range
	for _, one := range sorted {
		if n := len(out); n > 0 && int64(one.Lo) <= int64(out[n-1].Hi)+1 {
			out[n-1].Hi = max(out[n-1].Hi, one.Hi)
		} else {
			out = append(out, one)
		}
	}
	return out
}
