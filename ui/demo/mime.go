package demo

import (
	"bytes"
	"fmt"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
)

// draft is a message before it becomes bytes.
type draft struct {
	from       person
	to, cc     []person
	subject    string
	date       time.Time
	id         string   // Message-ID without angle brackets
	references []string // oldest first; the last one is the parent
	text, html string
	own        string // text without the quotation
	list       string // List-Id of a newsletter
	files      []file
}

// file is an attachment.
type file struct {
	name, mediaType string
	body            []byte
}

// leaf is a body part that is not multipart.
type leaf struct {
	header message.Header
	body   []byte
}

// bytes renders the draft as a MIME message. The boundaries come from the
// Message-ID, not from chance, so that a corpus is reproducible.
func (d *draft) bytes() ([]byte, error) {
	header := d.header()
	content := []leaf{textLeaf("text/plain", d.text)}
	if d.html != "" {
		content = append(content, textLeaf("text/html", d.html))
	}
	var buf bytes.Buffer
	if len(d.files) == 0 {
		if err := d.writeContent(&header.Header, content, func(h message.Header) (*message.Writer, error) {
			return message.CreateWriter(&buf, h)
		}); err != nil {
			return nil, fmt.Errorf("demo message %s: %w", d.id, err)
		}
		return buf.Bytes(), nil
	}
	if err := d.writeMixed(&buf, &header.Header, content); err != nil {
		return nil, fmt.Errorf("demo message %s: %w", d.id, err)
	}
	return buf.Bytes(), nil
}

func (d *draft) header() mail.Header {
	var h mail.Header
	h.SetDate(d.date)
	h.SetSubject(d.subject)
	h.SetMessageID(d.id)
	h.SetAddressList("From", addresses([]person{d.from}))
	h.SetAddressList("To", addresses(d.to))
	if len(d.cc) > 0 {
		h.SetAddressList("Cc", addresses(d.cc))
	}
	if n := len(d.references); n > 0 {
		h.SetMsgIDList("In-Reply-To", d.references[n-1:])
		h.SetMsgIDList("References", d.references)
	}
	if d.list != "" {
		h.Set("List-Id", "<"+d.list+">")
		h.Set("List-Unsubscribe", "<mailto:leave@"+d.list+">")
		h.Set("Precedence", "bulk")
	}
	return h
}

// writeMixed writes the content followed by the attachments.
func (d *draft) writeMixed(buf *bytes.Buffer, h *message.Header, content []leaf) error {
	h.SetContentType("multipart/mixed", map[string]string{"boundary": "mixed-" + boundary(d.id)})
	w, err := message.CreateWriter(buf, *h)
	if err != nil {
		return err
	}
	if err := d.writeContent(&message.Header{}, content, w.CreatePart); err != nil {
		return err
	}
	for _, f := range d.files {
		var fh mail.AttachmentHeader
		fh.SetContentType(f.mediaType, nil)
		fh.SetFilename(f.name)
		fh.Set("Content-Transfer-Encoding", "base64")
		if err := writeLeaf(leaf{fh.Header, f.body}, w.CreatePart); err != nil {
			return err
		}
	}
	return w.Close()
}

// writeContent writes one text part, or text and HTML as alternatives,
// under h.
func (d *draft) writeContent(h *message.Header, content []leaf,
	create func(message.Header) (*message.Writer, error)) error {
	if len(content) == 1 {
		for field := content[0].header.Fields(); field.Next(); {
			h.Set(field.Key(), field.Value())
		}
		return writeLeaf(leaf{*h, content[0].body}, create)
	}
	h.SetContentType("multipart/alternative", map[string]string{"boundary": "alt-" + boundary(d.id)})
	w, err := create(*h)
	if err != nil {
		return err
	}
	for _, l := range content {
		if err := writeLeaf(l, w.CreatePart); err != nil {
			return err
		}
	}
	return w.Close()
}

func writeLeaf(l leaf, create func(message.Header) (*message.Writer, error)) error {
	w, err := create(l.header)
	if err != nil {
		return err
	}
	if _, err := w.Write(l.body); err != nil {
		return err
	}
	return w.Close()
}

func textLeaf(mediaType, text string) leaf {
	var h message.Header
	h.SetContentType(mediaType, map[string]string{"charset": "utf-8"})
	h.Set("Content-Transfer-Encoding", "quoted-printable")
	return leaf{h, bytes.ReplaceAll([]byte(text), []byte("\n"), []byte("\r\n"))}
}

func addresses(people []person) []*mail.Address {
	var list []*mail.Address
	for _, p := range people {
		list = append(list, &mail.Address{Name: p.name, Address: p.addr})
	}
	return list
}

// boundary keeps what RFC 2046 §5.1.1 allows without quotes.
func boundary(id string) string {
	var b []byte
	for i := 0; i < len(id) && len(b) < 40; i++ {
		if c := id[i]; c >= '0' && c <= '9' || c >= 'a' && c <= 'z' {
			b = append(b, c)
		}
	}
	return string(b)
}
