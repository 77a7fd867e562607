package storage

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailcote/storage/internal/schema"
	"mailcote/testkit/faultvfs"
)

// damagedStaged clears the page that Open needs first to clear what was staged.
func (w *wreck) damagedStaged() string {
	w.t.Helper()
	s := openAt(w.t, w.path, Options{ReadOnly: true})
	root := number(w.t, s, `SELECT rootpage FROM sqlite_schema WHERE name = 'blob_staged'`)
	return w.damaged(func(b []byte) []byte { clear(b[(root-1)*schema.PageSize : root*schema.PageSize]); return b })
}

// Damage that Open itself meets while it clears what was staged is the old file's: the new store is not taken for
// damaged.
func TestSalvageAtOpen(t *testing.T) {
	w := newWreck(t)
	s := w.saved(w.damagedStaged(), nil)
	while, stop := s.While(t.Context())
	defer stop()
	if err := while.Err(); err != nil {
		t.Errorf("the new store counts as damaged: %v", err)
	}
}

// A store that Open finds damaged and cannot open again is an error and no more.
func TestReopenFailsInOpen(t *testing.T) {
	w := newWreck(t)
	path := w.damagedStaged()
	if err := faultvfs.Register(); err != nil {
		t.Fatal(err)
	}
	faultvfs.Reset()
	defer faultvfs.Reset()
	if err := openAt(t, w.path, Options{vfs: "fault"}).Close(); err != nil {
		t.Fatal(err)
	}
	opens := faultvfs.Calls(faultvfs.Open, ".db")
	faultvfs.Reset()
	faultvfs.FailFrom(faultvfs.Open, ".db", opens+1, faultvfs.CantOpen)
	if _, err := Open(t.Context(), path, Options{vfs: "fault"}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("%v", err)
	}
	if faultvfs.Fired() == 0 {
		t.Error("it was opened again")
	}
}

// A salvaged store that waits takes the place of what it was saved from, and of nothing else.
func TestFinish(t *testing.T) {
	w := newWreck(t)
	page := w.page("<200@example.org>")
	found := bytes.Clone(w.bytes)
	clear(found[page*schema.PageSize : (page+1)*schema.PageSize])
	source := w.damaged(func([]byte) []byte { return found })
	out := filepath.Join(t.TempDir(), "out.db")
	if _, err := SalvageInto(t.Context(), source, out, Salvage{Parse: parseRaw}); err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		store, log, kept, keptLog, waits []byte // nil: missing
		taken                            bool
	}{
		"as it was": {store: found, kept: found, waits: made, taken: true},
		"with its log": {store: found, log: []byte("log"), kept: found, keptLog: []byte("log"), waits: made,
			taken: true},
		"its log removed":      {store: found, kept: found, keptLog: []byte("log"), waits: made, taken: true},
		"the store moved away": {kept: found, waits: made, taken: true},
		"no copy":              {store: found, waits: made},
		"a backup in place":    {store: w.bytes, kept: found, waits: made},
		"another log":          {store: found, log: []byte("new"), kept: found, keptLog: []byte("log"), waits: made},
		"half a file":          {store: found, kept: found, waits: []byte("half a file")},
		"an empty file":        {store: found, kept: found, waits: []byte{}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mail.db")
			files := map[string][]byte{path: test.store, path + "-wal": test.log, path +
				".corrupt-20260101-000000": test.kept,
				path + ".corrupt-20260101-000000-wal": test.keptLog, path + ".salvaged": test.waits}
			for name, text := range files {
				if text == nil {
					continue
				}
				if err := os.WriteFile(name, text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if test.taken {
				s := openAt(t, path, Options{})
				if found := checkAll(t, s); len(found) > 0 {
					t.Errorf("%v", found)
				}
				if number(t, s, `SELECT count(*) FROM mail`) == 0 {
					t.Error("it is empty")
				}
				return
			}
			s, err := Open(t.Context(), path, Options{Salvage: &Salvage{Parse: parseRaw}})
			if err == nil {
				s.Close()
			}
			if err == nil || errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "Nothing was changed") {
				t.Errorf("%v", err)
			}
			for name, text := range files {
				if now, err := os.ReadFile(name); text != nil && (err != nil || !bytes.Equal(now, text)) {
					t.Errorf("%s was touched: %v", name, err)
				}
			}
		})
	}
}

// What is being saved has its name only when it is whole, and never one that the store uses itself.
func TestSalvageName(t *testing.T) {
	w := newWreck(t)
	path := w.damaged(func(b []byte) []byte { return b })
	for _, suffix := range []string{".salvage", ".salvaged", ".salvage.aside", ".SALVAGED", ".salvage-x", "-wal"} {
		if _, err := SalvageInto(t.Context(), path, path+suffix, Salvage{Parse: parseRaw}); !errors.Is(err,
			ErrSalvageName) {
			t.Errorf("%s: %v", suffix, err)
		}
	}
	out := filepath.Join(t.TempDir(), "out.db")
	looked := 0
	if _, err := SalvageInto(t.Context(), path, out, Salvage{Parse: parseRaw, Progress: func(int64, int64) {
		looked++
		if _, err := os.Lstat(out); err == nil {
			t.Error("it has its name before it is whole")
		}
	}}); err != nil || looked == 0 {
		t.Errorf("%d, %v", looked, err)
	}
}

// An entry whose generation was lost is left out, and costs nothing else.
func TestSalvageLostGeneration(t *testing.T) {
	w := newWreck(t)
	path := w.damaged(func(b []byte) []byte { return b })
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=writable_schema(1)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, statement := range []string{
		`UPDATE sqlite_schema SET sql = replace(sql, 'uidvalidity   INTEGER NOT NULL', 'uidvalidity   INTEGER')
			WHERE name = 'entry'`,
		`PRAGMA schema_version = 1000`,
		`UPDATE entry SET uidvalidity = NULL WHERE id = 5`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if r := w.saved(path, ErrCorrupt).Salvaged(); r.Missing != 1 {
		t.Errorf("%+v", *r)
	}
}

// An entry that says another size than its message has, or that names the email of another message, is downloaded
// again. One of which only the size is wrong is not.
func TestSalvageDoubts(t *testing.T) {
	w := newWreck(t)
	path := w.damaged(func(b []byte) []byte { return b })
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=foreign_keys(0)")
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`UPDATE entry SET (blob_id, size) = (SELECT id, size FROM blob WHERE id = 60) WHERE id IN (5, 7, 10)`,
		`UPDATE entry SET size = size + 1 WHERE id IN (7, 8)`, // 10 is expunged
		`DELETE FROM email WHERE id = 7`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, path, Options{Salvage: &Salvage{Parse: parseRaw, Cause: ErrCorrupt}})
	if got := text(t, s, `SELECT group_concat(entry_id) FROM (SELECT entry_id FROM refetch ORDER BY 1)`); got != "5,7" {
		t.Errorf("to be downloaded again: %s", got)
	}
}
