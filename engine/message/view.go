package message

import "time"

// Limits bound what one parse may read, hold and report. A zero field means its
// default; see DefaultLimits.
type Limits struct {
	Depth       int   // nested multiparts and message/rfc822 that are opened; deeper ones are opaque parts
	Parts       int   // parts that are read; the rest is skipped
	Header      int64 // bytes kept of the message's header; of a part's header a sixteenth
	Text        int64 // total bytes of decoded text
	HTML        int64 // total bytes of decoded HTML, before it is reduced to text
	Addresses   int   // addresses kept per field
	References  int   // message ids kept per field
	Attachments int   // attachments listed
}

// DefaultLimits returns the limits that the engine uses. A parse under them
// allocates at most about 26 MiB in all, whatever the message does
// (TestMemory).
func DefaultLimits() Limits {
	return Limits{
		Depth:       100,
		Parts:       10_000,
		Header:      1 << 20,
		Text:        1 << 20,
		HTML:        2 << 20,
		Addresses:   1000,
		References:  1000,
		Attachments: 1000,
	}
}

// orDefaults fills in zero fields, so that Limits{} is usable.
func (l Limits) orDefaults() Limits {
	d := DefaultLimits()
	for _, p := range []struct{ have, want *int }{
		{&l.Depth, &d.Depth}, {&l.Parts, &d.Parts}, {&l.Addresses, &d.Addresses},
		{&l.References, &d.References}, {&l.Attachments, &d.Attachments},
	} {
		if *p.have <= 0 {
			*p.have = *p.want
		}
	}
	for _, p := range []struct{ have, want *int64 }{{&l.Header, &d.Header}, {&l.Text, &d.Text}, {&l.HTML, &d.HTML}} {
		if *p.have <= 0 {
			*p.have = *p.want
		}
	}
	return l
}

// Address is one mailbox of an address field. Name is decoded and may be empty.
// Email is as written, case included, but without white space. It may lack an
// "@".
type Address struct {
	Name, Email string
}

// Attachment is a part that is not the message's own text.
//
// Path is the IMAP part number ("2.1", RFC 9051 §6.4.5.1). A uuencoded file in
// the text of a part has the part's path and its own number, "2.1.u1". Name is
// decoded and at most 255 characters. It is only for display and may contain
// slashes, dots, anything. Type is lower case. Size counts decoded bytes. Inline
// means that the sender wants it shown within the text: it has disposition
// inline, or is an image that the HTML refers to.
type Attachment struct {
	Path       string
	Name, Type string
	Size       int64
	Inline     bool
	ContentID  string
}

// View is what mailcote shows and indexes of a message. Every string is valid
// UTF-8 without NUL. A view can be made again from the raw bytes at any time.
type View struct {
	MessageID   string   // without <>; "" when absent or unusable; ≤ 998 bytes
	InReplyTo   []string // ids without <>, in order, no duplicates
	References  []string // as InReplyTo; if there are too many, the first and the last are kept
	Subject     string   // decoded, one line
	BaseSubject string   // RFC 5256 §2.1 base subject, lower case, for comparison only

	From, Sender, ReplyTo, To, Cc, Bcc []Address

	SentDate     time.Time // Date field, UTC, in [1971, 9999); zero when absent or unreadable
	ReceivedDate time.Time // date of the topmost Received field, likewise

	Text     string // text/plain parts and reduced HTML, lines end in \n
	FromHTML bool   // some of Text was HTML
	Preview  string // ≤ 256 characters on one line, without quotes and signature where possible

	Attachments   []Attachment
	HasAttachment bool // at least one is neither inline nor a signature

	Partial  bool     // something was cut or could not be parsed; see Problems
	Problems []string // ≤ 20 short escaped lines, each kind once
}

// ThreadKeys returns the ids that join a message to a thread: its own, those it
// answers and those it refers to. They have no duplicates. A thread is the
// union of messages that share a key (RFC 8621 §3), so the order has no
// meaning.
func ThreadKeys(v View) []string {
	keys := make([]string, 0, 1+len(v.InReplyTo)+len(v.References))
	if v.MessageID != "" {
		keys = append(keys, v.MessageID)
	}
	keys = append(keys, v.InReplyTo...)
	keys = append(keys, v.References...)
	return dedupe(keys)
}

// dedupe removes repeated strings, in place.
func dedupe(ids []string) []string {
	if len(ids) < 2 {
		return ids
	}
	seen := make(map[string]struct{}, len(ids))
	kept := ids[:0]
	for _, id := range ids {
		if _, dup := seen[id]; dup {
			continue
		}
		seen[id] = struct{}{}
		kept = append(kept, id)
	}
	return kept
}
