package web

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// visible makes a line of header text honest: control characters, characters
// that change the direction of what follows, and invisible ones are shown as
// their code points, so that "exe.fdp" cannot pose as "pdf.exe". Joiners
// stay: scripts and emoji need them.
func visible(s string) string { return reveal(s, false) }

// visibleBody is visible for running text: line breaks and tabs stay, as do
// the harmless direction marks that right-to-left text is full of.
func visibleBody(s string) string {
	return reveal(strings.ReplaceAll(s, "\r\n", "\n"), true)
}

func reveal(s string, body bool) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	var b strings.Builder
	for _, r := range s {
		switch {
		case body && (r == '\n' || r == '\t' || r == '\u200e' || r == '\u200f' || r == '\u061c' || r == '\ufeff'):
			b.WriteRune(r)
		case !body && (r == '\t' || r == '\n' || r == '\r'):
			b.WriteByte(' ')
		case hidden(r):
			fmt.Fprintf(&b, "‹U+%04X›", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hidden is true for what a reader cannot see or is misled by.
func hidden(r rune) bool {
	switch {
	case r == '\u200c' || r == '\u200d': // joiners
		return false
	case r == '\u00ad', r >= '\u2028' && r <= '\u2029':
		return true
	case unicode.Is(unicode.Bidi_Control, r), unicode.IsControl(r):
		return true
	case r >= 0xe0020 && r <= 0xe007f: // tags: flags of regions use them
		return false
	}
	return unicode.Is(unicode.Cf, r)
}

// count writes a number with thin groups: 12 345.
func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// plural is "1 message", "12 messages".
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// octets writes a size for people.
func octets(n int64) string {
	switch {
	case n < 1000:
		return plural(n, "byte", "bytes")
	case n < 1000*1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1000*1000*1000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// ago says how long before now t was.
func ago(now, t time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return "never"
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return plural(int64(d/time.Minute), "minute", "minutes") + " ago"
	case d < 48*time.Hour:
		return plural(int64(d/time.Hour), "hour", "hours") + " ago"
	default:
		return plural(int64(d/(24*time.Hour)), "day", "days") + " ago"
	}
}

// short is the date of a list line: the time today, the day this year, the
// year before that.
func short(now, t time.Time) string {
	now, t = now.Local(), t.Local()
	switch {
	case t.IsZero():
		return ""
	case t.Year() == now.Year() && t.YearDay() == now.YearDay():
		return t.Format("15:04")
	case now.Sub(t) < 300*24*time.Hour:
		return t.Format("2 Jan")
	}
	return t.Format("2 Jan 2006")
}

// paragraph is a run of lines between blank ones. Each gets a direction of
// its own.
type paragraph struct {
	Text   string
	Quoted bool // every line begins with ">"
}

// maxParagraphs bounds the page; what is left goes into the last one.
const maxParagraphs = 5000

func paragraphs(text string) []paragraph {
	var all []paragraph
	for len(all) < maxParagraphs && text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		if strings.TrimSpace(line) == "" {
			text = rest
			continue
		}
		quoted := strings.HasPrefix(line, ">")
		end := 0
		for end < len(text) {
			line, _, _ := strings.Cut(text[end:], "\n")
			if strings.TrimSpace(line) == "" || strings.HasPrefix(line, ">") != quoted {
				break
			}
			end = min(end+len(line)+1, len(text))
		}
		all = append(all, paragraph{visibleBody(strings.TrimRight(text[:end], "\r\n")), quoted})
		text = text[end:]
	}
	if text != "" {
		all = append(all, paragraph{Text: visibleBody(text)})
	}
	return all
}
