package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// DefaultPort is where the page is when nobody else is there.
const DefaultPort = 19779

// listen opens one port on 127.0.0.1 and, where the machine has IPv6, on
// [::1]. want 0 means any free port; a port that is taken on either address
// means any free port too.
func listen(ctx context.Context, want int) ([]net.Listener, int, error) {
	var err error
	for try := range 20 {
		port := want
		if try > 0 {
			port = 0
		}
		var both []net.Listener
		if both, port, err = listenBoth(ctx, port); err == nil {
			return both, port, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, 0, fmt.Errorf("listen on loopback: %w", err)
}

func listenBoth(ctx context.Context, port int) ([]net.Listener, int, error) {
	var lc net.ListenConfig
	four, err := lc.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, 0, err
	}
	port = four.Addr().(*net.TCPAddr).Port
	six, err := lc.Listen(ctx, "tcp6", net.JoinHostPort("::1", strconv.Itoa(port)))
	switch {
	case err == nil:
		return []net.Listener{four, six}, port, nil
	case noIPv6(err):
		return []net.Listener{four}, port, nil
	}
	four.Close()
	return nil, 0, err
}

// noIPv6 tells a machine without IPv6 from a port that is taken. The bare
// numbers are WSAEAFNOSUPPORT and WSAEADDRNOTAVAIL of Windows, which its
// syscall package does not map; Unix has no such numbers.
func noIPv6(err error) bool {
	for _, e := range []syscall.Errno{syscall.EAFNOSUPPORT, syscall.EADDRNOTAVAIL, 10047, 10049} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
