package script

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client talks to the server by hand.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	n    int
}

func dial(t *testing.T, s *Server) *client {
	t.Helper()
	conn, err := net.Dial("tcp", net.JoinHostPort(s.Host(), strconv.Itoa(s.Port())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &client{t: t, conn: conn, in: bufio.NewReader(conn)}
	if line, err := c.in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "* OK [CAPABILITY ") {
		t.Fatalf("greeting %q, %v", line, err)
	}
	return c
}

// do sends a command and gives everything up to its tagged answer, or to the end of the connection.
func (c *client) do(format string, args ...any) string {
	c.t.Helper()
	c.n++
	tag := fmt.Sprintf("t%d", c.n)
	fmt.Fprintf(c.conn, tag+" "+format+"\r\n", args...)
	var all strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			return all.String() + "<end>"
		}
		if strings.HasPrefix(line, tag+" ") {
			return all.String()
		}
	}
}

func filled(t *testing.T) *Server {
	s := Start(t, Options{})
	s.Change(func(m *Model) {
		for range 3 {
			m.Box("INBOX").Add([]byte("Subject: x\r\n\r\nhello"), `\Seen`)
		}
	})
	return s
}

func wants(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, one := range want {
		if !strings.Contains(got, one) {
			t.Errorf("%q lacks %q", got, one)
		}
	}
}

func TestSession(t *testing.T) {
	s := filled(t)
	c := dial(t, s)
	wants(t, c.do("LOGIN alice wrong"), "NO [AUTHENTICATIONFAILED]")
	wants(t, c.do("LOGIN {5+}\r\nalice {6+}\r\nsesame"), "OK")
	wants(t, c.do(`LIST "" "*" RETURN (STATUS (MESSAGES UIDNEXT))`), `* LIST () "/" "INBOX"`,
		`* STATUS "INBOX" (MESSAGES 3 UIDNEXT 4)`)
	wants(t, c.do(`EXAMINE "INBOX" (CONDSTORE)`), "* 3 EXISTS", "[UIDVALIDITY 1000]", "[HIGHESTMODSEQ 4]")
	wants(t, c.do("UID SEARCH UID 1:*"), "* SEARCH 1 2 3\r\n")
	wants(t, c.do("UID SEARCH RETURN (ALL) UID 1:*"), `* ESEARCH (TAG "t6") UID ALL 1,2,3`)
	wants(t, c.do("UID FETCH 2:* (UID FLAGS BODY.PEEK[])"), "* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (3)",
		"BODY[] {19}\r\nSubject: x", "* 3 FETCH")
	s.Change(func(m *Model) {
		m.Box("INBOX").Expunge(1)
		m.Box("INBOX").Flag(2, "$X")
		m.Box("INBOX").Add([]byte("x"))
	})
	wants(t, c.do("NOOP"), "* 1 EXPUNGE", "* 3 EXISTS", "* 1 FETCH (UID 2 FLAGS ($X)")
	wants(t, c.do("UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE 4)"), "UID 2", "UID 4")
	wants(t, c.do("STATUS None (MESSAGES)"), "NO [NONEXISTENT]")
	wants(t, c.do("STORE 1 FLAGS ()"), "BAD")
	wants(t, c.do("LOGOUT"), "* BYE")
	if s.Count("LOGIN") != 2 || s.Count("UID FETCH") != 2 || s.Connections() != 1 {
		t.Errorf("counts %v, %d connections", s.Counts(), s.Connections())
	}
}

func TestMisbehave(t *testing.T) {
	for fault, want := range map[Fault]string{
		Refuse: "t2 NO [SERVERBUG]", RefuseLate: "t2 NO some", Omit: "t2 OK", TooLong: "{44}\r\n",
		TooShort: "{14}\r\n", Cut: "Subject: <end>", Nil: "BODY[] NIL)",
	} {
		s := filled(t)
		c := dial(t, s)
		s.Misbehave(Faults{Message: func(box string, uid uint32) Fault {
			if uid == 2 {
				return fault
			}
			return Whole
		}})
		c.do("EXAMINE INBOX")
		got := c.do("UID FETCH 1:* (UID BODY.PEEK[])")
		wants(t, got, want)
		if n := strings.Count(got, "hello"); n != map[Fault]int{Refuse: 0, RefuseLate: 2, Omit: 2, TooLong: 3,
			TooShort: 3, Cut: 1, Nil: 2}[fault] {
			t.Errorf("fault %d: %d bodies in %q", fault, n, got)
		}
	}
	s := filled(t)
	for action, want := range map[Action]string{"NO no": "t1 NO no", "BYE bye": "* BYE bye\r\n<end>", Drop: "<end>",
		Bare: "t1 OK done"} {
		s.Misbehave(Faults{})
		c := dial(t, s)
		s.Misbehave(Faults{On: func(Command) Action { return action }})
		wants(t, c.do("LIST"), want)
	}
	s.Misbehave(Faults{On: func(c Command) Action { // may call Change
		s.Change(func(m *Model) { m.Drop("INBOX") })
		return Answer
	}})
}
