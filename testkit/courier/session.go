package courier

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// capability is what Debian's configuration announces.
const capability = "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE"

// serve talks to one client until it has signed in, then lets imapd go on.
func (s *Server) serve(conn net.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(s.ctx, func() { conn.Close() })
	defer stop()
	say := func(format string, words ...any) bool {
		_, err := fmt.Fprintf(conn, format+"\r\n", words...)
		return err == nil
	}
	said := say("* OK [CAPABILITY %s ACL ACL2=UNION] Courier-IMAP ready. %s", capability, s.token)
	for said {
		line, err := readLine(conn)
		if err != nil {
			return
		}
		tag, command, _ := strings.Cut(line, " ")
		verb, args, _ := strings.Cut(command, " ")
		switch strings.ToUpper(verb) {
		case "CAPABILITY":
			said = say("* CAPABILITY %s ACL ACL2=UNION\r\n%s OK CAPABILITY completed", capability, tag)
		case "NOOP":
			said = say("%s OK NOOP completed", tag)
		case "LOGOUT":
			say("* BYE Courier-IMAP server shutting down\r\n%s OK LOGOUT completed", tag)
			return
		case "LOGIN":
			if strings.ReplaceAll(args, `"`, "") == User+" "+Password {
				s.hand(conn, tag)
				return
			}
			said = say("%s NO Login failed.", tag)
		default:
			said = say("%s NO Error in IMAP command received by server.", tag)
		}
	}
}

// hand lets the real server have the connection.
func (s *Server) hand(conn net.Conn, tag string) {
	file, err := conn.(*net.TCPConn).File()
	if err != nil {
		s.log.add(err.Error())
		return
	}
	defer file.Close()
	home := filepath.Dir(s.maildir())
	imapd := exec.CommandContext(s.ctx, s.imapd, "Maildir")
	imapd.Dir, imapd.Stdin, imapd.Stdout, imapd.Stderr = home, file, file, &s.log
	imapd.WaitDelay = 5 * time.Second
	imapd.Env = []string{
		s.libraries, "GAM_CLIENT_ID=" + s.token, "PATH=/usr/bin:/bin", "HOME=" + home,
		"AUTHENTICATED=" + User, "IMAPLOGINTAG=" + tag, "MAILDIR=" + s.maildir(),
		"TCPREMOTEIP=127.0.0.1", "TCPREMOTEPORT=1",
		"IMAP_CAPABILITY=" + capability, "IMAP_KEYWORDS=1", "IMAP_ACL=1", "IMAP_USELOCKS=1",
		"IMAP_MAILBOX_SANITY_CHECK=1", "IMAP_IDLE_TIMEOUT=60", "IMAP_ENHANCEDIDLE=0",
		"IMAP_TRASHFOLDERNAME=Trash", "SENDMAIL=/bin/false",
	}
	if err := imapd.Run(); err != nil && s.ctx.Err() == nil {
		s.log.add(err.Error())
	}
}

// readLine takes no byte beyond the line: the next ones are for imapd.
func readLine(conn net.Conn) (string, error) {
	var line []byte
	for one := make([]byte, 1); len(line) < 1000; {
		if _, err := conn.Read(one); err != nil {
			return "", err
		}
		if one[0] == '\n' {
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		line = append(line, one[0])
	}
	return "", fmt.Errorf("courier: a line of %d bytes before LOGIN", len(line))
}

// log keeps what processes say on standard error.
type log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) add(line string) { _, _ = l.Write([]byte(line + "\n")) } // it cannot fail

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// tail gives the last n lines.
func (l *log) tail(n int) string {
	lines := strings.Split(strings.TrimSpace(l.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
