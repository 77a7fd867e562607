package imap

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	lookupPatience = 2 * time.Second        // for a lookup of both families, and for the second family
	attemptDelay   = 300 * time.Millisecond // between two connection attempts (RFC 8305 §5)
	maxAddresses   = 16                     // addresses tried of a host
	maxLookups     = 3                      // lookups of a host: both families together, then each
	bothFamilies   = "ip"                   // network of a lookup of both families
	detourTime     = 15 * time.Minute       // how long a failed address is tried last
	maxDetours     = 1000
)

type (
	lookupFunc = func(ctx context.Context, network, host string) ([]netip.Addr, error)
	dialFunc   = func(ctx context.Context, network, addr string) (net.Conn, error)
)

// keepAlive lets the system detect a dead connection on which nothing is sent.
// Every write and every silence has a limit of our own, on every system.
// TCP_USER_TIMEOUT would only override the number of probes on Linux.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 3}
}

// dialAll connects to the first address of a host that answers. The attempts
// start one after another, each a moment after the previous one or as soon as
// one fails. They all go on until one wins, so a dead address costs a moment
// and not the whole time limit. The two families take turns, since one may have
// no route. Addresses that are found later join in.
func dialAll(ctx context.Context, lookup lookupFunc, dial dialFunc, detours *Detours, host string,
	port int) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	type end struct {
		conn net.Conn
		err  error
	}
	answers := make(chan []netip.Addr, maxLookups)
	found := (<-chan []netip.Addr)(answers) // nil: no more will come
	ends := make(chan end, maxAddresses)
	var all []netip.Addr // attempted ones first
	var running sync.WaitGroup
	var won net.Conn
	var first, unknown error
	running.Go(func() { unknown = resolve(ctx, lookup, host, answers) })
	turn := time.NewTimer(0)
	defer turn.Stop()
	for next, failed := 0, 0; won == nil && (found != nil || failed < len(all)); {
		select {
		case more, ok := <-found:
			if !ok {
				found = nil
				break
			}
			all = join(all, next, more, func(rest []netip.Addr) []netip.Addr { return detours.last(rest, port) })
			if failed == next {
				turn.Reset(0)
			} else {
				turn.Reset(attemptDelay)
			}
		case <-turn.C:
			if next < len(all) {
				to := net.JoinHostPort(all[next].String(), strconv.Itoa(port))
				running.Go(func() { conn, err := dial(ctx, "tcp", to); ends <- end{conn, err} })
				next++
				turn.Reset(attemptDelay)
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
	running.Wait()
	close(ends)
	for e := range ends { // connections that lost the race
		if e.conn != nil {
			_ = e.conn.Close() //nolint:errcheck // nothing was said on it
		}
	}
	switch {
	case won != nil:
		return won, nil
	case first != nil:
		return nil, first
	case unknown != nil:
		return nil, unknown
	}
	return nil, &net.DNSError{Err: "the host has no address", Name: host, IsNotFound: true}
}

// join adds new addresses to those that were not tried yet. The first tried
// ones stay in front, and order sorts the others. A family that was found later
// goes next.
func join(all []netip.Addr, tried int, more []netip.Addr, order func([]netip.Addr) []netip.Addr) []netip.Addr {
	var rest []netip.Addr
	for _, a := range append(slices.Clone(more), all[tried:]...) {
		if !slices.Contains(all[:tried], a.Unmap()) {
			rest = append(rest, a)
		}
	}
	all = append(all[:tried:tried], order(interlace(rest))...)
	return all[:min(len(all), maxAddresses)]
}

// resolve sends the addresses of a host to found and then closes it. found must
// have room for all answers. The error means that nothing was found.
//
// Some routers never answer a query for IPv6, and a lookup of both families
// waits for both answers. If that takes long, each family is looked up by
// itself. The first result is sent at once. The other is awaited for a limited
// time, since it may be the only one that works.
func resolve(ctx context.Context, lookup lookupFunc, host string, found chan<- []netip.Addr) error {
	defer close(found)
	ctx, cancel := context.WithCancel(ctx)
	type answer struct {
		network string
		found   []netip.Addr
		err     error
	}
	answers := make(chan answer, maxLookups)
	asked := 0
	var looking sync.WaitGroup
	ask := func(network string) {
		asked++
		looking.Go(func() { found, err := lookup(ctx, network, host); answers <- answer{network, found, err} })
	}
	defer looking.Wait()
	defer cancel()
	ask(bothFamilies)
	slow := time.NewTimer(lookupPatience)
	defer slow.Stop()
	var enough <-chan time.Time
	var first error
	for answered, each := 0, 0; answered < asked; {
		select {
		case <-enough:
			return nil
		case <-slow.C:
			ask("ip4")
			ask("ip6")
		case a := <-answers:
			answered++
			if a.network != bothFamilies {
				each++
			}
			if len(a.found) > 0 {
				found <- a.found
				if a.network == bothFamilies {
					return nil
				}
				enough = time.After(lookupPatience)
			}
			if enough != nil && each == 2 {
				return nil
			}
			if first == nil {
				first = a.err
			}
		}
	}
	if enough != nil {
		return nil
	}
	return first
}

// Detours remembers addresses that accepted a connection but led to no session.
// For a while the other addresses of the host are tried first. Otherwise one
// bad address of a server, which may well go on accepting connections, would
// make the whole server unreachable. A nil *Detours remembers nothing. The
// methods may be called from any goroutine.
type Detours struct {
	mu  sync.Mutex
	bad map[string]time.Time // expiry by address and port
}

// note records how dialling an address ended.
func (d *Detours) note(addr net.Addr, failed bool) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(d.bad, func(_ string, until time.Time) bool { return now.After(until) })
	delete(d.bad, addr.String())
	if failed && len(d.bad) < maxDetours {
		if d.bad == nil {
			d.bad = map[string]time.Time{}
		}
		d.bad[addr.String()] = now.Add(detourTime)
	}
}

// last moves the addresses to be avoided behind the others.
func (d *Detours) last(all []netip.Addr, port int) []netip.Addr {
	if d == nil {
		return all
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var good, bad []netip.Addr
	for _, a := range all {
		if until, ok := d.bad[net.JoinHostPort(a.String(), strconv.Itoa(port))]; ok && time.Now().Before(until) {
			bad = append(bad, a)
		} else {
			good = append(good, a)
		}
	}
	return append(good, bad...)
}

// interlace orders addresses so that the families take turns. It keeps the
// order within a family and drops duplicates.
func interlace(found []netip.Addr) []netip.Addr {
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
