package message

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// uu encodes a file as uuencode does.
func uu(name, content string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "begin 644 %s\r\n", name)
	for len(content) > 0 {
		n := min(45, len(content))
		line := []byte(content[:n])
		b.WriteByte(byte(n) + ' ')
		for len(line)%3 != 0 {
			line = append(line, 0)
		}
		for i := 0; i < len(line); i += 3 {
			v := uint(line[i])<<16 | uint(line[i+1])<<8 | uint(line[i+2])
			for _, shift := range []uint{18, 12, 6, 0} {
				c := byte(v>>shift&63) + ' '
				if c == ' ' {
					c = '`'
				}
				b.WriteByte(c)
			}
		}
		b.WriteString("\r\n")
		content = content[n:]
	}
	return b.String() + "`\r\nend"
}

func kindsUUEncode() []kind {
	long := strings.Repeat("The quick brown fox. ", 30)
	return []kind{
		{name: "in a text", raw: crlf("Subject: s", "", "before", uu("fox.txt", long), "after"), text: "before\nafter",
			att: "1.u1 application/octet-stream fox.txt 630 false"},
		{name: "two files", raw: crlf("Subject: s", "", uu("a b.txt", "one"), "", uu("c.txt", "three"), "end"),
			text: "end",
			att:  "1.u1 application/octet-stream a b.txt 3 false; 1.u2 application/octet-stream c.txt 5 false"},
		{name: "in a part, quoted-printable", raw: parts("mixed", crlf("Content-Transfer-Encoding: quoted-printable",
			"", "Gr=C3=BC=C3=9Fe",
			strings.ReplaceAll(uu("fox.txt", "abcdef"), "=", "=3D"))), text: "Grüße",
			att: "1.u1 application/octet-stream fox.txt 6 false"},
		{name: "in base64", raw: crlf("Content-Transfer-Encoding: base64", "", b64(crlf("see file", uu("fox.txt",
			long)))),
			text: "see file", att: "1.u1 application/octet-stream fox.txt 630 false"},
		{name: "blanks for zeros, cut at line ends", raw: crlf("Subject: s", "", "begin 600 z.bin", "#    ", "#0V%T",
			"$0V%T", " ", "end",
			"bye"), text: "bye", att: "1.u1 application/octet-stream z.bin 10 false"},
		{name: "never ends", raw: crlf("Subject: s", "", "hi", "begin 644 cut.bin", "#0V%T"), text: "hi",
			att: "1.u1 application/octet-stream cut.bin 3 false"},
		{name: "words that begin so", raw: crlf("Subject: s", "", "begin 100 metres run", "then walk"),
			text: "begin 100 metres run\nthen walk", att: "-"},
		{name: "raw name", raw: crlf("Subject: s", "", uu("Über uns.txt", "abc")),
			att: "1.u1 application/octet-stream Über uns.txt 3 false"},
		{name: "as an encoding, named by itself", raw: parts("mixed", crlf("Content-Type: image/gif",
			"Content-Transfer-Encoding: uuencode", "", uu("pic.gif", "GIF89a"))), att: "1 image/gif pic.gif 6 false"},
		{name: "as an encoding, no type", raw: crlf("Content-Transfer-Encoding: X-UUE", "", uu("notes", long)),
			text: "-",
			att:  "1 text/plain notes 630 false"},
		{name: "as an encoding, lines before", raw: crlf("Content-Type: a/b; name=n.bin",
			"Content-Transfer-Encoding: x-uu", "",
			"-- cut here --", uu("other", "abc")), att: "1 a/b n.bin 3 false"},
		{name: "labelled so, is none", raw: crlf("Content-Type: a/b", "Content-Transfer-Encoding: x-uuencode", "",
			"raw"),
			att: "1 a/b  5 false"},
	}
}

func kindsFlowed() []kind {
	flowed := func(more, body string) string { return plainPart("utf-8; format=flowed"+more, body) }
	return []kind{
		{name: "paragraph", raw: flowed("", "one \r\ntwo \r\nthree\r\nfour"), text: "one two three\nfour"},
		{name: "quotes", raw: flowed("", "> one \r\n> two\r\n>> deep \r\n>> er\r\nanswer"),
			text: "> one two\n>> deep er\nanswer"},
		{name: "depth changes in a paragraph", raw: flowed("", "> one \r\ntwo"), text: "> one \ntwo"},
		{name: "stuffing", raw: flowed("", " From here\r\n  two blanks\r\n >no quote"),
			text: "From here\n two blanks\n>no quote"},
		{name: "signature", raw: flowed("", "bye \r\n-- \r\nAnn"), text: "bye \n-- \nAnn"},
		{name: "chinese, delsp", raw: flowed("; DelSp=Yes", "今天 \r\n下雨"), text: "今天下雨"},
		{name: "delsp keeps the first of two", raw: flowed("; delsp=yes", "one  \r\ntwo"), text: "one two"},
		{name: "fixed", raw: plainPart("utf-8; format=fixed", "one \r\ntwo"), text: "one \ntwo"},
		{name: "empty lines", raw: flowed("", "one\r\n\r\ntwo \r\n\r\nthree"), text: "one\n\ntwo \nthree"},
		{name: "quoted-printable", raw: crlf("Content-Type: text/plain; format=\"flowed\"",
			"Content-Transfer-Encoding: quoted-printable",
			"", "one=20", "two"), text: "one two"},
	}
}

func kindsBase64Ends() []kind {
	text := func(body ...string) string {
		return crlf(append([]string{"Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64",
			""}, body...)...)
	}
	long := b64(strings.Repeat("Größe. ", 30))
	wrapped := long[:76] + "\r\n" + long[76:152] + "\r\n" + long[152:228] + "\r\n" + long[228:]
	return []kind{
		{name: "footer behind padding", raw: text(b64("Grüße!"), "-- ", "Unsubscribe"),
			text: "Grüße!\n\n-- \nUnsubscribe"},
		{name: "footer behind an empty line", raw: text(b64("Grüße!!"), "", "Unsubscribe here: https://example.org"),
			text: "Grüße!!\n\nUnsubscribe here: https://example.org"},
		{name: "one word behind padding", raw: text(b64("Grüße!"), "Unsubscribe"), text: "Grüße!\n\nUnsubscribe"},
		{name: "footer in latin-1", raw: text(b64("Größe"), "", "F\xfcr alle Mitglieder"),
			text: "Größe\n\nFür alle Mitglieder"},
		{name: "footer without padding", raw: text(b64("Grüße"), "~~~~~", "sent by a gateway"),
			text: "Grüße\n\n~~~~~\nsent by a gateway"},
		{name: "long data, footer", raw: text(wrapped, "___", "list footer"),
			text: strings.TrimSpace(strings.Repeat("Größe. ", 30)) + "\n\n___\nlist footer"},
		{name: "a rule alone is no text", raw: text(b64("Grüße"), "____"), text: "Grüße"},
		{name: "pieces with padding each", raw: text(b64("first piece of it"), b64(" and the second one")),
			text: "first piece of it and the second one"},
		{name: "lines of all lengths", raw: text(wrapped[:10], wrapped[10:90], wrapped[90:]),
			text: strings.TrimSpace(strings.Repeat("Größe. ", 30))},
		{name: "damaged line", raw: text(strings.Replace(wrapped, wrapped[20:24], "*"+wrapped[20:24], 1)),
			text: strings.TrimSpace(strings.Repeat("Größe. ", 30))},
		{name: "the other alphabet", raw: text(base64.URLEncoding.EncodeToString([]byte("??>>~~ÿÿ Größe >>> ??"))),
			text: "??>>~~ÿÿ Größe >>> ??"},
		{name: "is plain text", raw: text("Hello all,", "", "this is no base64."),
			text: "Hello all,\n\nthis is no base64."},
		{name: "is one word", raw: text("Thanks"), text: "Thanks"},
		{name: "is a short word and a sentence", raw: text("Dear", "Tom, this is no base64."),
			text: "Dear\nTom, this is no base64."},
		{name: "is UTF-8", raw: text("Schöne Grüße"), text: "Schöne Grüße"},
		{name: "file with a footer", raw: crlf("Content-Type: application/pdf; name=a.pdf",
			"Content-Transfer-Encoding: base64", "",
			b64("%PDF-1.4 bytes"), "", "list footer"), text: "list footer", att: "1 application/pdf a.pdf 14 false"},
		{name: "file in a part with noise behind", raw: parts("mixed", crlf("Content-Type: a/b",
			"Content-Transfer-Encoding: base64", "",
			b64("bytes"), "", "noise behind it")), text: "-", att: "1 a/b  5 false"},
	}
}

func kindsWordsAndNames() []kind {
	name := func(fields ...string) string {
		return parts("mixed", crlf(append([]string{"Content-Type: application/pdf"}, append(fields, "", "x")...)...))
	}
	return []kind{
		{name: "cut after one character of base64", raw: "Subject: =?utf-8?B?" + b64("жук")[:5] + "?= =?utf-8?B?" +
			b64("жук")[5:] +
			"?=\r\n\r\nx", subject: "жук"},
		{name: "cut after two", raw: "Subject: =?utf-8?B?" + b64("жук")[:6] + "?= =?UTF-8?b?" + b64("жук")[6:] +
			"?=\r\n\r\nx", subject: "жук"},
		{name: "cut after three, in three words", raw: "Subject: =?utf-8?B?" + b64("жучок")[:3] +
			"?=\r\n =?utf-8?B?" + b64("жучок")[3:9] +
			"?=\r\n =?utf-8?B?" + b64("жучок")[9:] + "?=\r\n\r\nx", subject: "жучок"},
		{name: "cut inside an escape", raw: "Subject: =?utf-8?Q?Gr=C3=B?= =?utf-8?Q?C=C3?= =?utf-8?Q?=9Fe?=\r\n\r\nx",
			subject: "Grüße"},
		{name: "cut before the digits", raw: "Subject: =?iso-8859-1?Q?Gr=?= =?iso-8859-1?Q?FC=DFe?=\r\n\r\nx",
			subject: "Grüße"},
		{name: "whole words without padding", raw: "Subject: =?utf-8?B?YQ?= =?utf-8?B?YmM?= =?utf-8?B?ZA?=\r\n\r\nx",
			subject: "abcd"},
		{name: "latin-1 words without padding", raw: "Subject: =?iso-8859-1?B?" +
			base64.RawStdEncoding.EncodeToString([]byte("K\xf6ln")) +
			"?= =?iso-8859-1?B?" + base64.RawStdEncoding.EncodeToString([]byte(" M\xfcnster")) + "?=\r\n\r\nx",
			subject: "Köln Münster"},
		{name: "in gbk, cut", raw: "Subject: =?gb2312?B?1tDOx?= =?gb2312?B?A==?=\r\n\r\nx", subject: "中文"},
		{name: "without a charset", raw: "Subject: =??Q?Gr=C3=BC=C3=9Fe?=\r\n\r\nx", subject: "Grüße"},
		{name: "base64 of the other alphabet", raw: "Subject: =?utf-8?B?" +
			base64.URLEncoding.EncodeToString([]byte("жёлтая шляпа >>> ???")) + "?=\r\n\r\nx",
			subject: "жёлтая шляпа >>> ???"},
		{name: "word over pieces", raw: name("Content-Disposition: attachment;",
			" filename*0=\"=?utf-8?Q?=C3=BCber\";", " filename*1=\"=20uns.pdf?=\""),
			att: "1 application/pdf über uns.pdf 3 false"},
		{name: "two words over two pieces", raw: name("Content-Disposition: attachment;",
			" filename*0=\"=?utf-8?B?w7w=?= \";",
			" filename*1=\"=?utf-8?B?YmVyLnBkZg==?=\""), att: "1 application/pdf über.pdf 3 false"},
		{name: "word in a percent value",
			raw: name("Content-Disposition: attachment; filename*=utf-8''%3D%3Futf-8%3FB%3Fw7wucGRm%3F%3D"),
			att: "1 application/pdf ü.pdf 3 false"},
		{name: "pieces from one",
			raw: name("Content-Disposition: attachment; filename*1=\"long \"; filename*2=\"name.pdf\""),
			att: "1 application/pdf long name.pdf 3 false"},
		{name: "pieces, one is missing", raw: name("Content-Disposition: attachment; filename*0*=utf-8''%C3%BCber;",
			" filename*2*=%20uns.pdf"), att: "1 application/pdf über uns.pdf 3 false"},
		{name: "pieces in disorder, with a zero before the number", raw: name("Content-Disposition: attachment;",
			" filename*01*=%9Cber.pdf; filename*00*=utf-8''%C3"), att: "1 application/pdf Über.pdf 3 false"},
		{name: "percent pieces from one", raw: name("Content-Disposition: attachment;",
			" filename*1*=koi8-r''%CF%CB; filename*2=.pdf"), att: "1 application/pdf ок.pdf 3 false"},
		{name: "pieces, one number twice", raw: name("Content-Disposition: attachment;",
			" filename*0=a; filename*1=b.pdf; filename*1=c.pdf"), att: "1 application/pdf ab.pdf 3 false"},
		{name: "blank before the asterisk",
			raw: name("Content-Disposition: attachment; filename *0=\"long \"; filename *1=\"name.pdf\""),
			att: "1 application/pdf long name.pdf 3 false"},
		{name: "percent value without a charset", raw: name("Content-Disposition: attachment; filename*=%C3%BCber.pdf"),
			att: "1 application/pdf über.pdf 3 false"},
		{name: "name in the disposition", raw: name("Content-Disposition: attachment; name=a.pdf"),
			att: "1 application/pdf a.pdf 3 false"},
		{name: "name with parentheses", raw: name("Content-Disposition: attachment; filename=report (2).pdf"),
			att: "1 application/pdf report (2).pdf 3 false"},
	}
}

func TestEncodings(t *testing.T) {
	for value, body := range map[string]string{
		"base64 (RFC 2045)": b64("Grüße"), "(by hand) base64": b64("Grüße"), "\"base64\"": b64("Grüße"),
		"BASE-64": b64("Grüße"),
		"base64;": b64("Grüße"), "x-base64": b64("Grüße"), "quoted-printable (a (nested) one)": "Gr=C3=BC=C3=9Fe",
		"quoted-printable;": "Gr=C3=BC=C3=9Fe", "Quoted Printable": "Gr=C3=BC=C3=9Fe",
		"quoted_printable": "Gr=C3=BC=C3=9Fe",
		"8bit (clean)":     "Grüße", "none": "Grüße",
	} {
		k := kind{raw: crlf("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: "+value, "", body),
			text: "Grüße"}
		t.Run(value, k.check)
	}
}

func kindsBoundaries() []kind {
	body := func(mark string) string {
		return crlf("", "--"+mark, "Content-Type: text/plain", "", "inside", "--"+mark, "Content-Type: a/b; name=f",
			"", "x", "--"+mark+"--")
	}
	const files = "2 a/b f 1 false"
	head := "Subject: s\r\nMIME-Version: 1.0\r\n"
	return []kind{
		{name: "no parameter", raw: head + "Content-Type: multipart/mixed\r\n" + body("lost"), text: "inside",
			att: files},
		{name: "another one", raw: head + "Content-Type: multipart/mixed; boundary=declared\r\n" + body("used"),
			text: "inside", att: files},
		{name: "other case", raw: head + "Content-Type: multipart/mixed; boundary=ABC\r\n" + body("abc"),
			text: "inside", att: files},
		{name: "cut short", raw: head + "Content-Type: multipart/mixed; boundary=\"ab\r\n" + body("abcd"),
			text: "inside", att: files},
		{name: "single quotes", raw: head + "Content-Type: multipart/mixed; boundary='q'\r\n" + body("q"),
			text: "inside", att: files},
		{name: "comment behind", raw: head + "Content-Type: multipart/mixed; boundary=q (made up)\r\n" + body("q"),
			text: "inside",
			att:  files},
		{name: "parameter behind without a semicolon", raw: head +
			"Content-Type: multipart/mixed; boundary=q charset=utf-8\r\n" +
			body("q"), text: "inside", att: files},
		{name: "blanks at its end, tab in the line", raw: head +
			"Content-Type: multipart/mixed; boundary=\"q \t\"\r\n" + body("q"),
			text: "inside", att: files},
		{name: "unfolded with other parameters", raw: head +
			"Content-Type: multipart/mixed;\r\ntype=\"a/b\";\r\nboundary=\"q:1\"\r\n" +
			body("q:1"), text: "inside", att: files},
		{name: "unfolded in a part", raw: parts("mixed", "Content-Type: application/pdf;\r\nname=\"a.pdf\"\r\n"+
			"Content-Disposition: attachment;\r\nfilename=\"b.pdf\"\r\n\r\nx"), att: "1 application/pdf b.pdf 1 false"},
		{name: "blank at its end, part without a header", raw: head +
			"Content-Type: multipart/mixed; boundary=\"q \"\r\n\r\n--q\r\n\r\ninside\r\n--q--\r\n", text: "inside"},
		{name: "neither subtype nor parameter", raw: head + "Content-Type: multipart\r\n" + body("q"), text: "inside",
			att: files},
		{name: "type misspelt", raw: head + "Content-Type: mutlipart/mixed; boundary=q\r\n" + body("q"),
			text: "inside", att: files},
		{name: "type is text", raw: head + "Content-Type: text/plain; boundary=q\r\n" + body("q"), text: "inside",
			att: files},
		{name: "type lost", raw: head + body("q"), text: "inside", att: files},
		{name: "type lost, usual preamble", raw: head + "\r\nThis is a multi-part message in MIME format.\r\n" +
			body("q"), text: "inside",
			att: files},
		{name: "a signature is no boundary", raw: head + "\r\nhello\r\n-- \r\nContent-Type: see above\r\n",
			text: "hello\n-- \nContent-Type: see above", att: "-"},
		{name: "source quoted in a letter", raw: head + "\r\nIt bounced:\r\n" + body("q"), att: "-"},
		{name: "a rule before the first part", raw: head +
			"Content-Type: multipart/mixed; boundary=q\r\n\r\n--------\r\nContent-ful words\r\n" +
			body("q"), text: "inside", att: files},
	}
}

func kindsAttachedMessages() []kind {
	inner := crlf("Subject: Harvest", "Content-Type: multipart/mixed; boundary=ii", "", "--ii", "", "apples", "--ii",
		"Content-Type: image/gif; name=a.gif", "", "GIF", "--ii--")
	encoded := func(encoding, body string) string {
		return parts("mixed", crlf("", "see below"),
			"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: "+encoding+"\r\n\r\n"+body)
	}
	deep := b64(crlf("Subject: middle", "Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", "",
		b64(crlf("Subject: bottom", "", "deep words"))))
	quoted := strings.ReplaceAll(inner, "=", "=3D")
	return []kind{
		{name: "base64 with parts", raw: encoded("base64", b64(inner)), text: "see below\n\napples",
			att: fmt.Sprintf("2 message/rfc822 Harvest.eml %d false; 2.2 image/gif a.gif 3 false", len(inner))},
		{name: "quoted-printable with parts", raw: encoded("quoted-printable", quoted), text: "see below\n\napples",
			att: fmt.Sprintf("2 message/rfc822 Harvest.eml %d false; 2.2 image/gif a.gif 3 false", len(inner))},
		{name: "in each other", raw: encoded("base64", deep), text: "see below\n\ndeep words"},
		{name: "labelled so, is none", raw: encoded("base64", "Subject: Plain one\r\n\r\nplain words"),
			text: "see below\n\nplain words"},
		{name: "as the whole message", raw: crlf("Content-Type: message/rfc822", "Content-Transfer-Encoding: base64",
			"",
			b64(crlf("Subject: only", "", "words"))), text: "words", att: "1 message/rfc822 only.eml 24 false"},
		{name: "uuencoded file inside", raw: encoded("base64", b64(crlf("Subject: u", "", "text", uu("f.bin", "abc")))),
			text: "see below\n\ntext",
			att:  "2 message/rfc822 u.eml 52 false; 2.1.u1 application/octet-stream f.bin 3 false"},
		{name: "header only", raw: parts("mixed", "Content-Type: message/rfc822\r\n\r\nSubject: a\r\nTo: b@c\r\n"),
			att: "1 message/rfc822 a.eml 21 false"},
		{name: "header in a part of it cut by the boundary", raw: parts("mixed", "Content-Type: message/rfc822\r\n\r\n"+
			"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nSubject: a\r\n--c--"),
			att: "1 message/rfc822  67 false"},
		{name: "a message that holds an empty one", raw: parts("mixed", "Content-Type: message/rfc822\r\n\r\n"+
			"Content-Type: message/rfc822\r\n"),
			att: "1 message/rfc822  30 false; 1.1 message/rfc822  0 false"},
		{name: "the end of the outer one, then a field", raw: parts("mixed", "Content-Type: message/rfc822\r\n\r\n"+
			"Subject: a\r\n") + "Content-Type: text/plain\r\n", att: "1 message/rfc822 a.eml 12 false"},
		{name: "header only, white space", raw: parts("mixed", "Content-Type: message/rfc822\r\n\r\nSubject: a\r\n "),
			att: "1 message/rfc822 a.eml 13 false"},
		{name: "header only, no empty line", raw: parts("mixed", "Content-Type: message/rfc822\r\n\r\nSubject: a"),
			att: "1 message/rfc822 a.eml 10 false"},
		{name: "with the boundary of the outer one", raw: parts("mixed", "Content-Type: message/rfc822\r\n\r\n"+
			"Subject: a\r\nContent-Type: multipart/mixed; boundary=frontier\r\n\r\n--frontier\r\n\r\nin"),
			text: "in", att: "1 message/rfc822 a.eml 62 false"},
		{name: "empty", raw: parts("mixed", "Content-Type: message/rfc822\r\n"), att: "1 message/rfc822  0 false"},
		{name: "header only in a digest", raw: parts("digest", "\r\nSubject: a\r\n", "\r\nSubject: b\r\n\r\nx"),
			att: "1 message/rfc822 a.eml 12 false; 2 message/rfc822 b.eml 15 false"},
		{name: "empty file", raw: parts("mixed", "Content-Type: a/b; name=e\r\n"), att: "1 a/b e 0 false"},
		{name: "bare LF", raw: strings.ReplaceAll(parts("mixed",
			"Content-Type: message/rfc822\r\n\r\nSubject: a\r\n"), "\r\n", "\n"),
			att: "1 message/rfc822 a.eml 11 false"},
	}
}

func TestAddressKinds(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"=?utf-8?Q?Ren=C3=A9?= rene@example.org", "René<rene@example.org>"},
		{"=?utf-8?Q?Ren=C3=A9?= Smith rene@example.org, b@c.org", "René Smith<rene@example.org>,<b@c.org>"},
		{"rene@example.org =?utf-8?Q?Ren=C3=A9?=", "René<rene@example.org>"},
		{"Ann <a@x.org> Bob <b@x.org> Cy <c@x.org>", "Ann<a@x.org>,Bob<b@x.org>,Cy<c@x.org>"},
		{"<a@x.org> <b@x.org>", "<a@x.org>,<b@x.org>"},
		{"a@x.org b@x.org c@x.org", "<a@x.org>,<b@x.org>,<c@x.org>"},
		{"\"Lee, Ann\" <a@x.org>\r\n \"Ray, Bob\" <b@x.org>", "Lee, Ann<a@x.org>,Ray, Bob<b@x.org>"},
		{"Ann <a@x.org> <a@x.org>", "Ann<a@x.org>"},
		{"Ann (a (nested) one) <ann(work)@x.org(the host)>", "Ann<ann@x.org>"},
		{"ann . lee @ x . org", "<ann.lee@x.org>"},
		{"Ann Q . Lee <ann@x.org>", "Ann Q . Lee<ann@x.org>"},
		{"Crew(ours): a@x.org, Bob <b@x.org>;(the end), c@x.org", "<a@x.org>,Bob<b@x.org>,<c@x.org>"},
		{"(nobody here)", ""},
		{"<undisclosed-recipients:;>", ""},
		{"<crew:> Ann <ann@x.org>", "Ann<ann@x.org>"},
		{"Undisclosed recipients:;, b@x.org", "<b@x.org>"},
		{"undisclosed-recipients", ""},
		{"<Undisclosed recipients>", ""},
		{"\"undisclosed-recipients:;\"@x.org", ""},
		{"unlisted-recipients:; (no To-header on input)", ""},
		{"Recipient List Suppressed:;", ""},
		{"<>, >, ;>, <;>", ""},
		{"Ann ann@x.org>", "Ann<ann@x.org>"},
		{"<mailto:ann@x.org>", "<ann@x.org>"},
		{"Ann [mailto:ann@x.org], [b@x.org]", "Ann<ann@x.org>,<b@x.org>"},
		{"Ann <ann@[192.0.2.1]>", "Ann<ann@[192.0.2.1]>"},
		{"Ann <=?utf-8?Q?ann=40x=2Eorg?=>", "Ann<ann@x.org>"},
		{"ann@x.org <mailto:ann@x.org>", "<ann@x.org>"},
		{"=?utf-8?Q?a=40b?= <ann@x.org>", "a@b<ann@x.org>"},
		{"Ann at work <ann@x.org>, \"b c\"@x.org", "Ann at work<ann@x.org>,<\"b c\"@x.org>"},
	} {
		if got := people(ParseAddressList(c.in)); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func TestDateKinds(t *testing.T) {
	for _, k := range []kind{
		{name: "french Tuesday", sent: "2026-05-12T08:00:00Z", raw: "Mar, 12 May 2026 10:00:00 +0200"},
		{name: "french Tuesday in full", sent: "2026-05-12T08:00:00Z", raw: "mardi, 12 May 2026 10:00:00 +0200"},
		{name: "french Tuesday and month", sent: "-", raw: "mar. 12 avr. 2026 10:00:00 +0200"},
		{name: "french month alone", sent: "-", raw: "12 août 2026 10:00"},
		{name: "two months", sent: "-", raw: "12 Jan May 2026 10:00:00 +0000"},
		{name: "finnish November", sent: "-", raw: "12 marraskuu 2026 10:00"},
		{name: "spanish", sent: "2026-03-12T10:00:00Z", raw: "jue, 12 de marzo de 2026 10:00:00 +0000"},
		{name: "english, american order", sent: "2026-03-12T10:00:00Z", raw: "Thursday, March 12, 2026 10:00:00 +0000"},
		{name: "comments everywhere", sent: "2026-03-12T09:05:06Z",
			raw: "Thu(day), 12 (of) Mar 2026 10(h):05(m) : 06 +0100 (CET)"},
		{name: "blanks around colons", sent: "2026-03-12T10:05:06Z", raw: "12 Mar 2026 10 : 05:  06 GMT"},
		{name: "blanks before a zone", sent: "2026-03-12T09:05:00Z", raw: "12 Mar 2026 10: 05 +0100"},
		{name: "time with dots", sent: "2026-03-12T10:05:06Z", raw: "12 Mar 2026 10.05.06 +0000"},
		{name: "before mail", sent: "-", raw: "Fri, 1 Jan 1904 00:00:00 +0000"},
		{name: "the first second", sent: "-", raw: "Thu, 1 Jan 1970 00:00:00 +0000"},
		{name: "year of five digits", sent: "-", raw: "Thu, 12 Mar 20266 10:00:00 +0000"},
		{name: "no such day", sent: "-", raw: "Mon, 31 Feb 2026 10:00:00 +0000"},
		{name: "leap day of no leap year", sent: "-", raw: "29 Feb 2026 10:00:00 +0000"},
		{name: "leap day", sent: "2024-02-29T10:00:00Z", raw: "29 Feb 2024 10:00:00 +0000"},
		{name: "midnight at the end", sent: "2026-03-13T00:00:00Z", raw: "12 Mar 2026 24:00:00 +0000"},
		{name: "zone of 99 minutes", sent: "2026-03-12T10:00:00Z", raw: "12 Mar 2026 10:00:00 +0199"},
		{name: "half past 24", sent: "-", raw: "12 Mar 2026 24:30:00 +0000"},
		{name: "hour without minutes", sent: "-", raw: "12 Mar 2026 3 PM"},
		{name: "day and month in numbers", sent: "-", raw: "03-04-2026 10:00"},
		{name: "day and month, one above 12", sent: "2026-04-23T10:00:00Z", raw: "23-04-2026 10:00"},
	} {
		k.raw = "Date: " + k.raw + "\r\n\r\nx"
		t.Run(k.name, k.check)
	}
}

func TestBareMessageID(t *testing.T) {
	for in, want := range map[string]string{
		"AB12.34": "AB12.34", "<AB12.34>": "AB12.34", "<AB12.34": "AB12.34", "AB12.34 (added by a gateway)": "AB12.34",
		"NOTE": "NOTE", "  20260101$7f  ": "20260101$7f", "two words": "", "<>": "", "--": "", "()": "", "a@b": "a@b",
		"\r\n\tAB-9": "AB-9",
	} {
		v := Parse(strings.NewReader("Message-ID: "+in+"\r\n\r\nx"), Limits{})
		if check(t, v); v.MessageID != want {
			t.Errorf("%q: %q, want %q", in, v.MessageID, want)
		}
	}
}
