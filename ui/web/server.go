package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Config is what Serve needs.
type Config struct {
	Source Source
	Token  string // the bearer token, from agent.Token
	// Port is tried first; when it is taken, or 0, a free one is used. The
	// agent gives DefaultPort, the demo 0.
	Port int
	Log  *slog.Logger     // nil means no log
	Now  func() time.Time // nil means time.Now
}

// limits are the listener's; tests shorten the times.
type limits struct {
	header      int // bytes of request line and header
	readHeader  time.Duration
	idle, write time.Duration
	patience    time.Duration // how long a connection may last without a secret
	stop        time.Duration // how long Close lets running requests finish
	beat        time.Duration // between two signs of life on a stream
	gap         time.Duration // between two events on a stream, at least
}

func standardLimits() limits {
	return limits{
		header: 16 << 10, readHeader: 5 * time.Second, idle: 60 * time.Second, write: 60 * time.Second,
		patience: 5 * time.Second, stop: 3 * time.Second,
		beat: 10 * time.Second, gap: 100 * time.Millisecond,
	}
}

// netSlop is what net/http reads beyond MaxHeaderBytes before it refuses.
const netSlop = 4096

// Server is a running door.
type Server struct {
	port     int
	guard    *guard
	http     *http.Server
	stop     time.Duration
	wg       sync.WaitGroup
	cancel   context.CancelFunc
	closing  sync.Once
	closeErr error
}

// Serve opens the door on loopback. It serves until Close; requests see
// their context end with ctx.
func Serve(ctx context.Context, c Config) (*Server, error) {
	return serve(ctx, c, standardLimits())
}

func serve(ctx context.Context, c Config, l limits) (*Server, error) {
	if len(c.Token) < 22 { // 128 bits in base64url
		return nil, errors.New("serve the page: the token is too short")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	streams := newStreams(ctx, l)
	pages, err := newPages(c, pathPrefix(c.Token), streams)
	if err != nil {
		return nil, err
	}
	listeners, port, err := listen(ctx, c.Port)
	if err != nil {
		return nil, err
	}
	base, cancel := context.WithCancel(ctx)
	s := &Server{port: port, stop: l.stop, cancel: cancel}
	s.guard = newGuard(port, c.Token, newSessions(c.Token, c.Now), &invitations{now: c.Now}, pages.routes())
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	s.http = &http.Server{
		Handler:           s.guard,
		Protocols:         &protocols,
		ReadHeaderTimeout: l.readHeader,
		ReadTimeout:       2 * l.readHeader,
		WriteTimeout:      l.write,
		IdleTimeout:       l.idle,
		MaxHeaderBytes:    l.header - netSlop,
		ConnState:         s.count,
		ConnContext:       withConn,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          log.New(io.Discard, "", 0), // it would quote the peer
		// OPTIONS * is ours to refuse, like everything else.
		DisableGeneralOptionsHandler: true,
	}
	s.http.RegisterOnShutdown(streams.end)
	shared := &pools{patience: l.patience}
	for _, ln := range listeners {
		s.wg.Go(func() {
			if err := s.http.Serve(shared.listener(ln)); !errors.Is(err, http.ErrServerClosed) {
				c.Log.Error("the page's listener ended", "addr", ln.Addr().String(), "error", err)
			}
		})
	}
	return s, nil
}

// URL is the door's base, without any secret.
func (s *Server) URL() string { return s.guard.base }

// Invite makes a link and a code that sign one browser in, once, within
// InvitationLife.
func (s *Server) Invite() Invitation { return s.guard.newInvitation() }

// count lets Close wait for the goroutine of every connection. New is
// reported by the listener's goroutine, which Close waits for as well.
func (s *Server) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.wg.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.wg.Done()
	}
}

// Close stops listening, lets running requests finish for a moment and waits
// for every goroutine. It may be called more than once.
func (s *Server) Close() error {
	s.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), s.stop)
		defer cancel()
		err := s.http.Shutdown(ctx)
		s.cancel()
		if err != nil {
			err = s.http.Close()
		}
		s.wg.Wait()
		if err != nil {
			s.closeErr = fmt.Errorf("close the page: %w", err)
		}
	})
	return s.closeErr
}
