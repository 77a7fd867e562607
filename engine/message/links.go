package message

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Link is one link of a message.
//
// Target is what the sender wrote, made absolute where the HTML has a base.
// Blanks and invisible characters in it are percent-encoded, so it is one word.
// It may have any scheme, such as javascript or data, or none: check it before
// it is opened. Text is on one line and may be empty. It is what the sender
// made visible, which may be another address than Target.
type Link struct {
	Target string
	Text   string
	At     int  // offset in View.Text at which its text ends; -1: the text does not show it as a link
	Spelt  bool // it is no anchor: the text spells Target out
}

// Bounds of the links of one message. What exceeds them is left out.
const (
	maxLinks     = 10_000
	maxTarget    = 32 << 10 // bytes of one target
	maxLinkBytes = 4 << 20  // bytes of all targets: a base makes each longer
	maxLinkText  = 200      // characters
	longestBase  = 2 << 10  // bytes
	longestLine  = 200      // bytes of each further line of a broken URL
)

// anchors collects the links of HTML in the order of the document. An anchor
// ends where a browser ends it: at its end tag, at the next anchor, at the end
// of the table cell it began in, or at the end of the document.
type anchors struct {
	all     []Link
	room    int // bytes that the targets may still take
	missing bool
	full    bool // no further one is looked at
	base    *url.URL
	cells   int // open table cells

	target  string // of the open anchor; "": none is open
	cell    int    // cells when it began
	words   []byte
	begin   int // length of the text when it began
	picture string
}

// open takes a start tag. at is the length of the text before it.
func (a *anchors) open(tag atom.Atom, z *html.Tokenizer, more bool, at int) {
	switch tag {
	case atom.A:
		a.end(at)
		if a.full {
			return
		}
		a.target = a.resolve(attribute(z, more, "href"))
		a.cell, a.begin = a.cells, at
	case atom.Area:
		if a.full {
			return
		}
		href, alt := "", ""
		for more {
			var key, value []byte
			key, value, more = z.TagAttr()
			switch {
			case href == "" && string(key) == "href":
				href = string(value)
			case alt == "" && string(key) == "alt":
				alt = string(value)
			}
		}
		a.add(a.resolve(href), alt, -1)
	case atom.Base:
		if a.base != nil {
			return // the first one counts
		}
		href := attribute(z, more, "href")
		if u, err := url.Parse(trimHref(href)); err == nil && u.IsAbs() && u.Host != "" && len(href) <= longestBase {
			a.base = u
		}
	case atom.Img:
		if a.target != "" && a.picture == "" {
			a.picture = attribute(z, more, "alt")
		}
	case atom.Td, atom.Th:
		a.cells++
	}
}

// close takes an end tag.
func (a *anchors) close(tag atom.Atom, at int) {
	switch tag {
	case atom.A:
		a.end(at)
	case atom.Td, atom.Th:
		a.cells = max(a.cells-1, 0)
		if a.cells < a.cell {
			a.end(at)
		}
	}
}

// word takes a word of the text.
func (a *anchors) word(s []byte) {
	if a.target == "" || len(a.words) > maxLinkText*utf8.UTFMax {
		return
	}
	if len(a.words) > 0 {
		a.words = append(a.words, ' ')
	}
	a.words = append(a.words, s[:min(len(s), maxLinkText*utf8.UTFMax)]...)
}

// end ends the open anchor. One without a word of its own has no place in the
// text.
func (a *anchors) end(at int) {
	if a.target == "" {
		return
	}
	text := string(a.words)
	if at == a.begin {
		text, at = a.picture, -1
	}
	a.add(a.target, text, at)
	a.target, a.words, a.picture, a.cell = "", a.words[:0], "", 0
}

func (a *anchors) add(target, text string, at int) {
	if target == "" {
		return
	}
	if a.full = len(target) > a.room || len(a.all) >= maxLinks; a.full || len(target) > maxTarget {
		a.missing = true
		return
	}
	a.room -= len(target)
	a.all = append(a.all, Link{Target: target, Text: linkText(text), At: at})
}

// settle turns offsets in the raw text into offsets in the clean one.
func (a *anchors) settle(raw, text string) {
	if raw == text {
		return
	}
	done := len(raw) - len(strings.TrimLeft(raw, " \t\r\n\x00"))
	n := 0
	for i := range a.all {
		l := &a.all[i]
		if l.At < 0 {
			continue
		}
		if l.At > done {
			piece := raw[done:l.At]
			if strings.HasPrefix(raw[l.At:], "\n") { // the CR before it goes
				piece = strings.TrimSuffix(piece, "\r")
			}
			n += len(cleanText("x"+piece+"x")) - len("xx")
			done = l.At
		}
		l.At = min(n, len(text))
	}
}

// attribute returns the first value of an attribute.
func attribute(z *html.Tokenizer, more bool, name string) string {
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		if string(key) == name {
			return string(value)
		}
	}
	return ""
}

// trimHref does what the URL standard does before it reads a URL: white space
// and controls around it and line breaks and tabs in it are dropped.
func trimHref(href string) string {
	href = strings.TrimFunc(href, func(r rune) bool { return r <= ' ' })
	if !strings.ContainsAny(href, "\t\n\r") {
		return href
	}
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return -1
		}
		return r
	}, href)
}

// resolve returns the target of a href; "": it leads nowhere else.
func (a *anchors) resolve(href string) string {
	href = trimHref(href)
	if href == "" || href[0] == '#' {
		return ""
	}
	if a.base != nil && len(href) <= maxTarget {
		if u, err := a.base.Parse(href); err == nil && (u.Scheme == a.base.Scheme || u.Scheme == "") {
			href = u.String()
		}
	}
	return escapeTarget(href)
}

// escapeTarget percent-encodes what is white space or cannot be seen.
func escapeTarget(s string) string {
	odd := func(r rune) bool {
		return r == utf8.RuneError || r == ' ' || unicode.IsSpace(r) || unicode.IsControl(r) ||
			unicode.Is(unicode.Cf, r) ||
			filler(r)
	}
	if !strings.ContainsFunc(s, odd) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if !odd(r) {
			b.WriteRune(r)
			continue
		}
		for _, c := range []byte(string(r)) {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// linkText folds white space, drops controls and clips.
func linkText(s string) string {
	s = cleanText(strings.ToValidUTF8(s, "\ufffd"))
	return clip(strings.Join(strings.Fields(s), " "), maxLinkText)
}

// writtenURLs finds the URLs that a text spells out. They end before white
// space, quotes and angle brackets, and before the punctuation of the sentence
// around them. In angle brackets a URL may be broken into lines (RFC 3986,
// appendix C).
func writtenURLs(text string, found func(target string)) {
	for i := 0; i < len(text); {
		colon := strings.IndexByte(text[i:], ':')
		if colon < 0 {
			return
		}
		colon += i
		i = colon + 1
		start := schemeBefore(text, colon)
		if start < 0 {
			continue
		}
		end := urlEnd(text, i)
		i = end
		if end-start > maxTarget {
			continue
		}
		target := trimSentence(text[start:end])
		if start > 0 && text[start-1] == '<' {
			target, i = joinBroken(text, start, end)
		}
		if len(target) > len("https://") || strings.Contains(target, "@") {
			found(escapeTarget(target))
		}
	}
}

// schemeBefore returns where the scheme starts whose colon is given; -1: it is
// none that leads somewhere.
func schemeBefore(text string, colon int) int {
	for _, scheme := range []string{"https", "http", "mailto"} {
		start := colon - len(scheme)
		if start < 0 || !strings.EqualFold(text[start:colon], scheme) {
			continue
		}
		if before, _ := utf8.DecodeLastRuneInString(text[:start]); start > 0 && (before < utf8.RuneSelf) &&
			(unicode.IsLetter(before) || unicode.IsDigit(before)) {
			return -1
		}
		if scheme != "mailto" && !strings.HasPrefix(text[colon+1:], "//") {
			return -1
		}
		return start
	}
	return -1
}

// urlEnd returns where a URL ends at the latest.
func urlEnd(text string, from int) int {
	n := strings.IndexFunc(text[from:], func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("<>\"«»“”„‹›。、，！？）」』】", r)
	})
	if n < 0 {
		return len(text)
	}
	return from + n
}

// joinBroken reads a URL in angle brackets whose lines were broken.
func joinBroken(text string, start, end int) (string, int) {
	var whole strings.Builder
	whole.WriteString(text[start:end])
	for at := end; at < len(text) && whole.Len() < maxTarget; {
		if text[at] == '>' {
			return whole.String(), at
		}
		line, ok := strings.CutPrefix(text[at:], "\n")
		if !ok {
			break
		}
		line = strings.TrimLeft(line, " \t")
		at = len(text) - len(line)
		stop := urlEnd(text, at)
		if stop == at || stop-at > longestLine {
			break
		}
		whole.WriteString(text[at:stop])
		at = stop
	}
	return trimSentence(text[start:end]), end
}

// trimSentence drops the punctuation that ends a sentence, and brackets that
// were opened before the URL.
func trimSentence(s string) string {
	var open map[byte]int // brackets that the URL opens and does not close; nil: not counted yet
	for s != "" {
		c := s[len(s)-1]
		switch c {
		case '.', ',', ';', ':', '!', '?', '\'', '*', '_', '|':
		case ')', ']', '}':
			if open == nil {
				open = map[byte]int{
					')': strings.Count(s, "(") - strings.Count(s, ")"),
					']': strings.Count(s, "[") - strings.Count(s, "]"),
					'}': strings.Count(s, "{") - strings.Count(s, "}"),
				}
			}
			if open[c] >= 0 {
				return s
			}
			open[c]++
		default:
			return s
		}
		s = s[:len(s)-1]
	}
	return s
}
