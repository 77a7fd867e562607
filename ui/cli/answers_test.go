package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailcote/testkit/script"
	"mailcote/ui/cli"
)

// asker runs commands with --json and holds what they print against the
// contract.
type asker struct {
	*rig
	contract cli.Contract
	tried    map[string]bool // commands
	printed  map[string]bool // Go types of objects
}

func newAsker(r *rig) *asker {
	return &asker{r, cli.NewContract(), map[string]bool{}, map[string]bool{}}
}

// ask runs a command, wants its exit status and gives its lines. One that
// fails prints an error with a class.
func (a *asker) ask(status int, command string, args ...string) []string {
	a.t.Helper()
	o := a.run(append(append(strings.Fields(command), args...), "--json")...)
	if o.code != status {
		a.t.Errorf("mailcote %s %q: status %d, want %d: %s%s", command, args, o.code, status, o.out, o.errs)
	}
	return a.judge(command, o)
}

func (a *asker) judge(command string, o outcome) (lines []string) {
	a.t.Helper()
	a.tried[command] = true
	for line := range strings.Lines(o.out) {
		kind, err := a.contract.CheckLine(command, line)
		if err != nil || strings.Contains(line, "0001-01-01") {
			a.t.Errorf("mailcote %s: %v: %s", command, err, line)
		}
		a.printed[kind] = true
		lines = append(lines, line)
	}
	return lines
}

// failed runs a command that fails with one error alone, and wants its class
// and words of it.
func (a *asker) failed(status int, class, words, command string, args ...string) {
	a.t.Helper()
	lines := a.ask(status, command, args...)
	if len(lines) != 1 || !strings.HasPrefix(lines[0], `{"type":"error","class":"`+class+`","message":"`) ||
		!strings.Contains(lines[0], words) {
		a.t.Errorf("mailcote %s %q: want one error of class %s with %q: %q", command, args, class, words, lines)
	}
}

// TestAnswers runs every command with --json on a store with mail, tasks,
// faults and messages in quarantine, and holds each line against docs/json.md.
func TestAnswers(t *testing.T) {
	r, s := scripted(t)
	a := newAsker(r)
	name := `a "quoted" \ name`
	body := noise(40_000)
	s.Change(func(m *script.Model) {
		m.Box("INBOX").Add(body)
		m.Box("INBOX").Add([]byte("Subject: =?utf-8?q?=E2=80=AEturned?=\r\n" +
			"Date: Mon, 1 Jan 99999 00:00:00 +0000\r\n\r\nhalf \xe2\x82 a letter\r\n"))
		m.Box("Parts").Add(withParts())
		m.Box("Odd").Add([]byte("Subject: odd\r\n\r\nx\r\n"))
		m.Box("Bare").Add([]byte("X-Nothing: here\r\n\r\n"))
	})
	s.Misbehave(script.Faults{
		Part: func(p script.Part) script.Fault {
			if p.Box == "INBOX" && p.UID == 2 && strings.Contains(p.Items, "BODY") && (p.Most == 0 ||
				p.From+p.Most > 20_000) {
				return script.CutEarly
			}
			return script.Whole
		},
		On: func(c script.Command) script.Action {
			if c.Name == "EXAMINE" && strings.Contains(c.Args, "Odd") {
				return "NO bad \xff\xfe words \x1b[31m \"quoted\""
			}
			return script.Answer
		},
	})
	password := filepath.Join(r.dir, "pw")
	r.write(password, []byte(script.Password+"\n"))

	// Without a store, and without an account.
	a.failed(1, "storage", "there is no store", "queue list")
	a.failed(1, "storage", "there is no store", "sql", "SELECT 1")
	a.failed(2, "usage", "there is no account yet", "sync")
	a.failed(2, "usage", "there is no account yet", "run", "--port", "0")
	if lines := append(a.ask(0, "account list"), a.ask(0, "queue list")...); len(lines) != 0 {
		t.Errorf("nothing is printed: %q", lines)
	}

	// Accounts and tasks.
	a.ask(0, "account add", r.url(), "--password-file", password, "--name", name)
	for _, command := range []string{"account show", "account test", "account pause", "account resume"} {
		a.ask(0, command, name)
	}
	a.ask(0, "account list")
	a.ask(0, "account set", name, "--password-command", "echo "+script.Password)
	for _, command := range []string{"queue pause", "queue resume", "queue cancel", "queue retry", "queue show"} {
		a.ask(0, command, "1")
	}
	a.ask(0, "queue priority", "9", "1")
	a.ask(0, "queue list")

	// The sync of an account that is not complete, and one that cannot be reached.
	lines := a.ask(3, "sync", "--once")
	if len(lines) != 1 || !strings.HasPrefix(lines[0], `{"type":"summary","account":"a \"quoted\" \\ name",`) {
		t.Errorf("sync: %q", lines)
	}
	a.ask(0, "account add", "imap://eve:secret@"+nobody(t), "--no-test", "--name", "down")
	lines = a.ask(3, "sync", "--once")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], `{"type":"error","class":"network",`) ||
		!strings.Contains(lines[0], `"account":"down"`) || !strings.HasPrefix(lines[1], `{"type":"summary",`) ||
		!strings.HasPrefix(lines[2], `{"type":"summary",`) {
		t.Errorf("an error, and a summary an account: %q", lines)
	}
	lines = a.ask(2, "sync", "--once", "--mailbox", "none of these", name)
	if len(lines) != 2 || !strings.HasPrefix(lines[0], `{"type":"error","class":"usage",`) ||
		!strings.HasPrefix(lines[1], `{"type":"summary",`) {
		t.Errorf("an error before the summary: %q", lines)
	}

	// What went wrong.
	if lines := a.ask(0, "errors"); !slices.ContainsFunc(lines, func(line string) bool {
		return strings.Contains(line, `"server_text":"NO bad \\xff\\xfe words \\u{1b}[31m \"quoted\""`)
	}) {
		t.Errorf("the server's words: %q", lines)
	}
	a.ask(0, "errors", "--group")
	if lines := a.ask(0, "errors quarantine"); len(lines) != 1 {
		t.Errorf("quarantine: %q", lines)
	}
	a.ask(0, "errors retry", "1")
	a.ask(3, "errors raw", "1", "--out", filepath.Join(r.dir, "raw.eml"))
	a.ask(0, "status")

	// What is here.
	a.ask(0, "mailbox list", name)
	a.ask(0, "mailbox set", name, "Odd", "--sync", "off")
	a.ask(0, "show", a.found("subject:turned"))
	const unknown = `"sender":null,"recipients":null,"subject":null,"preview":null,`
	if lines := a.ask(0, "search", "in:bare"); len(lines) != 1 || !strings.Contains(lines[0], unknown) {
		t.Errorf("a message that says nothing of itself: %q", lines)
	}
	if lines := a.ask(0, "show", a.found("in:bare")); !strings.Contains(lines[0], `"subject":null,`) {
		t.Errorf("show: %q", lines)
	}
	parts := a.found("has:attachment")
	a.ask(0, "show", parts, "--html")
	a.ask(0, "show", parts, "--links")
	a.ask(0, "show", parts, "--save", filepath.Join(r.dir, "saved"))
	a.ask(0, "sql", "SELECT 9223372036854775807 AS huge, 1e999 AS endless, x'00ff' AS raw, NULL AS void")
	if lines := a.ask(0, "check"); len(lines) != 1 ||
		!strings.HasPrefix(lines[0], `{"type":"check","sound":true,"remote":false,"seconds":`) {
		t.Errorf("a sound store: %q", lines)
	}
	a.ask(0, "check", "--salvage", filepath.Join(r.dir, "saved.db"))
	a.alter(r.store, `UPDATE mailbox SET total = total + 1`)
	if lines := a.ask(1, "check"); strings.Count(strings.Join(lines, ""), `{"type":"finding",`) != len(lines) {
		t.Errorf("a store that is not sound: %q", lines)
	}
	a.alter(r.store, `UPDATE mailbox SET total = total - 1`)
	a.ask(0, "check", "--rebuild", "views")
	a.ask(0, "export", "--format", "maildir", "--out", filepath.Join(r.dir, "out"))
	a.ask(0, "backup", filepath.Join(r.dir, "copy.db"))
	a.ask(0, "restore", filepath.Join(r.dir, "copy.db"), "--yes")
	a.ask(0, "man", filepath.Join(r.dir, "man"))
	a.ask(0, "token")
	a.ask(0, "version")
	if o := a.run("--version", "--json"); o.code != 0 || !strings.HasPrefix(o.out, `{"type":"version",`) {
		t.Errorf("--version: %s", o.out)
	}

	// What was typed wrong: one error, and the usual status.
	a.failed(2, "usage", `"hint":"mailcote search --help"`, "search")
	a.failed(2, "usage", "unknown flag", "status", "--bogus")
	a.failed(2, "usage", "mailcote account list shows all", "account show", "nobody")
	a.failed(2, "usage", "no task's number", "queue show", "99999999999999999999999999")
	a.failed(1, "failed", "no agent serves the page", "token", "--link")
	a.failed(2, "usage", "no such column", "sql", "SELECT absent")
	o := r.run("frobnicate", "--json")
	if o.code != 2 || !strings.HasPrefix(o.out, `{"type":"error","class":"usage",`) {
		t.Errorf("an unknown command: status %d, %q", o.code, o.out)
	}
	if o := r.run("status", "--bogus", "--", "--json"); o.out != "" {
		t.Errorf("--json is a word there: %q", o.out)
	}

	// Beside an agent.
	s.Change(func(m *script.Model) { m.Box("INBOX").Add([]byte("Subject: late\r\n\r\nx\r\n")) })
	a.agent(name)
	a.demo()
	a.alter(r.store, `UPDATE mailbox SET total = total + 1`)
	a.ask(3, "check", "--repair")
	a.ask(0, "account rename", "down", "gone soon")
	a.ask(0, "account remove", "gone soon", "--yes")

	for _, command := range cli.Commands() {
		if !a.tried[command] {
			t.Errorf("mailcote %s was not run", command)
		}
	}
	for _, kind := range cli.Types() {
		if !a.printed[kind] {
			t.Errorf("no %s was printed", kind)
		}
	}
}

// found gives the id of the first hit.
func (a *asker) found(query string) string {
	a.t.Helper()
	hits := a.ask(0, "search", query)
	if len(hits) == 0 {
		a.t.Fatalf("nothing was found: %s", query)
	}
	_, rest, _ := strings.Cut(hits[0], `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// agent asks an agent, and what the commands beside it print.
func (a *asker) agent(name string) {
	a.t.Helper()
	p := a.start("run", "--port", "0", "--json", "--mail", "--quiet")
	a.ready(p)
	mail := func(line string) bool { return strings.Contains(line, `"type":"mail"`) }
	if _, err := p.WaitLine(a.t.Context(), mail); err != nil {
		a.t.Fatal(fmt.Errorf("%w: %s", err, p.Stderr()))
	}
	a.ask(0, "status")
	a.ask(0, "token", "--link")
	a.failed(75, "held", `"hint":"wait for it to end, or stop it"`, "sync")
	a.failed(75, "held", "(mailcote run)", "account pause", name)
	if err := p.Signal(os.Interrupt); err != nil {
		a.t.Fatal(err)
	}
	o := a.end(p)
	if o.code != 0 {
		a.t.Errorf("run: status %d: %s", o.code, o.errs)
	}
	if lines := a.judge("run", o); !slices.ContainsFunc(lines, func(line string) bool {
		return mail(line) && strings.Contains(line, `"sender":null,"recipients":null,"subject":"late","preview":"x",`)
	}) {
		a.t.Errorf("no mail that nobody sent: %q", lines)
	}
}

// demo waits for the demo's first summary.
func (a *asker) demo() {
	a.t.Helper()
	p := a.start("demo", "--no-open", "--json")
	summary := func(line string) bool { return strings.Contains(line, `"summary"`) }
	if _, err := p.WaitLine(a.t.Context(), summary); err != nil {
		a.t.Fatal(fmt.Errorf("%w: %s", err, p.Stderr()))
	}
	if err := p.Signal(os.Interrupt); err != nil {
		a.t.Fatal(err)
	}
	a.judge("demo", a.end(p))
}
