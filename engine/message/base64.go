package message

import (
	"bytes"
	"unicode/utf8"
)

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
