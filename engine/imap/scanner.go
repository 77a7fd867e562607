package imap

import (
	"errors"
	"fmt"
	"io"
	"math"
)

// bufferSize is the size of a session's read buffer. Of a larger literal, what
// is not buffered is read straight into the caller's memory.
const bufferSize = 64 << 10

// scanner reads responses from r: tokens, strings and literals, within limits.
// A token is a view that is valid until the next call. Errors of the connection
// are sticky.
type scanner struct {
	r        io.Reader
	lim      *Limits
	buf      []byte
	pos, end int
	err      error // sticky: r's error, or a limit exceeded while filling
	pending  error // error that came together with the last bytes of r

	got       int64 // octets read from r
	start     int64 // offset of the present response
	literals  int64 // octets in its literals
	streamed  int64 // of these, octets handed out as a stream
	lineLimit int64
	kept      int64  // octets of its strings that are kept in memory
	tok       []byte // scratch for tokens that are not contiguous in buf
	lit       literal

	tee func([]byte) // gets what is read, for the trace; nil: no trace
}

func newScanner(r io.Reader, lim *Limits) *scanner {
	s := &scanner{r: r, lim: lim, buf: make([]byte, bufferSize), lineLimit: lim.Line}
	s.lit.s = s
	return s
}

// buffered returns the number of octets read ahead.
func (s *scanner) buffered() int { return s.end - s.pos }

// offset returns the number of octets consumed.
func (s *scanner) offset() int64 { return s.got - int64(s.end-s.pos) }

// octets returns the length of the present response so far, without literals.
func (s *scanner) octets() int64 { return s.offset() - s.start - s.literals }

// fill reads more. It is called with an empty buffer. The line limit is checked
// only here and at the end of a response, so a line may exceed it by one
// buffer.
func (s *scanner) fill() error {
	if s.err == nil && s.octets() > s.lineLimit {
		s.err = fmt.Errorf("%w: response over %d octets", ErrLimit, s.lineLimit)
	}
	if s.err == nil {
		s.pos, s.end = 0, 0
		var n int
		n, s.err = s.readRaw(s.buf)
		s.end = n
		if n > 0 {
			return nil
		}
	}
	return s.err
}

// await waits for an octet and skips those that belong to no response. Being
// interrupted meanwhile is not sticky.
func (s *scanner) await() error {
	if s.buffered() == 0 {
		err := s.fill()
		if r := (*interruption)(nil); errors.As(err, &r) {
			s.err, s.pending = nil, nil
		}
		if err != nil {
			return err
		}
	}
	for s.pos < s.end && padding(s.buf[s.pos]) {
		s.pos++
	}
	return nil
}

// padding reports whether an octet between responses is ignored. Some servers
// keep a connection alive with spaces, pad lines with NUL, or send empty lines.
func padding(c byte) bool { return c == ' ' || c == 0 || c == '\r' || c == '\n' }

// readRaw reads at least one octet, or returns why it could not. EOF is never a
// clean end.
func (s *scanner) readRaw(p []byte) (int, error) {
	if s.pending != nil {
		return 0, s.pending
	}
	for range 100 {
		n, err := s.r.Read(p)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		s.got += int64(n)
		if n > 0 {
			s.pending = err
			if s.tee != nil {
				s.tee(p[:n])
			}
			return n, nil
		}
		if err != nil {
			s.pending = err
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// begin starts a response. Padding before it counts towards the line limit.
func (s *scanner) begin() error {
	s.start, s.literals, s.streamed, s.kept = s.offset(), 0, 0, 0
	s.lineLimit = s.lim.Line
	if cap(s.tok) > bufferSize {
		s.tok = nil
	}
	for {
		c, err := s.peek()
		if err != nil {
			return err
		}
		if !padding(c) {
			return nil
		}
		s.pos++
	}
}

func (s *scanner) peek() (byte, error) {
	if s.pos < s.end {
		return s.buf[s.pos], nil
	}
	if err := s.fill(); err != nil {
		return 0, err
	}
	return s.buf[s.pos], nil
}

// spaces skips spaces and peeks. DavMail sends two in a row.
func (s *scanner) spaces() (byte, error) {
	for {
		c, err := s.peek()
		if err != nil || c != ' ' {
			return c, err
		}
		s.pos++
	}
}

// take consumes c or fails.
func (s *scanner) take(c byte) error {
	have, err := s.peek()
	if err != nil {
		return err
	}
	if have != c {
		return fmt.Errorf("%w: %q where %q was due", ErrSyntax, have, c)
	}
	s.pos++
	return nil
}

// endsWord reports whether an octet ends a word: SP ( ) [ ] CR LF.
func endsWord(c byte) bool { return endsFlag(c) || c == '[' || c == ']' }

// endsFlag is endsWord without the brackets, which keywords may contain.
func endsFlag(c byte) bool { return c == ' ' || c == '(' || c == ')' || c == '\r' || c == '\n' }
func endsTag(c byte) bool  { return c == ' ' || c == '\r' || c == '\n' }

// token reads up to an octet that ends accepts. The token may be empty.
func (s *scanner) token(ends func(byte) bool) ([]byte, error) {
	for i := s.pos; i < s.end; i++ {
		if ends(s.buf[i]) {
			t := s.buf[s.pos:i]
			s.pos = i
			return t, nil
		}
	}
	s.tok = s.tok[:0]
	for {
		c, err := s.peek()
		if err != nil {
			return nil, err
		}
		if ends(c) {
			return s.tok, nil
		}
		s.tok = append(s.tok, c)
		s.pos++
	}
}

// line reads the rest of the line as text, in which "{5}" at the end is not a
// literal.
func (s *scanner) line() ([]byte, error) {
	t, err := s.token(func(c byte) bool { return c == '\n' })
	if err != nil {
		return nil, err
	}
	s.pos++
	if n := len(t); n > 0 && t[n-1] == '\r' {
		t = t[:n-1]
	}
	return t, nil
}

// done checks the limits of the response that just ended. It returns the octets
// that count towards the command: all but the streamed ones.
func (s *scanner) done() (int64, error) {
	if s.octets() > s.lineLimit {
		return 0, fmt.Errorf("%w: response over %d octets", ErrLimit, s.lineLimit)
	}
	return s.offset() - s.start - s.streamed, nil
}

// skipLine skips an unknown response to its end, literals included. It never
// fails because of the response's form. "{5}" at the end of a line is a literal
// only where a value may stand (after SP or "(") and outside quotes.
func (s *scanner) skipLine() error {
	for {
		n, literal, err := s.skipToEnd()
		if err != nil || !literal {
			return err
		}
		if err := s.skipLiteral(n); err != nil {
			return err
		}
	}
}

// skipToEnd consumes one line. If the line ends in a literal's header it
// returns the literal's size.
func (s *scanner) skipToEnd() (size int64, literal bool, err error) {
	var (
		prev         byte = ' '
		quoted, esc  bool
		open, closed bool // inside "{…", and after its "}"
		plus, over   bool
	)
	for {
		c, err := s.peek()
		if err != nil {
			return 0, false, err
		}
		s.pos++
		switch {
		case c == '\n':
			if closed && over {
				return 0, false, fmt.Errorf("%w: literal of over %d octets", ErrLimit, s.lim.Streamed)
			}
			return size, closed, nil
		case c == '\r' && closed:
			continue
		case quoted:
			quoted, esc = esc || c != '"', !esc && c == '\\'
		case c == '"' && (prev == ' ' || prev == '('):
			quoted = true
		case c == '{' && (prev == ' ' || prev == '(' || prev == '~'):
			open, closed, size, plus, over = true, false, -1, false, false
		case open && c >= '0' && c <= '9' && !plus:
			size = max(size, 0)
			if size > (math.MaxInt64-9)/10 {
				over = true
			} else {
				size = size*10 + int64(c-'0')
			}
			over = over || size > s.lim.Streamed
		case open && c == '+' && size >= 0:
			plus = true
		case open && c == '}' && size >= 0:
			open, closed = false, true
		default:
			open, closed = false, false
		}
		prev = c
	}
}

func digits(t []byte) (n int64, ok bool) {
	if len(t) == 0 || len(t) > 19 {
		return 0, false
	}
	var u uint64
	for _, c := range t {
		if c < '0' || c > '9' {
			return 0, false
		}
		u = u*10 + uint64(c-'0')
	}
	return int64(u), u <= math.MaxInt64
}

// number32 returns 0 for anything but a number of 32 bits.
func number32(t []byte) uint32 {
	n, ok := digits(t)
	if !ok || n > math.MaxUint32 {
		return 0
	}
	return uint32(n)
}

// is compares a word with an upper-case one, ignoring ASCII case.
func is(t []byte, upper string) bool {
	if len(t) != len(upper) {
		return false
	}
	for i, c := range t {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}
