package imap

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// progressConn is the TCP level of a session. It sits below TLS because a 16
// KiB TLS record on a slow link means many seconds without a byte above it. It
// sets the deadline of every single read and write, and keeps the first cause
// of failure. Reads and writes come from the session's goroutine; abort may be
// called from any.
type progressConn struct {
	net.Conn
	progress   time.Duration // longest silence of a read
	write      time.Duration // longest single write
	window     time.Duration // longest wait inside a response for minRate octets
	wait       time.Duration // longest wait in all for minRate octets
	minRate    int64
	phaseEnd   time.Time // deadline of the present phase; zero: none
	quietUntil time.Time // nothing is due until then, so reads can be interrupted; zero: an answer is due

	inResponse   bool          // a byte of the awaited response has arrived
	slow, waited time.Duration // time blocked inside a response, and in all
	moved        int64         // octets since slow and waited were reset

	read, written atomic.Int64
	meter         Meter // nil: octets are not metered

	mu          sync.Mutex
	cause       error
	inQuietRead bool // a read is blocked in which nothing is due
	interrupted bool // such reads return at once
}

// interruption ends a read in which nothing was due. The connection stays
// usable: crypto/tls also continues after a temporary error.
type interruption struct {
	wanted bool // the session is wanted; otherwise the quiet time is over
}

func (r *interruption) Error() string   { return "imap: nothing came" }
func (r *interruption) Timeout() bool   { return true }
func (r *interruption) Temporary() bool { return true }

func newProgressConn(c net.Conn, l *Limits) *progressConn {
	return &progressConn{Conn: c, progress: l.Progress, write: l.Progress, window: l.Window, wait: l.Wait,
		minRate: l.MinRate}
}

// await marks that the next byte begins a response.
func (p *progressConn) await() { p.inResponse = false }

// restart forgets earlier slowness, for a new command.
func (p *progressConn) restart() { p.slow, p.waited, p.moved = 0, 0, 0 }

// deadline returns when the next read must return, and why.
func (p *progressConn) deadline(now time.Time) (end time.Time, why string) {
	end, why = now.Add(p.progress), "no byte for too long"
	if p.inResponse {
		end, why = sooner(end, why, now.Add(p.window-p.slow), "slower than the least rate")
	}
	end, why = sooner(end, why, now.Add(p.wait-p.waited), "waited too long for too little")
	if !p.phaseEnd.IsZero() {
		end, why = sooner(end, why, p.phaseEnd, "the time for this step is over")
	}
	return end, why
}

// sooner keeps the earlier of two deadlines, with its reason.
func sooner(end time.Time, why string, other time.Time, reason string) (time.Time, string) {
	if other.Before(end) {
		return other, reason
	}
	return end, why
}

func (p *progressConn) Read(b []byte) (int, error) {
	if !p.quietUntil.IsZero() {
		return p.readQuiet(b)
	}
	start := time.Now()
	end, why := p.deadline(start)
	// net.Pipe refuses a deadline once its other end is closed. Read then
	// returns at once.
	if err := p.Conn.SetReadDeadline(end); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return 0, p.fail(err)
	}
	n, err := p.Conn.Read(b)
	p.read.Add(int64(n))
	if p.meter != nil && n > 0 {
		p.meter.Received(n)
	}
	p.account(time.Since(start), n)
	switch {
	case err == io.EOF: // reads happen only while something is due
		err = io.ErrUnexpectedEOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("%w: %s (%v in this read)", ErrStalled, why, time.Since(start).Round(time.Millisecond))
	}
	if err != nil {
		return n, p.fail(err)
	}
	return n, nil
}

// readQuiet reads while nothing is due, until p.quietUntil.
func (p *progressConn) readQuiet(b []byte) (int, error) {
	p.mu.Lock()
	if p.interrupted {
		p.mu.Unlock()
		return 0, &interruption{wanted: true}
	}
	p.inQuietRead = true
	err := p.Conn.SetReadDeadline(p.quietUntil)
	p.mu.Unlock()
	n := 0
	if err == nil || errors.Is(err, io.ErrClosedPipe) {
		n, err = p.Conn.Read(b)
	}
	p.mu.Lock()
	p.inQuietRead = false
	wanted := p.interrupted
	p.mu.Unlock()
	p.read.Add(int64(n))
	switch {
	case err == nil || n > 0:
		return n, nil // a lasting error comes again with the next read
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, &interruption{wanted: wanted}
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return n, p.fail(err)
}

// interruptOn makes reads in which nothing is due return once wanted is closed,
// until stop is called. A nil channel never does.
func (p *progressConn) interruptOn(wanted <-chan struct{}) (stop func()) {
	p.mu.Lock()
	p.interrupted = false
	p.mu.Unlock()
	if wanted == nil {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-wanted:
			p.interrupt()
		case <-quit:
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// interrupt makes such a read return now, and later ones at once. The deadline
// of any other read must not be touched.
func (p *progressConn) interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interrupted = true
	if p.inQuietRead {
		_ = p.Conn.SetReadDeadline(time.Unix(1, 0)) // fails only on a dead connection, where the read fails too
	}
}

// account books the time blocked in a read and the octets it brought.
func (p *progressConn) account(blocked time.Duration, n int) {
	p.waited += blocked
	if p.inResponse {
		p.slow += blocked
	}
	p.moved += int64(n)
	if p.moved >= p.minRate {
		p.restart()
	}
	if n > 0 {
		p.inResponse = true
	}
}

func (p *progressConn) Write(b []byte) (int, error) {
	// Each write renews the deadline. One left from an earlier write would
	// end the connection.
	end := time.Now().Add(p.write)
	if !p.phaseEnd.IsZero() && p.phaseEnd.Before(end) {
		end = p.phaseEnd
	}
	if err := p.Conn.SetWriteDeadline(end); err != nil {
		return 0, p.fail(err)
	}
	n, err := p.Conn.Write(b)
	p.written.Add(int64(n))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("%w: write took too long", ErrStalled)
	}
	if err != nil {
		return n, p.fail(err)
	}
	return n, nil
}

// fail keeps the first cause and returns it. Later errors, such as "use of
// closed connection" after an ended context, only echo it.
func (p *progressConn) fail(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cause == nil {
		p.cause = err
	}
	return p.cause
}

// firstCause returns the first cause; nil: the connection is alive.
func (p *progressConn) firstCause() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cause
}

// abort closes the connection for the given reason. It may be called from any
// goroutine.
func (p *progressConn) abort(cause error) {
	_ = p.fail(cause)
	_ = p.Conn.Close()
}
