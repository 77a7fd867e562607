package message

import (
	"io"
	"slices"
	"strings"
)

// Encoded messages that are opened, and how deep in each other. RFC 2046 §5.2.1
// forbids to encode a message, and some programs do.
const (
	maxOpened = 100
	maxNested = 8
)

// Part finds the part with the given path. It returns a reader of its decoded
// bytes, which reads from r as it goes. Charsets are not converted. A
// message/rfc822 comes as its raw bytes. Attachment.Size is 0, because it is
// unknown before the end. A name in raw 8-bit bytes may differ from that of the
// view, which knows the whole message.
//
// false means that there is no such part; r has then been read to its end. If
// reading r fails, the returned reader reports it.
func Part(r io.Reader, path string, lim Limits) (io.Reader, Attachment, bool) {
	s := newScanner(r, lim.orDefaults(), newCharsets(), func(string) {})
	s.opaque = path
	leaf, file, inText := cutUUPath(path)
	if !inText {
		leaf = path
	}
	for nested := 0; ; {
		ev := s.next()
		switch {
		case ev == evDone:
			return nil, Attachment{}, false
		case ev != evLeaf || path == "":
			continue
		case s.part.path == leaf:
		case s.part.message() && s.part.encoding != identity && nested < maxNested &&
			strings.HasPrefix(leaf, s.part.path+"."):
			nested++
			s = s.within()
			continue
		default:
			continue
		}
		if !inText {
			body, a := s.leaf()
			return body, a, true
		}
		body := &partReader{s: s, codec: transfer{kind: s.part.encoding}, file: file}
		body.fill() // the name stands in the content
		if body.uu.files < file {
			return nil, Attachment{}, false
		}
		return body, Attachment{
			Path: path, Name: clip(s.cs.header(body.name), 255), Type: "application/octet-stream",
		}, true
	}
}

// Parts visits every part with a body, in order, also those of attached
// messages. The reader gives its decoded bytes as Part does; it is valid until
// visit returns, and need not be read to its end. An attached message that is
// encoded and a text with uuencoded files are one part each. An error of visit
// ends the walk and is returned, and so is a failed read.
func Parts(r io.Reader, lim Limits, visit func(Attachment, io.Reader) error) error {
	s := newScanner(r, lim.orDefaults(), newCharsets(), func(string) {})
	for ev := s.next(); ev != evDone; ev = s.next() {
		if ev != evLeaf {
			continue
		}
		body, a := s.leaf()
		if err := visit(a, body); err != nil {
			return err
		}
	}
	if s.readFailed {
		return s.failure
	}
	return nil
}

// leaf reads the leaf that the scanner has come to.
func (s *scanner) leaf() (*partReader, Attachment) {
	p := s.part
	body := &partReader{s: s, codec: transfer{kind: p.encoding}}
	if p.encoding == uuencoded { // the name stands in the content
		body.fill()
	}
	a := Attachment{Path: p.path, Name: p.name, Type: p.mediaType, ContentID: p.contentID, Inline: p.inline}
	if a.Name == "" {
		a.Name = clip(s.cs.header(body.codec.name), 255)
	}
	return body, a
}

// within scans the message that is the encoded leaf at hand. It reads the leaf to
// its end.
func (s *scanner) within() *scanner {
	lim := s.lim
	lim.Depth = max(lim.Depth-len(s.stack), 1)
	lim.Parts = max(lim.Parts-s.parts, 1)
	in := newScanner(&partReader{s: s, codec: transfer{kind: s.part.encoding}}, lim, s.cs, s.problem)
	in.opaque = s.opaque
	in.stack = append(in.stack, frame{message: true, path: s.part.path})
	return in
}

// message opens a message that is transfer-encoded, as if it were not.
func (b *builder) message(s *scanner) {
	b.opened++
	b.nested++
	g := group{start: len(b.text), html: len(b.waiting), message: true, attachment: b.attach(s.part)}
	b.groups = append(b.groups, g)
	in := s.within()
	for ev := in.next(); ev != evDone; ev = in.next() {
		b.event(in, ev)
	}
	s.parts += in.parts
	b.nested--
}

// attached reports whether an attached message is open.
func (b *builder) attached() bool {
	return slices.ContainsFunc(b.groups, func(g group) bool { return g.message })
}

// partReader streams one leaf, or a file within its text. It holds at most one
// line of it.
type partReader struct {
	s     *scanner
	codec transfer
	buf   []byte
	off   int
	done  bool

	file int // the file to read, by its number; 0: the leaf itself
	uu   uuScan
	name string
	text []byte
}

func (p *partReader) Read(out []byte) (int, error) {
	if len(out) == 0 {
		return 0, nil
	}
	if p.fill(); p.off == len(p.buf) {
		if p.s.readFailed {
			return 0, p.s.failure
		}
		return 0, io.EOF
	}
	n := copy(out, p.buf[p.off:])
	p.off += n
	return n, nil
}

// fill reads on until there are bytes, or the leaf ends.
func (p *partReader) fill() {
	for p.off == len(p.buf) && !p.done {
		p.buf, p.off = p.buf[:0], 0
		if p.file == 0 {
			p.buf = p.more(p.buf)
			continue
		}
		p.text = p.more(p.text)
		p.text = p.uu.lines(p.text, p.done, p)
		p.text = p.text[:min(len(p.text), p.uu.mark+maxAhead)] // a longer line is none of a file
		if p.uu.state == uuNone {                              // what is no file is not needed
			p.text = append(p.text[:0], p.text[p.uu.mark:]...)
			p.uu.mark = 0
		}
	}
}

// more appends the next decoded bytes of the leaf.
func (p *partReader) more(dst []byte) []byte {
	if p.s.next() == evBody {
		return p.codec.add(dst, p.s.eol, p.s.chunk)
	}
	p.done = true
	return p.codec.flush(dst)
}

func (p *partReader) uuFile(name string) {
	if p.uu.files == p.file {
		p.name = name
	}
}

func (p *partReader) uuBytes(b []byte) {
	if p.uu.files == p.file {
		p.buf = append(p.buf, b...)
	}
}
