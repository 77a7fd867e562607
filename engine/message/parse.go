package message

import (
	"io"
	"runtime/debug"
	"strings"
)

// Parse reads a whole message and returns its view. It is total: every input
// gives a view, and Problems names what could not be read. r is always read to
// its end; a failed read is a problem too. Time is linear in the bytes, and
// memory is bounded by lim whatever r holds.
func Parse(r io.Reader, lim Limits) (v View) {
	b := builder{lim: lim.orDefaults(), cs: newCharsets()}
	defer func() {
		if p := recover(); p != nil { // a bug here or in a decoder must not stop a mailbox
			b.problem("bug: " + firstFrame(debug.Stack()))
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

// sink is what happens to a leaf's bytes.
type sink uint8

const (
	toNothing sink = iota
	toText
	toHTML
	toSize // only counted, for an attachment
)

// group is an open container, as far as text is concerned.
type group struct {
	alternative bool
	related     bool
	message     bool
	children    int
	start       int // length of the text at its beginning
	plain       int // alternative: bytes of plain text in it
	html        int // alternative: where its HTML begins in builder.waiting
	preamble    []byte
	attachment  int   // message: its index in Attachments; -1: not listed
	offset      int64 // message: offset of its first byte
}

// enoughPlain is the length from which a plain alternative is trusted. A
// shorter one may only say that the program cannot show HTML.
const enoughPlain = 256

// builder turns the scanner's events into a view.
type builder struct {
	lim    Limits
	cs     *charsets
	v      View
	begun  bool
	groups []group

	sink  sink
	leaf  part
	codec transfer
	buf   []byte // decoded bytes of the leaf
	size  int64
	text  []byte
	html  int64 // bytes of HTML kept so far

	// waiting is the HTML of the open alternatives that may still be needed,
	// outer before inner. What an inner one does not use stays for the one
	// around it.
	waiting []byte
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
		b.fields(s.fields)
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
		g.attachment, g.offset = b.attach(s.part), s.offset
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
	inline := p.inline && p.contentID != ""
	for i := range b.groups {
		g := &b.groups[i]
		inline = inline || (!p.attachment && (g.related && p.contentID != "" || g.alternative && !g.message))
	}
	if !inline && !signature(p.mediaType) {
		b.v.HasAttachment = true
	}
	b.v.Attachments = append(b.v.Attachments, Attachment{
		Path: p.path, Name: p.name, Type: p.mediaType, Inline: inline, ContentID: p.contentID,
	})
	return len(b.v.Attachments) - 1
}

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
	b.leaf, b.size, b.buf = p, 0, b.buf[:0]
	b.codec = transfer{kind: p.encoding}
	isText := p.mediaType == "text/plain" || p.mediaType == "text/html" || p.mediaType == "text"
	switch {
	case !isText || p.attachment || (p.name != "" && len(b.text) > 0):
		b.sink = toSize
	case p.mediaType == "text/html":
		b.sink = toHTML
		if alt := b.alternative(); alt != nil && alt.plain >= enoughPlain {
			b.sink = toNothing
		}
	default:
		b.sink = toText
	}
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

// add takes more bytes of a leaf. Line ends of unencoded text become \n already
// here.
func (b *builder) add(eol string, chunk []byte) {
	switch b.sink {
	case toNothing:
	case toSize:
		b.count(eol, chunk)
	case toText:
		b.keep(eol, chunk, b.lim.Text-int64(len(b.text)))
	case toHTML:
		b.keep(eol, chunk, b.lim.HTML-b.html)
	}
}

func (b *builder) keep(eol string, chunk []byte, limit int64) {
	if b.codec.kind == identity && eol == "\r\n" {
		eol = "\n"
	}
	if int64(len(b.buf)) >= limit {
		b.problem("text cut")
		return
	}
	if eol != "" {
		b.buf = b.codec.append(b.buf, []byte(eol))
	}
	b.buf = b.codec.append(b.buf, chunk)
}

// count adds to the size of a leaf without keeping it.
func (b *builder) count(eol string, chunk []byte) {
	if b.codec.kind == identity {
		b.size += int64(len(eol) + len(chunk))
		return
	}
	if eol != "" && b.codec.kind == quotedPrintable {
		b.buf = b.codec.append(b.buf[:0], []byte(eol))
		b.size += int64(len(b.buf))
	}
	b.buf = b.codec.append(b.buf[:0], chunk)
	b.size += int64(len(b.buf))
}

// end finishes a leaf.
func (b *builder) end() {
	switch b.sink {
	case toNothing:
		return
	case toSize:
		b.size += int64(len(b.codec.flush(b.buf[:0])))
		if i := b.attach(b.leaf); i >= 0 {
			b.v.Attachments[i].Size = b.size
		}
		return
	}
	b.buf = b.codec.flush(b.buf)
	if limit := b.lim.Text; int64(len(b.buf)) > limit && b.sink == toText {
		b.buf = b.buf[:limit]
	}
	charset := b.leaf.charset
	if b.sink == toText {
		b.plain(cleanText(b.cs.toUTF8(b.buf, charset)))
		return
	}
	if charset == "" {
		charset = metaCharset(b.buf)
	}
	b.html += int64(len(b.buf))
	page := b.cs.toUTF8(b.buf, charset)
	if b.alternative() != nil {
		b.waiting = append(b.waiting, page...)
		return
	}
	b.reduced(htmlText(page, int(b.lim.Text)-len(b.text)))
}

// plain adds plain text and counts it for every alternative around it.
func (b *builder) plain(text string) {
	for i := range b.groups {
		b.groups[i].plain += len(text)
	}
	b.write(text)
}

// write adds a piece of text after an empty line.
func (b *builder) write(text string) {
	if text == "" || int64(len(b.text)) >= b.lim.Text {
		return
	}
	if len(b.text) > 0 {
		b.text = append(b.text, '\n', '\n')
	}
	if room := int(b.lim.Text) - len(b.text); len(text) > room {
		b.problem("text cut")
		text = strings.ToValidUTF8(text[:max(room, 0)], "")
	}
	b.text = append(b.text, text...)
}

// close ends a container whose bytes end at an offset.
func (b *builder) close(end int64) {
	g := b.groups[len(b.groups)-1]
	b.groups = b.groups[:len(b.groups)-1]
	if g.attachment >= 0 {
		b.v.Attachments[g.attachment].Size = max(end-g.offset, 0)
	}
	if g.children == 0 && !g.message {
		b.problem("multipart without parts")
		b.plain(cleanText(b.cs.toUTF8(g.preamble, "")))
	}
	if !g.alternative || len(b.waiting) == g.html || g.plain == 0 && b.alternative() != nil {
		return
	}
	page := b.waiting[g.html:]
	b.waiting = b.waiting[:g.html]
	if g.plain >= enoughPlain {
		return
	}
	text := htmlText(string(page), int(b.lim.Text)-g.start)
	if len(text) > 3*g.plain {
		b.text = b.text[:g.start]
		b.reduced(text)
	}
}

// reduced adds text that was HTML.
func (b *builder) reduced(text string) {
	b.v.FromHTML = b.v.FromHTML || text != ""
	b.write(text)
}

// finish completes the view.
func (b *builder) finish() View {
	v := b.v
	v.Text = string(b.text)
	v.Preview = preview(v.Text)
	return v
}

// cleanText makes line ends \n, drops NUL and all other control characters
// except tab, and trims white space around the text.
func cleanText(s string) string {
	s = strings.Trim(s, " \t\r\n\x00")
	bad := false
	for i := 0; i < len(s) && !bad; i++ {
		bad = (s[i] < ' ' && s[i] != '\n' && s[i] != '\t') || s[i] == 0x7f
	}
	if !bad {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\r' && i+1 < len(s) && s[i+1] == '\n':
		case c == '\r' || c == '\f':
			out = append(out, '\n')
		case (c < ' ' && c != '\n' && c != '\t') || c == 0x7f:
		default:
			out = append(out, c)
		}
	}
	return string(out)
}
