package message

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
)

// eventKind is what scanner.next found.
type eventKind uint8

const (
	evDone     eventKind = iota // nothing follows
	evOpen                      // a multipart or message/rfc822 begins, s.part; its children follow
	evClose                     // the innermost open container ends
	evLeaf                      // a part with a body begins, s.part
	evBody                      // s.eol then s.chunk: more bytes of the leaf, still transfer-encoded
	evLeafEnd                   // the leaf ends
	evPreamble                  // s.eol then s.chunk: bytes of a container before its first part
)

type state uint8

const (
	atHeader   state = iota
	inLeaf           // lines belong to the leaf
	inPreamble       // lines come before the first part of the innermost container
	inEpilogue       // lines are ignored
	closing          // containers are popped down to s.keep, then s.then follows
	atEnd
)

// frame is an open container. boundary is empty for a message/rfc822, and for a
// multipart without a usable boundary: no line matches it.
type frame struct {
	boundary string
	message  bool
	digest   bool
	path     string // IMAP part number that prefixes its children's
	n        int    // children so far
}

// scanner cuts a message into parts in one pass, line by line. It holds at most
// a buffer of lines and one header.
type scanner struct {
	br     *bufio.Reader
	delim  byte // '\n', or '\r' for a message that has no other line ends
	lim    Limits
	cs     *charsets
	opaque string // path of a part that is a leaf even if it is a message

	state state
	stack []frame
	parts int

	part      part
	fields    []field // of the last header
	head      []byte  // their bytes
	eol       string  // line end to be added before chunk
	chunk     []byte
	heldEnd   string // the last line end, held back: before a boundary it belongs to that
	blankEnd  string // the end of the empty line after a header, likewise
	firstLine bool   // the next line is the first after that empty line
	inHeader  bool   // a line of the header was read
	noHeader  bool   // the part has none, its body begins at once
	midLine   bool   // the next fragment continues a line
	offset    int64  // bytes read
	lineAt    int64  // offset of the last line or fragment
	endAt     int64  // offset at which the last body ended
	// delimiterEnd is the line end of the last boundary line. It is empty if
	// another boundary follows at once.
	delimiterEnd string
	boundaryHit  bool // a boundary was found while reading a header
	// unread is a line that was read and belongs to what follows.
	unread      []byte
	unreadEnd   string
	unreadAt    int64
	headerUntil int64 // the header reaches at least to this offset
	sniffs      int   // boundaries that may still be taken from a body
	keep        int
	then        state
	problem     func(string)
	readFailed  bool
	failure     error
}

func newScanner(r io.Reader, lim Limits, cs *charsets, problem func(string)) *scanner {
	size := 16 << 10
	if known, ok := r.(interface{ Len() int }); ok { // most messages are smaller
		size = min(size, known.Len()+1)
	}
	s := &scanner{br: bufio.NewReaderSize(r, size), delim: '\n', lim: lim, cs: cs, problem: problem, sniffs: 20}
	s.head, s.fields = make([]byte, 0, min(size, 2<<10)), make([]field, 0, 16)
	start, _ := s.br.Peek(4096)
	if bytes.IndexByte(start, '\n') < 0 && bytes.IndexByte(start, '\r') >= 0 {
		s.delim = '\r'
	}
	return s
}

// line reads the next line or, of a long one, the next fragment. start reports
// whether text begins a line. end is the line end, or "" if there is none.
func (s *scanner) line() (text []byte, end string, start, ok bool) {
	if text = s.unread; text != nil {
		s.unread, s.lineAt = nil, s.unreadAt
		return text, s.unreadEnd, true, true
	}
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

// boundary reports whether a line delimits an open container. If so, it
// prepares to close what the line ends. The innermost match wins, because some
// senders nest equal boundaries. The whole line must match, so "--ab" never ends "a".
func (s *scanner) boundary(line []byte) bool {
	if len(line) < 3 || line[0] != '-' {
		return false
	}
	i, last, ok := s.delimits(line)
	if !ok {
		return false
	}
	if last {
		s.keep, s.then = i, inEpilogue
	} else {
		s.keep, s.then = i+1, atHeader
	}
	s.unterminated(i + 1)
	return true
}

// bodyAt is the offset of the body whose header was read.
func (s *scanner) bodyAt() int64 {
	if s.unread != nil {
		return s.unreadAt
	}
	return s.offset
}

// delimits finds the open container that a line delimits, and whether it ends
// it.
func (s *scanner) delimits(line []byte) (i int, last, ok bool) {
	if len(line) < 3 || line[0] != '-' || line[1] != '-' {
		return 0, false, false
	}
	line = bytes.TrimRight(line[2:], " \t\r")
	for i := len(s.stack) - 1; i >= 0; i-- {
		b := s.stack[i].boundary
		if b == "" || len(line) < len(b) || string(line[:len(b)]) != b {
			continue
		}
		switch rest := line[len(b):]; {
		case len(rest) == 0:
			return i, false, true
		case string(rest) == "--":
			return i, true, true
		}
	}
	return 0, false, false
}

// next advances to the next event.
func (s *scanner) next() eventKind {
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
			s.state, s.heldEnd = s.then, ""
			if s.then == inEpilogue {
				s.heldEnd = s.delimiterEnd
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

// lines handles the next line of a body, a preamble or an epilogue. It returns
// false if the line is no event of its own.
func (s *scanner) lines() (eventKind, bool) {
	ev := evPreamble
	if s.state == inLeaf {
		ev = evBody
	}
	if s.boundaryHit {
		s.boundaryHit = false
		return s.leave()
	}
	text, end, start, ok := s.line()
	first := s.firstLine
	s.firstLine = false
	if ok && start && len(text) > 2 && text[0] == '-' {
		if s.state == inPreamble {
			text = s.sniffed(text)
		}
		if s.boundary(text) {
			before := s.heldEnd
			if first { // the body is empty: the line end before the boundary is that of the empty line
				before = s.blankEnd
			}
			s.endAt, s.delimiterEnd = s.lineAt-int64(len(before)), end
			return s.leave()
		}
	}
	if s.state == inEpilogue && ok {
		s.heldEnd = end
		return 0, false
	}
	s.eol, s.chunk, s.heldEnd = s.heldEnd, text, end
	if ok || (s.eol != "" && s.state != inEpilogue) {
		return ev, true // at the end of the message the last line end belongs to the body
	}
	s.unterminated(0)
	s.keep, s.then, s.endAt = 0, atEnd, s.offset
	return s.leave()
}

// leave ends the leaf, if there is one, and then the containers.
func (s *scanner) leave() (eventKind, bool) {
	leaf := s.state == inLeaf
	s.state = closing
	return evLeafEnd, leaf
}

// unterminated reports containers, from the given one on, that did not end
// properly.
func (s *scanner) unterminated(from int) {
	for _, f := range s.stack[from:] {
		if f.boundary != "" {
			s.problem("multipart without its last boundary")
			return
		}
	}
}

// begin reads a header and opens the part that it describes.
func (s *scanner) begin() eventKind {
	top := len(s.stack) - 1
	limit := s.lim.Header
	if s.parts > 1 {
		limit = max(limit/16, 1)
	}
	s.readHeader(limit)
	s.fields = s.fields[:0]
	s.parseFields()

	digest := top >= 0 && s.stack[top].digest && !s.noHeader
	s.part = describe(s.cs, s.fields, digest)
	s.retype()
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
	s.heldEnd = ""
	if !opens {
		s.state = inLeaf
		return evLeaf
	}
	f := frame{message: p.message(), path: p.path}
	s.state = atHeader
	if !f.message {
		f.boundary, f.digest = p.boundary, p.mediaType == "multipart/digest"
		s.state = inPreamble
		if s.ofOuterMessage(f.boundary) {
			f.boundary = ""
		}
	}
	s.stack = append(s.stack, f)
	if s.boundaryHit { // a boundary cut off the header, so the container is empty
		s.state = inEpilogue
	}
	return evOpen
}

// ofOuterMessage reports whether a boundary is one of a message around the one
// at hand. Then its lines end parts of that one, as RFC 2046 §5.1.1 has it: an
// attached message must not hold a boundary of what it is attached to.
func (s *scanner) ofOuterMessage(boundary string) bool {
	attached := false
	for i := len(s.stack) - 1; i >= 0; i-- {
		f := &s.stack[i]
		if attached && f.boundary != "" && f.boundary == boundary {
			return true
		}
		attached = attached || f.message
	}
	return false
}

func join(prefix string, n int) string {
	if prefix == "" {
		return strconv.Itoa(n)
	}
	return prefix + "." + strconv.Itoa(n)
}
