package salvage

import (
	"database/sql"
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"
)

// However links come, merging threads changes no more rows than each doubling of a thread needs. Here each link joins
// the large thread to an older one.
func TestThreadsOfSalvage(t *testing.T) {
	const n = 1000
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "t.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test that fails tells
	db.SetMaxOpenConns(1)
	for _, statement := range []string{"PRAGMA synchronous = OFF",
		"CREATE TABLE thread (id INTEGER PRIMARY KEY, account_id INTEGER, jmap_id TEXT)",
		"CREATE TABLE thread_reference (account_id INTEGER, key BLOB, thread_id INTEGER, PRIMARY KEY (account_id, " +
			"key))",
		"CREATE INDEX thread_reference_thread ON thread_reference (thread_id)",
		"CREATE TABLE email (id INTEGER PRIMARY KEY, thread_id INTEGER)",
		"CREATE INDEX email_thread ON email (thread_id)"} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	f := &filler{ctx: t.Context(), db: db, sizes: map[int64]int{}, o: Options{NewID: func(string) string {
		return "t"
	}}}
	if f.tx, err = db.Begin(); err != nil {
		t.Fatal(err)
	}
	defer f.tx.Rollback() //nolint:errcheck // as above
	began := time.Now()
	for i := range n {
		keys := [][]byte{fmt.Appendf(nil, "%d", i)}
		if link := n - i - 1; i >= n/2 { // from the last to the first
			keys = append(keys, fmt.Appendf(nil, "%d", link), fmt.Appendf(nil, "%d", max(link-1, 0)))
		}
		thread, err := f.thread(email{account: 1}, keys)
		if err == nil {
			_, err = f.tx.Exec("INSERT INTO email (thread_id) VALUES (?)", thread)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var threads, changes int
	if err := f.tx.QueryRow("SELECT count(DISTINCT thread_id), total_changes() FROM email").
		Scan(&threads, &changes); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rows changed in %v", changes, time.Since(began))
	if most := 4 * n * math.Log2(n); threads != 1 || float64(changes) > most {
		t.Errorf("%d threads, %d rows changed, at most %.0f may", threads, changes, most)
	}
}
