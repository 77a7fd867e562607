package imap

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestClause(t *testing.T) {
	from, to := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 4711}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 993}
	call := func(op, name string, errno syscall.Errno) error {
		return &net.OpError{Op: op, Net: "tcp", Source: from, Addr: to, Err: os.NewSyscallError(name, errno)}
	}
	for want, err := range map[string]error{
		"connection refused":       call("dial", "connect", syscall.ECONNREFUSED),
		"no route to host":         call("dial", "connect", syscall.EHOSTUNREACH),
		"network is unreachable":   call("dial", "connect", syscall.ENETUNREACH),
		"connection reset by peer": call("read", "read", syscall.ECONNRESET),
		"no answer in time": &net.OpError{Op: "dial", Net: "tcp", Addr: to,
			Err: os.ErrDeadlineExceeded},
		"use of closed network connection": &net.OpError{Op: "read", Net: "tcp", Addr: to, Err: net.ErrClosed},
		"no such host: mail.example.org": &net.DNSError{Err: "no such host", Name: "mail.example.org",
			Server: "10.0.0.53:53", IsNotFound: true},
		"no name server answered for x.org": &net.OpError{Op: "dial", Net: "tcp",
			Err: &net.DNSError{Err: "timeout", Name: "x.org", IsTimeout: true}},
		"server misbehaving (looking up x.a)": &net.DNSError{Err: "server misbehaving", Name: "x.a"},
		"EOF":                                 io.EOF,
		"tls: " + call("read", "read", syscall.ECONNRESET).Error(): fmt.Errorf("tls: %w", call("read", "read",
			syscall.ECONNRESET)),
	} {
		wire := &WireError{Op: "dial", Phase: "connect", Cause: err}
		if got := wire.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if !errors.Is(wire, err) {
			t.Errorf("%q hides its cause", want)
		}
		wire.Phase = "greeting"
		if got := wire.Error(); got != "imap: dial: greeting: "+want {
			t.Errorf("got %q", got)
		}
	}
}
