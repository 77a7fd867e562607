package message

import (
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/google/go-cmp/cmp"
)

// TestReplyWords: an answer has the base subject of what it answers, whatever language and program it comes from.
func TestReplyWords(t *testing.T) {
	for _, leader := range []string{
		"AW:", "Antw:", "Antwort:", "Antw.:", "WG:", "SV:", "VS:", "VB:", "VL:", "RES:", "ENC:", "RIF:", "R:",
		"I:", "TR:",
		"RE :", "TR\u00a0:", "RE\u202f:", "Rép :", "Rép\u00a0:", "Réf. :", "RV:", "Odp:", "PD:", "Odg:", "Odg: Odg:",
		"Ynt:", "YNT:", "İlt:", "ilt:", "I\u0307LT:", "Vá:", "VÁ:", "Va\u0301:", "Továbbítás:", "TOVÁBBÍTÁS:",
		"Atb:", "Pārs:",
		"Bls:", "Trs:", "Yml:", "回复:", "回复：", "答复:", "答覆：", "回覆:", "转发:", "轉寄：", "返信:", "返信：", "転送:", "답장:",
		"회신:", "전달:", "Отв:", "ОТВ:", "Отв.:", "Ответ:", "На:", "Пересл:", "Відп:", "Отг:", "Одг:", "ΑΠ:",
		"Απ:", "Απάντηση:",
		"ΣΧΕΤ:", "Σχετ.:", "ΠΡΘ:", "תגובה:", "הועבר:", "\u200fתגובה:", "رد:", "إعادة توجيه:", "پاسخ:", "جواب:",
		"تەر:", "ตอบกลับ:",
		"ส่งต่อ:", "Trả lời:", "उत्तर:",
		"Re[2]:", "RE[12]:", "Re^2:", "Re*2:", "Re(3):", "Re（３）：", "RE 2:", "Re2:", "Re-2:", "Re²:", "Re [4] :",
		"Re#5:", "Re{2}:",
		"AW(2):", "Отв[3]:", "回复2：", "Re: AW: SV: Re[3]:", "Re.:", "Re:Re:RE:", "Ｒｅ：", "ＲＥ：", "Re﹕", "Re∶", "\ufeffRe:",
		"Re\u200b:", "[list] Aw: [list]", "[EXT] Antw: WG: [EXT]", "Fwd: 答复: Re:",
	} {
		for _, subject := range []string{"Low tide at noon", "Zeit: heute", "会议", "2: two"} {
			if got, want := baseSubject(leader+" "+subject), baseSubject(subject); got != want {
				t.Errorf("%q before %q: %q, want %q", leader, subject, got, want)
			}
		}
	}
	for _, subject := range []string{
		"Area: north", "Region 2: north", "re hello", "Rest: two", "Reply all", "Retr: x", "(2): x",
		"Antwerp: boats", "2: two", "Aw", "R", "答: x", "Re[x: y"} {
		if got, want := baseSubject(subject), strings.ToLower(subject); got != want {
			t.Errorf("%q: %q, want it as it is", subject, got)
		}
	}
}

// TestSameSubject: forms of one subject that look the same are the same.
func TestSameSubject(t *testing.T) {
	long := strings.Repeat("tide ", 300)
	for a, b := range map[string]string{
		"Re: Ra\u0308ksmo\u0308rg": "RÄKSMÖRG", "ＡＢＣ　１": "abc 1", "soft\u00adhyphen": "softhyphen", "a\u200b b": "a b",
		"\u202bRE: שלום\u202c": "שלום", "non\u00a0breaking": "non breaking", "Re: " + long: long,
		"Tide (Fwd)": "tide", "Tide（ＦＷＤ）": "tide", "[Fwd: Re: Tide]": "tide", "İstanbul": "i\u0307stanbul",
	} {
		if baseSubject(a) != baseSubject(b) {
			t.Errorf("%q and %q: %q and %q", a, b, baseSubject(a), baseSubject(b))
		}
	}
}

// TestReplyWordForm: a word that is not in the form in which subjects are compared is never found.
func TestReplyWordForm(t *testing.T) {
	file, err := parser.ParseFile(gotoken.NewFileSet(), "basesubject.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	words := 0
	ast.Inspect(file, func(n ast.Node) bool {
		c, ok := n.(*ast.CaseClause)
		if !ok {
			return true
		}
		for _, e := range c.List {
			if one, ok := e.(*ast.BasicLit); ok && one.Kind == gotoken.STRING {
				word, err := strconv.Unquote(one.Value)
				if err != nil {
					t.Fatal(err)
				}
				words++
				if form := norm.NFKC.String(strings.ToLower(word)); form != word {
					t.Errorf("%q is compared as %q", word, form)
				}
				if got := baseSubject(word + ": tide"); got != "tide" {
					t.Errorf("%q is not removed: %q", word, got)
				}
			}
		}
		return true
	})
	if words < 100 {
		t.Errorf("%d words", words)
	}
}

// TestWrittenIDs: ids are found however a client or gateway wrote the field.
func TestWrittenIDs(t *testing.T) {
	for in, want := range map[string][]string{
		// encoded words
		"=?utf-8?q?=3Ctide=40north.example=3E?=":                           {"tide@north.example"},
		"=?UTF-8?B?PHRpZGVAbm9ydGguZXhhbXBsZT4=?=":                         {"tide@north.example"},
		"=?us-ascii?Q?<tide@north.example>_<ebb@north.example>?=":          {"tide@north.example", "ebb@north.example"},
		"=?utf-8?Q?<tide@nor?=\r\n =?utf-8?Q?th.example>?=":                {"tide@north.example"},
		"=?utf-8?B?PHRpZGVAbm9ydGguZXhh?= \r\n\t=?utf-8?B?bXBsZT4=?=":      {"tide@north.example"},
		"<=?utf-8?q?tide=40north.example?=>":                               {"tide@north.example"},
		"<ebb@north.example> =?utf-8?q?=3Ctide=40north.example=3E?=":       {"ebb@north.example", "tide@north.example"},
		"=?utf-8?q?tide=40north.example?=":                                 {"tide@north.example"},
		"=?utf-8?Q?<low_tide_1@north.example>?=":                           {"low_tide_1@north.example"},
		"=?utf-8?Q?<low=5Ftide@north.example>?= <x_y@z.example>":           {"low_tide@north.example", "x_y@z.example"},
		"=?iso-8859-1*en?q?=3Ctide=40north.example=3E?=":                   {"tide@north.example"},
		"=?utf-8?q?=3Ca=40b=3E?= =?utf-8?b?PGViYkBub3J0aC5leGFtcGxlPg==?=": {"a@b", "ebb@north.example"},
		"<tide=?x@north.example>":                                          {"tide=?x@north.example"},
		// folded
		"<tide@\r\n north.example>\r\n\t<ebb@north.example>": {"tide@north.example", "ebb@north.example"},
		"<tide\r\n @north.example>":                          {"tide@north.example"},
		"\r\n <tide@north.example>":                          {"tide@north.example"},
		"<tide@north.\n\texample>":                           {"tide@north.example"},
		"<tide@north.example>\r\n ,\r\n <ebb@north.example>": {"tide@north.example", "ebb@north.example"},
		// comments
		"<tide@north.example> (from Jo <jo@north.example>)":        {"tide@north.example"},
		"(re: <x@y.example>) <tide@north.example>":                 {"tide@north.example"},
		"<tide@north.example (Jo's)>":                              {"tide@north.example"},
		"<(Jo (and Kim)) tide@north.example>":                      {"tide@north.example"},
		"<tide@north.example(Jo)>":                                 {"tide@north.example"},
		"<tide (low) @north.example>":                              {"tide@north.example"},
		"<tide(1)@north.example> <tide(2)@north.example>":          {"tide(1)@north.example", "tide(2)@north.example"},
		"(<tide@north.example>)":                                   {"tide@north.example"},
		"Jo's message :-( <tide@north.example>":                    {"tide@north.example"},
		`Your message of "Mon, 1 Jun (noon)" <tide@north.example>`: {"tide@north.example"},
		`(a \) <x@y.example>) <tide@north.example>`:                {"tide@north.example"},
		// without <>
		"tide@north.example":                       {"tide@north.example"},
		"tide@north.example, ebb@north.example":    {"tide@north.example", "ebb@north.example"},
		"tide@north.example\r\n ebb@north.example": {"tide@north.example", "ebb@north.example"},
		"tide@north.example>":                      {"tide@north.example"},
		"<tide@north.example":                      {"tide@north.example"},
		"<ebb@north.example> <tide@north.example":  {"ebb@north.example", "tide@north.example"},
		"\"tide@north.example\"":                   {"tide@north.example"},
		"&lt;tide@north.example&gt;":               {"tide@north.example"},
		"tide @ north.example":                     {"tide@north.example"},
		"20260303100000.4711":                      {"20260303100000.4711"},
		"Your message of noon":                     nil,
		"Message of 2 June":                        nil,
		// blanks and what cannot be seen
		"< tide@north.example >":            {"tide@north.example"},
		"<tide @ north.example>":            {"tide@north.example"},
		"<tide@north .example>":             {"tide@north.example"},
		"<\u00a0tide@north.example\u00a0>":  {"tide@north.example"},
		"<tide@north.example\u200b>":        {"tide@north.example"},
		"\ufeff<tide@\u00adnorth.example>":  {"tide@north.example"},
		"<<tide@north.example>>":            {"tide@north.example"},
		"< tide@north.example >< ebb@x.y >": {"tide@north.example", "ebb@x.y"},
	} {
		if got := messageIDs(newCharsets(), in, 9); !cmp.Equal(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestRepliesJoin: answers from many programs share a thread key and the base subject with what they answer.
func TestRepliesJoin(t *testing.T) {
	read := func(header string) View {
		return Parse(strings.NewReader(header+"\r\n\r\ntext\r\n"), Limits{})
	}
	first := read("Message-ID: <tide@north.example>\r\nSubject: Low tide")
	for _, reply := range []string{
		"Subject: R: Low tide\r\nIn-Reply-To: <tide@north.example>",
		"Subject: =?utf-8?q?Rif=3A_Low_tide?=\r\nIn-Reply-To: tide@north.example",
		"Subject: =?utf-8?b?5Zue5aSN77yaIExvdyB0aWRl?=\r\nReferences: =?utf-8?q?=3Ctide=40north.example=3E?=",
		"Subject: Antwort:\r\n Low tide\r\nIn-Reply-To: < tide@north.example >",
		"Subject: Re*2: Low tide\r\nReferences: <x@y.example> (Jo)\r\n <tide@\r\n north.example>",
		"Subject: =?koi8-r?b?79TXOg==?= Low tide\r\n" +
			"References: =?utf-8?b?PHRpZGVAbm9ydGgu?=\r\n =?utf-8?b?ZXhhbXBsZT4=?=",
	} {
		v := read("Message-ID: <reply@south.example>\r\n" + reply)
		if v.BaseSubject != first.BaseSubject {
			t.Errorf("%q: base subject %q, want %q", reply, v.BaseSubject, first.BaseSubject)
		}
		if keys := ThreadKeys(v); !strings.Contains(strings.Join(keys, "\n"), first.MessageID) {
			t.Errorf("%q: keys %q", reply, keys)
		}
	}
}

// TestThreadFloods: fields made to be slow cost their length.
func TestThreadFloods(t *testing.T) {
	for _, piece := range []string{
		"(", ")", "<", ">", "=?", "=?u?q?", "=?u?q?_?=", "@", "a@b ", "<(", "\\(", "()", "re:", "[a]",
		"[fwd:", "(fwd)", "re ", "\ufdfa", "i\u0307", "re(", "&lt;"} {
		s := strings.Repeat(piece, (64<<10)/len(piece))
		began := time.Now()
		messageIDs(newCharsets(), s, 1000)
		baseSubject(s)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%q: %v", piece, took)
		}
	}
}

func BenchmarkThreadFields(b *testing.B) {
	raw := "Message-ID: <1@north.example>\r\nSubject: Re: Low tide at noon\r\n" +
		"In-Reply-To: <2@north.example>\r\nReferences:"
	for n := range 8 {
		raw += fmt.Sprintf("\r\n <%d.4711@north.example>", n)
	}
	for b.Loop() {
		Parse(strings.NewReader(raw+"\r\n\r\n"), Limits{})
	}
}
