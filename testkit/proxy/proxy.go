package proxy

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"mailcote/testkit/signal"
)

// Faults says what goes wrong. The zero value is a perfect line.
type Faults struct {
	Refuse    bool          // new connections are reset at once
	BlackHole bool          // nothing is forwarded any more, sockets stay open
	Delay     time.Duration // added in each direction: half a round trip
	Rate      int64         // bytes a second in each direction of each connection; 0 is unlimited
	CutUp     int64         // reset a connection after this many bytes up; 0 never
	CutDown   int64         // reset a connection after this many bytes down; 0 never
	CutEvery  int64         // reset a connection after about this many bytes down (±50 %, by seed); 0 never
	// of what is read at one time (at most 32 KiB, either direction), this share meets a reset in its place
	CutShare   float64
	CutsAtMost int // CutUp, CutDown, CutEvery and CutShare stop after so many cuts in all; 0 is no limit
}

// Stats are totals since the proxy began.
type Stats struct {
	Connections int
	Cuts        int   // by Faults and CutAll
	Fired       int   // faults that were armed and came
	Up, Down    int64 // bytes
}

// Proxy forwards one address to another.
type Proxy struct {
	target   string
	listener net.Listener
	ended    sync.WaitGroup
	accepted signal.Signal
	moved    signal.Signal

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when faults change
	faults  Faults
	random  *rand.Rand
	stats   Stats
	links   map[*link]struct{}
	closed  bool

	follows               bool // something was armed
	armed                 []*armed
	refuse, portal        int       // so many of the next connections
	darkUntil, stallUntil time.Time // see Dark and Stall
}

// New listens on a free loopback port and forwards to target (host:port). The seed decides where CutEvery cuts.
func New(target string, seed uint64) (*Proxy, error) { return NewAt("127.0.0.1:0", target, seed) }

// NewAt is New at another address of this machine, for a server with several.
// Linux accepts all of 127.0.0.0/8.
func NewAt(addr, target string, seed uint64) (*Proxy, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &Proxy{
		target:   target,
		listener: listener,
		changed:  make(chan struct{}),
		random:   rand.New(rand.NewPCG(seed, 0)),
		links:    make(map[*link]struct{}),
	}
	p.ended.Go(p.accept)
	return p, nil
}

// Start is New for tests: it is closed when the test ends.
func Start(t testing.TB, target string, seed uint64) *Proxy {
	t.Helper()
	p, err := New(target, seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// Addr is host:port of the proxy.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Port is the port of Addr.
func (p *Proxy) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// Set replaces all faults. Byte counts of open connections go on.
func (p *Proxy) Set(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
	p.wake()
}

// wake wakes everybody who waits for a change of the faults.
func (p *Proxy) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Accepted returns a channel that is closed when the next connection has come.
func (p *Proxy) Accepted() <-chan struct{} { return p.accepted.Next() }

// Moved returns a channel that is closed when the next bytes have come.
func (p *Proxy) Moved() <-chan struct{} { return p.moved.Next() }

// Stats gives the totals so far.
func (p *Proxy) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// CutAll resets every open connection now.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
		p.stats.Cuts++
	}
}

// LoseAll makes every open connection Void.
func (p *Proxy) LoseAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.lost = [2]bool{true, true}
	}
}

// Close resets what is open and waits until everything has ended. It may be called twice.
func (p *Proxy) Close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		p.listener.Close()
		for l := range p.links {
			l.reset()
		}
	}
	p.mu.Unlock()
	p.ended.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.mu.Lock()
		p.stats.Connections++
		refuse, portal := p.faults.Refuse || p.closed || p.refuse > 0, p.portal > 0
		switch {
		case p.refuse > 0:
			p.refuse--
		case portal:
			p.portal--
		}
		p.mu.Unlock()
		p.accepted.Send()
		switch {
		case refuse:
			abort(client)
			continue
		case portal:
			_, _ = io.WriteString(client, page) // whoever came may have left
			client.Close()
			continue
		}
		p.ended.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	server, err := net.DialTimeout("tcp", p.target, 10*time.Second)
	if err != nil {
		abort(client)
		return
	}
	l := &link{proxy: p, client: client, server: server, done: make(chan struct{})}
	p.mu.Lock()
	l.drawCut()
	p.links[l] = struct{}{}
	if p.closed {
		l.reset()
	}
	dark := time.Now().Before(p.darkUntil)
	l.lost = [2]bool{dark, dark}
	l.talk.followed = p.follows
	hello := &command{name: greeting}
	l.begun(hello)
	act := p.due(hello, Answer, 0)
	p.mu.Unlock()
	if act != nil {
		l.befall(*act)
	}

	var pumps sync.WaitGroup
	pumps.Go(func() { l.pump(client, server, up) })
	pumps.Go(func() { l.pump(server, client, down) })
	pumps.Wait()
	l.finish()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// abort closes with a reset instead of an orderly end.
func abort(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // the other side may have gone already
	}
	conn.Close()
}
