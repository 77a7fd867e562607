package check

import (
	"fmt"
	"strings"
)

// tables lets SQLite check each table with its indexes, and its references to
// others.
func (c *checker) tables() error {
	var names []string
	if err := c.read(func(s Snapshot) error {
		return each(s, func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			names = append(names, name)
			return err
		}, `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') ORDER BY name`)
	}); err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	for _, name := range names {
		quoted := `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		if err := c.read(func(s Snapshot) error {
			return each(s, func(scan func(...any) error) error {
				var verdict string
				if err := scan(&verdict); err != nil || verdict == "ok" {
					return err
				}
				if name == "search" || name == "search_next" {
					return c.add("damaged file", "table "+name,
						"SQLite finds: %s. The search index must be rebuilt.", verdict)
				}
				if err := c.add("damaged file", "table "+name,
					"SQLite finds: %s. What can be read must be saved into a new store.", verdict); err != nil {
					return err
				}
				c.found[len(c.found)-1].File = true
				return nil
			}, `PRAGMA integrity_check(`+quoted+`)`)
		}); err != nil {
			return fmt.Errorf("check table %s: %w", name, err)
		}
		if err := c.read(func(s Snapshot) error {
			return each(s, func(scan func(...any) error) error {
				var table, parent string
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
				if name == "mailbox" && row != nil { // its mail knows the account
					if err := s.QueryRow(`SELECT EXISTS (SELECT 1 FROM entry n JOIN email e ON e.id = n.email_id
						JOIN account a ON a.id = e.account_id WHERE n.mailbox_id = ?)`, number).
						Scan(&mends); err != nil {
						return err
					}
				}
				return c.addRow(0, mends, "broken reference",
					fmt.Sprintf("table %s, row %d", table, number),
					"It names a row of %s that does not exist: rows were lost.", parent)
			}, `PRAGMA foreign_key_check(`+quoted+`)`)
		}); err != nil {
			return fmt.Errorf("check references of %s: %w", name, err)
		}
	}
	return nil
}

// facts looks at the table meta.
func (c *checker) facts() error {
	return c.read(func(s Snapshot) error {
		return each(s, func(scan func(...any) error) error {
			var key string
			if err := scan(&key); err != nil {
				return err
			}
			return c.add("missing fact", "table meta", "The store has lost its %s.", key)
		}, `SELECT column1 FROM (VALUES ('store_id'), ('epoch'), ('change_no'), ('created_at'))
			WHERE column1 NOT IN (SELECT key FROM meta)`)
	})
}
