package query

import (
	"strings"
	"unicode/utf8"
)

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
	f := folder{sign: sign}
	f.Grow(len(text) + len(text)/8)
	for text != "" {
		n := asciiWords(text)
		f.ascii(text[:n])
		text = text[n:]
		n = otherWords(text)
		words(text[:n], func(w word) bool {
			f.begin()
			f.WriteString(w.text)
			return true
		})
		text = text[n:]
	}
	if f.Cap() > 2*f.Len() { // a text with few words: what is kept is as small as it looks
		return strings.Clone(f.String())
	}
	return f.String()
}

// folder writes folded words.
type folder struct {
	strings.Builder
	sign rune
}

// begin starts a word.
func (f *folder) begin() {
	if f.Len() > 0 {
		f.WriteByte(' ')
	}
	if f.sign != 0 {
		f.WriteRune(f.sign)
	}
}

// ascii does what words does, for text that is ASCII. Most mail is, and this is
// ten times as fast.
func (f *folder) ascii(text string) {
	inWord := false
	for i := range len(text) {
		c := text[i]
		if !isASCIIWord(c) {
			inWord = false
			continue
		}
		if !inWord {
			f.begin()
			inWord = true
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		f.WriteByte(c)
	}
}

func isASCIIWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// asciiWords is the length of what ascii can do at the start of a text. It ends
// before the character that parts its last word from one that is not ASCII: a
// mark may follow that character.
func asciiWords(text string) int {
	n := 0
	for n < len(text) && text[n] < utf8.RuneSelf {
		n++
	}
	if n == len(text) {
		return n
	}
	for n > 0 && isASCIIWord(text[n-1]) {
		n--
	}
	return max(n-1, 0)
}

// otherWords is the length of what words must do at the start of a text, behind
// asciiWords: up to the end of the word that is not ASCII.
func otherWords(text string) int {
	n := 0
	for n < len(text) && text[n] < utf8.RuneSelf {
		n++
	}
	for n < len(text) && (text[n] >= utf8.RuneSelf || isASCIIWord(text[n])) {
		n++
	}
	return n
}
