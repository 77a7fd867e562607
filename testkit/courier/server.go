package courier

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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

// Server is one running (or stopped) Courier.
type Server struct {
	dir       string
	imapd     string
	watcher   string // gam_server, which imapd asks what has changed
	libraries string
	token     string // the watcher's name, and proof that the answering server is this one
	port      int
	delivered atomic.Uint64

	listener net.Listener
	watching *child.Proc
	ctx      context.Context // ends with the server
	cancel   context.CancelFunc
	sessions sync.WaitGroup
	log      log
}

// Start runs a server until the test ends. Packages that are missing skip the
// test, or fail it when MAILCOTE_REQUIRE_ALL=1.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := New(unpacked.Home(t))
	unpacked.Require(t, err)
	t.Cleanup(func() {
		s.Close()
		if t.Failed() {
			t.Logf("Courier's log, last lines:\n%s", s.log.tail(30))
		}
	})
	return s
}

// New runs a server in dir, which must exist. The caller calls Close and removes dir.
func New(dir string) (*Server, error) {
	s := &Server{dir: dir, token: rand.Text()}
	var err error
	if s.imapd, err = unpacked.Find("usr/bin/imapd"); err != nil {
		return nil, fmt.Errorf("courier: %w", err)
	}
	if s.watcher, err = unpacked.Find("usr/libexec/gam_server"); err != nil {
		return nil, fmt.Errorf("courier: %w", err)
	}
	if s.libraries, err = unpacked.Libraries(); err != nil {
		return nil, fmt.Errorf("courier: %w", err)
	}
	if err := maildir(s.maildir()); err != nil {
		return nil, fmt.Errorf("courier: %w", err)
	}
	if err := s.listen(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) listen() error {
	l, err := net.Listen("tcp", net.JoinHostPort(s.Host(), strconv.Itoa(s.port)))
	if err != nil {
		return fmt.Errorf("courier: %w", err)
	}
	if s.watching, err = child.New([]string{s.watcher, "--notimeout", s.token}, []string{s.libraries}); err != nil {
		l.Close()
		return fmt.Errorf("courier: %w", err)
	}
	if err := s.watched(); err != nil {
		s.watching.Kill()
		l.Close()
		return fmt.Errorf("courier: %w", err)
	}
	s.port, s.listener = l.Addr().(*net.TCPAddr).Port, l
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.sessions.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			s.sessions.Go(func() { s.serve(conn) })
		}
	})
	return nil
}

// watched waits until the watcher listens. It listens on a socket without a
// file, whose name ends in the token.
func (s *Server) watched() error {
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; {
		sockets, err := os.ReadFile("/proc/net/unix")
		if err != nil || strings.Contains(string(sockets), s.token) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not listen: %s", s.watcher, s.watching.Stderr())
		}
		select {
		case <-poll.C:
		case <-s.watching.Done():
			return fmt.Errorf("%s ended at once: %s", s.watcher, s.watching.Stderr())
		}
	}
}

// Stop ends the server and its connections; the mail stays.
func (s *Server) Stop() {
	if s.listener == nil {
		return
	}
	s.cancel()
	s.listener.Close()
	s.sessions.Wait()
	s.watching.Kill()
	s.listener = nil
}

// Restart stops the server if it runs and starts it on the same port with the same mail.
func (s *Server) Restart() error {
	s.Stop()
	return s.listen()
}

// Close ends the server; the mail is not to be used again.
func (s *Server) Close() { s.Stop() }

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

// Log is what the server's processes have said so far.
func (s *Server) Log() string { return s.log.String() }

func (s *Server) maildir() string { return filepath.Join(s.dir, "home", User, "Maildir") }

// Put writes one message into a mailbox, as a delivery agent would, and makes
// the mailbox where it is missing. mailbox is "INBOX" or begins with "INBOX.".
// Names are UTF-8 on disk. A zero date means now.
func (s *Server) Put(mailbox string, raw []byte, date time.Time) error {
	below, found := strings.CutPrefix(mailbox, "INBOX")
	if !found {
		return fmt.Errorf("courier: deliver to %s: not below INBOX", mailbox)
	}
	dir := filepath.Join(s.maildir(), below)
	if _, err := os.Stat(dir); err != nil {
		if err := maildir(dir); err != nil {
			return fmt.Errorf("courier: deliver to %s: %w", mailbox, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "maildirfolder"), nil, 0o600); err != nil {
			return fmt.Errorf("courier: deliver to %s: %w", mailbox, err)
		}
	}
	n := s.delivered.Add(1)
	const epoch = 1_700_000_000 // Courier numbers new messages in the order of their names
	name := fmt.Sprintf("%d.M%06dP1.test,S=%d", epoch+n/1_000_000, n%1_000_000, len(raw))
	tmp := filepath.Join(dir, "tmp", name)
	if err := os.WriteFile(tmp, raw, 0o600); err != nil {
		return fmt.Errorf("courier: deliver to %s: %w", mailbox, err)
	}
	if !date.IsZero() {
		if err := os.Chtimes(tmp, date, date); err != nil {
			return fmt.Errorf("courier: deliver to %s: %w", mailbox, err)
		}
	}
	// The server must never see a file that is half written.
	if err := os.Rename(tmp, filepath.Join(dir, "new", name)); err != nil {
		return fmt.Errorf("courier: deliver to %s: %w", mailbox, err)
	}
	return nil
}

func maildir(dir string) error {
	for _, sub := range []string{"tmp", "cur", "new"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	return nil
}
