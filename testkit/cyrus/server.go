package cyrus

import (
	"crypto/rand"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailcote/testkit/child"
	"mailcote/testkit/unpacked"
)

// The account of every server.
const (
	User     = "alice"
	Password = "sesame"
)

// Server is one running (or stopped) Cyrus.
type Server struct {
	dir       string
	programs  string // directory of Cyrus' programs
	libraries string
	owner     *user.User // of the mail
	token     string     // in the greeting: proves that the answering server is this one
	port      int
	proc      *child.Proc
	passwords *passwords
}

// Start runs a server until the test ends. Packages that are missing skip the
// test, or fail it when MAILCOTE_REQUIRE_ALL=1.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := New(unpacked.Home(t))
	unpacked.Require(t, err)
	t.Cleanup(func() {
		if t.Failed() && s.proc != nil {
			t.Logf("Cyrus said: %s", s.proc.Stderr())
		}
		s.Close()
	})
	return s
}

// New runs a server in dir, which must exist and have a short path. The caller calls Close and removes dir.
func New(dir string) (*Server, error) {
	s := &Server{dir: dir, token: strings.ToLower(rand.Text())}
	master, err := unpacked.Find("usr/lib/cyrus/bin/master")
	if err != nil {
		return nil, fmt.Errorf("cyrus: %w", err)
	}
	s.programs = filepath.Dir(master)
	if s.libraries, err = unpacked.Libraries(); err != nil {
		return nil, fmt.Errorf("cyrus: %w", err)
	}
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("cyrus: prepare %s: %w", dir, err)
	}
	if s.passwords, err = checkPasswords(filepath.Join(dir, "run", "mux")); err != nil {
		return nil, fmt.Errorf("cyrus: %w", err)
	}
	// Another program may take a port between choosing and binding it: choose again.
	for range 5 {
		if err = s.choosePort(); err != nil {
			break
		}
		if err = s.launch(); err == nil {
			return s, nil
		}
	}
	s.passwords.close()
	return nil, fmt.Errorf("cyrus: start: %w", err)
}

// prepare makes the directories. Cyrus refuses to run as root.
func (s *Server) prepare() (err error) {
	if s.owner, err = user.Current(); err == nil && s.owner.Uid == "0" {
		s.owner, err = user.Lookup("mail")
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	for _, sub := range []string{"conf/db", "conf/log", "conf/msg", "conf/proc", "conf/quota", "conf/sieve",
		"conf/socket", "conf/user", "spool", "run/proc", "run/lock"} {
		if err := os.MkdirAll(filepath.Join(s.dir, sub), 0o755); err != nil {
			return err
		}
	}
	if os.Getuid() != 0 {
		return nil
	}
	uid, err := strconv.Atoi(s.owner.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(s.owner.Gid)
	if err != nil {
		return err
	}
	return filepath.WalkDir(s.dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, uid, gid)
	})
}

func (s *Server) choosePort() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	return l.Close()
}

// render gives the two configuration files. Settings that are not defaults:
//   - mail beside INBOX and "/" between levels, as big providers have it;
//   - no INBOX has to be made before a user signs in first;
//   - databases are not brought to the disk: tests are many and short.
func (s *Server) render() (imapd, master string) {
	imapd = fmt.Sprintf(`configdirectory: %[1]s/conf
proc_path: %[1]s/run/proc
mboxname_lockpath: %[1]s/run/lock
defaultpartition: default
partition-default: %[1]s/spool
sievedir: %[1]s/conf/sieve
servername: %[2]s
cyrus_user: %[3]s
allowplaintext: yes
sasl_mech_list: PLAIN
sasl_pwcheck_method: saslauthd
sasl_saslauthd_path: %[1]s/run/mux
altnamespace: yes
unixhierarchysep: yes
autocreate_post: yes
autocreate_quota: 0
skiplist_unsafe: yes
`, s.dir, s.token, s.owner.Username)
	master = fmt.Sprintf(`START {
  recover cmd="%[1]s/ctl_cyrusdb -C %[2]s/imapd.conf -r"
}
SERVICES {
  imap cmd="%[1]s/imapd -C %[2]s/imapd.conf" listen="127.0.0.1:%[3]d" prefork=1
}
EVENTS {
  checkpoint cmd="%[1]s/ctl_cyrusdb -C %[2]s/imapd.conf -c" period=30
}
`, s.programs, s.dir, s.port)
	return imapd, master
}

// launch starts the program on the chosen port and waits until it answers.
func (s *Server) launch() error {
	imapd, master := s.render()
	conf, services := filepath.Join(s.dir, "imapd.conf"), filepath.Join(s.dir, "cyrus.conf")
	if err := os.WriteFile(conf, []byte(imapd), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(services, []byte(master), 0o644); err != nil {
		return err
	}
	argv := []string{filepath.Join(s.programs, "master"), "-D", "-C", conf, "-M", services,
		"-p", filepath.Join(s.dir, "run", "master.pid")}
	proc, err := child.Serve(argv, []string{s.libraries, "CYRUS_USER=" + s.owner.Username}, s.Addr(), s.token)
	if err != nil {
		return err
	}
	s.proc = proc
	return nil
}

// Stop ends the server and its connections; the mail stays. Restart brings it back.
func (s *Server) Stop() {
	if s.proc == nil {
		return
	}
	s.proc.Stop(time.Second) // a process that has a client does not end
	s.proc = nil
}

// Restart stops the server if it runs and starts it on the same port with the same mail.
func (s *Server) Restart() error {
	s.Stop()
	if err := s.launch(); err != nil {
		return fmt.Errorf("cyrus: restart: %w", err)
	}
	return nil
}

// Close ends the server at once; the mail is not to be used again.
func (s *Server) Close() {
	if s.proc != nil {
		s.proc.Kill()
		s.proc = nil
	}
	s.passwords.close()
}

// Host is the address the server listens on.
func (s *Server) Host() string { return "127.0.0.1" }

// Port is the port without TLS.
func (s *Server) Port() int { return s.port }

// Addr is host:port.
func (s *Server) Addr() string { return net.JoinHostPort(s.Host(), strconv.Itoa(s.port)) }

// URL is imap://user:password@host:port.
func (s *Server) URL() string {
	u := url.URL{Scheme: "imap", User: url.UserPassword(User, Password), Host: s.Addr()}
	return u.String()
}
