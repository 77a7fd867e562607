package check

import (
	"fmt"
	"regexp"
	"strings"
)

// tables lets SQLite check each table with its indexes, and its references to
// others.
func (c *checker) tables() error {
	var names []string
	if err := c.look(func(s Snapshot) error {
		return each(s, func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			names = append(names, name)
			return err
		}, `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type <> 'view' ORDER BY name`)
	}); err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	for _, name := range names {
		if err := c.side("check table "+name, func(p *part, s Snapshot) error {
			return p.table(s, name)
		}); err != nil {
			return err
		}
		if err := c.side("check references of "+name, func(p *part, s Snapshot) error {
			return p.references(s, name)
		}); err != nil {
			return err
		}
	}
	return nil
}

func quoted(table string) string { return `"` + strings.ReplaceAll(table, `"`, `""`) + `"` }

// table lets SQLite check a table with its indexes.
func (p *part) table(s Snapshot, table string) error {
	if err := each(s, func(scan func(...any) error) error {
		var verdict string
		if err := scan(&verdict); err != nil || verdict == "ok" {
			return err
		}
		return p.verdict(table, verdict)
	}, `PRAGMA integrity_check(`+quoted(table)+`)`); err != nil || len(p.found) > 0 { // what is damaged cannot be read
		return err
	}
	return p.values(s, table)
}

// values looks for rows that break a CHECK constraint. On a connection that
// cannot write, SQLite knows no such constraints, and its own check passes over
// them.
func (p *part) values(s Snapshot, table string) error {
	var made string
	if err := s.QueryRow(`SELECT coalesce(max(sql), '') FROM sqlite_schema WHERE type = 'table' AND name = ?`,
		table).Scan(&made); err != nil {
		return err
	}
	for _, condition := range conditions(made) {
		var rows int64
		if err := s.QueryRow(`SELECT count(*) FROM ` + quoted(table) + ` WHERE NOT ` +
			condition).Scan(&rows); err != nil {
			return err
		}
		if rows > 0 {
			if err := p.add("impossible value", "table "+table, "Rows of which this is not true: %d; CHECK %s.", rows,
				condition); err != nil {
				return err
			}
		}
	}
	return nil
}

// conditions gives the conditions of the CHECK constraints in a CREATE TABLE,
// each with its parentheses.
func conditions(made string) (all []string) {
	depth, begin, inside := 0, 0, 0 // inside: the depth of the condition that begins at begin
	word := ""                      // before the present token
	for _, at := range token.FindAllStringIndex(made, -1) {
		switch text := made[at[0]:at[1]]; text {
		case "(":
			if depth++; word == "CHECK" && inside == 0 {
				begin, inside = at[0], depth
			}
			word = text
		case ")":
			if depth == inside {
				all, inside = append(all, made[begin:at[1]]), 0
			}
			depth, word = depth-1, text
		default:
			word = strings.ToUpper(text)
		}
	}
	return all
}

// token is a piece of SQL: a comment, a quoted text or name, a parenthesis, or a
// word.
var token = regexp.MustCompile(`--[^\n]*|'[^']*'|"[^"]*"|[()]|\w+`)

// references lets SQLite check what a table refers to.
func (p *part) references(s Snapshot, table string) error {
	return each(s, func(scan func(...any) error) error {
		var parent string
		var row *int64
		var key int
		if err := scan(&table, &row, &parent, &key); err != nil {
			return err
		}
		number := int64(0)
		if row != nil {
			number = *row
		}
		mends := parent != "account"
		if query, ok := accountOf[table]; ok && !mends && row != nil {
			if err := s.QueryRow(query, number).Scan(&mends); err != nil {
				return err
			}
		}
		return p.addRow(0, mends, "broken reference", fmt.Sprintf("table %s, row %d", table, number),
			"It names a row of %s that does not exist: rows were lost.", parent)
	}, `PRAGMA foreign_key_check(`+quoted(table)+`)`)
}

// accountOf asks whether what a row holds, or what holds it, knows the account,
// by table.
var accountOf = map[string]string{
	"mailbox": `SELECT EXISTS (SELECT 1 FROM entry n JOIN email e ON e.id = n.email_id
		JOIN account a ON a.id = e.account_id WHERE n.mailbox_id = ?)`,
	"email": `SELECT EXISTS (SELECT 1 FROM entry n JOIN mailbox m ON m.id = n.mailbox_id
		JOIN account a ON a.id = m.account_id WHERE n.email_id = ?)`,
	"thread": `SELECT EXISTS (SELECT 1 FROM email e WHERE e.thread_id = ? AND (e.account_id IN (SELECT id FROM account)
		OR EXISTS (SELECT 1 FROM entry n JOIN mailbox m ON m.id = n.mailbox_id JOIN account a ON a.id = m.account_id
		WHERE n.email_id = e.id)))`,
}

// ofIndex are SQLite's verdicts on an index that differs from its table.
var ofIndex = regexp.MustCompile(`^(row \d+ (missing|values differ) from|wrong # of entries in) index `)

// indexTable are the names of the search index, of the one that is being built,
// and of the tables in which SQLite keeps them.
var indexTable = regexp.MustCompile(`^search(_next)?(_(data|idx|docsize|config))?$`)

// verdict adds what SQLite says of a table.
func (p *part) verdict(table, verdict string) error {
	f := Finding{What: "damaged file", Where: "table " + table, Mends: true}
	do := ""
	switch {
	case indexTable.MatchString(table):
		do = " The search index must be rebuilt."
	case ofIndex.MatchString(verdict):
		f.Index, do = table, " The indexes of the table must be made again."
	case strings.HasPrefix(verdict, "CHECK constraint failed"):
		f.What, f.Mends = "impossible value", false
	default:
		f.File, do = true, " What can be read must be saved into a new store."
	}
	f.Detail = fmt.Sprintf("SQLite finds: %s.%s", verdict, do)
	return p.note(f)
}

// facts looks at the table meta.
func (c *checker) facts() error {
	return c.side("check the facts", func(p *part, s Snapshot) error {
		return each(s, func(scan func(...any) error) error {
			var key string
			if err := scan(&key); err != nil {
				return err
			}
			return p.add("missing fact", "table meta", "The store has lost its %s.", key)
		}, `SELECT column1 FROM (VALUES ('store_id'), ('epoch'), ('change_no'), ('created_at'))
			WHERE column1 NOT IN (SELECT key FROM meta)`)
	})
}
