package storage

import (
	"context"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Only tables of accounts, their breakers and mailboxes, constants and partial indexes that are empty at rest may
// be read whole.
var (
	scan  = regexp.MustCompile(`^SCAN `)
	small = regexp.MustCompile(`^SCAN (account|a|breaker|mailbox|m|meta|\d+ CONSTANT ROWS?|CONSTANT ROW|` +
		`\(subquery-\d+\)|` +
		`pragma_table_list VIRTUAL TABLE.*|same|sqlite_schema|\d+-ROW VALUES CLAUSE|` +
		`meant|past|blob USING COVERING INDEX blob_staged|(search|search_next|q)( VIRTUAL TABLE INDEX \d+:M\S*)?)( |$)`)
)

// scans are the queries that may read a big table whole, with the reason; the key is a piece of the query.
var scans = map[string]string{
	"(SELECT count(*) FROM email),": "Count: emails by a covering index, the gone ones by " +
		"partial ones; the rows of blob are 80 bytes",
	"SELECT (SELECT count(*) FROM blob) + (SELECT count(*)": "check counts what it will look at, by covering indexes",
	"DELETE FROM mailbox": "the faults of a swept mailbox: at most MaxFaults rows, " +
		"once in a mailbox's life",
	"DELETE FROM sync_error WHERE account_id = ?": "the faults of a removed account: at most MaxFaults rows, once",
	"DELETE FROM account WHERE id = ?": "the last row of a removed account, once: what refers to an account is " +
		"looked for in every table",
	"WITH problem AS": "the problems of the time asked for, found by " +
		"sync_error_at: at most MaxFaults",
	"message_id <> 'direct' AND message_id NOT IN (SELECT id FROM goqite)": "check: every task",
	"SELECT id, queue FROM goqite g": "check: the queue holds unfinished tasks " +
		"only",
	"SELECT count(*) FROM unindexed": "what is to be indexed, and nothing else",
	"SELECT email_id FROM unindexed": "what is to be indexed, the first few by " +
		"their key",
	"INSERT INTO outdated_view": "once when the reader's version rises, by a covering index",
	"SELECT o.email_id, e.size FROM outdated_view o": "what is to be made again, the first few by " +
		"their key",
	"SELECT count(*) FROM outdated_view":      "a row is a number; once for 100 messages that are read again",
	"FROM refetch f CROSS JOIN entry n":       "what a repair found damaged; empty otherwise",
	"SELECT count(*) FROM email WHERE digest": "once when threads are made again, by a covering index",
	"SELECT account_id, 'Mailbox' AS type":    "a repair compares the whole change feed",
	"CAST('lost '":                            "a repair makes a lost mailbox; see DELETE FROM mailbox",
	"FROM search_docsize d WHERE":             "check: the whole search index",
	"DELETE FROM goqite WHERE NOT EXISTS":     "once when the queue starts: it holds unfinished tasks only",
	"FROM sync_task WHERE ? IN (0, account_id)": "a person lists tasks; finished ones leave after their retention, " +
		"and an account has one task for each mailbox at a time",
	"UPDATE sync_task SET next_retry_at = max(": "when the clock was set: tasks, as above",
	"SELECT EXISTS (SELECT 1 FROM search_docsize)": "whether the index holds anything: its first " +
		"row",
}

// statement is one SQL text in the source.
type statement struct{ at, text string }

// statements finds the SQL of a package: constant arguments of the methods that run it. What is not constant is listed.
func sources(t *testing.T, dir string) (all []statement, open []string) {
	t.Helper()
	fset := token.NewFileSet()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	conf := types.Config{Error: func(error) {}} // nothing is imported; the constants are known all the same
	_, _ = conf.Check(dir, fset, files, info)
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name := ""
			switch f := call.Fun.(type) {
			case *ast.SelectorExpr:
				name = f.Sel.Name
			case *ast.Ident:
				name = f.Name
			}
			if !slices.Contains([]string{"Query", "QueryRow", "Exec", "Insert", "rows", "windows", "each",
				"QueryContext", "QueryRowContext", "ExecContext"}, name) {
				return true
			}
			for _, arg := range call.Args {
				value := info.Types[arg]
				if value.Value != nil && value.Value.Kind() == constant.String {
					text := constant.StringVal(value.Value)
					if sqlText.MatchString(text) {
						text = strings.Join(strings.Fields(text), " ")
						all = append(all, statement{fset.Position(arg.Pos()).String(), text})
					}
				} else if text, ok := value.Type.(*types.Basic); ok && text.Info()&types.IsString != 0 && isSum(arg) {
					open = append(open, fset.Position(arg.Pos()).String())
				}
			}
			return true
		})
	}
	return all, open
}

func isSum(e ast.Expr) bool { _, ok := e.(*ast.BinaryExpr); return ok }

var sqlText = regexp.MustCompile(`^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b`)

// Only package queue can reach the statements of a Reader and a Writer (package tables). Nor does anybody above
// it have SQL of another handle.
func TestSQLStaysBelow(t *testing.T) {
	for _, layer := range []string{"../engine", "../ui"} {
		if err := filepath.WalkDir(layer, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			found, _ := sources(t, path)
			for _, one := range found {
				t.Errorf("%s: SQL above the queue: %s", one.at, one.text)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if found, _ := sources(t, "../queue"); len(found) == 0 {
		t.Error("the queue's own is not found")
	}
}

// Every query of the store and of the queue is prepared on a store that holds something, and reads no big table whole.
func TestPlans(t *testing.T) {
	b := checkBed(t)
	if err := b.WriteAlone(t.Context(), (*Writer).RebuildIndex); err != nil {
		t.Fatal(err)
	}
	conn := another(t, b.Store)
	if _, err := conn.ExecContext(t.Context(), "PRAGMA foreign_keys = ON"); err != nil { // as the writer has them
		t.Fatal(err)
	}
	var all []statement
	for _, dir := range []string{".", "check", "internal/file", "../queue"} {
		found, open := sources(t, dir)
		all = append(all, found...)
		for _, at := range open {
			// expungeWhere, PRAGMAs, conditions of CHECK, and what names a task by its key
			if !strings.HasPrefix(at, "entry.go") && !strings.HasPrefix(at, "check/sqlite.go") &&
				!strings.HasPrefix(at, "writer.go") && !strings.HasPrefix(at, "../queue/lease.go") {
				t.Errorf("%s: SQL that is not constant", at)
			}
		}
	}
	for _, condition := range []string{"mailbox_id = ?", "mailbox_id = ? AND uidvalidity = ?",
		"mailbox_id = ? AND uidvalidity = ? AND uid = ?"} {
		all = append(all, statement{"expungeWhere", "UPDATE entry SET expunged_at = 1 WHERE " + condition +
			" AND expunged_at IS NULL RETURNING email_id"})
	}
	if len(all) < 120 {
		t.Errorf("only %d statements were found", len(all))
	}
	used := map[string]bool{}
	for _, one := range all {
		rows, err := conn.QueryContext(context.Background(), "EXPLAIN QUERY PLAN "+one.text,
			make([]any, strings.Count(one.text, "?"))...)
		if err != nil {
			t.Errorf("%s: %v", one.at, err)
			continue
		}
		for rows.Next() {
			var id, parent, zero int
			var detail string
			if err := rows.Scan(&id, &parent, &zero, &detail); err != nil {
				t.Fatal(err)
			}
			if !scan.MatchString(detail) || small.MatchString(detail) {
				continue
			}
			excused := false
			for piece := range scans {
				if strings.Contains(one.text, piece) {
					excused, used[piece] = true, true
				}
			}
			if !excused {
				t.Errorf("%s: %s\n\t%s", one.at, detail, one.text)
			}
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for piece := range scans {
		if !used[piece] {
			t.Errorf("the excuse for %q is not needed", piece)
		}
	}
	t.Logf("%d statements", len(all))
}
