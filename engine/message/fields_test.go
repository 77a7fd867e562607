package message

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseDate(t *testing.T) {
	for in, want := range map[string]string{
		"Mon, 2 Jan 2006 15:04:05 -0700":           "2006-01-02T22:04:05Z",
		"Mon, 2 Jan 2006 15:04:05 -0700 (MST)":     "2006-01-02T22:04:05Z",
		"2 Jan 06 15:04 EST":                       "2006-01-02T20:04:00Z",
		"Fri, 31 Dec 99 23:59:59 GMT":              "1999-12-31T23:59:59Z",
		"Tue, 5 Mar 102 10:00:00 +0000":            "2002-03-05T10:00:00Z",
		"Mon Jan  2 15:04:05 2006":                 "2006-01-02T15:04:05Z",
		"Mon Jan 2 15:04:05 CEST 2006":             "2006-01-02T13:04:05Z",
		"2006-01-02T15:04:05+02:00":                "2006-01-02T13:04:05Z",
		"2006-01-02 15:04:05":                      "2006-01-02T15:04:05Z",
		" 2-Jan-2006 15:04:05 +0100":               "2006-01-02T14:04:05Z",
		"Monday, 02 January 2006 03:04:05 PM":      "2006-01-02T15:04:05Z",
		"Mon, 2 Jan 2006 12:04:05 AM +0000":        "2006-01-02T00:04:05Z",
		"Mon, 2 Jan 2006 15:04:05 GMT+0200":        "2006-01-02T13:04:05Z",
		"Mon, 2 Jan 2006 15:04:05+0200":            "2006-01-02T13:04:05Z",
		"Mon, 2 Jan 2006 15:04:05 (CET)":           "2006-01-02T14:04:05Z",
		"Mon, 2 Jan 2006 23:59:60 +0000":           "2006-01-03T00:00:00Z",
		"Mon, 2 Jan 2006 15:04:05 +9999":           "2006-01-02T15:04:05Z",
		"2 Jan 2006":                               "2006-01-02T00:00:00Z",
		"02.01.2006 15:04":                         "2006-01-02T15:04:00Z",
		"Mon, 2 Jan 0000 15:04:05 +0000":           "",
		"30 Dec 1899 00:00:00 +0000":               "",
		"Fri, 31 Dec 9999 23:59:59 -1200":          "",
		"Fri, 31 Dec 999999999999999 23:59:59 GMT": "",
		"00-Jan-0000 00:00:00 +0000":               "",
		"Mon, 32 Jan 2006 15:04:05 +0000":          "",
		"Mon, 2 Jan 2006 25:04:05 +0000":           "",
		"01/02/2006 15:04":                         "",
		"soon":                                     "",
		"":                                         "",
		"+":                                        "",
		"15:":                                      "",
	} {
		got, ok := parseDate(in)
		if text := got.Format(time.RFC3339); ok != (want != "") || (ok && text != want) {
			t.Errorf("%q: %s %v, want %q", in, text, ok, want)
		}
	}
}

func TestParseAddressList(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"a@b", "<a@b>"},
		{"Ann <a@b>, Bob <c@d>", "Ann<a@b>,Bob<c@d>"},
		{`"Doe, Jane" <j@x>, x@y`, "Doe, Jane<j@x>,<x@y>"},
		{`"He said \"hi\"" <j@x>`, `He said "hi"<j@x>`},
		{"=?utf-8?Q?Doe,_J=C3=BCrgen?= <j@x>", "Doe, Jürgen<j@x>"},
		{`"=?utf-8?B?w6Q=?=" <j@x>`, "ä<j@x>"},
		{"=?utf-8?Q?a?= =?utf-8?Q?b?= <j@x>", "ab<j@x>"},
		{"friends: a@b, Carl <c@d>;, e@f", "<a@b>,Carl<c@d>,<e@f>"},
		{"undisclosed-recipients:;", ""},
		{"a@b; c@d;", "<a@b>,<c@d>"},
		{"a@b (Ann), (c) d@e", "Ann<a@b>,c<d@e>"},
		{"<@r1,@r2:a@b>", "<a@b>"},
		{"a @ b", "<a@b>"},
		{"Ann a@b", "Ann<a@b>"},
		{`"john doe"@x`, `<"john doe"@x>`},
		{`"a@b" <a@b>`, "<a@b>"},
		{"'Ann' <a@b>", "Ann<a@b>"},
		{"root", "<root>"},
		{"MAILER-DAEMON (Mail Delivery System)", "Mail Delivery System<MAILER-DAEMON>"},
		{"Ann Example", "Ann Example<>"},
		{"Ann <a@b", "Ann<a@b>"},
		{"<a@b, c@d", "<a@b>,<c@d>"},
		{"Ann <>, b@c", "Ann<>,<b@c>"},
		{"x@[127.0.0.1], y@z", "<x@[127.0.0.1]>,<y@z>"},
		{"J\xfcrgen <j@x>", "Jürgen<j@x>"},
		{"Ann\r\n <a@b>", "Ann<a@b>"},
		{"a@b\r\n\tevil@c <x@y>", "a@b evil@c<x@y>"},
		{", ;,,", ""},
		{"", ""},
	} {
		if got := people(ParseAddressList(c.in)); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func TestDecodeHeader(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                                        "plain",
		" =?us-ascii?q?a?=  =?us-ascii?q?b?= c":        "ab c",
		"=?utf-8?q?a?= x =?utf-8?q?b?=":                "a x b",
		"=?utf-8?B?4oKs?=rest":                         "€rest",
		"=?utf-8*en?q?lang?=":                          "lang",
		"=?utf-8?q?with space?=":                       "with space",
		"=?utf-8?x?what?=":                             "=?utf-8?x?what?=",
		"=?utf-8?q?open":                               "=?utf-8?q?open",
		"=?utf-8?B?4oI=?= =?utf-8?B?rA==?=":            "€",
		"=?utf-8?q??=":                                 "",
		"=?utf-8?q?a=00b=0Ac?=":                        "ab c",
		"caf\xe9":                                      "café",
		"tab\tand\r\n fold":                            "tab and fold",
		"=?iso-8859-1?q?=E4?= =?windows-1251?q?=E4?=":  "äд",
		"=?UTF-8?Q?=F0=9F=98?= =?UTF-8?Q?=80?= =?x?Q?": "😀 =?x?Q?",
	} {
		if got := newCharsets().header(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestBaseSubject(t *testing.T) {
	for in, want := range map[string]string{
		"Hello":                          "hello",
		"Re: Hello":                      "hello",
		"RE: Fwd:  fw: Hello  world ":    "hello world",
		"Re[2]: Hello":                   "hello",
		"[list] Re: [list] Hello":        "hello",
		"[list]":                         "[list]",
		"[fwd: Re: Hello]":               "hello",
		"Hello (fwd) (FWD)":              "hello",
		"AW: WG: Hallo":                  "hallo",
		"回复：你好":                          "你好",
		"Re:":                            "",
		"Regarding: Hello":               "regarding: hello",
		"re hello":                       "re hello",
		"[a][b] c":                       "c",
		"Re: [unbalanced Hello":          "[unbalanced hello",
		"SV: Sv: VS: R\u00e4ksm\u00f6rg": "räksmörg",
	} {
		if got := baseSubject(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestMessageIDs(t *testing.T) {
	for _, c := range []struct {
		in   string
		max  int
		want []string
	}{
		{"<a@b> <c@d>", 9, []string{"a@b", "c@d"}},
		{"<a@b><a@b>", 9, []string{"a@b"}},
		{"Message from x of today <a@b>", 9, []string{"a@b"}},
		{"<a\r\n @b>", 9, []string{"a@b"}},
		{"a@b c@d", 9, []string{"a@b", "c@d"}},
		{"<<a@b>>", 9, []string{"a@b"}},
		{"<a@b <c@d>", 9, []string{"c@d"}},
		{"<>", 9, nil},
		{"none", 9, nil},
		{"<1> <2> <3> <4>", 3, []string{"1", "3", "4"}},
		{"<1> <2>", 1, []string{"1"}},
		{"<\xff@b>", 9, []string{"\ufffd@b"}},
	} {
		if got := messageIDs(newCharsets(), c.in, c.max); !cmp.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func TestPreview(t *testing.T) {
	for in, want := range map[string]string{
		"Hello\n\nthere": "Hello there",
		"On Monday Ann wrote:\n> old\n> text\n\nNew answer": "New answer",
		"New\n\nAm 1.1. schrieb Ann:\n\n> old":              "New",
		"Text\n-- \nAnn\nCompany":                           "Text",
		"Text\n-----Original Message-----\nFrom: x":         "Text",
		"> only a quote":                                    "only a quote",
		"Items:\n- one":                                     "Items: - one",
		"\u200c \u200c\ufeff Deal \u034f of the day":        "Deal of the day",
		"می\u200cخواهم":                                     "می\u200cخواهم",
		"":                                                  "",
	} {
		if got := preview(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := preview(strings.Repeat("ä", 1000)); got != strings.Repeat("ä", 256) {
		t.Errorf("%d bytes", len(got))
	}
}

func TestHTMLText(t *testing.T) {
	for in, want := range map[string]string{
		"<p>a<p>b":                          "a\n\nb",
		"a<br>b<br><br>c":                   "a\nb\n\nc",
		"<div>a</div><div>b</div>":          "a\nb",
		"a  \n b&nbsp;&amp;&#8364; c":       "a b &€ c",
		"<b>a</b><i>b</i> c":                "ab c",
		"<a href='http://x/'>link</a>":      "link",
		"<script>x<y</script>a<style>p{}":   "a",
		"<head><title>t</title></head>body": "body",
		"<head><style>x</style>no end":      "no end",
		"<table><tr><td>1<td>2<tr><td>3":    "1 2\n3",
		"<ul><li>a<li>b</ul>c":              "- a\n- b\n\nc",
		"x<blockquote>q<br>r</blockquote>y": "x\n\n> q\n> r\n\ny",
		"<pre>a  b\n c</pre>":               "a  b\n c",
		"<!--[if mso]>no<![endif]-->yes":    "yes",
		"a < b & c":                         "a < b & c",
		"":                                  "",
		"&#0;a\x00":                         "\ufffda",
	} {
		if got := htmlText(in, mib); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestLimits(t *testing.T) {
	raw := string(typical(true))
	lim := Limits{Depth: 1, Parts: 3, Header: 2000, Text: 100, HTML: 100, Addresses: 1, References: 1, Attachments: 1}
	v := Parse(strings.NewReader(raw), lim)
	check(t, v)
	if !v.Partial || len(v.Text) > 100 || len(v.To) > 1 || len(v.References) > 1 {
		t.Errorf("%+v", v)
	}
}

// TestLongFields: a field that is longer than a header may be costs itself, not
// those behind it.
func TestLongFields(t *testing.T) {
	for _, name := range []string{"X-Spam-Report", "Subject", "References", "To", "Content-Disposition"} {
		long := name + ": " + strings.Repeat("word ", 1<<18)
		kind{name: name, raw: long + "\r\nCc: a@example.org\r\nContent-Type: text/html\r\n\r\n<p>t", text: "t"}.check(t)
		v := Parse(strings.NewReader(long+"\r\n folded "+long+"\r\nCc: a@example.org\r\n\r\nt"), Limits{})
		if people(v.Cc) != "<a@example.org>" || v.Text != "t" {
			t.Errorf("%s: to %q, text %q", name, people(v.Cc), v.Text)
		}
	}
	unknown := strings.Repeat("X-Report: "+strings.Repeat("word ", 1<<16)+"\r\n", 5)
	kind{raw: unknown + "To: a@example.org\r\n\r\nt", people: "<a@example.org>", text: "t"}.check(t)
}

// TestCutFieldGoesOn: what is cut off a field takes no room, whatever the number
// of its lines.
func TestCutFieldGoesOn(t *testing.T) {
	const rest = "\r\nCc: a@example.org\r\nSubject: seen\r\n\r\nt"
	for name, raw := range map[string]string{
		"folded":         "References: <a@b>" + strings.Repeat("\r\n x", 9000),
		"without indent": "Content-Type: text/plain" + strings.Repeat("\r\nname=a", 5000),
		"cut in a line":  "References: " + strings.Repeat("x", 9000) + strings.Repeat("\r\n x", 9000),
	} {
		v := Parse(strings.NewReader(raw+rest), Limits{Header: 8000})
		if check(t, v); people(v.Cc) != "<a@example.org>" || v.Subject != "seen" || v.Text != "t" {
			t.Errorf("%s: %q, %q, %.60q", name, people(v.Cc), v.Subject, v.Text)
		}
	}
	// Each length of the field, so that it fills its room in a line, at its end, and within a line end.
	for n := range 40 {
		raw := "References: " + strings.Repeat("x", 1980+n) + "\r\n y\r\n z" + rest
		if v := Parse(strings.NewReader(raw), Limits{Header: 8000}); v.Subject != "seen" || people(v.Cc) == "" {
			t.Errorf("%d: %q, %q", n, people(v.Cc), v.Subject)
		}
	}
}

// TestFromHTML: the view tells whether the text was HTML.
func TestFromHTML(t *testing.T) {
	for raw, want := range map[string]bool{
		"Content-Type: text/plain\r\n\r\n<p>hello</p>": false,
		"Content-Type: text/html\r\n\r\n<p>hello</p>":  true,
		"Content-Type: text/html\r\n\r\n<p></p>":       false,
		"Content-Type: text/plain\r\n\r\n":             false,
		"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nplain\r\n--b\r\n" +
			"Content-Type: text/html\r\n\r\n<p>a much longer text in the page</p>\r\n--b--\r\n": true,
	} {
		if got := Parse(strings.NewReader(raw), Limits{}).FromHTML; got != want {
			t.Errorf("%q: %v, want %v", raw, got, want)
		}
	}
}
