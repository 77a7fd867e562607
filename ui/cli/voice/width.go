package voice

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// cells is how many columns a rune takes on a terminal.
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

// Width is how many columns clean text takes. The colours of this package take
// none.
func Width(s string) int {
	n, colour := 0, false
	for _, r := range s {
		switch {
		case r == '\x1b':
			colour = true
		case colour:
			colour = r != 'm'
		default:
			n += cells(r)
		}
	}
	return n
}

// Clip cuts clean text to at most n columns and marks that with an ellipsis.
func Clip(s string, n int) string {
	if Width(s) <= n {
		return s
	}
	used := 0
	for i, r := range s {
		if used+cells(r) > n-1 {
			return s[:i] + "…"
		}
		used += cells(r)
	}
	return s
}

// pad fills clean text up to n columns.
func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(n-Width(s), 0))
}

// Fit makes clean text exactly n columns wide.
func Fit(s string, n int) string { return pad(Clip(s, n), n) }
