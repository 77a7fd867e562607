package web

import (
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                     "plain",
		"invoice\u202efdp.exe":      "invoice‹U+202E›fdp.exe",
		"a\u2066b\u2069\u200f":      "a‹U+2066›b‹U+2069›‹U+200F›",
		"bell\a nul\x00 del\x7f":    "bell‹U+0007› nul‹U+0000› del‹U+007F›",
		"two\r\nlines":              "two  lines",
		"zero\u200bwidth\ufeff":     "zero‹U+200B›width‹U+FEFF›",
		"family 👨\u200d👩\u200d👧":    "family 👨\u200d👩\u200d👧",
		"نمی\u200cخواهم":            "نمی\u200cخواهم",
		"broken \xff":               "broken \uFFFD",
		"soft\u00adhyphen\u2028sep": "soft‹U+00AD›hyphen‹U+2028›sep",
	} {
		if got := visible(in); got != want {
			t.Errorf("visible(%q) = %q, want %q", in, got, want)
		}
	}
	if got := visibleBody("a\r\n\tb\u200f\u202ec\x1b"); got != "a\n\tb\u200f‹U+202E›c‹U+001B›" {
		t.Errorf("%q", got)
	}
}

func FuzzVisible(f *testing.F) {
	f.Add("a\u202eb\n> c")
	f.Add("\xff\r\n\r\n> x\n\n\n y")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range visible(s) {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
				t.Fatalf("%U is left in %q", r, s)
			}
		}
		var kept strings.Builder
		for _, p := range paragraphs(s) {
			if p.Text == "" || !utf8.ValidString(p.Text) {
				t.Fatalf("paragraph %q of %q", p.Text, s)
			}
			kept.WriteString(p.Text)
		}
		if strings.TrimSpace(s) != "" && kept.Len() == 0 {
			t.Fatalf("nothing is left of %q", s)
		}
	})
}

func TestParagraphs(t *testing.T) {
	got := paragraphs("\n\none\ntwo\n\n> said\n> more\nanswer\n   \nend")
	want := []paragraph{{"one\ntwo", false}, {"> said\n> more", true}, {"answer", false}, {"end", false}}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%d: %+v, want %+v", i, got[i], want[i])
		}
	}
	if n := len(paragraphs(strings.Repeat("x\n\n", 3*maxParagraphs))); n != maxParagraphs+1 {
		t.Errorf("%d paragraphs", n)
	}
}

func TestNumbersAndTimes(t *testing.T) {
	for got, want := range map[string]string{
		count(0): "0", count(999): "999", count(1000): "1\u202f000", count(1234567): "1\u202f234\u202f567",
		count(-1234):                     "-1\u202f234",
		plural(1, "message", "messages"): "1 message", plural(2000, "message", "messages"): "2\u202f000 messages",
		octets(1): "1 byte", octets(48211): "48.2 kB", octets(3_400_000): "3.4 MB", octets(2_000_000_000): "2.0 GB",
		ago(testNow, time.Time{}): "never", ago(testNow, testNow.Add(-time.Minute)): "1 minute ago",
		ago(testNow, testNow.Add(-50*time.Hour)): "2 days ago",
		ago(testNow, testNow.Add(time.Hour)):     "just now", short(testNow, time.Time{}): "",
		short(testNow, testNow.AddDate(-1, 0, -1)): "23 Nov 2025",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if percent(999, 1000) != 99 || percent(1, 0) != 0 || percent(5, 3) != 100 {
		t.Error("percent")
	}
}
