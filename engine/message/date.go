package message

import (
	"strings"
	"time"
)

// parseDate parses the date of a Date or Received field, or an INTERNALDATE. It
// accepts the forms that mail programs have used: RFC 5322 with its obsolete
// zones and years, asctime, ISO 8601, "02-Jan-2006". The result is UTC, in
// [1971, 9999). A date without a time is midnight, and one without a zone is
// UTC. What is ambiguous, impossible or outside these years is no date: another
// one would be worse than none.
func parseDate(s string) (time.Time, bool) {
	if len(s) > 200 {
		s = s[:200]
	}
	comment := ""
	if open := strings.IndexByte(s, '('); open >= 0 {
		if comment = s[open:]; strings.IndexByte(comment, ')') == len(comment)-1 { // the usual place
			s = s[:open]
		} else {
			s = string(withoutComments([]byte(s)))
		}
	}
	if strings.Contains(s, " :") || strings.Contains(s, ": ") {
		s = joinColons(s)
	}
	d := dateParts{day: -1, month: -1, year: -1, hour: -1}
	for first := true; len(s) > 0; {
		i := 0
		for i < len(s) && !dateGap(s[i]) {
			i++
		}
		word := s[:i]
		comma := i < len(s) && s[i] == ','
		for i < len(s) && dateGap(s[i]) {
			i++
		}
		s = s[i:]
		if word == "" {
			continue
		}
		switch weekday := first && comma && !digit(word[0]); {
		case weekday: // "Mar," is a Tuesday in four languages
		case !d.token(word):
			return time.Time{}, false
		}
		first = false
	}
	for !d.zoned && comment != "" { // "(CET)" gives the zone where nothing else does
		comment = strings.TrimLeft(comment, "( ")
		i := strings.IndexAny(comment, "() ")
		if i < 0 {
			i = len(comment)
		}
		if i > 0 && month(comment[:i]) < 0 && comment[0] > '9' && len(comment[:i]) > 2 {
			d.word(comment[:i])
		}
		comment = strings.TrimLeft(comment[i:], ")")
	}
	return d.time()
}

// joinColons removes blanks around the colons of a time (RFC 5322 §4.3).
func joinColons(s string) string {
	for i := 1; i < len(s); i++ {
		if s[i] != ':' {
			continue
		}
		before, after := strings.TrimRight(s[:i], " \t\r\n"), strings.TrimLeft(s[i+1:], " \t\r\n")
		if before != "" && after != "" && digit(before[len(before)-1]) && digit(after[0]) {
			s, i = before+":"+after, len(before)
		}
	}
	return s
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// dateGap reports whether a character separates words.
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
	if rest == "" || rest == "." {
		return d.number(n, len(s)-len(rest))
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
	switch {
	case digits <= 2 && d.day < 0:
		d.day = n
	case d.year < 0:
		d.setYear(n, digits)
	case d.hour < 0: // an hour without minutes
		return false
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
	if d.day >= 0 || d.month >= 0 {
		if sep == '.' && d.hour < 0 && strings.Count(s, ".") <= 2 { // Finnish and Italian times
			return d.clock(strings.ReplaceAll(s, ".", ":"))
		}
		return d.year >= 0 && d.hour >= 0
	}
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
	} else if sep == '-' && mtail == "" && n <= 12 && m < 12 && n != m+1 {
		return false // and so is 01-02-2006
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
	if minutes > 24*60 || digits > 2 && n%100 >= 60 {
		return true
	}
	d.zone = minutes * 60
	if s[0] == '-' {
		d.zone = -d.zone
	}
	return true
}

func (d *dateParts) word(s string) bool {
	if m := month(s); m >= 0 {
		if d.month >= 0 && d.month != m {
			return false // one of them is a weekday, and which one is not known
		}
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
	}
	// A word between the day and the year is a month, or belongs to one. If
	// another word was taken for the month, that was wrong.
	if d.month >= 0 && d.day >= 0 && d.year < 0 && d.hour < 0 {
		return name == "AT" || name == "OF" || name == "DE" || name == "DEL"
	}
	if d.zoned || len(s) > 5 {
		return true // a weekday, or the long name of a zone
	}
	if hours, ok := zoneHours(name); ok {
		d.zone, d.zoned = int(hours*3600), true
		return true
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

// month returns 0–11 for an English month name or the beginning of one, and for
// the names of other languages that begin alike; -1: it is none. Three letters
// are not enough: "mardi" is a Tuesday, and "marraskuu" is November.
func month(s string) int {
	s = strings.TrimRight(s, ".")
	if len(s) < 3 || len(s) > 10 {
		return -1
	}
	var buf [10]byte
	s = string(lower(buf[:0], []byte(s)))
	for i, name := range [...]string{
		"january januar janvier januari janeiro januarie", "february februar februari februarie",
		"march mars marzo mart marts martie", "april aprile", "may", "june juni juno junio junho",
		"july juli julio julho", "august augusti augustus", "september septembre septiembre septembrie",
		"october octobre octubre octombrie", "november novembre noviembre novembro noiembrie",
		"december decembre decembrie",
	} {
		if name[:3] != s[:3] {
			continue
		}
		english, others, _ := strings.Cut(name, " ")
		if strings.HasPrefix(english, s) || strings.Contains(" "+others+" ", " "+s+" ") {
			return i
		}
	}
	return -1
}

func (d *dateParts) time() (time.Time, bool) {
	if d.day < 1 || d.day > 31 || d.month < 0 || d.month > 11 || d.year < 0 || d.hour < 0 && (d.am || d.pm) {
		return time.Time{}, false
	}
	hour := max(d.hour, 0)
	switch {
	case d.pm && hour < 12:
		hour += 12
	case d.am && hour == 12:
		hour = 0
	}
	if hour > 24 || hour == 24 && (d.minute > 0 || d.sec > 0) || d.minute > 59 || d.sec > 60 {
		return time.Time{}, false
	}
	t := time.Date(min(d.year, 10_000), time.Month(d.month+1), d.day, hour, d.minute, d.sec, 0, time.UTC)
	if days := time.Date(min(d.year, 10_000), time.Month(d.month+2), 0, 0, 0, 0, 0, time.UTC).Day(); d.day > days {
		return time.Time{}, false // 31 February
	}
	t = t.Add(-time.Duration(d.zone) * time.Second)
	if t.Year() < 1971 || t.Year() >= 9999 {
		return time.Time{}, false
	}
	return t, true
}
