package imap

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

const (
	stagger      = 300 * time.Millisecond // between two addresses while the first says nothing (RFC 8305 §5)
	maxAddresses = 16                     // that are tried of a host
)

type (
	lookupFunc = func(ctx context.Context, network, host string) ([]netip.Addr, error)
	dialFunc   = func(ctx context.Context, network, addr string) (net.Conn, error)
)

// keepAlive lets the system find a line dead that nothing is said on.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 3}
}

// dialAll connects to the first address of a host that answers. Each has its
// turn a moment after the one before, or as soon as that one has failed, and
// goes on until one has won: a dead address costs a moment and not the time for
// all. The two families take turns, since one may have no route.
func dialAll(ctx context.Context, lookup lookupFunc, dial dialFunc, host string, port int) (net.Conn, error) {
	found, err := lookup(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	all := alternate(found)
	ctx, cancel := context.WithCancel(ctx)
	type end struct {
		conn net.Conn
		err  error
	}
	ends := make(chan end, len(all))
	var dialling sync.WaitGroup
	var won net.Conn
	var first error
	turn := time.NewTimer(0)
	defer turn.Stop()
	for next, failed := 0, 0; won == nil && failed < len(all); {
		select {
		case <-turn.C:
			if next < len(all) {
				to := net.JoinHostPort(all[next].String(), strconv.Itoa(port))
				dialling.Go(func() { conn, err := dial(ctx, "tcp", to); ends <- end{conn, err} })
				next++
				turn.Reset(stagger)
			}
		case e := <-ends:
			won = e.conn
			if e.err != nil {
				failed++
				if first == nil {
					first = e.err
				}
				turn.Reset(0)
			}
		}
	}
	cancel()
	dialling.Wait()
	close(ends)
	for e := range ends { // those that were too late
		if e.conn != nil {
			_ = e.conn.Close() //nolint:errcheck // nothing was said on it
		}
	}
	switch {
	case won != nil:
		return won, nil
	case first == nil:
		return nil, &net.DNSError{Err: "the host has no address", Name: host, IsNotFound: true}
	}
	return nil, first
}

// alternate puts addresses in turns of their families, in the order they were
// found, and each once.
func alternate(found []netip.Addr) []netip.Addr {
	var families [2][]netip.Addr
	first := 0
	seen := map[netip.Addr]bool{}
	for i, a := range found {
		a = a.Unmap()
		family := 0
		if a.Is6() {
			family = 1
		}
		if i == 0 {
			first = family
		}
		if !seen[a] {
			seen[a] = true
			families[family] = append(families[family], a)
		}
	}
	var all []netip.Addr
	for i := 0; len(all) < min(len(seen), maxAddresses); i++ {
		for _, family := range []int{first, 1 - first} {
			if i < len(families[family]) {
				all = append(all, families[family][i])
			}
		}
	}
	return all
}
