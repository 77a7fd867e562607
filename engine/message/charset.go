package message

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/wlynxg/chardet"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// guessSample bounds what a statistical guess reads.
const guessSample = 4 << 10

// charsets decodes text and counts the statistical guesses it may still make.
// Each guess costs about a millisecond and 870 kB of garbage, however short the
// text (measured), and a mail can ask for one in every word and part.
type charsets struct {
	guesses int
	params  params // scratch of splitParams
}

// newCharsets allows the guesses of one message or one field.
func newCharsets() *charsets { return &charsets{guesses: 8} }

// toUTF8 decodes text in the declared charset; "" means that none is declared.
// It is total: what no charset explains becomes U+FFFD.
//
// Declarations are wrong in known ways. Valid UTF-8 is taken as UTF-8 if it was
// declared as nothing, ASCII, Latin-1 or UTF-8, since other text is valid UTF-8
// only by a rare accident. Text declared as ASCII or UTF-8 that is neither is
// guessed.
func (cs *charsets) toUTF8(b []byte, declared string) string {
	name := strings.ToLower(strings.Trim(declared, " \t\r\n\"';"))
	if !stateful(name) && ascii(b) {
		return string(b)
	}
	switch name {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "x-unknown", "unknown", "default",
		"8bit", "7bit", "binary", "none", "x-utf_8j", "utf8mb4", "unicode-1-1-utf-8":
		return cs.guess(b, strings.Contains(name, "utf"))
	case "iso-8859-1", "latin1", "iso8859-1", "windows-1252", "cp1252", "iso-8859-15":
		if utf8.Valid(b) {
			return string(b)
		}
	case "utf-7", "utf7", "unicode-1-1-utf-7", "x-unicode-2-0-utf-7":
		return strings.ToValidUTF8(string(fromUTF7(b)), "\ufffd")
	case "iso-2022-kr":
		b, name = fromISO2022KR(b), "euc-kr"
	}
	if enc := lookup(name); enc != nil {
		return decode(enc, b)
	}
	if utf8.Valid(b) {
		return string(b)
	}
	return asciiOnly(b)
}

// stateful reports whether ASCII bytes are not always ASCII text in a charset.
func stateful(name string) bool {
	for _, prefix := range []string{"iso-2022-", "csiso2022", "hz", "utf-7", "utf7", "unicode-1-1-utf-7",
		"x-unicode-2-0", "utf-16", "utf16", "ucs-2", "iso-10646-ucs", "unicode", "csunicode", "ibm0", "cp037",
		"x-user"} {
		if strings.HasPrefix(name, prefix) {
			return name != "unicode-1-1-utf-8"
		}
	}
	return false
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// lookup finds a charset by the name that browsers use, then by its IANA name;
// nil: it is unknown.
func lookup(name string) encoding.Encoding {
	if len(name) > 64 {
		return nil
	}
	switch name {
	case "cp932", "windows-932", "ms_kanji":
		name = "shift_jis"
	case "cp936", "x-gbk", "gb_2312":
		name = "gbk"
	case "cp949", "uhc", "ms949":
		name = "euc-kr"
	case "cp950", "big5-eten":
		name = "big5"
	case "hz-gb-2312", "hz":
		return simplifiedchinese.HZGB2312
	case "ansi_x3.110-1983":
		return charmap.Windows1252
	}
	for _, n := range []string{name, strings.ReplaceAll(name, "_", "-"),
		strings.Replace(name, "windows1", "windows-1", 1)} {
		if enc, err := htmlindex.Get(n); err == nil && enc != encoding.Replacement {
			return enc
		}
		if enc, err := ianaindex.IANA.Encoding(n); err == nil && enc != nil && enc != encoding.Replacement {
			return enc
		}
	}
	return nil
}

func decode(enc encoding.Encoding, b []byte) string {
	out, err := enc.NewDecoder().Bytes(b)
	if err != nil {
		return asciiOnly(b)
	}
	return strings.ToValidUTF8(string(out), "\ufffd")
}

// guess decodes text of an unknown charset. mostlyUTF8 accepts declared UTF-8
// with a few bad bytes. Usually the text was cut or holds one foreign byte.
func (cs *charsets) guess(b []byte, mostlyUTF8 bool) string {
	if utf8.Valid(b) {
		return string(b)
	}
	if good, bad := multibyte(b); good > 0 && (mostlyUTF8 && good >= bad || good >= 10*bad) {
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	if cs.guesses--; cs.guesses < 0 {
		return decode(charmap.Windows1252, b)
	}
	sample := b[:min(len(b), guessSample)]
	if r := chardet.Detect(sample); r.Confidence >= 0.5 {
		name := strings.ToLower(r.Encoding)
		if enc := lookup(name); enc != nil && name != "ascii" && !strings.HasPrefix(name, "utf-8") {
			if s := decode(enc, b); strings.Count(s, "\ufffd")*20 <= len(b) {
				return s
			}
		}
	}
	return decode(charmap.Windows1252, b)
}

// multibyte counts UTF-8 sequences longer than a byte, and bytes that belong to
// no sequence.
func multibyte(b []byte) (good, bad int) {
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			b = b[1:]
			continue
		}
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			bad++
		} else {
			good++
		}
		b = b[n:]
	}
	return good, bad
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

// fromUTF7 decodes RFC 2152. What breaks its rules stays as it is.
func fromUTF7(b []byte) []byte {
	var out []byte
	for len(b) > 0 {
		i := bytes.IndexByte(b, '+')
		if i < 0 {
			return append(out, b...)
		}
		out, b = append(out, b[:i]...), b[i+1:]
		n := 0
		for n < len(b) && sextet(b[n]) != 0xff {
			n++
		}
		word, err := base64.RawStdEncoding.DecodeString(string(b[:n]))
		switch {
		case n == 0:
			out = append(out, '+')
		case err != nil && len(word) < 2:
			out = append(append(out, '+'), b[:n]...)
		default:
			units := make([]uint16, 0, len(word)/2)
			for k := 0; k+1 < len(word); k += 2 {
				units = append(units, uint16(word[k])<<8|uint16(word[k+1]))
			}
			out = append(out, string(utf16.Decode(units))...)
		}
		if b = b[n:]; len(b) > 0 && b[0] == '-' {
			b = b[1:]
		}
	}
	return out
}

// fromISO2022KR converts RFC 1557 to EUC-KR: shifted bytes get their high bit.
func fromISO2022KR(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte("\x1b$)C"), nil)
	out := make([]byte, 0, len(b))
	shifted := false
	for _, c := range b {
		switch {
		case c == 0x0e || c == 0x0f:
			shifted = c == 0x0e
		case shifted && c > ' ':
			out = append(out, c|0x80)
		default:
			out = append(out, c)
		}
	}
	return out
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
