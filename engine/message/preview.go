package message

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// previewChars is the length of a preview (RFC 8621 §4.1.4), in characters.
const previewChars = 256

// preview takes the sender's own first words from a text. It skips quoted lines
// and the line that introduces them, and stops at a signature or a forwarded
// header. If that leaves nothing, any text is taken.
func preview(text string) string {
	var p previewWriter
	rest := text
	for rest != "" && p.left() {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "--" || (p.n > 0 && separator(trimmed)):
			rest = ""
		case strings.HasPrefix(trimmed, ">"):
		case strings.HasSuffix(trimmed, ":") && quoteFollows(rest):
		default:
			p.add(trimmed)
		}
	}
	if p.n == 0 {
		for rest = text; rest != "" && p.left(); {
			var line string
			line, rest, _ = strings.Cut(rest, "\n")
			p.add(strings.TrimLeft(line, "> \t"))
		}
	}
	return p.out.String()
}

// separator recognises the line above a quoted message: "-----Original
// Message-----", "---------- Forwarded message ---------", Outlook's rule.
func separator(line string) bool {
	if len(line) < 10 || len(line) > 200 {
		return false
	}
	return strings.HasPrefix(line, "-----") || strings.HasPrefix(line, "__________")
}

// quoteFollows reports whether the next line with text is quoted.
func quoteFollows(rest string) bool {
	for range 3 {
		line, after, more := strings.Cut(rest[:min(len(rest), 1000)], "\n")
		if line = strings.TrimSpace(line); line != "" {
			return line[0] == '>'
		}
		if !more {
			return false
		}
		rest = rest[len(rest[:min(len(rest), 1000)])-len(after):]
	}
	return false
}

// previewWriter folds white space and stops at the limit.
type previewWriter struct {
	out   strings.Builder
	n     int
	space bool
}

func (p *previewWriter) left() bool { return p.n < previewChars }

func (p *previewWriter) add(line string) {
	p.space = true
	for i := 0; i < len(line) && p.left(); {
		r, size := utf8.DecodeRuneInString(line[i:])
		i += size
		switch {
		case unicode.IsSpace(r):
			p.space = true
			continue
		case filler(r) || (r == '\u200c' && p.space): // the joiner is part of Persian spelling, but filler elsewhere
			continue
		}
		if p.space && p.n > 0 {
			if p.n++; !p.left() {
				return
			}
			p.out.WriteByte(' ')
		}
		p.space = false
		p.out.WriteRune(r)
		p.n++
	}
}

// filler reports whether a character serves newsletters to fill their hidden
// first line.
func filler(r rune) bool {
	switch r {
	case '\u00ad', '\u034f', '\u061c', '\u180e', '\u200b', '\u200e', '\u200f', '\u2060', '\u2800', '\ufeff':
		return true
	}
	return unicode.IsControl(r)
}
