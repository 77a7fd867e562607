//go:build failpoints

package cli_test

import (
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // builds the store of an older program

	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/form"
	"mailcote/testkit/truth"
)

// bob has one message that is larger than the write-ahead log may grow.
const bob, bobPassword = "bob", "open"

// deed is something the program does, from a known store on; all deeds together reach every failpoint.
type deed struct {
	name   string
	user   string
	before map[string][]byte // files beside the store; nil: there is no store
	do     func(r *rig) outcome
	again  func(r *rig) // by which everything must be well

	damaged bool // the store is, so nothing holds before again
}

// TestFailpoints kills the program at each failpoint, when it is first hit and at some later hit, and wants
// everything to be well after the next start. A point that nothing reaches is a failure.
func TestFailpoints(t *testing.T) {
	random := seeded(t)
	r := newRig(t, dovecot.Config{Users: map[string]string{dovecot.User: dovecot.Password, bob: bobPassword}})
	deeds := r.deeds()
	server := map[string][]truth.Line{dovecot.User: r.truth()}
	lines, err := truth.Read(t.Context(), r.server.Addr(), bob, bobPassword)
	if err != nil {
		t.Fatal(err)
	}
	server[bob] = lines

	hits := make([]map[string]int, len(deeds)) // by deed
	reached := map[string]bool{}
	for i, d := range deeds {
		hits[i] = r.beside(t).record(d)
		for point := range hits[i] {
			reached[point] = true
		}
	}
	points := inSource(t)
	for _, point := range points {
		if !reached[point] {
			t.Errorf("%s is in the source, and nothing the test does reaches it", point)
		}
	}
	t.Logf("%d points", len(points))
	for _, point := range points {
		var able []int
		for i := range deeds {
			if hits[i][point] > 0 {
				able = append(able, i)
			}
		}
		random.Shuffle(len(able), func(i, j int) { able[i], able[j] = able[j], able[i] })
		slices.SortStableFunc(able, func(a, b int) int { return min(hits[b][point], 2) - min(hits[a][point], 2) })
		if !form.Long() {
			able = able[:min(1, len(able))]
		}
		for _, i := range able {
			d := deeds[i]
			ns := []int{1}
			if n := hits[i][point]; n > 1 {
				ns = append(ns, 2+random.IntN(n-1))
			}
			for _, n := range ns {
				t.Run(fmt.Sprintf("%s/%s/%d", point, d.name, n), func(t *testing.T) {
					t.Parallel()
					r.beside(t).crash(d, point, n, server[d.user])
				})
			}
		}
	}
}

// place puts the deed's files where they belong.
func (r *rig) place(d deed) {
	r.t.Helper()
	for name, text := range d.before {
		r.write(filepath.Join(r.dir, name), text)
	}
}

// record does a deed to its end and gives how often each point was hit.
func (r *rig) record(d deed) map[string]int {
	r.t.Helper()
	r.place(d)
	log := filepath.Join(r.t.TempDir(), "hits")
	keep := r.env
	r.env = append(slices.Clone(keep), "MAILCOTE_FAILPOINT_LOG="+log)
	if o := d.do(r); o.code != 0 {
		r.t.Fatalf("%s: status %d: %s", d.name, o.code, o.errs)
	}
	r.env = keep
	text, err := os.ReadFile(log)
	if err != nil {
		r.t.Fatal(err)
	}
	hits := map[string]int{}
	for _, point := range strings.Fields(string(text)) {
		hits[point]++
	}
	return hits
}

// crash does a deed that is killed at the n-th hit of a point, and then again.
func (r *rig) crash(d deed, point string, n int, server []truth.Line) {
	r.t.Helper()
	for {
		r.place(d)
		keep := r.env
		r.env = append(slices.Clone(keep), fmt.Sprintf("MAILCOTE_FAILPOINT=%s:%d:kill", point, n))
		o := d.do(r)
		r.env = keep
		if o.code == -1 {
			break
		}
		if o.code != 0 {
			r.t.Fatalf("status %d: %s", o.code, o.errs)
		}
		if n == 1 {
			r.t.Fatal("the point was hit before and is not now")
		}
		n /= 2 // batches and groups do not fall the same way each time
		r.fresh()
	}
	switch o := r.run("status"); {
	case d.damaged:
	// who only reads cannot migrate it
	case strings.Contains(o.errs, "made by an older mailcote") && strings.HasPrefix(point, "schema."):
	case o.code == 0:
		r.sound()
	case d.before != nil || !strings.Contains(o.errs, "no store") && !strings.Contains(o.errs, "the store is empty"):
		r.t.Fatalf("status after the kill: %d: %s", o.code, o.errs)
	}
	d.again(r)
	if differ := truth.Diff(server, r.view()); len(differ) > 0 {
		r.t.Fatalf("%d lines differ between server (-) and store (+):\n%s", len(differ),
			strings.Join(differ[:min(len(differ), 10)], "\n"))
	}
	r.sound()
	r.settled()
}

// deeds prepares the server and the stores. The server does not change after.
func (r *rig) deeds() []deed {
	r.t.Helper()
	large := make([]byte, 20<<20)
	rand.Read(large)
	raw := "From: bob@example.org\r\nSubject: large\r\nContent-Transfer-Encoding: " +
		"base64\r\n\r\n" + wrapped(base64.StdEncoding.EncodeToString(large))
	r.server.Deliver(r.t, bob, "INBOX", []byte(raw), dovecot.Options{})

	r.fill(71, 160, 4, corpus.Options{AvgSize: 3000})
	link := func(id, references string) {
		raw := fmt.Sprintf("From: bob@example.org\r\nSubject: late link\r\nMessage-ID: <%s>\r\n"+
			"References: %s\r\n\r\nt\r\n", id, references)
		r.server.Deliver(r.t, dovecot.User, "INBOX", []byte(raw), dovecot.Options{})
	}
	link("one@example.org", "")
	link("two@example.org", "")
	r.exits(0, "sync", r.url())
	once := r.files()
	link("three@example.org", "<one@example.org> <two@example.org>")
	c := r.other()
	if err := c.Store("INBOX", "1:15", "+FLAGS", `\Flagged`, "$Work"); err != nil {
		r.t.Fatal(err)
	}
	for mailbox, uids := range map[string]string{"INBOX": "20:32", "Sent": "1:3"} {
		if err := c.Expunge(mailbox, uids); err != nil {
			r.t.Fatal(err)
		}
	}
	c.Close()
	r.fill(72, 60, 4, corpus.Options{AvgSize: 3000})
	if err := r.server.Renumber(dovecot.User, "Archive"); err != nil {
		r.t.Fatal(err)
	}
	r.truth() // the server gives the new numbers now
	r.exits(0, "sync", r.url())
	const days = 40 * 24 * 60 * 60 * 1000
	for _, column := range []string{"entry.expunged_at", "email.destroyed_at", "blob.created_at", "change.changed_at"} {
		table, name, _ := strings.Cut(column, ".")
		r.alter(r.store, fmt.Sprintf("UPDATE %s SET %s = %[2]s - %d WHERE %[2]s IS NOT NULL", table, name, days))
	}
	r.sound()
	old := r.files()
	outdated := r.altered(once, `DELETE FROM meta WHERE key = 'reader'; UPDATE email SET subject = 'read before'`)

	u := url.URL{Scheme: "imap", User: url.UserPassword(bob, bobPassword), Host: r.addr}
	sync := func(url string) func(r *rig) outcome {
		return func(r *rig) outcome { return r.run("sync", url, "--once", "--json") }
	}
	well := func(do func(r *rig) outcome) func(r *rig) {
		return func(r *rig) {
			r.t.Helper()
			if o := do(r); o.code != 0 {
				r.t.Fatalf("after the kill: status %d: %s", o.code, o.errs)
			}
		}
	}
	add := func(r *rig) outcome { return r.run("account", "add", r.url(), "--no-test") }
	named := func(r *rig) outcome { return r.run("sync") }
	// A removal that was killed is finished by the sync that brings the account back.
	remove := func(r *rig) outcome { return r.run("account", "remove", r.name(), "--yes", "--wipe") }
	both := func(do, then func(r *rig) outcome) func(r *rig) {
		return func(r *rig) { r.t.Helper(); well(do)(r); well(then)(r) }
	}
	return []deed{
		{"remove", dovecot.User, once, remove, well(sync(r.url())), false},
		{"first", dovecot.User, nil, sync(r.url()), well(sync(r.url())), false},
		{"large", bob, nil, sync(u.String()), well(sync(u.String())), false},
		{"later", dovecot.User, once, sync(r.url()), well(sync(r.url())), false},
		{"add", dovecot.User, nil, add, both(add, named), false},
		{"run", dovecot.User, r.altered(old, `UPDATE index_state SET spelling = 1`), (*rig).sweeps, well(named), false},
		{"migrate", dovecot.User, r.released(1), sync(r.url()), well(sync(r.url())), false},
		{"read again", dovecot.User, outdated, sync(r.url()), well(sync(r.url())), false},
		{"backup", dovecot.User, old, (*rig).backsUp, both((*rig).backsUp, named), false},
		{"restore", dovecot.User, old, (*rig).restores, both((*rig).restores, named), false},
		{"export", dovecot.User, old, (*rig).exports, both((*rig).exports, named), false},
		{"damaged", dovecot.User, r.damaged(once, "sync_task"), sync(r.url()), well(sync(r.url())), true},
	}
}

// altered gives files in whose store a statement was run.
func (r *rig) altered(files map[string][]byte, statement string) map[string][]byte {
	r.t.Helper()
	one := r.beside(r.t)
	for name, text := range files {
		one.write(filepath.Join(one.dir, name), text)
	}
	one.alter(one.store, statement)
	return one.files()
}

// damaged gives files whose store has lost the first page of a table.
func (r *rig) damaged(files map[string][]byte, table string) map[string][]byte {
	r.t.Helper()
	files = maps.Clone(files)
	text := slices.Clone(files["t.db"])
	page := r.number(`SELECT rootpage AS n FROM sqlite_schema WHERE name = '` + table + `'`)
	clear(text[(page-1)*8192 : page*8192])
	files["t.db"] = text
	return files
}

// released gives the store of a released schema, without accounts.
func (r *rig) released(version int) map[string][]byte {
	r.t.Helper()
	dump, err := os.ReadFile(filepath.Join("..", "..", "testdata", "schema", fmt.Sprintf("%04d.sql", version)))
	if err != nil {
		r.t.Fatal(err)
	}
	rows, facts := regexp.MustCompile(`(?m)^INSERT INTO .*\n`), regexp.MustCompile(`^INSERT INTO meta `)
	text := rows.ReplaceAllStringFunc(string(dump), func(row string) string {
		if facts.MatchString(row) {
			return row
		}
		return ""
	})
	path := filepath.Join(r.t.TempDir(), "t.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=page_size(8192)&_pragma=auto_vacuum(2)")
	if err != nil {
		r.t.Fatal(err)
	}
	_, err = db.ExecContext(r.t.Context(), text)
	if err := errors.Join(err, db.Close()); err != nil {
		r.t.Fatal(err)
	}
	store, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	return map[string][]byte{"t.db": store}
}

// sweeps runs the agent until a pass has ended, what was old is gone and the search index is made anew, or until it
// dies.
func (r *rig) sweeps() outcome {
	r.t.Helper()
	var before int64
	keep := r.env
	bare := slices.DeleteFunc(slices.Clone(keep), func(s string) bool {
		return strings.HasPrefix(s, "MAILCOTE_FAILPOINT")
	})
	r.env = bare
	before = r.number(`SELECT count(*) AS n FROM sync_runs WHERE result = 'complete'`)
	r.env = keep
	p := r.start("run", "--port", "0", "--json")
	r.env = bare
	defer func() { r.env = keep }()
	query := fmt.Sprintf(`SELECT (SELECT count(*) FROM sync_runs WHERE result = 'complete') > %d
		AND NOT EXISTS (SELECT 1 FROM entry WHERE expunged_at < 1000 * unixepoch() - 30 * 86400000)
		AND (SELECT spelling > 1 AND next IS NULL FROM index_state) AS n`, before)
	for {
		select {
		case <-p.Done():
			return r.end(p)
		default:
		}
		if o := r.run("sql", "--json", query); o.code == 0 && o.out == "{\"n\":1}\n" {
			_ = p.Signal(os.Interrupt) // it may have died in this moment
			return r.end(p)
		}
	}
}

// aside is a file in a directory of the program's that is no store's.
func (r *rig) aside(name string) string {
	r.t.Helper()
	dir := filepath.Join(r.dir, "state")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		r.t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// backsUp backs up into a file that may be there.
func (r *rig) backsUp() outcome { return r.run("backup", "--force", r.aside("backup")) }

// restores restores a backup that was made before, undisturbed.
func (r *rig) restores() outcome {
	r.t.Helper()
	keep := r.env
	r.env = slices.DeleteFunc(slices.Clone(keep), func(s string) bool {
		return strings.HasPrefix(s, "MAILCOTE_FAILPOINT")
	})
	r.exits(0, "backup", "--force", r.aside("backup"))
	r.env = keep
	return r.run("restore", "--yes", r.aside("backup"))
}

// exports exports in two formats.
func (r *rig) exports() outcome {
	if o := r.run("export", "--format", "mbox", "--out", r.aside("mbox")); o.code != 0 {
		return o
	}
	return r.run("export", "--format", "maildir", "--out", r.aside("maildir"))
}

// wrapped breaks base64 into lines.
func wrapped(text string) string {
	var b strings.Builder
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	return b.String() + text + "\r\n"
}

// inSource gives the names of all failpoints in product code.
func inSource(t *testing.T) []string {
	t.Helper()
	hit := regexp.MustCompile(`failpoint\.Hit\("([^"]+)"\)`)
	at := map[string]string{}
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testkit" || d.Name() == ".git") {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range hit.FindAllStringSubmatch(string(text), -1) {
			if other, twice := at[m[1]]; twice {
				t.Errorf("%s is in %s and in %s", m[1], other, path)
			}
			at[m[1]] = path
		}
		return err
	})
	if err != nil || len(at) < 10 {
		t.Fatalf("%d failpoints found: %v", len(at), err)
	}
	return slices.Sorted(maps.Keys(at))
}
