package query

import (
	"strings"
)

// Match is an FTS5 MATCH expression over the columns subject, people, text and
// attachments. Not: the messages are meant that it does not find, since FTS5
// cannot negate on its own.
type Match struct {
	Text string
	Not  bool
}

// Match is the FTS5 expression of an Expr of terms only, for an index of that
// spelling. ok is false for any other Expr.
func (s Spelling) Match(e Expr) (m Match, ok bool) {
	switch e := e.(type) {
	case Term:
		return Match{Text: s.operand(e)}, true
	case Not:
		m, ok = s.Match(e.Expr)
		m.Not = !m.Not
		return m, ok
	case And:
		return s.all(e, false)
	case Or: // one of them holds unless each opposite does
		return s.all(e, true)
	}
	return Match{}, false
}

// all joins the parts of an And, or the opposites of those of an Or, whose
// opposite it then gives.
func (s Spelling) all(parts []Expr, opposite bool) (Match, bool) {
	var yes, no []string
	for _, part := range parts {
		m, ok := s.Match(part)
		if !ok {
			return Match{}, false
		}
		if m.Not != opposite {
			no = append(no, m.Text)
		} else {
			yes = append(yes, m.Text)
		}
	}
	m := Match{Not: opposite}
	switch wanted, unwanted := strings.Join(yes, " AND "), strings.Join(no, " OR "); {
	case wanted == "":
		m.Text, m.Not = "("+unwanted+")", !opposite
	case unwanted == "":
		m.Text = "(" + wanted + ")"
	default:
		m.Text = "((" + wanted + ") NOT (" + unwanted + "))"
	}
	return m, true
}

// operand is one FTS5 string, in quotes, so that nothing in it is an operator.
// The tokenizer turns it into a phrase.
func (s Spelling) operand(t Term) string {
	column, sign := "", rune(0)
	switch t.Column {
	case Subject:
		column = "subject : "
	case Filename:
		column = "attachments : "
	case From:
		column, sign = "people : ", fromSign
	case To:
		column, sign = "people : ", toSign
	case Cc:
		column, sign = "people : ", ccSign
	case Bcc:
		column, sign = "people : ", bccSign
	}
	text, prefix := s.phrase(t, sign)
	if prefix {
		return column + `"` + text + `"*`
	}
	return column + `"` + text + `"`
}

// phrase is a term in the spelling of the index.
func (s Spelling) phrase(t Term, sign rune) (text string, prefix bool) {
	if s == Bigrams {
		text = bigramText(t.Text)
		// A lone character is only ever indexed as the beginning of a pair, or alone.
		prefix = t.Prefix || endsInLoneCJK(text)
		if sign != 0 {
			text = signWords(text, sign)
		}
		// SQLite reads the expression as a C string.
		return strings.NewReplacer(`"`, `""`, "\x00", " ").Replace(text), prefix
	}
	all, prefix := t.words()
	var b strings.Builder
	for i, w := range all {
		if i > 0 {
			b.WriteByte(' ')
		}
		if sign != 0 {
			b.WriteRune(sign)
		}
		b.WriteString(w.text)
	}
	return b.String(), prefix
}

// words are the words of a term as the index has them in a row, and whether the
// last one may go on. A run at the end may go on in the message: so its last
// character is not asked for alone, and a single one may begin a pair.
func (t Term) words() (all []word, prefix bool) {
	words(t.Text, func(w word) bool {
		all = append(all, w)
		return true
	})
	if len(all) == 0 {
		return nil, false
	}
	switch end := all[len(all)-1]; {
	case end.kind == last && end.lone:
		return all, true
	case end.kind == last:
		return all[:len(all)-1], false
	case end.kind == emoji:
		return all, false
	}
	return all, t.Prefix
}
