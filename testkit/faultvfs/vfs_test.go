package faultvfs

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"modernc.org/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open gives a database on the VFS with the table t (n) in it and all counts at zero.
func open(t *testing.T, journal string) (*sql.DB, string) {
	t.Helper()
	if err := Register(); err != nil {
		t.Fatal(err)
	}
	Reset()
	t.Cleanup(Reset)
	path := filepath.Join(t.TempDir(), "t.db")
	db := dial(t, path, "journal_mode("+journal+")", "synchronous(FULL)")
	exec(t, db, `CREATE TABLE t (n INTEGER PRIMARY KEY, pad BLOB)`)
	Reset()
	return db, path
}

func dial(t *testing.T, path string, pragmas ...string) *sql.DB {
	t.Helper()
	dsn := "file:" + path + "?vfs=" + Name
	for _, p := range pragmas {
		dsn += "&_pragma=" + p
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func exec(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func wantCode(t *testing.T, err error, code int) {
	t.Helper()
	var e *sqlite.Error
	if !errors.As(err, &e) || e.Code() != code {
		t.Fatalf("got %v, want code %d", err, code)
	}
}

func insert(db *sql.DB) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO t (pad) VALUES (randomblob(100))`); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func wantRows(t *testing.T, db *sql.DB, want int) {
	t.Helper()
	var n int
	var ok string
	if err := db.QueryRow(`SELECT count(*) FROM t`).Scan(&n); err != nil || n != want {
		t.Fatalf("%d rows, %v; want %d", n, err, want)
	}
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&ok); err != nil || ok != "ok" {
		t.Fatalf("integrity_check: %q, %v", ok, err)
	}
}

func wantFired(t *testing.T, want int) {
	t.Helper()
	if got := Fired(); got != want {
		t.Fatalf("%d faults happened, want %d", got, want)
	}
}

// COMMIT itself must report what happened to it.
func TestCommitFails(t *testing.T) {
	for name, tt := range map[string]struct {
		op   string
		code int
	}{
		"fsync":      {Sync, IOErrSync},
		"full":       {Write, Full},
		"write":      {Write, IOErrWrite},
		"other code": {Sync, 10},
	} {
		t.Run(name, func(t *testing.T) {
			db, _ := open(t, "WAL")
			if err := insert(db); err != nil {
				t.Fatal(err)
			}
			Fail(tt.op, "-wal", 1, tt.code)
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(`INSERT INTO t DEFAULT VALUES`); err != nil {
				t.Fatalf("before the commit: %v", err)
			}
			wantCode(t, tx.Commit(), tt.code)
			wantFired(t, 1)
			// database/sql thinks the transaction is over, SQLite may not.
			_, _ = db.Exec("ROLLBACK")
			if err := insert(db); err != nil {
				t.Fatalf("the fault was for one call: %v", err)
			}
			wantRows(t, db, 2)
		})
	}
}

func TestNthCall(t *testing.T) {
	for nth := 1; nth <= 5; nth++ {
		db, _ := open(t, "WAL")
		for range 2 {
			if err := insert(db); err != nil {
				t.Fatal(err)
			}
		}
		// In WAL mode under FULL a commit syncs the log once; the count of a fault begins at the Fail.
		if got := Calls(Sync, "-wal"); got != 2 {
			t.Fatalf("%d syncs of the log for two commits", got)
		}
		before := Calls(Sync, "-wal")
		Fail(Sync, "-wal", nth, IOErrSync)
		for i := 1; i <= 6; i++ {
			err := insert(db)
			if (err != nil) != (i == nth) {
				t.Fatalf("nth %d: commit %d gave %v", nth, i, err)
			}
			if err != nil {
				wantCode(t, err, IOErrSync)
				_, _ = db.Exec("ROLLBACK")
			}
		}
		if got := Calls(Sync, "-wal") - before; got != 6 {
			t.Fatalf("%d calls counted for 6 commits", got)
		}
		wantFired(t, 1)
		wantRows(t, db, 7)
	}
}

// The log is full until space comes back; nothing that was committed is lost, also on disk.
func TestFullUntilReset(t *testing.T) {
	db, path := open(t, "WAL")
	if err := insert(db); err != nil {
		t.Fatal(err)
	}
	FailFrom(Write, "-wal", 1, Full)
	for range 3 {
		wantCode(t, insert(db), Full)
		_, _ = db.Exec("ROLLBACK")
	}
	wantRows(t, db, 1) // reading goes on
	if Fired() < 3 {
		t.Fatalf("%d faults happened", Fired())
	}
	Reset()
	if err := insert(db); err != nil {
		t.Fatal(err)
	}
	wantRows(t, db, 2)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wantRows(t, dial(t, path), 2)
}

// Only the named file fails: the log may be written while the database file may not.
func TestSuffix(t *testing.T) {
	db, _ := open(t, "WAL")
	FailFrom(Write, ".db", 1, IOErrWrite)
	for range 3 {
		if err := insert(db); err != nil {
			t.Fatal(err)
		}
	}
	wantFired(t, 0)
	_, err := db.Exec(`PRAGMA wal_checkpoint(FULL)`)
	wantCode(t, err, IOErrWrite)
	Reset()
	exec(t, db, `PRAGMA wal_checkpoint(FULL)`)
	if Calls(Write, ".db") == 0 || Calls(Write, "-wal") != 0 {
		t.Fatalf("a checkpoint wrote the database %d and the log %d times", Calls(Write, ".db"), Calls(Write, "-wal"))
	}
	wantRows(t, db, 3)
}

func TestOpenReadTruncate(t *testing.T) {
	db, path := open(t, "WAL")
	if err := insert(db); err != nil {
		t.Fatal(err)
	}
	FailFrom(Truncate, "-wal", 1, IOErrTruncate)
	_, err := db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
	wantCode(t, err, IOErrTruncate)
	Reset()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	FailFrom(Open, ".db", 1, CantOpen)
	var n int
	wantCode(t, dial(t, path).QueryRow(`SELECT count(*) FROM t`).Scan(&n), CantOpen)
	Reset()

	Fail(Read, ".db", 2, IOErrRead)
	wantCode(t, dial(t, path).QueryRow(`SELECT count(*) FROM t`).Scan(&n), IOErrRead)
	wantFired(t, 1)
	Reset()
	wantRows(t, dial(t, path), 1)
}

func TestDeleteLockMap(t *testing.T) {
	db, path := open(t, "DELETE")
	Fail(Delete, "-journal", 1, IOErrDelete)
	wantCode(t, insert(db), IOErrDelete)
	_, _ = db.Exec("ROLLBACK")
	wantFired(t, 1)
	Reset()
	Fail(Lock, ".db", 1, IOErrLock)
	wantCode(t, insert(db), IOErrLock)
	wantFired(t, 1)
	Reset()
	if err := insert(db); err != nil {
		t.Fatal(err)
	}
	exec(t, db, "PRAGMA journal_mode=WAL")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	Fail(Map, ".db", 1, IOErrShmSize)
	var n int
	wantCode(t, dial(t, path).QueryRow("SELECT count(*) FROM t").Scan(&n), IOErrShmSize)
	wantFired(t, 1)
	Reset()
	if err := dial(t, path).QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n == 0 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestRollbackJournal(t *testing.T) {
	db, _ := open(t, "TRUNCATE")
	if err := insert(db); err != nil {
		t.Fatal(err)
	}
	if Calls(Truncate, "-journal") == 0 || Calls(Sync, ".db") == 0 {
		t.Fatalf("%d truncates, %d syncs", Calls(Truncate, "-journal"), Calls(Sync, ".db"))
	}
	Fail(Sync, ".db", 1, IOErrSync)
	wantCode(t, insert(db), IOErrSync)
	_, _ = db.Exec("ROLLBACK")
	wantRows(t, db, 1)
}

// Many connections at once: the tables behind the callbacks are shared.
func TestConcurrent(t *testing.T) {
	_, path := open(t, "WAL")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				db, err := sql.Open("sqlite",
					"file:"+path+"?vfs="+Name+"&_pragma=busy_timeout(20000)&_txlock=immediate")
				if err == nil {
					err = errors.Join(insert(db), db.Close())
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	wantRows(t, dial(t, path), 40)
	files.mu.Lock()
	defer files.mu.Unlock()
	for _, f := range files.open {
		if !strings.HasPrefix(f.name, path) {
			t.Errorf("%s is still remembered", f.name)
		}
	}
}

func TestBadFault(t *testing.T) {
	for _, bad := range []func(){
		func() { Fail("fsync", "", 1, 1) }, func() { Fail(Sync, "", 0, 1) }, func() { Fail(Sync, "", 1, 0) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("accepted")
				}
			}()
			bad()
		}()
	}
}

// Without the VFS's name in the DSN nothing is touched.
func TestOthersUntouched(t *testing.T) {
	_, path := open(t, "WAL")
	FailFrom(Write, "", 1, Full)
	db, err := sql.Open("sqlite", "file:"+path+".other")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec(t, db, `CREATE TABLE t (n INTEGER PRIMARY KEY)`)
	wantFired(t, 0)
	if st, err := os.Stat(path + ".other"); err != nil || st.Size() == 0 {
		t.Fatalf("%v, %v", st, err)
	}
}
