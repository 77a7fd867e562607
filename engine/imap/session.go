package imap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	goimap "github.com/emersion/go-imap/v2"
)

// ConnState is how far a session has come.
type ConnState int

// The states of RFC 3501 §3.
const (
	NotAuthenticated ConnState = iota
	Authenticated
	Selected
	Closed
)

// Observer takes what no command asked for, in the session's goroutine, while a
// call of the session runs. A nil field ignores its data.
type Observer struct {
	// Fetch gets messages whose UID no open command asked for, and those
	// without a UID. Their bodies are thrown away. An error ends the session.
	Fetch func(m *Message) error
	// Exists and Expunge are about the selected mailbox. Expunge gets a
	// sequence number.
	Exists  func(n uint32)
	Expunge func(seq uint32)
	// Vanished gets ranges as sent, "*" being 4294967295: never expand them.
	Vanished func(earlier bool, set goimap.UIDSet)
	// Status gets each status response, tagged ones too: [THROTTLED] may stand
	// in an OK.
	Status func(st Status)
}

// Session is one IMAP connection. See the package comment for who may call
// what.
type Session struct {
	lim   Limits
	conn  *progressConn
	rw    net.Conn // conn, or TLS over it
	sc    *scanner
	trace *tracer
	news  Observer
	asked []*asking  // open FETCHes, the oldest first
	err   *WireError // why the session is over
	since time.Time

	state    ConnState
	greeting string
	caps     map[string]struct{}
	manners  Manners
	most     int   // messages a command may name, by the server's own MESSAGELIMIT; 0: it said nothing
	meter    Meter // nil: nobody counts
	alert    func(Status)
	capsNew  bool // capabilities came since this was last cleared
	exists   uint32
	progress time.Duration // silence allowed to the commands to come

	tags      int
	pending   []sentCommand
	done      map[string]Status
	bye       *StatusError
	leaving   bool     // LOGOUT is under way
	plus      bool     // a continuation request came
	plusText  []byte   // and its text
	secrets   []string // of the running LOGIN or AUTHENTICATE
	octets    int64    // of the responses of the running command
	responses int64

	msg      Message
	bodyTo   *asking // who got a body of msg; nil: nobody
	flagBuf  []goimap.Flag
	keywords map[string]goimap.Flag

	// What the running command collects; nil: nothing.
	sel    *SelectData
	search *search
	list   *listing
	id     map[string]string
}

type sentCommand struct {
	tag, name string
	at        time.Time // only where somebody counts
}

func newSession(conn *progressConn, lim Limits, trace io.Writer) *Session {
	s := &Session{
		lim: lim, conn: conn, progress: lim.Progress,
		done: map[string]Status{}, keywords: map[string]goimap.Flag{}, since: time.Now(),
	}
	if trace != nil {
		s.trace = &tracer{w: trace}
	}
	s.layer(conn)
	return s
}

// layer puts a fresh scanner on rw: the connection, or TLS over it.
func (s *Session) layer(rw net.Conn) {
	s.rw = rw
	s.sc = newScanner(rw, &s.lim)
	if s.trace != nil {
		s.sc.tee = s.trace.server
	}
}

// Opened is when the connection was made.
func (s *Session) Opened() time.Time { return s.since }

// Observe replaces the session's observer; call it between commands only.
// Examine and Select drop it before they begin, since its news are about the
// mailbox that was open.
func (s *Session) Observe(o Observer) { s.news = o }

// SetProgress sets how long the server may be silent in the commands to come
// (DESIGN §6 doubles it for a mailbox that is slow to answer); 0:
// Limits.Progress.
func (s *Session) SetProgress(d time.Duration) {
	if d <= 0 {
		d = s.lim.Progress
	}
	s.progress = d
}

// State returns how far the session has come. After a BYE it is Closed, though
// the answer to an open command may still come; after an Abort, too.
func (s *Session) State() ConnState {
	if s.err != nil || s.bye != nil || s.conn.failed() != nil {
		return Closed
	}
	return s.state
}

// Greeting returns the text of the greeting, escaped; empty after STARTTLS.
func (s *Session) Greeting() string { return s.greeting }

// Exists returns the number of messages in the selected mailbox, as last heard.
func (s *Session) Exists() uint32 { return s.exists }

// TLS returns the state of the TLS layer; ok is false on a plain connection.
func (s *Session) TLS() (st tls.ConnectionState, ok bool) {
	c, ok := s.rw.(*tls.Conn)
	if ok {
		st = c.ConnectionState()
	}
	return st, ok
}

// BytesRead counts octets taken from TCP, below TLS. Safe from any goroutine.
func (s *Session) BytesRead() int64 { return s.conn.read.Load() }

// BytesWritten counts octets given to TCP. Safe from any goroutine.
func (s *Session) BytesWritten() int64 { return s.conn.written.Load() }

// Err returns why the session is over; nil while it is not.
func (s *Session) Err() error {
	if s.err != nil {
		return s.err
	}
	if cause := s.conn.failed(); cause != nil { // between two commands
		return &WireError{Op: s.op(), Phase: "closed", Cause: cause}
	}
	return nil
}

// Close ends the connection at once, without LOGOUT. Safe from any goroutine
// and any number of times.
func (s *Session) Close() error {
	s.Abort(net.ErrClosed)
	return nil
}

// Abort is Close with a reason, which the running call and later ones give.
func (s *Session) Abort(cause error) { s.conn.abort(cause) }

// begin guards a call: it fails if the session or ctx is over, and else turns
// the end of ctx into the end of the connection until stop is called.
func (s *Session) begin(ctx context.Context, op string) (stop func(), err error) {
	if s.err != nil {
		return nil, s.err
	}
	if cause := s.conn.failed(); cause != nil {
		return nil, s.fail(op, "closed", cause)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("imap: %s: %w", op, contextError(ctx)) // nothing was sent: the session lives
	}
	if err := s.before(ctx, op); err != nil {
		return nil, err
	}
	return s.watch(ctx), nil
}

// watch closes the connection when ctx ends. Only then is there a goroutine;
// stop waits for it.
func (s *Session) watch(ctx context.Context) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	closed := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(closed)
		s.conn.abort(contextError(ctx))
	})
	return func() {
		if !cancel() {
			<-closed
		}
	}
}

// contextError is ctx's error, with its cause where that is another one.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// fail ends the session. The connection's own first cause explains more than
// what a layer above made of it, except where a handler failed, and where a bad
// certificate was followed by an alert that could not be sent.
func (s *Session) fail(op, phase string, err error) error {
	if s.err != nil {
		return s.err
	}
	if phase != "handler" && phase != "tls" {
		if cause := s.conn.failed(); cause != nil {
			err = cause
		}
		ended := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
		if s.bye != nil && !ended {
			err = s.bye // it says why what came after it failed
		}
	}
	s.err = &WireError{Op: op, Phase: phase, Cause: err}
	s.conn.abort(s.err)
	return s.err
}

// Send sends one command line, which must hold no literal, and returns its tag
// for Wait. Commands may be sent ahead of the answers to earlier ones; keep
// them few and small, since a write ends the session after Limits.Progress.
func (s *Session) Send(ctx context.Context, line string) (tag string, err error) {
	c := s.command(line[:commandName(line)])
	c.raw(line[len(c.name):])
	c.secret = strings.EqualFold(c.name, "LOGIN") || strings.EqualFold(c.name, "AUTHENTICATE")
	stop, err := s.begin(ctx, c.name)
	if err != nil {
		return "", err
	}
	defer stop()
	return c.tag, s.send(c)
}

// commandName is the length of the command's name: one word, two after UID.
func commandName(line string) int {
	n := strings.IndexByte(line+" ", ' ')
	if strings.EqualFold(line[:n], "UID") && n < len(line) {
		n += 1 + strings.IndexByte(line[n+1:]+" ", ' ')
	}
	return n
}

// Wait reads until the command with the tag is answered. Other tags it passes
// are collected for their own Wait. NO and BAD are values here; an error means
// that the session is over, or that the tag is not open.
func (s *Session) Wait(ctx context.Context, tag string) (Status, error) {
	stop, err := s.begin(ctx, "wait")
	if err != nil {
		return Status{}, err
	}
	defer stop()
	return s.wait(tag)
}

func (s *Session) wait(tag string) (Status, error) {
	for {
		if st, ok := s.done[tag]; ok {
			delete(s.done, tag)
			return st, nil
		}
		if !slices.ContainsFunc(s.pending, func(c sentCommand) bool { return c.tag == tag }) {
			return Status{}, fmt.Errorf("%w: tag %q is not open", ErrCommand, tag)
		}
		if err := s.respond(); err != nil {
			return Status{}, err
		}
	}
}

// op names the oldest open command, for errors.
func (s *Session) op() string {
	if len(s.pending) == 0 {
		return "wait"
	}
	return s.pending[0].name
}

// run sends a command and waits for its answer; NO and BAD become StatusErrors.
func (s *Session) run(ctx context.Context, c *command) (Status, error) {
	stop, err := s.begin(ctx, c.name)
	if err != nil {
		return Status{}, err
	}
	defer stop()
	return s.runNow(c)
}

func (s *Session) runNow(c *command) (Status, error) {
	if err := s.send(c); err != nil {
		return Status{}, err
	}
	st, err := s.wait(c.tag)
	if err != nil {
		return st, err
	}
	return st, st.Err(c.name)
}
