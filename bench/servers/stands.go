package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"mailcote/testkit/child"
	"mailcote/testkit/courier"
	"mailcote/testkit/cyrus"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/truth"
)

// kind is a server that can be started.
type kind struct {
	name      string
	prefix    string // of every mailbox but INBOX
	separator string
	start     func(dir string, o options) (*stand, error)
}

// stand is a server that runs.
type stand struct {
	addr, user, password string
	restart              func() error // nil: it keeps nothing
	close                func()
	unreadable           []string // mailboxes that may not be opened
	late                 bool     // FETCH of another session may say the old flags for a moment
}

var kinds = []kind{
	{"cyrus", "", "/", startCyrus},
	{"courier", "INBOX.", ".", startCourier},
	{"dovecot-maildir", "", "/", startDovecot("")},
	{"dovecot-mdbox", "", "/", startDovecot("mail_location = mdbox:~/mdbox\n")},
	{"dovecot-mbox", "", "/", startDovecot("mail_location = mbox:~/mail:INBOX=~/inbox\n")},
	{"dovecot-shared", "", "/", startShared},
	{"maddy", "", "/", startMaddy},
	{"gluon", "", "/", startGluon},
	{"hoodiecrow", "", "/", startHoodiecrow},
}

func startCyrus(dir string, _ options) (*stand, error) {
	s, err := cyrus.New(dir)
	if err != nil {
		return nil, err
	}
	return &stand{addr: s.Addr(), user: cyrus.User, password: cyrus.Password, restart: s.Restart, close: s.Close}, nil
}

func startCourier(dir string, _ options) (*stand, error) {
	s, err := courier.New(dir)
	if err != nil {
		return nil, err
	}
	return &stand{addr: s.Addr(), user: courier.User, password: courier.Password, restart: s.Restart,
		close: s.Close}, nil
}

func startDovecot(extra string) func(string, options) (*stand, error) {
	return func(dir string, _ options) (*stand, error) {
		s, err := dovecot.New(dir, dovecot.Config{Extra: extra})
		if err != nil {
			return nil, err
		}
		return &stand{addr: s.Addr(), user: dovecot.User, password: dovecot.Password, restart: s.Restart,
			close: s.Close}, nil
	}
}

// startShared is a Dovecot whose second user shares three mailboxes: one to
// read, one to change, and one to see the name of.
func startShared(dir string, _ options) (*stand, error) {
	s, err := dovecot.New(dir, dovecot.Config{
		Users: map[string]string{dovecot.User: dovecot.Password, "bob": dovecot.Password},
		Extra: fmt.Sprintf(`mail_plugins = acl
protocol imap {
  mail_plugins = acl imap_acl
}
plugin {
  acl = vfile
  acl_shared_dict = file:%[1]s/home/shared.db
}
namespace shared {
  type = shared
  separator = /
  prefix = shared/%%%%u/
  location = maildir:%[1]s/home/%%%%u/Maildir:INDEX=~/shared/%%%%u
  subscriptions = no
  list = children
}
`, dir)})
	if err != nil {
		return nil, err
	}
	bob, err := truth.Dial(context.Background(), s.Addr(), "bob", dovecot.Password)
	if err != nil {
		s.Close()
		return nil, err
	}
	defer bob.Close()
	for _, one := range []struct{ box, rights string }{{"read", "lrs"}, {"change", "lrswite"}, {"name only", "l"}} {
		err = errors.Join(err, bob.Create(one.box))
		for n := range 5 {
			err = errors.Join(err, bob.Append(one.box, message(one.box, n), nil, time.Time{}))
		}
		_, set := bob.Do(fmt.Sprintf("SETACL %s %s %s", truth.Quote(one.box), dovecot.User, one.rights))
		err = errors.Join(err, set)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return &stand{addr: s.Addr(), user: dovecot.User, password: dovecot.Password, restart: s.Restart, close: s.Close,
		unreadable: []string{"shared/bob/name only"}}, nil
}

func startMaddy(dir string, o options) (*stand, error) {
	addr, err := free()
	if err != nil {
		return nil, err
	}
	const user = "alice@example.org"
	conf := fmt.Sprintf(`hostname mail.example.org
state_dir %[1]s/state
runtime_dir %[1]s/run
tls off
auth.pass_table passwords {
    table sql_table {
        driver sqlite3
        dsn %[1]s/passwords.db
        table_name passwords
    }
}
storage.imapsql mail {
    driver sqlite3
    dsn %[1]s/mail.db
}
imap tcp://%[2]s {
    auth &passwords
    storage &mail
    insecure_auth yes
}
`, dir, addr)
	file, program := filepath.Join(dir, "maddy.conf"), filepath.Join(o.extra, "maddy")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"creds", "create", "--cfg-block", "passwords", "-p", "sesame", user},
		{"imap-acct", "create", "--cfg-block", "mail", user}} {
		p, err := child.New(append([]string{program, "--config", file}, args...), nil)
		if err != nil {
			return nil, err
		}
		if err := p.Wait(); err != nil {
			return nil, fmt.Errorf("maddy %s: %w: %s", args[0], err, p.Stderr())
		}
	}
	return launch(addr, user, "sesame", true, []string{program, "--config", file, "run"}, nil)
}

func startGluon(dir string, o options) (*stand, error) {
	addr, err := free()
	if err != nil {
		return nil, err
	}
	s, err := launch(addr, "user1@example.com", "pass", false, []string{filepath.Join(o.extra, "demo")},
		[]string{"GLUON_DIR=" + dir, "GLUON_HOST=" + addr, "GLUON_USER_COUNT=1", "GLUON_LOG_LEVEL=error"})
	if s != nil {
		s.late = true
	}
	return s, err
}

func startHoodiecrow(dir string, o options) (*stand, error) {
	addr, err := free()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	module, err := filepath.Abs(filepath.Join(o.extra, "node_modules", "hoodiecrow-imap"))
	if err != nil {
		return nil, err
	}
	script := fmt.Sprintf(`require(%s)({plugins: ["ID", "SASL-IR", "AUTH-PLAIN", "NAMESPACE", "IDLE", "ENABLE", `+
		`"CONDSTORE", "UNSELECT", "SPECIAL-USE", "LITERALPLUS"], storage: {INBOX: {}, "": {separator: "/", `+
		`folders: {}}}}).listen(%s)`, strconv.Quote(module), port)
	file := filepath.Join(dir, "server.js")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		return nil, err
	}
	return launch(addr, "testuser", "testpass", false, []string{"node", file}, nil)
}

// launch starts a program and waits until it greets.
func launch(addr, user, password string, keeps bool, argv, env []string) (*stand, error) {
	var proc *child.Proc
	start := func() (err error) {
		if proc, err = child.New(argv, env); err != nil {
			return err
		}
		poll := time.NewTicker(20 * time.Millisecond)
		defer poll.Stop()
		for deadline := time.Now().Add(time.Minute); ; <-poll.C {
			c, err := truth.Dial(context.Background(), addr, user, password)
			if err == nil {
				c.Close()
				return nil
			}
			if time.Now().After(deadline) {
				proc.Kill()
				return fmt.Errorf("%s does not answer: %w; it says: %s%s", filepath.Base(argv[0]), err, proc.Stdout(),
					proc.Stderr())
			}
		}
	}
	if err := start(); err != nil {
		return nil, err
	}
	s := &stand{addr: addr, user: user, password: password, close: func() { proc.Kill() }}
	if keeps {
		s.restart = func() error { proc.Kill(); return start() }
	}
	return s, nil
}

// free gives an address nobody listens on.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// odd are mailbox names that servers and clients get wrong; "|" stands for the separator.
var odd = []string{
	"two words", " leading", "trailing ", `quo"te`, `back\slash`, "per%cent", "as*terisk", "amp&ersand", "&", "&-",
	"Käse", "日本語", "emoji 😀", "(paren)", "{5}", "[bracket]", "INBOX|child", "inbox|Other", "InBoX|child|deep",
	"Case", "case", "CASE", strings.Repeat("long", 50), strings.ReplaceAll("a.b.c.d.e.f.g.h.i.j", ".", "|"),
	"tab\there", "ctl\x01", "del\x7f", "~tilde", "#hash", "NIL", "5", "-dash", "it's", "semi;colon", "plus+",
	"e\u0301", "é", "right\u202eto left", "zero\u200bwidth", "INBOX2", "?", "$HOME", `"`, "ß", "x|  |y", "AT&T",
	"İstanbul", "dot.dot", "[Gmail]|All Mail", "&AOQ-",
}

// message makes a message that no other name and number has.
func message(box string, n int) []byte {
	return fmt.Appendf(nil, "From: Ada <ada@example.org>\r\nTo: bob@example.org\r\nSubject: number %[2]d\r\n"+
		"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <%[1]x.%[2]d@example.org>\r\n\r\n"+
		"The text of %[2]d.\r\n%[3]s",
		box, n, strings.Repeat("More text.\r\n", n%20))
}
