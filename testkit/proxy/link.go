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
	talk    talk
	lost    [2]bool // what comes from there is not delivered any more
	rate    int64   // its own, as Faults.Rate
	tiny    bool    // one octet at a time
	struck  bool    // between an octet and what happens behind it
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
	cut   bool // it is not delivered: the connection is reset
}

// pump moves bytes from one side to the other until either ends. Reading and
// writing are two goroutines, so that a delay adds to the round trip without
// lowering the rate.
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
			case pieces <- l.proxy.arrived(buf[:n], d):
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

// arrived counts bytes, and says when they are due and whether they will be.
func (p *Proxy) arrived(bytes []byte, d direction) piece {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := int64(len(bytes)); d == up {
		p.stats.Up += n
	} else {
		p.stats.Down += n
	}
	p.moved.Send()
	f := p.faults
	cut := f.CutShare > 0 && p.mayCut() && p.random.Float64() < f.CutShare
	if cut {
		p.stats.Cuts++
	}
	return piece{bytes, time.Now().Add(f.Delay), cut}
}

// mayCut reports whether CutsAtMost allows another cut.
func (p *Proxy) mayCut() bool { return p.faults.CutsAtMost == 0 || p.stats.Cuts < p.faults.CutsAtMost }

func (l *link) write(to net.Conn, pieces <-chan piece, d direction) {
	for p := range pieces {
		if p.cut {
			l.sleep(time.Until(p.due))
			l.reset()
			return
		}
		for rest := p.bytes; len(rest) > 0; {
			v := l.allow(rest, d)
			if v.lost {
				break
			}
			if !l.sleep(time.Until(p.due)) {
				return
			}
			if _, err := to.Write(rest[:v.n]); err != nil {
				l.reset()
				return
			}
			if v.act != nil {
				l.befall(*v.act)
			}
			if v.cut {
				l.reset()
				return
			}
			n := v.n
			rest = rest[n:]
			if !l.sleep(l.pause(n)) {
				return
			}
		}
	}
	// The sender has finished. Pass that on: the other direction may still
	// talk. When a server's words are lost, so is its end.
	if d == up || !l.loses(d) {
		closeWrite(to)
	}
}

func closeWrite(to net.Conn) {
	if tcp, ok := to.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // fails only where the connection has gone, which the other pump sees
	}
}

func (l *link) loses(d direction) bool {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	return l.lost[d]
}

// verdict is what may happen to octets that wait to be delivered.
type verdict struct {
	n    int  // so many pass
	lost bool // none ever does
	cut  bool // behind them the connection is cut
	act  *Act // or this happens
}

// allow waits out a black hole or a stall, then judges.
func (l *link) allow(octets []byte, d direction) verdict {
	p := l.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.stands() || l.struck {
		if !p.await(l.done) {
			return verdict{n: len(octets)}
		}
	}
	if l.lost[d] {
		return verdict{lost: true}
	}
	f, v := p.faults, verdict{n: len(octets)}
	if rate := l.rateOf(f); rate > 0 {
		// About twenty pieces a second, never less than a byte.
		v.n = int(min(int64(v.n), max(1, rate/20)))
	}
	if l.tiny {
		v.n = 1
	}
	limit := l.limit(f, d)
	if left := max(0, limit-l.passed[d]); limit > 0 && p.mayCut() && left <= int64(v.n) {
		v.n, v.cut = int(left), true
	}
	if l.talk.followed {
		if n, act := l.follow(octets[:v.n], d); act != nil {
			v = verdict{n: n, act: act}
			l.struck = true
		}
	}
	if v.cut {
		p.stats.Cuts++
	}
	l.passed[d] += int64(v.n)
	return v
}

// stands reports whether nothing moves now.
func (p *Proxy) stands() bool { return p.faults.BlackHole || time.Now().Before(p.stallUntil) }

// await gives up the lock until faults change or a stall is over. It reports
// false when done comes first.
func (p *Proxy) await(done <-chan struct{}) bool {
	changed := p.changed
	var over <-chan time.Time
	if rest := time.Until(p.stallUntil); rest > 0 {
		timer := time.NewTimer(rest)
		defer timer.Stop()
		over = timer.C
	}
	p.mu.Unlock()
	defer p.mu.Lock()
	select {
	case <-changed:
	case <-over:
	case <-done:
		return false
	}
	return true
}

func (l *link) rateOf(f Faults) int64 {
	if l.rate > 0 {
		return l.rate
	}
	return f.Rate
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
	rate := l.rateOf(l.proxy.faults)
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
