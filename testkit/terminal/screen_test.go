package terminal

import (
	"slices"
	"testing"
)

// TestScreen: text, cursor movements and erasing do what a terminal does.
func TestScreen(t *testing.T) {
	for _, c := range []struct {
		name, printed, want string
		overflow            []string
	}{
		{"lines", "one\r\ntwo  \r\n", "one\ntwo", nil},
		{"just as wide", "1234567890\r\n", "1234567890", nil},
		{"too wide", "12345678901\r\n", "1234567890\n1", []string{"1234567890"}},
		{"wide characters", "日本語日本\r\n語", "日本語日本\n語", nil},
		{"a wide character too many", "123456789日", "123456789\n日", []string{"123456789"}},
		{"colour", "\x1b[31mred\x1b[0m", "red", nil},
		{"over what was there", "abc\rx", "xbc", nil},
		{"erased to the right", "abc\r\x1b[Kx", "x", nil},
		{"up and erased below", "a\r\nb\r\nc\r\x1b[2A\x1b[Jx", "x", nil},
		{"home", "a\r\nb\x1b[Hx\x1b[K\r\n\x1b[J", "x", nil},
	} {
		s := NewScreen(10)
		for _, b := range []byte(c.printed) { // in the smallest parts
			s.Write([]byte{b}) //nolint:errcheck // it never fails
		}
		if got := s.String(); got != c.want || !slices.Equal(s.Overflow(), c.overflow) || len(s.Unknown()) > 0 {
			t.Errorf("%s: %q, overflow %q, unknown %q", c.name, got, s.Overflow(), s.Unknown())
		}
		if s.Colour() != (c.name == "colour") {
			t.Errorf("%s: colour: %v", c.name, s.Colour())
		}
	}
	s := NewScreen(10)
	s.Write([]byte("\x1b[5X\x1bc\a")) //nolint:errcheck // it never fails
	if len(s.Unknown()) != 3 {
		t.Errorf("unknown: %q", s.Unknown())
	}
}
