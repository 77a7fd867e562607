package cli_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mailcote/testkit/proxy"
	"mailcote/testkit/script"
	"mailcote/testkit/terminal"
)

// TestScreens: in a terminal of 80 columns no list has a wider line, what is
// cut says so, and there are colours. Elsewhere there are none.
func TestScreens(t *testing.T) {
	t.Parallel()
	r, s := crowdedRig(t, 40, 100)
	r.exits(0, "sync", "--once", "--quiet", "alice+0@127.0.0.1", "alice+1@127.0.0.1")
	const account = "robin.hedgehog@correspondence.example.org"
	for _, statement := range []string{
		`UPDATE account SET name = '` + account + `', host = 'imap.correspondence.example.org' WHERE id = 1`,
		`UPDATE account SET state = 'paused', pause_class = 'auth', paused_at = 1, pause_reason =
			'the server refused the password: [AUTHENTICATIONFAILED] invalid credentials (failure)' WHERE id = 2`,
		`INSERT INTO sync_task
			(account_id, task_type, folder, payload, state, message_id, created_at, next_retry_at) VALUES
			(1, 'incremental_sync', '', '{}', 'processing', 'm1', 1, NULL),
			(1, 'folder_sync', 'a', '{"folder": "Correspondence/2026/Reports"}', 'waiting', 'm2', 1, 32503680000000),
			(2, 'folder_sync', 'INBOX', '{"folder": "INBOX"}', 'pending', 'm3', 1, NULL)`,
		`INSERT INTO sync_error (at, account_id, class, scope, detail, next_step, fingerprint) VALUES
			(unixepoch() * 1000, 1, 'network', 'account',
				'connect to imap.correspondence.example.org:993: dial tcp 192.0.2.7:993: connect: connection refused',
				'check the network, or wait: it is tried again by itself', 'a'),
			(unixepoch() * 1000, 2, 'auth', 'account', 'the server refused the password', '', 'b')`,
	} {
		r.alter(r.store, statement)
	}
	s.Close() // nothing here asks the server
	for _, c := range []struct {
		command string
		shows   []string
	}{
		{"status", []string{
			`(?m)^` + account + `  waiting \(as of [-0-9: ]{16}\): a\n    task is tried again then$`,
			`(?m)^alice\+1@127\.0\.0\.1:\d+  paused: the server refused the password:\n    \[AUTHENTICATION`,
			`(?m)^  Mail +81 of 81 messages in 2 mailboxes$`, `(?m)^Store  /`}},
		{"account list", []string{`^ACCOUNT +STATE `, `(?m)^robin\.hedgehog.*…  `,
			`(?m)^alice\+1@127\.0\.0\.1:[\d…]+  `,
			`  paused: the .*…  `}},
		{"account show alice+1@127.0.0.1", []string{`(?m)^Server +imap://`,
			`(?m)^Correspondence/2026.* +archive| +\d+ +\d+ +\d+$`}},
		{"errors", []string{`connect:\n? *connection`, `→ check the network, or wait: it is tried again by itself`}},
		{"errors --group", []string{`1 time  network`, `→ check the network`}},
		{"search is:unread", []string{`^DATE +FROM +SUBJECT +ID\n`,
			`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d  Ada Lovelace  日本語の件名は二倍の幅があります and …  e\w{7}$`}},
		{"queue list", []string{`^ID  STATE `, `NEXT TRY\n`, `processing  incremental_sync`, `Correspondence.*…`,
			`(?m)  \d\d:\d\d:\d\d$`}},
	} {
		t.Run(c.command, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(c.command)
			status, screen := terminal.Start(t, 80, 24, append([]string{"mailcote"}, args...), r.env).Wait()
			fits(t, screen)
			if status != 0 {
				t.Errorf("status %d", status)
			}
			for _, want := range c.shows {
				if !regexp.MustCompile(want).MatchString(screen.String()) {
					t.Errorf("it does not show %s", want)
				}
			}
			if !screen.Colour() {
				t.Error("it has no colours")
			}
			if _, plain := terminal.Start(t, 80, 24, append([]string{"mailcote", "--no-color"}, args...),
				r.env).Wait(); plain.Colour() {
				t.Error("it has colours with --no-color")
			}
			if o := r.exits(0, args...); strings.Contains(o.out+o.errs, "\x1b") {
				t.Errorf("colours outside a terminal: %q", o.out)
			}
			if t.Failed() {
				t.Logf("the screen:\n%s", screen)
			}
		})
	}
	t.Run("status --watch", func(t *testing.T) {
		t.Parallel()
		watch := terminal.Start(t, 80, 24, []string{"mailcote", "status", "--watch"}, r.env)
		watch.Await(func(picture string) bool {
			return strings.Contains(picture, account) && strings.Contains(picture, "\nStore ")
		})
		watch.Type("\x03")
		status, screen := watch.Wait()
		if fits(t, screen); status != 0 {
			t.Errorf("status %d", status)
		}
	})
}

// TestHelpOnScreen: the help of each command fits in a terminal of 80 columns.
func TestHelpOnScreen(t *testing.T) {
	t.Parallel()
	commands := regexp.MustCompile(`(?m)^  (\w+) +`)
	var look func(args ...string)
	look = func(args ...string) {
		if len(args) > 0 && args[0] == "completion" { // its texts are the library's
			return
		}
		status, screen := terminal.Start(t, 80, 24, append(append([]string{"mailcote"}, args...), "--help"), nil).Wait()
		if fits(t, screen); status != 0 {
			t.Errorf("%s: status %d", args, status)
		}
		_, list, _ := strings.Cut(screen.String(), "\nCommands:\n")
		list, _, _ = strings.Cut(list, "\n\n")
		for _, command := range commands.FindAllStringSubmatch(list, -1) {
			look(append(slices.Clone(args), command[1])...)
		}
	}
	look()
}

// TestErrorsOnScreen: an error fits in a terminal of 80 columns, goes on under
// itself there, and is one line elsewhere.
func TestErrorsOnScreen(t *testing.T) {
	t.Parallel()
	r, _ := scripted(t)
	for _, line := range []string{"account add imap://anna@mail.example.org", "search before:yesteryear",
		"account test imaps://anna@mail.example.org --password-file x --password-command y", "export --format pdf",
		"check --repair --remote", "show abcd --raw", "sync --password-stdin"} {
		args := strings.Fields(line)
		status, screen := terminal.Start(t, 80, 24, append([]string{"mailcote"}, args...), r.env).Wait()
		if fits(t, screen); status == 0 {
			t.Errorf("mailcote %s: status 0", line)
		}
		for i, row := range strings.Split(screen.String(), "\n") {
			if lead := "mailcote: "; i == 0 != strings.HasPrefix(row, lead) || i > 0 && !strings.HasPrefix(row, "  ") {
				t.Errorf("mailcote %s: line %d is %q", line, i+1, row)
			}
		}
		if o := r.run(args...); strings.Count(o.errs, "\n") != 1 {
			t.Errorf("mailcote %s, outside a terminal: %q", line, o.errs)
		}
	}
	r.exits(0, "sync", "--once", r.url())
	r.alter(r.store, `UPDATE mailbox SET total = total + 1`)
	status, screen := terminal.Start(t, 80, 24, []string{"mailcote", "check"}, r.env).Wait()
	if fits(t, screen); status != 1 || !strings.Contains(screen.String(), "\n  ") {
		t.Errorf("check: status %d\n%s", status, screen)
	}
}

// TestBarsOnScreen: the bars of a sync fit in a terminal of 80 columns, show
// how far it is, and are gone when it ends.
func TestBarsOnScreen(t *testing.T) {
	t.Parallel()
	r, s := crowdedRig(t, 250, 1000)
	slow := proxy.Start(t, s.Addr(), 1)
	slow.Set(proxy.Faults{Rate: 100_000})
	r.addr = slow.Addr()
	one := terminal.Start(t, 80, 24, []string{"mailcote", "sync", "--once", r.url()}, r.env)
	status, screen := one.Wait()
	fits(t, screen)
	if status != 0 || !screen.Colour() {
		t.Errorf("status %d, colour %v", status, screen.Colour())
	}
	mailbox := regexp.MustCompile(`(?m)^  Correspondence/2026… +▕[█ ]+▏ +\d+ of 250$`)
	whole := regexp.MustCompile(`(?m)^alice@127\.0\.0\.1:\d+ +▕[█ ]+▏ +\d+ of 501 · ` +
		`\d+\.\d kB · [\d.]+/s · \d+ s left$`)
	full := regexp.MustCompile(`(?m)^alice@127\.0\.0\.1:\d+ +▕█+▏  501 new \(\d+\.\d kB\)$`)
	shown, last := false, ""
	for _, picture := range screen.Pictures() {
		shown = shown || mailbox.MatchString(picture) && whole.MatchString(picture)
		if strings.Contains(picture, "▕") {
			last = picture
		}
	}
	if !full.MatchString(last) {
		t.Errorf("the last picture with a bar is\n%s", last)
	}
	if !shown {
		t.Errorf("%d pictures, none with the bars; some of them:\n%s", len(screen.Pictures()),
			strings.Join(some(screen.Pictures(), 5), "\n--\n"))
	}
	if last := screen.String(); strings.Contains(last, "▕") ||
		!strings.Contains(last, "complete, 2 mailboxes, 501 new") {
		t.Errorf("at the end:\n%s", last)
	}
}

// some gives a few of many.
func some(all []string, n int) (few []string) {
	for i := range n {
		few = append(few, all[i*len(all)/n])
	}
	return few
}

// fits wants that the screen was understood and had room for every line.
func fits(t *testing.T, screen *terminal.Screen) {
	t.Helper()
	for _, row := range screen.Overflow() {
		t.Errorf("wider than the terminal: %s", row)
	}
	if len(screen.Unknown()) > 0 {
		t.Errorf("the test's terminal does not know %s", screen.Unknown())
	}
}

// crowdedRig has two accounts with mail that needs much room in a line: messages
// of a size in each of two mailboxes. Its store has a short name.
func crowdedRig(t *testing.T, messages, size int) (*rig, *script.Server) {
	t.Helper()
	r, s := scripted(t)
	dir, err := os.MkdirTemp("/tmp", "mc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	r.home(dir)
	s.Change(func(m *script.Model) {
		for _, name := range []string{"INBOX", "Correspondence/2026/Quarterly reports of the society"} {
			for range messages {
				m.Box(name).Add(append([]byte("From: Ada Lovelace "+
					"<ada@correspondence.example.org>\r\n"+
					"Subject: =?utf-8?B?5pel5pys6Kqe44Gu5Lu25ZCN44Gv5LqM5YCN44Gu5bmF44GM44GC44KK44G+44GZ?= and "+
					"more\r\n\r\n"), noise(size)...))
			}
		}
	})
	r.accounts(s, 2)
	return r, s
}
