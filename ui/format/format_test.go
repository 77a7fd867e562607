package format

import (
	"testing"
	"time"
)

func TestFormat(t *testing.T) {
	for got, want := range map[string]string{
		Count(0): "0", Count(999): "999", Count(1000): "1,000", Count(-1234567): "-1,234,567",
		Octets(999): "999 B", Octets(1500): "1.5 kB", Octets(31_000_000): "31.0 MB", Octets(2_500_000_000): "2.50 GB",
		Plural(1, "message", "messages"): "1 message", Plural(1200, "message", "messages"): "1,200 messages",
		Span(7 * 24 * time.Hour): "7 days", Span(24 * time.Hour): "24 hours", Span(time.Hour): "1 hour",
		Span(90 * time.Minute): "1h30m0s",
		Seconds(0.25):          "0.2 s", Seconds(12.3): "12 s", Seconds(75): "1m15s",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
