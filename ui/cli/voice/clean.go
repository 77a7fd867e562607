package voice

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line makes untrusted text safe to show on one line. White space becomes
// blanks. Invisible and misleading characters are written as \u{202e}.
func Line(s string) string { return clean(s, false) }

// Text makes untrusted running text safe to show. Line breaks and tabs stay,
// and so do the direction marks of right-to-left text.
func Text(s string) string { return clean(strings.ReplaceAll(s, "\r\n", "\n"), true) }

func clean(s string, body bool) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case body && (r == '\n' || r == '\t' || r == '\u200e' || r == '\u200f' || r == '\u061c' || r == '\ufeff'):
			b.WriteRune(r)
		case !body && (r == '\n' || r == '\t' || r == '\r'):
			b.WriteByte(' ')
		case hidden(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// hidden reports whether a character is invisible or misleading: a control (C1
// too, because terminals obey them), a bidi control, a line separator or
// another format character. Joiners stay, as scripts and emoji need them. So do
// tags, which flags of regions are made of.
func hidden(r rune) bool {
	switch {
	case r == '\u200c' || r == '\u200d', r >= 0xe0020 && r <= 0xe007f:
		return false
	case r == '\u2028' || r == '\u2029', unicode.IsControl(r):
		return true
	}
	return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Bidi_Control, r)
}
