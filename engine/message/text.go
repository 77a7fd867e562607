package message

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// cleanText makes line ends \n, drops NUL and all other control characters
// except tab, and trims white space around the text.
func cleanText(s string) string {
	s = strings.Trim(s, " \t\r\n\x00")
	i := badByte(s)
	if i < 0 {
		return s
	}
	var out strings.Builder
	out.Grow(len(s))
	for ; i >= 0; i = badByte(s) {
		out.WriteString(s[:i])
		if c := s[i]; c == '\f' || c == '\r' && (i+1 == len(s) || s[i+1] != '\n') {
			out.WriteByte('\n')
		}
		s = s[i+1:]
	}
	out.WriteString(s)
	return out.String()
}

// badByte finds the first control character that is no line end or tab.
func badByte(s string) int {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < ' ' && c != '\n' && c != '\t') || c == 0x7f {
			return i
		}
	}
	return -1
}

// noText reports whether bytes that are labelled as text are none: they begin as
// a known file does, or hold many control characters. UTF-16 has them, too.
func noText(b []byte) bool {
	b = b[:min(len(b), 512)]
	controls := 0
	for _, c := range b {
		if c < ' ' && (c < '\b' || c > '\r') && c != 0x1b && c != 0x0e && c != 0x0f || c == 0x7f {
			controls++
		}
	}
	if controls == 0 {
		return false
	}
	if _, ok := wide(b); ok || marks(b) {
		return false
	}
	for _, magic := range []string{"%PDF-", "PK\x03\x04", "GIF8", "\x89PNG", "\xff\xd8\xff", "\xd0\xcf\x11\xe0",
		"\x1f\x8b", "Rar!", "7z\xbc\xaf", "\x7fELF", "ID3", "OggS", "RIFF", "BM", "MZ", "II*\x00", "MM\x00*"} {
		if bytes.HasPrefix(b, []byte(magic)) {
			return true
		}
	}
	return controls >= 4 && controls*20 > len(b)
}

// marks reports whether bytes begin with the byte order mark of UTF-16 or
// UTF-32.
func marks(b []byte) bool {
	return bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) ||
		bytes.HasPrefix(b, []byte("\x00\x00\xfe\xff"))
}

// unflow joins the lines of format=flowed (RFC 3676 §4). A line that ends in a
// space goes on in the next one of the same quote depth. A space at the start
// of a line is stuffing. delSp: the space at the end is no part of the text.
func unflow(s string, delSp bool) string {
	var out strings.Builder
	out.Grow(len(s))
	open := -1 // quote depth of the paragraph that goes on
	for s != "" {
		var line string
		line, s, _ = strings.Cut(s, "\n")
		line = strings.TrimSuffix(line, "\r")
		text := strings.TrimLeft(line, ">")
		depth := len(line) - len(text)
		text = strings.TrimPrefix(text, " ")
		signature := text == "-- "
		if open != depth || signature {
			if out.Len() > 0 {
				out.WriteByte('\n')
			}
			if depth > 0 {
				out.WriteString(line[:depth])
				if text != "" {
					out.WriteByte(' ')
				}
			}
		}
		open = -1
		if strings.HasSuffix(text, " ") && !signature {
			if open = depth; delSp {
				text = text[:len(text)-1]
			}
		}
		out.WriteString(text)
	}
	return out.String()
}

// stub reports whether plain text is no version of the page beside it, but says
// that there is one. Then few of its words are on the page.
func stub(plain, page string) bool {
	plain = strings.ToLower(plain[:min(len(plain), 4*enoughPlain)])
	page = strings.ToLower(page[:min(len(page), 64<<10)])
	words, found := 0, 0
	for _, w := range strings.FieldsFunc(plain,
		func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if utf8.RuneCountInString(w) < 3 {
			continue
		}
		if len(w) > 12 { // lines of a script without blanks break elsewhere on the page
			w = strings.ToValidUTF8(w[:12], "")
		}
		if words++; strings.Contains(page, w) {
			found++
		}
	}
	if words == 0 {
		return false
	}
	return found*2 < words && len(page) > 0 && (strings.Contains(plain, "html") || len(page)*2 >= len(plain))
}

// unlinked drops the links of a text: on the page beside it they may stand
// behind words.
func unlinked(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	return strings.Join(slices.DeleteFunc(strings.Fields(text), func(w string) bool {
		return strings.Contains(w, "http://") || strings.Contains(w, "https://")
	}), " ")
}

// spare is a text of a type that is no plain text nor HTML.
type spare struct {
	text       string
	attachment Attachment
	at         int // its place among the attachments
}

// useSpare decides what becomes of the spare text: the message's text, if there
// is no other, and otherwise an attachment. One with a name is both.
func (b *builder) useSpare() {
	s := b.spare
	if s == nil {
		return
	}
	b.spare = nil
	if len(b.text) == 0 {
		b.plain(s.text)
		if s.attachment.Name == "" && s.text != "" {
			return
		}
	}
	if len(b.v.Attachments) >= b.lim.Attachments {
		b.problem("more attachments than are listed")
		return
	}
	b.v.HasAttachment = b.v.HasAttachment || counts(s.attachment)
	b.v.Attachments = append(b.v.Attachments, Attachment{})
	copy(b.v.Attachments[s.at+1:], b.v.Attachments[s.at:])
	b.v.Attachments[s.at] = s.attachment
}

// prose reports whether a subtype of text is written to be read, so that it is
// text wherever it stands (RFC 2046 §4.1.4).
func prose(minor string) bool {
	switch minor {
	case "enriched", "richtext", "markdown", "x-markdown", "x-plain", "asciidoc", "x-asciidoc", "x-rst", "org":
		return true
	}
	return false
}

// readable makes text of another type readable. One of an unknown type is read as
// plain text (RFC 2046 §4.1.4).
func readable(mediaType, s string) string {
	switch mediaType {
	case "text/plain":
		return s
	case "text/enriched":
		return enriched(s, true)
	case "text/richtext":
		return enriched(s, false)
	case "text/calendar", "text/x-vcalendar":
		return calendar(s)
	case "text/xml", "text/xhtml", "text/x-html", "text/x-amp-html", "text/x-watch-html":
		return htmlText(s, len(s))
	}
	return s
}

// longestTag bounds a tag of text/enriched, in bytes. A longer one is text.
const longestTag = 61

// enriched reduces text/enriched (RFC 1896) or text/richtext (RFC 1341 §7.1.3)
// to its words.
func enriched(s string, doubled bool) string {
	var out strings.Builder
	out.Grow(len(s))
	skip, fill := "", true
	newlines := 0
	line := func() { // what the line ends before a text are
		switch {
		case newlines > 0 && (!doubled || fill && newlines == 1):
			out.WriteByte(' ')
		case newlines > 0 && fill:
			out.WriteString(strings.Repeat("\n", newlines-1))
		default:
			out.WriteString(strings.Repeat("\n", newlines))
		}
		newlines = 0
	}
	for s != "" {
		i := strings.IndexAny(s, "<\n")
		if i != 0 {
			if i < 0 {
				i = len(s)
			}
			if text := strings.TrimSuffix(s[:i], "\r"); skip == "" && text != "" {
				line()
				out.WriteString(text)
			}
			s = s[i:]
			continue
		}
		if s[0] == '\n' {
			s = s[1:]
			newlines++
			continue
		}
		if doubled && strings.HasPrefix(s, "<<") {
			line()
			out.WriteByte('<')
			s = s[2:]
			continue
		}
		end := strings.IndexByte(s[:min(len(s), longestTag)], '>')
		if end < 0 {
			out.WriteByte('<')
			s = s[1:]
			continue
		}
		tag := strings.ToLower(s[1:end])
		s = s[end+1:]
		switch {
		case skip != "":
			if tag == "/"+skip {
				skip = ""
			}
		case tag == "param" || tag == "comment":
			skip = tag
		case tag == "nl" || tag == "paragraph" || tag == "/paragraph":
			out.WriteByte('\n')
		case tag == "lt":
			out.WriteByte('<')
		case tag == "nofill" || tag == "/nofill":
			fill = tag != "nofill"
		}
	}
	return out.String()
}

// calendar takes from an invitation what a person reads of it (RFC 5545).
func calendar(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n ", "")
	s = strings.ReplaceAll(s, "\n\t", "")
	var out []string
	inEvent := false
	for line := range strings.SplitSeq(s, "\n") {
		head, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(strings.ToUpper(head), ";")
		switch value = strings.TrimSpace(value); name {
		case "BEGIN":
			kind := strings.ToUpper(value)
			inEvent = inEvent && kind == "VALARM" || kind == "VEVENT" || kind == "VTODO" || kind == "VJOURNAL"
		case "SUMMARY", "LOCATION", "DESCRIPTION", "COMMENT":
			if inEvent && value != "" {
				out = append(out, icsText(value))
			}
		case "DTSTART", "DTEND", "DUE":
			if inEvent {
				out = append(out, name+": "+value)
			}
		}
	}
	if len(out) == 0 {
		return s
	}
	return strings.Join(out, "\n")
}

// icsText undoes the escapes of RFC 5545 §3.3.11.
func icsText(s string) string {
	return strings.NewReplacer(`\n`, "\n", `\N`, "\n", `\,`, ",", `\;`, ";", `\\`, `\`).Replace(s)
}

// page adds a page of HTML, or holds it until the alternative around it ends.
func (b *builder) page(page string) {
	if b.whole {
		b.pages = append(b.pages, htmlPage{page, b.attached()})
	}
	if b.alternative() != nil {
		b.waiting = append(b.waiting, page...)
		return
	}
	b.reduced(htmlText(page, int(b.lim.Text)-len(b.text)))
}

// plain adds plain text and counts it for every alternative around it.
func (b *builder) plain(text string) {
	for i := range b.groups {
		b.groups[i].plain += len(text)
	}
	b.write(text)
}

// write adds a piece of text after an empty line.
func (b *builder) write(text string) {
	if text == "" || int64(len(b.text)) >= b.lim.Text {
		return
	}
	if len(b.text) > 0 {
		b.text = append(b.text, '\n', '\n')
	}
	if room := int(b.lim.Text) - len(b.text); len(text) > room {
		b.problem("text cut")
		text = strings.ToValidUTF8(text[:max(room, 0)], "")
	}
	b.text = append(b.text, text...)
}

// close ends a container whose bytes end at an offset.
func (b *builder) close(end int64) {
	g := b.groups[len(b.groups)-1]
	b.groups = b.groups[:len(b.groups)-1]
	if g.attachment >= 0 {
		b.v.Attachments[g.attachment].Size = max(end-g.offset, 0)
	}
	if g.children == 0 && !g.message {
		b.problem("multipart without parts")
		b.plain(cleanText(b.cs.toUTF8(g.preamble, "")))
	}
	if !g.alternative || len(b.waiting) == g.html || g.plain == 0 && b.alternative() != nil {
		return
	}
	page := b.waiting[g.html:]
	b.waiting = b.waiting[:g.html]
	if g.plain >= enoughPlain {
		return
	}
	text := htmlText(string(page), int(b.lim.Text)-g.start)
	written := strings.TrimSpace(string(b.text[g.start:]))
	plain := unlinked(written)
	short := len(plain) < shortPlain && (written == "" || len(unlinked(text)) > 2*len(plain))
	if short || stub(plain, text) {
		b.text = b.text[:g.start]
		b.reduced(text)
	}
}

// reduced adds text that was HTML.
func (b *builder) reduced(text string) {
	b.v.FromHTML = b.v.FromHTML || text != ""
	b.write(text)
}
