package dns

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"mailcote/testkit/signal"
)

// Answer is what is said to a question. The zero Answer says that the name has no address of this kind.
type Answer struct {
	Silent bool          // nothing is said
	Late   time.Duration // after so long
	Code   Code
	Addrs  []netip.Addr // those of the other family are left out
}

// Code is how a question ends.
type Code = dnsmessage.RCode

// The codes a test asks for.
const (
	NoSuchName = dnsmessage.RCodeNameError
	Failed     = dnsmessage.RCodeServerFailure
	Refused    = dnsmessage.RCodeRefused
)

// Addrs is an answer with addresses.
func Addrs(all ...string) (a Answer) {
	for _, one := range all {
		a.Addrs = append(a.Addrs, netip.MustParseAddr(one))
	}
	return a
}

// Server is one running server.
type Server struct {
	conn   net.PacketConn
	answer func(n int, six bool) Answer
	ended  sync.WaitGroup

	changed signal.Signal

	mu     sync.Mutex
	asked  [2]int // by family
	closed bool
	askers []net.Conn // of resolvers
}

// Start runs a server until the test ends. answer is called for each question,
// one at a time: the n-th (from 1) for addresses of IPv4 or, when six is true,
// of IPv6.
func Start(t testing.TB, answer func(n int, six bool) Answer) *Server {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{conn: conn, answer: answer}
	s.ended.Go(s.serve)
	t.Cleanup(s.close)
	return s
}

// close ends the server and the connections of its resolvers. net's look-ups
// outlive the context of their caller.
func (s *Server) close() {
	s.mu.Lock()
	s.closed = true
	for _, c := range s.askers {
		_ = c.Close() // it may be over
	}
	s.mu.Unlock()
	_ = s.conn.Close() // it has no state
	s.ended.Wait()
}

// Resolver gives a resolver that asks this server.
func (s *Server) Resolver() *net.Resolver { return &net.Resolver{PreferGo: true, Dial: s.dial} }

func (s *Server) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, net.ErrClosed
	}
	c, err := new(net.Dialer).DialContext(ctx, "udp", s.conn.LocalAddr().String())
	if err == nil {
		s.askers = append(s.askers, c)
	}
	return c, err
}

// Changed returns a channel that is closed when the next question has come.
func (s *Server) Changed() <-chan struct{} { return s.changed.Next() }

// Asked is how many questions came, for IPv4 and for IPv6.
func (s *Server) Asked() (four, six int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[0], s.asked[1]
}

func (s *Server) serve() {
	for buf := make([]byte, 4096); ; {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return // closed
		}
		reply, late := s.reply(buf[:n])
		if reply != nil {
			s.ended.Go(func() {
				time.Sleep(late)
				_, _ = s.conn.WriteTo(reply, from) // who asked may be gone
			})
		}
	}
}

// reply answers a packet, so much later; nil: with nothing.
func (s *Server) reply(packet []byte) ([]byte, time.Duration) {
	var m dnsmessage.Message
	if err := m.Unpack(packet); err != nil || len(m.Questions) != 1 {
		return nil, 0
	}
	q := m.Questions[0]
	six := q.Type == dnsmessage.TypeAAAA
	family := 0
	if six {
		family = 1
	}
	s.mu.Lock()
	s.asked[family]++
	n := s.asked[family]
	s.mu.Unlock()
	s.changed.Send()
	a := s.answer(n, six)
	if a.Silent {
		return nil, 0
	}
	m = dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true,
		RCode: a.Code}, Questions: m.Questions}
	for _, addr := range a.Addrs {
		h := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET}
		switch {
		case addr.Is4() && q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: addr.As4()}})
		case addr.Is6() && six:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h,
				Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	reply, err := m.Pack()
	if err != nil {
		return nil, 0
	}
	return reply, a.Late
}
