package storage

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailcote/storage/disk"
	"mailcote/storage/internal/file"
)

// more are rows beside those of a frozen store: keys that were given out and are gone, a mailbox that is gone,
// names alike but for the host, a task of each kind of state.
const more = `
INSERT INTO account (id, name, user, host, port, security, state, pause_class, paused_at, created_at) VALUES
  (5, 'bridge', 'ada', '127.0.0.1', 1143, 'starttls', 'paused', 'auth', 1795644323000, 1),
  (6, 'far', 'ada', 'mail.example.org', 993, 'tls', 'active', '', NULL, 2),
  (9, 'gone', 'bob', 'mail.example.org', 993, 'tls', 'active', '', NULL, 3);
DELETE FROM account WHERE id = 9;
INSERT INTO mailbox (id, account_id, raw, path, role, priority, uidvalidity, building, modseq, gone_at) VALUES
  (11, 5, X'494E424F58', 'INBOX', 'inbox', 9, 3, 4, 9, NULL),
  (12, 6, X'4F6C64', 'Old', '', 5, 1, NULL, 0, 1795644323001), (20, 6, X'58', 'X', '', 5, 0, NULL, 0, NULL);
DELETE FROM mailbox WHERE id = 20;
INSERT INTO sync_task (id, account_id, task_type, folder, state, priority, message_id, created_at, completed_at,
next_retry_at)
  VALUES (30, 5, 'folder_sync', '11', 'pending', 9, 'm_2', 4, NULL, NULL), (31, 6, 'incremental_sync', '', 'paused',
5, NULL, 5, NULL, 6),
  (32, 6, 'initial_sync', '', 'failed', 5, NULL, 7, 8, NULL), (40, 6, 'initial_sync', 'x', 'cancelled', 5, NULL, 7, 8,
NULL);
DELETE FROM sync_task WHERE id = 40;
INSERT INTO goqite (id, queue, body, priority) VALUES ('m_2', 'account-5', X'3330', 9);
INSERT INTO change (account_id, type, object_id, created_no, changed_no, destroyed, changed_at) VALUES
  (5, 'Mailbox', 'M11', 8, 8, 0, 9), (6, 'Mailbox', 'M12', 9, 10, 1, 9);
UPDATE meta SET value = 10 WHERE key = 'change_no';
INSERT INTO sync_error (at, account_id, mailbox_id, class, scope) VALUES (1795644323106, 5, 11, 'auth', 'account');
`

// older makes a store of a frozen schema in which every table has rows.
func older(t *testing.T, version int, more string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "mail.db")
	text := ""
	for _, end := range []string{"sql", "rows"} {
		part, err := os.ReadFile(filepath.Join(frozenDir, fmt.Sprintf("%04d.%s", version, end)))
		if err != nil {
			t.Fatal(err)
		}
		text += string(part)
	}
	build(t, path, text+more)
	return path
}

// asked is all that a store answers: every row of every table and view by the columns it had, and the keys given
// out so far.
func asked(t *testing.T, path string, columns map[string]string) map[string]string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // it was only read
	all := map[string]string{}
	for name, list := range columns {
		rows, err := db.Query(`SELECT concat_ws('|', ` + list + `) AS line FROM "` + name + `" ORDER BY 1`)
		if err := file.Each(rows, err, func(rows *sql.Rows) error {
			var line string
			err := rows.Scan(&line)
			all[name] += line + "\n"
			return err
		}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return all
}

// columnsOf lists the tables and views of a store with their columns, each as SQL writes it.
func columnsOf(t *testing.T, path string) map[string]string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // it was only read
	all := map[string]string{}
	rows, err := db.Query(`SELECT l.name, group_concat('quote("' || c.name || '")', ', ')
		FROM pragma_table_list l, pragma_table_info(l.name) c
		WHERE l.schema = 'main' AND l.type IN ('table', 'view') AND (l.name NOT LIKE 'sqlite%'
		OR l.name = 'sqlite_sequence')
		GROUP BY l.name`)
	if err := file.Each(rows, err, func(rows *sql.Rows) error {
		var name, columns string
		err := rows.Scan(&name, &columns)
		all[name] = columns
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// compare fails where a store does not answer as it did. Facts of the store itself may come and go.
func compare(t *testing.T, before, after map[string]string) {
	t.Helper()
	fact := func(line string) bool {
		return strings.HasPrefix(line, watermark) || strings.HasPrefix(line, `'upgraded_at'`)
	}
	for name, lines := range before {
		want, got := strings.Split(lines, "\n"), strings.Split(after[name], "\n")
		if name == "meta" {
			want, got = slices.DeleteFunc(want, fact), slices.DeleteFunc(got, fact)
		}
		if !slices.Equal(want, got) {
			t.Errorf("%s answers\n%s\nand did\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// A migrated store answers as it did, gives out no key twice, and has the shape of a new one.
func TestMigrationKeepsAll(t *testing.T) {
	fresh := shape(t, openTest(t))
	for version := 1; version < SchemaVersion(); version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			path := older(t, version, more)
			columns := columnsOf(t, path)
			before := asked(t, path, columns)
			for name, lines := range before {
				if lines == "" {
					t.Errorf("%s has no row to keep", name)
				}
			}
			s := openAt(t, path, Options{})
			compare(t, before, asked(t, path, columns))
			if got := shape(t, s); got != fresh {
				t.Errorf("its schema is\n%s\nthat of a new store\n%s", got, fresh)
			}
			if found, err := s.Check(t.Context(), CheckOptions{}); err != nil || len(found) > 0 {
				t.Errorf("%v, %v", found, err)
			}
			write(t, s, func(w *Writer) error {
				var on bool
				if err := w.tx.QueryRow("PRAGMA foreign_keys").Scan(&on); err != nil || !on {
					t.Errorf("foreign keys are %v, %v", on, err)
				}
				account, err := w.AddAccount(Account{Name: "new", User: "eve", Host: "mail.example.org", Port: 993,
					Security: "tls"})
				box, err2 := w.PutMailbox(Mailbox{Account: account, Raw: "INBOX", Path: "INBOX", Priority: 5})
				task, err3 := w.tx.Insert(`INSERT INTO sync_task (account_id, task_type, state, created_at)
					VALUES (?, 'later', 'paused', 1)`, account)
				if account != 10 || box != 21 || task != 41 {
					t.Errorf("the next keys are %d, %d, %d: keys that were given out are given out again", account,
						box, task)
				}
				return errors.Join(err, err2, err3)
			})
			// What refers to an account goes with it, breakers by a trigger.
			write(t, s, func(w *Writer) error {
				_, err := w.tx.Exec(`INSERT INTO breaker (scope, class, failures, failed_at, until)
					VALUES ('account:5', 'auth', 1, 1, 1)`)
				_, err2 := w.tx.Exec(`DELETE FROM account WHERE id = 5`)
				return errors.Join(err, err2)
			})
			if n := number(t, s, `SELECT (SELECT count(*) FROM mailbox WHERE account_id = 5)
				+ (SELECT count(*) FROM breaker WHERE scope = 'account:5')`); n != 0 {
				t.Errorf("%d rows refer to an account that is gone", n)
			}
		})
	}
}

// shape is the text of a store's schema, whatever the order in which it was made.
func shape(t *testing.T, s *Store) string {
	t.Helper()
	return text(t, s, `SELECT group_concat(type || ' ' || name || ' of ' || tbl_name || ': ' || sql, char(10)
		ORDER BY type, name)
		FROM sqlite_schema WHERE sql IS NOT NULL`)
}

// A migration that fails leaves the store as it was.
func TestMigrationFails(t *testing.T) {
	for name, trouble := range map[string]string{
		"in the middle":             `CREATE TABLE mailbox_rebuilt (x); INSERT INTO mailbox_rebuilt VALUES (1);`,
		"behind what is made again": `CREATE TABLE unindexed (x); INSERT INTO unindexed VALUES (1);`,
	} {
		t.Run(name, func(t *testing.T) {
			path := older(t, 2, more+trouble)
			columns := columnsOf(t, path)
			before := asked(t, path, columns)
			s, err := Open(t.Context(), path, Options{})
			if err == nil {
				t.Fatal(errors.Join(errors.New("it opened"), s.Close()))
			}
			compare(t, before, asked(t, path, columns))
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close() //nolint:errcheck // a test's
			var version, broken int
			if err := errors.Join(db.QueryRow("PRAGMA user_version").Scan(&version),
				db.QueryRow("SELECT count(*) FROM pragma_foreign_key_check").Scan(&broken),
			); err != nil || version != 2 || broken != 0 {
				t.Errorf("schema %d, %d broken references, %v", version, broken, err)
			}
		})
	}
}

// Two live entries of one email in one mailbox, which the first schema allowed, become two emails. No entry goes,
// and the doors hear of it.
func TestMigrationSplitsCopies(t *testing.T) {
	path := older(t, 1, `
		INSERT INTO entry (id, mailbox_id, uidvalidity, uid, email_id, blob_id, internal_date, size, expunged_at)
		  SELECT column1, mailbox_id, uidvalidity, column1, email_id, blob_id, internal_date, size, column2
		  FROM (VALUES (50, NULL), (51, NULL), (52, 9)), entry WHERE id = 1;
		INSERT INTO coverage VALUES (1, 7, 'body', 50, 52);
		UPDATE email SET live = 3 WHERE id = 1; UPDATE mailbox SET total = 3, unread = 2;
		UPDATE meta SET value = (SELECT max(id) FROM email) WHERE key = 'indexed_email';
		INSERT INTO search (rowid, subject) SELECT id, 'x' FROM email;`)
	s := openAt(t, path, Options{})
	if got := text(t, s, `SELECT group_concat(uid || ' ' || live || ' ' || (e.id > 2), ', ' ORDER BY uid) FROM entry n
		JOIN email e ON e.id = n.email_id WHERE expunged_at IS NULL`); got != "1 1 0, 50 1 1, 51 1 1" {
		t.Errorf("UID, live, new email: %s", got)
	}
	if n := number(t, s, `SELECT count(DISTINCT e.jmap_id) + 10 * count(DISTINCT e.thread_id) FROM entry n
		JOIN email e ON e.id = n.email_id WHERE uid IN (1, 50, 51)`); n != 13 {
		t.Errorf("%d emails and threads", n)
	}
	if n := number(t, s, `SELECT count(*) FROM unindexed WHERE email_id > 2`); n != 2 {
		t.Errorf("%d of them are to be indexed", n)
	}
	if n := number(t, s, `SELECT count(*) FROM change c JOIN email e ON e.jmap_id = c.object_id
		WHERE e.id > 2 AND c.created_no > 5 AND c.destroyed = 0`); n != 2 {
		t.Errorf("the change feed has %d new emails", n)
	}
	if found, err := s.Check(t.Context(), CheckOptions{}); err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
}

// A damaged store of an older schema is saved into one of the newest.
func TestSalvageOlder(t *testing.T) {
	for version := 1; version < SchemaVersion(); version++ {
		path := older(t, version, more)
		columns := columnsOf(t, path)
		kept := map[string]string{"accounts": columns["accounts"], "mail": columns["mail"]}
		before := asked(t, path, kept)
		s := openAt(t, path, Options{Salvage: &Salvage{Parse: parseRaw, Cause: ErrCorrupt}})
		if s.Salvaged() == nil {
			t.Fatal("nothing was salvaged")
		}
		compare(t, before, asked(t, path, kept))
		if n := number(t, s, `SELECT count(*) FROM email WHERE id NOT IN (SELECT email_id FROM unindexed)`); n != 0 {
			t.Errorf("schema %d: %d emails would not be found", version, n)
		}
		if found, err := s.Check(t.Context(), CheckOptions{}); err != nil || len(found) > 0 {
			t.Errorf("schema %d: %v, %v", version, found, err)
		}
	}
}

// Whoever only reads cannot bring a store up to date, and is told who can.
func TestReadOnlyOlder(t *testing.T) {
	path := older(t, 2, "")
	s, err := Open(t.Context(), path, Options{ReadOnly: true})
	if err == nil {
		t.Fatal(errors.Join(errors.New("it opened"), s.Close()))
	}
	if !errors.Is(err, ErrOlder) || !strings.Contains(err.Error(), "mailcote sync") {
		t.Errorf("told %v", err)
	}
}

// Before a migration it is said what it takes. One that the disk has no room for is not begun.
func TestMigrationSaysWhatItTakes(t *testing.T) {
	path := older(t, 2, "")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	small := file.StandardLimits()
	small.Space = func(string) (disk.Space, error) { return disk.Space{Free: info.Size(), Size: 1 << 40}, nil }
	_, err = Open(t.Context(), path, Options{limits: &small})
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "are needed") {
		t.Errorf("without room: %v", err)
	}
	backup := path + ".v2.bak"
	if _, err := os.Stat(backup); err == nil {
		t.Error("a copy was made")
	}
	var told []Migration
	openAt(t, path, Options{Migrating: func(m Migration) {
		if _, err := os.Stat(m.Backup); err == nil {
			t.Error("told after the copy was made")
		}
		told = append(told, m)
	}})
	if len(told) != 1 || told[0].From != 2 || told[0].To != SchemaVersion() || told[0].Backup != backup ||
		told[0].Disk < info.Size() || told[0].Time < time.Second {
		t.Errorf("told %+v of a store of %d octets", told, info.Size())
	}
}

// The copy made before a migration goes seven days after the first start, by a clock that is to be believed.
func TestMigrationCopyGoes(t *testing.T) {
	path := older(t, 2, "")
	backup := path + ".v2.bak"
	reopen := func(change string) (kept bool) {
		t.Helper()
		s, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = os.Stat(backup)
		kept = err == nil
		write(t, s, func(w *Writer) error { _, err := w.tx.Raw().Exec(change); return err })
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return kept
	}
	const day = "86400000"
	for _, step := range []struct {
		kept         bool
		after, being string // what is changed before the next start
	}{
		{true, `SELECT 1`, "the migration"},
		{true, `UPDATE meta SET value = value - 6 * ` + day + ` WHERE key = 'upgraded_at'`, "the next start"},
		{true, `UPDATE meta SET value = value + 20 * ` + day + ` WHERE key = 'upgraded_at'`, "less than seven days"},
		{true, `UPDATE meta SET value = value - 8 * ` + day + ` WHERE key = 'upgraded_at';
			INSERT INTO meta VALUES ('swept_at', (unixepoch() - 10 * 86400) * 1000)`, "a clock that was set back"},
		{true, `UPDATE meta SET value = unixepoch() * 1000 WHERE key = 'swept_at'`, "a clock that jumped"},
		{false, `SELECT 1`, "seven days"},
	} {
		if reopen(step.after) != step.kept {
			t.Errorf("after %s the copy is kept: %v", step.being, !step.kept)
		}
	}
}
