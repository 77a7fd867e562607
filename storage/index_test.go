package storage

import (
	"errors"
	"fmt"
	"testing"

	"mailcote/testkit/faultvfs"
)

// breakIndex damages the search index of a store, on a connection of its own.
func breakIndex(t *testing.T, s *Store, statement string) {
	t.Helper()
	if _, err := another(t, s).ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// indexed is a store whose file operations can be made to fail, with some mail that is indexed.
func indexed(t *testing.T) *bed {
	t.Helper()
	b := bedOn(t, faulty(t))
	box := b.mailbox("INBOX", 7)
	for i := range 20 {
		b.store(box, 7, b.arrival(UID(i+1), i))
	}
	b.index(func(row EmailRow) IndexDoc { return IndexDoc{Email: row, Text: fmt.Sprint("zebra ", row)} })
	return b
}

// A damaged search index is no damage of the file: after an unknown outcome the store is written again.
func TestDamagedIndexIsReopened(t *testing.T) {
	for name, damage := range map[string]string{
		"a block":  `UPDATE search_data SET block = x'00' WHERE id > 10`,
		"a term":   `UPDATE search_idx SET term = x'ff'`,
		"its head": `DELETE FROM search_data WHERE id = 10`,
	} {
		t.Run(name, func(t *testing.T) {
			b := indexed(t)
			breakIndex(t, b.Store, damage)
			if verdict := text(t, b.Store, "PRAGMA quick_check"); verdict == "ok" {
				t.Fatal("SQLite does not see the damage")
			}
			faultvfs.Fail(faultvfs.Sync, "-wal", 1, faultvfs.IOErrSync)
			if err := b.Write(t.Context(), Interactive, 0, put("a")); !errors.Is(err, ErrOutcomeUnknown) ||
				errors.Is(err, ErrFailing) || errors.Is(err, ErrCorrupt) {
				t.Errorf("told %v", err)
			}
			write(t, b.Store, put("later"))
		})
	}
}

// SQLite has two wordings for a damaged search index.
func TestIndexVerdict(t *testing.T) {
	for verdict, want := range map[string]bool{
		`malformed inverted index for FTS5 table main.search`:                   true,
		`fts5: corruption found reading blob 10 from table "search"`:            true,
		`Tree 12 page 40 cell 3: Rowid 7 out of order`:                          false,
		`row 1 missing from index entry_email`:                                  false,
		`fts5: corruption found reading blob 10 from table "another_programme"`: false,
	} {
		if got := ofIndex(verdict); got != want {
			t.Errorf("%s: %v", verdict, got)
		}
	}
}

// What is damaged in the search index may show at the COMMIT of WriteAlone only.
func TestDamagedIndexAtCommit(t *testing.T) {
	b := indexed(t)
	breakIndex(t, b.Store, `INSERT OR IGNORE INTO search_idx (segid, term, pgno)
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) SELECT i, x'', 2 FROM n`)
	if err := b.WriteAlone(t.Context(), func(w *Writer) error {
		_, err := w.tx.Exec(`INSERT OR REPLACE INTO search (rowid, text) VALUES (100, 'gnu')`)
		if err != nil {
			t.Errorf("not at COMMIT: %v", err)
		}
		return err
	}); !errors.Is(err, ErrIndex) || errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("told %v", err)
	}
}

// An email that is gone waits for the index no more, so that whoever indexes what waits ends.
func TestIndexOfNothing(t *testing.T) {
	b := newBed(t)
	conn := another(t, b.Store)
	for _, statement := range []string{"PRAGMA foreign_keys = OFF", "INSERT INTO unindexed VALUES (99)"} {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.WriteAlone(t.Context(), func(w *Writer) error {
		return w.IndexDocs([]IndexDoc{{Email: 99}})
	}); err != nil {
		t.Fatal(err)
	}
	if n := number(t, b.Store, `SELECT count(*) FROM unindexed`); n != 0 {
		t.Errorf("%d still wait", n)
	}
}
