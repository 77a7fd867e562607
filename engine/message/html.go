package message

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxQuote bounds the quote marks before a line.
const maxQuote = 5

// htmlText reduces HTML to the text that a reader sees. Scripts, styles and
// comments are dropped, blocks become lines, blockquotes get "> ", and links
// keep their text. It reads tokens and builds no tree, so nesting costs
// nothing.
func htmlText(s string, limit int) string { return reduceHTML(s, limit, nil) }

// reduceHTML is htmlText that also collects the anchors, unless links is nil.
func reduceHTML(s string, limit int, links *anchors) string {
	z := html.NewTokenizer(strings.NewReader(s))
	w := textWriter{limit: limit, links: links}
	w.out.Grow(min(len(s)/3, limit))
	var skip atom.Atom // the element whose content is not text
	for w.out.Len() < limit {
		switch z.Next() {
		case html.ErrorToken:
			return w.String()
		case html.TextToken:
			if skip == 0 {
				w.text(z.Text())
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			tag := atom.Lookup(name)
			if links != nil && skip == 0 {
				links.open(tag, z, more, w.out.Len())
			}
			if skip == 0 && hidden(tag) {
				skip = tag
			}
			w.open(tag)
		case html.EndTagToken:
			name, _ := z.TagName()
			tag := atom.Lookup(name)
			if tag == skip {
				skip = 0
			}
			if links != nil && skip == 0 {
				links.close(tag, w.out.Len())
			}
			w.close(tag)
		}
	}
	return w.String()
}

// hidden reports whether an element's content is code or alternative content.
// The tokenizer returns such content as one text token.
func hidden(tag atom.Atom) bool {
	switch tag {
	case atom.Script, atom.Style, atom.Title, atom.Iframe, atom.Noembed, atom.Noframes:
		return true
	}
	return false
}

// textWriter folds white space as a browser does.
type textWriter struct {
	out   strings.Builder
	limit int
	lines int  // line ends due before the next text
	space bool // a space is due before the next text
	begun bool
	pre   int
	quote int
	mark  string
	links *anchors // nil: not wanted
}

func (w *textWriter) open(tag atom.Atom) {
	switch tag {
	case atom.Br:
		w.lines = min(w.lines+1, 2)
	case atom.Pre:
		w.pre++
		w.line(2)
	case atom.Blockquote:
		w.quote++
		w.line(2)
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Hr, atom.Table, atom.Ul, atom.Ol, atom.Dl:
		w.line(2)
	case atom.Li:
		w.line(1)
		w.mark = "- "
	case atom.Td, atom.Th:
		w.space = true
	default:
		if block(tag) {
			w.line(1)
		}
	}
}

func (w *textWriter) close(tag atom.Atom) {
	switch tag {
	case atom.Pre:
		w.pre = max(w.pre-1, 0)
		w.line(2)
	case atom.Blockquote:
		w.quote = max(w.quote-1, 0)
		w.line(2)
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Table, atom.Ul, atom.Ol, atom.Dl:
		w.line(2)
	case atom.Td, atom.Th:
		w.space = true
	default:
		if block(tag) {
			w.line(1)
		}
	}
}

func block(tag atom.Atom) bool {
	switch tag {
	case atom.Div, atom.Tr, atom.Li, atom.Dt, atom.Dd, atom.Section, atom.Article, atom.Header, atom.Footer,
		atom.Center, atom.Form, atom.Fieldset, atom.Address, atom.Figure, atom.Body, atom.Thead, atom.Tbody,
		atom.Caption, atom.Aside, atom.Nav, atom.Main:
		return true
	}
	return false
}

// line requests at least n line ends before the next text.
func (w *textWriter) line(n int) { w.lines, w.space = max(w.lines, n), false }

func (w *textWriter) text(s []byte) {
	if w.pre > 0 {
		for i := 0; len(s) > 0; i++ { // the tokenizer made all line ends \n
			if i > 0 {
				w.lines = min(w.lines+1, 2)
			}
			var l []byte
			if l, s, _ = bytes.Cut(s, []byte("\n")); len(l) > 0 {
				w.word(l)
			}
		}
		return
	}
	for len(s) > 0 {
		i := 0
		for i < len(s) {
			n := blank(s, i)
			if n == 0 {
				break
			}
			i += n
		}
		w.space = w.space || i > 0
		s = s[i:]
		for i = 0; i < len(s) && blank(s, i) == 0; {
			i++
		}
		if i > 0 {
			w.word(s[:i])
		}
		s = s[i:]
	}
}

// blank returns the length of the white space at s[i], which is ASCII or a
// no-break space.
func blank(s []byte, i int) int {
	switch c := s[i]; {
	case c == ' ' || ('\t' <= c && c <= '\r'):
		return 1
	case c == 0xc2 && i+1 < len(s) && s[i+1] == 0xa0:
		return 2
	}
	return 0
}

func (w *textWriter) word(s []byte) {
	if room := w.limit - w.out.Len(); len(s) > room {
		s = bytes.ToValidUTF8(s[:max(room, 0)], nil)
	}
	switch {
	case !w.begun || w.lines > 0:
		for ; w.begun && w.lines > 0; w.lines-- {
			w.out.WriteByte('\n')
		}
		for range min(w.quote, maxQuote) {
			w.out.WriteString("> ")
		}
		w.out.WriteString(w.mark)
		w.begun, w.lines, w.mark = true, 0, ""
	case w.space:
		w.out.WriteByte(' ')
	}
	w.space = false
	w.out.Write(s)
	if w.links != nil {
		w.links.word(s)
	}
}

func (w *textWriter) String() string {
	raw := w.out.String()
	text := cleanText(raw)
	if w.links != nil {
		w.links.end(len(raw))
		w.links.settle(raw, text)
	}
	return text
}
