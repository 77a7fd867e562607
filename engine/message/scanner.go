package message

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
)

// event is what scanner.next found.
type event uint8

const (
	evDone     event = iota // nothing follows
	evOpen                  // a multipart or message/rfc822 begins: s.part; its children follow
	evClose                 // the innermost open container is over
	evLeaf                  // a part with a body begins: s.part
	evBody                  // s.eol then s.chunk: more bytes of the leaf, transfer encoding not undone
	evLeafEnd               // the leaf is over
	evPreamble              // s.eol then s.chunk: bytes of a container before its first part
)

type state uint8

const (
	atHeader   state = iota
	inLeaf           // lines belong to the leaf
	inPreamble       // lines come before the first part of the innermost container
	inEpilogue       // lines belong to nobody
	closing          // containers are popped down to s.keep, then s.then
	atEnd
)

// frame is an open container. A message/rfc822 and a multipart without a usable
// boundary have none, which no line can match.
type frame struct {
	boundary string
	message  bool
	digest   bool
	path     string // IMAP part number its children are counted under
	n        int    // children begun
}

// scanner cuts a message into parts in one pass, line by line, and never holds
// more than a buffer of lines and one header.
type scanner struct {
	br     *bufio.Reader
	delim  byte // '\n', or '\r' for a message that has nothing else
	lim    Limits
	cs     *charsets
	opaque string // path of a part that is handed out as a leaf even if it is a message

	state state
	stack []frame
	parts int

	part     part
	fields   []field // of the header read last
	head     []byte  // that header's bytes
	eol      string  // to be added before chunk
	chunk    []byte
	owed     string // the last line end, held back: before a boundary it is the boundary's
	pushback []byte // a header that was none: the first bytes of the leaf
	midLine  bool   // the next fragment continues a line
	offset   int64  // bytes read
	lineAt   int64  // offset of the line or fragment read last
	endAt    int64  // where the body that just ended ends
	// delimiterEnd is the line end of the boundary line read last: nothing if
	// another boundary follows at once.
	delimiterEnd string
	hit          bool // a boundary was found while reading a header
	keep         int
	then         state
	problem      func(string)
	readFailed   bool
	failure      error
}

func newScanner(r io.Reader, lim Limits, cs *charsets, problem func(string)) *scanner {
	s := &scanner{br: bufio.NewReaderSize(r, 16<<10), delim: '\n', lim: lim, cs: cs, problem: problem}
	start, _ := s.br.Peek(4096)
	if bytes.IndexByte(start, '\n') < 0 && bytes.IndexByte(start, '\r') >= 0 {
		s.delim = '\r'
	}
	return s
}

// line reads the next line or, of a long one, the next fragment. start tells
// whether text begins a line; end is the line end, "" when there is none.
func (s *scanner) line() (text []byte, end string, start, ok bool) {
	text, err := s.br.ReadSlice(s.delim)
	s.lineAt = s.offset
	s.offset += int64(len(text))
	start = !s.midLine
	s.midLine = err == bufio.ErrBufferFull
	if err != nil && err != bufio.ErrBufferFull {
		if err != io.EOF {
			s.readFailed, s.failure = true, err
		}
		if len(text) == 0 {
			return nil, "", start, false
		}
	}
	n := len(text)
	switch {
	case text[n-1] != s.delim || s.midLine:
		return text, "", start, true
	case s.delim == '\r':
		return text[:n-1], "\r", start, true
	case n > 1 && text[n-2] == '\r':
		return text[:n-2], "\r\n", start, true
	}
	return text[:n-1], "\n", start, true
}

// boundary tells whether a line delimits an open container, and prepares the
// closing of what it ends. The innermost match wins (Gmail nests equal
// boundaries); the whole line must match, so "--ab" never ends "a".
func (s *scanner) boundary(line []byte) bool {
	if len(line) < 3 || line[0] != '-' || line[1] != '-' {
		return false
	}
	line = bytes.TrimRight(line[2:], " \t\r")
	for i := len(s.stack) - 1; i >= 0; i-- {
		b := s.stack[i].boundary
		if b == "" || len(line) < len(b) || string(line[:len(b)]) != b {
			continue
		}
		switch rest := line[len(b):]; {
		case len(rest) == 0:
			s.keep, s.then = i+1, atHeader
		case string(rest) == "--":
			s.keep, s.then = i, inEpilogue
		default:
			continue
		}
		s.unterminated(i + 1)
		return true
	}
	return false
}

// next advances to the next event.
func (s *scanner) next() event {
	for {
		switch s.state {
		case atHeader:
			if s.parts++; s.parts > s.lim.Parts {
				s.problem("more than " + strconv.Itoa(s.lim.Parts) + " parts")
				n, err := io.Copy(io.Discard, s.br)
				s.readFailed, s.failure = err != nil, err
				s.offset += n
				s.keep, s.then, s.state, s.endAt = 0, atEnd, closing, s.offset
				continue
			}
			return s.begin()
		case closing:
			if len(s.stack) > s.keep {
				s.stack = s.stack[:len(s.stack)-1]
				return evClose
			}
			s.state, s.owed = s.then, ""
			if s.then == inEpilogue {
				s.owed = s.delimiterEnd
			}
		case atEnd:
			return evDone
		default:
			if ev, ok := s.lines(); ok {
				return ev
			}
		}
	}
}

// lines handles the next line of a body, a preamble or an epilogue; false means
// that it was no event of its own.
func (s *scanner) lines() (event, bool) {
	ev := evPreamble
	if s.state == inLeaf {
		ev = evBody
	}
	if len(s.pushback) > 0 {
		s.eol, s.chunk, s.pushback, s.owed = "", s.pushback, nil, ""
		return ev, true
	}
	if s.hit {
		s.hit = false
		return s.leave()
	}
	text, end, start, ok := s.line()
	if ok && start && s.boundary(text) {
		s.endAt, s.delimiterEnd = s.lineAt-int64(len(s.owed)), end
		return s.leave()
	}
	if s.state == inEpilogue && ok {
		s.owed = end
		return 0, false
	}
	s.eol, s.chunk, s.owed = s.owed, text, end
	if ok || (s.eol != "" && s.state != inEpilogue) {
		return ev, true // at the end of all, the last line end is the body's own
	}
	s.unterminated(0)
	s.keep, s.then, s.endAt = 0, atEnd, s.offset
	return s.leave()
}

// leave ends the leaf, if there is one, and lets the containers follow.
func (s *scanner) leave() (event, bool) {
	leaf := s.state == inLeaf
	s.state = closing
	return evLeafEnd, leaf
}

// unterminated notes that containers from the given one on did not end
// properly.
func (s *scanner) unterminated(from int) {
	for _, f := range s.stack[from:] {
		if f.boundary != "" {
			s.problem("multipart without its last boundary")
			return
		}
	}
}

// begin reads a header and opens the part it describes.
func (s *scanner) begin() event {
	top := len(s.stack) - 1
	limit := s.lim.Header
	if s.parts > 1 {
		limit = max(limit/16, 1)
	}
	s.readHeader(limit)
	s.fields = s.fields[:0]
	s.parseFields()

	digest := top >= 0 && s.stack[top].digest && len(s.pushback) == 0
	s.part = s.cs.describe(s.fields, digest)
	prefix, message := "", true
	if top >= 0 {
		f := &s.stack[top]
		f.n++
		prefix, message = f.path, f.message
	}
	p := &s.part
	switch {
	case !message:
		p.path = join(prefix, s.stack[top].n)
	case p.multipart():
		p.path = prefix // RFC 9051 §6.4.5.1: the multipart of a message has no number
	default:
		p.path = join(prefix, 1)
	}
	opens := p.multipart() || (p.message() && p.encoding == identity && p.path != s.opaque)
	if opens && len(s.stack) >= s.lim.Depth {
		s.problem("nested deeper than " + strconv.Itoa(s.lim.Depth))
		opens = false
	}
	s.owed = ""
	if !opens {
		s.state = inLeaf
		return evLeaf
	}
	f := frame{message: p.message(), path: p.path}
	s.state = atHeader
	if !f.message {
		f.boundary, f.digest = p.boundary, p.mediaType == "multipart/digest"
		s.state = inPreamble
	}
	s.stack = append(s.stack, f)
	if s.hit { // the header itself was cut off: nothing of this container follows
		s.state = inEpilogue
	}
	return evOpen
}

func join(prefix string, n int) string {
	if prefix == "" {
		return strconv.Itoa(n)
	}
	return prefix + "." + strconv.Itoa(n)
}
