package message

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// crlf writes a mail with the line ends of the wire.
func crlf(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n" }

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// list shows attachments as "path type name size inline".
func list(as []Attachment) string {
	var s []string
	for _, a := range as {
		s = append(s, strings.TrimSpace(fmt.Sprintf("%s %s %s %d %v", a.Path, a.Type, a.Name, a.Size, a.Inline)))
	}
	return strings.Join(s, "; ")
}

func people(as []Address) string {
	var s []string
	for _, a := range as {
		s = append(s, a.Name+"<"+a.Email+">")
	}
	return strings.Join(s, ",")
}

// corpus is the mail of many countries and programs, most of it broken. A field
// left empty in a row is not compared, except text, attachments and problem.
var corpus = []struct {
	name, raw                string
	subject, from, text, att string
	problem                  string // part of the problems joined; "" means none
}{
	{name: "simple", raw: crlf("From: Ann <ann@example.org>", "Subject: Hi", "", "Hello", "there"),
		subject: "Hi", from: "Ann<ann@example.org>", text: "Hello\nthere"},
	{name: "empty", raw: ""},
	{name: "header only", raw: "Subject: x", subject: "x"},
	{name: "no header at all", raw: "just some words\nand more\n", text: "just some words\nand more",
		problem: "no header"},
	{name: "empty lines and NULs before", raw: "\x00\x00\r\n\r\nSubject: late\r\n\r\nbody\r\n", subject: "late",
		text: "body"},
	{name: "mbox separator", raw: "From ann Mon Jan  2 15:04:05 2006\nSubject: s\n\nb\n", subject: "s", text: "b"},
	{name: "line without colon", raw: crlf("Subject: a", "what is this", " continued", "From: a@b", "", "t"),
		subject: "a", from: "<a@b>", text: "t", problem: "without a name"},
	{name: "space before colon", raw: crlf("Subject : a", "", "t"), subject: "a", text: "t"},
	{name: "bare LF", raw: "Subject: a\n b\n\nx\ny\n", subject: "a b", text: "x\ny"},
	{name: "bare CR only", raw: "Subject: a\rFrom: a@b\r\rx\ry\r", subject: "a", from: "<a@b>", text: "x\ny"},
	{name: "CR in the middle", raw: "Subject: a\rb\r\n\r\nx\ry\r\n", subject: "a b", text: "x\ny"},
	{name: "NUL in subject and text", raw: crlf("Subject: a\x00b", "", "x\x00y\x1b[31m"), subject: "ab",
		text: "xy[31m"},
	{name: "umlauts in Q, cut inside a character", raw: crlf("Subject: =?utf-8?Q?Gr=C3?= =?utf-8?Q?=BC=C3=9Fe?=", "",
		"t"), subject: "Grüße", text: "t"},
	{name: "japanese iso-2022-jp", raw: crlf("Subject: =?ISO-2022-JP?B?GyRCRnxLXDhsGyhC?=",
		"Content-Type: text/plain; charset=iso-2022-jp", "", "\x1b$BF|K\\8l\x1b(B"),
		subject: "日本語", text: "日本語"},
	{name: "japanese raw in header", raw: "Subject: \x1b$BF|K\\8l\x1b(B\r\n\r\nx", subject: "日本語", text: "x"},
	{name: "korean iso-2022-kr", raw: crlf("Subject: k", "Content-Type: text/plain; charset=iso-2022-kr", "",
		"\x1b$)C", "\x0eGQ1[\x0f ok"), text: "한글 ok"},
	{name: "korean ks_c_5601-1987", raw: crlf("Subject: =?ks_c_5601-1987?B?x9GxuQ==?=", "", "x"), subject: "한국",
		text: "x"},
	{name: "chinese gb2312", raw: crlf("Subject: =?gb2312?B?1tDOxA==?=",
		"Content-Type: text/plain; charset=\"gb2312\"", "Content-Transfer-Encoding: base64", "", "1tDOxA=="),
		subject: "中文", text: "中文"},
	{name: "chinese hz", raw: crlf("Content-Type: text/plain; charset=hz-gb-2312", "", "~{VPND~}"), text: "中文"},
	{name: "russian koi8-r", raw: crlf("Subject: =?koi8-r?B?8NLJ18XU?=", "Content-Type: text/plain; charset=koi8-r",
		"", "\xf0\xd2\xc9\xd7\xc5\xd4"), subject: "Привет", text: "Привет"},
	{name: "russian windows-1251 undeclared", raw: crlf("Subject: r", "",
		strings.Repeat("\xcf\xf0\xe8\xe2\xe5\xf2, \xea\xe0\xea \xe4\xe5\xeb\xe0? ", 6)+"!"),
		text: strings.Repeat("Привет, как дела? ", 6) + "!"},
	{name: "arabic windows-1256", raw: crlf("Content-Type: text/plain; charset=windows-1256", "",
		"\xe3\xd1\xcd\xc8\xc7"), text: "مرحبا"},
	{name: "utf-7", raw: crlf("Subject: =?utf-7?Q?A+AOQ-b?=", "Content-Type: text/plain; charset=utf-7", "",
		"1 +- 1 +IKw-"), subject: "Aäb", text: "1 + 1 €"},
	{name: "utf-16 in base64", raw: crlf("Content-Type: text/plain; charset=utf-16le",
		"Content-Transfer-Encoding: base64", "", b64("h\x00\xe4\x00")), text: "hä"},
	{name: "raw latin-1 header", raw: "From: J\xfcrgen <j@x.de>\r\nSubject: Gr\xfc\xdfe aus K\xf6ln\r\n\r\nx",
		subject: "Grüße aus Köln", from: "Jürgen<j@x.de>", text: "x"},
	{name: "declared latin-1, is utf-8", raw: crlf("Content-Type: text/plain; charset=iso-8859-1", "", "café"),
		text: "café"},
	{name: "declared ascii, is latin-1", raw: crlf("Content-Type: text/plain; charset=us-ascii", "",
		"un caf\xe9 cr\xe8me"), text: "un café crème"},
	{name: "declared utf-8, one bad byte", raw: crlf("Content-Type: text/plain; charset=utf-8", "", "é\xe9 ü"),
		text: "é\ufffd ü"},
	{name: "unknown charset", raw: crlf("Subject: =?x-klingon?Q?a=E9b?=",
		"Content-Type: text/plain; charset=x-klingon", "", "a\xe9b"), subject: "aéb", text: "aéb"},
	{name: "unknown transfer encoding", raw: crlf("Content-Type: text/plain", "Content-Transfer-Encoding: x-magic",
		"", "as is"), text: "as is"},
	{name: "bad base64", raw: crlf("Content-Type: text/plain", "Content-Transfer-Encoding: base64", "", "aGVs*bG8",
		"gd29y", "bGQ=", "!"), text: "hello world"},
	{name: "cut base64", raw: crlf("Content-Type: text/plain", "Content-Transfer-Encoding: base64", "",
		"aGVsbG8gd29ybG"), text: "hello worl"},
	{name: "bad quoted-printable", raw: crlf("Content-Transfer-Encoding: quoted-printable", "", "a=ZZ b= ", "c =4",
		"d="), text: "a=ZZ bc =4\nd"},
	{name: "multipart without boundary", raw: crlf("Content-Type: multipart/mixed", "", "still here"),
		text: "still here", problem: "multipart without parts"},
	{name: "boundary never seen", raw: crlf("Content-Type: multipart/mixed; boundary=x", "", "still here"),
		text: "still here", problem: "multipart without"},
	{name: "no final boundary", raw: crlf("Content-Type: multipart/mixed; boundary=x", "", "--x", "", "one", "--x",
		"Content-Type: image/png", "", "png"),
		text: "one", att: "2 image/png  5 false", problem: "last boundary"},
	{name: "boundary is prefix of another", raw: crlf("Content-Type: multipart/mixed; boundary=ab", "", "--ab",
		"Content-Type: multipart/mixed; boundary=abc", "", "--abc", "", "in", "--abc", "", "in2", "--abc--", "--ab",
		"", "out", "--ab--"),
		text: "in\n\nin2\n\nout"},
	{name: "equal nested boundaries", raw: crlf("Content-Type: multipart/mixed; boundary=b", "", "--b",
		"Content-Type: multipart/mixed; boundary=b", "", "--b", "", "in", "--b--", "--b", "", "out", "--b--"),
		text: "in\n\nout"},
	{name: "bad header line in a part", raw: crlf("Content-Type: multipart/mixed; boundary=b", "", "--b",
		"Content-Type: text/plain", "no colon", "", "one", "--b", "", "two", "--b--"),
		text: "one\n\ntwo", problem: "without a name"},
	{name: "part without header", raw: crlf("Content-Type: multipart/mixed; boundary=b", "", "--b", "no header here",
		"--b--"), text: "no header here", problem: "no header"},
	{name: "alternative takes plain", raw: crlf("Content-Type: multipart/alternative; boundary=b", "", "--b", "",
		"plain words", "--b", "Content-Type: text/html", "", "<p>plain <b>words</b>", "--b--"), text: "plain words"},
	{name: "alternative with a stub", raw: crlf("Content-Type: multipart/alternative; boundary=b", "", "--b", "",
		"No HTML?", "--b", "Content-Type: text/html", "", "<p>A real letter with <b>many</b> words", "--b--"),
		text: "A real letter with many words"},
	{name: "alternative, html first", raw: crlf("Content-Type: multipart/alternative; boundary=b", "", "--b",
		"Content-Type: text/html", "", "<p>plain words", "--b", "", "plain words", "--b--"), text: "plain words"},
	{name: "html in an alternative in related in an alternative",
		raw: crlf("Content-Type: multipart/alternative; boundary=a", "", "--a", "", strings.Repeat("plain ", 60),
			"--a", "Content-Type: multipart/related; boundary=b", "", "--b", "Content-Type: text/html", "", "<p>page",
			"--b", "Content-Type: image/gif", "Content-ID: <i@x>", "", "GIF", "--b--", "--a--"),
		text: strings.TrimSpace(strings.Repeat("plain ", 60)), att: "2.2 image/gif  3 true"},
	{name: "html alternative inside an alternative", raw: crlf("Content-Type: multipart/alternative; boundary=a", "",
		"--a", "", strings.Repeat("plain ", 60), "--a", "Content-Type: multipart/alternative; boundary=b", "", "--b",
		"Content-Type: text/html", "", "<p>page", "--b--", "--a--"),
		text: strings.TrimSpace(strings.Repeat("plain ", 60))},
	{name: "html first inside an alternative", raw: crlf("Content-Type: multipart/alternative; boundary=a", "", "--a",
		"Content-Type: multipart/alternative; boundary=b", "", "--b", "Content-Type: text/html", "", "<p>page",
		"--b--", "--a", "", strings.Repeat("plain ", 60), "--a--"),
		text: strings.TrimSpace(strings.Repeat("plain ", 60))},
	{name: "html charset from meta", raw: crlf("Content-Type: text/html", "",
		"<meta charset=koi8-r><p>\xf0\xd2\xc9\xd7\xc5\xd4"), text: "Привет"},
	{name: "attached message", raw: crlf("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "see below",
		"--b", "Content-Type: message/rfc822", "", "Subject: inner", "Content-Type: multipart/mixed; boundary=c", "",
		"--c", "", "deep", "--c", "Content-Type: application/zip; name=a.zip", "", "PK", "--c--", "--b--"),
		text: "see below\n\ndeep", att: "2 message/rfc822 inner.eml 133 false; 2.2 application/zip a.zip 2 false"},
	{name: "names of attachments", raw: crlf("Content-Type: multipart/mixed; boundary=b", "",
		"--b", "Content-Type: application/pdf; name=\"=?utf-8?Q?=C3=A4.pdf?=\"", "", "1",
		"--b", "Content-Type: application/pdf",
		"Content-Disposition: attachment; filename*0*=utf-8''%e2%82%ac; filename*1=\" rates.pdf\"", "", "1",
		"--b", "Content-Type: application/pdf; name=two words.pdf", "", "1",
		"--b", "Content-Type: application/pdf", "Content-Disposition: attachment; filename*=iso-8859-1'de'%FC.pdf",
		"", "1", "--b--"),
		att: "1 application/pdf ä.pdf 1 false; 2 application/pdf € rates.pdf 1 false; 3 application/pdf two " +
			"words.pdf 1 false; 4 application/pdf ü.pdf 1 false"},
	{name: "unterminated quotes",
		raw: "From: \"Ann <ann@x.org>\r\nContent-Type: multipart/mixed; " +
			"boundary=\"b\r\n\r\n--b\r\n\r\nt\r\n--b--\r\n", from: "Ann<ann@x.org>", text: "t"},
	{name: "digest", raw: crlf("Content-Type: multipart/digest; boundary=b", "", "--b", "", "Subject: one", "",
		"first", "--b--"), text: "first", att: "1 message/rfc822 one.eml 21 false"},
	{name: "uuencode", raw: crlf("Subject: u", "", "begin 644 a.txt", "#0V%T", "`", "end"),
		att: "1.u1 application/octet-stream a.txt 3 false"},
	{name: "winmail", raw: crlf("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "t", "--b",
		"Content-Type: application/ms-tnef; name=winmail.dat", "Content-Transfer-Encoding: base64", "",
		b64("x\x9f>\"123"), "--b--"), text: "t", att: "2 application/ms-tnef winmail.dat 7 false"},
}

func TestCorpus(t *testing.T) {
	for _, c := range corpus {
		t.Run(c.name, func(t *testing.T) {
			v := Parse(strings.NewReader(c.raw), Limits{})
			if c.subject != "" && v.Subject != c.subject {
				t.Errorf("subject %q, want %q", v.Subject, c.subject)
			}
			if got := people(v.From); c.from != "" && got != c.from {
				t.Errorf("from %q, want %q", got, c.from)
			}
			if v.Text != c.text {
				t.Errorf("text %q, want %q", v.Text, c.text)
			}
			if got := list(v.Attachments); got != c.att {
				t.Errorf("attachments %q, want %q", got, c.att)
			}
			problems := strings.Join(v.Problems, "; ")
			if (c.problem == "") != (problems == "") || !strings.Contains(problems, c.problem) ||
				v.Partial != (problems != "") {
				t.Errorf("problems %q (partial %v), want %q", problems, v.Partial, c.problem)
			}
			check(t, v)
			for _, a := range v.Attachments { // what is listed can be fetched, with the size that was told
				r, again, ok := Part(strings.NewReader(c.raw), a.Path, Limits{})
				if !ok || again.Name != a.Name && a.Type != "message/rfc822" {
					t.Fatalf("part %s: %v %+v", a.Path, ok, again)
				}
				b, err := io.ReadAll(r)
				if err != nil || int64(len(b)) != a.Size {
					t.Errorf("part %s: %d bytes, %v; want %d", a.Path, len(b), err, a.Size)
				}
			}
		})
	}
}

// check is what holds of every view.
func check(t testing.TB, v View) {
	t.Helper()
	all := append([]string{v.MessageID, v.Subject, v.BaseSubject, v.Text, v.Preview}, v.Problems...)
	all = append(append(all, v.InReplyTo...), v.References...)
	for _, as := range [][]Address{v.From, v.Sender, v.ReplyTo, v.To, v.Cc, v.Bcc} {
		for _, a := range as {
			all = append(all, a.Name, a.Email)
		}
	}
	for _, a := range v.Attachments {
		all = append(all, a.Name, a.Type, a.Path, a.ContentID)
	}
	for _, s := range all {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			t.Errorf("not clean: %.200q", s)
		}
	}
	for _, p := range v.Problems {
		if strings.HasPrefix(p, "bug") || len(p) > 200 {
			t.Error(p)
		}
	}
	if n := utf8.RuneCountInString(v.Preview); n > previewChars || strings.ContainsAny(v.Preview, "\n\t") {
		t.Errorf("preview of %d characters: %q", n, v.Preview)
	}
	if len(v.MessageID) > maxID {
		t.Errorf("message id of %d bytes", len(v.MessageID))
	}
}
