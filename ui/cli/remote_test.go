package cli_test

import (
	"fmt"
	"strings"
	"testing"

	"mailcote/storage"
	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
)

// TestCheckRemote: what nothing in the store can tell is found by a comparison with the server: flags, UIDs,
// arrival, a message that was exchanged whole, one that was lost whole. A store in sync has no finding, and the
// server's \Seen and \Recent stay.
func TestCheckRemote(t *testing.T) {
	r := newRig(t, dovecot.Config{})
	r.fill(29, byLength(160, 1200), 4, corpus.Options{AvgSize: 3000})
	r.exits(0, "sync", r.url())
	before := r.counts()
	r.exits(0, "check", "--remote")
	if after := r.counts(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the server's counts were %v and are %v", before, after)
	}
	sound := r.files()
	random := seeded(t)
	entries := r.number(`SELECT max(id) AS n FROM entry`)
	damages := []struct{ what, sql string }{
		{"other flags", `UPDATE entry SET flags = trim(flags || ' $Flipped') WHERE id = %d`},
		{"other flags", `UPDATE entry SET flags =
			iif(instr(flags, '\Seen'), trim(replace(flags, '\Seen', '')), trim('\Seen ' || flags)) WHERE id = %d`},
		{"not on the server", `UPDATE OR IGNORE entry SET uid = uid | 4096 WHERE id = %d`},
		{"other date", `UPDATE entry SET internal_date = internal_date + 1024000 WHERE id = %d`},
		{"missing message", `UPDATE entry SET expunged_at = 1 WHERE id = %d`},
	}
	wanted, found := byLength(12, 150), 0
	for n := range wanted {
		d := damages[n%len(damages)]
		one := r.beside(t)
		for name, text := range sound {
			one.write(one.dir+"/"+name, text)
		}
		one.alter(one.store, fmt.Sprintf(d.sql, 1+random.Int64N(entries)))
		if o := one.run("check", "--remote", "--json"); o.code == 1 && strings.Contains(o.out, `"what":"`+d.what+`"`) {
			found++
		} else {
			t.Errorf("%q was not found: status %d, %s%s", d.sql, o.code, o.out, o.errs)
		}
	}
	t.Logf("%d of %d seeded corruptions that only the server knows of were found", found, wanted)
	r.refuses(2, []string{"check", "--remote", "--salvage", "x.db"}, []string{"one of them"})
	one := r.beside(t)
	for name, text := range sound {
		one.write(one.dir+"/"+name, text)
	}
	one.exits(0, "account", "set", r.name(), "--port", "1")
	one.refuses(75, []string{"check", "--remote"}, []string{"network"})
	owner, err := storage.Open(t.Context(), r.store, storage.Options{Holder: "somebody"})
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	r.exits(0, "check")
	r.exits(0, "check", "--remote") // with a connection of its own
}
