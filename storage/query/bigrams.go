package query

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// bigramText is text in the spelling Bigrams.
func bigramText(text string) string {
	if strings.ContainsFunc(text, isSign) {
		text = strings.Map(func(r rune) rune {
			if isSign(r) {
				return ' '
			}
			return r
		}, text)
	}
	return bigrams(norm.NFC.String(text))
}

// bigrams writes every run of Han, Hiragana, Katakana and Hangul as its
// overlapping pairs, separated by spaces from one another and from what is
// around them ("東京都A" becomes "東京 京都 A"). A run of one character stays. All
// else is untouched. Idempotent.
func bigrams(s string) string {
	first := strings.IndexFunc(s, isCJK)
	if first < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + (len(s)-first)*4/3)
	b.WriteString(s[:first])
	for i := first; i < len(s); {
		length := strings.IndexFunc(s[i:], func(r rune) bool { return !isCJK(r) })
		if length < 0 {
			length = len(s) - i
		}
		if last, n := utf8.DecodeLastRuneInString(s[:i]); n > 0 && !unicode.IsSpace(last) {
			b.WriteByte(' ')
		}
		writePairs(&b, s[i:i+length])
		i += length
		if next, n := utf8.DecodeRuneInString(s[i:]); n > 0 && !unicode.IsSpace(next) {
			b.WriteByte(' ')
		}
		other := strings.IndexFunc(s[i:], isCJK)
		if other < 0 {
			other = len(s) - i
		}
		b.WriteString(s[i : i+other])
		i += other
	}
	return b.String()
}

func writePairs(b *strings.Builder, run string) {
	_, one := utf8.DecodeRuneInString(run)
	if one == len(run) {
		b.WriteString(run)
		return
	}
	for {
		_, two := utf8.DecodeRuneInString(run[one:])
		b.WriteString(run[:one+two])
		if one+two == len(run) {
			return
		}
		b.WriteByte(' ')
		run, one = run[one:], two
	}
}

// signWords puts the sign before every word and a space between them. A word
// here may be cut otherwise than unicode61 cuts it (the Unicode versions
// differ); that does not matter, because index and query are cut alike.
func signWords(s string, sign rune) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return !indexed(r) && !unicode.Is(unicode.M, r) }) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(sign)
		b.WriteString(word)
	}
	return b.String()
}

// isCJK: the sound marks U+30FC, U+FF70, U+FF9E and U+FF9F belong to no script
// but occur inside Japanese words. Symbols of these scripts (radicals, circled
// letters) separate words in unicode61 and are not meant.
func isCJK(r rune) bool {
	if r < 0x1100 {
		return false
	}
	switch r {
	case 0x30FC, 0xFF70, 0xFF9E, 0xFF9F:
		return true
	}
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) && indexed(r)
}

// endsInLoneCJK looks at text in the spelling Bigrams, where the runs of a pair
// are two characters long.
func endsInLoneCJK(text string) bool {
	text = strings.TrimRightFunc(text, func(r rune) bool { return !indexed(r) })
	last, n := utf8.DecodeLastRuneInString(text)
	before, _ := utf8.DecodeLastRuneInString(text[:len(text)-n])
	return isCJK(last) && !isCJK(before)
}
