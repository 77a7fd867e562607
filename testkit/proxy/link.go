package proxy

import (
	"io"
	"net"
	"sync"
	"time"
)

type direction int

const (
	up direction = iota
	down
)

// link is one connection through the proxy.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	once           sync.Once
	done           chan struct{} // closed by reset or finish

	// Under proxy.mu.
	passed  [2]int64
	drawnAt int64 // CutEvery's draw for this connection, as a share of it: 500…1500 per mille
}

// drawCut is called under proxy.mu.
func (l *link) drawCut() { l.drawnAt = 500 + l.proxy.random.Int64N(1001) }

func (l *link) reset() {
	l.once.Do(func() {
		close(l.done)
		abort(l.client)
		abort(l.server)
	})
}

// finish closes in order: a reset would throw away what the kernel has not delivered yet.
func (l *link) finish() {
	l.once.Do(func() {
		close(l.done)
		l.client.Close()
		l.server.Close()
	})
}

// piece is what was read at one time, to be written when due.
type piece struct {
	bytes []byte
	due   time.Time
}

// pump moves bytes from one side to the other until either ends. Reading and writing are two goroutines, so that a
// delay adds to the round trip without lowering the rate.
func (l *link) pump(from, to net.Conn, d direction) {
	// Bounds what is in flight under a long delay: 256 reads of up to 32 KiB.
	pieces := make(chan piece, 256)
	var writer sync.WaitGroup
	writer.Go(func() { l.write(to, pieces, d) })
	defer writer.Wait()
	defer close(pieces)
	for {
		buf := make([]byte, 32<<10)
		n, err := from.Read(buf)
		if n > 0 {
			select {
			case pieces <- piece{buf[:n], time.Now().Add(l.proxy.arrived(n, d))}:
			case <-l.done:
				return
			}
		}
		if err != nil {
			if err != io.EOF {
				l.reset() // a reset on one side is a reset on the other
			}
			return
		}
	}
}

// arrived counts bytes and gives their delay.
func (p *Proxy) arrived(n int, d direction) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d == up {
		p.stats.Up += int64(n)
	} else {
		p.stats.Down += int64(n)
	}
	return p.faults.Delay
}

func (l *link) write(to net.Conn, pieces <-chan piece, d direction) {
	for p := range pieces {
		for rest := p.bytes; len(rest) > 0; {
			n, cut := l.allow(len(rest), d)
			if !l.sleep(time.Until(p.due)) {
				return
			}
			if _, err := to.Write(rest[:n]); err != nil {
				l.reset()
				return
			}
			if cut {
				l.reset()
				return
			}
			rest = rest[n:]
			if !l.sleep(l.pause(n)) {
				return
			}
		}
	}
	// The sender has finished: pass that on, the other direction may still talk.
	if tcp, ok := to.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // fails only where the connection has gone, which the other pump sees
	}
}

// allow waits out a black hole, then says how many of n bytes may pass now and whether the connection is cut after
// them.
func (l *link) allow(n int, d direction) (allowed int, cut bool) {
	p := l.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.faults.BlackHole {
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-l.done:
			p.mu.Lock()
			return n, false
		}
		p.mu.Lock()
	}
	f := p.faults
	if f.Rate > 0 {
		// About twenty pieces a second, never less than a byte.
		n = int(min(int64(n), max(1, f.Rate/20)))
	}
	if limit := l.limit(f, d); limit > 0 && (f.CutsAtMost == 0 || p.stats.Cuts < f.CutsAtMost) {
		if left := max(0, limit-l.passed[d]); left <= int64(n) {
			n, cut = int(left), true
			p.stats.Cuts++
		}
	}
	l.passed[d] += int64(n)
	return n, cut
}

// limit is the byte after which this connection is cut; 0 is never.
func (l *link) limit(f Faults, d direction) int64 {
	if d == up {
		return f.CutUp
	}
	limit := f.CutDown
	if every := f.CutEvery; every > 0 {
		drawn := max(1, every*l.drawnAt/1000)
		if limit == 0 || drawn < limit {
			limit = drawn
		}
	}
	return limit
}

// pause is how long n bytes take at the rate set.
func (l *link) pause(n int) time.Duration {
	l.proxy.mu.Lock()
	rate := l.proxy.faults.Rate
	l.proxy.mu.Unlock()
	if rate <= 0 {
		return 0
	}
	return time.Duration(int64(n) * int64(time.Second) / rate)
}

// sleep reports false when the connection ended meanwhile.
func (l *link) sleep(d time.Duration) bool {
	if d <= 0 {
		select {
		case <-l.done:
			return false
		default:
			return true
		}
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.done:
		return false
	}
}
