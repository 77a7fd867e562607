package message

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// charsets decodes the texts of one message. It remembers what it has learnt of
// the sender's charset and counts the statistical guesses it may still make.
type charsets struct {
	guesses  int
	declared charset   // of the text, for what has no charset of its own
	learnt   [2]learnt // by whether the 8-bit bytes stand in runs
	params   params    // scratch of splitParams
	scratch  []piece   // … and of pieces
}

// newCharsets allows the guesses of one message or one field.
func newCharsets() *charsets { return &charsets{guesses: maxGuesses} }

// declare notes the charset that the text of a message declares. It serves what
// declares none, as raw header fields and names of files. ASCII and UTF-8 say
// nothing of bytes that are neither.
func (cs *charsets) declare(label string) {
	if c := charsetOf(label); c.kind == singleByte || c.kind == multiByte {
		cs.declared = c
	}
}

// What bytes a text has besides printable ASCII.
type content uint8

const (
	hasHigh   content = 1 << iota // 8-bit bytes
	hasEscape                     // ESC
	hasNUL
)

func contentOf(b []byte) (c content) {
	if !ascii(b) {
		c |= hasHigh
	}
	if bytes.IndexByte(b, 0x1b) >= 0 {
		c |= hasEscape
	}
	if bytes.IndexByte(b, 0) >= 0 {
		c |= hasNUL
	}
	return c
}

func ascii(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		if binary.LittleEndian.Uint64(b)&0x8080808080808080 != 0 {
			return false
		}
	}
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// toUTF8 decodes text in the declared charset; "" means that none is declared.
// It is total: what no charset explains becomes U+FFFD.
//
// What the bytes prove comes before what the label says: a byte order mark, the
// escapes of ISO 2022, valid UTF-8. A label that the bytes disprove counts as
// none. The rules are in the package comment.
func (cs *charsets) toUTF8(b []byte, declared string) string {
	has := contentOf(b)
	if s, ok := marked(b); ok {
		return s
	}
	c := charsetOf(declared)
	if has == 0 && c.kind <= multiByte {
		return string(b)
	}
	if has&hasEscape != 0 {
		if kind, ok := escapes(b); ok {
			if kind == iso2022jp && has&hasHigh != 0 {
				return cs.japaneseLines(b)
			}
			return decode7bit(kind, b)
		}
	}
	switch {
	case c.kind >= iso2022jp && has&hasHigh == 0:
		return decode7bit(c.kind, b)
	case c.kind == iso2022jp:
		return cs.japanese(b)
	case c.kind == utf16Label || c.kind == utf32Label:
		if has&hasNUL == 0 && utf8.Valid(b) && (has&hasHigh == 0 || c.kind == utf32Label) {
			return string(b) // such text has a NUL in each space and line end
		}
		return decodeWide(c, b)
	case has&hasNUL != 0 && c.kind <= utf8Label:
		if order, ok := wide(b); ok {
			return decodeWide(charset{kind: utf16Label, bigEndian: order}, b)
		}
	}
	switch {
	case has&hasHigh == 0:
		return string(b)
	case c.kind == singleByte:
		return decodeSingle(c.enc, b)
	case c.kind == multiByte:
		return cs.decodeMulti(c.enc, b)
	}
	return cs.guess(b, c.kind == utf8Label)
}

// marked decodes text that begins with a byte order mark.
func marked(b []byte) (string, bool) {
	if len(b) < 2 || b[0] < 0xef && b[0] != 0 {
		return "", false
	}
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		if b = b[3:]; utf8.Valid(b) {
			return string(b), true
		}
		return strings.ToValidUTF8(string(b), "\ufffd"), true
	case bytes.HasPrefix(b, []byte("\xff\xfe\x00\x00")):
		return decodeWide(charset{kind: utf32Label}, b[4:]), true
	case bytes.HasPrefix(b, []byte("\x00\x00\xfe\xff")):
		return decodeWide(charset{kind: utf32Label, bigEndian: true}, b[4:]), true
	case bytes.HasPrefix(b, []byte("\xff\xfe")):
		return decodeWide(charset{kind: utf16Label}, b[2:]), true
	case bytes.HasPrefix(b, []byte("\xfe\xff")):
		return decodeWide(charset{kind: utf16Label, bigEndian: true}, b[2:]), true
	}
	return "", false
}

// decodeWide decodes UTF-16 and UTF-32 without its mark. An unmarked order is
// that in which more characters have their NULs where ASCII has them.
func decodeWide(c charset, b []byte) string {
	if even, odd := nuls(b); c.kind == utf16Label && even != odd && min(even, odd)*4 <= max(even, odd) {
		c.bigEndian = even > odd
	}
	if c.kind == utf32Label {
		order := utf32.LittleEndian
		if c.bigEndian || len(b) > 3 && b[0] == 0 && b[1] == 0 && b[3] != 0 {
			order = utf32.BigEndian
		}
		return decode(utf32.UTF32(order, utf32.IgnoreBOM), b)
	}
	order := unicode.LittleEndian
	if c.bigEndian {
		order = unicode.BigEndian
	}
	return decode(unicode.UTF16(order, unicode.IgnoreBOM), b)
}

// nuls counts the NULs at even and at odd places.
func nuls(b []byte) (even, odd int) {
	for i, c := range b[:min(len(b), guessSample)] {
		if c == 0 {
			if i&1 == 0 {
				even++
			} else {
				odd++
			}
		}
	}
	return even, odd
}

// wide reports whether text without a label is UTF-16, because nearly every
// second byte is NUL, and its byte order.
func wide(b []byte) (bigEndian, ok bool) {
	even, odd := nuls(b)
	n := min(len(b), guessSample)
	return even > odd, n >= 8 && max(even, odd)*8 >= n*3 && min(even, odd)*8 <= max(even, odd)
}

// isoControls are the charsets of ISO 8859 whose C1 controls senders use for the
// quotes and letters of a Windows charset.
func isoControls(enc encoding.Encoding) encoding.Encoding {
	switch enc {
	case charmap.ISO8859_2:
		return charmap.Windows1250
	case charmap.ISO8859_4, charmap.ISO8859_13:
		return charmap.Windows1257
	case charmap.ISO8859_6:
		return charmap.Windows1256
	case charmap.ISO8859_7:
		return charmap.Windows1253
	case charmap.ISO8859_8:
		return charmap.Windows1255
	case charmap.ISO8859_15:
		return charmap.Windows1252
	}
	return nil
}

// decodeSingle decodes a charset that gives every byte a meaning. Such a label
// is disproved by valid UTF-8, unless it is so little that it may be an
// accident: then its characters must be in the charset. Lines that are UTF-8 in
// text that is not are of another program.
func decodeSingle(enc encoding.Encoding, b []byte) string {
	good, bad := multibyte(b)
	if bad == 0 {
		_, err := enc.NewEncoder().Bytes(b)
		if good >= sureUTF8 || err == nil || enc == charmap.Windows1252 || enc == charmap.ISO8859_15 {
			return string(b)
		}
	} else if good >= 10*bad {
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	if other := isoControls(enc); other != nil {
		for _, c := range b {
			if 0x80 <= c && c < 0xa0 && c != 0x85 {
				enc = other
				break
			}
		}
	}
	if good < sureUTF8 {
		return decode(enc, b)
	}
	foreign := func(unit []byte) bool {
		good, bad := multibyte(unit)
		return bad == 0 && good >= sureUTF8
	}
	return mixed(b, cutUnit, foreign, func(run []byte, foreign bool) string {
		if foreign {
			return string(run)
		}
		return decode(enc, run)
	})
}

// sureUTF8 is how many sequences of UTF-8 are no accident in another charset.
const sureUTF8 = 3

// decodeMulti decodes a charset of several bytes a character. Its label is
// disproved by bytes that make no characters of it, and by valid UTF-8. One that
// cannot read all bytes gives way to the other one of its language, if that can
// and reads the more usual characters. One damaged character disproves nothing.
func (cs *charsets) decodeMulti(enc encoding.Encoding, b []byte) string {
	s := decode(enc, b)
	wrong := strings.Count(s, "\ufffd")
	good, bad := multibyte(b)
	switch {
	case bad == 0 && (wrong > 0 || good >= 4):
		return string(b)
	case good >= 10*bad && wrong > bad:
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	if wrong == 0 {
		return s
	}
	n := utf8.RuneCountInString(s) - asciiBytes([]byte(s))
	odd := wrong*2 > n || unusual(enc, b, s)
	if other := sibling(enc); other != nil && odd {
		if o := decode(other, b); n > 1 && !strings.Contains(o, "\ufffd") && !unusual(other, b, o) {
			return o
		}
	}
	switch {
	case wrong*8 <= n:
		return s
	case enc == traditionalchinese.Big5 && n > 1 && !odd: // each user may define characters
		return s
	case len(b)-asciiBytes(b) > 1 && oneDamage(enc, b): // one byte alone is a letter of another charset
		return s
	}
	if other := cs.guess(b, false); strings.Count(other, "\ufffd") < wrong {
		return other
	}
	return s
}

// asciiBytes counts the bytes that are ASCII.
func asciiBytes(b []byte) (n int) {
	for _, c := range b {
		if c < utf8.RuneSelf {
			n++
		}
	}
	return n
}

// decode decodes with an encoding and makes the result valid UTF-8.
func decode(enc encoding.Encoding, b []byte) string {
	out, err := enc.NewDecoder().Bytes(b)
	if err != nil {
		return asciiOnly(b)
	}
	return strings.ToValidUTF8(string(out), "\ufffd")
}

func asciiOnly(b []byte) string {
	var s strings.Builder
	s.Grow(len(b))
	for _, c := range b {
		if c < utf8.RuneSelf {
			s.WriteByte(c)
		} else {
			s.WriteRune(utf8.RuneError)
		}
	}
	return s.String()
}

// metaCharset returns the charset that an HTML page declares for itself.
func metaCharset(page []byte) string {
	head := strings.ToLower(string(page[:min(len(page), 2048)]))
	_, after, ok := strings.Cut(head, "charset=")
	if !ok {
		return ""
	}
	after = strings.TrimLeft(after, "\"' ")
	end := strings.IndexAny(after, "\"' ;/>\t\r\n")
	if end < 0 || end > 40 {
		return ""
	}
	return after[:end]
}
