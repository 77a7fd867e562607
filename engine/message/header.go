package message

import "bytes"

// fieldName is a header field that mailcote reads.
type fieldName uint8

const (
	fieldNone fieldName = iota
	fieldMessageID
	fieldInReplyTo
	fieldReferences
	fieldSubject
	fieldFrom
	fieldSender
	fieldReplyTo
	fieldTo
	fieldCc
	fieldBcc
	fieldDate
	fieldReceived
	fieldType
	fieldEncoding
	fieldDisposition
	fieldContentID
)

// field is a known field with its raw body, still folded.
type field struct {
	name fieldName
	body []byte
}

// maxFields bounds the known fields kept of one header. A normal one has a
// dozen.
const maxFields = 1000

func knownField(name []byte) fieldName {
	var buf [32]byte
	if len(name) > len(buf) {
		return fieldNone
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	switch string(buf[:len(name)]) {
	case "message-id":
		return fieldMessageID
	case "in-reply-to":
		return fieldInReplyTo
	case "references":
		return fieldReferences
	case "subject":
		return fieldSubject
	case "from":
		return fieldFrom
	case "sender":
		return fieldSender
	case "reply-to":
		return fieldReplyTo
	case "to":
		return fieldTo
	case "cc":
		return fieldCc
	case "bcc":
		return fieldBcc
	case "date":
		return fieldDate
	case "received":
		return fieldReceived
	case "content-type":
		return fieldType
	case "content-transfer-encoding":
		return fieldEncoding
	case "content-disposition":
		return fieldDisposition
	case "content-id":
		return fieldContentID
	}
	return fieldNone
}

// readHeader collects the known fields of a header into s.head, each line ended
// by \n. It stops at the empty line, at a boundary (and then sets s.hit), at a
// line that begins the body although no empty line came, or at the end of the
// message. A field is cut at a quarter of the limit, so that a long one leaves
// room for those that say what the message is. A line that is no field is dropped
// together with its continuation lines.
func (s *scanner) readHeader(limit int64) {
	last := s.delimiterEnd // line end before this line
	if s.firstLine {
		last = s.blankEnd
	}
	s.head, s.boundaryHit, s.inHeader, s.noHeader, s.firstLine = s.head[:0], false, false, false, false
	leading := s.parts == 1 // some servers put empty lines and NULs before a message
	parameters := false     // the last field has parameters
	keep, from := false, 0  // the last field is known, and where it begins
	room := func() int64 { return min(limit-int64(len(s.head)), limit/4-int64(len(s.head)-from)) }
	bad := false
	defer func() {
		if bad && !s.noHeader {
			s.problem("header line without a name")
		}
	}()
	for {
		text, end, start, ok := s.line()
		if !ok {
			return
		}
		if start && s.boundary(text) {
			s.boundaryHit, s.endAt, s.delimiterEnd = true, s.lineAt-int64(len(last)), end
			return
		}
		last = end
		if start && leading {
			text = bytes.TrimLeft(text, "\x00\ufeff")
			if len(bytes.TrimLeft(text, " \t")) == 0 && end != "" {
				continue
			}
			leading = false
		}
		if start && end != "" && len(text) == 0 {
			s.blankEnd, s.firstLine = end, true
			return
		}
		if start && len(text) > 0 && text[0] != ' ' && text[0] != '\t' {
			name, _, ok := splitField(text)
			switch {
			case parameters && isParam(text):
				if room() > 0 {
					s.head = append(s.head, ' ') // a continuation line that lost its indent
				}
			case ok:
				known := knownField(name)
				parameters = known == fieldType || known == fieldDisposition
				keep, from = known != fieldNone, len(s.head)
			case !isFromLine(text):
				line := bytes.Clone(text) // looking ahead moves the buffer
				if text = line; s.bodyBegins(line) {
					s.unread, s.unreadEnd, s.unreadAt = line, end, s.lineAt
					s.noHeader = !s.inHeader
					return
				}
				parameters, keep, bad = false, false, true
			default:
				parameters, keep = false, false
			}
		} else if start && end != "" && len(bytes.TrimSpace(text)) == 0 && s.inHeader {
			line := bytes.Clone(text)
			if text = line; s.bodyFollows() {
				s.blankEnd, s.firstLine = end, true
				return
			}
		} else if !s.inHeader {
			bad = true
		}
		if s.inHeader = true; !keep {
			continue
		}
		if room := max(room(), 0); int64(len(text)) > room {
			s.problem("header cut")
			text = text[:room]
		}
		s.head = append(s.head, text...)
		ended := len(text) == 0 && bytes.HasSuffix(s.head, []byte("\n")) // by a line before this one
		if end != "" && !ended && int64(len(s.head)) < limit {
			s.head = append(s.head, '\n')
		}
	}
}

// maxAhead bounds how far is looked ahead for the end of a header.
const maxAhead = 4 << 10

// ahead tells of the lines up to the next empty one, or up to a boundary: how
// many they are, whether one is a field of a header, whether the first one is
// indented, and whether text follows the empty line.
func (s *scanner) ahead() (lines int, field, indented, after bool) {
	b, _ := s.br.Peek(maxAhead)
	for pos := 0; pos < len(b); lines++ {
		next := len(b)
		if i := bytes.IndexByte(b[pos:], s.delim); i >= 0 {
			next = pos + i + 1
		}
		line := bytes.TrimRight(b[pos:next], "\r\n")
		if _, _, hit := s.delimits(line); hit {
			return lines, false, indented, false
		}
		if len(line) == 0 {
			rest := bytes.TrimSpace(b[next:])
			s.headerUntil = s.offset + int64(next)
			if line, _, _ = bytes.Cut(rest, []byte{s.delim}); len(line) == 0 {
				return lines, false, indented, false
			}
			_, _, hit := s.delimits(bytes.TrimRight(line, "\r\n"))
			return lines, false, indented, !hit
		}
		if line[0] != ' ' && line[0] != '\t' {
			if headerField(line) {
				s.headerUntil = s.offset + int64(pos)
				return lines, true, indented, true
			}
		} else {
			indented = indented || lines == 0
		}
		pos = next
	}
	s.headerUntil = s.offset + int64(len(b))
	return lines, false, indented, false
}

// bodyBegins reports whether a line within a header, which is no field, is the
// first of the body. It is if no field follows, and if it reads like text. A
// short line before an empty one is a damage.
func (s *scanner) bodyBegins(line []byte) bool {
	if s.offset < s.headerUntil {
		return false
	}
	lines, field, _, after := s.ahead()
	if field {
		return false
	}
	begins := !s.inHeader || lines > 0 || !after || bytes.HasPrefix(line, []byte("--")) ||
		len(bytes.Fields(line[:min(len(line), 200)])) >= 4
	if begins {
		s.headerUntil = 0
		if s.inHeader {
			s.problem("no empty line after the header")
		}
	}
	return begins
}

// bodyFollows reports whether a line of white space stands for the empty line.
// It is part of a folded field (RFC 5322 §4.2, obsolete) if another field or
// line of it follows.
func (s *scanner) bodyFollows() bool {
	if s.offset < s.headerUntil {
		return false
	}
	_, field, indented, after := s.ahead()
	if field || indented && after {
		return false
	}
	s.headerUntil = 0
	return true
}

// headerField reports whether a line is a field that mail has, and not a line of
// text with a colon in it.
func headerField(line []byte) bool {
	name, _, ok := splitField(line)
	if !ok {
		return false
	}
	if knownField(name) != fieldNone {
		return true
	}
	var buf [40]byte
	if len(name) > len(buf) {
		return bytes.IndexByte(name, '-') > 0
	}
	low := lower(buf[:0], name)
	switch first, _, compound := bytes.Cut(low, []byte("-")); string(first) {
	case "x", "content", "list", "dkim", "arc", "return", "delivered", "mime", "authentication", "user", "resent",
		"thread", "auto", "feedback", "envelope", "original", "disposition", "errors", "domainkey", "message",
		"in", "reply", "apparently", "old", "mailing", "require", "openpgp", "iron":
		return compound
	case "precedence", "importance", "priority", "sensitivity", "organization", "status", "lines", "newsgroups",
		"xref", "autocrypt", "mailer", "received":
		return true
	}
	return false
}

// parseFields splits s.head into its fields.
func (s *scanner) parseFields() {
	for rest := s.head; len(rest) > 0 && len(s.fields) < maxFields; {
		end := fieldEnd(rest)
		if name, body, ok := splitField(rest[:end]); ok {
			s.fields = append(s.fields, field{knownField(name), body})
		}
		rest = rest[end:]
	}
	if s.noHeader {
		s.problem("no header")
	}
}

// fieldEnd returns the length of the first field with its continuation lines.
func fieldEnd(b []byte) int {
	n := 0
	for {
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			return len(b)
		}
		n += i + 1
		if n == len(b) || (b[n] != ' ' && b[n] != '\t') {
			return n
		}
	}
}

// splitField splits "Name: body". White space before the colon is tolerated.
func splitField(line []byte) (name, body []byte, ok bool) {
	i := 0
	for i < len(line) && line[i] > ' ' && line[i] < 0x7f && line[i] != ':' {
		i++
	}
	name = line[:i]
	for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
		i++
	}
	if len(name) == 0 || i == len(line) || line[i] != ':' {
		return nil, nil, false
	}
	return name, bytes.TrimSpace(line[i+1:]), true
}

// isFromLine recognises the separator line of mbox files.
func isFromLine(line []byte) bool {
	return bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))
}
