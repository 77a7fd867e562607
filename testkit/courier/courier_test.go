package courier

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

func ask(t *testing.T, c *truth.Client, command string) string {
	t.Helper()
	lines, err := c.Do(command)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func TestServer(t *testing.T) {
	s := Start(t)
	date := time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, box := range []string{"INBOX", "INBOX.Käse"} {
		if err := s.Put(box, []byte("Subject: a\r\n\r\nA\r\n"), date); err != nil {
			t.Fatal(err)
		}
	}
	c := dial(t, s)
	said := ask(t, c, `LIST "" *`) + ask(t, c, "EXAMINE INBOX") + ask(t, c, "FETCH 1 (UID INTERNALDATE)")
	for _, want := range []string{`"INBOX.K&AOQ-se"`, "* 1 EXISTS", "04-Mar-2021 05:06:07 +0000"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing in\n%s", want, said)
		}
	}
	if _, err := truth.Dial(t.Context(), s.Addr(), User, "wrong"); err == nil {
		t.Error("a wrong password was taken")
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if said := ask(t, dial(t, s), `STATUS "INBOX.K&AOQ-se" (MESSAGES)`); !strings.Contains(said, "MESSAGES 1") {
		t.Errorf("after a restart: %s", said)
	}
	s.Stop()
	if conn, err := net.Dial("tcp", s.Addr()); err == nil {
		conn.Close()
		t.Error("a stopped server answers")
	}
}

// Numbers of a mailbox that nobody opened do not last. SELECT makes them.
func TestNumbersDoNotLast(t *testing.T) {
	s := Start(t)
	if err := s.Put("INBOX.New", []byte("Subject: a\r\n\r\nA\r\n"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	c := dial(t, s)
	asked := func() string { return ask(t, c, "STATUS INBOX.New (UIDVALIDITY)") }
	poll := time.NewTicker(50 * time.Millisecond) // the number is a time, in seconds
	defer poll.Stop()
	for first, deadline := asked(), time.Now().Add(20*time.Second); asked() == first; <-poll.C {
		if time.Now().After(deadline) {
			t.Fatalf("always the same: %s", first)
		}
	}
	ask(t, c, "SELECT INBOX.New")
	if first, second := asked(), asked(); first != second {
		t.Errorf("after SELECT %s, then %s", first, second)
	}
}
