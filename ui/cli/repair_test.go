package cli_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mailcote/storage"
	"mailcote/storage/packing"
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

// unpacked reads a frame of a message.
func unpacked(frame []byte) ([]byte, error) {
	u, err := packing.NewUnpacker()
	if err != nil {
		return nil, err
	}
	defer u.Close()
	return u.Unpack(frame)
}

// TestRepairSeeded: seeded damages of every kind, one or some at once, are mended: the store has what the server has,
// and a check finds nothing.
func TestRepairSeeded(t *testing.T) {
	r := newRepairing(t)
	random := seeded(t)
	all := slices.DeleteFunc(append(damage.All(unpacked), damage.Silent()...), func(d damage.Damage) bool {
		return slices.Contains(unmendable, d.Name)
	})
	wanted, made, runs, mended := byLength(20, 1000), 0, 0, 0
	for made < wanted {
		n := min(1+random.IntN(byLength(8, 4)), wanted-made)
		runs++
		if r.mend(t, random, all, made, n) {
			mended += n
		}
		if made += n; made/100 > (made-n)/100 {
			t.Logf("%d of %d mended", mended, made)
		}
	}
	t.Logf("%d of %d seeded damages were mended, in %d repairs", mended, made, runs)
}

// mend damages a store in n ways and repairs it.
func (r *repairing) mend(t *testing.T, random *rand.Rand, all []damage.Damage, from, n int) bool {
	t.Helper()
	one := r.place(t)
	var done []string
	pages, paged := damage.Pages(), false
	for i := from; len(done) < n; i++ {
		if len(done) == n-1 && random.IntN(4) == 0 { // the last one: nothing can be altered after it
			d := pages[random.IntN(len(pages))]
			done, paged = append(done, d.Name+" "+d.Do(t, one.store, random)), true
			break
		}
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
	if paged && o.code == 0 && one.number(`SELECT count(*) AS n FROM accounts`) == 0 { // its row was in a page
		o = one.run("sync", r.url(), "--once")
	}
	if paged && o.code == 1 && strings.Contains(o.errs, "no account could be read from the damaged store") {
		return true // nothing is left to ask the server with, and the person was told
	}
	lost := gone(o.out)
	if o.code != 0 && !lost {
		return wrong("status %d: %s%.2000s", o.code, o.errs, o.out)
	}
	if differ := truth.Diff(r.server, one.view()); len(differ) > 0 {
		return wrong("%d lines differ between server (-) and store (+):\n%s", len(differ),
			strings.Join(differ[:min(len(differ), 10)], "\n"))
	}
	if o := one.run("check", "--json"); o.code != 0 && !(lost && gone(o.out)) {
		return wrong("check after it: %s", o.out)
	}
	return true
}

// gone reports whether all that is left are the bytes of messages that the server no longer has.
func gone(out string) bool {
	left := strings.Count(out, `"type":"finding"`)
	return left > 0 && left == len(regexp.MustCompile(`"what":"(damaged message|missing piece)","where":"[^"]*, `+
		`mailbox INBOX, UID [345]"`).FindAllString(out, -1))
}

// TestRepair: a person repairs a store, and makes rows again, and is told what was done.
func TestRepair(t *testing.T) {
	t.Parallel() // it waits for a network that is not there
	r := newRepairing(t)
	one := r.place(t)
	if o := one.exits(0, "check", "--repair"); !strings.Contains(o.errs, "0 findings: 0 mended, 0 left") {
		t.Errorf("a sound store: %s", o.errs)
	}
	one.alter(one.store, `UPDATE email SET subject = 'x' WHERE id = 2; UPDATE entry SET flags = '$Other' WHERE id = 7;
		DELETE FROM blob_piece WHERE blob_id = (SELECT blob_id FROM entry WHERE expunged_at IS NULL LIMIT 1)`)
	if o := one.exits(1, "check"); !strings.Contains(o.errs, "mailcote check --repair mends") {
		t.Errorf("check: %s", o.errs)
	}
	if o := one.exits(1, "check", "--json"); strings.Count(o.out, `"repairable":true`) != strings.Count(o.out, "\n") {
		t.Errorf("check: %s", o.out)
	}
	o := one.exits(0, "check", "--repair", "--json")
	if !strings.Contains(o.out, `"type":"repair","found":3,"mended":3,"left":0,"refetched":`) ||
		strings.Count(o.out, "\n") != 1 {
		t.Errorf("repaired: %s%s", o.out, o.errs)
	}
	one.exits(0, "check", "--remote")

	lost := r.place(t)
	if err := os.Remove(lost.store + ".secrets"); err != nil {
		t.Fatal(err)
	}
	lost.alter(lost.store, `UPDATE email SET subject = 'x' WHERE id = 2;
		DELETE FROM blob_piece WHERE blob_id = (SELECT blob_id FROM entry WHERE expunged_at IS NULL LIMIT 1)`)
	o = lost.exits(77, "check", "--repair")
	const step = "give the password: mailcote account add imap://"
	if lines := strings.Split(strings.TrimSpace(o.errs), "\n"); len(lines) != 2 || strings.Count(o.errs, step) != 1 ||
		!strings.HasPrefix(lines[0], "Not done: 1 account was not compared. 3 findings: 2 mended, 1 left; ") ||
		!strings.HasPrefix(lines[1], "mailcote: warning: "+lost.name()+" was not compared whole, ") ||
		!strings.HasSuffix(lines[1], " --password-file FILE, then mailcote check --repair") {
		t.Errorf("without a password: %s", o.errs)
	}
	o = lost.run("check", "--repair", "--json")
	if lines := strings.Split(strings.TrimSpace(o.out), "\n"); len(lines) != 3 ||
		!strings.HasPrefix(lines[1], `{"type":"error","class":`) || !strings.Contains(lines[1], lost.name()) ||
		!strings.Contains(lines[1], `then mailcote check --repair"`) ||
		!strings.HasPrefix(lines[2], `{"type":"repair","found":1,"mended":0,"left":1,`) {
		t.Errorf("without a password, in JSON: status %d, %s", o.code, o.out)
	}

	one.exits(0, "account", "set", one.name(), "--port", "1")
	one.alter(one.store, `UPDATE email SET subject = 'x' WHERE id = 2;
		DELETE FROM blob_piece WHERE blob_id = (SELECT blob_id FROM entry WHERE expunged_at IS NULL LIMIT 1)`)
	shown := one.number(`SELECT count(*) AS n FROM mail`)
	if o := one.run("check", "--repair", "--json"); o.code != 75 || !strings.Contains(o.out, `"mended":2,"left":1`) {
		t.Errorf("without a network: status %d, %s%s", o.code, o.out, o.errs)
	}
	if n := one.number(`SELECT count(*) AS n FROM mail`); n != shown {
		t.Errorf("%d messages shown, %d before", n, shown)
	}
	one.refuses(2, []string{"check", "--repair", "--remote"}, []string{"one of them"})
	owner, err := storage.Open(t.Context(), one.store, storage.Options{Holder: "somebody"})
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	one.refuses(75, []string{"check", "--repair"}, []string{"somebody"})
	one.refuses(75, []string{"check", "--rebuild", "search"}, []string{"somebody"})
}

// TestRebuild: what is derived from the mail is made again on request, and stays the same where it was right.
func TestRebuild(t *testing.T) {
	r := newRepairing(t)
	one := r.place(t)
	const all = `SELECT count(*) * 1000 + count(DISTINCT subject) AS n FROM email`
	subjects, threads := one.number(all), one.number(`SELECT count(*) AS n FROM thread`)
	changes := one.number(`SELECT max(changed_no) AS n FROM changes`)
	for _, what := range []string{"views", "search", "threads"} {
		o := one.exits(0, "check", "--rebuild", what, "--json")
		if !strings.Contains(o.out, `"type":"rebuild","what":"`+what+`","messages":60,"seconds":`) {
			t.Errorf("%s: %s", what, o.out)
		}
	}
	if n := one.number(`SELECT max(changed_no) AS n FROM changes`); n != changes {
		t.Errorf("the change number went from %d to %d, though all was right", changes, n)
	}
	one.alter(one.store, `UPDATE email SET subject = 'x', preview = 'y'; DELETE FROM search WHERE rowid < 20;
		UPDATE email SET thread_id = (SELECT min(id) FROM thread)`)
	for _, what := range []string{"views", "search", "threads"} {
		if o := one.exits(0, "check", "--rebuild", what); !strings.Contains(o.errs,
			"Made again: "+what+" of 60 messages") {
			t.Errorf("%s: %s", what, o.errs)
		}
	}
	one.exits(0, "check", "--repair") // the damage left empty threads
	one.exits(0, "check")
	if n := one.number(all); n != subjects {
		t.Errorf("%d subjects, want %d", n, subjects)
	}
	if n := one.number(`SELECT count(*) AS n FROM thread`); n != threads {
		t.Errorf("%d threads, want %d", n, threads)
	}
	one.refuses(2, []string{"check", "--rebuild", "all"}, []string{"views, search or threads"})
}
