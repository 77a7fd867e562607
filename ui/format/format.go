package format

import (
	"fmt"
	"strconv"
	"time"
)

// Count writes a number with commas: 12,345.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Plural is "1 message", "12 messages".
func Plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}

// Octets writes a size in powers of ten.
func Octets(n int64) string {
	const unit = 1000
	switch {
	case n < unit:
		return fmt.Sprintf("%d B", n)
	case n < unit*unit:
		return fmt.Sprintf("%.1f kB", float64(n)/unit)
	case n < unit*unit*unit:
		return fmt.Sprintf("%.1f MB", float64(n)/(unit*unit))
	}
	return fmt.Sprintf("%.2f GB", float64(n)/(unit*unit*unit))
}

// Did says what a pass did to the messages here: 3 new (31 kB), 50 gone, 12
// flags.
func Did(fetched, bytes, gone, flags int64) string {
	text := Count(fetched) + " new"
	if fetched > 0 {
		text += " (" + Octets(bytes) + ")"
	}
	if gone > 0 {
		text += ", " + Count(gone) + " gone"
	}
	if flags > 0 {
		text += ", " + Plural(flags, "flag", "flags")
	}
	return text
}

// Moment writes a time in the local zone; "never" for the zero time.
func Moment(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// Seconds writes a duration given in seconds.
func Seconds(s float64) string {
	switch d := time.Duration(s * float64(time.Second)); {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", s)
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", s)
	default:
		return d.Round(time.Second).String()
	}
}

// Span writes a period that was configured: 7 days, 36 hours, 1h30m.
func Span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day && d%day == 0:
		return Plural(int64(d/day), "day", "days")
	case d%time.Hour == 0:
		return Plural(int64(d/time.Hour), "hour", "hours")
	case d < time.Hour && d%time.Minute == 0:
		return Plural(int64(d/time.Minute), "minute", "minutes")
	}
	return d.String()
}
