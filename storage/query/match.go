package query

import (
	"strings"
	"unicode/utf8"
)

// FTS is the FTS5 MATCH expression for the terms, "" when there is none that
// must be there. When it is not "", it covers the negated terms too; otherwise
// they are in Excluded, because FTS5 cannot negate on its own.
func (q Query) FTS() string {
	wanted := q.operands(false, " AND ")
	unwanted := q.operands(true, " OR ")
	if wanted == "" || unwanted == "" {
		return wanted
	}
	return "(" + wanted + ") NOT (" + unwanted + ")"
}

// Excluded is the MATCH expression for messages to leave out (`id NOT IN
// (SELECT rowid FROM search WHERE search MATCH ?)`). It is "" unless the query
// has negated terms and no others.
func (q Query) Excluded() string {
	if q.operands(false, "") != "" {
		return ""
	}
	return q.operands(true, " OR ")
}

func (q Query) operands(not bool, join string) string {
	var all []string
	for _, t := range q.Match {
		if t.Not == not {
			all = append(all, t.operand())
		}
	}
	return strings.Join(all, join)
}

// operand is one FTS5 string, in quotes, so that nothing in it is an operator.
// The tokenizer turns it into a phrase.
func (t Term) operand() string {
	text, column := Index(t.Text), ""
	// A lone CJK character is only ever indexed as the beginning of a pair, or
	// alone.
	prefix := t.Prefix || endsInLoneCJK(text)
	switch t.Column {
	case Subject:
		column = "subject : "
	case From:
		text, column = markWords(text, fromMark), "people : "
	case To:
		text, column = markWords(text, toMark), "people : "
	}
	// SQLite reads the expression as a C string.
	text = strings.NewReplacer(`"`, `""`, "\x00", " ").Replace(text)
	if prefix {
		return column + `"` + text + `"*`
	}
	return column + `"` + text + `"`
}

// endsInLoneCJK looks at text in the spelling of Index, where the runs of a
// pair are two characters long.
func endsInLoneCJK(text string) bool {
	text = strings.TrimRightFunc(text, func(r rune) bool { return !indexed(r) })
	last, n := utf8.DecodeLastRuneInString(text)
	before, _ := utf8.DecodeLastRuneInString(text[:len(text)-n])
	return isCJK(last) && !isCJK(before)
}
