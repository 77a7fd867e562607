package voice

import (
	"math"
	"slices"
	"strings"
)

// Layout says what a table does on a terminal that is too narrow for it.
// Elsewhere nothing is left out or cut.
type Layout struct {
	Flexible []int // columns that are cut until a row fits
	Spare    []int // columns that are left out, the first one first, before a flexible one gets hard to read
	Roomy    []int // flexible columns that are cut only when the others are hard to read

	Under []string // a line under each row, as Marked makes it; "": none
}

const (
	readable = 16 // cells that a flexible column keeps while there is a spare one; a roomy one keeps twice that
	shortest = 8  // cells that a flexible column keeps anyway
)

// Table prints rows in columns under a head, which may be nil. Cells are
// cleaned here, those of the head too: a query names its columns.
func (v *Voice) Table(head []string, rows [][]string, l Layout) error {
	all := make([][]string, 0, len(rows)+1)
	if head != nil {
		rows = slices.Insert(slices.Clone(rows), 0, head)
	}
	for _, row := range rows {
		cleaned := make([]string, len(row))
		for i, cell := range row {
			cleaned[i] = Line(cell)
		}
		all = append(all, cleaned)
	}
	var widths []int
	for _, row := range all {
		widths = append(widths, make([]int, max(len(row)-len(widths), 0))...)
		for i, cell := range row {
			widths[i] = max(widths[i], Width(cell))
		}
	}
	columns := v.fit(widths, l)
	var b strings.Builder
	for n, cells := range all {
		var line strings.Builder
		for at, i := range columns {
			if i >= len(cells) {
				break
			}
			cell := cells[i]
			if v.columns > 0 {
				cell = Clip(cell, widths[i])
			}
			if at < len(columns)-1 {
				cell = pad(cell, widths[i]) + gap
			}
			line.WriteString(cell)
		}
		text := strings.TrimRight(line.String(), " ")
		if n == 0 && head != nil {
			text = v.Faint(text)
		}
		b.WriteString(text + "\n")
		row := n
		if head != nil {
			row--
		}
		if row >= 0 && row < len(l.Under) && l.Under[row] != "" {
			b.WriteString(l.Under[row] + "\n")
		}
	}
	_, err := v.Out().Write([]byte(b.String()))
	return wrapped(err)
}

// gap is what is between two columns.
const gap = "  "

// fit gives the columns to show, and makes widths such that a row fits.
func (v *Voice) fit(widths []int, l Layout) (columns []int) {
	for i := range widths {
		columns = append(columns, i)
	}
	if v.columns == 0 {
		return columns
	}
	// over is how much too wide a row is when flexible columns are cut to a width.
	over := func(cut int) int {
		total := len(gap)*(len(columns)-1) - v.columns
		for _, i := range columns {
			switch {
			case !slices.Contains(l.Flexible, i):
				total += widths[i]
			case cut == readable && slices.Contains(l.Roomy, i):
				total += min(widths[i], 2*cut)
			default:
				total += min(widths[i], cut)
			}
		}
		return total
	}
	for _, spare := range l.Spare {
		if over(readable) > 0 {
			columns = slices.DeleteFunc(columns, func(i int) bool { return i == spare })
		}
	}
	widest := func(roomy bool) int {
		at := -1
		for _, i := range columns {
			if slices.Contains(l.Flexible, i) && (roomy || !slices.Contains(l.Roomy, i)) &&
				(at < 0 || widths[i] > widths[at]) {
				at = i
			}
		}
		return at
	}
	for over(math.MaxInt) > 0 {
		i := widest(false)
		if i < 0 || widths[i] <= readable {
			i = widest(true)
		}
		if i < 0 || widths[i] <= shortest {
			break
		}
		widths[i]--
	}
	return columns
}

// Wrap cleans text and puts it after a lead. On a terminal the text goes on in
// the next line, under an indent, where a word no longer fits. A word that is
// longer than a line stays whole, so that a path or a link can be copied.
func (v *Voice) Wrap(lead string, indent int, text string) []string {
	return wrap(v.columns, lead, indent, Line(text))
}

func wrap(columns int, lead string, indent int, text string) (lines []string) {
	if columns == 0 || Width(lead)+Width(text) <= columns {
		return []string{lead + text}
	}
	line, empty := lead, Width(lead) <= indent
	space := ""
	for _, word := range strings.Fields(text) {
		if !empty && Width(line+space+word) > columns {
			lines = append(lines, strings.TrimRight(line, " "))
			line, empty, space = strings.Repeat(" ", indent), true, ""
		}
		line, empty, space = line+space+word, false, " "
	}
	return append(lines, line)
}

// Para prints text after a lead. A long text goes on under itself.
func (v *Voice) Para(lead, text string) error {
	return v.Say("%s", strings.Join(v.Wrap(lead, Width(lead), text), "\n"))
}

// Help breaks the lines of a help text that are wider than the terminal. What
// stands in a second column goes on in that column. Examples stay whole.
func (v *Voice) Help(text string) string {
	var lines []string
	examples := false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		examples = line == "Examples:" || examples && line != ""
		if examples {
			lines = append(lines, line)
			continue
		}
		lead := ""
		if at := strings.LastIndex(line, gap); at >= 0 {
			lead = line[:at+len(gap)]
		}
		lines = append(lines, wrap(v.columns, lead, Width(lead), line[len(lead):])...)
	}
	return strings.Join(lines, "\n") + "\n"
}

// Marked is untrusted text on one line behind an indent, with some of it
// strong, and no wider than the terminal. A mark is from a character to the one
// behind. No text gives "".
func (v *Voice) Marked(indent int, text string, marks [][2]int) string {
	var b strings.Builder
	room, strong, at := v.columns-indent, strings.Builder{}, 0
	flush := func() {
		if strong.Len() > 0 {
			b.WriteString(v.Strong(strong.String()))
			strong.Reset()
		}
	}
	for _, r := range text {
		shown := Line(string(r))
		if room -= Width(shown); v.columns > 0 && room < 0 {
			break
		}
		if marked(marks, at) {
			strong.WriteString(shown)
		} else {
			flush()
			b.WriteString(shown)
		}
		at++
	}
	flush()
	if b.Len() == 0 {
		return ""
	}
	return strings.Repeat(" ", indent) + b.String()
}

func marked(marks [][2]int, at int) bool {
	for _, m := range marks {
		if at >= m[0] && at < m[1] {
			return true
		}
	}
	return false
}
