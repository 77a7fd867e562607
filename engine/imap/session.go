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

// ConnState is the state of a session.
type ConnState int

// The states of RFC 3501 §3.
const (
	NotAuthenticated ConnState = iota
	Authenticated
	Selected
	Closed
)

// Observer takes what no command asked for. Its functions run in the session's
// goroutine during a call of the session. A nil field ignores its data.
type Observer struct {
	// Fetch gets messages whose UID no open command asked for, and messages
	// without a UID. Their bodies are discarded. An error ends the session.
	Fetch func(m *Message) error
	// Exists and Expunge concern the selected mailbox. Expunge gets a sequence
	// number.
	Exists  func(n uint32)
	Expunge func(seq uint32)
	// Vanished gets ranges as sent, with "*" as 4294967295. Never expand them.
	Vanished func(earlier bool, set goimap.UIDSet)
	// Status gets each status response, tagged ones included: an OK may carry
	// [THROTTLED].
	Status func(st Status)
}

// Session is one IMAP connection. The package comment says who may call what.
type Session struct {
	lim      Limits
	conn     *progressConn
	rw       net.Conn // conn, or TLS over it
	sc       *scanner
	trace    *tracer
	observer Observer
	fetches  []*openFetch // open FETCHes, oldest first
	err      *WireError   // why the session is over
	opened   time.Time

	state        ConnState
	greeting     string
	caps         map[string]struct{}
	manners      Manners
	messageLimit int   // messages a command may name by MESSAGELIMIT; 0: not limited
	meter        Meter // nil: nothing is metered
	alert        func(Status)
	capsUpdated  bool // capabilities arrived since this was last cleared
	exists       uint32
	progress     time.Duration // silence allowed in later commands

	tags         int
	pending      []sentCommand
	done         map[string]Status
	bye          *StatusError
	leaving      bool     // LOGOUT is under way
	continued    bool     // a continuation request arrived
	continuation []byte   // its text
	secrets      []string // of the LOGIN or AUTHENTICATE in progress
	octets       int64    // in the responses to the present command
	responses    int64

	msg       Message
	bodyFetch *openFetch // the FETCH that got a body of msg; nil: none
	flagBuf   []goimap.Flag
	keywords  map[string]goimap.Flag

	// What the present command collects; nil: nothing.
	sel    *SelectData
	search *search
	list   *listing
	id     map[string]string
}

type sentCommand struct {
	tag, name string
	at        time.Time // set only with a meter
}

func newSession(conn *progressConn, lim Limits, trace io.Writer) *Session {
	s := &Session{
		lim: lim, conn: conn, progress: lim.Progress,
		done: map[string]Status{}, keywords: map[string]goimap.Flag{}, opened: time.Now(),
	}
	if trace != nil {
		s.trace = &tracer{w: trace}
	}
	s.layer(conn)
	return s
}

// layer starts a new scanner on rw, which is the connection or TLS over it.
func (s *Session) layer(rw net.Conn) {
	s.rw = rw
	s.sc = newScanner(rw, &s.lim)
	if s.trace != nil {
		s.sc.tee = s.trace.server
	}
}

// Opened returns when the connection was made.
func (s *Session) Opened() time.Time { return s.opened }

// Observe replaces the session's observer. Call it only between commands.
// Examine removes it before it begins, since its news concerns the
// mailbox that was open.
func (s *Session) Observe(o Observer) { s.observer = o }

// SetProgress sets how long the server may be silent in later commands; 0
// restores Limits.Progress. It is raised for a mailbox that is slow to answer.
func (s *Session) SetProgress(d time.Duration) {
	if d <= 0 {
		d = s.lim.Progress
	}
	s.progress = d
}

// State returns the session's state. After a BYE it is Closed, though the
// answer to an open command may still arrive. After an Abort it is Closed too.
func (s *Session) State() ConnState {
	if s.err != nil || s.bye != nil || s.conn.firstCause() != nil {
		return Closed
	}
	return s.state
}

// Greeting returns the escaped text of the greeting. After STARTTLS it is
// empty.
func (s *Session) Greeting() string { return s.greeting }

// Exists returns the last known number of messages in the selected mailbox.
func (s *Session) Exists() uint32 { return s.exists }

// TLS returns the state of the TLS layer. ok is false on a plain connection.
func (s *Session) TLS() (st tls.ConnectionState, ok bool) {
	c, ok := s.rw.(*tls.Conn)
	if ok {
		st = c.ConnectionState()
	}
	return st, ok
}

// BytesRead returns the octets read from TCP, below TLS. It is safe from any
// goroutine.
func (s *Session) BytesRead() int64 { return s.conn.read.Load() }

// BytesWritten returns the octets written to TCP. It is safe from any
// goroutine.
func (s *Session) BytesWritten() int64 { return s.conn.written.Load() }

// Err returns why the session is over; nil while it is not.
func (s *Session) Err() error {
	if s.err != nil {
		return s.err
	}
	if cause := s.conn.firstCause(); cause != nil { // it failed between two commands
		return &WireError{Op: s.op(), Phase: "closed", Cause: cause}
	}
	return nil
}

// Close closes the connection at once, without LOGOUT. It is safe from any
// goroutine and may be called repeatedly.
func (s *Session) Close() error {
	s.Abort(net.ErrClosed)
	return nil
}

// Abort is Close with a reason, which the present call and later ones return.
func (s *Session) Abort(cause error) { s.conn.abort(cause) }

// begin guards a call. It fails if the session or ctx is over. Otherwise the
// end of ctx closes the connection, until stop is called.
func (s *Session) begin(ctx context.Context, op string) (stop func(), err error) {
	if s.err != nil {
		return nil, s.err
	}
	if cause := s.conn.firstCause(); cause != nil {
		return nil, s.fail(op, "closed", cause)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("imap: %s: %w", op, contextError(ctx)) // nothing was sent: the session stays usable
	}
	if err := s.awaitMeter(ctx, op); err != nil {
		return nil, err
	}
	return s.watch(ctx), nil
}

// watch closes the connection when ctx ends. Only then does a goroutine exist,
// and stop waits for it.
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

// contextError returns ctx's error, together with its cause if that differs.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// fail ends the session. The connection's own first cause explains more than
// the error of a layer above. There are two exceptions: a handler that failed,
// and a bad certificate followed by an alert that could not be sent.
func (s *Session) fail(op, phase string, err error) error {
	if s.err != nil {
		return s.err
	}
	if phase != "handler" && phase != "tls" {
		if cause := s.conn.firstCause(); cause != nil {
			err = cause
		}
		ended := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
		if s.bye != nil && !ended {
			err = s.bye // the BYE explains the failure after it
		}
	}
	s.err = &WireError{Op: op, Phase: phase, Cause: err}
	s.conn.abort(s.err)
	return s.err
}

// Send sends one command line without literals and returns its tag for Wait.
// Commands may be sent ahead of the answers to earlier ones. Keep them few and
// small: a write that blocks for Limits.Progress ends the session.
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

// commandName returns the length of the command's name: one word, or two after
// UID.
func commandName(line string) int {
	n := strings.IndexByte(line+" ", ' ')
	if strings.EqualFold(line[:n], "UID") && n < len(line) {
		n += 1 + strings.IndexByte(line[n+1:]+" ", ' ')
	}
	return n
}

// Wait reads until the command with the tag is answered. Answers to other tags
// are kept for their own Wait. NO and BAD are values here. An error means that
// the session is over or the tag is not open.
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

// run sends a command and waits for its answer. NO and BAD become StatusErrors.
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
