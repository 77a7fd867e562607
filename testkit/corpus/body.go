package corpus

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"html"
	"mime"
	"mime/quotedprintable"
	"strings"
)

// builder collects one message.
type builder struct{ bytes.Buffer }

func (b *builder) field(name, value string) { b.WriteString(name + ": " + value + "\r\n") }

// encodeWords gives a header value as it may travel (RFC 2047).
func encodeWords(s string, base64 bool) string {
	if base64 {
		return mime.BEncoding.Encode("utf-8", s)
	}
	return mime.QEncoding.Encode("utf-8", s)
}

// body writes the content fields, the empty line and the content.
func (g *generator) body(b *builder, p post, text string, attached bool) {
	rich := g.r.IntN(2) == 0
	if !attached {
		g.content(b, p, text, rich)
		return
	}
	boundary := g.boundary()
	b.field("Content-Type", `multipart/mixed; boundary="`+boundary+`"`)
	b.WriteString("\r\nThis is a multi-part message in MIME format.\r\n--" + boundary + "\r\n")
	g.content(b, p, text, rich)
	size := g.attachmentSize()
	for n := 1 + zipfish(g.r, 3); n > 0; n-- {
		b.WriteString("\r\n--" + boundary + "\r\n")
		g.attachment(b, p, size/n)
		size -= size / n
	}
	b.WriteString("\r\n--" + boundary + "--\r\n")
}

func (g *generator) boundary() string { return fmt.Sprintf("=_%016x", g.r.Uint64()) }

// content writes plain text, or plain and HTML as alternatives.
func (g *generator) content(b *builder, p post, text string, rich bool) {
	if !rich {
		g.text(b, p, "plain", text)
		return
	}
	boundary := g.boundary()
	b.field("Content-Type", `multipart/alternative;`+"\r\n\t"+`boundary="`+boundary+`"`)
	b.WriteString("\r\n--" + boundary + "\r\n")
	g.text(b, p, "plain", text)
	b.WriteString("\r\n--" + boundary + "\r\n")
	g.text(b, p, "html", markup(p, text))
	b.WriteString("\r\n--" + boundary + "--\r\n")
}

func markup(p post, text string) string {
	var b strings.Builder
	b.Grow(len(text) + len(text)/2 + 500)
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html lang=\"%s\"><head><title>%s</title>\n<style>p { margin: 0 0 1em; font: "+
		"14px/1.5 sans-serif }</style></head>\n<body>\n", p.language.code, html.EscapeString(p.subject))
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		b.WriteString("<p style=\"color:#222\">" + html.EscapeString(paragraph) + "</p>\n")
	}
	b.WriteString("<p><a href=\"https://" + p.from.domain + "/\">" + p.from.domain + "</a></p>\n</body></html>\n")
	return b.String()
}

// text writes one text part in UTF-8 or the language's old charset, as 7bit, 8bit, quoted-printable or base64.
func (g *generator) text(b *builder, p post, subtype, text string) {
	charset, content := "utf-8", []byte(text)
	if g.r.IntN(3) == 0 {
		// People's names may not fit the old charset; then the part stays UTF-8.
		if old, err := p.language.encoding.NewEncoder().Bytes(content); err == nil {
			charset, content = p.language.charset, old
		}
	}
	if charset == "us-ascii" && !ascii(text) {
		charset = "iso-8859-1"
	}
	b.field("Content-Type", "text/"+subtype+"; charset="+charset)
	content = bytes.ReplaceAll(content, []byte("\n"), []byte("\r\n"))
	draw := g.r.IntN(3)
	switch {
	case draw == 0 && (charset == "us-ascii" || charset == "iso-2022-jp"):
		b.field("Content-Transfer-Encoding", "7bit")
		b.WriteString("\r\n")
		b.Write(content)
	case draw == 0:
		b.field("Content-Transfer-Encoding", "8bit")
		b.WriteString("\r\n")
		b.Write(content)
	case draw == 1:
		b.field("Content-Transfer-Encoding", "quoted-printable")
		b.WriteString("\r\n")
		w := quotedprintable.NewWriter(b)
		_, _ = w.Write(content) // into memory: cannot fail
		_ = w.Close()
	default:
		b.field("Content-Transfer-Encoding", "base64")
		b.WriteString("\r\n")
		b.base64(content)
	}
}

func (g *generator) attachment(b *builder, p post, size int) {
	kinds := []struct{ media, extension string }{{"application/pdf", "pdf"}, {"image/jpeg", "jpg"},
		{"application/zip", "zip"}}
	kind := kinds[g.r.IntN(len(kinds))]
	name := p.language.word(g.r) + "-" + fmt.Sprint(g.r.IntN(1000)) + "." + kind.extension
	b.field("Content-Type", mime.FormatMediaType(kind.media, map[string]string{"name": name}))
	b.field("Content-Transfer-Encoding", "base64")
	b.field("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	b.WriteString("\r\n")
	noise := make([]byte, 0, size+8)
	for len(noise) < size {
		noise = binary.LittleEndian.AppendUint64(noise, g.r.Uint64())
	}
	b.base64(noise[:size])
}

// base64 writes lines of 76 characters.
func (b *builder) base64(content []byte) {
	const perLine = 57
	b.Grow(len(content)*78/perLine + 80)
	for len(content) > 0 {
		n := min(perLine, len(content))
		b.Write(base64.StdEncoding.AppendEncode(b.AvailableBuffer(), content[:n]))
		b.WriteString("\r\n")
		content = content[n:]
	}
}
