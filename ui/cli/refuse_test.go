package cli_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailcote/storage"
	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
)

func (r *rig) logins() int {
	r.t.Helper()
	n, err := r.server.Logins()
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// TestWrongPassword is bar 9. It sends a wrong password once and not again: not by itself, not after a restart;
// only when a person asks.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{Users: map[string]string{dovecot.User: dovecot.Password, "bob": "open"}})
	r.fill(31, 30, 2, corpus.Options{AvgSize: 3000})
	r.server.Deliver(t, "bob", "INBOX", []byte("Subject: hello\r\n\r\nBob\r\n"), dovecot.Options{})
	before := r.logins()
	o := r.exits(77, "sync", r.urlWith("wrong"), "--no-secret-file", "--once")
	if strings.Count("\n"+o.errs, "\nmailcote: ") != 1 || !strings.Contains(o.errs, "check the password") ||
		!strings.Contains(o.errs, "mailcote sync "+r.name()) {
		t.Errorf("stderr: %s", o.errs)
	}
	if n := r.logins() - before; n != 1 {
		t.Fatalf("%d sign-ins with the wrong password, want 1", n)
	}
	if o := r.exits(0, "status", "--json"); !strings.Contains(o.out, `"state":"paused"`) ||
		!strings.Contains(o.out, "mailcote sync") {
		t.Errorf("status: %s", o.out)
	}

	// Kept this time, so that run could send it. Beside it an account that works shows that run does work.
	before = r.logins()
	r.exits(77, "sync", r.urlWith("wrong"))
	bob := url.URL{Scheme: "imap", User: url.UserPassword("bob", "open"), Host: r.addr}
	r.exits(0, "sync", bob.String())
	if n := r.logins() - before; n != 2 {
		t.Fatalf("%d sign-ins when a person asked for two, want 2", n)
	}
	before = r.logins()
	const restarts = 10
	for i := range restarts {
		r.runs(func() {
			r.awaits(int64(2+i), `SELECT count(*) AS n FROM sync_runs
				WHERE account LIKE 'bob%' AND ended_at IS NOT NULL`)
		})
	}
	if n := r.logins() - before; n != restarts {
		t.Errorf("%d sign-ins under run, started %d times, want bob's alone", n, restarts)
	}
	t.Logf("1 sign-in with the wrong password, and none more in %d starts of run", restarts)

	// The right one, by a person: everything goes on.
	r.exits(0, "sync", r.url())
	if n := r.number(`SELECT count(*) AS n FROM mail WHERE account = '` + r.name() + `'`); n != 30 {
		t.Errorf("%d messages after the right password", n)
	}
	r.sound()
	r.settled()
}

// runs has `mailcote run` at work while fn runs, and ends it with Ctrl-C.
func (r *rig) runs(fn func()) {
	r.t.Helper()
	p := r.start("run", "--port", "0", "--json")
	r.ready(p)
	fn()
	if err := p.Signal(os.Interrupt); err != nil {
		r.t.Fatal(err)
	}
	if o := r.end(p); o.code != 0 {
		r.t.Fatalf("run ended with status %d: %s", o.code, o.errs)
	}
}

// ready waits until run says that it serves the page.
func (r *rig) ready(p interface {
	WaitLine(context.Context, func(string) bool) (string, error)
	Stderr() string
}) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	if _, err := p.WaitLine(ctx, func(s string) bool { return strings.Contains(s, `"ready"`) }); err != nil {
		r.t.Fatalf("%v: %s", err, p.Stderr())
	}
}

// TestServerDown waits as long as the contract says and no longer.
func TestServerDown(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, addr: nobody(t)}
	r.fresh()
	o := r.exits(75, "sync", r.url(), "--once")
	t.Logf("gave up after %v: %s", o.took, o.errs)
	if o.took > 36*time.Second { // 31 s of waiting, and what a busy machine adds
		t.Errorf("it took %v", o.took)
	}
	if strings.Count("\n"+o.errs, "\nmailcote: ") != 1 || !strings.Contains(o.errs, "could not be reached") ||
		!strings.Contains(o.errs, "check the network") {
		t.Errorf("stderr: %s", o.errs)
	}
	if n := r.number(`SELECT count(*) AS n FROM sync_tasks WHERE status = 'pending'`); n != 1 {
		t.Errorf("%d tasks wait, want 1", n)
	}
	r.sound()
}

// nobody is an address where nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestRefusals wants one clear line, with what to do, and the contract's status for each.
func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	r.fill(32, 20, 2, corpus.Options{AvgSize: 3000})
	r.exits(0, "sync", r.url())
	r.refuses(2, []string{"sync", "nobody@example.org"}, []string{`unknown account "nobody@example.org"`, r.name(),
		"mailcote account list"})
	r.refuses(2, []string{"sync", "pop3://someone@example.org"}, []string{"account URL", "imaps"})
	r.refuses(2, []string{"sync", "imaps://example.org"}, []string{"there is no user", "imaps://user@host"})
	r.refuses(2, []string{"sync", "imaps://a:b%zz@example.org"}, []string{"password", "%25"})

	garbage := filepath.Join(r.dir, "state", "garbage.db")
	r.write(garbage, bytes.Repeat([]byte("this is not a database. "), 1000))
	cut := filepath.Join(r.dir, "state", "cut.db")
	whole, err := os.ReadFile(r.store)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(whole)
	for i := 100; i < 8192; i++ { // the page of the schema, behind the header
		damaged[i] = 0xff
	}
	r.write(cut, damaged)
	newer := filepath.Join(r.dir, "state", "newer.db")
	r.write(newer, whole)
	r.alter(newer, "PRAGMA user_version = 999")
	foreign := filepath.Join(r.dir, "state", "foreign.db")
	r.write(foreign, nil)
	r.alter(foreign, "CREATE TABLE holiday (photo BLOB)")
	for _, c := range []struct {
		name, store string
		wants       []string
	}{
		{"garbage", garbage, []string{"garbage.db", "not a mailcote store", "--store"}},
		{"damaged", cut, []string{"cut.db", "malformed"}},
		{"newer", newer, []string{"newer.db", "schema 999", fmt.Sprintf("this program knows %d",
			storage.SchemaVersion()),
			"update mailcote"}},
		{"foreign", foreign, []string{"foreign.db", "belongs to another program", "--store"}},
	} {
		before, err := os.ReadFile(c.store)
		if err != nil {
			t.Fatal(err)
		}
		all := [][]string{{"status"}, {"check"}, {"sql", "SELECT 1"}}
		if c.store != cut { // what a sync makes of a damaged one is TestDamagedStore's
			all = append(all, []string{"sync"}, []string{"sync", r.url(), "--once"})
		}
		for _, args := range all {
			r.refuses(1, append(args, "--store", c.store), c.wants)
		}
		if after, err := os.ReadFile(c.store); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s: the refused file was changed: %v", c.name, err)
		}
	}

	p := r.start("run", "--port", "0", "--json")
	r.ready(p)
	for _, args := range [][]string{{"sync"}, {"sync", r.url(), "--once"}, {"run"}, {"account", "add", r.url()}} {
		r.refuses(75, args, []string{"is in use by process", fmt.Sprint(p.Pid()), "mailcote run",
			"wait for it to end, or stop it"})
	}
	p.Kill()
}

func (r *rig) write(path string, text []byte) {
	r.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, text, 0o600)); err != nil {
		r.t.Fatal(err)
	}
}

// alter changes a closed file behind mailcote's back.
func (r *rig) alter(path, statement string) {
	r.t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		r.t.Fatal(err)
	}
	_, err = db.Exec(statement)
	if err := errors.Join(err, db.Close()); err != nil {
		r.t.Fatal(err)
	}
}

// TestSQLRefuses tries to change a real store through `mailcote sql`.
func TestSQLRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	r.fill(33, 20, 2, corpus.Options{AvgSize: 3000})
	r.sync()
	before, err := os.ReadFile(r.store)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"INSERT INTO account (name) VALUES ('x')", "INSERT INTO mail (uid) VALUES (1)", "UPDATE entry SET uid = 1",
		"DELETE FROM mail",
		"REPLACE INTO meta (key, value) VALUES ('epoch', 9)", "WITH x AS (SELECT 1) DELETE FROM entry",
		"CREATE TABLE x (y)", "CREATE TEMP TABLE x (y)",
		"DROP TABLE entry", "ALTER TABLE entry ADD COLUMN x", "REINDEX", "ANALYZE", "VACUUM",
		"VACUUM INTO '" + filepath.Join(r.dir, "copy.db") + "'",
		"ATTACH '" + filepath.Join(r.dir, "attached.db") + "' AS x", "ATTACH ':memory:' AS x", "DETACH main",
		"BEGIN IMMEDIATE",
		"PRAGMA user_version = 7", "PRAGMA journal_mode = DELETE", "PRAGMA query_only = 0",
		"PRAGMA writable_schema = 1", "PRAGMA wal_checkpoint",
		"PRAGMA incremental_vacuum", "PRAGMA application_id(1)", "SELECT load_extension('x')",
		"SELECT 1; DELETE FROM entry",
	} {
		if o := r.run("sql", statement); o.code == 0 || strings.Count(o.errs, "\n") != 1 {
			t.Errorf("%s: status %d, stdout %q, stderr %q", statement, o.code, o.out, o.errs)
		}
	}
	if after, err := os.ReadFile(r.store); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the store changed: %v", err)
	}
	r.whole(r.truth())
}
