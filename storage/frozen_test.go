package storage

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailcote/storage/internal/file"
	"mailcote/storage/internal/schema"
)

var freeze = flag.Bool("freeze", false, "write testdata/schema/NNNN.sql for the newest schema")

const frozenDir = "../testdata/schema"

// watermark is the fact that the third schema has replaced by the table unindexed.
const watermark = `'indexed_email'`

// A store of every schema that was ever released opens, is brought to the newest one and is sound.
func TestFrozenSchemasMigrate(t *testing.T) {
	if *freeze {
		b := newBed(t)
		box := b.mailbox("INBOX", 7)
		b.store(box, 7, b.arrival(1, 1, `\Seen`), b.arrival(2, 2))
		write(t, b.Store, func(w *Writer) error { return w.Expunge(box, 7, []UID{2}) })
		if err := os.WriteFile(filepath.Join(frozenDir, fmt.Sprintf("%04d.sql", SchemaVersion())),
			[]byte(sqlDump(t, b.Store, true)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(frozenDir + "/*.sql")
	if err != nil || len(files) != SchemaVersion() {
		t.Fatalf("%d frozen schemas, this program knows %d: run go test -freeze (%v)", len(files), SchemaVersion(), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			more, err := os.ReadFile(strings.TrimSuffix(file, ".sql") + ".rows") // what a frozen file has no row for
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "mail.db")
			build(t, path, string(text)+string(more))
			before := tableRows(t, path)
			before["meta"] = slices.DeleteFunc(before["meta"], func(row map[string]string) bool {
				return row["key"] == watermark
			})
			s := openAt(t, path, Options{})
			after := tableRows(t, path)
			for table, rows := range before {
				if len(rows) == 0 {
					t.Errorf("no row in %s: add one to %s.rows", table, strings.TrimSuffix(file, ".sql"))
				}
				for i, row := range rows {
					if i >= len(after[table]) {
						t.Errorf("%s: row %d of %d is gone: %v", table, i, len(rows), row)
						continue
					}
					now := after[table][i]
					for column, value := range row {
						if has, ok := now[column]; ok && has != value {
							t.Errorf("%s: row %d has %s %s, had %s", table, i, column, has, value)
						}
					}
				}
			}
			if n := number(t, s, "PRAGMA user_version"); n != int64(SchemaVersion()) {
				t.Errorf("user_version %d", n)
			}
			if got := text2(t, s); got != "INBOX 1 message 1 \\Seen" {
				t.Errorf("mail: %s", got)
			}
			findings, err := s.Check(t.Context(), CheckOptions{})
			if err != nil || len(findings) > 0 {
				t.Errorf("%v, %v", findings, err)
			}
		})
	}
}

// tableRows reads every row of every table, in the order of the first schema's keys, each value as SQL writes it.
func tableRows(t *testing.T, path string) map[string][]map[string]string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // it was only read
	db.SetMaxOpenConns(1)
	list := func(query string, args ...any) (all []string) {
		rows, err := db.Query(query, args...)
		if err := file.Each(rows, err, func(rows *sql.Rows) error {
			var one string
			err := rows.Scan(&one)
			all = append(all, one)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	all := map[string][]map[string]string{}
	for _, table := range list(`SELECT name FROM pragma_table_list
		WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%'`) {
		columns := list(`SELECT name FROM pragma_table_info(?)`, table)
		values := make([]string, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		all[table] = nil
		rows, err := db.Query(`SELECT quote("` + strings.Join(columns, `"), quote("`) + `") FROM "` + table + `"`)
		if err := file.Each(rows, err, func(rows *sql.Rows) error {
			if err := rows.Scan(into...); err != nil {
				return err
			}
			one := map[string]string{}
			for i, column := range columns {
				one[column] = values[i]
			}
			all[table] = append(all[table], one)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// The newest frozen schema is what this program makes: a migration that was frozen is never edited.
func TestNewestSchemaIsFrozen(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(frozenDir, fmt.Sprintf("%04d.sql", SchemaVersion())))
	if err != nil {
		t.Fatal(err)
	}
	if made := sqlDump(t, openTest(t), false); !strings.HasPrefix(string(text), made) {
		t.Error("the schema differs from its frozen form: write a new migration (or, before the first release, run " +
			"go test -freeze)")
	}
}

func text2(t *testing.T, s *Store) string {
	return text(t, s, "SELECT group_concat(mailbox || ' ' || uid || ' ' || subject || ' ' || flags) FROM mail")
}

func build(t *testing.T, path, text string) {
	t.Helper()
	if err := schema.Create(t.Context(), "file:"+path, path); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(text); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Close(), os.Chmod(path, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// sqlDump writes the schema, and if asked the rows, as SQL. The search index is made but not filled: its rows
// cannot be read back; every email waits for its row.
func sqlDump(t *testing.T, s *Store, rows bool) string {
	t.Helper()
	var out strings.Builder
	fmt.Fprintf(&out, "PRAGMA application_id = %d;\nPRAGMA user_version = %d;\n", schema.ApplicationID, SchemaVersion())
	read(t, s, func(r *Reader) error {
		var tables []string
		list, err := r.snap.Query(`SELECT type, name, sql FROM sqlite_schema
			WHERE sql IS NOT NULL AND name NOT LIKE 'search\_%' ESCAPE '\' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
			ORDER BY rowid`)
		if err := file.Each(list, err, func(rows *sql.Rows) error {
			var kind, name, text string
			err := rows.Scan(&kind, &name, &text)
			if kind == "table" && name != "search" {
				tables = append(tables, name)
			}
			out.WriteString(text + ";\n")
			return err
		}); err != nil || !rows {
			return err
		}
		for _, table := range tables {
			columns := ""
			if err := r.snap.QueryRow(`SELECT group_concat('quote("' || name || '")', ' || '', '' || ')
				FROM pragma_table_info(?)`, table).Scan(&columns); err != nil {
				return err
			}
			list, err := r.snap.Query(`SELECT ` + columns + ` FROM ` + table)
			if err := file.Each(list, err, func(rows *sql.Rows) error {
				var values string
				err := rows.Scan(&values)
				fmt.Fprintf(&out, "INSERT INTO %s VALUES (%s);\n", table, values)
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return out.String()
}
