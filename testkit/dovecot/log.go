package dovecot

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Log is everything the server has logged so far.
func (s *Server) Log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "dovecot.log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Logins counts the login attempts the server has seen, successful or not. The server must be running.
//
// The log is written by a process of its own, a moment after the client has its
// answer. So Logins first logs in as a user of its own and waits for that line.
// One process handles all logins, so all earlier lines are there by then.
func (s *Server) Logins() (int, error) {
	const mark = "auth: Debug: client in: AUTH\t"
	before := strings.Count(s.Log(), probeUser)
	if err := s.probe(); err != nil {
		return 0, fmt.Errorf("dovecot: count logins: %w", err)
	}
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-poll.C {
		log := s.Log()
		if strings.Count(log, probeUser) > before {
			return strings.Count(log, mark) - probes(log), nil
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("dovecot: count logins: the probe did not show in the log")
		}
	}
}

// probes counts Logins' own logins: each ends in exactly one such line of the auth process.
func probes(log string) int {
	n := 0
	for line := range strings.Lines(log) {
		if strings.Contains(line, "auth: Debug: client passdb out: OK\t") && strings.Contains(line, "user="+probeUser) {
			n++
		}
	}
	return n
}

func (s *Server) probe() error {
	conn, err := net.DialTimeout("tcp", s.Addr(), 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	r := bufio.NewReader(conn)
	if _, err := fmt.Fprintf(conn, "a LOGIN %s %s\r\nb LOGOUT\r\n", probeUser, s.token); err != nil {
		return err
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		if rest, ok := strings.CutPrefix(line, "a "); ok {
			if !strings.HasPrefix(rest, "OK") {
				return fmt.Errorf("probe refused: %s", strings.TrimSpace(rest))
			}
			return nil
		}
	}
}

// tail gives the last n lines.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
