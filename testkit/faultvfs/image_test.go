package faultvfs

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
)

// ledger runs commits of one row each under a synchronous mode. acked[i] is the length of the log when commit i+1 was
// acknowledged.
func ledger(t *testing.T, mode string, commits int) (l *Log, acked []int) {
	t.Helper()
	if err := Register(); err != nil {
		t.Fatal(err)
	}
	Reset()
	dir := t.TempDir()
	l, err := Record(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Stop()
	db := dial(t, filepath.Join(dir, "t.db"), "journal_mode(WAL)", "synchronous("+mode+")", "wal_autocheckpoint(40)")
	exec(t, db, `CREATE TABLE t (n INTEGER PRIMARY KEY, pad BLOB)`)
	for range commits {
		exec(t, db, `INSERT INTO t (pad) VALUES (randomblob(3000))`)
		acked = append(acked, l.Len())
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return l, acked
}

// verdict looks at one image: damaged says that SQLite does, rows how many of 1..rows are there (-1: the table is not).
func verdict(t *testing.T, files map[string][]byte) (damaged bool, rows int) {
	t.Helper()
	dir := t.TempDir()
	if err := Place(dir, files); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "t.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var said string
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&said); err != nil || said != "ok" {
		return true, -1
	}
	var n, last int
	if err := db.QueryRow(`SELECT count(*), coalesce(max(n), 0) FROM t`).Scan(&n, &last); err != nil {
		return false, -1
	}
	return n != last, n
}

// The images show what each mode is worth: FULL is the positive control, NORMAL loses commits and OFF the file.
func TestImages(t *testing.T) {
	for mode, want := range map[string]struct{ damaged, lost bool }{"FULL": {}, "NORMAL": {lost: true},
		"OFF": {damaged: true, lost: true}} {
		t.Run(mode, func(t *testing.T) {
			l, acked := ledger(t, mode, 150)
			random := rand.New(rand.NewPCG(7, 7))
			cuts := make([]int, 60)
			for i := range cuts {
				cuts[i] = acked[0] + random.IntN(l.Len()-acked[0])
			}
			slices.Sort(cuts)
			d := l.Disk()
			damaged, lost := 0, 0
			for _, cut := range cuts {
				d.Advance(cut)
				due, _ := slices.BinarySearch(acked, cut+1) // acknowledged by then
				bad, rows := verdict(t, d.Lose(random))
				if bad {
					damaged++
				} else if rows < due {
					lost++
				}
			}
			t.Logf("%d images: %d damaged, %d lost a commit", len(cuts), damaged, lost)
			if damaged > 0 != want.damaged || damaged+lost > 0 != want.lost {
				t.Errorf("damaged: want %v, lost: want %v", want.damaged, want.lost)
			}
		})
	}
}

// Whatever is unsynced is kept, dropped or torn; what is synced stays.
func TestLose(t *testing.T) {
	l := &Log{base: map[string][]byte{"a": []byte("old")}, ops: []operation{
		{kind: written, name: "a", offset: 3, bytes: slices.Repeat([]byte("x"), sector)},
		{kind: synced, name: "a", before: 1},
		{kind: written, name: "a", offset: 0, bytes: slices.Repeat([]byte("y"), 2*sector)},
		{kind: opened, name: "b"},
		{kind: synced, name: "a", before: 2}, // it began before the second write
		{kind: truncated, name: "a", offset: 1},
		{kind: deleted, name: "b"},
	}}
	shapes := func(cut int) map[string]int {
		seen := map[string]int{}
		random := rand.New(rand.NewPCG(1, 2))
		for range 300 {
			d := l.Disk()
			d.Advance(cut)
			left := d.Lose(random)
			_, b := left["b"]
			a := left["a"]
			seen[fmt.Sprint(len(a), " ", string(a[0]), string(a[len(a)-1]), " ", b)]++
		}
		return seen
	}
	want := func(cut int, all ...string) {
		t.Helper()
		seen := shapes(cut)
		for _, one := range all {
			if seen[one] == 0 {
				t.Errorf("cut %d: never %q in %v", cut, one, seen)
			}
		}
		if len(seen) != len(all) {
			t.Errorf("cut %d: %v, want %v", cut, seen, all)
		}
	}
	want(0, "3 od false")
	want(1, "3 od false", "515 ox false") // no more than a sector: not torn
	want(2, "515 ox false")
	want(3, "515 ox false", "1024 yy false", "515 yx false", "1024 oy false")
	want(5, "515 ox true", "1024 yy true", "515 yx true", "1024 oy true")
}
