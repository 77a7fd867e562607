package terminal

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Screen is what a terminal of a width shows, without end at the bottom.
type Screen struct {
	columns  int
	rows     [][]string // by cell; the second cell of a wide character is ""
	x, y     int
	rest     string   // an escape sequence or a character that has not come whole
	overflow []string // rows that went on in the next one
	colour   bool
	unknown  []string // sequences that are not understood
	seen     []string // pictures, as they were whenever a part had come
}

// NewScreen makes an empty one.
func NewScreen(columns int) *Screen { return &Screen{columns: columns} }

// Write takes what a program prints. It never fails.
func (s *Screen) Write(p []byte) (int, error) {
	s.rest += string(p)
	for s.rest != "" {
		n := s.take(s.rest)
		if n == 0 {
			break
		}
		s.rest = s.rest[n:]
	}
	if now := s.String(); len(s.seen) == 0 || now != s.seen[len(s.seen)-1] {
		s.seen = append(s.seen, now)
	}
	return len(p), nil
}

// String is the picture, without blanks at the ends of lines.
func (s *Screen) String() string {
	lines := make([]string, 0, len(s.rows))
	for _, row := range s.rows {
		lines = append(lines, strings.TrimRight(strings.Join(row, ""), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// Pictures are all pictures that the screen has shown.
func (s *Screen) Pictures() []string { return s.seen }

// Overflow is each row that had no room for what was printed in it.
func (s *Screen) Overflow() []string { return s.overflow }

// Colour reports whether anything was printed in colour, bold or faint.
func (s *Screen) Colour() bool { return s.colour }

// Unknown is each sequence that this screen does not understand.
func (s *Screen) Unknown() []string { return s.unknown }

// take obeys the sequence or character that text begins with, and gives its
// length; 0: it is not whole yet.
func (s *Screen) take(text string) int {
	if text[0] == 0x1b {
		return s.escape(text)
	}
	if !utf8.FullRuneInString(text) {
		return 0
	}
	r, n := utf8.DecodeRuneInString(text)
	switch {
	case r == '\r':
		s.x = 0
	case r == '\n':
		s.y++
	case r == '\t':
		s.x = min(s.x/8*8+8, s.columns-1)
	case r == '\b':
		s.x = max(s.x-1, 0)
	case unicode.IsControl(r):
		s.unknown = append(s.unknown, strconv.QuoteRune(r))
	default:
		s.put(r)
	}
	return n
}

func (s *Screen) put(r rune) {
	wide := cells(r)
	if wide == 0 {
		return
	}
	if s.x+wide > s.columns {
		s.overflow = append(s.overflow, strings.Join(s.row(), ""))
		s.x, s.y = 0, s.y+1
	}
	row := s.row()
	for len(row) < s.x+wide {
		row = append(row, " ")
	}
	row[s.x] = string(r)
	if wide == 2 {
		row[s.x+1] = ""
	}
	s.rows[s.y] = row
	s.x += wide
}

// row is the one of the cursor.
func (s *Screen) row() []string {
	for len(s.rows) <= s.y {
		s.rows = append(s.rows, nil)
	}
	return s.rows[s.y]
}

// escape obeys a control sequence: ESC [ parameters letter.
func (s *Screen) escape(text string) int {
	if len(text) < 2 {
		return 0
	}
	if text[1] != '[' {
		s.unknown = append(s.unknown, strconv.Quote(text[:2]))
		return 2
	}
	end := strings.IndexFunc(text[2:], func(r rune) bool { return r >= '@' && r <= '~' })
	if end < 0 {
		return 0
	}
	parameters, letter := text[2:2+end], text[2+end]
	n, err := strconv.Atoi(parameters)
	count := max(n, 1)
	switch {
	case letter == 'm':
		s.colour = s.colour || parameters != "" && n != 0
	case err != nil && parameters != "":
		s.unknown = append(s.unknown, fmt.Sprintf("%q", text[:3+end]))
	case letter == 'A':
		s.y = max(s.y-count, 0)
	case letter == 'B':
		s.y += count
	case letter == 'G':
		s.x = count - 1
	case letter == 'H' && parameters == "":
		s.x, s.y = 0, 0
	case letter == 'J' && n == 0:
		s.erase()
		s.rows = s.rows[:min(s.y+1, len(s.rows))]
	case letter == 'K' && n == 0:
		s.erase()
	case letter == 'K' && n == 2:
		s.rows[s.y] = s.row()[:0]
	default:
		s.unknown = append(s.unknown, fmt.Sprintf("%q", text[:3+end]))
	}
	return 3 + end
}

// erase empties the row from the cursor on.
func (s *Screen) erase() { s.rows[s.y] = s.row()[:min(s.x, len(s.row()))] }

func cells(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}
