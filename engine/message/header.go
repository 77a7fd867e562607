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

// readHeader collects a header into s.head, each line ended by \n. It stops at
// the empty line, at a boundary (and then sets s.hit), or at the end of the
// message.
func (s *scanner) readHeader(limit int64) {
	s.head, s.boundaryHit = s.head[:0], false
	last := ""              // line end before this line
	leading := s.parts == 1 // some servers put empty lines and NULs before a message
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
			if len(text) == 0 && end != "" {
				continue
			}
			leading = false
		}
		if start && end != "" && len(text) == 0 {
			return
		}
		if room := limit - int64(len(s.head)); int64(len(text)) > room {
			s.problem("header cut")
			text = text[:max(room, 0)]
		}
		s.head = append(s.head, text...)
		if end != "" && int64(len(s.head)) < limit {
			s.head = append(s.head, '\n')
		}
	}
}

// parseFields finds the known fields of s.head. A line that is no field is
// dropped together with its continuation lines. A block without any field is
// the body of a part whose header is missing.
func (s *scanner) parseFields() {
	rest, any, bad := s.head, false, false
	for len(rest) > 0 {
		end := fieldEnd(rest)
		line := rest[:end]
		rest = rest[end:]
		name, body, ok := splitField(line)
		if !ok {
			bad = bad || !isFromLine(line)
			continue
		}
		any = true
		known := knownField(name)
		if known == fieldNone || len(s.fields) == maxFields {
			continue
		}
		s.fields = append(s.fields, field{known, body})
	}
	switch {
	case any && bad:
		s.problem("header line without a name")
	case bad && len(bytes.TrimSpace(s.head)) > 0:
		s.problem("no header")
		s.pushback = append(s.head, '\n')
		s.head = nil
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
