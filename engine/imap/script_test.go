package imap

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	goimap "github.com/emersion/go-imap/v2"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const caps = "IMAP4rev1 LITERAL+ CONDSTORE ESEARCH SASL-IR AUTH=PLAIN"

// peer is the server's side of a scripted session.
type peer struct {
	t   *testing.T
	c   net.Conn
	br  *bufio.Reader
	mu  sync.Mutex
	log []string // lines as they came from the client
}

// next reads a command line. The tag is "" when the client is gone.
func (p *peer) next() (tag, rest string) {
	line, err := p.br.ReadString('\n')
	if err != nil {
		return "", ""
	}
	p.mu.Lock()
	p.log = append(p.log, line)
	p.mu.Unlock()
	tag, rest, _ = strings.Cut(strings.TrimRight(line, "\r\n"), " ")
	return tag, rest
}

// say writes lines, each with CRLF; a client that left is none of its business.
func (p *peer) say(lines ...string) {
	_, _ = io.WriteString(p.c, strings.Join(lines, "\r\n")+"\r\n")
}

// raw writes octets as they are.
func (p *peer) raw(s string) { _, _ = io.WriteString(p.c, s) }

// answer reads one command and answers it: lines, then OK, with TAG replaced.
func (p *peer) answer(lines ...string) string {
	tag, rest := p.next()
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], "TAG", tag)
	}
	p.say(append(lines, tag+" OK done")...)
	return rest
}

// lines are the client's lines so far.
func (p *peer) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.log...)
}

// untilGone reads to the end, so that a pipe's other end never blocks.
func (p *peer) untilGone() { _, _ = io.Copy(io.Discard, p.br) }

// pipe connects a dialer to a script that starts before the greeting.
func pipe(t *testing.T, script func(p *peer)) (func(context.Context, string, string) (net.Conn, error), *peer) {
	t.Helper()
	client, server := net.Pipe()
	return serve(t, client, server, script)
}

// tcp is pipe over loopback, where both sides may write at once.
func tcp(t *testing.T, script func(p *peer)) (func(context.Context, string, string) (net.Conn, error), *peer) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, client, server, script)
}

func serve(t *testing.T, client, server net.Conn,
	script func(p *peer)) (func(context.Context, string, string) (net.Conn, error), *peer) {
	t.Helper()
	p := &peer{t: t, c: server, br: bufio.NewReader(server)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer server.Close()
		script(p)
	}()
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
		<-done
	})
	return func(context.Context, string, string) (net.Conn, error) { return client, nil }, p
}

// dial greets with capabilities and hands over to script.
func dial(t *testing.T, o Options, script func(p *peer)) (*Session, *peer) {
	t.Helper()
	var p *peer
	o.Dial, p = pipe(t, func(p *peer) {
		p.say("* OK [CAPABILITY " + caps + "] hello")
		script(p)
	})
	s, err := Dial(context.Background(), Endpoint{Host: "localhost", Port: 143, Security: Plain}, o)
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, p
}

// got collects what the handler of a FETCH and the observer see.
type got struct {
	bodies map[goimap.UID]string
	msgs   []Message
	sizes  []int64
	parts  []string // section names
	errs   []error  // of reading bodies
	events []string
	held   string // the body before its UID is known
}

func (g *got) handler() FetchHandler {
	g.bodies = map[goimap.UID]string{}
	return FetchHandler{
		Body: func(m *Message, section string, size int64, r io.Reader) error {
			b, err := io.ReadAll(r)
			g.sizes, g.parts, g.errs = append(g.sizes, size), append(g.parts, section), append(g.errs, err)
			g.held = string(b)
			return err
		},
		Fetch: func(m *Message) error {
			if m.HasBody {
				g.bodies[m.UID] = g.held
			}
			g.msgs = append(g.msgs, *m)
			return nil
		},
	}
}

func (g *got) observer() Observer {
	return Observer{
		Fetch:   func(m *Message) error { g.msgs = append(g.msgs, *m); return nil },
		Exists:  func(n uint32) { g.events = append(g.events, fmt.Sprintf("exists %d", n)) },
		Expunge: func(n uint32) { g.events = append(g.events, fmt.Sprintf("expunge %d", n)) },
		Vanished: func(e bool, set goimap.UIDSet) {
			g.events = append(g.events, fmt.Sprintf("vanished %v %v", e, set))
		},
		Status: func(st Status) {
			if st.Tag == "" {
				g.events = append(g.events, fmt.Sprintf("%s [%s %s] %s", st.Type, st.Code, st.CodeArgs, st.Text))
			}
		},
	}
}

// fetchAll runs one UID FETCH 1:* against an answer.
func fetchAll(t *testing.T, o Options, answer string) (*got, *Session, error) {
	t.Helper()
	s, _ := dial(t, o, func(p *peer) {
		tag, _ := p.next()
		p.raw(strings.ReplaceAll(answer, "TAG", tag))
		p.untilGone()
	})
	g := &got{}
	s.Observe(g.observer())
	err := s.UIDFetch(context.Background(), all, []Item{ItemBody}, g.handler())
	return g, s, err
}

var all = goimap.UIDSet{{Start: 1, Stop: 0}}
