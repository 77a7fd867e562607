package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func collect(s *Store, text string) (columns []string, all [][]any, err error) {
	err = s.SQL(context.Background(), text, func(c []string, v []any) error {
		columns, all = c, append(all, v)
		return nil
	})
	return columns, all, err
}

func TestSQLReads(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1, `\Seen`))
	b.index(func(row EmailRow) IndexDoc { return IndexDoc{Email: row, Text: "zebra"} })
	beside := openAt(t, b.Path(), Options{ReadOnly: true})
	for _, s := range []*Store{b.Store, beside} {
		columns, all, err := collect(s,
			"SELECT uid, subject, flags, pending, 1.5 AS x, x'00ff' AS y FROM mail; -- all of it")
		if err != nil || !slices.Equal(columns, []string{"uid", "subject", "flags", "pending", "x", "y"}) ||
			len(all) != 1 {
			t.Fatalf("%v %v %v", columns, all, err)
		}
		if got := fmt.Sprintf("%T %T %T %T %T %T", all[0][0], all[0][1], all[0][2], all[0][3], all[0][4],
			all[0][5]); got != "int64 string string <nil> float64 []uint8" {
			t.Errorf("types %s", got)
		}
		for text, want := range map[string]string{
			"/* ; */ SELECT ';' || count(*) FROM mail":                                                      "[[;1]]",
			"WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 3) SELECT sum(x) FROM c": "[[6]]",
			"SELECT count(*) FROM search WHERE search MATCH 'zebra'":                                        "[[1]]",
			"PRAGMA user_version": fmt.Sprintf("[[%d]]", SchemaVersion()),
			"SELECT name FROM pragma_table_info('meta') WHERE cid = 0": "[[key]]",
			"VALUES (1), (2)":             "[[1] [2]]",
			"EXPLAIN QUERY PLAN SELECT 1": "",
		} {
			_, all, err := collect(s, text)
			if err != nil || want != "" && fmt.Sprint(all) != want {
				t.Errorf("%s: %v, %v; want %s", text, all, err, want)
			}
		}
		for _, view := range []string{"accounts", "mailboxes", "mail", "threads", "sync_tasks", "sync_coverage",
			"sync_runs", "sync_errors", "rate_limits", "changes"} {
			if _, _, err := collect(s, "SELECT * FROM "+view); err != nil {
				t.Errorf("%s: %v", view, err)
			}
		}
	}
}

func TestSQLRefuses(t *testing.T) {
	b := newBed(t)
	other := filepath.Join(t.TempDir(), "other.db")
	for text, word := range map[string]string{
		"INSERT INTO meta VALUES ('a', 1)":               "INSERT into meta",
		"UPDATE account SET name = 'x'":                  "UPDATE of account",
		"DELETE FROM account":                            "DELETE from account",
		"WITH x AS (SELECT 1) DELETE FROM account":       "DELETE",
		"REPLACE INTO meta VALUES ('a', 1)":              "INSERT",
		"DROP TABLE entry":                               "D",
		"CREATE TABLE x (a)":                             "",
		"CREATE TEMP TABLE x (a)":                        "",
		"CREATE TEMP TABLE x AS SELECT 1":                "",
		"CREATE VIRTUAL TABLE temp.x USING fts5 (a)":     "",
		"CREATE TEMP VIEW x AS SELECT 1":                 "",
		"ALTER TABLE account ADD COLUMN x":               "",
		"ATTACH '" + other + "' AS o":                    "ATTACH",
		"DETACH main":                                    "DETACH",
		"VACUUM":                                         "VACUUM",
		"/* x */ vacuum INTO '" + other + "'":            "VACUUM",
		"VACUUM/**/INTO '" + other + "'":                 "VACUUM",
		"EXPLAIN VACUUM":                                 "",
		"PRAGMA journal_mode = DELETE":                   "journal_mode",
		"PRAGMA user_version = 9":                        "user_version",
		"PRAGMA query_only = 0":                          "query_only",
		"PRAGMA writable_schema = 1":                     "writable_schema",
		"PRAGMA wal_checkpoint(TRUNCATE)":                "wal_checkpoint",
		"PRAGMA incremental_vacuum":                      "incremental_vacuum",
		"PRAGMA optimize":                                "optimize",
		"SELECT * FROM pragma_wal_checkpoint":            "",
		"BEGIN IMMEDIATE":                                "transaction",
		"SAVEPOINT x":                                    "transaction",
		"REINDEX":                                        "",
		"ANALYZE":                                        "",
		"SELECT load_extension('/tmp/x.so')":             "",
		"INSERT INTO search (search) VALUES ('rebuild')": "INSERT into search",
		"SELECT 1; DELETE FROM account":                  "one statement",
		"SELECT 1; ; SELECT 2":                           "one statement",
		"":                                               "no statement",
		" -- nothing\n ; ":                               "no statement",
		"SELECT nosuch FROM mail":                        "nosuch",
		"SELEC":                                          "syntax",
		"INSERT INTO meta VALUES ('b', 1) RETURNING key": "INSERT",
		"SELECT writefile('" + other + "', 'x')":         "writefile",
		"SELECT fts5(1)":                                 "",
	} {
		before := dump(t, b.Store)
		_, _, err := collect(b.Store, text)
		if strings.HasPrefix(text, "EXPLAIN") { // it tells and does nothing
			err = errors.Join(err, errors.New(word))
		}
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: error %v, want one that says %q", text, err, word)
		}
		if after := dump(t, b.Store); after != before {
			t.Fatalf("%s changed the store", text)
		}
		if _, err := os.Stat(other); err == nil {
			t.Fatalf("%s made a file", text)
		}
	}
	if _, _, err := collect(b.Store, "DELETE FROM account"); !errors.Is(err, ErrRefused) {
		t.Errorf("%v is not ErrRefused", err)
	}
}

func TestSQLStops(t *testing.T) {
	s := openTest(t)
	for _, text := range []string{
		"WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c",
		"WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		start := time.Now()
		err := s.SQL(ctx, text, func([]string, []any) error { return nil })
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 10*time.Second {
			t.Errorf("%s: %v after %s", text, err, time.Since(start))
		}
	}
	enough := errors.New("enough")
	n := 0
	if err := s.SQL(t.Context(), "VALUES (1), (2), (3)", func([]string, []any) error {
		if n++; n == 2 {
			return enough
		}
		return nil
	}); !errors.Is(err, enough) || n != 2 {
		t.Errorf("%v after %d rows", err, n)
	}
}
