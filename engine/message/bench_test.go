package message

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// typical is a mail of about 20 kB as the benchmark corpus has them: a normal
// header, a plain and an HTML alternative, a small attachment.
func typical(plain bool) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	var text, page strings.Builder
	for text.Len() < 3000 {
		fmt.Fprintf(&text, "Line %d of a letter that says nothing in particular, with caf=C3=A9 and more.\r\n",
			rng.IntN(1000))
	}
	for page.Len() < 6000 {
		fmt.Fprintf(&page, "<tr><td style=\"color:#123456\"><a href=\"https://example.org/%d\">link "+
			"%d</a></td><td>text &amp; more</td></tr>\r\n", rng.IntN(1e6), rng.IntN(1e6))
	}
	pdf := make([]byte, 6000)
	for i := range pdf {
		pdf[i] = byte(rng.Uint32())
	}
	var b bytes.Buffer
	for i := range 4 {
		fmt.Fprintf(&b, "Received: from mx%d.example.org (mx%d.example.org [192.0.2.%d])\r\n\t"+
			"by in.example.net with ESMTPS id abc%d;\r\n\tMon, 02 Mar 2026 10:00:0%d +0100 (CET)\r\n", i, i, i, i, i)
	}
	b.WriteString("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org;\r\n\tb=" +
		strings.Repeat("abcd", 80) + "\r\n")
	b.WriteString("Date: Mon, 02 Mar 2026 10:00:00 +0100\r\nFrom: =?utf-8?Q?J=C3=BCrgen_M?= <j@example.org>\r\n" +
		"To: A <a@example.net>, B <b@example.net>\r\n" +
		"Subject: Re: =?utf-8?B?R3LDvMOfZSBhdXMgS8O2bG4=?=\r\nMessage-ID: <1@example.org>\r\n" +
		"References: <0@example.net>\r\n <00@example.net>\r\n" +
		"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"outer\"\r\n\r\n--outer\r\n" +
		"Content-Type: multipart/alternative; boundary=\"inner\"\r\n\r\n")
	if plain {
		b.WriteString("--inner\r\nContent-Type: text/plain; charset=utf-8\r\n" +
			"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + text.String())
	}
	b.WriteString("--inner\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body><table>" + page.String() +
		"</table></body></html>\r\n--inner--\r\n" +
		"--outer\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\n" +
		"Content-Disposition: attachment; filename=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	for enc := base64.StdEncoding.EncodeToString(pdf); enc != ""; {
		n := min(76, len(enc))
		b.WriteString(enc[:n] + "\r\n")
		enc = enc[n:]
	}
	b.WriteString("--outer--\r\n")
	return b.Bytes()
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct {
		name string
		raw  []byte
	}{
		{"plain-and-html", typical(true)},
		{"html-only", typical(false)},
		{"header-only", typical(true)[:1500]},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.raw)))
			b.ReportAllocs()
			for b.Loop() {
				Parse(bytes.NewReader(c.raw), Limits{})
			}
		})
	}
}

func BenchmarkHTMLText(b *testing.B) {
	page := strings.Repeat("<div class=\"x\"><p>Some <b>text</b> &amp; <a href=\"https://example.org/\">links</a> "+
		"here</p></div>\n", 200)
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		htmlText(page, mib)
	}
}

func BenchmarkAttachment(b *testing.B) {
	line := strings.Repeat("QUJD", 19) + "\r\n"
	raw := "Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat(line,
		1<<20/len(line))
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		Parse(strings.NewReader(raw), Limits{})
	}
}
