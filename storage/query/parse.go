package query

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// SyntaxError says where a query cannot be understood, and what is allowed
// there. One line.
type SyntaxError struct {
	Pos    int    // of Word: characters from the start, the first is 1
	Word   string // as it was written
	Reason string
}

func (e *SyntaxError) Error() string {
	word := []rune(e.Word)
	if len(word) > 40 {
		word = append(word[:39:39], '…')
	}
	return fmt.Sprintf("search: at character %d, %q: %s", e.Pos, string(word), e.Reason)
}

const (
	fieldNames = "from:, to:, subject:, before:, after: and is:"
	dateForm   = "2006-01-02"
)

// Parse reads a query. Days begin at midnight in loc (nil: UTC). The empty
// query is valid. Every error is a *SyntaxError.
func Parse(s string, loc *time.Location) (Query, error) {
	if loc == nil {
		loc = time.UTC
	}
	if len(s) > MaxLength {
		return Query{}, &SyntaxError{Pos: 1, Word: strings.ToValidUTF8(s[:64], "\uFFFD"),
			Reason: fmt.Sprintf("a search is at most %d bytes long", MaxLength)}
	}
	p := parser{in: []rune(strings.ToValidUTF8(s, "\uFFFD")), loc: loc}
	for {
		for p.pos < len(p.in) && unicode.IsSpace(p.in[p.pos]) {
			p.pos++
		}
		if p.pos == len(p.in) {
			break
		}
		p.start = p.pos
		if err := p.clause(); err != nil {
			return Query{}, err
		}
	}
	if p.ignored != nil && p.clauses == 0 {
		return Query{}, p.ignored
	}
	return p.q, nil
}

type parser struct {
	in      []rune
	loc     *time.Location
	pos     int
	start   int // of the clause being read
	clauses int // that count
	ignored error
	q       Query
}

// fail makes the error for the clause being read.
func (p *parser) fail(format string, args ...any) error {
	end := p.pos
	for end < len(p.in) && !unicode.IsSpace(p.in[end]) {
		end++
	}
	return &SyntaxError{Pos: p.start + 1, Word: string(p.in[p.start:end]), Reason: fmt.Sprintf(format, args...)}
}

func (p *parser) peek(ahead int) rune {
	if p.pos+ahead < len(p.in) {
		return p.in[p.pos+ahead]
	}
	return ' '
}

func (p *parser) clause() error {
	not := p.peek(0) == '-' && !unicode.IsSpace(p.peek(1))
	if not {
		p.pos++
	}
	field, err := p.field()
	if err != nil {
		return err
	}
	text, quoted, err := p.value()
	if err != nil {
		return err
	}
	if text == "" && field != "" {
		return p.fail("%s needs a value right after the colon", field+":")
	}
	switch field {
	case "before", "after":
		err = p.day(field, text, not)
	case "is":
		err = p.is(text, not)
	default:
		return p.term(Column(field), text, quoted, not)
	}
	p.clauses++
	return err
}

// field reads "name:" and returns the name in lower case, "" when the clause is
// not of that form. Text that merely looks like it, such as a URL, a path or
// "Re:", is left to be a word; a name that might be a mistyped field is
// refused.
func (p *parser) field() (string, error) {
	n := 0
	for r := p.peek(n); r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'; r = p.peek(n) {
		n++
	}
	if n == 0 || p.peek(n) != ':' {
		return "", nil
	}
	name := strings.ToLower(string(p.in[p.pos : p.pos+n]))
	if slices.Contains([]string{"from", "to", "subject", "before", "after", "is"}, name) {
		p.pos += n + 1
		return name, nil
	}
	if next := p.peek(n + 1); next == '"' || indexed(next) {
		return "", p.fail("there is no field %s: (there are %s); put it in quotes to search for the text", name,
			fieldNames)
	}
	return "", nil
}

// value reads a quoted text or everything up to the next space.
func (p *parser) value() (text string, quoted bool, err error) {
	begin := p.pos
	if p.peek(0) != '"' {
		for p.pos < len(p.in) && !unicode.IsSpace(p.in[p.pos]) {
			p.pos++
		}
		return string(p.in[begin:p.pos]), false, nil
	}
	length := slices.Index(p.in[begin+1:], '"')
	if length < 0 {
		return "", false, p.fail("the closing quote is missing")
	}
	p.pos = begin + length + 2
	if !unicode.IsSpace(p.peek(0)) {
		return "", false, p.fail("a space must follow the closing quote")
	}
	return string(p.in[begin+1 : p.pos-1]), true, nil
}

func (p *parser) term(column Column, text string, quoted, not bool) error {
	t := Term{Column: column, Text: text, Phrase: quoted, Not: not}
	if !quoted {
		t.Text = strings.TrimRight(text, "*")
		t.Prefix = t.Text != text
	}
	if !strings.ContainsFunc(t.Text, indexed) {
		err := p.fail("it has no letter and no digit, and nothing else can be found")
		if column != Anywhere || quoted {
			return err
		}
		// A stray & or - between words is not worth an error unless nothing
		// else was asked.
		if p.ignored == nil {
			p.ignored = err
		}
		return nil
	}
	if len(p.q.Match) == MaxTerms {
		return p.fail("a search has at most %d words and phrases", MaxTerms)
	}
	p.q.Match = append(p.q.Match, t)
	p.clauses++
	return nil
}

// day narrows the span of time; the opposite of before a day is that day or
// later.
func (p *parser) day(field, text string, not bool) error {
	day, err := time.ParseInLocation(dateForm, text, p.loc)
	if err != nil || day.Year() < 1000 { // year 1 would be the zero time
		return p.fail("%s: takes a day as YYYY-MM-DD, such as 2026-03-01", field)
	}
	if (field == "before") != not {
		if p.q.Before.IsZero() || day.Before(p.q.Before) {
			p.q.Before = day
		}
	} else if day.After(p.q.After) {
		p.q.After = day
	}
	return nil
}

func (p *parser) is(text string, not bool) error {
	want, state := !not, &p.q.Unread
	switch strings.ToLower(text) {
	case "unread":
	case "read":
		want = not
	case "flagged":
		state = &p.q.Flagged
	default:
		return p.fail("is: takes unread, read or flagged")
	}
	if *state != nil && **state != want {
		return p.fail("it contradicts an earlier word, so nothing can match")
	}
	*state = &want
	return nil
}
