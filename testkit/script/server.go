package script

import (
	"context"
	"io"
	"maps"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"

	"mailcote/testkit/signal"
)

// The one login. Users named alice+… see the same mail.
const (
	User     = "alice"
	Password = "sesame"
)

// Capabilities a server has unless Options says otherwise.
const Capabilities = "IMAP4rev1 LITERAL+ SASL-IR ID CONDSTORE ESEARCH LIST-EXTENDED LIST-STATUS AUTH=PLAIN"

// Options of a server.
type Options struct {
	Capabilities string // "": Capabilities
	ID           string // the name in the answer to ID; "": script
	MessageLimit int    // messages a FETCH or SEARCH gets to, from the highest UID down (RFC 9738); 0: all
	// it does not listen and is reached by Dial alone, so that it can live in a testing/synctest bubble
	Pipe bool
}

// Command is one command as it came, or the greeting that is due.
type Command struct {
	Connection int    // from 1
	Tag        string // "*" of the greeting
	Name       string // upper case, "UID FETCH" and the like; "GREETING" before anything was said
	Args       string
	Box        string // the mailbox that is open
}

// Action is what is done in place of the right answer. It is one of the
// constants, the text of a tagged "NO …" or "BAD …", or "BYE …", which is said
// untagged before the connection is closed. "* …" is said before the right
// answer.
type Action string

// The actions that are no text.
const (
	Answer Action = ""       // the right answer
	Silent Action = "silent" // none, ever
	Drop   Action = "drop"   // the connection is closed
	Bare   Action = "bare"   // the tagged OK and no data
)

// Fault is what is wrong with one message.
type Fault int

// The faults of a message.
const (
	Whole       Fault = iota
	Refuse            // a FETCH that asks for its body brings NO and nothing else
	RefuseLate        // a FETCH that asks for its body brings everything else and NO
	Omit              // it is left out
	TooLong           // its literal claims more octets than it has
	TooShort          // its literal claims fewer
	Cut               // the connection breaks inside it
	CutEarly          // a FETCH that asks for its body breaks the connection before anything is said
	Nil               // its body is NIL
	Stall             // the server falls silent inside it
	FlagsBefore       // its flags come in a response of their own, before its body
	FlagsAfter        // the same, behind its body
	Huge              // its literal claims a terabyte
	Negative          // its literal claims {-1}
	Overflow          // its literal claims 2^63
	Garbled           // its literal's size is no number
	Stingy            // a part of its body is at most 1000 octets long
	WrongSize         // its RFC822.SIZE is 7
	Broken            // a FETCH of its other items brings brackets that do not match
	Empty             // its body is {0}
	Quoted            // its body is ""
	Half              // its body, and each part of it, ends in the middle of the message, and its RFC822.SIZE is right
)

// Part is what one FETCH asks of one message.
type Part struct {
	Box        string
	UID        uint32
	Items      string
	From, Most int64 // of BODY.PEEK[]<From.Most>; Most 0: it asks for no part
}

// Faults are the ways to misbehave; the zero value is a good server. Functions run without the server's lock.
type Faults struct {
	On func(Command) Action // asked before every command
	// what is wrong with a message when its body is asked for
	Message func(box string, uid uint32) Fault
	// the same, by what is asked for; it goes before Message
	Part     func(Part) Fault
	Size     func(box string, uid uint32, size int64) int64    // what RFC822.SIZE says; < 0: it is left out
	Listing  func(c Command, uids []uint32) (said []uint32)    // what UID SEARCH says in place of the truth
	Exists   func(connection int, box string, n int) int       // what EXAMINE and STATUS say
	Validity func(connection int, box string, v uint32) uint32 // what EXAMINE and STATUS say
	// called when everything before a Stall has been sent
	Stalled func()
	ModSeq  func(box string, v uint64) uint64   // what EXAMINE and STATUS say
	Line    func(c Command, line string) string // what is said in place of a line; "": nothing
	// "" or what is said in place of a line, and nothing ever after; the connection stays open or not
	Last func(c Command, line string) (said string, stays bool)
	// writes to the wire as it likes, before the right answer or in place of it
	Raw func(c Command, w io.Writer) (answered bool)
}

// Server is one running server.
type Server struct {
	listener net.Listener
	caps     string
	options  Options
	ended    sync.WaitGroup
	changed  signal.Signal

	mu       sync.Mutex
	model    Model
	password string
	faults   Faults
	counts   map[string]int
	conns    map[net.Conn]struct{}
	opened   int
	turns    int
	closed   bool
}

// Start runs a server until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{caps: o.Capabilities, options: o, password: Password, counts: map[string]int{},
		conns: map[net.Conn]struct{}{}}
	if s.caps == "" {
		s.caps = Capabilities
	}
	s.model.Box("INBOX")
	if !o.Pipe {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.listener = listener
		s.ended.Go(s.accept)
	}
	t.Cleanup(s.Close)
	return s
}

// Host is where the server listens.
func (s *Server) Host() string { return "127.0.0.1" }

// Port is the port at Host.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// Addr is host and port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Change changes or looks at the model.
func (s *Server) Change(change func(m *Model)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.model)
}

// Misbehave replaces the faults.
func (s *Server) Misbehave(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

// SetPassword changes the one password.
func (s *Server) SetPassword(password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.password = password
}

// Changed returns a channel that is closed when a command comes, when Faults.On
// has answered one, and when a connection opens or ends.
func (s *Server) Changed() <-chan struct{} { return s.changed.Next() }

// Open is how many connections are open, as far as this side knows.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Count is how often a command came, such as "UID FETCH". "LOGIN" counts AUTHENTICATE too.
func (s *Server) Count(command string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[command]
}

// Counts are all of them.
func (s *Server) Counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}

// Connections is how many were made.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened
}

// Turns is how often a session has waited for a command, having answered all
// that came. Each is a round trip for the client.
func (s *Server) Turns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turns
}

func (s *Server) waits() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turns++
}

// Close ends every connection and waits for every goroutine. It may be called twice.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		if s.listener != nil {
			s.listener.Close()
		}
		for conn := range s.conns {
			conn.Close()
		}
	}
	s.mu.Unlock()
	s.ended.Wait()
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		if !s.take(conn) {
			return
		}
	}
}

// Dial connects without a network. It ignores its arguments, which are those of
// net.Dialer.DialContext.
func (s *Server) Dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	if !s.take(far) {
		return nil, syscall.ECONNREFUSED
	}
	return near, nil
}

// take begins to serve a connection, unless the server is closed.
func (s *Server) take(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return false
	}
	s.opened++
	n := s.opened
	s.conns[conn] = struct{}{}
	s.changed.Send()
	s.ended.Go(func() {
		defer s.changed.Send()
		newSession(s, conn, n).run()
		s.mu.Lock()
		defer s.mu.Unlock()
		conn.Close()
		delete(s.conns, conn)
	})
	return true
}

// enter counts a command and asks what is to be done.
func (s *Server) enter(c Command) Action {
	s.mu.Lock()
	s.counts[c.Name]++
	if c.Name == "AUTHENTICATE" {
		s.counts["LOGIN"]++
	}
	on := s.faults.On
	s.mu.Unlock()
	s.changed.Send()
	if on == nil {
		return Answer
	}
	defer s.changed.Send()
	return on(c)
}

func (s *Server) now() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults
}

// box copies a mailbox as the faults want it shown.
func (s *Server) box(connection int, name string) (b Box, ok bool) {
	s.mu.Lock()
	f := s.faults
	for _, have := range s.model.Boxes {
		if have.Name == name || strings.EqualFold(name, "INBOX") && strings.EqualFold(have.Name, "INBOX") {
			b, ok = *have, true
			b.Messages = append([]Message(nil), have.Messages...)
		}
	}
	s.mu.Unlock()
	if ok && f.Validity != nil {
		b.UIDValidity = f.Validity(connection, name, b.UIDValidity)
	}
	if ok && f.ModSeq != nil {
		b.ModSeq = f.ModSeq(name, b.ModSeq)
	}
	return b, ok
}
