package query

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// form writes a query for comparison: & | ! and the conditions by name.
func form(e Expr) string {
	join := func(all []Expr, by string) string {
		var parts []string
		for _, e := range all {
			parts = append(parts, form(e))
		}
		return "(" + strings.Join(parts, by) + ")"
	}
	name := func(n Name) string {
		if n.Prefix {
			return n.Text + "*"
		}
		return n.Text
	}
	switch e := e.(type) {
	case nil:
		return ""
	case And:
		return join(e, " & ")
	case Or:
		return join(e, " | ")
	case Not:
		return "!" + form(e.Expr)
	case Term:
		s := e.Text
		if e.Phrase {
			s = `"` + s + `"`
		}
		if e.Prefix {
			s += "*"
		}
		if e.Column != Anywhere {
			s = string(e.Column) + ":" + s
		}
		return s
	case Before:
		return "before " + e.At.Format(time.RFC3339)
	case After:
		return "after " + e.At.Format(time.RFC3339)
	case Unread:
		return "unread"
	case Flagged:
		return "flagged"
	case Attached:
		return "attached"
	case Larger:
		return fmt.Sprint("larger ", e.Bytes)
	case Smaller:
		return fmt.Sprint("smaller ", e.Bytes)
	case In:
		return "in " + name(e.Name)
	case Account:
		return "account " + name(e.Name)
	}
	return "?"
}

func TestParse(t *testing.T) {
	rome := time.FixedZone("Rome", 3600)
	now := time.Date(2026, 11, 30, 15, 4, 5, 0, rome)
	for in, want := range map[string]string{
		"":                           "",
		" \t\n":                      "",
		"hello":                      "hello",
		"Hello  wörld":               "(Hello & wörld)",
		"hel*":                       "hel*",
		`"hello wor*"`:               `"hello wor*"`,
		"-spam":                      "!spam",
		`-"big sale" -from:bob`:      `(!"big sale" & !from:bob)`,
		`from:ann to:"Bob C"`:        `(from:ann & to:"Bob C")`,
		"Subject:in* CC:x bcc:y":     "(subject:in* & cc:x & bcc:y)",
		"from:ann@example.org":       "from:ann@example.org",
		"filename:pdf":               "filename:pdf",
		"has:attachment":             "attached",
		"-HAS:Attachment":            "!attached",
		"is:unread":                  "unread",
		"IS:Read -is:flagged":        "(!unread & !flagged)",
		"is:starred":                 "flagged",
		"-is:read is:unread":         "(unread & unread)",
		"in:inbox in:\"Sent Items\"": "(in inbox & in Sent Items)",
		"in:Lists/* account:work":    "(in Lists/* & account work)",
		// days and ages
		"before:2026-03-01":           "before 2026-03-01T00:00:00+01:00",
		"-before:2026-03-01":          "!before 2026-03-01T00:00:00+01:00",
		`after:"2026-03-01"`:          "after 2026-03-01T00:00:00+01:00",
		"after:2026/03/01":            "after 2026-03-01T00:00:00+01:00",
		"after:today":                 "after 2026-11-30T00:00:00+01:00",
		"before:Yesterday":            "before 2026-11-29T00:00:00+01:00",
		"after:2w":                    "after 2026-11-16T00:00:00+01:00",
		"after:1m":                    "after 2026-10-30T00:00:00+01:00",
		"before:1y":                   "before 2025-11-30T00:00:00+01:00",
		"older_than:3d":               "before 2026-11-27T15:04:05+01:00",
		"newer_than:12h":              "after 2026-11-30T03:04:05+01:00",
		"older_than:2M newer_than:1Y": "(before 2026-09-30T15:04:05+01:00 & after 2025-11-30T15:04:05+01:00)",
		// sizes
		"larger:10M smaller:1.5g": "(larger 10000000 & smaller 1500000000)",
		"larger:500 smaller:20kb": "(larger 500 & smaller 20000)",
		// alternatives and parentheses
		"a OR b":                 "(a | b)",
		"a b OR c d":             "(a & (b | c) & d)",
		"a OR b OR c":            "(a | b | c)",
		"a OR -b":                "(a | !b)",
		"(a b) OR c":             "((a & b) | c)",
		"-(a OR b) c":            "(!(a | b) & c)",
		"((a))":                  "a",
		"-(-a)":                  "a",
		"( a )":                  "a",
		"from:(ann OR bob) x":    "((from:ann | from:bob) & x)",
		"from:(ann to:bob)":      "(from:ann & to:bob)",
		"subject:(dinner movie)": "(subject:dinner & subject:movie)",
		`("a b" OR c)`:           `("a b" | c)`,
		"is:unread OR is:read":   "(unread | !unread)",
		"(x)":                    "x",
		"(f(x) y)":               "(f(x) & y)",
		`"(x"`:                   `"(x"`,
		// Ordinary text, whatever it looks like.
		"foo-bar don't NEAR or":      "(foo-bar & don't & NEAR & or)",
		"f(x) :) a)":                 "(f(x) & a))",
		"https://example.org/a:b":    "https://example.org/a:b",
		`12:30 C:\x std::vector Re:`: `(12:30 & C:\x & std::vector & Re:)`,
		"x-spam:yes OReo":            "(x-spam:yes & OReo)",
		`ab"cd`:                      `ab"cd`,
		"tom & jerry -":              "(tom & jerry)",
		"🎉 is:unread":                "(🎉 & unread)",
		"🎉 !!":                       "🎉",
	} {
		got, err := parseAt(in, now)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if form(got.Expr) != want {
			t.Errorf("%q is %s, want %s", in, form(got.Expr), want)
		}
		if len(got.Hints) > 0 {
			t.Errorf("%q: %q", in, got.Hints)
		}
	}
}

// A word that looks like an operator and is none is searched for, and that is said.
func TestHints(t *testing.T) {
	for in, says := range map[string]string{"a AND b": "Every clause must hold", "NOT a": "Write -word",
		"(a AND b) AND c": "Every clause"} {
		q, err := Parse(in, nil)
		if err != nil || len(q.Hints) != 1 || !strings.Contains(q.Hints[0], says) {
			t.Errorf("%q: %q, %v", in, q.Hints, err)
		}
	}
	if q, err := Parse(`"AND" subject:x and -"NOT"`, nil); err != nil || len(q.Hints) > 0 {
		t.Errorf("%q, %v", q.Hints, err)
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
		{"from:!!", 1, "from:!!", "no letter, digit"},
		{"ä before:2026-13-01", 3, "before:2026-13-01", "YYYY-MM-DD"},
		{"before:2026-02-30", 1, "before:2026-02-30", "YYYY-MM-DD"},
		{"before:tomorow", 1, "before:tomorow", "YYYY-MM-DD"},
		{"after:0001-01-01", 1, "after:0001-01-01", "YYYY-MM-DD"},
		{"after:2026-3-1", 1, "after:2026-3-1", "YYYY-MM-DD"},
		{"after:9999y", 1, "after:9999y", "from the year 1000"},
		{"older_than:3", 1, "older_than:3", "3d, 2w"},
		{"older_than:99999y", 1, "older_than:99999y", "3d, 2w"},
		{"newer_than:-3d", 1, "newer_than:-3d", "3d, 2w"},
		{"larger:big", 1, "larger:big", "10M"},
		{"larger:10T", 1, "larger:10T", "10M"},
		{"smaller:1e9", 1, "smaller:1e9", "10M"},
		{"larger:infG", 1, "larger:infG", "10M"},
		{"form:ann", 1, "form:ann", "did you mean from:"},
		{"sbuject:x", 1, "sbuject:x", "did you mean subject:"},
		{"older-than:3d", 1, "older-than:3d", "did you mean older_than:"},
		{"kind:x", 1, "kind:x", "there are from:"},
		{"has:attachement", 1, "has:attachement", "did you mean attachment?"},
		{"is:unred", 1, "is:unred", "did you mean"},
		{"-has:file", 1, "-has:file", "put it in quotes"},
		{`say "hello`, 5, `"hello`, "closing quote"},
		{`subject:"a b`, 1, `subject:"a`, "closing quote"},
		{`"a"b`, 1, `"a"b`, "space must follow"},
		{"is:read is:unread", 9, "is:unread", "contradicts"},
		{"is:flagged -is:flagged", 12, "-is:flagged", "contradicts"},
		{"!!", 1, "!!", "no letter, digit"},
		{"***", 1, "***", "no letter, digit"},
		{`x "&&"`, 3, `"&&"`, "no letter, digit"},
		{"OR a", 1, "OR", "between two clauses"},
		{"a OR", 3, "OR", "between two clauses"},
		{"a OR &", 3, "OR", "between two clauses"},
		{"a OR OR b", 6, "OR", "between two clauses"},
		{"(a OR) b", 4, "OR)", "between two clauses"},
		{"a (b c", 3, "(b", "closing parenthesis"},
		{"from:(b", 1, "from:(b", "closing parenthesis"},
		{"a ()", 3, "()", "nothing to search for"},
		{"(a)b", 1, "(a)b", "space must follow"},
		{"is:(unread)", 1, "is:(unread)", "no parentheses"},
		{strings.Repeat("(", MaxDepth+1) + "a" + strings.Repeat(")", MaxDepth+1), MaxDepth + 1, "", "more than 20"},
		{strings.Repeat("a ", MaxTerms+1), 2*MaxTerms + 1, "a", "at most 64"},
		{strings.Repeat("is:read ", MaxTerms+1), 8*MaxTerms + 1, "is:read", "at most 64"},
		{strings.Repeat("a", MaxLength+1), 1, strings.Repeat("a", 64), "at most 4096"},
	}
	for _, tt := range tests {
		_, err := Parse(tt.in, nil)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: %v, want a SyntaxError", tt.in, err)
			continue
		}
		if syntax.Pos != tt.pos || tt.word != "" && syntax.Word != tt.word || !strings.Contains(err.Error(), tt.says) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %+v", tt.in, syntax)
		}
	}
}
