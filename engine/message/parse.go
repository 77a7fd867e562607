package message

import (
	"bytes"
	"io"
	"runtime/debug"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Parse reads a whole message and returns its view. It is total: every input
// gives a view, and Problems names what could not be read. r is always read to
// its end; a failed read is a problem too. Time is linear in the bytes, and
// memory is bounded by lim whatever r holds.
func Parse(r io.Reader, lim Limits) View {
	b := builder{lim: lim.orDefaults(), cs: newCharsets()}
	return b.parse(r)
}

func (b *builder) parse(r io.Reader) (v View) {
	defer func() {
		if p := recover(); p != nil { // a bug here or in a decoder must not stop a mailbox
			b.problem("bug: " + firstFrame(debug.Stack()))
			b.late = nil
			v = b.finish()
		}
	}()
	s := newScanner(r, b.lim, b.cs, b.problem)
	for ev := s.next(); ev != evDone; ev = s.next() {
		b.event(s, ev)
	}
	if s.readFailed {
		b.problem("reading stopped early")
	}
	return b.finish()
}

// firstFrame names the function that panicked.
func firstFrame(stack []byte) string {
	lines := strings.Split(string(stack), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "panic(") && i+2 < len(lines) {
			name, _, _ := strings.Cut(lines[i+2], "(")
			return name
		}
	}
	return "panic"
}

// problem records what went wrong, each kind once.
func (b *builder) problem(text string) {
	b.v.Partial = true
	if len(b.v.Problems) >= 20 {
		return
	}
	for _, p := range b.v.Problems {
		if p == text {
			return
		}
	}
	b.v.Problems = append(b.v.Problems, text)
}

func (b *builder) event(s *scanner, ev eventKind) {
	switch ev {
	case evOpen:
		b.header(s)
		b.open(s)
	case evClose:
		b.close(s.endAt)
	case evLeaf:
		b.header(s)
		b.child()
		if s.part.message() && s.part.encoding != identity && b.opened < maxOpened && b.nested < maxNested {
			b.message(s)
			return
		}
		if b.buf == nil {
			b.buf = make([]byte, 0, min(4<<10, s.br.Size()))
		}
		b.begin(s.part)
	case evBody:
		b.add(s.eol, s.chunk)
	case evLeafEnd:
		b.end()
	case evPreamble:
		if g := b.top(); g != nil && g.children == 0 {
			if room := int(b.lim.Text) - len(g.preamble); len(s.eol)+len(s.chunk) <= room {
				g.preamble = append(append(g.preamble, s.eol...), s.chunk...)
			}
		}
	}
}

func (b *builder) top() *group {
	if len(b.groups) == 0 {
		return nil
	}
	return &b.groups[len(b.groups)-1]
}

// header uses a message's own header. The outermost becomes the view. An
// attached message's subject may name its attachment.
func (b *builder) header(s *scanner) {
	if !b.begun {
		b.begun = true
		if b.late = inTextCharset(s.fields); b.late == nil {
			b.fields(s.fields)
		}
		return
	}
	if g := b.top(); g != nil && g.message && g.children == 0 && g.attachment >= 0 {
		a := &b.v.Attachments[g.attachment]
		for _, f := range s.fields {
			if f.name == fieldSubject && a.Name == "" {
				if subject := clip(b.cs.header(string(f.body[:min(len(f.body), maxParam)])), 200); subject != "" {
					a.Name = subject + ".eml"
				}
			}
		}
	}
}

func (b *builder) child() {
	if g := b.top(); g != nil {
		if g.children++; g.children == 1 {
			g.preamble = nil
		}
	}
}

func (b *builder) open(s *scanner) {
	b.child()
	g := group{start: len(b.text), html: len(b.waiting), attachment: -1}
	if s.part.message() {
		g.message = true
		g.attachment, g.offset = b.attach(s.part), s.bodyAt()
	} else {
		g.alternative = s.part.mediaType == "multipart/alternative"
		g.related = s.part.mediaType == "multipart/related"
	}
	b.groups = append(b.groups, g)
}

// attach lists an attachment and returns its index; -1: the list is full.
func (b *builder) attach(p part) int {
	if len(b.v.Attachments) >= b.lim.Attachments {
		b.problem("more attachments than are listed")
		return -1
	}
	a := b.attachment(p)
	b.v.HasAttachment = b.v.HasAttachment || counts(a)
	b.v.Attachments = append(b.v.Attachments, a)
	return len(b.v.Attachments) - 1
}

// attachment describes a part as an attachment of the open groups.
func (b *builder) attachment(p part) Attachment {
	inline := p.inline && p.contentID != ""
	for i := range b.groups {
		g := &b.groups[i]
		inline = inline || (!p.attachment && (g.related && p.contentID != "" || g.alternative && !g.message))
	}
	return Attachment{Path: p.path, Name: p.name, Type: p.mediaType, Inline: inline, ContentID: p.contentID}
}

// counts reports whether an attachment is one that a person looks for.
func counts(a Attachment) bool { return !a.Inline && !signature(a.Type) }

func signature(mediaType string) bool {
	switch mediaType {
	case "application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature",
		"application/pgp-encrypted", "message/delivery-status", "message/disposition-notification",
		"text/rfc822-headers":
		return true
	}
	return false
}

// begin decides what happens to a leaf.
func (b *builder) begin(p part) {
	b.leaf, b.size, b.cut, b.buf = p, 0, false, b.buf[:0]
	b.codec = transfer{kind: p.encoding}
	b.uu, b.file = uuScan{data: b.uu.data[:0]}, -1
	b.sink = b.sinkOf(p)
}

func (b *builder) sinkOf(p part) sink {
	minor, isText := strings.CutPrefix(p.mediaType, "text/")
	switch {
	case !isText || p.attachment || p.encoding == uuencoded:
		return toSize
	case minor == "plain" && (p.name == "" || len(b.text) == 0 || b.body()):
		return toText
	case minor == "html" && (p.name == "" || len(b.text) == 0 || b.body()):
		if alt := b.alternative(); alt != nil && alt.plain >= enoughPlain && !b.whole {
			return toNothing
		}
		return toHTML
	case minor == "plain" || minor == "html":
		return toSize
	case p.name == "" && prose(minor) && b.alternative() == nil:
		return toText
	case b.spare == nil && len(b.text) == 0:
		return toSpare
	}
	return toSize
}

// body reports whether the leaf is in a place of the message's own text, even if
// it has a name: an alternative, or the root of a multipart/related.
func (b *builder) body() bool {
	g := b.top()
	return g != nil && (g.alternative || g.related && g.children == 1)
}

// alternative returns the innermost open multipart/alternative of this message.
func (b *builder) alternative() *group {
	for i := len(b.groups) - 1; i >= 0; i-- {
		if g := &b.groups[i]; g.alternative {
			return g
		} else if g.message {
			return nil
		}
	}
	return nil
}

// add takes more bytes of a leaf.
func (b *builder) add(eol string, chunk []byte) {
	switch b.sink {
	case toNothing:
	case toSize:
		b.count(eol, chunk)
	case toText, toSpare:
		b.keep(eol, chunk, b.lim.Text-int64(len(b.text)))
	case toHTML:
		b.keep(eol, chunk, b.lim.HTML-b.html)
	}
}

// keep adds to the text of a leaf. Line ends of unencoded text become \n already
// here. Text that is too long is cut, unless it is no text.
func (b *builder) keep(eol string, chunk []byte, limit int64) {
	if b.cut {
		return
	}
	if int64(len(b.buf)) >= limit {
		if b.sink == toSpare || b.uu.files == 0 && noText(b.buf) {
			b.sink = toSize
			b.count(eol, chunk)
			return
		}
		b.cut = true
		b.problem("text cut")
		return
	}
	if b.codec.kind == identity && eol == "\r\n" {
		eol = "\n"
		b.size++
	}
	before := len(b.buf)
	b.buf = b.codec.add(b.buf, eol, chunk)
	b.size += int64(len(b.buf) - before)
	if b.sink == toText && bytes.IndexByte(b.buf[before:], '\n') >= 0 { // no line ends otherwise
		b.buf = b.uu.lines(b.buf, false, b)
	}
}

// count adds to the size of a leaf without keeping it.
func (b *builder) count(eol string, chunk []byte) {
	if b.codec.kind == identity {
		b.size += int64(len(eol) + len(chunk))
		return
	}
	b.buf = b.codec.add(b.buf[:0], eol, chunk)
	b.size += int64(len(b.buf))
}

// uuFile lists a uuencoded file that begins in the text.
func (b *builder) uuFile(name string) {
	b.file = b.attach(part{
		path: uuPath(b.leaf.path, b.uu.files), mediaType: "application/octet-stream", attachment: true,
		name: clip(b.cs.header(name), 255),
	})
}

func (b *builder) uuBytes(data []byte) {
	if b.file >= 0 {
		b.v.Attachments[b.file].Size += int64(len(data))
	}
}

// end finishes a leaf.
func (b *builder) end() {
	switch b.sink {
	case toNothing:
		return
	case toSize:
		b.size += int64(len(b.codec.flush(b.buf[:0])))
		b.attachLeaf()
		if len(b.groups) == 0 {
			b.footer()
		}
		return
	}
	before := len(b.buf)
	b.buf = b.codec.flush(b.buf)
	b.size += int64(len(b.buf) - before)
	if noText(b.buf) && b.uu.files == 0 {
		b.attachLeaf()
		return
	}
	if b.sink == toText {
		b.buf = b.uu.lines(b.buf, true, b)
	}
	if limit := b.lim.Text; int64(len(b.buf)) > limit && b.sink != toHTML {
		b.buf = b.buf[:limit]
	}
	charset := b.leaf.charset
	switch b.sink {
	case toText:
		text := b.cs.toUTF8(b.buf, charset)
		if b.leaf.flowed {
			text = unflow(text, b.leaf.delSp)
		}
		b.plain(cleanText(readable(b.leaf.mediaType, text)))
		b.footer()
	case toSpare:
		b.spare = &spare{attachment: b.attachment(b.leaf), at: len(b.v.Attachments)}
		b.spare.attachment.Size = b.size
		b.spare.text = cleanText(readable(b.leaf.mediaType, b.cs.toUTF8(b.buf, charset)))
	case toHTML:
		if label := charsetOf(charset); label.kind == unlabelled || label.kind == utf8Label && !utf8.Valid(b.buf) {
			meta := metaCharset(b.buf)
			b.cs.declare(meta)
			if label.kind == unlabelled {
				charset = meta
			}
		}
		b.html += int64(len(b.buf))
		b.page(b.cs.toUTF8(b.buf, charset))
		b.footer()
	}
	b.settle()
}

// attachLeaf lists the leaf as an attachment.
func (b *builder) attachLeaf() {
	if b.leaf.name == "" && b.codec.name != "" {
		b.leaf.name = clip(b.cs.header(b.codec.name), 255)
	}
	if i := b.attach(b.leaf); i >= 0 {
		b.v.Attachments[i].Size = b.size
	}
}

// footer adds what follows the base64 of a leaf, if it is more than a rule.
func (b *builder) footer() {
	text := cleanText(b.cs.toUTF8(b.codec.footer, ""))
	if strings.ContainsFunc(text, unicode.IsLetter) && !noText(b.codec.footer) {
		b.plain(text)
	}
}

// finish completes the view.
func (b *builder) finish() View {
	b.settle()
	b.useSpare()
	v := b.v
	v.Text = string(b.text)
	v.Preview = preview(v.Text)
	return v
}
