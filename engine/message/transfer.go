package message

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"
)

// codec is a content transfer encoding. An unknown one is identity.
type codec uint8

const (
	identity codec = iota
	base64Encoding
	quotedPrintable
	uuencoded
)

// codecOf reads a Content-Transfer-Encoding. RFC 2045 §6.1 and RFC 822 §3.1.4
// allow comments in it. Its letters and digits decide, so that "base-64" counts.
func codecOf(body []byte) codec {
	value := withoutComments(body)
	if i := bytes.IndexAny(value, ";,"); i >= 0 {
		value = value[:i]
	}
	var buf [24]byte
	name := buf[:0]
	for _, c := range value {
		if c |= 0x20; 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			if name = append(name, c); len(name) == len(buf) {
				return identity
			}
		}
	}
	switch string(bytes.TrimPrefix(name, []byte("x"))) {
	case "base64", "b64", "b":
		return base64Encoding
	case "quotedprintable", "qp", "q":
		return quotedPrintable
	case "uuencode", "uuencoded", "uue", "uu":
		return uuencoded
	}
	return identity
}

// transfer decodes a transfer encoding line by line and keeps whatever can be
// read. A foreign byte in base64 is skipped. Padding ends a group wherever it
// stands. A broken quoted-printable escape stays as it is.
//
// Base64 and uuencode end where the data ends. What follows is no part of it,
// because mailing lists and gateways append their text to a message as it
// stands. What is labelled as one of them and is not stays as it is.
type transfer struct {
	kind   codec
	acc    uint32 // base64: bits of the open group
	n      uint8  // base64: characters in it; quoted-printable: state
	held   byte   // quoted-printable: first hex digit
	phase  phase  // base64 and uuencode
	begun  bool   // a line was seen
	plain  bool   // base64: "+" or "/" was seen
	safe   bool   // base64: it is in the alphabet of RFC 4648 §5
	looks  int    // base64: clean lines that were looked at for the alphabet
	ended  bool   // base64: the last line was the last one by its looks
	padded bool   // base64: … and by its padding
	width  int    // base64: length of the first line
	hold   []byte // what came in phase unsure
	footer []byte // base64: what follows the data
	name   string // uuencode: the name of the file
}

type phase uint8

const (
	unsure phase = iota // it may be another encoding
	inData
	afterData
	notEncoded
)

// maxHold bounds what is held until its encoding is known, maxFooter what is
// kept of the text that follows.
const (
	maxHold   = 256
	maxFooter = 16 << 10
)

// enoughLooks is the number of clean lines that show the alphabet: looking at all
// costs a fifth of decoding them.
const enoughLooks = 64

// States of quoted-printable.
const (
	qpText   = iota
	qpEquals // "="
	qpHex    // "=" and one digit
	qpBlank  // "=" and white space: a soft break may follow
	qpReturn // "=" and CR
)

// add decodes the end of the last line and then a line, or a piece of one.
func (t *transfer) add(dst []byte, eol string, chunk []byte) []byte {
	switch t.kind {
	case base64Encoding:
		if n := len(chunk); n == t.width && n&3 == 0 && t.n == 0 && t.phase == inData && !t.ended && n > 0 {
			out, err := base64.StdEncoding.AppendDecode(dst, chunk) // the usual case: a full and clean line
			if err == nil && len(out)-len(dst) == n/4*3 {
				if !t.plain && t.looks < enoughLooks {
					t.looks++
					t.see(chunk)
				}
				return out
			}
		}
		whole := eol != "" || !t.begun
		t.begun = true
		return t.base64Line(dst, eol, chunk, whole)
	case quotedPrintable:
		if eol != "" {
			dst = t.quoted(dst, []byte(eol))
		}
		return t.quoted(dst, chunk)
	case uuencoded:
		return t.uuLine(dst, eol, chunk)
	}
	return append(append(dst, eol...), chunk...)
}

// flush ends the data.
func (t *transfer) flush(dst []byte) []byte {
	switch t.kind {
	case base64Encoding:
		if t.phase == unsure {
			dst = t.decide(dst)
		}
		dst = t.pad(dst)
	case quotedPrintable:
		if t.n == qpHex {
			dst = append(dst, '=', t.held)
		}
		t.n = qpText
	case uuencoded:
		dst = append(dst, t.hold...)
		t.hold = nil
	}
	return dst
}

// sextet returns the value of a base64 character, and 0xff for any other.
func sextet(c byte) uint32 {
	switch {
	case 'A' <= c && c <= 'Z':
		return uint32(c - 'A')
	case 'a' <= c && c <= 'z':
		return uint32(c-'a') + 26
	case '0' <= c && c <= '9':
		return uint32(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return 0xff
}

// base64Line decodes a line of base64 if it is one. start reports whether the
// line begins here.
func (t *transfer) base64Line(dst []byte, eol string, line []byte, start bool) []byte {
	switch t.phase {
	case inData:
		if start && t.foreign(line) {
			dst, t.phase = t.pad(dst), afterData
			t.footer = append(t.footer, line...)
			return dst
		}
		t.note(line, start)
		return t.base64(dst, line)
	case afterData:
		if len(t.footer)+len(line) < maxFooter {
			if eol != "" {
				t.footer = append(t.footer, '\n')
			}
			t.footer = append(t.footer, line...)
		}
		return dst
	case notEncoded:
		return append(append(dst, eol...), line...)
	}
	if start && t.foreign(line) {
		if dst = t.decide(dst); t.phase == inData {
			return t.base64Line(dst, eol, line, true)
		}
		t.phase = notEncoded
		return append(append(dst, eol...), line...)
	}
	t.hold = append(append(t.hold, eol...), line...)
	if padded := bytes.HasSuffix(line, []byte("=")); len(t.hold) >= 40 || padded {
		hold, width := t.hold, len(line)
		t.hold, t.phase, t.width = nil, inData, width
		t.note(line, start)
		return t.base64(dst, hold)
	}
	t.note(line, start)
	return dst
}

// note remembers what a line tells of the end of the data.
func (t *transfer) note(line []byte, start bool) {
	line = bytes.TrimSpace(line)
	if t.width == 0 {
		t.width = len(line)
	}
	pad := bytes.HasSuffix(line, []byte("="))
	t.padded = pad || t.padded && len(line) == 0
	t.ended = pad || start && (len(line) < t.width || len(line) == 0)
}

// decide ends phase unsure: short lines of letters and digits may be words.
// Base64 mixes capitals, small letters and digits as words do not, and makes
// text.
func (t *transfer) decide(dst []byte) []byte {
	hold := t.hold
	t.hold, t.phase = nil, inData
	letters := bytes.Join(bytes.Fields(hold), nil)
	if len(letters) == 0 {
		t.phase = notEncoded
		return append(dst, hold...)
	}
	mixed := bytes.ContainsAny(letters, "0123456789+/=")
	for i := 1; i < len(letters); i++ {
		mixed = mixed || 'A' <= letters[i] && letters[i] <= 'Z' && 'a' <= letters[i-1] && letters[i-1] <= 'z'
	}
	was := len(dst)
	out := t.base64(dst, hold)
	if n := len(letters) % 4; n != 1 && mixed || n == 0 && utf8.Valid(out[was:]) && !noText(out[was:]) {
		return out
	}
	t.acc, t.n, t.phase = 0, 0, notEncoded
	return append(dst[:was], hold...)
}

// foreign reports whether a line is no base64. After the padding one foreign
// byte says so. Before it the byte may be a damage.
func (t *transfer) foreign(line []byte) bool {
	line = bytes.TrimSpace(line)
	other, blanks, safe := 0, 0, 0
	for _, c := range line {
		switch {
		case c == ' ' || c == '\t':
			blanks++
		case c == '-' || c == '_':
			safe++
		case c != '=' && sextet(c) == 0xff:
			other++
		}
	}
	if !t.safe || t.ended && safe*4 > len(line) { // a rule stands below the data
		other += safe
	}
	switch {
	case len(line) == 0:
		return false
	case t.padded: // another piece of base64 may follow, but no word
		return other > 0 || blanks > 0 || len(line)%4 != 0 || len(line) < 16 && line[len(line)-1] != '='
	case t.ended:
		return other > 1 || blanks > 0 || other > 0 && len(line) < 24 || t.n == 0 && len(line)%4 != 0
	}
	return other*4 > len(line) || blanks > 0 && (other > 0 || len(line) < 40)
}

// see notes what a line tells of the alphabet. "-" and "_" are data (RFC 4648 §5)
// if neither "+" nor "/" was seen, and the groups are not whole without them.
// Otherwise they are a damage.
func (t *transfer) see(line []byte) {
	if t.plain = t.plain || bytes.IndexByte(line, '+') >= 0 || bytes.IndexByte(line, '/') >= 0; t.plain {
		t.safe = false
		return
	}
	if bytes.IndexByte(line, '-') < 0 && bytes.IndexByte(line, '_') < 0 {
		return
	}
	standard, safe := int(t.n), 0
	for _, c := range line {
		switch {
		case c == '-' || c == '_':
			safe++
		case c == '=' || sextet(c) != 0xff:
			standard++
		}
	}
	t.safe = (standard+safe)%4 == 0 || standard%4 != 0
}

func (t *transfer) base64(dst, src []byte) []byte {
	t.see(src)
	for _, c := range src {
		v := sextet(c)
		switch {
		case c == '-' && t.safe:
			v = 62
		case c == '_' && t.safe:
			v = 63
		case c == '=':
			dst = t.pad(dst)
			continue
		case v == 0xff:
			continue
		}
		t.acc = t.acc<<6 | v
		if t.n++; t.n == 4 {
			dst = append(dst, byte(t.acc>>16), byte(t.acc>>8), byte(t.acc))
			t.acc, t.n = 0, 0
		}
	}
	return dst
}

// appendBase64 decodes the base64 of an encoded word.
func appendBase64(dst []byte, s string) []byte {
	var t transfer
	return t.pad(t.base64(dst, []byte(s)))
}

// pad writes the bytes that an incomplete base64 group still determines.
func (t *transfer) pad(dst []byte) []byte {
	switch t.n {
	case 2:
		dst = append(dst, byte(t.acc>>4))
	case 3:
		dst = append(dst, byte(t.acc>>10), byte(t.acc>>2))
	}
	t.acc, t.n = 0, 0
	return dst
}

func (t *transfer) quoted(dst, src []byte) []byte {
	for i := 0; i < len(src); i++ {
		c := src[i]
		switch t.n {
		case qpText:
			n := bytes.IndexByte(src[i:], '=')
			if n < 0 {
				return append(dst, src[i:]...)
			}
			dst = append(dst, src[i:i+n]...)
			i += n
			t.n = qpEquals
			continue
		case qpEquals:
			switch {
			case c == '\r':
				t.n = qpReturn
				continue
			case c == '\n':
				t.n = qpText
				continue
			case unhex(c) >= 0:
				t.held, t.n = c, qpHex
				continue
			case c == ' ' || c == '\t':
				t.n = qpBlank
				continue
			}
			dst = append(dst, '=')
		case qpHex:
			if lo := unhex(c); lo >= 0 {
				dst = append(dst, byte(unhex(t.held)<<4|lo))
				t.n = qpText
				continue
			}
			dst = append(dst, '=', t.held)
		case qpBlank:
			switch c {
			case ' ', '\t':
				continue
			case '\r':
				t.n = qpReturn
				continue
			case '\n':
				t.n = qpText
				continue
			}
			dst = append(dst, '=', ' ')
		case qpReturn:
			if c == '\n' {
				t.n = qpText
				continue
			}
		}
		t.n = qpText
		i-- // the byte ended an invalid escape and is text
	}
	return dst
}

// unhex returns the value of a hexadecimal digit; -1: it is none.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
