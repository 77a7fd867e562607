package cli

import (
	"math"
	"strconv"
	"strings"
	"time"

	"mailcote/ui/format"
)

// since is a flag that says from when on: so long ago, or a day.
type since struct {
	text string
	ago  time.Duration
	at   time.Time // a day's beginning here; zero: ago is meant
}

func (s *since) String() string { return s.text }

// Type is what help calls the value.
func (s *since) Type() string { return "WHEN" }

// Set reads 7d, 2h, 30m, 1w or 2026-11-01.
func (s *since) Set(text string) error {
	wrong := usagef("%s is not a time that has passed: write 7d, 2h, 30m or 2026-11-01", typed(text))
	read := since{text: text}
	if day, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		if read.at = day; day.After(time.Now()) {
			return wrong
		}
		*s = read
		return nil
	}
	var err error
	read.ago, err = time.ParseDuration(text)
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		number, ok := strings.CutSuffix(text, unit)
		if !ok {
			continue
		}
		var n int64
		if n, err = strconv.ParseInt(number, 10, 64); err == nil && n > math.MaxInt64/int64(length) {
			return wrong
		}
		read.ago = time.Duration(n) * length
	}
	if err != nil || read.ago <= 0 {
		return wrong
	}
	*s = read
	return nil
}

// Time is the moment that is meant.
func (s *since) Time() time.Time {
	if !s.at.IsZero() {
		return s.at
	}
	return time.Now().Add(-s.ago)
}

// Words goes on after "Nothing went wrong".
func (s *since) Words() string {
	if !s.at.IsZero() {
		return "since " + s.text
	}
	return "in the last " + format.Span(s.ago)
}
