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

// Parse reads a query. Days begin at midnight in loc (nil: UTC), and the
// present day is counted back from now. The empty query is valid. Every error
// is a *SyntaxError.
func Parse(s string, loc *time.Location) (Query, error) {
	if loc == nil {
		loc = time.UTC
	}
	return parseAt(s, time.Now().In(loc))
}

// parseAt is Parse at a moment, in its zone.
func parseAt(s string, now time.Time) (Query, error) {
	if len(s) > MaxLength {
		return Query{}, &SyntaxError{Pos: 1, Word: strings.ToValidUTF8(s[:64], "\uFFFD"),
			Reason: fmt.Sprintf("a search is at most %d bytes long", MaxLength)}
	}
	p := parser{in: []rune(strings.ToValidUTF8(s, "\uFFFD")), now: now}
	e, err := p.list()
	if err != nil {
		return Query{}, err
	}
	if p.ignored != nil && p.clauses == 0 {
		return Query{}, p.ignored
	}
	return Query{Expr: e, Hints: p.hints}, nil
}

type parser struct {
	in      []rune
	now     time.Time
	pos     int
	start   int    // of the clause being read
	column  Column // of the words in parentheses after a field
	depth   int    // of parentheses
	clauses int    // that count
	ignored error
	hints   []string
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

// ends reports whether a character ends a word: a blank, or the parenthesis
// that closes the one before.
func (p *parser) ends(r rune) bool { return unicode.IsSpace(r) || p.depth > 0 && r == ')' }

// list reads clauses up to the end, or up to the parenthesis that closes. A
// clause before OR makes one alternative with the clause after it.
func (p *parser) list() (Expr, error) {
	var all []Expr
	var flags []Expr // the conditions on flags that must all hold
	or, orAt := false, 0
	for {
		for p.pos < len(p.in) && unicode.IsSpace(p.in[p.pos]) {
			p.pos++
		}
		if p.pos == len(p.in) || p.depth > 0 && p.peek(0) == ')' {
			break
		}
		p.start = p.pos
		if p.word("OR") {
			if len(all) == 0 || or {
				return nil, p.fail("OR stands between two clauses; put it in quotes to search for the word")
			}
			or, orAt = true, p.pos
			p.pos += len("OR")
			continue
		}
		start := p.start
		e, err := p.clause()
		if err != nil {
			return nil, err
		}
		if e == nil {
			continue
		}
		if or {
			or, flags = false, dropLast(flags, all[len(all)-1])
			all[len(all)-1] = either(all[len(all)-1], e)
			continue
		}
		all = append(all, e)
		if isFlag(e) {
			if slices.Contains(flags, opposite(e)) {
				p.start = start
				return nil, p.fail("it contradicts an earlier word, so nothing can match")
			}
			flags = append(flags, e)
		}
	}
	if or {
		p.start, p.pos = orAt, orAt
		return nil, p.fail("OR stands between two clauses; put it in quotes to search for the word")
	}
	switch len(all) {
	case 0:
		return nil, nil
	case 1:
		return all[0], nil
	}
	return And(all), nil
}

// word reports whether a word stands here, alone.
func (p *parser) word(word string) bool {
	for i, r := range word {
		if p.peek(i) != r {
			return false
		}
	}
	return p.ends(p.peek(len(word)))
}

// either joins two alternatives, or one more to those before.
func either(a, b Expr) Expr {
	if or, ok := a.(Or); ok {
		return append(or[:len(or):len(or)], b)
	}
	return Or{a, b}
}

// dropLast drops a condition on flags that became an alternative.
func dropLast(flags []Expr, e Expr) []Expr {
	if len(flags) > 0 && isFlag(e) {
		return flags[:len(flags)-1]
	}
	return flags
}

func isFlag(e Expr) bool {
	if not, ok := e.(Not); ok {
		e = not.Expr
	}
	switch e.(type) {
	case Unread, Flagged:
		return true
	}
	return false
}

func opposite(e Expr) Expr {
	if not, ok := e.(Not); ok {
		return not.Expr
	}
	return Not{e}
}

// clause reads one clause. It is nil where a stray sign is passed over.
func (p *parser) clause() (Expr, error) {
	not := p.peek(0) == '-' && !unicode.IsSpace(p.peek(1))
	if not {
		p.pos++
	}
	e, err := p.positive()
	if err != nil || e == nil || !not {
		return e, err
	}
	return opposite(e), nil
}

func (p *parser) positive() (Expr, error) {
	field, err := p.field()
	if err != nil {
		return nil, err
	}
	if p.peek(0) == '(' {
		return p.group(field)
	}
	text, quoted, err := p.value()
	if err != nil {
		return nil, err
	}
	if text == "" && field != "" {
		return nil, p.fail("%s needs a value right after the colon", field+":")
	}
	if p.clauses == MaxTerms {
		return nil, p.fail("a search has at most %d clauses", MaxTerms)
	}
	e, err := p.condition(field, text, quoted)
	if e != nil {
		p.clauses++
	}
	return e, err
}

// group reads clauses in parentheses. After a field their words belong to it.
func (p *parser) group(field string) (Expr, error) {
	start, before := p.start, p.column
	if field != "" {
		if !isColumn(field) {
			return nil, p.fail("%s takes no parentheses", field+":")
		}
		p.column = Column(field)
	}
	if p.depth == MaxDepth {
		return nil, p.fail("there are more than %d parentheses in one another", MaxDepth)
	}
	p.pos++
	p.depth++
	e, err := p.list()
	if err != nil {
		return nil, err
	}
	p.depth--
	p.column, p.start = before, start
	if p.pos == len(p.in) {
		p.pos = start
		return nil, p.fail("the closing parenthesis is missing; put it in quotes to search for the text")
	}
	p.pos++
	switch {
	case e == nil:
		return nil, p.fail("there is nothing to search for in the parentheses")
	case !p.ends(p.peek(0)):
		return nil, p.fail("a space must follow the closing parenthesis")
	}
	return e, nil
}

// field reads "name:" and returns the name in lower case, "" when the clause is
// not of that form. Text that merely looks like it, such as a URL, a path or
// "Re:", is left to be a word; a name that might be a mistyped field is
// refused.
func (p *parser) field() (string, error) {
	n := 0
	for r := p.peek(n); r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || n > 0 && (r == '_' || r == '-'); r = p.peek(n) {
		n++
	}
	if n == 0 || p.peek(n) != ':' {
		return "", nil
	}
	name := strings.ToLower(string(p.in[p.pos : p.pos+n]))
	if slices.Contains(fields(), name) {
		p.pos += n + 1
		return name, nil
	}
	next := p.peek(n + 1)
	if next != '"' && next != '(' && !indexed(next) {
		return "", nil
	}
	if meant := nearest(name, fields()); meant != "" {
		return "", p.fail("there is no field %s: did you mean %s:? Put it in quotes to search for the text", name,
			meant)
	}
	if strings.ContainsAny(name, "_-") { // no field of ours is near, and x-spam:yes is a usual text
		return "", nil
	}
	return "", p.fail("there is no field %s: (there are %s); put it in quotes to search for the text", name,
		strings.Join(fields(), ":, ")+":")
}

// value reads a quoted text or everything up to the next space. Parentheses
// inside a word belong to it.
func (p *parser) value() (text string, quoted bool, err error) {
	begin := p.pos
	if p.peek(0) != '"' {
		open := 0
		for ; p.pos < len(p.in) && !unicode.IsSpace(p.in[p.pos]); p.pos++ {
			switch r := p.in[p.pos]; {
			case r == '(':
				open++
			case r == ')' && open > 0:
				open--
			case r == ')' && p.depth > 0:
				return string(p.in[begin:p.pos]), false, nil
			}
		}
		return string(p.in[begin:p.pos]), false, nil
	}
	length := slices.Index(p.in[begin+1:], '"')
	if length < 0 {
		return "", false, p.fail("the closing quote is missing")
	}
	p.pos = begin + length + 2
	if !p.ends(p.peek(0)) {
		return "", false, p.fail("a space must follow the closing quote")
	}
	return string(p.in[begin+1 : p.pos-1]), true, nil
}
