package message

import "io"

// Part finds the part with the given path. It returns a reader of its decoded
// bytes, which reads from r as it goes. Charsets are not converted. A
// message/rfc822 comes as its raw bytes. Attachment.Size is 0, because it is
// unknown before the end.
//
// false means that there is no such part; r has then been read to its end. If
// reading r fails, the returned reader reports it.
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

// partReader streams one leaf. It holds at most one line of it.
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
