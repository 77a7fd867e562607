package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
)

// TestDamagedStore damages a store and wants the next sync to save what can be read, to keep what was found, and
// to fetch the rest, so that server and store are the same again.
func TestDamagedStore(t *testing.T) {
	r := newRig(t, dovecot.Config{})
	r.fill(23, 240, 3, corpus.Options{AvgSize: 4000})
	r.sync()
	server := r.truth()
	sound, err := os.ReadFile(r.store)
	if err != nil {
		t.Fatal(err)
	}
	root := r.number(`SELECT rootpage AS n FROM sqlite_schema WHERE name = 'sync_task'`)
	first := r.number(`SELECT rootpage AS n FROM sqlite_schema WHERE name = 'breaker'`)
	for name, damage := range map[string]func(store []byte) []byte{
		"a first page that is none": func(store []byte) []byte { store[2] ^= 0x20; return store },
		"a page found under way": func(store []byte) []byte {
			clear(store[(root-1)*8192 : root*8192])
			return store
		},
		"a page found at the start, under way": func(store []byte) []byte {
			clear(store[(first-1)*8192 : first*8192])
			return store
		},
		"the second half missing": func(store []byte) []byte { return store[:len(store)/2] },
	} {
		t.Run(name, func(t *testing.T) {
			r := r.beside(t)
			found := damage(bytes.Clone(sound))
			r.write(r.store, found)
			o := r.exits(0, "sync", r.url(), "--once", "--json")
			if !strings.Contains(o.out, `"type":"salvaged"`) || strings.Count(o.out, `"type":"summary"`) != 1 ||
				!strings.Contains(o.errs, "the store was damaged (") {
				t.Errorf("nothing is said of it: %s%s", o.out, o.errs)
			}
			r.whole(server)
			kept, err := filepath.Glob(r.store + ".corrupt-*")
			// where it had a log
			kept = slices.DeleteFunc(kept, func(name string) bool { return strings.HasSuffix(name, "-wal") })
			if err != nil || len(kept) != 1 {
				t.Fatalf("kept: %v, %v", kept, err)
			}
			if strings.Contains(name, "under way") {
				return // it was written to before anybody knew
			}
			if text, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(text, found) {
				t.Errorf("the copy is not what was found: %v", err)
			}
		})
	}
	// cleared gives the store without the bytes from a place on, in the first page of a table or index.
	cleared := func(t *testing.T, name string, from int64) *rig {
		root := r.number(`SELECT rootpage AS n FROM sqlite_schema WHERE name = '` + name + `'`)
		r := r.beside(t)
		store := bytes.Clone(sound)
		clear(store[(root-1)*8192+from : root*8192])
		r.write(r.store, store)
		return r
	}
	for _, c := range []struct {
		name, of string
		from     int64
		where    string // of the one damage that check finds
	}{
		{"a page that only a check reads", "email_destroyed", 0, "table email"},
		{"a page of the search index", "search_docsize", 8192 - 512, "table search_docsize"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := cleared(t, c.of, c.from)
			o := r.exits(1, "check", "--json")
			if strings.Count(o.out, `"what":"damaged file"`) != 1 ||
				!strings.Contains(o.out, `"where":"`+c.where+`"`) || strings.Contains(o.out, `"repairable":false`) {
				t.Errorf("check: %s%s", o.out, o.errs)
			}
			r.exits(0, "account", "add", r.url(), "--no-test")
			r.exits(0, "check", "--repair")
			r.sound()
			r.same(server)
		})
	}
	t.Run("the page of the accounts", func(t *testing.T) {
		r := cleared(t, "account", 0)
		for _, command := range [][]string{{"check", "--repair"}, {"sync", "--once"}} {
			o := r.exits(1, command...)
			if !strings.Contains(o.errs, "no account could be read") || strings.Contains(o.errs, "damaged again") {
				t.Errorf("%s: %s", command, o.errs)
			}
			if n := r.number(`SELECT count(*) AS n FROM entry`); n != 240 {
				t.Errorf("%s left %d messages", command, n)
			}
		}
	})
	t.Run("by hand", func(t *testing.T) {
		r := r.beside(t)
		r.write(r.store, bytes.Clone(sound))
		out := filepath.Join(r.dir, "saved.db")
		r.exits(0, "check", "--salvage", out)
		r.refuses(2, []string{"check", "--salvage", r.store + ".salvaged"}, []string{"uses itself"})
		r.refuses(2, []string{"check", "--salvage", out}, []string{"exists"})
		if text, err := os.ReadFile(r.store); err != nil || !bytes.Equal(text, sound) {
			t.Errorf("the store was touched: %v", err)
		}
		r.store, r.env[0] = out, "MAILCOTE_STORE="+out
		r.sound()
		r.same(server)
	})
	t.Run("only read", func(t *testing.T) { // by a command that does not sync
		r := r.beside(t)
		store := bytes.Clone(sound)
		store[2] ^= 0x20
		r.write(r.store, store)
		r.refuses(1, []string{"status"}, []string{"damaged", "mailcote sync"})
		r.refuses(1, []string{"account", "add", r.url(), "--no-test"}, []string{"damaged", "mailcote sync"})
	})
}
