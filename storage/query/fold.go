package query

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// letters calls each for the letters, digits, marks and emoji of a text in
// their folded form, with the place of what they were made of, in bytes. What
// separates words comes as a blank. A character may give no letter (a mark) or
// several (a ligature).
func letters(s string, each func(r rune, start, end int) bool) {
	var form []byte
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		alone := joinsNothing(s[i+n:])
		if f := letter(r); f != 0 && alone {
			if !each(f, i, i+n) {
				return
			}
			i += n
			continue
		}
		if alone && (r < utf8.RuneSelf || norm.NFKD.PropertiesString(s[i:i+n]).Decomposition() == nil) {
			if !fold(r, func(r rune) bool { return each(r, i, i+n) }) {
				return
			}
			i += n
			continue
		}
		if !alone || r >= utf8.RuneSelf {
			n = max(n, norm.NFKC.NextBoundaryInString(s[i:], true))
		}
		form = form[:0]
		for _, r := range string(norm.NFKD.AppendString(nil, s[i:i+n])) {
			fold(r, func(r rune) bool { form = utf8.AppendRune(form, r); return true })
		}
		for _, r := range string(norm.NFC.Bytes(form)) {
			if !each(r, i, i+n) {
				return
			}
		}
		i += n
	}
}

// joinsNothing reports whether a text starts with no character that joins the
// one before it.
func joinsNothing(s string) bool {
	if s == "" || s[0] < utf8.RuneSelf {
		return true
	}
	r, _ := utf8.DecodeRuneInString(s)
	return isHan(r) || norm.NFKC.PropertiesString(s).BoundaryBefore()
}

// letter gives the folded form of letters that most words are of, without the
// tables of Unicode; 0: not one of them. The character stands alone.
func letter(r rune) rune {
	// U+00C0 to U+00FF; a blank is no such letter
	const latin = "aaaaaa ceeeeiiiidnooooo ouuuuy  aaaaaa ceeeeiiiidnooooo ouuuuy y"
	switch {
	case r >= 'a' && r <= 'z' || isHan(r):
		return r
	case r >= 'A' && r <= 'Z':
		return r + 'a' - 'A'
	case r >= 0xC0 && r <= 0xFF && latin[r-0xC0] != ' ':
		return rune(latin[r-0xC0])
	}
	return 0
}

// isHan reports whether a character is one of the unified ideographs, of which
// none has another form.
func isHan(r rune) bool { return r >= 0x4E00 && r <= 0x9FFF }

// fold calls each for what a decomposed character is in the index: lower case,
// no marks, nothing invisible, ASCII digits.
func fold(r rune, each func(r rune) bool) bool {
	switch {
	case r >= 'A' && r <= 'Z':
		return each(r + 'a' - 'A')
	case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
		return each(r)
	case r < utf8.RuneSelf:
		return each(' ')
	case invisible(r) || mark(r):
		return true
	}
	if two := spelledOut(r); two != "" {
		for _, r := range two {
			if !each(r) {
				return false
			}
		}
		return true
	}
	if digit, ok := decimal(r); ok {
		return each(digit)
	}
	if indexed(r) || unicode.Is(unicode.M, r) || isEmoji(r) {
		return each(unicode.ToLower(r))
	}
	return each(' ')
}

// spelledOut gives letters that have no decomposition and that people without
// the keyboard for them write otherwise.
func spelledOut(r rune) string {
	switch r {
	case 'ß', 'ẞ':
		return "ss"
	case 'æ', 'Æ':
		return "ae"
	case 'œ', 'Œ':
		return "oe"
	case 'þ', 'Þ':
		return "th"
	case 'ø', 'Ø':
		return "o"
	case 'đ', 'Đ', 'ð', 'Ð':
		return "d"
	case 'ł', 'Ł':
		return "l"
	case 'ħ', 'Ħ':
		return "h"
	case 'ŧ', 'Ŧ':
		return "t"
	case 'ı':
		return "i"
	case 'ς':
		return "σ"
	}
	return ""
}

// decimal gives the ASCII digit for a digit of any script. Unicode lists them
// in runs of ten (The Unicode Standard, 4.6).
func decimal(r rune) (rune, bool) {
	for _, run := range unicode.Nd.R16 {
		if uint32(r) <= uint32(run.Hi) {
			return '0' + (r-rune(run.Lo))%10, uint32(r) >= uint32(run.Lo)
		}
	}
	for _, run := range unicode.Nd.R32 {
		if uint32(r) <= run.Hi {
			return '0' + (r-rune(run.Lo))%10, uint32(r) >= run.Lo
		}
	}
	return 0, false
}

// invisible reports whether a character shows nothing: soft hyphens, joiners,
// bidi controls, variation selectors, the kashida that stretches Arabic words,
// and the skin tones of emoji.
func invisible(r rune) bool {
	switch {
	case r == 0x640 || r >= 0x1F3FB && r <= 0x1F3FF:
		return true
	case r >= 0x600 && r <= 0x605 || r == 0x6DD || r == 0x70F: // they show a sign around digits
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// mark reports whether a character is a mark that people leave out: accents,
// harakat, niqqud, nukta. They are known by their combining class (UAX #44,
// 5.7.4). Vowel signs and viramas of Indic scripts are of other classes, and a
// script of run has tones and vowels for marks, so all of those stay. A mark
// that encloses (Me) goes too.
func mark(r rune) bool {
	if r < 0x300 {
		return false
	}
	if !unicode.Is(unicode.Mn, r) {
		return unicode.Is(unicode.Me, r)
	}
	if isRun(r) {
		return false
	}
	var b [utf8.UTFMax]byte
	class := norm.NFD.Properties(b[:utf8.EncodeRune(b[:], r)]).CCC()
	return class == 1 || class == 7 || class >= 10 && class <= 36 || class >= 200
}

// isEmoji reports whether a character is one of the pictures that are found
// like a word. Lines and boxes are not.
func isEmoji(r rune) bool {
	switch {
	case r < 0x2300:
		return r >= 0x2194 && unicode.Is(unicode.So, r)
	case r <= 0x23FF, r >= 0x2600 && r <= 0x27BF, r >= 0x2B00 && r <= 0x2BFF:
		return unicode.Is(unicode.So, r)
	}
	return r >= 0x1F000 && r <= 0x1FFFD && !unicode.IsNumber(r)
}

// isRun reports whether a character is of a script that is written without
// blanks between the words, or with endings grown to them as in Korean: Han,
// Kana, Hangul, Bopomofo, Yi, Thai, Lao, Burmese, Khmer, Tai, Javanese,
// Balinese, Tangut, Nüshu, Khitan.
func isRun(r rune) bool {
	if r < 0xE00 {
		return false
	}
	for _, block := range [...][2]rune{
		{0xE01, 0xEDF}, {0x1000, 0x109F}, {0x1100, 0x11FF}, {0x1780, 0x17DD}, {0x1950, 0x19DF}, {0x1A20, 0x1AAD},
		{0x1B00, 0x1B7F}, {0x3005, 0x3007}, {0x3021, 0x3029}, {0x3031, 0x3035}, {0x303B, 0x303C}, {0x3041, 0x309F},
		{0x30A1, 0x30FA}, {0x30FC, 0x318E}, {0x31A0, 0x31BF}, {0x31F0, 0x31FF}, {0x3400, 0x4DBF}, {0x4E00, 0xA48C},
		{0xA960, 0xA97C}, {0xA980, 0xA9FF}, {0xAA60, 0xAADF}, {0xAC00, 0xD7FB}, {0xF900, 0xFAFF}, {0xFF66, 0xFF9F},
		{0x16FE0, 0x18DFF}, {0x1AFF0, 0x1B2FF}, {0x20000, 0x3FFFD},
	} {
		if r <= block[1] {
			return r >= block[0] && (indexed(r) || unicode.Is(unicode.M, r) || r >= 0x20000)
		}
	}
	return false
}

// indexed reports whether a character is a letter, a number, or one of private
// use that is no sign of ours.
func indexed(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.Is(unicode.Co, r) && !isSign(r)
}
