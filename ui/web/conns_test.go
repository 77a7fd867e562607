package web

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// visitor is one connection to the server.
type visitor struct {
	net.Conn
	answers *bufio.Reader
}

func (s *Server) visit(t *testing.T) visitor {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return visitor{c, bufio.NewReader(c)}
}

const bearer = "Authorization: Bearer " + testToken + "\r\n"

// ask sends one GET and returns the status; 0 when the server closed instead.
func (v visitor) ask(target, headers string) int {
	if _, err := fmt.Fprintf(v, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", target, v.RemoteAddr(), headers); err != nil {
		return 0
	}
	return v.answer()
}

func (v visitor) answer() int {
	answer, err := http.ReadResponse(v.answers, nil)
	if err != nil {
		return 0
	}
	io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

// closed waits until the server closes; false when it does not.
func (v visitor) closed() bool {
	_, err := v.answers.ReadByte()
	timeout, ok := err.(net.Error)
	return err != nil && !(ok && timeout.Timeout())
}

// patient limits never end a connection while a test runs.
func patient() limits {
	l := standardLimits()
	l.patience, l.readHeader, l.idle = time.Hour, time.Hour, time.Hour
	return l
}

func TestAnswerWithoutASecretIsTheLast(t *testing.T) {
	s := open(t, Config{}, patient())
	navigate := "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\n"
	link := s.Invite().Link[len(s.URL()):]
	for _, c := range []struct {
		target, headers string
		status          int
	}{
		{"/", "", 401},
		{"/", navigate, 401},
		{"/", "Authorization: Bearer guess\r\n", 401},
		{pathPrefix(testToken) + "/", navigate, 401},
		{"/", "Sec-Fetch-Site: cross-site\r\n", 403},
		{"/static/style.css", navigate, 200},
		{"/static/signin.js", "", 200},
		{"/static/live.js", navigate, 401},
		{"/static/../progress.json", "", 401},
		{"/login?once=guess", navigate, 401},
		{link, navigate + "Sec-Purpose: prefetch\r\n", 405},
		{link, navigate, 200},
	} {
		v := s.visit(t)
		if got := v.ask(c.target, c.headers); got != c.status {
			t.Errorf("%s %q: %d, want %d", c.target, c.headers, got, c.status)
		}
		if got := v.ask(c.target, c.headers+bearer); got != 0 {
			t.Errorf("%s %q: a second answer, %d", c.target, c.headers, got)
		}
	}
	v := s.visit(t)
	for range 3 {
		if got := v.ask("/static/icon.svg", bearer); got != 200 {
			t.Fatalf("with the token: %d", got)
		}
	}
}

// A connection that shows no secret is cut, whatever it does. One that has
// shown one goes on.
func TestStrangerIsCut(t *testing.T) {
	l := patient()
	l.patience = 50 * time.Millisecond
	s := open(t, Config{}, l)
	known := s.visit(t)
	if got := known.ask("/", bearer); got != 200 {
		t.Fatalf("with the token: %d", got)
	}
	silent, slow := s.visit(t), s.visit(t)
	io.WriteString(slow, "GET / HTTP/1.1\r\nHost: ")
	if !silent.closed() || !slow.closed() {
		t.Error("a connection without a secret goes on")
	}
	if got := known.ask("/", bearer); got != 200 {
		t.Errorf("a connection with the token was cut as well: %d", got)
	}
}

func TestOldestStrangerMakesRoom(t *testing.T) {
	s := open(t, Config{}, patient())
	known := s.visit(t)
	if got := known.ask("/", bearer); got != 200 {
		t.Fatalf("with the token: %d", got)
	}
	var strangers []visitor
	for range maxStrangers + 1 {
		strangers = append(strangers, s.visit(t))
	}
	if !strangers[0].closed() {
		t.Error("the oldest stranger stays")
	}
	for i, v := range strangers[1:] {
		if got := v.ask("/", ""); got != 401 {
			t.Fatalf("stranger %d has no place: %d", i+1, got)
		}
	}
	if got := known.ask("/", bearer); got != 200 {
		t.Errorf("strangers took the place of a known connection: %d", got)
	}
}

// Known connections have a pool of their own too: when it is full, people can
// still come to sign in.
func TestKnownConnectionsLeaveRoomForStrangers(t *testing.T) {
	s := open(t, Config{}, patient())
	var known []visitor
	for i := range maxConns {
		known = append(known, s.visit(t))
		if got := known[i].ask("/static/icon.svg", bearer); got != 200 {
			t.Fatalf("connection %d: %d", i, got)
		}
	}
	if got := s.visit(t).ask("/", ""); got != 401 {
		t.Errorf("a stranger: %d", got)
	}
	if got := s.visit(t).ask("/", bearer); got != 0 {
		t.Errorf("one connection too many was served: %d", got)
	}
	if got := known[0].ask("/static/icon.svg", bearer); got != 200 {
		t.Errorf("a known connection: %d", got)
	}
}

// A place is given back once, also when both sides and the clock close.
func TestPlacesAreGivenBack(t *testing.T) {
	p := &pools{patience: time.Hour}
	enter := func() *conn {
		c, other := net.Pipe()
		t.Cleanup(func() { other.Close() })
		return p.enter(c)
	}
	a, b := enter(), enter()
	for range 2 {
		if !a.know() {
			t.Error("there is no room for the first")
		}
	}
	for range 2 {
		a.Close()
		b.Close()
	}
	if p.known != 0 || len(p.strangers) != 0 {
		t.Errorf("%d known, %d strangers", p.known, len(p.strangers))
	}
	if a.know() || b.know() {
		t.Error("a closed connection goes on")
	}
}
