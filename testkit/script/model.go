package script

import (
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
	ModSeq uint64
	Raw    []byte
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

func (b *Box) uids() []uint32 {
	all := make([]uint32, len(b.Messages))
	for i, m := range b.Messages {
		all[i] = m.UID
	}
	return all
}
