package message

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// header returns the text of an unstructured field body on one line
// (folding of RFC 5322 §2.2.1, encoded words of RFC 2047). It is total and
// linear. A word that cannot be decoded stays as written. Raw 8-bit text is
// taken as UTF-8, or its charset is guessed. Control characters become spaces,
// and the result is valid UTF-8.
func (cs *charsets) header(s string) string {
	if plain(s) {
		return strings.TrimSpace(s)
	}
	s = oneLine(cs.toUTF8([]byte(unfold(s)), headerCharset(s)))
	if !strings.Contains(s, "=?") {
		return s
	}
	return oneLine(cs.words(s))
}

// headerCharset recognises iso-2022-jp, the one charset of ASCII bytes that
// senders put raw into headers.
func headerCharset(s string) string {
	if strings.Contains(s, "\x1b$") {
		return "iso-2022-jp"
	}
	return ""
}

// plain reports whether a text is printable ASCII without encoded words.
func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f || (c == '=' && i+1 < len(s) && s[i+1] == '?') {
			return false
		}
	}
	return true
}

// unfold removes the line breaks of folding. The white space after them stays.
func unfold(s string) string {
	if strings.IndexByte(s, '\n') < 0 {
		return s
	}
	var out strings.Builder
	out.Grow(len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\r' && i+1 < len(s) && s[i+1] == '\n' {
			continue
		}
		if c == '\n' && i+1 < len(s) && (s[i+1] == ' ' || s[i+1] == '\t') {
			continue
		}
		out.WriteByte(c)
	}
	return out.String()
}

// oneLine turns control characters and line separators into spaces and drops
// NUL.
func oneLine(s string) string {
	clean := strings.IndexFunc(s, func(r rune) bool {
		return r < ' ' || r == 0x7f || unicode.In(r, unicode.Zl, unicode.Zp) || (0x80 <= r && r < 0xa0)
	}) < 0
	if !clean {
		s = strings.Map(func(r rune) rune {
			switch {
			case r == 0:
				return -1
			case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
				return ' '
			}
			return r
		}, s)
	}
	return strings.TrimSpace(s)
}

// word is one encoded word and where it ends in the text.
type word struct {
	charset string
	kind    byte // 'B' or 'Q'
	text    string
	end     int
}

// wordAt reads the encoded word at s[at:]. close caches the next "?=". One
// search forward serves every candidate before it, which keeps a flood of
// unclosed words linear.
func wordAt(s string, at int, close *int) (word, bool) {
	var w word
	q := strings.IndexByte(s[at+2:min(len(s), at+2+64)], '?')
	if q <= 0 {
		return w, false
	}
	kind := at + 2 + q + 1
	if kind+1 >= len(s) || s[kind+1] != '?' {
		return w, false
	}
	w.kind = s[kind] &^ 0x20
	if w.kind != 'B' && w.kind != 'Q' {
		return w, false
	}
	w.charset, _, _ = strings.Cut(s[at+2:at+2+q], "*") // RFC 2231 §5: language
	text := kind + 2
	if *close < text {
		if n := strings.Index(s[text:], "?="); n < 0 {
			*close = len(s)
		} else {
			*close = text + n
		}
	}
	if *close >= len(s) {
		return w, false
	}
	w.text, w.end = s[text:*close], *close+2
	return w, true
}

// words decodes all encoded words of a valid UTF-8 text. Adjacent words in one
// charset are joined before that is decoded, because careless senders split
// characters.
func (cs *charsets) words(s string) string {
	var out strings.Builder
	out.Grow(len(s))
	var raw []byte
	charset, close, pos := "", 0, 0
	flush := func() {
		if len(raw) > 0 {
			out.WriteString(cs.toUTF8(raw, charset))
			raw = raw[:0]
		}
	}
	joined := false // an encoded word ends at pos
	for pos < len(s) {
		at := strings.Index(s[pos:], "=?")
		if at < 0 {
			break
		}
		at += pos
		w, ok := wordAt(s, at, &close)
		gap := s[pos:at]
		if !ok {
			flush()
			out.WriteString(gap)
			out.WriteString("=?")
			pos, joined = at+2, false
			continue
		}
		if !joined || strings.TrimSpace(gap) != "" {
			flush()
			out.WriteString(gap)
		}
		if !strings.EqualFold(w.charset, charset) {
			flush()
			charset = w.charset
		}
		raw = w.append(raw)
		pos, joined = w.end, true
	}
	flush()
	out.WriteString(s[pos:])
	return strings.ToValidUTF8(out.String(), string(utf8.RuneError))
}

func (w word) append(dst []byte) []byte {
	if w.kind == 'B' {
		t := transfer{kind: base64Encoding}
		return t.flush(t.append(dst, []byte(w.text)))
	}
	for i := 0; i < len(w.text); i++ {
		c := w.text[i]
		if c == '_' {
			c = ' '
		} else if c == '=' && i+2 < len(w.text) {
			if hi, lo := unhex(w.text[i+1]), unhex(w.text[i+2]); hi >= 0 && lo >= 0 {
				c = byte(hi<<4 | lo)
				i += 2
			}
		}
		dst = append(dst, c)
	}
	return dst
}
