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
		if err := Migrate(t.Context(), db, path, Options{}); err != nil {
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
	if err := Migrate(t.Context(), db, path, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := apply(t.Context(), db, Version(), []string{`CREATE TABLE half (a); CREATE TABLE half (a);`}); err == nil {
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
	if err := Migrate(t.Context(), db, path, Options{}); err != nil {
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

// A migration may rebuild a table that others refer to. One that would leave rows without what they refer to is
// undone, and the connection has its foreign keys again either way.
func TestRebuild(t *testing.T) {
	db, path := open(t)
	if err := Migrate(t.Context(), db, path, Options{}); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`INSERT INTO account (id, name, user, host, port, security, created_at) VALUES
			(1, 'a', 'a', 'h', 1, 'tls', 1), (2, 'b', 'b', 'h', 1, 'tls', 1), (7, 'c', 'c', 'h', 1, 'tls', 1)`,
		`DELETE FROM account WHERE id = 7`,
		`INSERT INTO mailbox (account_id, raw, path) VALUES (1, x'41', 'A'), (2, x'42', 'B')`,
		`CREATE INDEX account_host ON account (host)`,
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	var table string
	if err := db.QueryRow(`SELECT replace(sql, '"account"', 'account_rebuilt') FROM sqlite_schema
		WHERE name = 'account'`).Scan(&table); err != nil {
		t.Fatal(err)
	}
	const columns = `id, name, user, host, port, security, created_at`
	rebuilding := table + `; INSERT INTO account_rebuilt (` + columns + `) SELECT ` + columns + ` FROM account WHERE `
	const countObjects = `SELECT count(*) FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL`
	objects := number(t, db, countObjects)
	for name, c := range map[string]struct {
		text string
		fine bool
	}{
		"loses a row":    {rebuilding + "id = 1;\n--! replace account\n", false},
		"fails after it": {rebuilding + "true;\n--! replace account\nSELECT nosuch;", false},
		"unknown order":  {rebuilding + "true;\n--! exchange account\n", false},
		"keeps all":      {rebuilding + "true;\n--! replace account\nCREATE TABLE later (a);", true},
	} {
		if err := apply(t.Context(), db, Version(), []string{c.text}); (err == nil) != c.fine {
			t.Errorf("%s: %v", name, err)
		}
		if on := number(t, db, "PRAGMA foreign_keys"); on != 1 {
			t.Errorf("%s: foreign keys are off", name)
		}
		if n := number(t, db, "SELECT (SELECT count(*) FROM account) * 10 + (SELECT count(*) FROM mailbox)"); n != 22 {
			t.Errorf("%s: %d accounts and mailboxes", name, n)
		}
		if n := number(t, db, countObjects); n != objects {
			t.Errorf("%s: %d indexes, views and triggers of %d", name, n, objects)
		}
		if n := number(t, db, "SELECT seq FROM sqlite_sequence WHERE name = 'account'"); n != 7 {
			t.Errorf("%s: the next key follows %d", name, n)
		}
	}
}

// A damaged store that has forgotten its tables is read by the places where a new store has them. So each table
// before the search index has one place, whatever schema a store began with, however full it is, and also when
// its index was made anew before.
func TestTablesKeepTheirPlace(t *testing.T) {
	texts, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	const first = `type = 'table' AND name IN ('meta', 'account', 'mailbox', 'blob', 'blob_piece', 'thread',
		'thread_reference', 'email',
		'entry', 'coverage')`
	places := func(db *sql.DB) (s string) {
		t.Helper()
		if err := db.QueryRow(`SELECT group_concat(name || ' ' || rootpage, ', ' ORDER BY rootpage) FROM sqlite_schema
			WHERE ` + first).Scan(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	fresh, path := open(t)
	if err := Migrate(t.Context(), fresh, path, Options{}); err != nil {
		t.Fatal(err)
	}
	if n := number(t, fresh, `SELECT count(*) FROM sqlite_schema WHERE `+first+`
		AND rootpage > (SELECT rootpage FROM sqlite_schema WHERE name = 'search_data')`); n != 0 {
		t.Errorf("%d tables are behind the search index", n)
	}
	search := SearchTable("search")
	const full = `WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s LIMIT 2000)
		INSERT INTO account (name, user, host, port, security, created_at) SELECT n, n, 'h', 1, 'tls', 1 FROM s;
		INSERT INTO mailbox (account_id, raw, path) SELECT id, CAST(name AS BLOB), name FROM account;
		INSERT INTO thread (account_id, jmap_id) SELECT id, 't' || id FROM account`
	for version := 1; version < len(texts); version++ {
		for name, past := range map[string]string{"empty": "", "full": full, "renewed": "DROP TABLE search; " + search,
			"full and renewed": full + "; DROP TABLE search; " + search} {
			db, _ := open(t)
			if err := apply(t.Context(), db, 0, texts[:version]); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(past); err != nil {
				t.Fatal(err)
			}
			if err := apply(t.Context(), db, version, texts[version:]); err != nil {
				t.Fatal(err)
			}
			if got, want := places(db), places(fresh); got != want {
				t.Errorf("from schema %d, %s:\n%s\nnot\n%s", version, name, got, want)
			}
		}
	}
}
