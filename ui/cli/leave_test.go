package cli_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/form"
	"mailcote/testkit/proxy"
	"mailcote/testkit/truth"
)

// everyMessage is each message with all that another server should say of it, too.
const everyMessage = `SELECT mailbox, date, sha256, flags FROM mail ORDER BY 1, 2, 3, 4`

func (r *rig) all(query string) []string {
	r.t.Helper()
	return slices.Collect(r.rows(query))
}

// only is the one directory in a directory.
func only(t *testing.T, dir string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "[a-z]*"))
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	return all[0]
}

// files gives the digests of a directory's files, without that of the export itself.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == ".mailcote-export" {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path) //nolint:errcheck // it is below
		sum := sha256.Sum256(text)
		all[name] = hex.EncodeToString(sum[:])
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestExportIsServed exports from one account of Dovecot and has another one serve the Maildir: what a sync of that
// one stores is equal in names, INTERNALDATEs, digests, flags and keywords. Dovecot reads the mbox files, too.
func TestExportIsServed(t *testing.T) {
	const second, third = "bob", "eve"
	r := newRig(t, dovecot.Config{
		Users: map[string]string{dovecot.User: dovecot.Password, second: "open", third: "open"},
		Extra: "namespace files {\n prefix = files/\n separator = /\n location = mbox:~/files:UTF-8:INDEX=MEMORY\n " +
			"list = yes\n}\n",
	})
	r.fill(5, byLength(60, 2000), 5, corpus.Options{AvgSize: 3000})
	other := []string{"Bücher/Neu & Alt", "日本語", "Größe 100", "a b", "Projekt/A/B/C"}
	for i, name := range other {
		r.server.Deliver(t, dovecot.User, name, fmt.Appendf(nil,
			"Subject: %d\r\n\r\n>From the start\r\nFrom here\r\n", i),
			dovecot.Options{Date: time.Unix(1_600_000_000+int64(i)*86_400, 0)})
	}
	c := r.other()
	if err := c.Store("INBOX", "1:5", "+FLAGS", `\Flagged`, "$Forwarded", "Work", "NonJunk"); err != nil {
		t.Fatal(err)
	}
	if err := c.Store("INBOX", "3:7", "+FLAGS", `\Answered`, `\Deleted`, "Zebra"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	r.sync()
	want := r.all(everyMessage)
	out := filepath.Join(r.dir, "out")
	o := r.exits(0, "export", "--format", "maildir", "--out", out, "--json")
	var said struct {
		Type, Result   string
		Written        int
		Missing, Later int
	}
	if err := json.Unmarshal([]byte(o.out), &said); err != nil || said.Type != "export" || said.Result != "complete" ||
		said.Written != len(want) {
		t.Errorf("%v: %s", err, o.out)
	}
	if err := r.server.Serve(second, "Maildir", only(t, out)); err != nil {
		t.Fatal(err)
	}
	b := r.beside(t)
	b.exits(0, "sync", "imap://bob:open@"+r.addr, "--once")
	if got := b.all(everyMessage); !slices.Equal(got, want) {
		t.Errorf("Dovecot serves %d messages, want %d, or others", len(got), len(want))
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("got  %s\nwant %s", got[i], want[i])
			}
		}
	}

	mbox := filepath.Join(r.dir, "mbox")
	r.exits(0, "export", "--format", "mbox", "--out", mbox)
	if err := r.server.Serve(third, "files", only(t, mbox)); err != nil {
		t.Fatal(err)
	}
	lines, err := truth.Read(t.Context(), r.addr, third, "open", "files")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, one := range lines {
		mailbox := strings.TrimSuffix(strings.TrimPrefix(one.Mailbox, "files/"), ".mbox")
		have[mailbox+" "+one.SHA256+" "+one.Flags] = true
	}
	equal, quoted := 0, 0
	for _, row := range want {
		var one truth.Line
		if err := json.Unmarshal([]byte(row), &one); err != nil {
			t.Fatal(err)
		}
		var system []string // Dovecot knows no keyword that its own header does not list
		for flag := range strings.FieldsSeq(one.Flags) {
			if flag[0] == '\\' {
				system = append(system, flag)
			}
		}
		if have[strings.ReplaceAll(one.Mailbox, "/", ".")+" "+one.SHA256+" "+strings.Join(system, " ")] {
			equal++
		} else if slices.Contains(other, one.Mailbox) {
			quoted++ // Dovecot takes no quote away
		}
	}
	if len(lines) != len(want) || equal+quoted != len(want) || quoted != len(other) {
		t.Errorf("of %d messages Dovecot finds %d in the mbox files, %d equal, and %d that were quoted", len(want),
			len(lines), equal, quoted)
	}
}

// TestExportIsKilled kills exports at random moments. The one that ends makes what one alone makes. However much mail
// there is, none takes more memory than a few messages do.
func TestExportIsKilled(t *testing.T) {
	r := newRig(t, dovecot.Config{})
	r.fill(6, byLength(400, 20_000), 3, corpus.Options{AvgSize: 3000})
	r.sync()
	random := seeded(t)
	for _, format := range []string{"mbox", "maildir", "eml", "jsonl"} {
		alone, out := filepath.Join(r.dir, format), filepath.Join(r.dir, format+"-killed")
		whole := r.exits(0, "export", "--format", format, "--out", alone)
		kills := 0
		for range byLength(3, 40) {
			if r.start("export", "--format", format, "--out", out).KillWithin(random, whole.took) {
				kills++
			}
		}
		r.exits(0, "export", "--format", format, "--out", out)
		if a, b := files(t, alone), files(t, out); !maps.Equal(a, b) {
			t.Errorf("%s, killed %d times: %d files, want %d, or others", format, kills, len(b), len(a))
		} else {
			t.Logf("%s, killed %d times: %d files are the same; %v, %d MiB at most", format, kills, len(b), whole.took,
				whole.rss>>20)
		}
		if !form.Race && whole.rss > 200<<20 {
			t.Errorf("%s: it took %d MiB of memory", format, whole.rss>>20)
		}
		if err := errors.Join(os.RemoveAll(alone), os.RemoveAll(out)); err != nil {
			t.Fatal(err)
		}
	}
}

// state is what a store holds at a change number: what it had told of, and the mail.
type state struct {
	no            int64
	objects, mail []string
}

func (r *rig) state() state {
	r.t.Helper()
	return state{r.number(`SELECT coalesce(max(changed_no), 0) AS n FROM changes`),
		r.all(`SELECT created_no, type, object_id FROM changes ORDER BY 1, 2, 3`),
		r.all(`SELECT c.changed_no, thread_id, email_id, mailbox, uid, sha256, flags, subject FROM mail m
			JOIN changes c ON c.type = 'Email' AND c.object_id = m.email_id ORDER BY 3, 4, 5`)}
}

// within wants a state to be what another one, to which mail was only added, was at its change number: of each
// object that was there by then, the same, and none more; and all mail the same that has not changed since.
func (was state) within(t *testing.T, now state) {
	t.Helper()
	no := func(row string) (n int64) {
		if _, err := fmt.Sscanf(row[strings.Index(row, ":")+1:], "%d", &n); err != nil {
			t.Fatal(row, err)
		}
		return n
	}
	until := func(rows []string) []string {
		return slices.DeleteFunc(slices.Clone(rows), func(row string) bool { return no(row) > was.no })
	}
	if got, want := was.objects, until(now.objects); !slices.Equal(got, want) {
		t.Errorf("at change %d: %d objects were told of, want %d, or others", was.no, len(got), len(want))
	}
	message := func(row string) string { return row[strings.Index(row, `"email_id"`):] }
	there, later := map[string]bool{}, map[string]bool{}
	for _, row := range was.mail {
		there[row] = true
	}
	for _, row := range now.mail {
		later[message(row)] = true
	}
	for _, row := range until(now.mail) {
		if !there[row] {
			t.Errorf("at change %d it lacks %s", was.no, row)
		}
		delete(there, row)
	}
	for row := range there { // another copy of it came, or its thread grew
		if !later[message(row)] {
			t.Errorf("at change %d it has %s, which never was", was.no, row)
		}
	}
}

// TestBackupsDuringSync takes backups beside a full sync, of which each is restored: it is the store at some change
// number, check finds nothing, and a sync fetches the rest.
func TestBackupsDuringSync(t *testing.T) {
	r := newRig(t, dovecot.Config{})
	all := int64(max(byLength(300, 20_000), 300)) // more than one batch
	size := r.fill(8, int(all), 4, corpus.Options{AvgSize: 4000})
	backups := 3
	if form.Long() {
		backups = 100
	}
	slow := r.through()
	slow.Set(proxy.Faults{Rate: 50_000}) // so that it lasts
	p := r.start("sync", r.url(), "--once")
	r.awaits(1, someMail)
	restored := r.beside(t)
	last, during := int64(-1), 0
	var states []state
	for i := range backups {
		// It goes on until the last one is restored, and most are of another state.
		rate := size / int64(8*backups)
		if last*int64(backups) > all*int64(i)*4/5 {
			rate = 1000
		}
		slow.Set(proxy.Faults{Rate: rate})
		file := filepath.Join(r.dir, fmt.Sprintf("%d.db", i))
		o := r.exits(0, "backup", file, "--json")
		select {
		case <-p.Done():
		default:
			during++
		}
		var said struct{ Messages int64 }
		if err := json.Unmarshal([]byte(o.out), &said); err != nil {
			t.Fatal(err)
		}
		restored.exits(0, "restore", "--yes", file)
		restored.sound()
		if n := restored.number(someMail); n != said.Messages || n < last {
			t.Errorf("backup %d says %d messages and has %d; the one before had %d", i, said.Messages, n, last)
		}
		last = said.Messages
		states = append(states, restored.state())
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if during < backups*9/10 {
		t.Errorf("only %d of %d backups were taken while the sync ran", during, backups)
	}
	slow.Set(proxy.Faults{})
	if o := r.end(p); o.code != 0 {
		t.Fatal(o.errs)
	}
	whole, different := r.state(), map[int64]bool{}
	for _, was := range states {
		was.within(t, whole)
		different[was.no] = true
	}
	t.Logf("%d backups, %d of them during the sync, of %d states, with %d to %d of %d messages", backups, during,
		len(different), len(states[0].mail), len(states[backups-1].mail), len(whole.mail))
	if len(different) < backups/3 {
		t.Errorf("%d backups are of %d states", backups, len(different))
	}
	restored.exits(0, "sync", r.url(), "--once")
	restored.sound()
	restored.same(r.truth())
	if n := restored.number(`SELECT value AS n FROM meta WHERE key = 'epoch'`); n < 2 {
		t.Errorf("epoch %d in a store that was restored", n)
	}
}

// TestRestoreBesideAgent restores while another process owns the store: 75, with its name.
func TestRestoreBesideAgent(t *testing.T) {
	r := newRig(t, dovecot.Config{})
	r.fill(9, 20, 2, corpus.Options{})
	r.exits(0, "sync", r.url())
	file, text := filepath.Join(r.dir, "b"), filepath.Join(r.dir, "text")
	r.write(text, []byte("no store"))
	r.exits(0, "backup", file)
	p := r.start("run", "--port", "0", "--json")
	r.ready(p)
	r.refuses(75, []string{"restore", "--yes", file}, []string{"is in use by process", "(mailcote run)"})
	r.exits(0, "backup", file, "--force")
	r.exits(0, "export", "--format", "jsonl", "--out", filepath.Join(r.dir, "out"))
	if err := p.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	r.end(p)

	before := r.files()
	r.refuses(2, []string{"restore", file}, []string{"--yes"})
	for _, one := range []struct {
		status int
		args   []string
		want   string
	}{
		{2, []string{"restore"}, "FILE is missing"},
		{2, []string{"restore", "--yes", filepath.Join(r.dir, "none")}, "no file"},
		{2, []string{"restore", "--yes", r.store}, "name a backup"},
		{2, []string{"restore", "--yes", text}, "no backup of a mailcote store"},
		{2, []string{"restore", "--yes", r.dir}, "can be restored"},
		{2, []string{"backup", file}, "--force"},
		{2, []string{"backup", r.store, "--force"}, "uses itself"},
		{2, []string{"backup", r.dir}, "is a directory"},
		{2, []string{"backup", filepath.Join(r.dir, "none", "b")}, "no directory"},
		{2, []string{"export"}, "--format is missing"},
		{2, []string{"export", "--format", "pst", "--out", "x"}, "unknown"},
		{2, []string{"export", "--format", "mbox"}, "--out is missing"},
		{2, []string{"export", "--format", "mbox", "--out", r.dir}, "name a new directory"},
		{2, []string{"export", "--format", "mbox", "--out", text}, "no directory"},
		{2, []string{"export", "--format", "mbox", "--out", filepath.Join(r.dir, "out")}, "name a new directory"},
		{2, []string{"export", "--format", "mbox", "--out", filepath.Join(r.dir, "new"), "--account", "nobody"},
			"nobody"},
		{2, []string{"export", "--format", "mbox", "--out", filepath.Join(r.dir, "new"), "before:soon"}, "before:"},
	} {
		r.refuses(one.status, one.args, []string{one.want})
	}
	if after := r.files(); !maps.EqualFunc(before, after, bytes.Equal) {
		t.Error("the store changed")
	}
	if _, err := os.Stat(filepath.Join(r.dir, "new")); err == nil {
		t.Error("a directory was made for nothing")
	}
	o := r.exits(0, "restore", "--yes", file, "--json")
	var said struct{ Type, Kept string }
	if err := json.Unmarshal([]byte(o.out), &said); err != nil || said.Type != "restore" {
		t.Errorf("%v: %s", err, o.out)
	}
	if info, err := os.Stat(said.Kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if secrets := r.files()["t.db.secrets"]; !bytes.Equal(secrets, before["t.db.secrets"]) {
		t.Error("the passwords changed")
	}
	r.exits(0, "sync") // with the password that stayed
	if u, err := url.Parse(r.url()); err == nil {
		password, _ := u.User.Password()
		text, err := os.ReadFile(file)
		if err != nil || bytes.Contains(text, []byte(password)) {
			t.Errorf("the backup holds the password (%v)", err)
		}
	}
}
