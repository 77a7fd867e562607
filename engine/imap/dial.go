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

// The kinds of protection.
const (
	TLS      Security = "tls"      // from the first byte
	StartTLS Security = "starttls" // required; there is no fallback to plain
	Plain    Security = "plain"
)

// Port returns the usual port of a server that is reached in this way.
func (s Security) Port() int {
	if s == TLS {
		return 993
	}
	return 143
}

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

// Options configure Dial.
type Options struct {
	Limits    Limits
	TLSConfig *tls.Config // nil: system roots, ServerName from the host; always at least TLS 1.2
	Insecure  bool        // allow a plain connection to another host
	// Dial opens the TCP connection; nil: to the first address that answers.
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	Resolver *net.Resolver // looks up the addresses; nil: the system's resolver
	Detours  *Detours      // addresses that are tried last; nil: none
	Manners  Manners       // the server's manners; SetManners changes them later
	Meter    Meter         // nil: nothing is metered
	// Alert gets what the server wants its user to read (RFC 9051 §7.1); nil:
	// nobody does. Refusals and BYE are errors instead. It is called like an
	// Observer. Alerts before STARTTLS may be forged and are left out.
	Alert func(Status)
	// Trace gets the wire log. What LOGIN and AUTHENTICATE send is masked.
	Trace io.Writer
}

// Dial makes a connection: TCP, TLS, greeting, capabilities. It sends no
// credential.
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

// Loopback reports whether a host certainly names this machine. It looks
// nothing up.
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
	// A hosts file may map "localhost" to another machine.
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
	s.conn.phaseEnd = time.Now().Add(s.lim.Greeting)
	s.conn.progress = s.lim.Greeting
	err := s.greet(e.Security)
	s.conn.progress = s.lim.Progress
	if err != nil {
		return s.fail("dial", "greeting", err)
	}
	s.conn.phaseEnd = time.Now().Add(s.lim.TLS)
	if e.Security == StartTLS {
		if err := s.upgrade(e, cfg); err != nil {
			return err
		}
		s.alert = o.Alert
	}
	s.conn.phaseEnd = time.Now().Add(s.lim.TLS)
	if !s.capsUpdated {
		if _, err := s.runNow(s.command("CAPABILITY")); err != nil {
			return err
		}
	}
	if s.bye == nil {
		s.conn.phaseEnd = time.Time{}
	}
	return nil
}

// greet reads the greeting, which must be an untagged OK, PREAUTH or BYE.
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

// upgrade performs STARTTLS. What was said before TLS is forgotten. Octets that
// follow the OK before TLS end the connection, because they may be injected.
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
	s.greeting, s.caps, s.capsUpdated = "", nil, false
	return s.startTLS(e, cfg)
}

// startTLS performs the TLS handshake over the TCP connection.
func (s *Session) startTLS(e Endpoint, cfg *tls.Config) error {
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg = cfg.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName = strings.Trim(e.Host, "[]")
	}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	s.conn.phaseEnd = time.Now().Add(s.lim.TLS)
	c := tls.Client(s.conn, cfg)
	if err := c.Handshake(); err != nil {
		return s.fail("dial", "tls", err)
	}
	s.conn.phaseEnd = time.Time{}
	s.layer(c)
	return nil
}
