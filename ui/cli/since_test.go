package cli

import (
	"testing"
	"time"
)

func TestSince(t *testing.T) {
	for text, ago := range map[string]time.Duration{"7d": 7 * 24 * time.Hour, "2h": 2 * time.Hour,
		"30m": 30 * time.Minute,
		"1w":  7 * 24 * time.Hour, "1h30m": 90 * time.Minute, "1d": 24 * time.Hour} {
		var s since
		if err := s.Set(text); err != nil || s.ago != ago || s.String() != text {
			t.Errorf("%s: %+v, %v", text, s, err)
		}
		if got := time.Since(s.Time()); got < ago || got > ago+time.Minute {
			t.Errorf("%s is %v ago", text, got)
		}
	}
	var day since
	if err := day.Set("2024-11-01"); err != nil || !day.Time().Equal(time.Date(2024, 11, 1, 0, 0, 0, 0, time.Local)) {
		t.Errorf("%+v, %v", day, err)
	}
	if got := day.Words(); got != "since 2024-11-01" {
		t.Error(got)
	}
	for _, text := range []string{"", "d", "0d", "-1d", "-2h", "0s", "7", "7 d", "tomorrow", "2024-13-01", "9999-01-01",
		"99999999999999d", "9223372036854775807w", "1.5d", "7d2h"} {
		s := since{text: "7d", ago: time.Hour}
		if err := s.Set(text); err == nil || s.text != "7d" {
			t.Errorf("%q was read as %+v", text, s)
		}
	}
}
