package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailcote/storage/internal/schema"
	"mailcote/storage/owner"
	"mailcote/testkit/faultvfs"
)

func TestCreateSettings(t *testing.T) {
	s := openTest(t)
	want := map[string]string{
		"page_size": fmt.Sprint(schema.PageSize), "auto_vacuum": "2", "journal_mode": "wal", "synchronous": "2",
		"wal_autocheckpoint": "0",
		"foreign_keys":       "1", "user_version": fmt.Sprint(SchemaVersion()),
		"application_id": fmt.Sprint(schema.ApplicationID), "busy_timeout": "5000",
	}
	write(t, s, func(w *Writer) error {
		for name, value := range want {
			var got string
			if err := w.tx.Raw().QueryRow("PRAGMA " + name).Scan(&got); err != nil {
				return err
			}
			if got != value {
				t.Errorf("PRAGMA %s = %s, want %s", name, got, value)
			}
		}
		return nil
	})
	for name, value := range map[string]string{"query_only": "1", "trusted_schema": "0"} {
		if got := text(t, s, "PRAGMA "+name); got != value {
			t.Errorf("a reader has %s = %s, want %s", name, got, value)
		}
	}
	if info, err := os.Stat(s.Path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	err := s.Read(t.Context(), func(r *Reader) error { _, err := r.snap.Raw().Exec("DELETE FROM meta"); return err })
	if err == nil {
		t.Error("a reader wrote")
	}
}

func TestReopenKeeps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mail.db")
	s := openAt(t, path, Options{})
	b := bedOn(t, s)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1))
	id := text(t, s, "SELECT value FROM meta WHERE key = 'store_id'")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := s.Write(t.Context(), Bulk, 0, func(*Writer) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("write after Close: %v", err)
	}
	if err := s.Read(t.Context(), func(*Reader) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("read after Close: %v", err)
	}
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
		t.Errorf("%d bytes of WAL after Close", info.Size())
	}
	s = openAt(t, path, Options{})
	if got := text(t, s, "SELECT value FROM meta WHERE key = 'store_id'"); got != id || len(id) != 32 {
		t.Errorf("store id %q became %q", id, got)
	}
	if n := number(t, s, "SELECT count(*) FROM mail"); n != 1 {
		t.Errorf("%d mails after reopening", n)
	}
}

// TestKilledWhileMade: the first transaction of a file was cut, and its journal is there. Who only reads cannot
// undo it and says who can; the owner does.
func TestKilledWhileMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mail.db")
	half := filepath.Join(t.TempDir(), "half.db")
	db, err := sql.Open("sqlite", half)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test's
	db.SetMaxOpenConns(1)
	for _, one := range []string{"PRAGMA cache_size = 1", "BEGIN", "CREATE TABLE t (b)",
		"INSERT INTO t VALUES (zeroblob(200000))"} {
		if _, err := db.Exec(one); err != nil {
			t.Fatal(err)
		}
	}
	for _, suffix := range []string{"", "-journal"} {
		content, err := os.ReadFile(half + suffix)
		if err := errors.Join(err, os.WriteFile(path+suffix, content, 0o600)); err != nil || len(content) == 0 {
			t.Fatalf("%s: %d octets, %v", suffix, len(content), err)
		}
	}
	if _, err := Open(t.Context(), path, Options{ReadOnly: true}); !errors.Is(err, ErrNotStore) ||
		!strings.Contains(err.Error(), "making was interrupted") {
		t.Errorf("who only reads is told %v", err)
	}
	openAt(t, path, Options{})
	if _, err := os.Stat(path + "-journal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the journal: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	plant := func(t *testing.T, statements ...string) string {
		path := filepath.Join(t.TempDir(), "mail.db")
		s := openAt(t, path, Options{})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close() //nolint:errcheck // a test's
		for _, one := range statements {
			if _, err := db.Exec(one); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	for name, c := range map[string]struct {
		path func(t *testing.T) string
		o    Options
		is   error
		says []string
	}{
		"newer": {
			path: func(t *testing.T) string {
				return plant(t, fmt.Sprintf("PRAGMA user_version = %d", SchemaVersion()+3))
			},
			is: ErrNewer, says: []string{fmt.Sprintf("schema %d", SchemaVersion()+3),
				fmt.Sprintf("knows %d", SchemaVersion()), "update mailcote"},
		},
		"newer, read-only": {
			path: func(t *testing.T) string {
				return plant(t, "PRAGMA user_version = 99")
			}, o: Options{ReadOnly: true}, is: ErrNewer, says: []string{"99"},
		},
		"another program's database": {
			path: func(t *testing.T) string {
				return plant(t, "PRAGMA application_id = 7")
			}, is: ErrNotStore, says: []string{"another program"},
		},
		"no database": {
			path: func(t *testing.T) string {
				path := filepath.Join(t.TempDir(), "mail.db")
				if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 900)), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			},
			is: ErrNotStore, says: []string{"not an SQLite file"},
		},
		"missing, read-only": {
			path: func(t *testing.T) string {
				return filepath.Join(t.TempDir(), "mail.db")
			}, o: Options{ReadOnly: true}, is: ErrMissing, says: []string{"--store"},
		},
		"empty, read-only": {
			path: func(t *testing.T) string {
				path := filepath.Join(t.TempDir(), "mail.db")
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			},
			o: Options{ReadOnly: true}, is: ErrNotStore,
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := c.path(t)
			s, err := Open(t.Context(), path, c.o)
			if err == nil {
				t.Fatal(errors.Join(errors.New("it opened"), s.Close()))
			}
			if !errors.Is(err, c.is) {
				t.Errorf("error %v, want %v", err, c.is)
			}
			for _, word := range c.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("error %q does not say %q", err, word)
				}
			}
			if _, held := owner.Holder(path); held {
				t.Error("the refused store stays locked")
			}
		})
	}
}

func TestHeldAndBeside(t *testing.T) {
	s := openTest(t)
	b := bedOn(t, s)
	_, err := Open(t.Context(), s.Path(), Options{Holder: "second"})
	var held *owner.HeldError
	if !errors.As(err, &held) {
		t.Fatalf("a second owner: %v", err)
	}
	beside := openAt(t, s.Path(), Options{ReadOnly: true})
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1))
	if n := number(t, beside, "SELECT count(*) FROM mail"); n != 1 {
		t.Errorf("a reader beside the owner sees %d mails", n)
	}
	if err := beside.Write(context.Background(), Bulk, 0, func(*Writer) error {
		return nil
	}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("write on a read-only store: %v", err)
	}
}

// A store that was moved or removed while in use takes no more writes: they would be lost to whoever opens the
// path next. Least of all is an empty one made in its place.
func TestMovedWhileOpen(t *testing.T) {
	for name, unknown := range map[string]bool{"a write": false, "an unknown outcome": true} {
		t.Run(name, func(t *testing.T) {
			s := faulty(t)
			if err := os.Rename(s.Path(), s.Path()+".old"); err != nil {
				t.Fatal(err)
			}
			if unknown {
				faultvfs.Fail(faultvfs.Sync, "-wal", 1, faultvfs.IOErrSync)
			}
			err := s.Write(t.Context(), Interactive, 0, put("a"))
			if !errors.Is(err, owner.ErrMoved) {
				t.Errorf("told %v", err)
			}
			if err := s.Write(t.Context(), Interactive, 0, put("b")); !errors.Is(err, owner.ErrMoved) {
				t.Errorf("later told %v", err)
			}
			if _, err := os.Lstat(s.Path()); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("another file stands in its place: %v", err)
			}
		})
	}
}

// What an owner would refuse to open a reader refuses too.
func TestReadOnlyRefuses(t *testing.T) {
	for name, link := range map[string]func(from, to string) error{"symlink": os.Symlink, "second link": os.Link} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mail.db")
			if err := openAt(t, path, Options{}).Close(); err != nil {
				t.Fatal(err)
			}
			if err := link(path, path+".2"); err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), path+".2", Options{ReadOnly: true})
			var refused *owner.RefusedError
			if !errors.As(err, &refused) {
				t.Errorf("opened: %v", err)
			}
			if err == nil {
				t.Log(s.Close())
			}
		})
	}
}
