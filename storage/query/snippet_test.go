package query

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// marked writes a snippet with its marks in brackets.
func marked(s Snippet) string {
	var b strings.Builder
	runes := []rune(s.Text)
	for i := 0; i <= len(runes); i++ {
		for _, m := range s.Marks {
			if m[1] == i {
				b.WriteByte(']')
			}
		}
		for _, m := range s.Marks {
			if m[0] == i {
				b.WriteByte('[')
			}
		}
		if i < len(runes) {
			b.WriteRune(runes[i])
		}
	}
	return b.String()
}

func TestSnippet(t *testing.T) {
	long := strings.Repeat("some words before it ", 20)
	for _, tt := range []struct{ query, text, want string }{
		{"pay", "Please  pay\nby Friday.", "Please [pay] by Friday."},
		{"PÄY friday", "Please pay by Friday.", "Please [pay] by [Friday]."},
		{`"by friday"`, "by then, by\nFriday", "by then, [by Friday]"},
		{"fri*", "Friday, fry", "[Friday], fry"},
		{"-pay friday", "pay Friday", "pay [Friday]"},
		{"pay OR subject:friday", "pay Friday", "[pay] Friday"},
		{"strasse", "Die Straße da", "Die [Straße] da"},
		{"zahnburste", "Zahn\u00adbürste", "[Zahn\u00adbürste]"},
		{"京都", "東京都の", "東[京都]の"},
		{"京", "東京都の", "東[京]都の"},
		{"都", "東京都", "東京[都]"},
		{"東京都", "東京都の", "[東京都]の"},
		{"ไทย", "ประเทศไทยสวย", "ประเทศ[ไทย]สวย"},
		{"🎉", "so 🎉🎉!", "so [🎉]🎉!"},
		{"finance", "ﬁnance", "[ﬁnance]"},
		{"كتب", "كَتَبَ مُحَمَّدٌ", "[كَتَبَ] مُحَمَّدٌ"},
		{"target", long + "target" + strings.Repeat(" and after", 90), "words before it some words before it [target]" +
			strings.Repeat(" and after", 11)},
	} {
		q, err := Parse(tt.query, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, ok := q.Snippet(tt.text)
		got := marked(s)
		if !ok || !strings.HasPrefix(got, tt.want) && got != tt.want || len(tt.text) < 100 && got != tt.want {
			t.Errorf("%q in %.40q: %q, want %q", tt.query, tt.text, got, tt.want)
		}
	}
	for query, text := range map[string]string{"pay": "repay", "from:pay": "pay", "is:unread": "is unread",
		"-pay": "pay", "": "x"} {
		q, err := Parse(query, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := q.Snippet(text); ok {
			t.Errorf("%q in %q: %q", query, text, marked(s))
		}
	}
}

// A snippet is one line of bounded length, and its marks lie within it, in order.
func TestSnippetProperties(t *testing.T) {
	piece := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"a", "b ", "東京", "都", "\n", "🎉", "é",
		"\u0301", "ไทย"}))
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(piece, 0, 60).Draw(t, "pieces"), "")
		q := Query{Expr: Or{Term{Text: "a", Prefix: true}, Term{Text: "都"}, Term{Text: "東京 都"}, Term{Text: "🎉"}}}
		s, ok := q.Snippet(text)
		length, before := utf8.RuneCountInString(s.Text), 0
		if length > snippetLength || strings.ContainsAny(s.Text, "\n\r\t") || ok != (len(s.Marks) > 0) {
			t.Fatalf("%q gives %q, %v", text, s.Text, s.Marks)
		}
		for _, m := range s.Marks {
			if m[0] < before || m[1] <= m[0] || m[1] > length {
				t.Fatalf("%q gives marks %v in %q", text, s.Marks, s.Text)
			}
			before = m[1]
		}
	})
}
