package voice

import "strings"

// Table prints rows in columns under a head, which may be nil. On a terminal the columns named in flexible are cut until a row fits; elsewhere
// nothing is cut. Cells are cleaned here.
func (v *Voice) Table(head []string, rows [][]string, flexible ...int) error {
	all := make([][]string, 0, len(rows)+1)
	if head != nil {
		all = append(all, head)
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
	v.squeeze(widths, flexible)
	var b strings.Builder
	for n, row := range all {
		var line strings.Builder
		for i, cell := range row {
			if v.columns > 0 {
				cell = Clip(cell, widths[i])
			}
			if i < len(row)-1 {
				cell = pad(cell, widths[i]) + "  "
			}
			line.WriteString(cell)
		}
		text := strings.TrimRight(line.String(), " ")
		if n == 0 && head != nil {
			text = v.Faint(text)
		}
		b.WriteString(text + "\n")
	}
	_, err := v.Out().Write([]byte(b.String()))
	return wrapped(err)
}

// squeeze takes columns from the widest flexible one until a row fits.
func (v *Voice) squeeze(widths []int, flexible []int) {
	if v.columns == 0 || len(flexible) == 0 {
		return
	}
	total := 2 * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for ; total > v.columns; total-- {
		widest := flexible[0]
		for _, i := range flexible {
			if widths[i] > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= 8 {
			return
		}
		widths[widest]--
	}
}

// Para prints clean text under an indent. On a terminal it goes on in the next line where a word no longer fits.
func (v *Voice) Para(indent, text string) error {
	text = Line(text)
	if v.columns == 0 {
		return v.Say("%s%s", indent, text)
	}
	var b strings.Builder
	line, under := indent, strings.Repeat(" ", Width(indent))
	for i, word := range strings.Fields(text) {
		if i > 0 && Width(line)+1+Width(word) > v.columns {
			b.WriteString(line + "\n")
			line = under + word
			continue
		}
		if i > 0 {
			line += " "
		}
		line += word
	}
	_, err := v.Out().Write([]byte(b.String() + line + "\n"))
	return wrapped(err)
}
