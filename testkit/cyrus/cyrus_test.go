package cyrus

import (
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailcote/testkit/truth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func dial(t *testing.T, s *Server) *truth.Client {
	t.Helper()
	c, err := truth.Dial(t.Context(), s.Addr(), User, Password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestServer(t *testing.T) {
	s := Start(t)
	c := dial(t, s)
	if err := c.Create("Lists/Käse"); err != nil {
		t.Fatal(err)
	}
	if err := c.Append("Lists/Käse", []byte("Subject: a\r\n\r\nA\r\n"), []string{`\Seen`},
		time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	if _, err := truth.Dial(t.Context(), s.Addr(), User, "wrong"); err == nil {
		t.Error("a wrong password was taken")
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	c = dial(t, s)
	var said []string
	for _, command := range []string{`LIST "" *`, `STATUS "Lists/K&AOQ-se" (MESSAGES)`,
		`EXAMINE "Lists/K&AOQ-se"`, "FETCH 1 (UID INTERNALDATE)", "CAPABILITY"} {
		lines, err := c.Do(command)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, lines...)
	}
	for _, want := range []string{`"/" INBOX`, "(MESSAGES 1)", "MAILBOXID (", "* 1 EXISTS", "4-Mar-2021 05:06:07 +0000",
		"QRESYNC"} {
		if text := strings.Join(said, "\n"); !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	s.Stop()
	if conn, err := net.Dial("tcp", s.Addr()); err == nil {
		conn.Close()
		t.Error("a stopped server answers")
	}
}
