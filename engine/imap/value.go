package imap

import (
	"fmt"
	"io"
)

// literalSize reads {n}CRLF. The scanner stands on "{", or on "~{" for a
// literal8.
func (s *scanner) literalSize() (int64, error) {
	c, err := s.peek()
	if err == nil && c == '~' {
		s.pos++
	}
	if err := s.take('{'); err != nil {
		return 0, err
	}
	t, err := s.token(func(c byte) bool { return c < '0' || c > '9' })
	if err != nil {
		return 0, err
	}
	if len(t) == 0 {
		return 0, fmt.Errorf("%w: literal without a size", ErrSyntax)
	}
	n, ok := digits(t)
	if !ok || n > s.lim.Streamed {
		return 0, fmt.Errorf("%w: literal of %.20s octets", ErrLimit, t)
	}
	if c, err := s.peek(); err == nil && c == '+' {
		s.pos++
	}
	if err := s.take('}'); err != nil {
		return 0, err
	}
	if c, err := s.peek(); err == nil && c == '\r' {
		s.pos++
	}
	return n, s.take('\n')
}

// skipLiteral drops a literal of n octets that nobody asked for. Its octets
// count towards the command's limit.
func (s *scanner) skipLiteral(n int64) error {
	s.literals += n // first: its octets must not count towards the line
	return s.discard(n)
}

func (s *scanner) discard(n int64) error {
	for n > 0 {
		if s.pos == s.end {
			if err := s.fill(); err != nil {
				return err
			}
		}
		k := min(n, int64(s.end-s.pos))
		s.pos += int(k)
		n -= k
	}
	return nil
}

// keep books n octets before they are held in memory.
func (s *scanner) keep(n int64) error {
	s.kept += n
	if s.kept > s.lim.Literal {
		return fmt.Errorf("%w: strings of over %d octets", ErrLimit, s.lim.Literal)
	}
	return nil
}

// appendLiteral appends the n octets of a literal to tok.
func (s *scanner) appendLiteral(n int64) error {
	if err := s.keep(n); err != nil {
		return err
	}
	s.literals += n
	for n > 0 {
		if s.pos == s.end {
			if err := s.fill(); err != nil {
				return err
			}
		}
		k := min(n, int64(s.end-s.pos))
		s.tok = append(s.tok, s.buf[s.pos:s.pos+int(k)]...)
		s.pos += int(k)
		n -= k
	}
	return nil
}

// quoted appends the content of a quoted string to tok. With raw it keeps the
// quotes and backslashes. A backslash before anything but a quote or a
// backslash stands for itself.
func (s *scanner) quoted(raw bool) error {
	if err := s.take('"'); err != nil {
		return err
	}
	if raw {
		s.tok = append(s.tok, '"')
	}
	before := len(s.tok)
	for esc := false; ; {
		c, err := s.peek()
		if err != nil {
			return err
		}
		if c == '\r' || c == '\n' {
			return fmt.Errorf("%w: quoted string without an end", ErrSyntax)
		}
		s.pos++
		switch {
		case esc:
			if !raw && c != '"' && c != '\\' {
				s.tok = append(s.tok, '\\')
			}
			s.tok, esc = append(s.tok, c), false
		case c == '\\':
			esc = true
			if raw {
				s.tok = append(s.tok, c)
			}
		case c == '"':
			if raw {
				s.tok = append(s.tok, c)
			}
			return s.keep(int64(len(s.tok) - before))
		default:
			s.tok = append(s.tok, c)
		}
	}
}

// str reads a string: quoted, a literal, or a bare word. null is true for NIL
// and for an absent value.
func (s *scanner) str() (t []byte, null bool, err error) {
	c, err := s.spaces()
	if err != nil {
		return nil, false, err
	}
	s.tok = s.tok[:0]
	switch c {
	case '"':
		err = s.quoted(false)
		return s.tok, false, err
	case '{', '~':
		if lit, err := s.atLiteral(c); err != nil || lit {
			if err != nil {
				return nil, false, err
			}
			n, err := s.literalSize()
			if err == nil {
				s.tok = s.tok[:0]
				err = s.appendLiteral(n)
			}
			return s.tok, false, err
		}
	}
	t, err = s.token(endsFlag)
	return t, len(t) == 0 || is(t, "NIL"), err
}

// atLiteral tells "~{" from a word that begins with a tilde.
func (s *scanner) atLiteral(c byte) (bool, error) {
	if c == '{' {
		return true, nil
	}
	if s.pos+1 < s.end {
		return s.buf[s.pos+1] == '{', nil
	}
	// "~" is the last octet in the buffer: make room after it and read on.
	if s.pos > 0 {
		s.buf[0], s.pos, s.end = c, 0, 1
	}
	n, err := s.readRaw(s.buf[1:])
	s.end += n
	if err != nil {
		s.err = err
		return false, err
	}
	return s.buf[1] == '{', nil
}

// capture keeps a value as it was sent. Where it would exceed the limit of kept
// octets it stops and becomes partial.
type capture struct {
	s       *scanner
	out     []byte
	partial bool
}

func (c *capture) add(t ...byte) {
	if c == nil || c.partial {
		return
	}
	if c.s.keep(int64(len(t))) != nil {
		c.partial = true
		return
	}
	c.out = append(c.out, t...)
}

// value passes over one value: a word, a string, a literal, or a list nested at
// most Depth deep. Where no value stands it reads nothing.
func (s *scanner) value(keep *capture) error {
	for depth := 0; ; {
		c, err := s.peek()
		if err != nil {
			return err
		}
		switch {
		case c == '\r' || c == '\n':
			if depth > 0 {
				return fmt.Errorf("%w: line ends inside a list", ErrSyntax)
			}
		case c == ')' && depth == 0:
		case c == ' ':
			s.pos++
			if depth > 0 {
				keep.add(' ')
			}
			continue
		case c == '(' || c == ')':
			s.pos++
			if depth++; c == ')' {
				depth -= 2
			}
			if depth > s.lim.Depth {
				return fmt.Errorf("%w: lists nested over %d deep", ErrLimit, s.lim.Depth)
			}
			keep.add(c)
		default:
			if err := s.element(c, keep); err != nil {
				return err
			}
		}
		if depth == 0 {
			return nil
		}
	}
}

// element passes over a string, a literal or a word.
func (s *scanner) element(c byte, keep *capture) error {
	kept := s.kept // tok is scratch; capture.add books what is kept
	defer func() { s.tok = s.tok[:0] }()
	s.tok = s.tok[:0]
	lit, err := false, error(nil)
	if c == '{' || c == '~' {
		if lit, err = s.atLiteral(c); err != nil {
			return err
		}
	}
	switch {
	case c == '"':
		err := s.quoted(true)
		s.kept = kept
		keep.add(s.tok...)
		return err
	case lit:
		n, err := s.literalSize()
		if err != nil {
			return err
		}
		if keep == nil || kept+n > s.lim.Literal {
			if keep != nil {
				keep.partial = true
			}
			return s.skipLiteral(n)
		}
		s.tok = fmt.Appendf(s.tok[:0], "{%d}\r\n", n)
		err = s.appendLiteral(n)
		s.kept = kept
		keep.add(s.tok...)
		return err
	}
	t, err := s.token(endsFlag)
	keep.add(t...)
	return err
}

// literal reads a streamed literal. It returns io.EOF only after the last
// octet. If the connection ends earlier, the error is io.ErrUnexpectedEOF.
type literal struct {
	s    *scanner
	left int64
}

func (l *literal) open(n int64) {
	l.left = n
	l.s.literals += n
	l.s.streamed += n
}

func (l *literal) Read(p []byte) (int, error) {
	s := l.s
	if s.err != nil {
		return 0, s.err
	}
	if l.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), l.left)]
	if len(p) == 0 {
		return 0, nil
	}
	n := copy(p, s.buf[s.pos:s.end])
	s.pos += n
	if n == 0 {
		n, s.err = s.readRaw(p)
	}
	l.left -= int64(n)
	return n, s.err
}

// WriteTo saves io.Copy a buffer.
func (l *literal) WriteTo(w io.Writer) (written int64, err error) {
	for l.left > 0 {
		if l.s.pos == l.s.end {
			if err := l.s.fill(); err != nil {
				return written, err
			}
		}
		k := int(min(l.left, int64(l.s.end-l.s.pos)))
		n, err := w.Write(l.s.buf[l.s.pos : l.s.pos+k])
		l.s.pos += n
		l.left -= int64(n)
		written += int64(n)
		if err != nil {
			return written, err
		}
		if n < k {
			return written, io.ErrShortWrite
		}
	}
	return written, nil
}
