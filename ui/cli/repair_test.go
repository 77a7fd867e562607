package cli_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailcote/testkit/corpus"
	"mailcote/testkit/damage"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/truth"
)

// repairing is a synced store that is damaged again and again.
type repairing struct {
	*rig
	sound  map[string][]byte
	server []truth.Line
}

func newRepairing(t *testing.T) *repairing {
	t.Helper()
	r := newRig(t, dovecot.Config{})
	r.fill(53, 50, 3, corpus.Options{AvgSize: 2500})
	r.exits(0, "sync", r.url())
	c := r.other()
	if err := c.Expunge("INBOX", "3:5"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	r.fill(54, 10, 3, corpus.Options{AvgSize: 2500})
	r.exits(0, "sync", r.url())
	return &repairing{rig: r, sound: r.files(), server: r.truth()}
}

// place gives a rig with the sound store.
func (r *repairing) place(t *testing.T) *rig {
	one := r.beside(t)
	for name, text := range r.sound {
		one.write(filepath.Join(one.dir, name), text)
	}
	return one
}

// unmendable are damages that no server mends: the account's own row, and facts and ids that have no original.
var unmendable = []string{"lost row of account"}

// TestRepairSeeded: seeded damages of every kind, one or some at once, are mended: the store has what the server has,
// and a check finds nothing.
func TestRepairSeeded(t *testing.T) {
	r := newRepairing(t)
	random := seeded(t)
	all := slices.DeleteFunc(damage.All(), func(d damage.Damage) bool { return slices.Contains(unmendable, d.Name) })
	wanted, made, runs, mended := byLength(20, 1000), 0, 0, 0
	for made < wanted {
		n := min(1+random.IntN(byLength(8, 4)), wanted-made)
		runs++
		if r.mend(t, random, all, made, n) {
			mended += n
		}
		made += n
	}
	t.Logf("%d of %d seeded damages were mended, in %d repairs", mended, made, runs)
}

// mend damages a store in n ways and repairs it.
func (r *repairing) mend(t *testing.T, random *rand.Rand, all []damage.Damage, from, n int) bool {
	t.Helper()
	one := r.place(t)
	var done []string
	for i := from; len(done) < n; i++ {
		d := all[i%len(all)]
		if i >= from+n {
			d = all[random.IntN(len(all))] // another, where there was nothing to change
		}
		if what := d.Do(t, one.store, random); what != "" {
			done = append(done, d.Name)
		}
	}
	wrong := func(format string, args ...any) bool {
		t.Errorf("%s: %s", strings.Join(done, ", "), fmt.Sprintf(format, args...))
		return false
	}
	o := one.run("check", "--repair", "--json")
	if o.code != 0 {
		return wrong("status %d: %.2000s%s", o.code, o.out, o.errs)
	}
	if differ := truth.Diff(r.server, one.view()); len(differ) > 0 {
		return wrong("%d lines differ between server (-) and store (+):\n%s", len(differ),
			strings.Join(differ[:min(len(differ), 10)], "\n"))
	}
	if o := one.run("check"); o.code != 0 {
		return wrong("check after it: %s", o.out)
	}
	return true
}
