package engine

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/storage/query"
	"mailcote/storage/tables"
	"mailcote/testkit/script"
)

// damaged closes the world, runs statements on its store's file and opens it again.
func (w *world) damaged(s *script.Server, statements ...string) *world {
	w.t.Helper()
	path := w.store.Path()
	w.close()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, one := range statements {
		if _, failed := db.Exec(one); failed != nil {
			err = errors.Join(err, failed)
		}
	}
	if err := errors.Join(err, db.Close()); err != nil {
		w.t.Fatal(err)
	}
	return open(w.t, path, Options{backoff: quick}).account(s.Host(), s.Port())
}

// told counts the errors recorded of a phase.
func (w *world) told(phase string) (n int) {
	w.t.Helper()
	if err := w.store.Read(w.t.Context(), func(r *storage.Reader) error {
		return tables.Of(r).QueryRow(`SELECT count(*) FROM sync_errors
			WHERE phase = ? AND class = 'storage' AND next_step <> ''`, phase).Scan(&n)
	}); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// found is how many emails a search for a word of every scripted message finds.
func (w *world) found() (n int) {
	w.t.Helper()
	q, err := query.Parse("INBOX", time.UTC)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.Read(w.t.Context(), func(r *storage.Reader) error {
		all, err := r.Search(q, 0, 1000)
		n = len(all)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// TestDirectAsked: without the queue's table everything arrives, and the next process goes back to it.
func TestDirectAsked(t *testing.T) {
	s, w := scripted(t, 40, script.Options{}, Options{Direct: true})
	w.complete()
	w.equals(s)
	w = w.damaged(s)
	put(s, "INBOX", 3)
	w.complete()
	w.equals(s)
	if len(w.engine.Warnings()) > 0 || w.told(phaseQueue) > 0 {
		t.Errorf("it was asked for: %q", w.engine.Warnings())
	}
}

// TestDirectAutomatic: a table that cannot be used is done without, which is said once, and gone back to once it
// is whole.
func TestDirectAutomatic(t *testing.T) {
	for name, c := range map[string]struct{ broken, whole string }{
		"missing": {`ALTER TABLE goqite RENAME TO away`, `ALTER TABLE away RENAME TO goqite`},
		"refuses": {`CREATE TRIGGER no BEFORE INSERT ON goqite BEGIN SELECT RAISE(ABORT, 'no'); END`,
			`DROP TRIGGER no`},
	} {
		t.Run(name, func(t *testing.T) {
			s, w := scripted(t, 40, script.Options{}, Options{})
			w = w.damaged(s, c.broken) // its first task waits in the table
			if len(w.engine.Warnings()) != 1 || w.told(phaseQueue) != 1 {
				t.Errorf("warnings %q, %d errors", w.engine.Warnings(), w.told(phaseQueue))
			}
			w.complete()
			w.same(modelOf(s))
			put(s, "INBOX", 3)
			w = w.damaged(s, c.whole)
			w.complete()
			w.equals(s)
			if len(w.engine.Warnings()) > 0 {
				t.Errorf("warnings %q", w.engine.Warnings())
			}
		})
	}
}

// TestDirectLater: a table that breaks while the program runs is done without from the next pass on.
func TestDirectLater(t *testing.T) {
	s, w := scripted(t, 40, script.Options{}, Options{})
	w.complete()
	put(s, "INBOX", 3)
	if err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
		_, err := tables.In(tx).Exec(`ALTER TABLE goqite RENAME TO away`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	w.complete()
	w.same(modelOf(s))
}

// TestIndexDamaged: a search index that is gone or damaged is made anew from the mail; one that cannot be made
// stops no mail.
func TestIndexDamaged(t *testing.T) {
	for name, damage := range map[string]string{
		"missing": `DROP TABLE search`,
		"damaged": `UPDATE search_data SET block = x'00' WHERE id = 10`,
		"emptied": `DELETE FROM search_data`,
	} {
		t.Run(name, func(t *testing.T) {
			s, w := scripted(t, 40, script.Options{}, Options{})
			w.complete()
			if n := w.found(); n != 40 {
				t.Fatalf("found %d", n)
			}
			w = w.damaged(s, damage)
			put(s, "INBOX", 3)
			w.complete()
			w.equals(s)
			if n := w.found(); n != 43 {
				t.Errorf("found %d of 43", n)
			}
			if n := w.told("index"); n != 1 {
				t.Errorf("%d errors recorded", n)
			}
		})
	}
	t.Run("hopeless", func(t *testing.T) {
		s, w := scripted(t, 40, script.Options{}, Options{})
		w.complete()
		w = w.damaged(s, `DROP TABLE search_config`, `DROP TABLE search_data`)
		put(s, "INBOX", 3)
		if sum := w.sync(); sum.Result != Partial || sum.Class != class.Storage {
			t.Errorf("%+v", sum)
		}
		w.same(modelOf(s))
		if n := w.told("index"); n != 2 {
			t.Errorf("%d errors recorded", n)
		}
	})
}
