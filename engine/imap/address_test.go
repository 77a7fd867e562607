package imap

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestDialAll: every address is tried within a moment, whatever the ones before
// it do.
func TestDialAll(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	hole := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	tests := []struct {
		name  string
		hosts []string
		dial  map[string]func(context.Context) error // nil: it answers
		took  time.Duration
		order []string
		fails error
	}{
		{"one", []string{"192.0.2.1"}, nil, 0, []string{"192.0.2.1"}, nil},
		{"a dead first one", []string{"192.0.2.1", "192.0.2.2"}, map[string]func(context.Context) error{
			"192.0.2.1": hole},
			attemptDelay, []string{"192.0.2.1", "192.0.2.2"}, nil},
		{"a first one that refuses", []string{"192.0.2.1", "192.0.2.2"}, map[string]func(context.Context) error{
			"192.0.2.1": func(context.Context) error { return refused }},
			0, []string{"192.0.2.1", "192.0.2.2"}, nil},
		{"five dead ones", []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"},
			map[string]func(context.Context) error{
				"192.0.2.1": hole, "192.0.2.2": hole, "192.0.2.3": hole, "192.0.2.4": hole, "192.0.2.5": hole},
			5 * attemptDelay, nil, nil},
		{"no route for one family", []string{"2001:db8::1", "2001:db8::2", "192.0.2.1"},
			map[string]func(context.Context) error{"2001:db8::1": hole, "2001:db8::2": hole},
			attemptDelay, []string{"2001:db8::1", "192.0.2.1"}, nil},
		{"a slow first one that wins", []string{"192.0.2.1", "192.0.2.2"}, map[string]func(context.Context) error{
			"192.0.2.1": func(context.Context) error { time.Sleep(2 * attemptDelay); return nil }, "192.0.2.2": hole},
			2 * attemptDelay, []string{"192.0.2.1", "192.0.2.2"}, nil},
		{"all refuse", []string{"192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"}, map[string]func(context.Context) error{
			"192.0.2.1": func(context.Context) error { return refused },
			"192.0.2.2": func(context.Context) error { return refused }},
			0, []string{"192.0.2.1", "192.0.2.2"}, syscall.ECONNREFUSED},
		{"all dead", []string{"192.0.2.1", "192.0.2.2"}, map[string]func(context.Context) error{
			"192.0.2.1": hole, "192.0.2.2": hole},
			10 * time.Second, nil, context.DeadlineExceeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				var mu sync.Mutex
				var order []string
				began := time.Now()
				conn, err := dialAll(ctx, func(context.Context, string, string) (all []netip.Addr, err error) {
					for _, h := range tt.hosts {
						all = append(all, netip.MustParseAddr(h))
					}
					return all, nil
				}, func(ctx context.Context, _, addr string) (net.Conn, error) {
					host := strings.Trim(strings.TrimSuffix(addr, ":993"), "[]")
					mu.Lock()
					order = append(order, host)
					mu.Unlock()
					if how := tt.dial[host]; how != nil {
						if err := how(ctx); err != nil {
							return nil, err
						}
					}
					client, _ := net.Pipe()
					return client, nil
				}, nil, "mail.example.org", 993)
				if took := time.Since(began); !errors.Is(err, tt.fails) || (conn == nil) != (tt.fails != nil) ||
					took != tt.took {
					t.Errorf("after %v, want %v: %v", took, tt.took, err)
				}
				if tt.order != nil && !slices.Equal(order, tt.order) {
					t.Errorf("tried %v, want %v", order, tt.order)
				}
				if conn != nil {
					conn.Close()
				}
			})
		})
	}
	for _, cause := range []*net.DNSError{{Err: "no such host", IsNotFound: true},
		{Err: "server misbehaving", IsTemporary: true}, {Err: "i/o timeout", IsTimeout: true}} {
		_, err := dialAll(t.Context(), func(context.Context, string, string) ([]netip.Addr, error) {
			return nil, cause
		}, nil, nil, "mail.example.org", 993)
		if got := (*net.DNSError)(nil); !errors.As(err, &got) || got != cause {
			t.Errorf("%v: %v", cause, err)
		}
	}
	if _, err := dialAll(t.Context(), func(context.Context, string, string) ([]netip.Addr, error) {
		return nil, nil
	}, nil, nil, "mail.example.org", 993); err == nil {
		t.Error("a host without addresses was dialled")
	}
}

// TestLookups: a lookup ends within the time of a connection, whatever is not
// answered. One family that is never answered costs a moment.
func TestLookups(t *testing.T) {
	const never = -1
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	lame := &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	unreachable := func(ctx context.Context, six bool) error {
		if six {
			return syscall.ENETUNREACH
		}
		return nil
	}
	hole := func(ctx context.Context, six bool) error {
		if six {
			<-ctx.Done()
		}
		return ctx.Err()
	}
	tests := []struct {
		name  string
		takes map[string]time.Duration // by network; never: until it is given up
		gives map[string][]netip.Addr  // none: lame
		took  time.Duration
		want  netip.Addr
		fails error
		asked int
		dial  func(ctx context.Context, six bool) error // nil: it answers
	}{
		{"both at once", nil, map[string][]netip.Addr{"ip": {six, four}}, 0, six, nil, 1, nil},
		{"slow", map[string]time.Duration{"ip": 1900 * time.Millisecond}, map[string][]netip.Addr{"ip": {four}},
			1900 * time.Millisecond, four, nil, 1, nil},
		{"slower than each", map[string]time.Duration{"ip": 2100 * time.Millisecond, "ip4": never, "ip6": never},
			map[string][]netip.Addr{"ip": {four}},
			2100 * time.Millisecond, four, nil, 3, nil},
		{"IPv6 is never answered", map[string]time.Duration{"ip": never, "ip6": never},
			map[string][]netip.Addr{"ip4": {four}}, lookupPatience, four, nil, 3, nil},
		{"IPv4 is never answered", map[string]time.Duration{"ip": never, "ip4": never},
			map[string][]netip.Addr{"ip6": {six}}, lookupPatience, six, nil, 3, nil},
		{"one fails, the other is late", map[string]time.Duration{"ip": never, "ip6": 3 * time.Second},
			map[string][]netip.Addr{"ip6": {six}}, 5 * time.Second, six, nil, 3, nil},
		{"nothing is answered", map[string]time.Duration{"ip": never, "ip4": never, "ip6": never}, nil,
			10 * time.Second, netip.Addr{}, context.DeadlineExceeded, 3, nil},
		{"refused", nil, nil, 0, netip.Addr{}, lame, 1, nil},
		{"IPv6 is a little faster and has no route", map[string]time.Duration{"ip": never,
			"ip4": 10 * time.Millisecond},
			map[string][]netip.Addr{"ip4": {four}, "ip6": {six}}, lookupPatience + 10*time.Millisecond, four, nil, 3,
			unreachable},
		{"IPv6 is a little faster and dead", map[string]time.Duration{"ip": never, "ip4": 10 * time.Millisecond},
			map[string][]netip.Addr{"ip4": {four}, "ip6": {six}},
			lookupPatience + 10*time.Millisecond + attemptDelay, four, nil, 3, hole},
		{"IPv6 is faster, and both come", map[string]time.Duration{"ip": 3 * time.Second, "ip4": never},
			map[string][]netip.Addr{"ip": {six, four}, "ip6": {six}}, 3 * time.Second, four, nil, 3, unreachable},
		{"IPv6 has no route, IPv4 is never answered", map[string]time.Duration{"ip": never, "ip4": never},
			map[string][]netip.Addr{"ip6": {six}},
			2 * lookupPatience, netip.Addr{}, syscall.ENETUNREACH, 3, unreachable},
		{"IPv6 has no route, IPv4 fails", map[string]time.Duration{"ip": never}, map[string][]netip.Addr{"ip6": {six}},
			lookupPatience, netip.Addr{}, syscall.ENETUNREACH, 3, unreachable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), DefaultLimits().Connect)
				defer cancel()
				var asked atomic.Int32
				var dialled string
				began := time.Now()
				conn, err := dialAll(ctx, func(ctx context.Context, network, host string) ([]netip.Addr, error) {
					asked.Add(1)
					if takes := tt.takes[network]; takes == never {
						<-ctx.Done()
						return nil, ctx.Err()
					} else if takes > 0 {
						time.Sleep(takes)
					}
					if tt.gives[network] == nil {
						return nil, lame
					}
					return tt.gives[network], nil
				}, func(ctx context.Context, _, addr string) (net.Conn, error) {
					if tt.dial != nil {
						if err := tt.dial(ctx, strings.HasPrefix(addr, "[")); err != nil {
							return nil, err
						}
					}
					dialled = addr
					client, _ := net.Pipe()
					return client, nil
				}, nil, "mail.example.org", 993)
				if took := time.Since(began); took != tt.took || !errors.Is(err, tt.fails) ||
					int(asked.Load()) != tt.asked {
					t.Errorf("after %v, want %v: %v, asked %d times", took, tt.took, err, asked.Load())
				}
				if conn == nil {
					return
				}
				_ = conn.Close()
				if want := net.JoinHostPort(tt.want.String(), "993"); dialled != want {
					t.Errorf("dialled %s, want %s", dialled, want)
				}
			})
		})
	}
}

// An address that came to nothing is behind the others until it does well or a
// while is over, and only so many are kept.
func TestDetours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"),
			netip.MustParseAddr("192.0.2.2")}
		at := func(a netip.Addr, port int) net.Addr { return &net.TCPAddr{IP: a.AsSlice(), Port: port} }
		other := []netip.Addr{all[1], all[2], all[0]}
		var d Detours
		check := func(when string, want []netip.Addr) {
			t.Helper()
			if got := d.last(all, 993); !slices.Equal(got, want) {
				t.Errorf("%s: %v", when, got)
			}
		}
		check("at first", all)
		d.note(at(all[0], 143), true)
		check("another port", all)
		d.note(at(all[0], 993), true)
		check("failed", other)
		d.note(at(all[0], 993), false)
		check("well again", all)
		d.note(at(all[1], 993), true)
		check("the other family", []netip.Addr{all[0], all[2], all[1]})
		time.Sleep(detourTime + time.Second)
		check("later", all)
		for i := range 2 * maxDetours {
			d.note(at(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 993), true)
		}
		if len(d.bad) != maxDetours {
			t.Errorf("%d are kept", len(d.bad))
		}
	})
}

// The dialler that is used finds this machine by name and number.
func TestDialReal(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Write([]byte("* OK [CAPABILITY IMAP4rev1] hi\r\n"))
			c.Close()
		}
	}()
	for _, host := range []string{"localhost", "127.0.0.1"} {
		s, err := Dial(t.Context(), Endpoint{host, ln.Addr().(*net.TCPAddr).Port, Plain}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
	}
}
