package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// ErrRefused says that a person's SQL would do more than read; the message names what.
var ErrRefused = errors.New("only reading is allowed")

// SQL runs one reading statement of a person on a connection of its own and calls row for each row; values are int64,
// float64, string, []byte or nil. ctx ends a statement that runs away. The views of docs/sql.md are stable, the tables are
// not. It works on any open store, also beside its owner.
//
// Errors: ErrRefused (wrapped with what was refused), SQLite's own about the statement, ctx's, or what row returned.
func (s *Store) SQL(ctx context.Context, text string, row func(columns []string, values []any) error) error {
	if err := oneStatement(text); err != nil {
		return err
	}
	s.handles.RLock()
	open := s.readers != nil
	s.handles.RUnlock() // a long statement on its own connection holds up nobody
	if !open {
		return ErrClosed
	}
	db, err := sql.Open("sqlite", s.dsn(url.Values{
		"mode": {"ro"}, "_pragma": {"busy_timeout(5000)", "query_only(1)", "trusted_schema(0)", "temp_store(MEMORY)"},
	}))
	if err != nil {
		return fmt.Errorf("open store for SQL: %w", err)
	}
	defer db.Close() //nolint:errcheck // it was only read
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("open store for SQL: %w", err)
	}
	defer conn.Close() //nolint:errcheck // as above
	var refused string
	if err := guard(conn, &refused); err != nil {
		return err
	}
	rows, err := conn.QueryContext(ctx, text)
	if err == nil {
		err = eachAny(rows, row)
	}
	if refused != "" {
		return fmt.Errorf("%w: %s is refused", ErrRefused, refused)
	}
	return err
}

func eachAny(rows *sql.Rows, row func([]string, []any) error) error {
	columns, err := rows.Columns()
	if err != nil {
		return errors.Join(err, rows.Close())
	}
	targets := make([]any, len(columns))
	return Each(rows, nil, func(rows *sql.Rows) error {
		values := make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		for i, v := range values { // the driver reads more into a declared type than SQLite does
			switch v := v.(type) {
			case time.Time:
				values[i] = v.UTC().Format(time.RFC3339Nano)
			case bool:
				values[i] = int64(0)
				if v {
					values[i] = int64(1)
				}
			}
		}
		return row(columns, values)
	})
}

// readPragmas only tell something; those marked true do so about their argument, the others change something when they get
// one.
func readPragma(name, arg string) bool {
	switch strings.ToLower(name) {
	case "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list", "integrity_check", "quick_check", "foreign_key_check":
		return true
	case "user_version", "application_id", "schema_version", "page_size", "page_count", "freelist_count", "auto_vacuum", "journal_mode", "encoding", "data_version",
		"compile_options", "collation_list", "function_list", "module_list", "pragma_list", "database_list":
		return arg == ""
	}
	return false
}

// guard lets a connection do nothing but read, and notes in words what it refused first.
func guard(conn *sql.Conn, refused *string) error {
	for id, most := range map[int]int{lib.SQLITE_LIMIT_ATTACHED: 0, lib.SQLITE_LIMIT_LENGTH: 64 << 20} {
		if _, err := sqlite.Limit(conn, id, most); err != nil {
			return fmt.Errorf("limit SQL: %w", err)
		}
	}
	err := conn.Raw(func(c any) error {
		return c.(sqlite.AuthorizerRegisterer).RegisterAuthorizer(func(action sqlite.AuthorizerActionCode, arg1, arg2, _, _ string) sqlite.AuthorizerReturnCode {
			what := ""
			switch action {
			case sqlite.AuthSelect, sqlite.AuthRead, sqlite.AuthRecursive:
				return sqlite.AuthorizerOK
			case sqlite.AuthFunction:
				if !slices.Contains([]string{"load_extension", "fts5"}, strings.ToLower(arg2)) {
					return sqlite.AuthorizerOK
				}
				what = "the function " + arg2
			case sqlite.AuthPragma:
				if readPragma(arg1, arg2) {
					return sqlite.AuthorizerOK
				}
				if what = "PRAGMA " + arg1; arg2 != "" {
					what += " = " + arg2
				}
			default:
				what = actionName(action, arg1)
			}
			if *refused == "" {
				*refused = what
			}
			return sqlite.AuthorizerDeny
		})
	})
	if err != nil {
		return fmt.Errorf("guard SQL: %w", err)
	}
	return nil
}

func actionName(action sqlite.AuthorizerActionCode, on string) string {
	switch action {
	case sqlite.AuthInsert:
		return "INSERT into " + on
	case sqlite.AuthUpdate:
		return "UPDATE of " + on
	case sqlite.AuthDelete:
		return "DELETE from " + on
	case sqlite.AuthAttach:
		return "ATTACH"
	case sqlite.AuthDetach:
		return "DETACH"
	case sqlite.AuthTransaction, sqlite.AuthSavepoint:
		return "a transaction"
	case sqlite.AuthReindex, sqlite.AuthAnalyze:
		return "REINDEX or ANALYZE"
	case sqlite.AuthAlterTable:
		return "ALTER TABLE"
	case sqlite.AuthDropIndex, sqlite.AuthDropTable, sqlite.AuthDropTempIndex, sqlite.AuthDropTempTable, sqlite.AuthDropTempTrigger,
		sqlite.AuthDropTempView, sqlite.AuthDropTrigger, sqlite.AuthDropView, sqlite.AuthDropVTable:
		return "DROP"
	}
	return "CREATE"
}

// oneStatement refuses an empty text, more than one statement (the driver would run them all), and VACUUM, about which
// SQLite asks no authorizer.
func oneStatement(text string) error {
	first, rest := cutStatement(text)
	word, _ := nextWord(first)
	switch {
	case word == "":
		return errors.New("sql: there is no statement")
	case strings.EqualFold(word, "VACUUM"):
		return fmt.Errorf("%w: VACUUM is refused", ErrRefused)
	}
	for rest != "" {
		first, rest = cutStatement(rest)
		if word, _ := nextWord(first); word != "" {
			return fmt.Errorf("sql: one statement at a time: something follows the first semicolon (%.20q)", strings.TrimSpace(first))
		}
	}
	return nil
}

// cutStatement cuts behind the first semicolon that is not inside quotes or a comment.
func cutStatement(text string) (first, rest string) {
	for i := 0; i < len(text); i++ {
		if text[i] == ';' {
			return text[:i], text[i+1:]
		}
		i += skip(text[i:])
	}
	return text, ""
}

// nextWord gives the first token that is neither space nor comment, up to the next space.
func nextWord(text string) (word, rest string) {
	for {
		text = strings.TrimLeft(text, " \t\r\n\f\v\ufeff")
		if !strings.HasPrefix(text, "--") && !strings.HasPrefix(text, "/*") {
			break
		}
		text = text[min(skip(text)+1, len(text)):]
	}
	if end := strings.IndexAny(text, " \t\r\n\f\v/-;("); end > 0 {
		return text[:end], text[end:]
	}
	return text, ""
}

// skip says how many bytes follow the first one of a quoted text or a comment at the head of text; 0 if there is none.
func skip(text string) int {
	end := func(from int, mark string) int {
		if i := strings.Index(text[from:], mark); i >= 0 {
			return from + i + len(mark) - 1
		}
		return len(text) - 1
	}
	switch {
	case text[0] == '\'' || text[0] == '"' || text[0] == '`': // a doubled quote is two quoted texts side by side
		return end(1, text[:1])
	case text[0] == '[':
		return end(1, "]")
	case strings.HasPrefix(text, "--"):
		return end(2, "\n")
	case strings.HasPrefix(text, "/*"):
		return end(2, "*/")
	}
	return 0
}
