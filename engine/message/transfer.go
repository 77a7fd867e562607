package message

import (
	"bytes"
	"encoding/base64"
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
