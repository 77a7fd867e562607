package dovecot

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// talk sends commands one by one and gives everything the server said.
func talk(t *testing.T, conn net.Conn, commands ...string) string {
	t.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	said, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	for i, command := range commands {
		tag := fmt.Sprintf("t%d ", i)
		if _, err := fmt.Fprintf(conn, "%s%s\r\n", tag, command); err != nil {
			t.Fatal(err)
		}
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("after %s: %v; said %s", command, err, said)
			}
			said += line
			if strings.HasPrefix(line, tag) {
				break
			}
		}
	}
	return said
}

func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

const login = "LOGIN " + User + " " + Password

func wantAll(t *testing.T, said string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing in\n%s", want, said)
		}
	}
}

func TestDeliver(t *testing.T) {
	s := Start(t, Config{})
	date := time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)
	s.Deliver(t, User, "INBOX", []byte("Subject: a\r\n\r\nA\r\n"), Options{})
	s.Deliver(t, User, "INBOX", []byte("Subject: b\r\n\r\nB\r\n"),
		Options{Flags: []string{`\Seen`, `\Answered`}, Date: date})
	s.Deliver(t, User, "Listen/Käse & Brot/日本", []byte("Subject: c\r\n\r\nC\r\n"), Options{})
	said := talk(t, dial(t, s), login, `LIST "" *`, "EXAMINE INBOX",
		"FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[HEADER])",
		`STATUS "Listen/K&AOQ-se &- Brot/&ZeVnLA-" (MESSAGES RECENT UNSEEN)`, "CAPABILITY")
	wantAll(t, said, `"Listen/K&AOQ-se &- Brot/&ZeVnLA-"`, "* 2 EXISTS", "04-Mar-2021 05:06:07 +0000",
		`\Answered \Seen`,
		"(MESSAGES 1 RECENT 1 UNSEEN 1)", "QRESYNC", "SPECIAL-USE", "MOVE")
}

func TestDeliverMany(t *testing.T) {
	s := Start(t, Config{})
	const n = 1000
	for i := range n {
		s.Deliver(t, User, "INBOX", fmt.Appendf(nil, "Subject: %d\r\n\r\n", i), Options{})
	}
	said := talk(t, dial(t, s), login, "EXAMINE INBOX", "UID FETCH 1,999 BODY.PEEK[HEADER.FIELDS (SUBJECT)]")
	wantAll(t, said, "* 1000 EXISTS", "* 1 FETCH", "Subject: 0\r\n", "Subject: 998\r\n")
}

func TestDeliverRefuses(t *testing.T) {
	s := Start(t, Config{})
	if err := s.Put(User, "a.b", nil, Options{}); err == nil {
		t.Error("a dot in a mailbox name was taken")
	}
	if err := s.Put(User, "INBOX", nil, Options{Flags: []string{"$Forwarded"}}); err == nil {
		t.Error("a keyword was taken")
	}
}

func TestLogins(t *testing.T) {
	s := Start(t, Config{Users: map[string]string{"bob": "right"}})
	began := time.Now()
	for range 3 {
		wantAll(t, talk(t, dial(t, s), "LOGIN bob wrong"), "NO [AUTHENTICATIONFAILED]")
	}
	wantAll(t, talk(t, dial(t, s), "LOGIN bob right"), "OK [CAPABILITY")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("four logins took %v: the penalty is on", took)
	}
	for range 2 { // asking does not change the answer
		if n, err := s.Logins(); err != nil || n != 4 {
			t.Fatalf("Logins = %d, %v; want 4", n, err)
		}
	}
}

func TestRestart(t *testing.T) {
	s := Start(t, Config{})
	s.Deliver(t, User, "INBOX", []byte("Subject: a\r\n\r\n"), Options{})
	old := dial(t, s)
	defer old.Close()
	s.Stop()
	if conn, err := net.Dial("tcp", s.Addr()); err == nil {
		conn.Close()
		t.Fatal("a stopped server answers")
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	wantAll(t, talk(t, dial(t, s), login, "EXAMINE INBOX"), "* 1 EXISTS")
}

func TestTLS(t *testing.T) {
	s := Start(t, Config{TLS: true})
	conn, err := tls.Dial("tcp", s.TLSAddr(), &tls.Config{RootCAs: s.Roots})
	if err != nil {
		t.Fatal(err)
	}
	wantAll(t, talk(t, conn, login), "OK [CAPABILITY")
	wantAll(t, talk(t, dial(t, s), "CAPABILITY", login), "STARTTLS", "OK [CAPABILITY")
	if _, err := tls.Dial("tcp", s.TLSAddr(), &tls.Config{ServerName: "localhost"}); err == nil {
		t.Error("the certificate verifies without our authority")
	}
}

func TestExtra(t *testing.T) {
	s := Start(t, Config{Extra: "imap_capability = IMAP4rev1\n"})
	if said := talk(t, dial(t, s), login, "CAPABILITY"); strings.Contains(said, "CONDSTORE") {
		t.Errorf("the extra setting had no effect: %s", said)
	}
}

func TestURL(t *testing.T) {
	s := &Server{port: 143}
	u, err := url.Parse(s.URL("a@b", "p:/@ ü"))
	if err != nil {
		t.Fatal(err)
	}
	if password, _ := u.User.Password(); u.Host != "127.0.0.1:143" || u.User.Username() != "a@b" ||
		password != "p:/@ ü" {
		t.Errorf("URL = %s", u)
	}
}

func TestBadConfig(t *testing.T) {
	if _, err := find(); err != nil {
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("", "dovecot")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if _, err := New(dir, Config{Extra: "no such setting\n"}); err == nil {
		t.Fatal("a broken configuration started")
	}
}

// Every process of a server has its directory on the command line or in its open files; none may be left.
func TestNoProcessLeft(t *testing.T) {
	s := Start(t, Config{})
	talk(t, dial(t, s), login, "EXAMINE INBOX")
	open := dial(t, s) // a client that never leaves
	defer open.Close()
	pids := processes(t, s.dir)
	if len(pids) == 0 && os.Getuid() == 0 {
		t.Fatal("the running server was not found")
	}
	s.Stop()
	if left := processes(t, s.dir); len(left) != 0 {
		t.Fatalf("left: %v", left)
	}
}

func processes(t *testing.T, dir string) []string {
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, dir+"/") {
			found[strings.Split(link, "/")[2]] = true
		}
	}
	var pids []string
	for pid := range found {
		name, _ := os.ReadFile("/proc/" + pid + "/comm")
		pids = append(pids, pid+" "+strings.TrimSpace(string(name)))
	}
	return pids
}
