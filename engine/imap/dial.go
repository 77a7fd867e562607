package imap

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Security is how a connection is protected.
type Security string

// The three ways.
const (
	TLS      Security = "tls"      // from the first byte
	StartTLS Security = "starttls" // asked for; never given up for plain
	Plain    Security = "plain"
)

// Endpoint is where a server listens.
type Endpoint struct {
	Host     string
	Port     int
	Security Security
}

// Addr returns host:port.
func (e Endpoint) Addr() string {
	return net.JoinHostPort(strings.Trim(e.Host, "[]"), strconv.Itoa(e.Port))
}

// Options are how to dial.
type Options struct {
	Limits    Limits
	TLSConfig *tls.Config // nil: system roots, ServerName from the host, at least TLS 1.2
	Insecure  bool        // allow plain to another host
	// Dial opens the TCP connection; nil: to the first address that answers.
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	Resolver *net.Resolver // finds those addresses; nil: the system's
	Detours  *Detours      // which of them are tried last; nil: none
	Manners  Manners       // what is known of the server; SetManners changes it later
	Meter    Meter         // nil: nobody counts
	// Alert gets what the server wants a person to read (RFC 9051 §7.1), other
	// than refusals and BYE, which are errors; nil: nobody. It is called like
	// an Observer. What came before STARTTLS may be anybody's and is left out.
	Alert func(Status)
	// Trace gets the wire log; what LOGIN and AUTHENTICATE send is always
	// masked.
	Trace io.Writer
}

// Dial connects: TCP, TLS, greeting, capabilities. It sends no credential.
func Dial(ctx context.Context, e Endpoint, o Options) (*Session, error) {
	lim := o.Limits.withDefaults()
	switch e.Security {
	case TLS, StartTLS:
	case Plain:
		if !o.Insecure && !Loopback(e.Host) {
			return nil, fmt.Errorf("imap: dial %s: %w", e.Addr(), ErrPlainRefused)
		}
	default:
		return nil, fmt.Errorf("imap: dial %s: unknown security %q", e.Addr(), e.Security)
	}
	raw, err := connect(ctx, e, o, lim.Connect)
	if err != nil {
		return nil, err
	}
	s := newSession(newProgressConn(raw, &lim), lim, o.Trace)
	s.SetManners(o.Manners)
	if o.Meter != nil {
		s.meter, s.conn.meter = o.Meter, o.Meter
	}
	if e.Security != StartTLS {
		s.alert = o.Alert
	}
	stop := s.watch(ctx)
	defer stop()
	err = s.open(e, o)
	if ctx.Err() == nil {
		o.Detours.note(raw.RemoteAddr(), err != nil)
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// Loopback tells whether a host names this machine without asking anyone.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

func connect(ctx context.Context, e Endpoint, o Options, limit time.Duration) (net.Conn, error) {
	dial := o.Dial
	if dial == nil {
		tcp := &net.Dialer{KeepAliveConfig: keepAlive()}
		dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialAll(ctx, cmp.Or(o.Resolver, net.DefaultResolver).LookupNetIP, tcp.DialContext, o.Detours,
				strings.Trim(e.Host, "[]"), e.Port)
		}
	}
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := dial(timed, "tcp", e.Addr())
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, &WireError{Op: "dial", Phase: "connect", Cause: contextError(ctx)}
	case timed.Err() != nil:
		return nil, &WireError{Op: "dial", Phase: "connect",
			Cause: fmt.Errorf("%w: not connected in %v: %w", ErrStalled, limit, err)}
	default:
		return nil, &WireError{Op: "dial", Phase: "connect", Cause: err}
	}
	// A hosts file may send "localhost" elsewhere.
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok && e.Security == Plain && !o.Insecure && !a.IP.IsLoopback() {
		_ = conn.Close()
		return nil, fmt.Errorf("imap: dial %s: %w", e.Addr(), ErrPlainRefused)
	}
	return conn, nil
}

// open brings a fresh connection to the end of the first CAPABILITY.
func (s *Session) open(e Endpoint, o Options) error {
	cfg := o.TLSConfig
	if e.Security == TLS {
		if err := s.startTLS(e, cfg); err != nil {
			return err
		}
	}
	s.conn.until = time.Now().Add(s.lim.Greeting)
	s.conn.progress = s.lim.Greeting
	err := s.greet(e.Security)
	s.conn.progress = s.lim.Progress
	if err != nil {
		return s.fail("dial", "greeting", err)
	}
	s.conn.until = time.Now().Add(s.lim.TLS)
	if e.Security == StartTLS {
		if err := s.upgrade(e, cfg); err != nil {
			return err
		}
		s.alert = o.Alert
	}
	s.conn.until = time.Now().Add(s.lim.TLS)
	if !s.capsNew {
		if _, err := s.runNow(s.command("CAPABILITY")); err != nil {
			return err
		}
	}
	if s.bye == nil {
		s.conn.until = time.Time{}
	}
	return nil
}

// greet reads the greeting, which is nothing but an untagged OK, PREAUTH or
// BYE.
func (s *Session) greet(sec Security) error {
	sc := s.sc
	if err := sc.begin(); err != nil {
		return err
	}
	if err := sc.take('*'); err != nil {
		return fmt.Errorf("%w in place of a greeting", err)
	}
	if _, err := sc.spaces(); err != nil {
		return err
	}
	word, err := sc.token(endsWord)
	if err != nil {
		return err
	}
	kind := statusType(word)
	if kind != "OK" && kind != "PREAUTH" && kind != "BYE" {
		return fmt.Errorf("%w: greeting %.20q", ErrSyntax, word)
	}
	st, err := s.status("", kind)
	if err != nil {
		return err
	}
	if _, err := sc.done(); err != nil {
		return err
	}
	switch {
	case kind == "BYE":
		return &StatusError{Type: kind, Code: st.Code, CodeArgs: st.CodeArgs, Text: st.Text, Command: "greeting"}
	case kind == "PREAUTH" && sec != TLS:
		return ErrPreauth
	case kind == "PREAUTH":
		s.state = Authenticated
	}
	s.greeting = st.Text
	return nil
}

// upgrade does STARTTLS. What was said before it is forgotten, and a byte that
// was sent behind the OK, before TLS, ends the connection.
func (s *Session) upgrade(e Endpoint, cfg *tls.Config) error {
	if s.caps != nil && !s.Has("STARTTLS") {
		return s.fail("dial", "tls", ErrNoStartTLS)
	}
	if _, err := s.runNow(s.command("STARTTLS")); err != nil {
		if st := (*StatusError)(nil); errors.As(err, &st) {
			return s.fail("dial", "tls", fmt.Errorf("%w: %w", ErrNoStartTLS, err))
		}
		return err
	}
	if s.sc.buffered() > 0 {
		return s.fail("dial", "tls", fmt.Errorf("%w: octets before TLS behind the OK to STARTTLS", ErrSyntax))
	}
	s.greeting, s.caps, s.capsNew = "", nil, false
	return s.startTLS(e, cfg)
}

// startTLS shakes hands over the TCP connection.
func (s *Session) startTLS(e Endpoint, cfg *tls.Config) error {
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg = cfg.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName = strings.Trim(e.Host, "[]")
	}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	s.conn.until = time.Now().Add(s.lim.TLS)
	c := tls.Client(s.conn, cfg)
	if err := c.Handshake(); err != nil {
		return s.fail("dial", "tls", err)
	}
	s.conn.until = time.Time{}
	s.layer(c)
	return nil
}
