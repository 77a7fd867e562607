package query

import "unicode"

// kind says how a word came about.
type kind int

const (
	plain kind = iota // letters and digits between what separates words
	pair              // two neighbours of a run
	last              // the last character of a run, or its only one
	emoji
)

// word is one word as the index holds it, and the bytes of the text that it was
// made of. lone: it is the only character of its run. first is where the first
// character of a pair ends.
type word struct {
	text              string
	kind              kind
	lone              bool
	start, first, end int
}

// words cuts a text into the words of the index. Runs of scripts without blanks
// become their overlapping pairs and then the last character: 東京都 is 東京,
// 京都, 都. So each part of a run is found, the last character too. An emoji
// that is repeated counts once.
func words(s string, each func(word) bool) {
	c := cutter{each: each, on: true}
	letters(s, func(r rune, start, end int) bool {
		c.letter(r, start, end)
		return c.on
	})
	c.end()
}

// cutter holds the word or run that is being read.
type cutter struct {
	each func(word) bool
	on   bool // more words are wanted

	text       []byte
	start, to  int
	run        rune // the last character of a run; 0: no run
	runs       int  // how many it has
	rs, re     int  // where run stands
	emoji      rune // the one just told
	afterEmoji int  // where it ended
}

func (c *cutter) letter(r rune, start, end int) {
	switch {
	case isEmoji(r):
		c.end()
		if r != c.emoji || start != c.afterEmoji {
			c.tell(word{text: string(r), kind: emoji, start: start, end: end})
		}
		c.emoji, c.afterEmoji = r, end
	case isRun(r):
		if c.run == 0 {
			c.end()
		} else {
			c.tell(word{text: string([]rune{c.run, r}), kind: pair, start: c.rs, first: c.re, end: end})
		}
		c.run, c.rs, c.re = r, start, end
		c.runs++
	case indexed(r) || unicode.Is(unicode.M, r):
		if c.run != 0 {
			c.end()
		}
		if len(c.text) == 0 {
			c.start = start
		}
		c.text, c.to = append(c.text, string(r)...), end
	default:
		c.end()
	}
}

// end ends the word or run that is being read.
func (c *cutter) end() {
	if len(c.text) > 0 {
		c.tell(word{text: string(c.text), start: c.start, end: c.to})
		c.text = c.text[:0]
	}
	if c.run != 0 {
		c.tell(word{text: string(c.run), kind: last, lone: c.runs == 1, start: c.rs, end: c.re})
		c.run, c.runs = 0, 0
	}
}

func (c *cutter) tell(w word) { c.on = c.on && c.each(w) }
