package message

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/wlynxg/chardet"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// maxGuesses bounds the statistical guesses of a message. Each costs about a
// millisecond and 870 kB of garbage, however short the text (measured), and a
// mail can ask for one in every word and part.
const maxGuesses = 8

// guessSample bounds what a statistical guess reads.
const guessSample = 4 << 10

// learnt is the charset of an earlier guess in the same message.
type learnt struct {
	enc  encoding.Encoding
	from int // 8-bit bytes that it was guessed from
}

// guess decodes 8-bit text of an unknown charset. Text that is mostly UTF-8 was
// cut, or holds bytes or lines of somebody else: a damaged character becomes
// U+FFFD, and lines that are no UTF-8 are read by themselves.
func (cs *charsets) guess(b []byte, declaredUTF8 bool) string {
	if utf8.Valid(b) {
		return string(b)
	}
	isForeign := func(unit []byte) bool {
		good, bad := multibyte(unit)
		return bad > 0 && !damagedUTF8(unit, good, bad, declaredUTF8)
	}
	ours, theirs, foreign := 0, 0, []byte(nil)
	for rest := b; len(rest) > 0; {
		var unit []byte
		unit, rest = cutUnit(rest)
		if good, bad := multibyte(unit); isForeign(unit) {
			theirs += bad
			foreign = append(append(foreign, unit...), '\n')
		} else {
			ours += good
		}
	}
	if ours == 0 || theirs > 0 && ours*4 < theirs && (!declaredUTF8 || inRuns(foreign)) {
		return cs.legacy(b)
	}
	var enc encoding.Encoding
	if theirs > 0 {
		enc = cs.detect(foreign)
	}
	return mixed(b, cutUnit, isForeign, func(run []byte, foreign bool) string {
		if foreign {
			return decode(enc, run)
		}
		return strings.ToValidUTF8(string(run), "\ufffd")
	})
}

// maxRuns bounds the runs that a text is decoded in.
const maxRuns = 10_000

// mixed decodes text of several programs. It is cut into units, and adjacent ones
// that are foreign, or are not, are decoded together.
func mixed(b []byte, cut func([]byte) (unit, rest []byte), foreign func(unit []byte) bool,
	decode func(run []byte, foreign bool) string) string {
	var out strings.Builder
	out.Grow(len(b))
	start, pos, runs, theirs := 0, 0, 0, false
	for pos < len(b) && runs < maxRuns {
		unit, _ := cut(b[pos:])
		if f := foreign(unit); f != theirs {
			out.WriteString(decode(b[start:pos], theirs))
			start, theirs = pos, f
			runs++
		}
		pos += len(unit)
	}
	out.WriteString(decode(b[start:pos], theirs))
	out.WriteString(decode(b[pos:], false))
	return out.String()
}

// cutUnit cuts off what one program wrote at once: a line, or text up to the end
// of an HTML tag.
func cutUnit(b []byte) (unit, rest []byte) {
	if i := bytes.IndexAny(b[:min(len(b), 4096)], "\n>"); i >= 0 {
		return b[:i+1], b[i+1:]
	}
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i+1], b[i+1:]
	}
	return b, nil
}

// damagedUTF8 reports whether text with good and bad sequences is UTF-8. Other
// charsets seldom make a good one. Without a label there must be more good
// than bad ones; as many are enough if the bad ones look like halves of UTF-8.
func damagedUTF8(b []byte, good, bad int, declared bool) bool {
	switch {
	case good == 0:
		return false
	case declared:
		return good*2 >= bad
	case good > bad:
		return true
	}
	return good == bad && bad == 1 && halfUTF8(b)
}

// halfUTF8 reports whether the first bad sequence is the beginning of one of
// UTF-8, as few other texts have it: at the end, or C2 or C3.
func halfUTF8(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			return b[0] == 0xc2 || b[0] == 0xc3 ||
				b[0] > 0xc1 && !utf8.FullRune(bytes.TrimRight(b, "\r\n \t"))
		}
		b = b[n:]
	}
	return false
}

// multibyte counts UTF-8 sequences longer than a byte, and damages: bytes that
// belong to no sequence, and sequences that were cut.
func multibyte(b []byte) (good, bad int) {
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			b = b[1:]
			continue
		}
		r, n := utf8.DecodeRune(b)
		if r != utf8.RuneError || n > 1 {
			good++
			b = b[n:]
			continue
		}
		bad++
		left := 0
		switch c := b[0]; {
		case c >= 0xf0 && c < 0xf5:
			left = 2
		case c >= 0xe0 && c < 0xf0:
			left = 1
		}
		for b = b[1:]; left > 0 && len(b) > 0 && b[0]&0xc0 == 0x80; left-- {
			b = b[1:]
		}
	}
	return good, bad
}

// inRuns reports whether 8-bit bytes stand beside each other, as in all scripts
// but Latin.
func inRuns(b []byte) bool {
	run := 0
	for _, c := range b {
		if run++; c < utf8.RuneSelf {
			run = 0
		} else if run == 3 {
			return true
		}
	}
	return false
}

// legacy decodes text that is no UTF-8 and has no label.
func (cs *charsets) legacy(b []byte) string { return decode(cs.detect(b), b) }

// detect finds the charset of text that is no UTF-8: the one that the message
// declares for its text, if the bytes can be it, otherwise the likeliest. Equal
// bytes in one message must read alike, so a guess is kept until more bytes are
// seen.
func (cs *charsets) detect(b []byte) encoding.Encoding {
	if enc := cs.declared.enc; enc != nil && !strings.Contains(decode(enc, b), "\ufffd") {
		return enc
	}
	kind := 0
	if inRuns(b) {
		kind = 1
	}
	known := &cs.learnt[kind]
	high := len(b) - asciiBytes(b)
	fits := known.enc != nil && strings.Count(decode(known.enc, b), "\ufffd")*20 <= len(b)
	if fits && high <= 2*known.from {
		return known.enc
	}
	if cs.guesses--; cs.guesses < 0 {
		if fits {
			return known.enc
		}
		return charmap.Windows1252
	}
	*known = learnt{enc: statistical(b), from: high}
	return known.enc
}

func statistical(b []byte) encoding.Encoding {
	sample := b[:min(len(b), guessSample)]
	r := chardet.Detect(sample)
	name := strings.ToLower(r.Encoding)
	latin := name == "iso-8859-1" || name == "windows-1252"
	if r.Confidence < 0.5 || latin {
		if inRuns(b) && kana(decode(japanese.ShiftJIS, sample)) {
			return japanese.ShiftJIS
		}
		return charmap.Windows1252
	}
	if c := charsetOf(name); c.enc != nil && strings.Count(decode(c.enc, b), "\ufffd")*20 <= len(b) {
		return c.enc
	}
	return charmap.Windows1252
}

// kana reports whether text has the syllables of Japanese and nothing that
// could not be read.
func kana(s string) bool {
	n := 0
	for _, r := range s {
		switch {
		case r == utf8.RuneError:
			return false
		case 0x3041 <= r && r <= 0x30fe:
			n++
		}
	}
	return n > 0
}

// japaneseLines decodes ISO-2022-JP with 8-bit bytes. A line of it begins in ASCII
// (RFC 1468), so one with 8-bit bytes and without an escape is of another program.
func (cs *charsets) japaneseLines(b []byte) string {
	cut := func(b []byte) (line, rest []byte) {
		end := bytes.IndexByte(b, '\n') + 1
		if end == 0 {
			end = len(b)
		}
		return b[:end], b[end:]
	}
	foreign := func(line []byte) bool { return !ascii(line) && bytes.IndexByte(line, 0x1b) < 0 }
	return mixed(b, cut, foreign, func(run []byte, foreign bool) string {
		if foreign {
			return cs.guess(run, false)
		}
		return decode7bit(iso2022jp, run)
	})
}

// japanese decodes 8-bit text that was declared as ISO-2022-JP. Its sender
// forgot to convert what it has, which is UTF-8, EUC or Shift_JIS.
func (cs *charsets) japanese(b []byte) string {
	if good, bad := multibyte(b); good > bad {
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	best, wrong := "", len(b)+1
	for _, enc := range []encoding.Encoding{japanese.EUCJP, japanese.ShiftJIS} {
		s := decode(enc, b)
		n := strings.Count(s, "\ufffd")
		for _, r := range s { // half-width syllables are what other bytes look like in Shift_JIS
			if 0xff61 <= r && r <= 0xff9f {
				n++
			}
		}
		if n < wrong {
			best, wrong = s, n
		}
	}
	if wrong*4 > len(b) {
		return cs.guess(b, false)
	}
	return best
}

// maxDamaged bounds the text in which one damaged character is looked for. In a
// longer one it is no great share.
const maxDamaged = 1024

// oneDamage reports whether a text is in a charset but for one or two bytes. What
// follows these may be out of step, so there can be more errors than damages.
func oneDamage(enc encoding.Encoding, b []byte) bool {
	if len(b) > maxDamaged {
		return false
	}
	decoder, dst := enc.NewDecoder(), [16]byte{}
	end := func(i int) int { // of the character at i; 0: it is none
		for n := 1; n <= 4 && i+n <= len(b); n++ {
			decoder.Reset()
			w, _, err := decoder.Transform(dst[:], b[i:i+n], true)
			if err == nil && !bytes.Contains(dst[:w], []byte("\ufffd")) {
				return i + n
			}
		}
		return 0
	}
	clean := make([]bool, len(b)+2) // from here to the end
	clean[len(b)] = true
	for i := len(b) - 1; i >= 0; i-- {
		e := end(i)
		clean[i] = e > 0 && clean[e]
	}
	for i := 0; i < len(b); {
		if clean[i+1] || clean[i+2] {
			return true
		}
		if i = end(i); i == 0 {
			return false
		}
	}
	return true
}

// unusual reports whether the reading of bytes in a charset has many characters
// that are seldom written: half-width syllables in Japanese, and in Chinese what
// is outside the first level of the charset. Text of the sibling reads so.
func unusual(enc encoding.Encoding, b []byte, s string) bool {
	rare, all := 0, 0
	for _, r := range s {
		if r >= utf8.RuneSelf && r != utf8.RuneError {
			if all++; 0xff61 <= r && r <= 0xff9f {
				rare++
			}
		}
	}
	if enc == simplifiedchinese.GB18030 || enc == traditionalchinese.Big5 {
		rare, all = 0, 0
		for i := 0; i+1 < len(b); i++ {
			lead, trail := b[i], b[i+1]
			if lead < utf8.RuneSelf {
				continue
			}
			i++
			if enc == traditionalchinese.Big5 && lead < 0x87 {
				continue // user-defined
			}
			if lead < 0xa1 || enc == traditionalchinese.Big5 && lead > 0xc8 ||
				enc == simplifiedchinese.GB18030 && (lead > 0xd7 || trail < 0xa1) {
				rare++
			}
			all++
		}
	}
	return rare*8 > all
}

// sibling is the other charset in which a language is written.
func sibling(enc encoding.Encoding) encoding.Encoding {
	switch enc {
	case japanese.ShiftJIS:
		return japanese.EUCJP
	case japanese.EUCJP:
		return japanese.ShiftJIS
	case simplifiedchinese.GB18030:
		return traditionalchinese.Big5
	case traditionalchinese.Big5:
		return simplifiedchinese.GB18030
	}
	return nil
}
