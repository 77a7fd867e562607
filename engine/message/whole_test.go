package message

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// whole parses a message with one HTML body.
func whole(page string) Whole {
	return ParseWhole(strings.NewReader("Content-Type: text/html; charset=utf-8\r\n\r\n"+page), Limits{})
}

// told is the links as "number target text" lines.
func told(w Whole) string {
	var b strings.Builder
	for i, l := range w.Links {
		fmt.Fprintf(&b, "%d %s %s|", i+1, l.Target, l.Text)
	}
	return b.String()
}

func TestLinksOfHTML(t *testing.T) {
	for _, c := range []struct{ name, page, text, links string }{
		{"confirmation", `<p>Please <a href="https://a.example/c?t=1&amp;u=2">confirm your address</a>.</p>`,
			"Please confirm your address [1].", "1 https://a.example/c?t=1&u=2 confirm your address|"},
		{"two", `<a href=http://a.example/>one</a> and <A HREF='http://b.example/'>two</A>!`,
			"one [1] and two [2]!", "1 http://a.example/ one|2 http://b.example/ two|"},
		{"same target twice", `<a href=http://a.example/>one</a> <a href=http://a.example/>two</a>`,
			"one [1] two [2]", "1 http://a.example/ one|2 http://a.example/ two|"},
		{"anchor in anchor", `<a href=http://a.example/>one <a href=http://b.example/>two</a> three</a> four`,
			"one [1] two [2] three four", "1 http://a.example/ one|2 http://b.example/ two|"},
		{"never ended", `<p><a href=http://a.example/>one<p>two`,
			"one\n\ntwo [1]", "1 http://a.example/ one two|"},
		{"ends with its cell", `<table><tr><td><a href=http://a.example/>one</td><td>two</td></tr></table>`,
			"one [1] two", "1 http://a.example/ one|"},
		{"around a table", `<a href=http://a.example/><table><tr><td>Pay</td><td>now</td></tr></table></a> or not`,
			"Pay now [1]\n\nor not", "1 http://a.example/ Pay now|"},
		{"around blocks", `<a href=http://a.example/><div>Head</div><div>Body</div></a>`,
			"Head\nBody [1]", "1 http://a.example/ Head Body|"},
		{"picture",
			`<a href=http://a.example/><img src=x alt="Track &amp; trace"></a>Text <a href=http://b.example/>b</a>`,
			"Text b [2]", "1 http://a.example/ Track & trace|2 http://b.example/ b|"},
		{"picture with text", `<a href=http://a.example/><img alt=Logo>Home</a>`, "Home [1]",
			"1 http://a.example/ Home|"},
		{"picture only", `<a href=http://a.example/><img></a>`, "", "1 http://a.example/ |"},
		{"map", `<map><area href=http://a.example/ alt=North><area alt=South href=http://b.example/></map>t`,
			"t", "1 http://a.example/ North|2 http://b.example/ South|"},
		{"no target", `<a name=top>Top</a> <a href="">empty</a> <a href="#top">up</a> <a>x</a>`,
			"Top empty up x", ""},
		{"script", `<a href="java&#10;script:alert(1)">press</a> <a href="data:text/html,<b>x</b>">data</a>`,
			"press [1] data [2]", "1 javascript:alert(1) press|2 data:text/html,<b>x</b> data|"},
		{"white space in target", "<a href=\" \n http://a.example/a b\tc\u00a0\u202ed \">x</a>",
			"x [1]", "1 http://a.example/a%20bc%C2%A0%E2%80%AEd x|"},
		{"control in target", `<a href="http://a.example/&#1;&#127;">x</a>`, "x [1]", "1 http://a.example/%01%7F x|"},
		{"base", `<base href="https://a.example/m/"><base href="https://b.example/"><a href=x?y>x</a> ` +
			`<a href=/z>z</a> <a href=mailto:j@c.example>j</a> <a href=//d.example/>d</a>`,
			"x [1] z [2] j [3] d [4]", "1 https://a.example/m/x?y x|2 https://a.example/z z|3 mailto:j@c.example j|" +
				"4 https://d.example/ d|"},
		{"base of no use", `<base href="javascript:x"><a href=y>y</a>`, "y [1]", "1 y y|"},
		{"relative", `<a href=www.a.example/x>x</a>`, "x [1]", "1 www.a.example/x x|"},
		{"spelt out", `Or open https://a.example/c. <a href="https://a.example/d">https://b.example/</a>`,
			"Or open https://a.example/c. https://b.example/ [1]",
			"1 https://a.example/d https://b.example/|2 https://a.example/c |3 https://b.example/ |"},
		{"text of many lines", "<a href=http://a.example/>one\n\t two<br>three &nbsp; four</a>",
			"one two\nthree four [1]", "1 http://a.example/ one two three four|"},
		{"first attribute counts", `<a href=http://a.example/ href=http://b.example/>x</a>`,
			"x [1]", "1 http://a.example/ x|"},
		{"not in a title or script", `<title><a href=http://a.example/>t</a></title><script>"<a href=x>"</script>` +
			`<!-- <a href=http://b.example/>c</a> -->t`, "t", ""},
		{"controls before and in text", "<pre> \x01a\x03<a href=http://a.example/>\x04é</a>b</pre>",
			"aé [1]b", "1 http://a.example/ é|"},
		{"quoted", `<blockquote><a href=http://a.example/>x</a></blockquote>`, "> x [1]", "1 http://a.example/ x|"},
		{"right to left", `<a href="http://a.example/ש">שלום</a>`, "שלום [1]", "1 http://a.example/ש שלום|"},
		{"emoji", `👋<a href=http://a.example/>👩‍👩‍👧</a>👋`, "👋👩‍👩‍👧 [1]👋", "1 http://a.example/ 👩‍👩‍👧|"},
	} {
		w := whole(c.page)
		if got := w.Numbered(); got != c.text {
			t.Errorf("%s: text %q, want %q", c.name, got, c.text)
		}
		if got := told(w); got != c.links {
			t.Errorf("%s: links %q, want %q", c.name, got, c.links)
		}
		if strings.Contains(w.Preview, "[1]") || strings.Contains(w.Text, "[1]") {
			t.Errorf("%s: numbers in the text that is indexed: %q, %q", c.name, w.Text, w.Preview)
		}
	}
}

func TestLinksOfPlainText(t *testing.T) {
	for _, c := range []struct{ name, text, links string }{
		{"bare", "Open https://a.example/c?t=1&u=2 now", "1 https://a.example/c?t=1&u=2 |"},
		{"end of a sentence", "See http://a.example/x, http://a.example/y. (Or http://a.example/z!)",
			"1 http://a.example/x |2 http://a.example/y |3 http://a.example/z |"},
		{"brackets of its own", "http://a.example/Ada_(ship) [http://a.example/b]",
			"1 http://a.example/Ada_(ship) |2 http://a.example/b |"},
		{"angle brackets", "<https://a.example/x.> and <mailto:j@a.example>",
			"1 https://a.example/x. |2 mailto:j@a.example |"},
		{"broken in angle brackets", "<https://a.example/first\n  /second\n/third> then",
			"1 https://a.example/first/second/third |"},
		{"broken without them", "https://a.example/first\n/second", "1 https://a.example/first |"},
		{"an angle bracket that is not closed", "<https://a.example/first.\nnext words", "1 https://a.example/first |"},
		{"case and foreign words", "siehe:HTTPS://A.example/ä和 或https://b.example/x。",
			"1 HTTPS://A.example/ä和 |2 https://b.example/x |"},
		{"twice", "http://a.example/ http://a.example/", "1 http://a.example/ |"},
		{"none", "javascript:alert(1) xhttp://a.example/ http: https:// mailto: data:x http:/a 10:30", ""},
		{"quotes", `"http://a.example/x" 'http://a.example/y' „http://a.example/z“`,
			"1 http://a.example/x |2 http://a.example/y |3 http://a.example/z |"},
		{"quoted reply", "> see http://a.example/x\n>> http://a.example/y",
			"1 http://a.example/x |2 http://a.example/y |"},
	} {
		w := ParseWhole(strings.NewReader("Content-Type: text/plain; charset=utf-8\r\n\r\n"+c.text), Limits{})
		if got := told(w); got != c.links {
			t.Errorf("%s: links %q, want %q", c.name, got, c.links)
		}
		if w.Numbered() != w.Text {
			t.Errorf("%s: plain text was changed: %q", c.name, w.Numbered())
		}
	}
}

// TestLinksOfAlternatives: the link is listed whichever alternative the text is
// made of.
func TestLinksOfAlternatives(t *testing.T) {
	const page = `<p>Hello</p><a href="https://a.example/confirm">Confirm</a> <a href="https://a.example/help">Help</a>`
	alternative := func(plain string) Whole {
		return ParseWhole(strings.NewReader("Content-Type: multipart/alternative; boundary=b\r\n\r\n"+
			"--b\r\nContent-Type: text/plain\r\n\r\n"+plain+"\r\n--b\r\nContent-Type: text/html\r\n\r\n"+page+
			"\r\n--b--\r\n"), Limits{})
	}
	for _, c := range []struct{ name, plain, links string }{
		{"plain without a link", strings.Repeat("A long text that says it all. ", 60),
			"1 https://a.example/confirm Confirm|2 https://a.example/help Help|"},
		{"plain with one of them", strings.Repeat("A long text that says it all. ", 60) + "https://a.example/help.",
			"1 https://a.example/help |2 https://a.example/confirm Confirm|"},
	} {
		w := alternative(c.plain)
		if got := told(w); got != c.links {
			t.Errorf("%s: links %q, want %q", c.name, got, c.links)
		}
		if w.HTML != page {
			t.Errorf("%s: HTML %q", c.name, w.HTML)
		}
	}
}

// TestWholeViewIsTheView: what is shown is what was stored and indexed.
func TestWholeViewIsTheView(t *testing.T) {
	for _, c := range corpus {
		v := Parse(strings.NewReader(c.raw), Limits{})
		w := ParseWhole(strings.NewReader(c.raw), Limits{})
		if a, b := asJSON(t, v), asJSON(t, w.View); a != b {
			t.Errorf("%s: stored %s\nshown  %s", c.name, a, b)
		}
		if !utf8.ValidString(w.HTML) || !utf8.ValidString(w.Numbered()) {
			t.Errorf("%s: not UTF-8", c.name)
		}
	}
}

func asJSON(t *testing.T, v View) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestHTMLDeclaresItsCharset: the HTML comes as UTF-8 and does not say that it
// is something else.
func TestHTMLDeclaresItsCharset(t *testing.T) {
	for _, c := range []struct{ charset, page, want string }{
		{"iso-8859-1", "<META content=\"text/html; CHARSET=ISO-8859-1\">caf\xe9",
			"<META content=\"text/html; CHARSET=utf-8\">café"},
		{"", "<meta charset='windows-1252'>\x80", "<meta charset='utf-8'>€"},
		{"utf-8", "<meta charset=utf-8><b>é", "<meta charset=utf-8><b>é"},
		{"utf-8", "İK<meta charset=koi8-r>é", "İK<meta charset=utf-8>é"},
		{"iso-8859-15", "\xa4", "€"},
	} {
		header := "Content-Type: text/html\r\n\r\n"
		if c.charset != "" {
			header = "Content-Type: text/html; charset=" + c.charset + "\r\n\r\n"
		}
		if w := ParseWhole(strings.NewReader(header+c.page), Limits{}); w.HTML != c.want {
			t.Errorf("%s %q: %q, want %q", c.charset, c.page, w.HTML, c.want)
		}
	}
}

// TestHTMLOfAttachedMessages: only the message's own HTML is its HTML.
func TestHTMLOfAttachedMessages(t *testing.T) {
	w := ParseWhole(strings.NewReader("Content-Type: multipart/mixed; boundary=b\r\n\r\n"+
		"--b\r\nContent-Type: text/html\r\n\r\n<i>own</i>\r\n"+
		"--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: text/html\r\n\r\n"+
		"<a href=http://a.example/>theirs</a>\r\n"+
		"--b\r\nContent-Type: text/html\r\nContent-Disposition: attachment\r\n\r\n<i>file</i>\r\n--b--\r\n"), Limits{})
	if w.HTML != "<i>own</i>" || w.Numbered() != "own\n\ntheirs [1]" {
		t.Errorf("HTML %q, text %q", w.HTML, w.Numbered())
	}
}

// TestHostileLinks: time is linear and the list bounded whatever the HTML does.
func TestHostileLinks(t *testing.T) {
	repeat := func(s string) string { return strings.Repeat(s, mib/4/len(s)) }
	for name, page := range map[string]string{
		"nested anchors": strings.Repeat("<a href=http://a.example/>x", mib/20),
		"empty anchors":  repeat("<a href=x></a>"),
		"ends only":      repeat("</a></td>"),
		"cells":          repeat("<td><a href=x>y"),
		"long base": "<base href=http://a.example/" + strings.Repeat("b",
			2000) + "/>" + repeat("<a href=x>y</a>"),
		"endless base":         "<base href=http://a.example/" + repeat("b") + "/><a href=x>y</a>",
		"one long target":      "<a href=http://a.example/" + repeat("y") + ">z</a>",
		"many long targets":    repeat("<a href=http://a.example/" + strings.Repeat("y", 30_000) + ">z</a>"),
		"one long text":        "<a href=x>" + repeat("word ") + "</a>",
		"one long word":        "<a href=x>" + repeat("w") + "</a>",
		"attributes":           "<a " + repeat("q=1 ") + " href=x>y</a>",
		"broken tags":          repeat("<a href='x\"><a<b<<a href=>"),
		"never closed quote":   repeat("<a href=\"x"),
		"alt":                  "<a href=x>" + repeat("<img alt=y>") + "</a>",
		"white space in href":  "<a href='" + repeat("\t\n") + "x'>y</a>",
		"invisible in href":    "<a href='" + repeat("\u202e") + "x'>y</a>",
		"spelt out":            repeat("http://a.example/x "),
		"colons":               repeat("http:"),
		"brackets":             "http://a.example/" + repeat(")"),
		"short bracketed":      repeat("http://a.example/" + strings.Repeat(")", 30_000) + " "),
		"broken lines":         "<pre>" + repeat("&lt;http://a.example/x\ny\nz "),
		"one endless broken":   "<pre>&lt;http://a.example/" + repeat("y\n"),
		"control characters":   "<pre>" + repeat("\x01<a href=x>\x02y</a>"),
		"escaped line returns": "<pre>" + repeat("&#13;<a href=x>é&#13;</a>\n"),
	} {
		t.Run(name, func(t *testing.T) {
			raw := "Content-Type: text/html; charset=utf-8\r\n\r\n" + page
			var w Whole
			var text string
			before := allocated()
			within(t, len(raw), func() {
				w = ParseWhole(strings.NewReader(raw), Limits{})
				text = w.Numbered()
			})
			if got := allocated() - before; got > 96*mib {
				t.Errorf("%d MiB allocated", got/mib)
			}
			targets := 0
			for _, l := range w.Links {
				targets += len(l.Target)
				if utf8.RuneCountInString(l.Text) > maxLinkText {
					t.Errorf("text of %d bytes", len(l.Text))
				}
			}
			if len(w.Links) > maxLinks || targets > 2*maxLinkBytes || !utf8.ValidString(text) {
				t.Errorf("%d links, %d bytes of targets, UTF-8 %t", len(w.Links), targets, utf8.ValidString(text))
			}
			check(t, w.View)
		})
	}
}

// TestLinksThatAreLeftOut are told.
func TestLinksThatAreLeftOut(t *testing.T) {
	w := whole(strings.Repeat("<a href=http://a.example/>x</a> ", maxLinks+1))
	if len(w.Links) != maxLinks || !w.Partial || !strings.Contains(strings.Join(w.Problems, ";"), "more links") {
		t.Errorf("%d links, problems %q", len(w.Links), w.Problems)
	}
}

// TestManyPagesThatAreNotShown: looking for their text costs no more than a few
// times the text.
func TestManyPagesThatAreNotShown(t *testing.T) {
	var b strings.Builder
	b.WriteString("Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: text/html\r\n\r\n<p>seen\r\n" +
		"--m\r\nContent-Type: text/plain\r\n\r\n" + strings.Repeat("aaaaaaa ", 125_000) + "\r\n")
	b.WriteString("--m\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: " +
		"text/plain\r\n\r\n" +
		strings.Repeat("plain ", 300))
	needle := strings.Repeat("aaaaaaa ", 10)
	for i := range 3000 {
		fmt.Fprintf(&b, "\r\n--b\r\nContent-Type: text/html\r\n\r\n<a href=http://a.example/%d>%sx%d</a>", i, needle, i)
	}
	b.WriteString("\r\n--b--\r\n--m--\r\n")
	var w Whole
	within(t, b.Len(), func() { w = ParseWhole(strings.NewReader(b.String()), Limits{}) })
	if len(w.Links) != 3000 {
		t.Errorf("%d links", len(w.Links))
	}
}

// TestPartsAreThoseOfPart: a walk gives each part as Part does.
func TestPartsAreThoseOfPart(t *testing.T) {
	for _, c := range corpus {
		walked := 0
		if err := Parts(strings.NewReader(c.raw), Limits{}, func(a Attachment, body io.Reader) error {
			got, err := io.ReadAll(body)
			if err != nil {
				return err
			}
			r, want, ok := Part(strings.NewReader(c.raw), a.Path, Limits{})
			if !ok || a != want {
				t.Errorf("%s: part %+v, alone %+v", c.name, a, want)
				return nil
			}
			if alone, err := io.ReadAll(r); err != nil || string(alone) != string(got) {
				t.Errorf("%s: part %s is %q, alone %q, %v", c.name, a.Path, got, alone, err)
			}
			walked++
			return nil
		}); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		skipped := 0
		if err := Parts(strings.NewReader(c.raw), Limits{}, func(Attachment, io.Reader) error {
			skipped++
			return nil
		}); err != nil || walked != skipped {
			t.Errorf("%s: %d parts read, %d skipped, %v", c.name, walked, skipped, err)
		}
	}
}
