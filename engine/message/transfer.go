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
)

func codecOf(body []byte) codec {
	value, _, _ := bytes.Cut(body, []byte(";"))
	value = bytes.Trim(value, " \t\r\n\"'")
	switch {
	case bytes.EqualFold(value, []byte("base64")):
		return base64Encoding
	case bytes.EqualFold(value, []byte("quoted-printable")):
		return quotedPrintable
	}
	return identity
}

// transfer decodes a transfer encoding piece by piece and keeps whatever can be
// read. Foreign bytes in base64 are skipped. Padding ends a group wherever it
// stands. A broken quoted-printable escape stays as it is.
type transfer struct {
	kind codec
	acc  uint32 // base64: bits of the open group
	n    uint8  // base64: characters in it; quoted-printable: state
	held byte   // quoted-printable: first hex digit
}

// States of quoted-printable.
const (
	qpText   = iota
	qpEquals // "="
	qpHex    // "=" and one digit
	qpBlank  // "=" and white space: a soft break may follow
	qpReturn // "=" and CR
)

func (t *transfer) append(dst, src []byte) []byte {
	switch t.kind {
	case base64Encoding:
		return t.base64(dst, src)
	case quotedPrintable:
		return t.quoted(dst, src)
	}
	return append(dst, src...)
}

// flush ends the data.
func (t *transfer) flush(dst []byte) []byte {
	switch t.kind {
	case base64Encoding:
		dst = t.pad(dst)
	case quotedPrintable:
		if t.n == qpHex {
			dst = append(dst, '=', t.held)
		}
		t.n = qpText
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

func (t *transfer) base64(dst, src []byte) []byte {
	if t.n == 0 && len(src)%4 == 0 && len(src) > 0 && src[len(src)-1] != '=' { // the usual case: a clean line
		out, err := base64.StdEncoding.AppendDecode(dst, src)
		if err == nil && len(out)-len(dst) == len(src)/4*3 {
			return out
		}
	}
	for _, c := range src {
		v := sextet(c)
		if v == 0xff {
			if c == '=' {
				dst = t.pad(dst)
			}
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
