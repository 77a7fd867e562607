package message

import "bytes"

// Boundaries that a body proves. Some programs and gateways lose the parameter,
// change it, or give the message another type. Shown as text, such a message is
// its own source.

// sniffed looks at a line of a preamble that begins with "--" and delimits
// nothing. If it is followed by a field of a part, and the boundary that the
// header declares does not come soon, it is the boundary. The line is returned,
// since looking ahead moves the buffer.
func (s *scanner) sniffed(line []byte) []byte {
	f := &s.stack[len(s.stack)-1]
	if _, _, hit := s.delimits(line); hit || f.message || f.n > 0 || s.sniffs == 0 {
		return line
	}
	s.sniffs--
	line = bytes.Clone(line)
	boundary := bytes.TrimRight(line[2:], " \t\r")
	next, _ := s.br.Peek(2 * maxAhead)
	if len(boundary) > 0 && len(boundary) <= 200 && partField(next) &&
		(f.boundary == "" || !s.hasDelimiter(next, f.boundary)) {
		f.boundary = string(boundary)
	}
	return line
}

// hasDelimiter reports whether one of the lines is the delimiter of a boundary.
func (s *scanner) hasDelimiter(lines []byte, boundary string) bool {
	mark := []byte("--" + boundary)
	for {
		i := bytes.Index(lines, mark)
		if i < 0 {
			return false
		}
		after := lines[i+len(mark):]
		if (i == 0 || lines[i-1] == s.delim) && len(after) > 0 && after[0] <= ' ' {
			return true
		}
		lines = after
	}
}

// partField reports whether text begins with a field of a part.
func partField(b []byte) bool {
	n := len("content-")
	return len(b) > n && bytes.EqualFold(b[:n], []byte("content-")) && headerField(b[:min(len(b), 80)])
}

// retype corrects the type of a part by the first lines of its body. A type that
// is no multipart but has a boundary is one, if the boundary is there. So is a
// message without a type that begins with a part.
func (s *scanner) retype() {
	p := &s.part
	if p.multipart() || p.message() || s.boundaryHit || p.boundary == "" && (!p.untyped || s.unread != nil) {
		return
	}
	b, _ := s.br.Peek(maxAhead)
	if s.unread != nil {
		b = append(append(bytes.Clone(s.unread), '\n'), b...)
	}
	if p.boundary != "" {
		if s.hasDelimiter(b, p.boundary) {
			p.mediaType = "multipart/mixed"
		}
		return
	}
	b = bytes.TrimLeft(b, "\r\n")
	line, rest, _ := bytes.Cut(b, []byte{s.delim})
	if bytes.Contains(line, []byte("MIME")) && bytes.Contains(line, []byte("multi")) { // the usual preamble
		line, rest, _ = bytes.Cut(bytes.TrimLeft(rest, "\r\n"), []byte{s.delim})
	}
	boundary, ok := bytes.CutPrefix(bytes.TrimRight(line, " \t\r"), []byte("--"))
	if _, _, hit := s.delimits(line); !hit && ok && len(boundary) > 0 && len(boundary) <= 200 && partField(rest) {
		p.mediaType, p.boundary = "multipart/mixed", string(boundary)
	}
}
