package message

import (
	"bytes"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// fields fills the view from the message's header. Of a repeated field the
// first usable one counts. Address lists add up.
func (b *builder) fields(fields []field) {
	v := &b.v
	for _, f := range fields {
		switch f.name {
		case fieldMessageID:
			if v.MessageID == "" {
				if ids := messageIDs(b.cs, string(f.body), 1); len(ids) > 0 {
					v.MessageID = ids[0]
				} else {
					v.MessageID = bareID(f.body)
				}
			}
		case fieldInReplyTo:
			v.InReplyTo = b.ids(v.InReplyTo, f.body)
		case fieldReferences:
			v.References = b.ids(v.References, f.body)
		case fieldSubject:
			if v.Subject == "" {
				body := f.body
				if len(body) > maxSubject {
					b.problem("subject cut")
					body = body[:maxSubject]
				}
				v.Subject = strings.Clone(b.cs.header(string(body)))
			}
		case fieldFrom:
			v.From = b.addresses(v.From, f.body)
		case fieldSender:
			v.Sender = b.addresses(v.Sender, f.body)
		case fieldReplyTo:
			v.ReplyTo = b.addresses(v.ReplyTo, f.body)
		case fieldTo:
			v.To = b.addresses(v.To, f.body)
		case fieldCc:
			v.Cc = b.addresses(v.Cc, f.body)
		case fieldBcc:
			v.Bcc = b.addresses(v.Bcc, f.body)
		case fieldDate:
			b.date(&v.SentDate, f.body, "unreadable date")
		case fieldReceived:
			if v.ReceivedDate.IsZero() {
				body := string(f.body)
				b.date(&v.ReceivedDate, []byte(body[strings.LastIndexByte(body, ';')+1:]), "")
			}
		}
	}
	v.BaseSubject = baseSubject(v.Subject)
}

// bareID reads a Message-ID that is one word without <> and "@". It is no valid
// one (RFC 5322 §3.6.4), but it names the message and answers refer to it.
func bareID(body []byte) string {
	words := bytes.Fields(withoutComments(body))
	if len(words) != 1 {
		return ""
	}
	id := cleanID(strings.Trim(string(words[0]), "<>"))
	if !strings.ContainsFunc(id, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		return ""
	}
	return id
}

// inTextCharset returns a copy of a header that has raw 8-bit text which is no
// UTF-8. Its charset is likely that of the text, which may be known only later.
// nil: the header can be read at once.
func inTextCharset(fields []field) []field {
	raw := false
	for _, f := range fields {
		raw = raw || !utf8.Valid(f.body)
	}
	if !raw {
		return nil
	}
	kept := make([]field, len(fields))
	for i, f := range fields {
		kept[i] = field{f.name, bytes.Clone(f.body)}
	}
	return kept
}

// settle reads a header that had to wait.
func (b *builder) settle() {
	late := b.late
	b.late = nil
	if late != nil {
		b.fields(late)
	}
}

// maxSubject bounds a subject, in bytes before decoding.
const maxSubject = 16 << 10

func (b *builder) date(to *time.Time, body []byte, problem string) {
	if !to.IsZero() {
		return
	}
	if t, ok := parseDate(string(body[:min(len(body), 256)])); ok {
		*to = t
	} else if problem != "" {
		b.problem(problem)
	}
}

func (b *builder) ids(have []string, body []byte) []string {
	if len(have) > 0 {
		return have
	}
	return messageIDs(b.cs, string(body), b.lim.References)
}

func (b *builder) addresses(have []Address, body []byte) []Address {
	list, dropped := addressList(b.cs, string(body), max(b.lim.Addresses-len(have), 0))
	if dropped > 0 {
		b.problem("more addresses than are kept")
	}
	if have == nil {
		return list
	}
	return append(have, list...)
}
