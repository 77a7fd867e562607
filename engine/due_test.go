package engine

import (
	"path/filepath"
	"testing"
	"time"

	"mailcote/storage"
	"mailcote/storage/tables"
)

// TestRetriesDue: a mailbox is due exactly when one of its messages is.
func TestRetriesDue(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "t.db"), Options{}).account("127.0.0.1", 143)
	type row struct {
		tries int
		ago   time.Duration
		asked bool
	}
	minute, day := time.Minute, 24*time.Hour
	for name, rows := range map[string][]row{
		"none":                       {},
		"just tried":                 {{1, 0, false}},
		"one try, after its wait":    {{1, minute, false}},
		"five tries, within it":      {{5, 15 * minute, false}},
		"five tries, after it":       {{5, 16 * minute, false}},
		"many tries, within a day":   {{40, day - minute, false}},
		"many tries, after a day":    {{40, day, false}},
		"one of several":             {{1, 0, false}, {2, 0, false}, {2, 3 * minute, false}, {9, minute, false}},
		"none of several":            {{1, 0, false}, {2, minute, false}, {9, 3 * minute, false}},
		"asked for":                  {{40, 0, true}},
		"asked for, among others":    {{1, 0, false}, {1, 0, true}, {1, 0, false}},
		"the clock was set back":     {{1, -time.Hour, false}},
		"set back, and an older one": {{1, 0, false}, {1, -time.Hour, false}},
	} {
		for _, once := range []bool{false, true} {
			now := time.Now()
			worker := &worker{e: w.engine, stream: stream{account: w.engine.account(w.id), once: once},
				started: now.Add(-time.Hour)}
			err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
				db := tables.In(tx)
				if _, err := db.Exec(`DELETE FROM mailbox`); err != nil {
					return err
				}
				box, err := tx.PutMailbox(storage.Mailbox{Account: w.id, Raw: "INBOX", Path: "INBOX", Selectable: true,
					Priority: 5})
				if err != nil {
					return err
				}
				for i, one := range rows {
					if err := tx.Quarantine(storage.Quarantined{Mailbox: box, UID: storage.UID(i + 1), Reason: "x",
						Claimed: -1}); err != nil {
						return err
					}
					if _, err := db.Exec(`UPDATE quarantine SET attempts = ?, last_at = ?,
						asked_at = iif(?, 1, NULL) WHERE uid = ?`,
						one.tries, now.Add(-one.ago).UnixMilli(), one.asked, i+1); err != nil {
						return err
					}
				}
				want := false
				all, err := tx.QuarantineOf(w.id)
				for _, q := range all {
					want = want || worker.mayRetry(q)
				}
				due, failed := worker.retriesDue(&tx.Reader)
				if due[box] != want || err != nil || failed != nil || len(all) != len(rows) {
					t.Errorf("%s, once %v: due %v, want %v; %d rows, %v %v", name, once, due[box], want, len(all), err,
						failed)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
