package message

import "io"

// Part finds the part with the given path and returns its decoded bytes, to be
// read from r while they are read from the result; charsets are left alone. A
// message/rfc822 comes as its raw bytes. The attachment's Size is 0: it is not
// known before the end. false means that there is no such part, and then r has
// been read to its end. A failed read of r surfaces as the result's error.
func Part(r io.Reader, path string, lim Limits) (io.Reader, Attachment, bool) {
	s := newScanner(r, lim.orDefaults(), newCharsets(), func(string) {})
	s.opaque = path
	for ev := s.next(); ev != evDone; ev = s.next() {
		if ev != evLeaf || s.part.path != path || path == "" {
			continue
		}
		p := s.part
		a := Attachment{Path: p.path, Name: p.name, Type: p.mediaType, ContentID: p.contentID, Inline: p.inline}
		return &partReader{s: s, codec: transfer{kind: p.encoding}}, a, true
	}
	return nil, Attachment{}, false
}

// partReader hands out one leaf. It holds no more than one line of it.
type partReader struct {
	s     *scanner
	codec transfer
	buf   []byte
	off   int
	done  bool
}

func (p *partReader) Read(out []byte) (int, error) {
	if len(out) == 0 {
		return 0, nil
	}
	for p.off == len(p.buf) {
		if p.done {
			if p.s.readFailed {
				return 0, p.s.failure
			}
			return 0, io.EOF
		}
		p.buf, p.off = p.buf[:0], 0
		if p.s.next() == evBody {
			p.buf = p.codec.append(p.buf, []byte(p.s.eol))
			p.buf = p.codec.append(p.buf, p.s.chunk)
			continue
		}
		p.done = true
		p.buf = p.codec.flush(p.buf)
	}
	n := copy(out, p.buf[p.off:])
	p.off += n
	return n, nil
}
