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
	patience     = 2 * time.Second        // with a look-up of both families together, and with the second family
	stagger      = 300 * time.Millisecond // between two addresses while the first says nothing (RFC 8305 §5)
	maxAddresses = 16                     // that are tried of a host
	lookups      = 3                      // of a host: both families together, then each
	both         = "ip"                   // that look-up's network
	detour       = 15 * time.Minute       // that an address which came to nothing is tried last
	maxDetours   = 1000
)

type (
	lookupFunc = func(ctx context.Context, network, host string) ([]netip.Addr, error)
	dialFunc   = func(ctx context.Context, network, addr string) (net.Conn, error)
)

// keepAlive lets the system find a line dead that nothing is said on. That is
// all it is asked for: each write and each silence has a limit of ours, on
// every system, and TCP_USER_TIMEOUT would only put Linux's count of probes out
// of use.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 3}
}

// dialAll connects to the first address of a host that answers. Each has its
// turn a moment after the one before, or as soon as that one has failed, and
// goes on until one has won: a dead address costs a moment and not the time for
// all. The two families take turns, since one may have no route; addresses that
// are found later join in.
func dialAll(ctx context.Context, lookup lookupFunc, dial dialFunc, detours *Detours, host string,
	port int) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	type end struct {
		conn net.Conn
		err  error
	}
	answers := make(chan []netip.Addr, lookups)
	found := (<-chan []netip.Addr)(answers) // nil: there are no more
	ends := make(chan end, maxAddresses)
	var all []netip.Addr // those that had their turn first
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
				turn.Reset(stagger)
			}
		case <-turn.C:
			if next < len(all) {
				to := net.JoinHostPort(all[next].String(), strconv.Itoa(port))
				running.Go(func() { conn, err := dial(ctx, "tcp", to); ends <- end{conn, err} })
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
	running.Wait()
	close(ends)
	for e := range ends { // those that were too late
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

// join puts new addresses among those that wait for their turn behind the first
// tried ones; order sorts those that wait. A family that comes later is the
// next.
func join(all []netip.Addr, tried int, more []netip.Addr, order func([]netip.Addr) []netip.Addr) []netip.Addr {
	var rest []netip.Addr
	for _, a := range append(slices.Clone(more), all[tried:]...) {
		if !slices.Contains(all[:tried], a.Unmap()) {
			rest = append(rest, a)
		}
	}
	all = append(all[:tried:tried], order(alternate(rest))...)
	return all[:min(len(all), maxAddresses)]
}

// resolve sends the addresses of a host to found, which has room for all
// answers, and closes it. Some routers never answer a question for IPv6, and a
// look-up of both families waits for the answer to each: when it takes long,
// each family is looked up by itself. What one has is sent at once; the other
// may come later, if not for ever: the host may be reached by that one alone.
// An error says that nothing was found.
func resolve(ctx context.Context, lookup lookupFunc, host string, found chan<- []netip.Addr) error {
	defer close(found)
	ctx, cancel := context.WithCancel(ctx)
	type answer struct {
		network string
		found   []netip.Addr
		err     error
	}
	answers := make(chan answer, lookups)
	asked := 0
	var looking sync.WaitGroup
	ask := func(network string) {
		asked++
		looking.Go(func() { found, err := lookup(ctx, network, host); answers <- answer{network, found, err} })
	}
	defer looking.Wait()
	defer cancel()
	ask(both)
	slow := time.NewTimer(patience)
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
			if a.network != both {
				each++
			}
			if len(a.found) > 0 {
				found <- a.found
				if a.network == both {
					return nil
				}
				enough = time.After(patience)
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

// Detours remembers addresses that took a connection and came to no session:
// the others of their host have their turn first for a while. A server behind
// several addresses is not lost with one of them, which may well go on
// accepting. nil remembers nothing. The methods may be called from any
// goroutine.
type Detours struct {
	mu  sync.Mutex
	bad map[string]time.Time // by address and port: until when
}

// note keeps how the dial of an address ended.
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
		d.bad[addr.String()] = now.Add(detour)
	}
}

// last puts the addresses to be avoided behind the others.
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
