package message

import (
	"strings"
	"unicode/utf8"
)

// header returns the text of an unstructured field body on one line
// (folding of RFC 5322 §2.2.1, encoded words of RFC 2047). It is total and
// linear. A word that cannot be decoded stays as written. Raw 8-bit text is
// read as text without a charset. Control characters become spaces, and the
// result is valid UTF-8.
func (cs *charsets) header(s string) string {
	if plain(s) {
		return strings.TrimSpace(s)
	}
	s = oneLine(cs.unlabelled(s))
	if !strings.Contains(s, "=?") {
		return s
	}
	return oneLine(cs.words(s))
}

// unlabelled returns a field body as UTF-8, unfolded. Nearly all are ASCII.
func (cs *charsets) unlabelled(s string) string {
	s = unfold(s)
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf || c == 0x1b || c == 0 {
			return cs.toUTF8([]byte(s), "")
		}
	}
	return s
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
	if strings.ContainsFunc(s, controlOrSeparator) {
		s = strings.Map(func(r rune) rune {
			switch {
			case r == 0:
				return -1
			case controlOrSeparator(r):
				return ' '
			}
			return r
		}, s)
	}
	return strings.TrimSpace(s)
}

// controlOrSeparator recognises control characters and the separators of lines and
// paragraphs.
func controlOrSeparator(r rune) bool {
	return r < ' ' || 0x7f <= r && r < 0xa0 || r == '\u2028' || r == '\u2029'
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
	if q < 0 {
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
	var run []word
	raw := make([]byte, 0, len(s))
	close, pos := 0, 0
	flush := func() {
		if len(run) > 0 {
			raw = joinWords(raw[:0], run)
			out.WriteString(cs.toUTF8(raw, run[0].charset))
			run = run[:0]
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
		if len(run) > 0 && !strings.EqualFold(w.charset, run[0].charset) {
			flush()
		}
		run = append(run, w)
		pos, joined = w.end, true
	}
	flush()
	out.WriteString(s[pos:])
	return strings.ToValidUTF8(out.String(), string(utf8.RuneError))
}

// joinWords decodes adjacent words. A word that ends inside a group of base64, or
// inside an escape, goes on in the next one, although RFC 2047 §5 forbids it.
func joinWords(dst []byte, run []word) []byte {
	for len(run) > 0 {
		n := 1
		for n < len(run) && run[n].kind == run[0].kind && run[n-1].cut() {
			n++
		}
		apart := len(dst)
		for _, w := range run[:n] {
			dst = w.append(dst)
		}
		if n > 1 {
			var whole strings.Builder
			for _, w := range run[:n] {
				whole.WriteString(w.text)
			}
			w := word{kind: run[0].kind, text: whole.String()}
			// Words that only lack their padding are whole, and have no bits left.
			if together := w.append(nil); w.kind == 'Q' || leftover(run[:n-1]) ||
				!utf8.Valid(dst[apart:]) && utf8.Valid(together) {
				dst = append(dst[:apart], together...)
			}
		}
		run = run[n:]
	}
	return dst
}

// cut reports whether a word may go on in the next one.
func (w word) cut() bool {
	if w.kind == 'B' {
		return len(w.text)%4 != 0 && !strings.HasSuffix(w.text, "=")
	}
	n := len(w.text)
	return n > 0 && w.text[n-1] == '=' || n > 1 && w.text[n-2] == '=' && unhex(w.text[n-1]) >= 0
}

// leftover reports whether a word ends inside a byte.
func leftover(run []word) bool {
	for _, w := range run {
		last := sextet(w.text[len(w.text)-1])
		switch len(w.text) % 4 {
		case 1:
			return true
		case 2:
			if last&0xf != 0 {
				return true
			}
		case 3:
			if last&3 != 0 {
				return true
			}
		}
	}
	return false
}

func (w word) append(dst []byte) []byte {
	if w.kind == 'B' {
		return appendBase64(dst, w.text)
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
