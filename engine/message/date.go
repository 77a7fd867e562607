package message

import (
	"strings"
	"time"
)

// parseDate parses the date of a Date or Received field, or an INTERNALDATE. It
// accepts the forms that mail programs have used: RFC 5322 with its obsolete
// zones and years, asctime, ISO 8601, "02-Jan-2006". The result is UTC, clamped
// to [1971, 9999). A date without a time is midnight, and one without a zone is
// UTC.
func parseDate(s string) (time.Time, bool) {
	if len(s) > 200 {
		s = s[:200]
	}
	d := dateParts{day: -1, month: -1, year: -1, hour: -1}
	for len(s) > 0 {
		i := 0
		for i < len(s) && !dateGap(s[i]) {
			i++
		}
		if i > 0 && !d.token(s[:i]) {
			return time.Time{}, false
		}
		for i < len(s) && dateGap(s[i]) {
			i++
		}
		s = s[i:]
	}
	return d.time()
}

// dateGap reports whether a character separates words. Parentheses do, so that
// the comment "(CET)" gives the zone where nothing else does.
func dateGap(c byte) bool {
	return c <= ' ' || c == ',' || c == '(' || c == ')' || c == '"' || c == ';' || c >= 0x7f
}

type dateParts struct {
	day, month, year  int
	hour, minute, sec int
	zone              int // seconds east of UTC
	zoned             bool
	pm, am            bool
}

// token takes one word. It returns false if the word makes the date unreadable.
func (d *dateParts) token(s string) bool {
	c := s[0]
	switch {
	case c == '+' || c == '-':
		return d.offset(s)
	case c < '0' || c > '9':
		return d.word(s)
	case strings.IndexByte(s, ':') > 0 && strings.IndexByte(s, 'T') < 0:
		return d.clock(s)
	}
	n, rest := number(s)
	if rest == "" {
		return d.number(n, len(s))
	}
	switch sep := rest[0]; {
	case sep == '-' || sep == '/' || sep == '.':
		return d.dashed(s, sep)
	case (rest == "st" || rest == "nd" || rest == "rd" || rest == "th") && d.day < 0:
		return d.number(n, 2)
	}
	return true // an unknown word does not spoil the date
}

// number reads leading digits. It saturates instead of overflowing.
func number(s string) (int, string) {
	n, i := 0, 0
	for ; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
		n = min(n*10+int(s[i]-'0'), 1_000_000)
	}
	return n, s[i:]
}

func (d *dateParts) number(n, digits int) bool {
	if digits <= 2 && d.day < 0 {
		d.day = n
		return true
	}
	if d.year < 0 {
		d.setYear(n, digits)
	}
	return true
}

// setYear applies RFC 5322 §4.3 to years of two and three digits.
func (d *dateParts) setYear(n, digits int) {
	switch {
	case digits <= 2 && n < 50:
		n += 2000
	case digits <= 3:
		n += 1900
	}
	d.year = n
}

// dashed reads "2006-01-02", "2006-01-02T15:04:05Z", "2-Jan-2006", "2.1.2006".
func (d *dateParts) dashed(s string, sep byte) bool {
	rest := ""
	if t := strings.IndexByte(s, 'T'); t > 0 {
		s, rest = s[:t], s[t+1:]
	}
	a, bc, _ := strings.Cut(s, string(sep))
	b, c, ok := strings.Cut(bc, string(sep))
	n, tail := number(a)
	y, ytail := number(c)
	if !ok || tail != "" || ytail != "" || b == "" || c == "" {
		return false
	}
	m, mtail := number(b)
	switch {
	case mtail == b: // no digits
		m = month(b)
	case mtail != "":
		return false
	default:
		m--
	}
	d.month = m
	if len(a) == 4 {
		d.setYear(n, 4)
		d.day = y
	} else if sep == '/' && mtail == "" {
		return false // 01/02/2006 is ambiguous
	} else {
		d.day = n
		d.setYear(y, len(c))
	}
	return rest == "" || d.clock(rest)
}

// clock reads "15:04", "15:04:05.9", and what is attached to it: "+0200", "Z",
// "PM".
func (d *dateParts) clock(s string) bool {
	if d.hour >= 0 {
		return true
	}
	var rest string
	d.hour, rest = number(s)
	if rest == "" || rest[0] != ':' {
		return false
	}
	d.minute, rest = number(rest[1:])
	if rest != "" && rest[0] == ':' {
		d.sec, rest = number(rest[1:])
	}
	if rest != "" && rest[0] == '.' {
		_, rest = number(rest[1:])
	}
	switch {
	case rest == "":
		return true
	case rest[0] == '+' || rest[0] == '-':
		return d.offset(rest)
	}
	return d.word(rest)
}

// offset reads "+0200", "+02:00", "+02". An impossible offset counts as
// unknown.
func (d *dateParts) offset(s string) bool {
	if d.zoned || len(s) < 2 {
		return true
	}
	n, rest := number(s[1:])
	minutes := n/100*60 + n%100
	digits := len(s) - 1 - len(rest)
	switch {
	case digits == 0:
		return true
	case digits <= 2:
		minutes = n * 60
		if strings.HasPrefix(rest, ":") {
			m, _ := number(rest[1:])
			minutes += m
		}
	}
	d.zoned = true
	if minutes > 24*60 {
		return true
	}
	d.zone = minutes * 60
	if s[0] == '-' {
		d.zone = -d.zone
	}
	return true
}

func (d *dateParts) word(s string) bool {
	if m := month(s); m >= 0 && d.month < 0 {
		d.month = m
		return true
	}
	var buf [6]byte
	n := copy(buf[:], s)
	for i, c := range buf[:n] {
		buf[i] = c &^ 0x20
		if c < 'A' {
			buf[i] = c
		}
	}
	name := string(buf[:n])
	switch {
	case name == "PM":
		d.pm = true
		return true
	case name == "AM":
		d.am = true
		return true
	case len(s) > 3 && (name[:3] == "GMT" || name[:3] == "UTC") && (s[3] == '+' || s[3] == '-'):
		return d.offset(s[3:])
	case d.zoned || len(s) > 5:
		return true
	}
	if hours, ok := zoneHours(name); ok {
		d.zone, d.zoned = int(hours*3600), true
	}
	return true // weekdays and ambiguous zones
}

// zoneHours returns the offset of the zones of RFC 5322 §4.3 and of other
// unambiguous names seen in mail.
func zoneHours(name string) (float64, bool) {
	switch name {
	case "GMT", "UT", "UTC", "Z", "WET":
		return 0, true
	case "EST", "CDT":
		return -5, true
	case "EDT":
		return -4, true
	case "CST", "MDT":
		return -6, true
	case "MST", "PDT":
		return -7, true
	case "PST":
		return -8, true
	case "CET", "MET", "BST", "WEST":
		return 1, true
	case "CEST", "MEST", "EET":
		return 2, true
	case "EEST", "MSK":
		return 3, true
	case "HKT", "SGT":
		return 8, true
	case "JST", "KST":
		return 9, true
	case "ACST":
		return 9.5, true
	case "AEST":
		return 10, true
	case "AEDT":
		return 11, true
	case "NZST":
		return 12, true
	case "NZDT":
		return 13, true
	}
	return 0, false
}

// month returns 0–11 for an English month name or its first three letters; -1:
// it is none.
func month(s string) int {
	if len(s) < 3 || len(s) > 9 {
		return -1
	}
	const names = "janfebmaraprmayjunjulaugsepoctnovdec"
	a, b, c := s[0]|0x20, s[1]|0x20, s[2]|0x20
	for i := 0; i < len(names); i += 3 {
		if names[i] == a && names[i+1] == b && names[i+2] == c {
			return i / 3
		}
	}
	return -1
}

func (d *dateParts) time() (time.Time, bool) {
	if d.day < 1 || d.day > 31 || d.month < 0 || d.month > 11 || d.year < 0 {
		return time.Time{}, false
	}
	hour := max(d.hour, 0)
	switch {
	case d.pm && hour < 12:
		hour += 12
	case d.am && hour == 12:
		hour = 0
	}
	if hour > 24 || d.minute > 59 || d.sec > 60 {
		return time.Time{}, false
	}
	first := time.Date(1971, 1, 1, 0, 0, 0, 0, time.UTC)
	last := time.Date(9998, 12, 31, 23, 59, 59, 0, time.UTC)
	t := time.Date(min(d.year, 10_000), time.Month(d.month+1), d.day, hour, d.minute, d.sec, 0, time.UTC)
	t = t.Add(-time.Duration(d.zone) * time.Second)
	switch {
	case t.Before(first):
		t = first
	case t.After(last):
		t = last
	}
	return t, true
}
