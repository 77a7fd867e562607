package ask

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// readPragmas only tell something; those marked true do so about their
// argument, the others change something when they get one.
func readPragma(name, arg string) bool {
	switch strings.ToLower(name) {
	case "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list",
		"integrity_check", "quick_check", "foreign_key_check":
		return true
	case "user_version", "application_id", "schema_version", "page_size", "page_count", "freelist_count",
		"auto_vacuum", "journal_mode", "encoding", "data_version",
		"compile_options", "collation_list", "function_list", "module_list", "pragma_list", "database_list":
		return arg == ""
	}
	return false
}

// guard lets a connection do nothing but read, and notes in words what it
// refused first.
func guard(conn *sql.Conn, refused *string) error {
	for id, most := range map[int]int{lib.SQLITE_LIMIT_ATTACHED: 0, lib.SQLITE_LIMIT_LENGTH: 64 << 20} {
		if _, err := sqlite.Limit(conn, id, most); err != nil {
			return fmt.Errorf("limit SQL: %w", err)
		}
	}
	err := conn.Raw(func(c any) error {
		return c.(sqlite.AuthorizerRegisterer).RegisterAuthorizer(func(action sqlite.AuthorizerActionCode, arg1, arg2,
			_, _ string) sqlite.AuthorizerReturnCode {
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
	case sqlite.AuthDropIndex, sqlite.AuthDropTable, sqlite.AuthDropTempIndex, sqlite.AuthDropTempTable,
		sqlite.AuthDropTempTrigger,
		sqlite.AuthDropTempView, sqlite.AuthDropTrigger, sqlite.AuthDropView, sqlite.AuthDropVTable:
		return "DROP"
	}
	return "CREATE"
}
