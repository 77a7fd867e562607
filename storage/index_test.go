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

// A document that was spelled before is found as a plain one is. One of an email that is gone is passed over.
func TestSpelled(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	for i := range 2 {
		b.store(box, 7, b.arrival(UID(i+1), 1))
		b.store(box, 7, b.arrival(UID(i+11), 2))
	}
	b.index(func(row EmailRow) IndexDoc {
		doc := IndexDoc{Email: row, Subject: "Straße 東京都", Text: "Über Zebras", Attachments: "Plan.PDF",
			People: "Ada <ada@example.org>\nCarol <carol@example.org>\nDan <dan@example.org>",
			Cc:     "Carol <carol@example.org>", Bcc: "Dan <dan@example.org>"}
		if row%2 == 0 {
			doc.From, doc.To = "Ada <ada@example.org>", ""
			return doc.Spelled()
		}
		return doc
	})
	want := b.find("zebras", 9)
	if want == "" {
		t.Fatal("nothing is found")
	}
	for _, text := range []string{"subject:strasse", "subject:東京", "über zebras", "filename:plan", "from:ada", "carol",
		"cc:carol", "bcc:dan"} {
		if got := b.find(text, 9); got != want {
			t.Errorf("%q finds %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"from:carol", "to:ada", "cc:dan"} {
		if got := b.find(text, 9); got != "" {
			t.Errorf("%q finds %q", text, got)
		}
	}
	if err := b.WriteAlone(t.Context(), func(w *Writer) error {
		return w.IndexDocs([]IndexDoc{IndexDoc{Email: 99, Text: "gnu"}.Spelled()})
	}); err != nil {
		t.Fatal(err)
	}
	if n := number(t, b.Store, `SELECT count(*) FROM search_docsize WHERE id = 99`); n != 0 {
		t.Error("an email that is not there is in the index")
	}
}

func TestNewestSpelling(t *testing.T) {
	for _, old := range []bool{false, true} {
		b := newBed(t)
		if old {
			b = respelled(t, 1)
		}
		read(t, b.Store, func(r *Reader) error {
			newest, err := r.NewestSpelling()
			if newest == old {
				t.Errorf("old %v: newest %v", old, newest)
			}
			return err
		})
		err := b.WriteAlone(t.Context(), func(w *Writer) error {
			return w.IndexDocs([]IndexDoc{IndexDoc{Email: 1, Text: "gnu"}.Spelled()})
		})
		if refused := err != nil; refused != old {
			t.Errorf("old %v: a spelled document: %v", old, err)
		}
	}
}

// What was read again for the index is added up, and lost with the transaction that failed.
func TestCountReparsed(t *testing.T) {
	b := newBed(t)
	for _, fails := range []error{nil, errors.New("refused"), nil} {
		if err := b.WriteAlone(t.Context(), func(w *Writer) error {
			return errors.Join(w.CountReparsed(3), fails)
		}); !errors.Is(err, fails) {
			t.Fatal(err)
		}
	}
	read(t, b.Store, func(r *Reader) error {
		c, err := r.Count()
		if c.Reparsed != 6 {
			t.Errorf("%d are counted", c.Reparsed)
		}
		return err
	})
}
