package script

import (
	"bytes"
	"crypto/sha256"
	"io"
	"slices"
	"strings"
	"time"
)

// Model is what the server holds. Touch it inside Server.Change only.
type Model struct {
	Boxes []*Box
}

// Box is one mailbox. Messages are by ascending UID.
type Box struct {
	Name        string // as on the wire
	Attrs       string // such as `\Sent \HasNoChildren`
	ObjectID    string // MAILBOXID, for servers with OBJECTID
	UIDValidity uint32
	UIDNext     uint32
	ModSeq      uint64 // HIGHESTMODSEQ
	Messages    []Message
}

// Message is one message.
type Message struct {
	UID    uint32
	Flags  string // separated by spaces
	Date   time.Time
	Dated  string // what INTERNALDATE says instead of Date; "-": nothing
	ModSeq uint64
	Raw    []byte
	Source *Source // in place of Raw, for messages too large to hold
}

// Source is a message made while it is sent: Head, then Pattern over and over, cut at Size bytes.
type Source struct {
	Head, Pattern []byte
	Size          int64
}

// Write writes the n bytes from an offset.
func (s *Source) Write(w io.Writer, from, n int64) error {
	for n > 0 {
		part := s.Head
		if at := from - int64(len(s.Head)); at >= 0 {
			part = s.Pattern[at%int64(len(s.Pattern)):]
		} else {
			part = part[from:]
		}
		part = part[:min(int64(len(part)), n)]
		if _, err := w.Write(part); err != nil {
			return err
		}
		from, n = from+int64(len(part)), n-int64(len(part))
	}
	return nil
}

// Sum is the SHA-256 of the message.
func (m Message) Sum() [sha256.Size]byte {
	h := sha256.New()
	m.write(h, 0, m.size())
	return [sha256.Size]byte(h.Sum(nil))
}

// header is the message up to the empty line behind its header, and with it.
func (m Message) header() []byte {
	raw := m.Raw
	if m.Source != nil {
		raw = m.Source.Head
	}
	if end := bytes.Index(raw, []byte("\r\n\r\n")); end >= 0 {
		return raw[:end+4]
	}
	return raw
}

func (m Message) size() int64 {
	if m.Source != nil {
		return m.Source.Size
	}
	return int64(len(m.Raw))
}

// write writes a part of the message; an error shows at the connection's next flush.
func (m Message) write(w io.Writer, from, n int64) {
	if m.Source != nil {
		_ = m.Source.Write(w, from, n)
		return
	}
	_, _ = w.Write(m.Raw[from : from+n])
}

// Box finds a mailbox and makes it where it is missing.
func (m *Model) Box(name string) *Box {
	for _, b := range m.Boxes {
		if b.Name == name {
			return b
		}
	}
	b := &Box{Name: name, UIDValidity: 1000, UIDNext: 1, ModSeq: 1}
	m.Boxes = append(m.Boxes, b)
	return b
}

// Drop removes a mailbox.
func (m *Model) Drop(name string) {
	m.Boxes = slices.DeleteFunc(m.Boxes, func(b *Box) bool { return b.Name == name })
}

// AddSource appends a message that is made while it is sent.
func (b *Box) AddSource(source *Source, flags ...string) uint32 {
	uid := b.Add(nil, flags...)
	b.Messages[len(b.Messages)-1].Source = source
	return uid
}

// Add appends a message and gives its UID.
func (b *Box) Add(raw []byte, flags ...string) uint32 {
	b.ModSeq++
	uid := b.UIDNext
	b.UIDNext++
	b.Messages = append(b.Messages, Message{UID: uid, Flags: strings.Join(flags, " "), ModSeq: b.ModSeq, Raw: raw,
		Date: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(uid) * time.Minute)})
	return uid
}

// Flag replaces a message's flags.
func (b *Box) Flag(uid uint32, flags ...string) {
	for i := range b.Messages {
		if b.Messages[i].UID == uid {
			b.ModSeq++
			b.Messages[i].Flags, b.Messages[i].ModSeq = strings.Join(flags, " "), b.ModSeq
		}
	}
}

// Expunge removes messages.
func (b *Box) Expunge(uids ...uint32) {
	b.ModSeq++
	b.Messages = slices.DeleteFunc(b.Messages, func(m Message) bool { return slices.Contains(uids, m.UID) })
}

// Renumber starts another generation: the same messages under other UIDs.
func (b *Box) Renumber(validity, first uint32) {
	b.UIDValidity, b.UIDNext = validity, first
	for i := range b.Messages {
		b.Messages[i].UID = b.UIDNext
		b.UIDNext++
	}
}

// unseen counts the messages without \Seen.
func (b *Box) unseen() (n int) {
	for _, m := range b.Messages {
		if !slices.Contains(strings.Fields(m.Flags), `\Seen`) {
			n++
		}
	}
	return n
}

func (b *Box) uids() []uint32 {
	all := make([]uint32, len(b.Messages))
	for i, m := range b.Messages {
		all[i] = m.UID
	}
	return all
}
