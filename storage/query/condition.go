package query

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// fields are the names of the language.
func fields() []string {
	return []string{"from", "to", "cc", "bcc", "subject", "filename", "in", "account", "has", "is", "before", "after",
		"older_than", "newer_than", "larger", "smaller"}
}

// isColumn reports whether a field is of text.
func isColumn(field string) bool {
	return slices.Contains([]Column{Subject, From, To, Cc, Bcc, Filename}, Column(field))
}

// condition makes the condition of a field with its value. It is nil where a
// stray sign is passed over.
func (p *parser) condition(field, text string, quoted bool) (Expr, error) {
	switch field {
	case "before", "after":
		return p.day(field, text)
	case "older_than", "newer_than":
		return p.age(field, text)
	case "larger", "smaller":
		return p.size(field, text)
	case "is":
		switch strings.ToLower(text) {
		case "unread":
			return Unread{}, nil
		case "read":
			return Not{Unread{}}, nil
		case "flagged", "starred":
			return Flagged{}, nil
		}
		return nil, p.fail("is: takes unread, read or flagged%s", meaning(text, "unread", "read", "flagged"))
	case "has":
		if strings.EqualFold(text, "attachment") {
			return Attached{}, nil
		}
		return nil, p.fail("has: takes attachment%s; put it in quotes to search for the text",
			meaning(text, "attachment"))
	case "in", "account":
		name := Name{Text: text}
		if !quoted {
			name.Text = strings.TrimRight(text, "*")
			name.Prefix = name.Text != text
		}
		if field == "in" {
			return In{name}, nil
		}
		return Account{name}, nil
	case "":
		return p.term(p.column, text, quoted)
	}
	return p.term(Column(field), text, quoted)
}

func (p *parser) term(column Column, text string, quoted bool) (Expr, error) {
	t := Term{Column: column, Text: text, Phrase: quoted}
	if !quoted {
		t.Text = strings.TrimRight(text, "*")
		t.Prefix = t.Text != text
	}
	if all, _ := t.words(); len(all) == 0 {
		err := p.fail("it has no letter, digit or emoji, and nothing else can be found")
		if column != Anywhere || quoted {
			return nil, err
		}
		// A stray & or - between words is not worth an error unless nothing
		// else was asked.
		if p.ignored == nil {
			p.ignored = err
		}
		return nil, nil
	}
	switch {
	case quoted:
	case text == "AND":
		p.hint("AND is searched for as a word. Every clause must hold anyway.")
	case text == "NOT":
		p.hint("NOT is searched for as a word. Write -word to leave out what has a word.")
	}
	return t, nil
}

func (p *parser) hint(text string) {
	if !slices.Contains(p.hints, text) {
		p.hints = append(p.hints, text)
	}
}

// day reads a day, which begins at midnight.
func (p *parser) day(field, text string) (Expr, error) {
	y, m, d := p.now.Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, p.now.Location())
	switch lower := strings.ToLower(text); lower {
	case "today":
	case "yesterday":
		day = day.AddDate(0, 0, -1)
	default:
		ago, ok := back(day, lower)
		if !ok {
			var err error
			if ago, err = time.ParseInLocation("2006-01-02", strings.ReplaceAll(text, "/", "-"),
				p.now.Location()); err != nil {
				return nil, p.fail("%s: takes a day as YYYY-MM-DD, such as 2026-03-01, or today, yesterday, or how "+
					"long ago, such as 3d, 2w, 6m, 1y", field)
			}
		}
		day = ago
	}
	if day.Year() < 1000 { // year 1 would be the zero time
		return nil, p.fail("%s: takes a day as YYYY-MM-DD, from the year 1000 on", field)
	}
	if field == "before" {
		return Before{day}, nil
	}
	return After{day}, nil
}

// age reads how long ago, to the hour.
func (p *parser) age(field, text string) (Expr, error) {
	at, ok := back(p.now, strings.ToLower(text))
	if !ok || at.Year() < 1000 {
		return nil, p.fail("%s: takes a number of hours, days, weeks, months or years, such as 12h, 3d, 2w, 6m, 1y",
			field)
	}
	if field == "older_than" {
		return Before{at}, nil
	}
	return After{at}, nil
}

// back goes back by 12h, 3d, 2w, 6m or 1y.
func back(from time.Time, text string) (time.Time, bool) {
	if len(text) < 2 || len(text) > 6 {
		return from, false
	}
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 31)
	if err != nil {
		return from, false
	}
	switch text[len(text)-1] {
	case 'h':
		return from.Add(-time.Duration(n) * time.Hour), true
	case 'd':
		return from.AddDate(0, 0, -int(n)), true
	case 'w':
		return from.AddDate(0, 0, -7*int(n)), true
	case 'm':
		return from.AddDate(0, -int(n), 0), true
	case 'y':
		return from.AddDate(-int(n), 0, 0), true
	}
	return from, false
}

// size reads a number of bytes, with a unit in powers of ten.
func (p *parser) size(field, text string) (Expr, error) {
	number := strings.TrimRight(strings.ToLower(text), "bkmg")
	unit, ok := map[string]float64{"": 1, "b": 1, "k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9,
		"gb": 1e9}[strings.ToLower(text[len(number):])]
	n, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || strings.Trim(number, "0123456789.") != "" || n*unit > 1e15 {
		return nil, p.fail("%s: takes a size, such as 500k, 10M or 1.5G", field)
	}
	if field == "larger" {
		return Larger{int64(n * unit)}, nil
	}
	return Smaller{int64(n * unit)}, nil
}

// meaning guesses what a mistyped value was to be, as the end of a sentence.
func meaning(text string, values ...string) string {
	if meant := nearest(strings.ToLower(text), values); meant != "" {
		return ": did you mean " + meant + "?"
	}
	return ""
}

// nearest gives the name that a text is at most two slips away from, in a long
// one, or one in a short one; "" if there is none. A slip is a letter too much,
// too few or wrong, or two that changed places.
func nearest(text string, names []string) string {
	best, least := "", 3
	for _, name := range names {
		most := 1
		if len(name) > 5 {
			most = 2
		}
		if n := slips(text, name, most); n <= most && n < least {
			best, least = name, n
		}
	}
	return best
}

// slips is the distance of two words of ASCII letters, as far as it is at most
// most (optimal string alignment).
func slips(a, b string, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		older, before, row := rows[(i+2)%3][:], rows[i%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			row[j] = min(before[j]+1, row[j-1]+1, before[j-1]+same)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}
