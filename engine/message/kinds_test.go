package message

import (
	"encoding/base64"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
)

// in encodes a text for a message.
func in(enc encoding.Encoding, s string) string {
	b, err := enc.NewEncoder().Bytes([]byte(s))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// plainPart is a message of one text with a charset label.
func plainPart(charset, body string) string {
	return crlf("Subject: s", "Content-Type: text/plain; charset="+charset, "", body)
}

// parts is a multipart of a kind. Each part begins with its header.
func parts(kind string, all ...string) string {
	var b strings.Builder
	b.WriteString("Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/" + kind + "; boundary=frontier\r\n\r\n")
	for _, p := range all {
		b.WriteString("--frontier\r\n" + p + "\r\n")
	}
	return b.String() + "--frontier--\r\n"
}

const (
	russian  = "Добрый день, коллеги! Отправляю отчёт."
	wordsJP  = "来週の打ち合わせについてご確認ください"
	wordsGer = "Über die Brücke führt kein Weg"
)

// kind is a message that programs get wrong in a known way. A field that is
// empty is not compared; "-" stands for nothing.
type kind struct {
	name, raw, subject, text, people, att, sent, id string
}

func (k kind) check(t *testing.T) {
	t.Helper()
	v := Parse(strings.NewReader(k.raw), Limits{})
	check(t, v)
	var sent string
	if !v.SentDate.IsZero() {
		sent = v.SentDate.Format(time.RFC3339)
	}
	for _, c := range []struct{ what, got, want string }{
		{"subject", v.Subject, k.subject}, {"text", v.Text, k.text}, {"people", people(append(v.To, v.Cc...)),
			k.people},
		{"attachments", list(v.Attachments), k.att}, {"date", sent, k.sent}, {"message id", v.MessageID, k.id},
	} {
		if c.want == "-" {
			c.want = ""
		} else if c.want == "" {
			continue
		}
		if c.got != c.want {
			t.Errorf("%s %q, want %q (problems %q)", c.what, c.got, c.want, v.Problems)
		}
	}
	for _, a := range v.Attachments {
		r, again, ok := Part(strings.NewReader(k.raw), a.Path, Limits{})
		if !ok || again.Name != a.Name && a.Type != "message/rfc822" && utf8.ValidString(k.raw) {
			t.Fatalf("part %s: %v %+v", a.Path, ok, again)
		}
		if b, err := io.ReadAll(r); err != nil || int64(len(b)) != a.Size {
			t.Errorf("part %s: %d bytes %q, %v; told %d", a.Path, len(b), b, err, a.Size)
		}
	}
}

// kinds are all tables of this package.
func kinds() map[string][]kind {
	return map[string][]kind{
		"DamagedUTF8":             kindsDamagedUTF8(),
		"Types":                   kindsTypes(),
		"Japanese":                kindsJapanese(),
		"OtherText":               kindsOtherText(),
		"StubsAndBodies":          kindsStubsAndBodies(),
		"HeaderAndBody":           kindsHeaderAndBody(),
		"LabelsThatBytesDisprove": kindsLabelsThatBytesDisprove(),
		"RawHeader":               kindsRawHeader(),
		"UUEncode":                kindsUUEncode(),
		"Flowed":                  kindsFlowed(),
		"Base64Ends":              kindsBase64Ends(),
		"WordsAndNames":           kindsWordsAndNames(),
		"Boundaries":              kindsBoundaries(),
		"AttachedMessages":        kindsAttachedMessages(),
		"DamagedMultiByte":        kindsDamagedMultiByte(),
		"Links":                   kindsLinks(),
		"StrayBase64":             kindsStrayBase64(),
	}
}

func TestKinds(t *testing.T) {
	for name, table := range kinds() {
		for _, k := range table {
			t.Run(name+"/"+k.name, k.check)
		}
	}
}

func kindsDamagedUTF8() []kind {
	return []kind{
		{name: "word cut after a lead byte", raw: "Subject: =?utf-8?Q?Caf=C3=A9_cr=C3?=\r\n\r\nx",
			subject: "Café cr\ufffd"},
		{name: "word with a foreign byte", raw: "Subject: =?UTF-8?B?" + b64("Zürich \xfc Köln") + "?=\r\n\r\nx",
			subject: "Zürich \ufffd Köln"},
		{name: "raw subject cut in an emoji", raw: "Subject: Prüfung bestanden \xf0\x9f\x8e\r\n\r\nx",
			subject: "Prüfung bestanden \ufffd"},
		{name: "raw sender cut", raw: "To: Jürgen Gr\xc3 <j@example.org>\r\n\r\nx",
			people: "Jürgen Gr\ufffd<j@example.org>"},
		{name: "name of a file cut", raw: parts("mixed", crlf("Content-Type: a/b; name=\"Übersicht für M\xc3.pdf\"",
			"", "x")),
			att: "1 a/b Übersicht für M\ufffd.pdf 3 false"},
		{name: "footer of another program", raw: plainPart("utf-8",
			"Schöne Woche\r\n\r\nB\xfcro f\xfcr \xdcbersetzung\r\nS\xfcdring"),
			text: "Schöne Woche\n\nBüro für Übersetzung\nSüdring"},
		{name: "russian with a footer in windows-1251", raw: plainPart("utf-8", russian+"\r\n"+in(charmap.Windows1251,
			"С уважением, отдел продаж")), text: russian +
			"\nС уважением, отдел продаж"},
		{name: "page on one line with a foreign tag", raw: crlf("Content-Type: text/html; charset=utf-8", "",
			"<p>Über uns</p><p>B\xfcro f\xfcr \xdcbersetzung</p><p>Größe</p>"),
			text: "Über uns\n\nBüro für Übersetzung\n\nGröße"},
		{name: "one byte lost, no label", raw: "Subject: s\r\n\r\nGrößte Brücke, sch\xc3ner Fluß\r\n",
			text: "Größte Brücke, sch\ufffdner Fluß"},
		{name: "no UTF-8 at all, labelled so", raw: plainPart("utf-8", "\xdcber die Br\xfccke"),
			text: "Über die Brücke"},
		{name: "text that ends in a sequence", raw: plainPart("utf-8", "ありがとう\xe3\x81"),
			text: "ありがとう\ufffd"},
	}
}

func kindsTypes() []kind {
	page := "<p>Your <i>ticket</i> is ready</p>"
	return []kind{
		{name: "comma", raw: crlf("Content-Type: text/html, charset=utf-8", "", page), text: "Your ticket is ready"},
		{name: "colon", raw: crlf("Content-Type: text/html: charset=utf-8", "", page), text: "Your ticket is ready"},
		{name: "comment", raw: crlf("Content-Type: text/html (a page); charset=utf-8", "", page),
			text: "Your ticket is ready"},
		{name: "blanks around the slash", raw: crlf("Content-Type: text / html; charset=utf-8", "", page),
			text: "Your ticket is ready"},
		{name: "in quotes", raw: crlf("Content-Type: \"text/html\"; charset=utf-8", "", page),
			text: "Your ticket is ready"},
		{name: "field name twice", raw: crlf("Content-Type: Content-Type: text/html; charset=utf-8", "", page),
			text: "Your ticket is ready"},
		{name: "tab and no semicolon", raw: crlf("Content-Type: text/html\tcharset=koi8-r", "",
			"<b>"+in(charmap.KOI8R, "Привет")),
			text: "Привет"},
		{name: "html alone", raw: crlf("Content-Type: html", "", page), text: "Your ticket is ready"},
		{name: "full stop", raw: crlf("Content-Type: text/html.", "", page), text: "Your ticket is ready"},
		{name: "in brackets", raw: crlf("Content-Type: <text/html>; charset=utf-8", "", page),
			text: "Your ticket is ready"},
		{name: "backslash", raw: crlf("Content-Type: text\\html; charset=utf-8", "", page),
			text: "Your ticket is ready"},
		{name: "two slashes", raw: crlf("Content-Type: text//html; charset=utf-8", "", page),
			text: "Your ticket is ready"},
		{name: "hyphen for the slash", raw: crlf("Content-Type: text-html; charset=utf-8", "", page),
			text: "Your ticket is ready"},
		{name: "subtype missing", raw: crlf("Content-Type: text/; charset=utf-8", "", "Grüße"), text: "Grüße"},
		{name: "two parameters without semicolons",
			raw: crlf("Content-Type: multipart/mixed charset=utf-8 boundary=zz", "",
				"--zz", "", "inside", "--zz--"), text: "inside"},
		{name: "multipart without a subtype", raw: crlf("Content-Type: multipart; boundary=zz", "", "--zz", "",
			"inside",
			"--zz--"), text: "inside"},
		{name: "zip without a semicolon", raw: parts("mixed", crlf("Content-Type: application/zip name=a.zip",
			"Content-Transfer-Encoding: base64", "", b64("PK\x03\x04\x00\x00"))), text: "-",
			att: "1 application/zip a.zip 6 false"},
		{name: "a word and a name in the disposition", raw: parts("mixed", crlf("Content-Type: file",
			"Content-Disposition: attachment; filename=plan.xls", "", "abc")), text: "-",
			att: "1 application/octet-stream plan.xls 5 false"},
		{name: "a word and base64", raw: parts("mixed", crlf("Content-Type: jpeg",
			"Content-Transfer-Encoding: base64", "",
			b64("\xff\xd8\xff\xe0\x00"))), text: "-", att: "1 application/octet-stream  5 false"},
		{name: "a word", raw: crlf("Content-Type: plaintext", "", "still text"), text: "still text"},
		{name: "only parameters", raw: crlf("Content-Type: charset=koi8-r", "", in(charmap.KOI8R, "Привет")),
			text: "Привет"},
		{name: "a picture labelled as text", raw: parts("mixed", crlf("", "hello"), crlf("Content-Type: text/plain",
			"Content-Transfer-Encoding: base64", "", b64("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01"))),
			text: "hello",
			att:  "2 text/plain  19 false"},
		{name: "a document labelled as HTML", raw: crlf("Content-Type: text/html",
			"Content-Transfer-Encoding: base64", "",
			b64("%PDF-1.7\n\x00\x01\x02\x03")), text: "-", att: "1 text/html  13 false"},
	}
}

func kindsJapanese() []kind {
	jis := in(japanese.ISO2022JP, wordsJP)
	return []kind{
		{name: "declared, is Shift_JIS", raw: plainPart("iso-2022-jp", in(japanese.ShiftJIS, wordsJP)), text: wordsJP},
		{name: "declared, is EUC", raw: plainPart("ISO-2022-JP", in(japanese.EUCJP, wordsJP)), text: wordsJP},
		{name: "declared, is UTF-8", raw: plainPart("iso-2022-jp", wordsJP), text: wordsJP},
		{name: "word declared, is Shift_JIS", raw: "Subject: =?iso-2022-jp?B?" + b64(in(japanese.ShiftJIS,
			"会議の資料です")) +
			"?=\r\n\r\nx", subject: "会議の資料です"},
		{name: "hz declared, is GBK", raw: plainPart("hz-gb-2312", in(simplifiedchinese.GBK,
			"请查收附件，谢谢大家的支持")),
			text: "请查收附件，谢谢大家的支持"},
		{name: "utf-7 declared, is UTF-8", raw: plainPart("utf-7", "Grüße aus Köln"), text: "Grüße aus Köln"},
		{name: "iso-2022-kr declared, is EUC-KR", raw: plainPart("iso-2022-kr", in(korean.EUCKR,
			"회의는 내일 오전에 시작합니다")),
			text: "회의는 내일 오전에 시작합니다"},
		{name: "us-ascii declared, is EUC-KR", raw: plainPart("us-ascii", in(korean.EUCKR,
			"회의는 내일 오전에 시작합니다")),
			text: "회의는 내일 오전에 시작합니다"},
		{name: "escapes, no label", raw: "Subject: s\r\n\r\n" + jis + "\r\n", text: wordsJP},
		{name: "escapes, us-ascii", raw: plainPart("us-ascii", jis), text: wordsJP},
		{name: "escapes, utf-8", raw: plainPart("utf-8", jis), text: wordsJP},
		{name: "escapes, shift_jis", raw: plainPart("shift_jis", jis), text: wordsJP},
		{name: "escapes, iso-8859-1, quoted-printable", raw: crlf("Content-Type: text/plain; charset=iso-8859-1",
			"Content-Transfer-Encoding: quoted-printable", "", strings.ReplaceAll(jis, "\x1b", "=1B")), text: wordsJP},
		{name: "escapes in a word of another charset", raw: "Subject: =?us-ascii?B?" + b64(jis) + "?=\r\n\r\nx",
			subject: wordsJP},
		{name: "escapes, and a footer in UTF-8", raw: plainPart("iso-2022-jp", jis+"\r\n--\r\n日本語の案内"),
			text: wordsJP + "\n--\n日本語の案内"},
		{name: "old escape", raw: "Subject: s\r\n\r\n" + strings.ReplaceAll(jis, "\x1b$B", "\x1b$@") + "\r\n",
			text: wordsJP},
		{name: "one damaged byte", raw: plainPart("iso-2022-jp", strings.Replace(jis, "\x1b(B", "\x1b(B \xff", 1)),
			text: wordsJP + " \ufffd"},
		{name: "korean escapes, no label", raw: "Subject: s\r\n\r\n\x1b$)C\x0eGQ1[\x0f!\r\n", text: "한글!"},
		{name: "chinese escapes, no label", raw: "Subject: s\r\n\r\n\x1b$)A\x0eVPND\x0f!\r\n", text: "中文!"},
		{name: "terminal colours are no charset", raw: "Subject: s\r\n\r\n\x1b[31mred\x1b[0m\r\n", text: "[31mred[0m"},
	}
}

func kindsOtherText() []kind {
	return []kind{
		{name: "markdown", raw: crlf("Content-Type: text/markdown", "", "# Agenda"), text: "# Agenda", att: "-"},
		{name: "a type nobody knows", raw: crlf("Content-Type: text/x-note; charset=koi8-r", "", in(charmap.KOI8R,
			"Привет")),
			text: "Привет", att: "-"},
		{name: "richtext", raw: crlf("Content-Type: text/richtext", "", "<bold>Hall</bold> B<nl>at <lt>six>"),
			text: "Hall B\nat <six>"},
		{name: "enriched with a parameter", raw: crlf("Content-Type: text/enriched", "",
			"<color><param>red</param>Stop</color> here", "", "<<now>"), text: "Stop here\n<now>"},
		{name: "invitation", raw: crlf("Content-Type: text/calendar; method=REQUEST", "", "BEGIN:VCALENDAR",
			"BEGIN:VEVENT",
			"SUMMARY;LANGUAGE=en:Roof", "  repair\\, part two", "LOCATION:Yard", "END:VEVENT", "END:VCALENDAR"),
			text: "Roof repair, part two\nYard"},
		{name: "invitation with a name is both", raw: crlf("Content-Type: text/calendar; name=i.ics", "",
			"BEGIN:VEVENT",
			"SUMMARY:Roof", "END:VEVENT"), text: "Roof", att: "1 text/calendar i.ics 40 false"},
		{name: "table with a name", raw: crlf("Content-Type: text/csv; name=a.csv", "", "pears,3"), text: "pears,3",
			att: "1 text/csv a.csv 9 false"},
		{name: "invitation beside text", raw: parts("mixed", crlf("Content-Type: text/calendar", "", "SUMMARY:x"),
			crlf("", "see you")), text: "see you", att: "1 text/calendar  11 false"},
		{name: "enriched body and plain footer", raw: parts("mixed", crlf("Content-Type: text/enriched", "",
			"<bold>Minutes</bold>"), crlf("", "list footer")), text: "Minutes\n\nlist footer", att: "-"},
		{name: "enriched beside plain", raw: parts("alternative", crlf("Content-Type: text/enriched", "",
			"<bold>a</bold>"),
			crlf("", "a")), text: "a", att: "1 text/enriched  16 true"},
		{name: "css as an attachment", raw: crlf("Content-Type: text/css",
			"Content-Disposition: attachment; filename=a.css", "",
			"p{}"), text: "-", att: "1 text/css a.css 5 false"},
	}
}

func kindsStubsAndBodies() []kind {
	html := func(s string) string { return "Content-Type: text/html\r\n\r\n<p>" + s + "</p>" }
	long := "This is an HTML message, and your mail program shows only its plain part. " + strings.Repeat(
		"To read the message please open it in a browser or use another program. ", 4)
	letter := "Dear Ines, the boat leaves at seven from pier nine. Bring a coat, it is cold out there."
	return []kind{
		{name: "stub as long as the page", raw: parts("alternative", crlf("",
			"Your client cannot display HTML mail, sorry."),
			html("Invoice 771 is due on Monday, 40 euro.")), text: "Invoice 771 is due on Monday, 40 euro."},
		{name: "long stub", raw: parts("alternative", crlf("", long), html(letter)), text: letter},
		{name: "german stub", raw: parts("alternative", crlf("",
			"Diese Nachricht liegt im HTML-Format vor. Bitte den Browser nutzen."),
			html(letter)), text: letter},
		{name: "japanese stub", raw: parts("alternative", crlf("Content-Type: text/plain; charset=utf-8", "",
			"このメールはHTML形式です。対応したソフトでご覧ください。"), html(letter)),
			text: letter},
		{name: "only a blank", raw: parts("alternative", crlf("", " "), html(letter)), text: letter},
		{name: "only a link", raw: parts("alternative", crlf("",
			"https://news.example.org/w/"+strings.Repeat("a1", 40)),
			html("All tulips are half price.")), text: "All tulips are half price."},
		{name: "the first words of the page", raw: parts("alternative", crlf("", "Spring sale at the tulip market"),
			html("Spring sale at the tulip market. All tulips are half price.")),
			text: "Spring sale at the tulip market"},
		{name: "a quarter of the page", raw: parts("alternative", crlf("", "Spring sale at the market"),
			html("Spring sale at the market. All tulips are half price until Sunday evening.")),
			text: "Spring sale at the market. All tulips are half price until Sunday evening."},
		{name: "words of the page and a link", raw: parts("alternative", crlf("",
			"View this mail in a browser: https://news.example.org/v/1234567890123456789"),
			html(letter+" View this mail in a browser")), text: letter + " View this mail in a browser"},
		{name: "a link and what the page says", raw: parts("alternative", crlf("",
			"Open https://example.org/reset?token=0123456789 to set a new password."),
			html("Open this page to set a new password.")),
			text: "Open https://example.org/reset?token=0123456789 to set a new password."},
		{name: "the same words", raw: parts("alternative", crlf("", letter), html(strings.ReplaceAll(letter, "boat",
			"<b>boat</b>"))),
			text: letter},
		{name: "the same words, and a page that adds some", raw: parts("alternative", crlf("", letter),
			html(letter+" Unsubscribe here.")),
			text: letter},
		{name: "a letter beside a small page", raw: parts("alternative", crlf("", letter), html("View online")),
			text: letter},
		{name: "japanese, other line breaks", raw: parts("alternative",
			crlf("Content-Type: text/plain; charset=utf-8", "",
				"来週の打ち合わせに\r\nついてご確認ください"),
			"Content-Type: text/html; charset=utf-8\r\n\r\n<p>来週の打ち合わせについてご確認ください</p>"),
			text: "来週の打ち合わせに\nついてご確認ください"},
		{name: "named page in an alternative", raw: parts("alternative", crlf("", "see page"),
			"Content-Type: text/html; name=\"mail.htm\"\r\nContent-Disposition: inline\r\n\r\n<p>"+letter),
			text: letter, att: "-"},
		{name: "named text and page", raw: parts("alternative", "Content-Type: text/plain; name=a.txt\r\n\r\nsee page",
			"Content-Type: text/html; name=a.html\r\n\r\n<p>"+letter), text: letter, att: "-"},
		{name: "named root of related", raw: parts("mixed", crlf("", "intro"),
			"Content-Type: multipart/related; boundary=rr\r\n\r\n"+
				"--rr\r\nContent-Type: text/html; name=root.html\r\n\r\n<p>"+letter+
				"\r\n--rr\r\nContent-Type: image/gif\r\n"+
				"Content-ID: <i@x>\r\n\r\nGIF\r\n--rr--"), text: "intro\n\n" + letter, att: "2.2 image/gif  3 true"},
		{name: "named page that is the message", raw: crlf("Content-Type: text/html; name=whole.html", "",
			"<p>"+letter),
			text: letter, att: "-"},
		{name: "named root of related in an alternative", raw: parts("alternative", crlf("", "see page"),
			"Content-Type: multipart/related; boundary=rr\r\n\r\n--rr\r\n"+
				"Content-Type: text/html; name=root.html\r\n\r\n<p>"+letter+
				"\r\n--rr--"), text: letter, att: "-"},
		{name: "page beside a text", raw: parts("mixed", crlf("", "see file"),
			"Content-Type: text/html; name=report.html\r\n\r\n<p>r"),
			text: "see file", att: "2 text/html report.html 4 false"},
		{name: "second page of related", raw: parts("related", "Content-Type: text/html\r\n\r\n<p>root",
			"Content-Type: text/html; name=frame.html\r\nContent-ID: <f@x>\r\n\r\n<p>f"), text: "root",
			att: "2 text/html frame.html 4 true"},
	}
}

func kindsHeaderAndBody() []kind {
	return []kind{
		{name: "tab line", raw: crlf("Subject: s", "\t", "Badgers dig.", "", "Foxes run."),
			text: "Badgers dig.\n\nFoxes run."},
		{name: "several blanks", raw: crlf("Subject: s", "Content-Type: text/plain", "    ", "Note: badgers dig."),
			text: "Note: badgers dig."},
		{name: "blank line in a part", raw: parts("mixed", "Content-Type: text/plain\r\n \r\nBadgers dig."),
			text: "Badgers dig."},
		{name: "blank line in a folded field", raw: crlf("Subject: one", " ", " two", "To: a@example.org", "", "t"),
			subject: "one  two", people: "<a@example.org>", text: "t"},
		{name: "blank line between fields", raw: crlf("Subject: one", " ", "To: a@example.org", "", "t"),
			subject: "one",
			people:  "<a@example.org>", text: "t"},
		{name: "blank line, then only text", raw: "Subject: s\n \nBadgers dig.\n", text: "Badgers dig."},
		{name: "no empty line, one line", raw: crlf("Subject: s", "Badgers dig."), text: "Badgers dig."},
		{name: "no empty line, paragraphs", raw: crlf("Subject: s", "Badgers dig at night.", "They do.", "",
			"Foxes run."),
			text: "Badgers dig at night.\nThey do.\n\nFoxes run."},
		{name: "no empty line in a part", raw: parts("mixed", "Content-Type: text/plain\r\nBadgers dig at night."),
			text: "Badgers dig at night."},
		{name: "no empty line before the first part", raw: crlf("Content-Type: multipart/mixed; boundary=zz", "--zz",
			"", "in",
			"--zz--"), text: "in"},
		{name: "no empty line, text with a colon", raw: crlf("Subject: s", "Dear all, badgers dig.",
			"Note: at night.", ""),
			text: "Dear all, badgers dig.\nNote: at night."},
		{name: "a damaged line before fields", raw: crlf("Subject: s", "X-Broken line", "To: a@example.org", "", "t"),
			people: "<a@example.org>", text: "t"},
		{name: "only text, a short line first", raw: crlf("Badgers.", "", "Foxes run."),
			text: "Badgers.\n\nFoxes run."},
		{name: "a damaged line before a parameter without an indent", raw: crlf("Content-Type: text/plain;",
			"X-Broken line", "name=a", "To: a@example.org", "", "t"), people: "<a@example.org>", text: "t"},
		{name: "base64 without an empty line", raw: parts("mixed", crlf("Content-Type: text/plain",
			"Content-Transfer-Encoding: base64", b64(strings.Repeat("Badgers dig. ", 6)))),
			text: strings.TrimSpace(strings.Repeat("Badgers dig. ", 6))},
	}
}

func TestLabels(t *testing.T) {
	for label, enc := range map[string]encoding.Encoding{
		"CP1251": charmap.Windows1251, "windows1251": charmap.Windows1251, "x-cp1251": charmap.Windows1251,
		"ms-1251": charmap.Windows1251, "ansi-1251": charmap.Windows1251, "1251": charmap.Windows1251,
		"koi8":    charmap.KOI8R,
		"KOI-8-R": charmap.KOI8R, "cp 866": charmap.CodePage866, "dos-866": charmap.CodePage866,
		"ibm-866":        charmap.CodePage866,
		"x-mac-cyrillic": charmap.MacintoshCyrillic, "iso8859_5": charmap.ISO8859_5, "ISO 8859-5": charmap.ISO8859_5,
		"iso-8859-5:1988": charmap.ISO8859_5, "\"windows-1251": charmap.Windows1251, "cp20866": charmap.KOI8R,
		"charset=windows-1251": charmap.Windows1251,
	} {
		k := kind{raw: "Subject: =?" + strings.Trim(strings.ReplaceAll(label, " ", ""), `"`) + "?B?" + b64(in(enc,
			russian)) +
			"?=\r\nContent-Type: text/plain; charset=\"" + strings.Trim(label, `"`) + "\"\r\n\r\n" + in(enc, russian),
			subject: russian, text: russian}
		if strings.Contains(label, "=") {
			k.subject = ""
		}
		t.Run(label, k.check)
	}
	for label, c := range map[string]struct {
		enc  encoding.Encoding
		text string
	}{
		"latin_1": {charmap.Windows1252, wordsGer}, "iso8859": {charmap.Windows1252, wordsGer},
		"ISO-8859": {charmap.Windows1252, wordsGer}, "cp-850": {charmap.CodePage850, wordsGer},
		"ibm437": {charmap.CodePage437, wordsGer}, "x-mac-roman": {charmap.Macintosh, wordsGer},
		"l9": {charmap.ISO8859_15, wordsGer}, "latin2": {charmap.ISO8859_2, "Žluťoučký kůň"},
		"win-1250": {charmap.Windows1250, "Žluťoučký kůň"}, "iso8859-2": {charmap.ISO8859_2,
			"Žluťoučký kůň"},
		"iso-8859-2": {charmap.Windows1250, "Příliš „žluťoučký“ kůň"},
		// the quotes are controls in ISO 8859
		"win-1253": {charmap.Windows1253, "Καλημέρα"}, "x-sjis": {japanese.ShiftJIS, wordsJP},
		"ms932": {japanese.ShiftJIS, wordsJP}, "windows-31j": {japanese.ShiftJIS, wordsJP},
		"x-euc-jp": {japanese.EUCJP, wordsJP}, "ujis": {japanese.EUCJP, wordsJP}, "cp51932": {japanese.EUCJP, wordsJP},
		"iso2022jp": {japanese.ISO2022JP, wordsJP}, "cp50221": {japanese.ISO2022JP, wordsJP},
		"iso-2022-jp-3": {japanese.ISO2022JP, wordsJP}, "GB_2312": {simplifiedchinese.GBK, "请查收附件"},
		"x-gbk": {simplifiedchinese.GBK, "請查收附件"}, "gb2312": {simplifiedchinese.GB18030,
			"请查收附件㐀"},
		"cp936": {simplifiedchinese.GBK, "请查收附件"}, "cn-big5": {traditionalchinese.Big5, "請查收附件"},
		"big-5": {traditionalchinese.Big5, "請查收附件"}, "cp950": {traditionalchinese.Big5, "請查收附件"},
		"ks_c_5601": {korean.EUCKR, "내일 회의"}, "x-euc-kr": {korean.EUCKR, "내일 회의"},
		"cp949":  {korean.EUCKR, "내일 회의"},
		"tis620": {charmap.Windows874, "สวัสดีครับ"}, "iso-8859-11": {charmap.Windows874,
			"สวัสดีครับ"},
		"utf_8": {unicode.UTF8, "Grüße"}, "utf8mb4": {unicode.UTF8, "Grüße"}, "65001": {unicode.UTF8, "Grüße"},
		"unknown-8bit": {charmap.Windows1252, wordsGer}, "x-nobody-knows": {charmap.Windows1251, russian},
		"windows-99999": {charmap.Windows1251, russian}, "iso-8859-77": {charmap.KOI8R, russian},
		"?":              {charmap.Windows1251, russian},
		"x-user-defined": {charmap.Windows1251, russian},
	} {
		k := kind{raw: crlf("Content-Type: text/plain; charset=\""+label+"\"", "Content-Transfer-Encoding: base64", "",
			b64(in(c.enc, c.text))), text: c.text}
		t.Run(label, k.check)
	}
}

func kindsLabelsThatBytesDisprove() []kind {
	utf16 := func(e unicode.Endianness, bom unicode.BOMPolicy, s string) string {
		return base64.StdEncoding.EncodeToString([]byte(in(unicode.UTF16(e, bom), s)))
	}
	wide := func(charset, body string) string {
		return crlf("Content-Type: text/plain; charset="+charset, "Content-Transfer-Encoding: base64", "", body)
	}
	return []kind{
		{name: "koi8-r, is UTF-8", raw: plainPart("koi8-r", russian), text: russian},
		{name: "iso-8859-2, is UTF-8", raw: plainPart("iso-8859-2", "Žluťoučký kůň"),
			text: "Žluťoučký kůň"},
		{name: "windows-1253, is UTF-8", raw: plainPart("windows-1253", "Καλημέρα"), text: "Καλημέρα"},
		{name: "cp850, is UTF-8 with an emoji", raw: plainPart("cp850", "Grüße 😀 an alle"),
			text: "Grüße 😀 an alle"},
		{name: "windows-874, is UTF-8", raw: plainPart("windows-874", "สวัสดี"),
			text: "สวัสดี"},
		{name: "word in windows-1251, is UTF-8", raw: "Subject: =?windows-1251?B?" + b64(russian) + "?=\r\n\r\nx",
			subject: russian},
		{name: "iso-8859-1, is UTF-8 with a lost byte", raw: plainPart("iso-8859-1", strings.Repeat("Größe, ",
			8)+"sch\xc3ner"),
			text: strings.Repeat("Größe, ", 8) + "sch\ufffdner"},
		{name: "gb2312, is UTF-8", raw: plainPart("gb2312", "请查收附件，谢谢"),
			text: "请查收附件，谢谢"},
		{name: "big5, is UTF-8", raw: plainPart("big5", "請查收附件，謝謝"), text: "請查收附件，謝謝"},
		{name: "shift_jis, is EUC", raw: plainPart("euc-jp", in(japanese.ShiftJIS, strings.Repeat(wordsJP, 3))),
			text: strings.Repeat(wordsJP, 3)},
		{name: "shift_jis declared, is EUC", raw: plainPart("shift_jis", in(japanese.EUCJP, wordsJP+"漢字")),
			text: wordsJP + "漢字"},
		{name: "shift_jis, the last byte is lost", raw: plainPart("shift_jis", strings.TrimSuffix(in(japanese.ShiftJIS,
			wordsJP+"い"), "\xa2")), text: wordsJP + "\ufffd"},
		{name: "windows-1251 with a footer in UTF-8", raw: plainPart("windows-1251", in(charmap.Windows1251,
			russian)+"\r\n--\r\nПроверено"), text: russian + "\n--\nПроверено"},
		{name: "page in latin-1 with a footer in UTF-8", raw: crlf("Content-Type: text/html; charset=iso-8859-1", "",
			"<p>"+in(charmap.ISO8859_1, "Größe und Maß")+"</p><p>Geprüft für Jörg</p>"),
			text: "Größe und Maß\n\nGeprüft für Jörg"},
		{name: "gb2312, one half is lost", raw: plainPart("gb2312", "\xc4\xe3\xba\r\n"+
			in(simplifiedchinese.GBK, "附件")), text: "你\ufffd\n附件"},
		{name: "windows-1251 indeed", raw: plainPart("windows-1251", in(charmap.Windows1251, "№5")), text: "№5"},
		{name: "mark of UTF-8", raw: plainPart("utf-8", "\ufeffGrüße"), text: "Grüße"},
		{name: "mark of UTF-8, other label", raw: plainPart("windows-1251", "\ufeffok"), text: "ok"},
		{name: "mark of UTF-16, no label", raw: wide("", utf16(unicode.BigEndian, unicode.UseBOM, "Köln am Rhein")),
			text: "Köln am Rhein"},
		{name: "mark of UTF-16, labelled utf-8", raw: wide("utf-8", utf16(unicode.LittleEndian, unicode.UseBOM,
			"Köln")), text: "Köln"},
		{name: "utf-16 with the other mark", raw: wide("utf-16le", utf16(unicode.BigEndian, unicode.UseBOM, "Köln")),
			text: "Köln"},
		{name: "utf16 without a mark", raw: wide("utf16", utf16(unicode.BigEndian, unicode.IgnoreBOM,
			"Köln am Rhein")),
			text: "Köln am Rhein"},
		{name: "ucs2", raw: wide("ucs-2", utf16(unicode.LittleEndian, unicode.IgnoreBOM, "Köln am Rhein")),
			text: "Köln am Rhein"},
		{name: "utf-16 that is ASCII", raw: plainPart("utf-16", "plain words"), text: "plain words"},
		{name: "UTF-16 without a label", raw: wide("us-ascii", utf16(unicode.LittleEndian, unicode.IgnoreBOM,
			"Cologne on Rhine")),
			text: "Cologne on Rhine"},
		{name: "mark in a page", raw: crlf("Content-Type: text/html; charset=iso-8859-1", "", "\ufeff<p>Größe</p>"),
			text: "Größe"},
	}
}

func kindsRawHeader() []kind {
	name := func(enc encoding.Encoding, s string) string {
		return "Content-Type: application/pdf; name=\"" + in(enc, s) + "\"\r\n\r\nx"
	}
	var many, att []string
	for i := range 14 {
		file := "Приложение к договору " + string(rune('а'+i)) + ".pdf"
		many = append(many, name(charmap.Windows1251, file))
		att = append(att, strings.Replace("N application/pdf "+file+" 1 false", "N", string("123456789"[i%9]), 1))
		if i >= 9 {
			att[i] = "1" + string("01234"[i-9]) + att[i][1:]
		}
	}
	return []kind{
		{name: "big5", raw: "Subject: " + in(traditionalchinese.Big5, "會議") +
			"\r\nContent-Type: text/plain; charset=big5\r\n\r\n" +
			in(traditionalchinese.Big5, "請查收"), subject: "會議", text: "請查收"},
		{name: "gbk, field before the type", raw: "To: " + in(simplifiedchinese.GBK, "报告") +
			" <a@example.org>\r\n" +
			"Content-Type: text/plain; charset=gbk\r\n\r\nx", people: "报告<a@example.org>"},
		{name: "of the first part", raw: "Subject: " + in(japanese.ShiftJIS, "会議") + "\r\n" +
			strings.TrimPrefix(parts("alternative",
				"Content-Type: text/plain; charset=shift_jis\r\n\r\n"+in(japanese.ShiftJIS, "資料")),
				"Subject: s\r\n"),
			subject: "会議", text: "資料"},
		{name: "of a page", raw: "Subject: " + in(charmap.ISO8859_7, "Νέα") + "\r\nContent-Type: text/html\r\n\r\n" +
			"<meta charset=iso-8859-7><p>" + in(charmap.ISO8859_7, "Καλημέρα"), subject: "Νέα",
			text: "Καλημέρα"},
		{name: "of the text, for a file", raw: parts("mixed", "Content-Type: text/plain; charset=euc-kr\r\n\r\nok",
			name(korean.EUCKR, "견적.pdf")), att: "2 application/pdf 견적.pdf 1 false"},
		{name: "of the part itself", raw: parts("mixed", "Content-Type: text/plain; charset=windows-1250; name=\""+
			in(charmap.Windows1250, "Žádost.txt")+"\"\r\nContent-Disposition: attachment\r\n\r\nx"),
			att: "1 text/plain Žádost.txt 1 false"},
		{name: "UTF-8 in spite of the text",
			raw: "Subject: Grüße\r\nContent-Type: text/plain; charset=big5\r\n\r\nx", subject: "Grüße"},
		{name: "fourteen files", raw: parts("mixed", many...), att: strings.Join(att, "; ")},
		{name: "files in russian after a german text", raw: parts("mixed", "\r\n\xdcber die Br\xfccke", many[0],
			many[1]),
			text: "Über die Brücke", att: strings.NewReplacer("1 application", "2 application", "2 application",
				"3 application").
				Replace(att[0] + "; " + att[1])},
		{name: "short name after a long subject", raw: "Subject: " + in(charmap.Windows1251, russian) + "\r\n" +
			parts("mixed", "\r\nok",
				name(charmap.Windows1251, "Отчёт.pdf")), subject: russian,
			att: "2 application/pdf Отчёт.pdf 1 false"},
	}
}
