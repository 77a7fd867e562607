package imap

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// FAULTS N2 and N12: every address has its turn within a moment, whatever the ones before it do.
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
		{"a dead first one", []string{"192.0.2.1", "192.0.2.2"}, map[string]func(context.Context) error{"192.0.2.1": hole},
			stagger, []string{"192.0.2.1", "192.0.2.2"}, nil},
		{"a first one that refuses", []string{"192.0.2.1", "192.0.2.2"}, map[string]func(context.Context) error{"192.0.2.1": func(context.Context) error { return refused }},
			0, []string{"192.0.2.1", "192.0.2.2"}, nil},
		{"five dead ones", []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"},
			map[string]func(context.Context) error{"192.0.2.1": hole, "192.0.2.2": hole, "192.0.2.3": hole, "192.0.2.4": hole, "192.0.2.5": hole},
			5 * stagger, nil, nil},
		{"no route for one family", []string{"2001:db8::1", "2001:db8::2", "192.0.2.1"},
			map[string]func(context.Context) error{"2001:db8::1": hole, "2001:db8::2": hole}, stagger, []string{"2001:db8::1", "192.0.2.1"}, nil},
		{"a slow first one that wins", []string{"192.0.2.1", "192.0.2.2"}, map[string]func(context.Context) error{
			"192.0.2.1": func(context.Context) error { time.Sleep(2 * stagger); return nil }, "192.0.2.2": hole},
			2 * stagger, []string{"192.0.2.1", "192.0.2.2"}, nil},
		{"all refuse", []string{"192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"}, map[string]func(context.Context) error{
			"192.0.2.1": func(context.Context) error { return refused }, "192.0.2.2": func(context.Context) error { return refused }},
			0, []string{"192.0.2.1", "192.0.2.2"}, syscall.ECONNREFUSED},
		{"all dead", []string{"192.0.2.1", "192.0.2.2"}, map[string]func(context.Context) error{"192.0.2.1": hole, "192.0.2.2": hole},
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
				}, "mail.example.org", 993)
				if took := time.Since(began); !errors.Is(err, tt.fails) || (conn == nil) != (tt.fails != nil) || took != tt.took {
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
	for _, cause := range []*net.DNSError{{Err: "no such host", IsNotFound: true}, {Err: "server misbehaving", IsTemporary: true}, {Err: "i/o timeout", IsTimeout: true}} {
		_, err := dialAll(t.Context(), func(context.Context, string, string) ([]netip.Addr, error) { return nil, cause }, nil, "mail.example.org", 993)
		if got := (*net.DNSError)(nil); !errors.As(err, &got) || got != cause {
			t.Errorf("%v: %v", cause, err)
		}
	}
	if _, err := dialAll(t.Context(), func(context.Context, string, string) ([]netip.Addr, error) { return nil, nil }, nil, "mail.example.org", 993); err == nil {
		t.Error("a host without addresses was dialled")
	}
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
