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

// progressConn is the TCP level of a session, below TLS, because a 16 KiB TLS
// record on a slow link is many seconds without a byte above it. It sets the
// deadline of every single read and write, and keeps the first cause of death.
// Reads and writes come from the session's goroutine; abort from anywhere.
type progressConn struct {
	net.Conn
	progress time.Duration // longest silence of a read
	write    time.Duration // longest write
	window   time.Duration // longest waiting inside a response for minRate octets
	wait     time.Duration // longest waiting at all for them
	minRate  int64
	until    time.Time // end of the present phase; zero: none
	quiet    time.Time // nothing is due before: reads may be roused; zero: something is

	inResponse   bool          // a byte of the awaited response has come
	slow, waited time.Duration // blocked inside a response, blocked at all
	moved        int64         // octets since slow and waited were last zero

	read, written atomic.Int64
	meter         Meter // nil: nobody counts

	mu      sync.Mutex
	cause   error
	resting bool // a read is waiting in which nothing is due
	wanted  bool // such reads end at once
}

// roused ends a read in which nothing was due, and leaves the connection as it
// is: crypto/tls, too, goes on after a temporary error.
type roused struct{ wanted bool }

func (r *roused) Error() string   { return "imap: nothing came" }
func (r *roused) Timeout() bool   { return true }
func (r *roused) Temporary() bool { return true }

func newProgressConn(c net.Conn, l *Limits) *progressConn {
	return &progressConn{Conn: c, progress: l.Progress, write: l.Progress, window: l.Window, wait: l.Wait,
		minRate: l.MinRate}
}

// await says that the next byte begins a response.
func (p *progressConn) await() { p.inResponse = false }

// restart begins a command: earlier slowness is forgotten.
func (p *progressConn) restart() { p.slow, p.waited, p.moved = 0, 0, 0 }

// deadline is when the next read has to return, and why.
func (p *progressConn) deadline(now time.Time) (end time.Time, why string) {
	end, why = now.Add(p.progress), "no byte for too long"
	if p.inResponse {
		end, why = sooner(end, why, now.Add(p.window-p.slow), "slower than the least rate")
	}
	end, why = sooner(end, why, now.Add(p.wait-p.waited), "waited too long for too little")
	if !p.until.IsZero() {
		end, why = sooner(end, why, p.until, "the time for this step is over")
	}
	return end, why
}

func sooner(end time.Time, why string, other time.Time, reason string) (time.Time, string) {
	if other.Before(end) {
		return other, reason
	}
	return end, why
}

func (p *progressConn) Read(b []byte) (int, error) {
	if !p.quiet.IsZero() {
		return p.rest(b)
	}
	start := time.Now()
	end, why := p.deadline(start)
	// net.Pipe refuses a deadline once its other end is closed; Read then ends
	// at once.
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
	case err == io.EOF: // nobody reads here unless something is due
		err = io.ErrUnexpectedEOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("%w: %s (%v in this read)", ErrStalled, why, time.Since(start).Round(time.Millisecond))
	}
	if err != nil {
		return n, p.fail(err)
	}
	return n, nil
}

// rest reads while nothing is due, until p.quiet.
func (p *progressConn) rest(b []byte) (int, error) {
	p.mu.Lock()
	if p.wanted {
		p.mu.Unlock()
		return 0, &roused{wanted: true}
	}
	p.resting = true
	err := p.Conn.SetReadDeadline(p.quiet)
	p.mu.Unlock()
	n := 0
	if err == nil || errors.Is(err, io.ErrClosedPipe) {
		n, err = p.Conn.Read(b)
	}
	p.mu.Lock()
	p.resting = false
	wanted := p.wanted
	p.mu.Unlock()
	p.read.Add(int64(n))
	switch {
	case err == nil || n > 0:
		return n, nil // an error that counts comes again
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, &roused{wanted: wanted}
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return n, p.fail(err)
}

// rousedBy ends reads in which nothing is due when wanted is closed, until stop
// is called. nil never is.
func (p *progressConn) rousedBy(wanted <-chan struct{}) (stop func()) {
	p.mu.Lock()
	p.wanted = false
	p.mu.Unlock()
	if wanted == nil {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-wanted:
			p.rouse()
		case <-quit:
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// rouse ends the read that rests, and those to come. Any other read has a
// deadline that is not to be touched.
func (p *progressConn) rouse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = true
	if p.resting {
		_ = p.Conn.SetReadDeadline(time.Unix(1, 0)) // it fails on a connection that is over: so does the read
	}
}

// account books time blocked in a read, and what it brought.
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
	// Renewed before every write: a deadline left from an earlier one kills.
	end := time.Now().Add(p.write)
	if !p.until.IsZero() && p.until.Before(end) {
		end = p.until
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

// fail keeps the first cause and returns it. What follows a cause (such as
// "use of closed connection" after an ended context) is only its echo.
func (p *progressConn) fail(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cause == nil {
		p.cause = err
	}
	return p.cause
}

func (p *progressConn) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cause
}

// abort ends the connection for the given reason, from any goroutine.
func (p *progressConn) abort(cause error) {
	_ = p.fail(cause)
	_ = p.Conn.Close()
}
