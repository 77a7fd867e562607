package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
)

// DefaultMessages is how many messages a demo mailbox has at start.
const DefaultMessages = 360

// Options say what the demo mailbox looks like.
type Options struct {
	Seed     uint64
	Messages int           // 0 means DefaultMessages
	Arrivals time.Duration // mean gap between new mails; 0 means none arrive
}

// Server is a running demo. Close it to end every goroutine it started.
type Server struct {
	url      string
	password string
	user     *imapmemserver.User
	roster   *roster
	imap     *imapserver.Server
	listener *listener
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	closing  sync.Once
	closeErr error
}

// Start generates the mailbox and serves it on a free port of 127.0.0.1. The
// arrivals end with ctx; the server itself lives until Close.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Messages == 0 {
		o.Messages = DefaultMessages
	}
	gen, err := newGenerator(o.Seed, time.Now())
	if err != nil {
		return nil, err
	}
	messages, err := gen.fill(o.Messages)
	if err != nil {
		return nil, err
	}
	s := &Server{password: rand.Text(), roster: newRoster()}
	s.user = imapmemserver.NewUser(userName, s.password)
	if err := s.stock(messages); err != nil {
		return nil, err
	}
	tcp, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("demo server: %w", err)
	}
	s.listener = newListener(tcp)
	s.url = (&url.URL{Scheme: "imap", User: url.UserPassword(userName, s.password), Host: tcp.Addr().String()}).String()
	s.imap = imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return &session{server: s}, nil, nil
		},
		Caps:         capabilities(),
		InsecureAuth: true, // loopback only
		Logger:       log.New(io.Discard, "", 0),
	})
	arriving, cancel := context.WithCancel(ctx)
	s.cancel = cancel
	s.wg.Go(func() {
		// Serve returns when Close closes the listener; there is nobody to
		// tell about another end but the clients, who see their connections
		// fail.
		_ = s.imap.Serve(s.listener)
	})
	if o.Arrivals > 0 {
		s.wg.Go(func() { s.deliver(arriving, gen, o.Arrivals) })
	}
	return s, nil
}

// URL is the account's URL with its password: imap://demo:…@127.0.0.1:port.
func (s *Server) URL() string { return s.url }

// Close ends the arrivals, every connection and the listener, and waits for
// them. It may be called more than once.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.cancel()
		err := s.listener.Close()
		s.listener.drop()
		s.wg.Wait()
		// The library's own Close has nothing left to close; it marks the
		// server as finished.
		s.closeErr = errors.Join(err, s.imap.Close())
	})
	return s.closeErr
}

// stock creates the mailboxes and appends the messages, oldest first.
func (s *Server) stock(messages []Message) error {
	for _, name := range mailboxes(messages) {
		if err := s.user.Create(name, &imap.CreateOptions{}); err != nil {
			return fmt.Errorf("demo mailbox %q: %w", name, err)
		}
		s.roster.add(name)
	}
	for _, m := range messages {
		if err := s.append(m); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) append(m Message) error {
	_, err := s.user.Append(m.Mailbox, literal{bytes.NewReader(m.Raw)},
		&imap.AppendOptions{Time: m.Date, Flags: m.Flags})
	if err != nil {
		return fmt.Errorf("demo message for %q: %w", m.Mailbox, err)
	}
	return nil
}

// literal is bytes as an imap.LiteralReader.
type literal struct{ *bytes.Reader }

// maxArrivals bounds the memory of a demo that nobody ends.
const maxArrivals = 5000

// deliver appends new mail to INBOX at random gaps with the given mean.
func (s *Server) deliver(ctx context.Context, gen *generator, mean time.Duration) {
	for range maxArrivals {
		gap := time.Duration(gen.rng.ExpFloat64() * float64(mean))
		timer := time.NewTimer(min(max(gap, mean/4), 4*mean))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		m, err := gen.arrive(time.Now())
		if err == nil {
			err = s.append(m)
		}
		if err != nil {
			return // INBOX is gone: the person deleted it
		}
	}
}

// listener counts its connections, which imapserver does not wait for.
type listener struct {
	net.Listener
	wg sync.WaitGroup

	mu      sync.Mutex
	conns   map[*conn]struct{}
	dropped bool
}

// conn is closed by the goroutine that serves it, as its last act.
type conn struct {
	net.Conn
	from *listener
	once sync.Once
}

func newListener(l net.Listener) *listener {
	return &listener{Listener: l, conns: map[*conn]struct{}{}}
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dropped {
		return nil, errors.Join(net.ErrClosed, c.Close())
	}
	counted := &conn{Conn: c, from: l}
	l.conns[counted] = struct{}{}
	l.wg.Add(1)
	return counted, nil
}

// drop cuts the line under every connection and waits until their goroutines
// have let go. Accept admits nobody afterwards.
func (l *listener) drop() {
	l.mu.Lock()
	l.dropped = true
	for c := range l.conns {
		c.Conn.Close()
	}
	l.mu.Unlock()
	l.wg.Wait()
}

func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.from.mu.Lock()
		delete(c.from.conns, c)
		c.from.mu.Unlock()
		c.from.wg.Done()
	})
	return err
}
