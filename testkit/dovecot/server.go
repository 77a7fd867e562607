package dovecot

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/testkit/child"
)

// The account every server has unless Config.Users says otherwise.
const (
	User     = "alice"
	Password = "sesame"
)

// ErrMissing is given when no usable Dovecot is installed.
var ErrMissing = errors.New("no Dovecot 2.3 found; install it with: apt-get install dovecot-imapd")

// Config says what differs from the usual server. The zero value is a plain server with one account.
type Config struct {
	Users   map[string]string // name → password; nil means User with Password
	TLS     bool              // a second port with TLS, and STARTTLS on the first
	Penalty bool              // keep Dovecot's delay after failed logins
	Extra   string            // appended to the configuration file as it is
}

// Server is one running (or stopped) Dovecot.
type Server struct {
	Roots *x509.CertPool // the authority that signed the TLS certificate; nil without Config.TLS

	dir       string
	binary    string
	config    Config
	token     string // in the greeting: proves that the answering server is this one
	port      int
	tlsPort   int
	mailUID   int // owner of the mail
	mailGID   int
	proc      *child.Proc
	delivered atomic.Uint64
}

// Start runs a server until the test ends. A missing Dovecot skips the test, or
// fails it when MAILCOTE_REQUIRE_ALL=1.
func Start(t testing.TB, config Config) *Server {
	t.Helper()
	// Not t.TempDir: the path of a unix socket must stay under 108 bytes, and test names are long.
	dir, err := os.MkdirTemp("", "dovecot")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the server's directory: %v", err)
		}
	})
	s, err := New(dir, config)
	if errors.Is(err, ErrMissing) && os.Getenv("MAILCOTE_REQUIRE_ALL") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Dovecot's log, last lines:\n%s", tail(s.Log(), 30))
		}
		s.Close()
	})
	return s
}

// New runs a server in dir, which must exist and have a short path. The caller calls Close and removes dir.
func New(dir string, config Config) (*Server, error) {
	binary, err := find()
	if err != nil {
		return nil, err
	}
	if config.Users == nil {
		config.Users = map[string]string{User: Password}
	}
	s := &Server{dir: dir, binary: binary, config: config, token: rand.Text()}
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("dovecot: prepare %s: %w", dir, err)
	}
	// Another program may take a port between choosing and binding it: choose again.
	for range 5 {
		if err = s.choosePorts(); err != nil {
			break
		}
		if err = s.launch(); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("dovecot: start: %w; its log: %s", err, tail(s.Log(), 10))
}

func find() (string, error) {
	binary, err := exec.LookPath("dovecot")
	if err != nil {
		// Not in an ordinary user's PATH on Debian.
		if binary, err = exec.LookPath("/usr/sbin/dovecot"); err != nil {
			return "", ErrMissing
		}
	}
	version, err := exec.Command(binary, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("dovecot: ask %s for its version: %w", binary, err)
	}
	if !strings.HasPrefix(string(version), "2.3.") {
		return "", fmt.Errorf("%w (this one is %s)", ErrMissing, strings.TrimSpace(string(version)))
	}
	return binary, nil
}

func (s *Server) choosePorts() error {
	ports := make([]int, 2)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	s.port, s.tlsPort = ports[0], ports[1]
	return nil
}

// launch starts the program on the chosen ports and waits until it answers.
func (s *Server) launch() error {
	conf := filepath.Join(s.dir, "dovecot.conf")
	if err := os.WriteFile(conf, []byte(s.render()), 0o644); err != nil {
		return err
	}
	proc, err := child.Serve([]string{s.binary, "-F", "-c", conf}, nil, s.Addr(), s.token)
	if err != nil {
		return err
	}
	s.proc = proc
	return nil
}

// Stop ends the server and its connections; the mail stays. Restart brings it back. Dovecot takes a second for it.
func (s *Server) Stop() {
	if s.proc == nil {
		return
	}
	s.proc.Stop(10 * time.Second)
	s.proc = nil
}

// Restart stops the server if it runs and starts it on the same port with the same mail.
func (s *Server) Restart() error {
	s.Stop()
	if err := s.launch(); err != nil {
		return fmt.Errorf("dovecot: restart: %w", err)
	}
	return nil
}

// Close ends the server at once; the mail is not to be used again.
func (s *Server) Close() {
	if s.proc == nil {
		return
	}
	s.proc.Kill()
	s.proc = nil
}

// Host is the address the server listens on.
func (s *Server) Host() string { return "127.0.0.1" }

// Port is the port without TLS.
func (s *Server) Port() int { return s.port }

// Addr is host:port without TLS.
func (s *Server) Addr() string { return net.JoinHostPort(s.Host(), strconv.Itoa(s.port)) }

// TLSAddr is host:port with implicit TLS; empty without Config.TLS.
func (s *Server) TLSAddr() string {
	if !s.config.TLS {
		return ""
	}
	return net.JoinHostPort(s.Host(), strconv.Itoa(s.tlsPort))
}

// URL is imap://user:password@host:port with user and password percent-encoded.
func (s *Server) URL(user, password string) string {
	u := url.URL{Scheme: "imap", User: url.UserPassword(user, password), Host: s.Addr()}
	return u.String()
}

// CPU is the processor time that all its processes took since it was started; 0
// while it is stopped, and where the system does not tell.
func (s *Server) CPU() time.Duration {
	if s.proc == nil {
		return 0
	}
	return s.proc.GroupCPU()
}
