package query

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func is(b bool) *bool { return &b }

func TestParse(t *testing.T) {
	rome := time.FixedZone("Rome", 3600)
	day := func(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, rome) }
	tests := []struct {
		in   string
		want Query
	}{
		{"", Query{}},
		{" \t\n", Query{}},
		{"hello", Query{Match: []Term{{Text: "hello"}}}},
		{"Hello  wörld", Query{Match: []Term{{Text: "Hello"}, {Text: "wörld"}}}},
		{"hel*", Query{Match: []Term{{Text: "hel", Prefix: true}}}},
		{`"hello wor*"`, Query{Match: []Term{{Text: "hello wor*", Phrase: true}}}},
		{"-spam", Query{Match: []Term{{Text: "spam", Not: true}}}},
		{`-"big sale" -from:bob`, Query{Match: []Term{{Text: "big sale", Phrase: true, Not: true},
			{Column: From, Text: "bob", Not: true}}}},
		{`from:ann to:"Bob C" Subject:in*`, Query{Match: []Term{{Column: From, Text: "ann"},
			{Column: To, Text: "Bob C", Phrase: true}, {Column: Subject, Text: "in", Prefix: true}}}},
		{"from:ann@example.org", Query{Match: []Term{{Column: From, Text: "ann@example.org"}}}},
		{"before:2026-03-01", Query{Before: day(2026, 3, 1)}},
		{`after:"2026-03-01" after:2025-01-01 before:2026-05-01 before:2026-04-01`,
			Query{After: day(2026, 3, 1), Before: day(2026, 4, 1)}},
		{"-before:2026-03-01", Query{After: day(2026, 3, 1)}},
		{"-after:2026-03-01", Query{Before: day(2026, 3, 1)}},
		{"is:unread", Query{Unread: is(true)}},
		{"IS:Read -is:flagged", Query{Unread: is(false), Flagged: is(false)}},
		{"-is:read is:unread is:flagged", Query{Unread: is(true), Flagged: is(true)}},
		// Ordinary text, whatever it looks like.
		{"foo-bar don't AND (x) NEAR", Query{Match: []Term{{Text: "foo-bar"}, {Text: "don't"}, {Text: "AND"},
			{Text: "(x)"}, {Text: "NEAR"}}}},
		{"https://example.org/a:b 12:30 C:\\x std::vector Re:", Query{Match: []Term{{Text: "https://example.org/a:b"},
			{Text: "12:30"}, {Text: `C:\x`}, {Text: "std::vector"}, {Text: "Re:"}}}},
		{`ab"cd`, Query{Match: []Term{{Text: `ab"cd`}}}},
		{"tom & jerry -", Query{Match: []Term{{Text: "tom"}, {Text: "jerry"}}}},
		{"🎉 is:unread", Query{Unread: is(true)}},
	}
	for _, tt := range tests {
		got, err := Parse(tt.in, rome)
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.in, diff)
		}
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		in   string
		pos  int
		word string
		says string
	}{
		{"a is:foo b", 3, "is:foo", "unread, read or flagged"},
		{"is:", 1, "is:", "needs a value"},
		{"from: ann", 1, "from:", "needs a value right after the colon"},
		{`x from:""`, 3, `from:""`, "needs a value"},
		{"from:!!", 1, "from:!!", "no letter and no digit"},
		{"ä before:2026-13-01", 3, "before:2026-13-01", "YYYY-MM-DD"},
		{"before:2026-02-30", 1, "before:2026-02-30", "YYYY-MM-DD"},
		{"before:yesterday", 1, "before:yesterday", "YYYY-MM-DD"},
		{"after:0001-01-01", 1, "after:0001-01-01", "YYYY-MM-DD"},
		{"after:2026-3-1", 1, "after:2026-3-1", "YYYY-MM-DD"},
		{"form:ann", 1, "form:ann", "there are from:"},
		{"-has:attachment", 1, "-has:attachment", "put it in quotes"},
		{`say "hello`, 5, `"hello`, "closing quote"},
		{`subject:"a b`, 1, `subject:"a`, "closing quote"},
		{`"a"b`, 1, `"a"b`, "space must follow"},
		{"is:read is:unread", 9, "is:unread", "contradicts"},
		{"is:flagged -is:flagged", 12, "-is:flagged", "contradicts"},
		{"🎉 !!", 1, "🎉", "no letter and no digit"},
		{"***", 1, "***", "no letter and no digit"},
		{`x "&&"`, 3, `"&&"`, "no letter and no digit"},
		{strings.Repeat("a ", MaxTerms+1), 2*MaxTerms + 1, "a", "at most 64"},
		{strings.Repeat("a", MaxLength+1), 1, strings.Repeat("a", 64), "at most 4096"},
	}
	for _, tt := range tests {
		_, err := Parse(tt.in, nil)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: %v, want a SyntaxError", tt.in, err)
			continue
		}
		if syntax.Pos != tt.pos || syntax.Word != tt.word || !strings.Contains(err.Error(), tt.says) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %+v", tt.in, syntax)
		}
	}
}
