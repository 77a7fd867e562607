package schema

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) (*sql.DB, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mail.db")
	if err := Create(t.Context(), "file:"+path, path); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db, path
}

func number(t *testing.T, db *sql.DB, query string) (n int) {
	t.Helper()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestMigrateEmpty(t *testing.T) {
	db, path := open(t)
	if err := Check(t.Context(), db, path); !errors.Is(err, errEmpty) {
		t.Errorf("an empty file: %v", err)
	}
	for range 2 {
		if err := Migrate(t.Context(), db, path); err != nil {
			t.Fatal(err)
		}
	}
	if n := number(t, db, "PRAGMA user_version"); n != Version() {
		t.Errorf("user_version %d", n)
	}
	if files, err := filepath.Glob(path + ".*"); err != nil || len(files) > 0 {
		t.Errorf("an empty file was copied: %v", files)
	}
}

// A step that fails leaves nothing of itself.
func TestStepsAreAtomic(t *testing.T) {
	db, path := open(t)
	if err := Migrate(t.Context(), db, path); err != nil {
		t.Fatal(err)
	}
	if err := step(t.Context(), db, Version()+1, `CREATE TABLE half (a); CREATE TABLE half (a);`); err == nil {
		t.Fatal("a broken step passed")
	}
	if n := number(t, db, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'"); n != 0 {
		t.Error("half a step stayed")
	}
	if n := number(t, db, "PRAGMA user_version"); n != Version() {
		t.Errorf("user_version %d", n)
	}
}

func TestCopyBeforeMigrating(t *testing.T) {
	db, path := open(t)
	if err := Migrate(t.Context(), db, path); err != nil {
		t.Fatal(err)
	}
	backup := path + ".v1.bak"
	if err := copyBefore(t.Context(), db, backup); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(backup)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
		t.Errorf("%v, %v", info, err)
	}
	kept, err := sql.Open("sqlite", "file:"+backup+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close() //nolint:errcheck // it was only read
	if n := number(t, kept, "SELECT count(*) FROM meta"); n != number(t, db, "SELECT count(*) FROM meta") {
		t.Errorf("the copy has %d facts", n)
	}
	// A migration that was killed, in the copy or behind it, keeps nobody from the next one.
	if _, err := db.Exec("INSERT INTO meta (key, value) VALUES ('later', 1)"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(backup+".new", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := copyBefore(t.Context(), db, backup); err != nil {
		t.Fatal(err)
	}
	again, err := sql.Open("sqlite", "file:"+backup+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close() //nolint:errcheck // it was only read
	if n := number(t, again, "SELECT count(*) FROM meta WHERE key = 'later'"); n != 1 {
		t.Error("the copy is an older one")
	}
	if files, err := filepath.Glob(path + ".v1.bak*"); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}
