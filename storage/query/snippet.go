package query

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	snippetLength = 160 // characters, at most
	snippetLead   = 40  // of them before the first hit, about
	longPhrase    = 32  // words of a phrase that are compared
)

// Snippet is a piece of a text around what a query found in it, on one line.
// Marks are the places of what was found, each from a character of Text to the
// one behind.
type Snippet struct {
	Text  string
	Marks [][2]int
}

// Snippet cuts a piece around the first place in a text where a word of the
// query stands. ok is false where none stands. Negated words and those of other
// columns are not looked for. The work is linear in the text.
func (q Query) Snippet(text string) (s Snippet, ok bool) {
	f := finder{phrases: wanted(q.Expr, nil)}
	if len(f.phrases) == 0 {
		return s, false
	}
	words(text, f.word)
	if len(f.found) == 0 {
		return s, false
	}
	return cut(text, f.found), true
}

// HasText reports whether a text may have a snippet.
func (q Query) HasText() bool { return len(wanted(q.Expr, nil)) > 0 }

// phrase is the words of a term that are looked for.
type phrase struct {
	words  []word
	prefix bool
}

// wanted collects the terms that a text may hold.
func wanted(e Expr, all []phrase) []phrase {
	switch e := e.(type) {
	case And:
		for _, part := range e {
			all = wanted(part, all)
		}
	case Or:
		for _, part := range e {
			all = wanted(part, all)
		}
	case Term:
		if list, prefix := e.words(); e.Column == Anywhere {
			prefix = prefix && len(list) <= longPhrase
			all = append(all, phrase{list[:min(len(list), longPhrase)], prefix})
		}
	}
	return all
}

// finder looks for phrases in the words of a text, as they come.
type finder struct {
	phrases []phrase
	begun   []begun
	found   [][2]int // bytes of the text, by their ends
}

// begun is a phrase of which some words were found.
type begun struct {
	phrase, words int
	start         int
}

// word takes one more word. It gives false when nothing after it can be in the
// snippet.
func (f *finder) word(w word) bool {
	if len(f.found) > 0 && w.start-f.found[0][0] > utf8.UTFMax*snippetLength {
		return false
	}
	before := f.begun
	f.begun = nil
	for _, b := range before {
		f.step(b, w)
	}
	for i := range f.phrases {
		f.step(begun{phrase: i, start: w.start}, w)
	}
	return true
}

func (f *finder) step(b begun, w word) {
	p := f.phrases[b.phrase]
	want, final := p.words[b.words], b.words+1 == len(p.words)
	if w.text != want.text && !(final && p.prefix && strings.HasPrefix(w.text, want.text)) {
		return
	}
	if !final {
		f.begun = append(f.begun, begun{b.phrase, b.words + 1, b.start})
		return
	}
	end := w.end
	if want.kind == last && w.kind == pair { // one character of a run
		end = w.first
	}
	f.found = append(f.found, [2]int{b.start, end})
}

// cut makes the snippet around the first of the places found, which are bytes
// of the text.
func cut(text string, found [][2]int) Snippet {
	first := found[0]
	for _, one := range found[1:] {
		if one[0] < first[0] {
			first = one
		}
	}
	from := first[0]
	for n := 0; n < snippetLead && from > 0; n++ {
		_, size := utf8.DecodeLastRuneInString(text[:from])
		from -= size
	}
	if from > 0 { // it begins with a whole word, if one begins there
		if at := strings.IndexFunc(text[from:first[0]], unicode.IsSpace); at >= 0 {
			from += at
		}
	}
	var b strings.Builder
	var s Snippet
	n, blank := 0, true
	marked := make([]bool, 0, snippetLength)
	for i, r := range text[from:] {
		if n == snippetLength {
			break
		}
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			if blank {
				continue
			}
			r = ' '
		}
		blank = r == ' '
		b.WriteRune(r)
		marked = append(marked, within(found, from+i))
		n++
	}
	s.Text = strings.TrimRight(b.String(), " ")
	for i := 0; i < len(marked); i++ {
		if marked[i] {
			begin := i
			for i < len(marked) && marked[i] {
				i++
			}
			s.Marks = append(s.Marks, [2]int{begin, i})
		}
	}
	return s
}

func within(found [][2]int, at int) bool {
	for _, one := range found {
		if at >= one[0] && at < one[1] {
			return true
		}
	}
	return false
}
