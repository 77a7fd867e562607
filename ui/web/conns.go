package web

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"
)

// Connections of one server over both addresses.
const (
	maxConns     = 128 // that have shown a secret
	maxStrangers = 256 // that have not: enough that none is pushed out before it is answered
)

// pools counts connections. Each begins as a stranger and becomes known with
// its first request that shows a secret. Strangers cannot take the place of
// known ones, and cannot keep each other out: the oldest makes room for the
// newest, and none stays longer than patience.
type pools struct {
	patience time.Duration

	mu        sync.Mutex
	strangers []*conn // oldest first
	known     int
}

func (p *pools) listener(ln net.Listener) net.Listener { return &counted{ln, p} }

type counted struct {
	net.Listener
	pools *pools
}

func (l *counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.pools.enter(c), nil
}

// conn is a counted connection; pools.mu guards all but Conn.
type conn struct {
	net.Conn
	pools *pools
	limit *time.Timer
	known bool
}

func (p *pools) enter(raw net.Conn) *conn {
	c := &conn{Conn: raw, pools: p}
	p.mu.Lock()
	c.limit = time.AfterFunc(p.patience, func() { c.Close() })
	var oldest *conn
	if len(p.strangers) == maxStrangers {
		oldest = p.strangers[0]
		p.strangers = slices.Delete(p.strangers, 0, 1)
	}
	p.strangers = append(p.strangers, c)
	p.mu.Unlock()
	if oldest != nil {
		oldest.Close()
	}
	return c
}

// know moves a connection to the known ones. It reports whether the
// connection may go on: there was room, and it was not closed meanwhile.
func (c *conn) know() bool {
	p := c.pools
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.known {
		return true
	}
	at := slices.Index(p.strangers, c)
	if at < 0 || p.known == maxConns {
		return false
	}
	p.strangers = slices.Delete(p.strangers, at, at+1)
	p.known++
	c.known = true
	c.limit.Stop()
	return true
}

// Close gives the connection's place back. It may be called more than once.
func (c *conn) Close() error {
	p := c.pools
	p.mu.Lock()
	if at := slices.Index(p.strangers, c); at >= 0 {
		p.strangers = slices.Delete(p.strangers, at, at+1)
	}
	if c.known {
		c.known = false
		p.known--
	}
	c.limit.Stop()
	p.mu.Unlock()
	return c.Conn.Close()
}

type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// know is conn.know for the connection of a request's context.
func know(ctx context.Context) bool {
	c, ok := ctx.Value(connKey{}).(*conn)
	return !ok || c.know()
}
