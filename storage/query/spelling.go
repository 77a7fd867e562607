package query

import "strings"

// Spelling is the form that words have in a search index. A query is put to an
// index in the spelling of the index.
type Spelling int

// The spellings. A change of how text is cut or folded is a new one: the store
// then builds its index anew.
const (
	Bigrams Spelling = 1 // NFC, pairs of Chinese, Japanese and Korean characters; FTS5's unicode61 does the rest
	Folded  Spelling = 2 // words as this package cuts and folds them; FTS5 only parts them at blanks
	Newest           = Folded
)

// The signs say whose a word of the people column is. They are of private use,
// and all text loses them before it is indexed.
const (
	fromSign = '\uE000'
	toSign   = '\uE001' // To and Cc
	ccSign   = '\uE002'
	bccSign  = '\uE003'
)

func isSign(r rune) bool { return r >= fromSign && r <= bccSign }

// Text is text as the search index holds it, for the columns subject, text and
// attachments.
func (s Spelling) Text(text string) string {
	if s == Bigrams {
		return bigramText(text)
	}
	return folded(text, 0)
}

// People are the correspondents of a message, each a list of names and
// addresses. Others are further ones.
type People struct {
	From, To, Cc, Bcc string
	Others            string
}

// People is the people column of a message: every word as it is, and again with
// the sign of whose it is.
func (s Spelling) People(p People) string {
	all := []string{s.Text(p.From), s.Text(p.To), s.Text(p.Others), s.signed(p.From, fromSign), s.signed(p.To, toSign)}
	if s != Bigrams {
		all = append(all, s.signed(p.Cc, ccSign), s.signed(p.Bcc, bccSign))
	}
	return strings.Join(all, "\n")
}

// signed is text with a sign before every word.
func (s Spelling) signed(text string, sign rune) string {
	if s == Bigrams {
		return signWords(bigramText(text), sign)
	}
	return folded(text, sign)
}

// folded is the words of a text, each after a sign (0: none), with blanks
// between them.
func folded(text string, sign rune) string {
	var b strings.Builder
	b.Grow(len(text) + len(text)/8)
	words(text, func(w word) bool {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		if sign != 0 {
			b.WriteRune(sign)
		}
		b.WriteString(w.text)
		return true
	})
	return b.String()
}
