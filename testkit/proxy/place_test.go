package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// talker is a mail server that has one answer to each command, whatever its arguments; {n} stands for a literal.
func talker(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{
		"NOOP": "", "LOGIN": "",
		"UID": "* 1 FETCH (UID 1 BODY[] {4}\r\nabcd BODY[1] {6+}\r\nx\r\n{9})\r\n* 2 FETCH (BODY[] {5}\r\n12345)\r\n",
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				fmt.Fprint(conn, "* OK hello\r\n")
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					words := strings.Fields(lines.Text())
					if len(words) < 2 {
						continue
					}
					fmt.Fprintf(conn, "%s%s OK done\r\n", answers[strings.ToUpper(words[1])], words[0])
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

// dialogue is what a client hears that sends its commands one after the other and waits for what ends each.
func dialogue(conn net.Conn) (heard string, err error) {
	in := bufio.NewReader(conn)
	var all strings.Builder
	until := func(end string) error {
		for {
			line, err := in.ReadString('\n')
			all.WriteString(line)
			if err != nil || strings.HasPrefix(line, end) {
				return err
			}
		}
	}
	err = until("* OK")
	for i, command := range []string{"LOGIN a b", "UID FETCH 1:* BODY[]", "NOOP", "uid fetch 1 BODY[]"} {
		if err == nil {
			_, err = fmt.Fprintf(conn, "t%d %s\r\n", i, command)
		}
		if err == nil {
			err = until(fmt.Sprintf("t%d ", i))
		}
	}
	return all.String(), err
}

// TestPlaces ends a connection at places and looks at the last that was heard.
func TestPlaces(t *testing.T) {
	addr := talker(t)
	for _, c := range []struct {
		place Place
		last  string // what was heard ends in it
	}{
		{Place{Command: "GREETING", Part: Answer}, ""},
		{Place{Command: "GREETING", Part: Answer, Octet: 4}, "* OK"},
		{Place{Command: "GREETING", Part: Done}, "hello\r\n"},
		{Place{Command: "LOGIN", Part: Asked, Octet: 9}, "hello\r\n"},
		{Place{Command: "LOGIN", Part: Sent}, "hello\r\n"},
		{Place{Command: "LOGIN", Part: Tagged, Octet: 4}, "t0 O"},
		{Place{Command: "LOGIN", Part: Done}, "t0 OK done\r\n"},
		{Place{Command: "UID FETCH", Part: Answer, Octet: 3}, "\r\n* 1"},
		{Place{Command: "UID FETCH", Part: Literal}, "BODY[] {4}\r\n"},
		{Place{Command: "UID FETCH", Part: Literal, Octet: 4}, "abcd"},
		{Place{Command: "UID FETCH", Part: Literal, Literal: 2, Octet: 2}, "{6+}\r\nx\r"},
		{Place{Command: "UID FETCH", Part: Literal, Literal: 3, Octet: 1}, "{5}\r\n1"},
		{Place{Command: "UID FETCH", Part: Tagged, Octet: 1}, "12345)\r\nt1 "},
		{Place{Command: "NOOP", Part: Done}, "t2 OK done\r\n"},
		{Place{Command: "UID FETCH", Nth: 2, Part: Literal, Literal: 3, Octet: 2}, "{5}\r\n12"},
		{Place{Command: "UID FETCH", Nth: 2, Part: Done}, "t3 OK done\r\n"},
	} {
		for _, kind := range []Kind{End, HalfClose} { // which overtake nothing
			p := Start(t, addr, 1)
			p.Arm(c.place, Act{Kind: kind})
			heard, err := dialogue(dial(t, p))
			whole := c.place.Nth == 2 && c.place.Part == Done
			if !strings.HasSuffix(heard, c.last) || c.last == "" && heard != "" || (err == nil) != whole {
				t.Errorf("%+v: heard %q, %v; want the end %q", c.place, heard, err, c.last)
			}
			if p.Stats().Fired != 1 || p.Disarm() != 0 {
				t.Errorf("%+v: never came", c.place)
			}
		}
	}
}

func TestActs(t *testing.T) {
	addr := talker(t)
	clean := func(p *Proxy) (string, error) { return dialogue(dial(t, p)) }
	whole, err := clean(Start(t, addr, 1))
	if err != nil {
		t.Fatal(err)
	}
	sent := Place{Command: "NOOP", Part: Sent}
	for name, c := range map[string]struct {
		act    Act
		silent bool // the connection stays open and says nothing more
		broken bool
		after  int // connections that fail afterwards
	}{
		"reset":  {act: Act{Kind: Reset}, broken: true},
		"void":   {act: Act{Kind: Void}, silent: true},
		"deaf":   {act: Act{Kind: Deaf}, silent: true},
		"mute":   {act: Act{Kind: Mute}}, // the command is through
		"dark":   {act: Act{Kind: Dark, For: time.Hour}, silent: true, after: 1},
		"stall":  {act: Act{Kind: Stall, For: 20 * time.Millisecond}},
		"drip":   {act: Act{Kind: Drip, Rate: 2000}},
		"tiny":   {act: Act{Kind: Tiny}},
		"refuse": {act: Act{Kind: Refuse, Connections: 2}, broken: true, after: 2},
		"portal": {act: Act{Kind: Portal, Connections: 2}, broken: true, after: 2},
	} {
		t.Run(name, func(t *testing.T) {
			p := Start(t, addr, 1)
			p.Arm(sent, c.act)
			conn := dial(t, p)
			if c.silent || c.act.Kind == Mute {
				_ = conn.SetDeadline(time.Now().Add(50 * time.Millisecond))
			}
			heard, err := dialogue(conn)
			timeout := errors.Is(err, os.ErrDeadlineExceeded)
			if timeout != (c.silent || c.act.Kind == Mute) || err != nil != (c.broken || timeout) || err == nil &&
				heard != whole {
				t.Errorf("heard %q, %v", heard, err)
			}
			if c.act.Kind == Mute && !strings.HasSuffix(heard, "t2 OK done\r\n") {
				t.Errorf("a command that was through was not answered: %q", heard)
			}
			for range c.after {
				conn, err := net.Dial("tcp", p.Addr())
				if err != nil {
					continue // the reset was faster than the handshake's end
				}
				_ = conn.SetDeadline(time.Now().Add(50 * time.Millisecond))
				got, err := io.ReadAll(conn)
				if strings.HasPrefix(string(got), "* OK") || c.act.Kind == Portal && err == nil && string(got) != page {
					t.Errorf("%q, %v", got, err)
				}
				conn.Close()
			}
			p.Disarm()
			if heard, err := clean(p); err != nil || heard != whole {
				t.Errorf("afterwards: %q, %v", heard, err)
			}
		})
	}
}
