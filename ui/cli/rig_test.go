package cli_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailcote/testkit/child"
	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/form"
	"mailcote/testkit/proxy"
	"mailcote/testkit/truth"
	"mailcote/testkit/watch"
)

// rig is the real program, a store of its own, and a real server: what the acceptance tests are made of.
type rig struct {
	t      *testing.T
	server *dovecot.Server
	addr   string // where the program connects: the server, or a proxy before it
	dir    string // store and state
	store  string
	env    []string
}

// outcome is a program that ended.
type outcome struct {
	code      int
	out, errs string
	took      time.Duration
	rss       int64
}

func newRig(t *testing.T, config dovecot.Config) *rig {
	t.Helper()
	server := dovecot.Start(t, config)
	r := &rig{t: t, server: server, addr: server.Addr()}
	r.fresh()
	return r
}

// fresh gives the rig an empty directory and no store.
func (r *rig) fresh() {
	r.t.Helper()
	dir, err := os.MkdirTemp(r.t.TempDir(), "")
	if err != nil {
		r.t.Fatal(err)
	}
	r.home(dir)
}

// beside is a rig for a subtest, with the same server.
func (r *rig) beside(t *testing.T) *rig {
	one := &rig{t: t, server: r.server, addr: r.addr}
	one.fresh()
	return one
}

// files reads the store and its secrets.
func (r *rig) files() map[string][]byte {
	r.t.Helper()
	files := map[string][]byte{}
	for _, name := range []string{"t.db", "t.db.secrets"} {
		text, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil {
			r.t.Fatal(err)
		}
		files[name] = text
	}
	return files
}

// home makes a directory the program's own, creating it where it is missing.
func (r *rig) home(dir string) {
	r.t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		r.t.Fatal(err)
	}
	r.dir, r.store = dir, filepath.Join(dir, "t.db")
	r.env = []string{"MAILCOTE_STORE=" + r.store, "XDG_STATE_HOME=" + filepath.Join(dir, "state"), "XDG_DATA_HOME=" +
		filepath.Join(dir, "data"), "TMPDIR=" + dir}
}

// byLength gives the size of a test's default form or that of its full one; a quarter of the former under the
// race detector.
func byLength(normal, full int) int {
	switch {
	case form.Long():
		return full
	case form.Race:
		return normal / 4
	}
	return normal
}

// seeded gives a random source whose seed is printed; MAILCOTE_SEED repeats a run.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	return rand.New(rand.NewPCG(form.Seed(t, 0), 0))
}

// through puts a proxy before the server.
func (r *rig) through() *proxy.Proxy {
	r.t.Helper()
	p := proxy.Start(r.t, r.server.Addr(), 1)
	r.addr = p.Addr()
	return p
}

func (r *rig) url() string { return r.urlWith(dovecot.Password) }

func (r *rig) urlWith(password string) string {
	u := url.URL{Scheme: "imap", User: url.UserPassword(dovecot.User, password), Host: r.addr}
	return u.String()
}

// account finds the account, as long as it is the only one of its user here.
const account = dovecot.User + "@127.0.0.1"

// name is what the account is called.
func (r *rig) name() string { return dovecot.User + "@" + r.addr }

func (r *rig) start(args ...string) *child.Proc {
	r.t.Helper()
	return child.Start(r.t, append([]string{"mailcote"}, args...), r.env)
}

// run runs the program to its end.
func (r *rig) run(args ...string) outcome {
	r.t.Helper()
	return r.end(r.start(args...))
}

func (r *rig) end(p *child.Proc) outcome {
	r.t.Helper()
	select {
	case <-p.Done():
	case <-time.After(10 * time.Minute):
		p.Kill()
		r.t.Fatalf("the program hangs; stderr: %s", p.Stderr())
	}
	took, _ := p.Usage()
	return outcome{p.ExitCode(), p.Stdout(), p.Stderr(), took, p.MaxRSS()}
}

// exits runs the program and wants an exit status.
func (r *rig) exits(status int, args ...string) outcome {
	r.t.Helper()
	o := r.run(args...)
	if o.code != status {
		r.t.Fatalf("mailcote %s: status %d, want %d\nstdout: %s\nstderr: %s", strings.Join(args, " "), o.code, status,
			o.out, o.errs)
	}
	return o
}

// refuses runs the program and wants an exit status and one line on stderr that holds every one of wants.
func (r *rig) refuses(status int, args, wants []string) {
	r.t.Helper()
	o := r.exits(status, args...)
	if strings.Count(o.errs, "\n") != 1 || !strings.HasPrefix(o.errs, "mailcote: ") {
		r.t.Errorf("mailcote %s: want one line on stderr, got: %s", strings.Join(args, " "), o.errs)
	}
	for _, want := range wants {
		if !strings.Contains(o.errs, want) {
			r.t.Errorf("mailcote %s: stderr lacks %q: %s", strings.Join(args, " "), want, o.errs)
		}
	}
}

// sync syncs everything and wants it complete.
func (r *rig) sync() outcome {
	r.t.Helper()
	o := r.exits(0, "sync", r.url(), "--once", "--json")
	if !strings.Contains(o.out, `"result":"complete"`) {
		r.t.Fatalf("the sync is not complete: %s%s", o.out, o.errs)
	}
	return o
}

// fill delivers generated mail into some mailboxes and gives its size in bytes.
func (r *rig) fill(seed uint64, n, mailboxes int, o corpus.Options) int64 {
	r.t.Helper()
	total, err := corpus.Fill(seed, n, mailboxes, o, func(mailbox string, m corpus.Message) error {
		return r.server.Put(dovecot.User, mailbox, m.Raw, dovecot.Options{Flags: m.Flags, Date: m.Date})
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return total
}

// other is another client of the same account.
func (r *rig) other() *truth.Client {
	r.t.Helper()
	c, err := truth.Dial(r.t.Context(), r.server.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

// truth is what the server has.
func (r *rig) truth() []truth.Line {
	r.t.Helper()
	lines, err := truth.Read(r.t.Context(), r.server.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		r.t.Fatal(err)
	}
	return lines
}

// counts is what STATUS says of every mailbox: \Recent and \Seen.
func (r *rig) counts() map[string]truth.Counts {
	r.t.Helper()
	counts, err := truth.RecentSeen(r.t.Context(), r.server.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		r.t.Fatal(err)
	}
	return counts
}

// view is what the view mail has, as `mailcote sql` prints it.
func (r *rig) view() []truth.Line {
	r.t.Helper()
	var lines []truth.Line
	for row := range r.rows(`SELECT mailbox, uid, coalesce(sha256, '') AS sha256, flags FROM mail`) {
		var l truth.Line
		if err := json.Unmarshal([]byte(row), &l); err != nil {
			r.t.Fatalf("%s: %v", row, err)
		}
		lines = append(lines, l)
	}
	return lines
}

// rows runs `mailcote sql --json`.
func (r *rig) rows(query string) func(yield func(string) bool) {
	r.t.Helper()
	o := r.exits(0, "sql", "--json", query)
	return func(yield func(string) bool) {
		for s := bufio.NewScanner(strings.NewReader(o.out)); s.Scan(); {
			if !yield(s.Text()) {
				return
			}
		}
	}
}

// number runs a query that gives one number, called n.
func (r *rig) number(query string) int64 {
	r.t.Helper()
	var row struct{ N int64 }
	for text := range r.rows(query) {
		if err := json.Unmarshal([]byte(text), &row); err != nil {
			r.t.Fatalf("%s: %v", text, err)
		}
	}
	return row.N
}

// same wants that server and view do not differ in one line.
func (r *rig) same(server []truth.Line) {
	r.t.Helper()
	if differ := truth.Diff(server, r.view()); len(differ) > 0 {
		r.t.Fatalf("%d lines differ between server (-) and store (+):\n%s", len(differ),
			strings.Join(differ[:min(len(differ), 20)], "\n"))
	}
}

// sound wants that check finds nothing.
func (r *rig) sound() {
	r.t.Helper()
	if o := r.run("check"); o.code != 0 {
		r.t.Fatalf("check: status %d\n%s%s", o.code, o.out, o.errs)
	}
}

// settled wants that every task is completed, no message half stored, and that nothing lies beside the store but
// what belongs there.
func (r *rig) settled() {
	r.t.Helper()
	for row := range r.rows(`SELECT id, task_type, state, payload, error_log FROM sync_tasks
		WHERE status <> 'completed'`) {
		r.t.Fatalf("a task is left: %s", row)
	}
	if n := r.number(`SELECT count(*) AS n FROM blob WHERE state = 'staged'`); n != 0 {
		r.t.Fatalf("%d half-received messages are left", n)
	}
	files, err := os.ReadDir(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains([]string{"t.db", "t.db-wal", "t.db-shm", "t.db.lock", "t.db.secrets", "t.db.v1.bak",
			"state"}, f.Name()) && !strings.HasPrefix(f.Name(), "t.db.corrupt-") &&
			!strings.HasPrefix(f.Name(), "t.db.before-restore-") {
			r.t.Fatalf("%s was left beside the store", f.Name())
		}
	}
}

// whole is sound, same and settled.
func (r *rig) whole(server []truth.Line) {
	r.t.Helper()
	r.sound()
	r.same(server)
	r.settled()
}

const someMail = `SELECT count(*) AS n FROM mail`

// awaits runs a query beside the program, whenever the program has written, until it gives at least n.
func (r *rig) awaits(n int64, query string) {
	r.t.Helper()
	written := watch.Files(r.t, r.dir)
	watch.Until(r.t, written, fmt.Sprintf("%d by %s", n, query), func() bool {
		o := r.run("sql", "--json", query)
		var have int64
		_, err := fmt.Sscanf(o.out, `{"n":%d}`, &have)
		return o.code == 0 && err == nil && have >= n
	})
}
