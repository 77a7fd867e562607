package cli

import (
	"context"
	"strings"

	"mailcote/engine/message"
	"mailcote/storage"
	"mailcote/ui/cli/answer"
	"mailcote/ui/view"
)

// messageView is `show --json`.
type messageView struct {
	Type    string     `json:"type"`     // always "message"
	ID      string     `json:"id"`       // what search prints
	Size    int64      `json:"size"`     // of the raw message
	Copies  []copyView `json:"copies"`   // the places that it is in
	HasBody bool       `json:"has_body"` // false: only its headers are here
	View    *readView  `json:"view"`     // what can be read of it; null until the body is here
}

// copyView is one place a message is in.
type copyView struct {
	Type    string      `json:"type"`    // always "copy"
	Account string      `json:"account"` // the name of an account
	Mailbox string      `json:"mailbox"` // a mailbox that has the message
	UID     storage.UID `json:"uid"`     // its UID there
	Flags   []string    `json:"flags"`   // IMAP flags and keywords
}

// readView is what is read from the bytes of a message. What is absent or
// unreadable is null.
type readView struct {
	Type        string        `json:"type"`         // always "view"
	MessageID   answer.Text   `json:"message_id"`   // without angle brackets
	InReplyTo   []string      `json:"in_reply_to"`  // ids that it answers
	References  []string      `json:"references"`   // ids that it refers to
	Subject     answer.Text   `json:"subject"`      // decoded
	BaseSubject answer.Text   `json:"base_subject"` // RFC 5256, lower case
	From        []addressView `json:"from"`         // who wrote it
	Sender      []addressView `json:"sender"`       // who sent it for them
	ReplyTo     []addressView `json:"reply_to"`     // where answers go
	To          []addressView `json:"to"`           // recipients
	Cc          []addressView `json:"cc"`           // recipients of a copy
	Bcc         []addressView `json:"bcc"`          // hidden recipients
	SentAt      answer.Time   `json:"sent_at"`      // the Date field
	ReceivedAt  answer.Time   `json:"received_at"`  // the topmost Received field

	Text     string  `json:"text"`      // without numbers of links
	FromHTML bool    `json:"from_html"` // some of the text was HTML
	HTML     *string `json:"html"`      // with --html, "" if there is none; null without --html
	Preview  string  `json:"preview"`   // one line

	Links         []linkView `json:"links"`          // as --links lists them
	Parts         []partView `json:"parts"`          // each part with a body
	Attachments   []partView `json:"attachments"`    // the parts that are not its text
	HasAttachment bool       `json:"has_attachment"` // at least one is neither inline nor a signature

	Partial  bool     `json:"partial"`  // something was cut or could not be read
	Problems []string `json:"problems"` // what
}

type addressView struct {
	Type  string      `json:"type"`  // always "address"
	Name  answer.Text `json:"name"`  // decoded
	Email string      `json:"email"` // the address as written
}

// linkView is a link; a line of `show --links --json` too.
type linkView struct {
	Type   string      `json:"type"`   // always "link"
	Number int         `json:"number"` // as in the text
	Target string      `json:"target"` // where it leads
	Text   answer.Text `json:"text"`   // what it says
}

// partView is a part or an attachment of a message.
type partView struct {
	Type      string      `json:"type"`       // always "part"
	Number    string      `json:"number"`     // IMAP part number, for --part
	MediaType string      `json:"media_type"` // lower case
	Name      answer.Text `json:"name"`       // as the sender wrote it
	Size      int64       `json:"size"`       // decoded bytes
	Inline    bool        `json:"inline"`     // to be shown within the text
	ContentID answer.Text `json:"content_id"` // what the HTML calls it
}

// fileView is a file that `show --save --json` wrote.
type fileView struct {
	Type      string      `json:"type"`       // always "file"
	Path      string      `json:"path"`       // of the file
	Size      int64       `json:"size"`       // of the file
	Number    string      `json:"number"`     // IMAP part number
	MediaType string      `json:"media_type"` // lower case
	Name      answer.Text `json:"name"`       // as the sender wrote it
}

func viewMessage(ctx context.Context, s *storage.Store, id storage.EmailID, m view.Message, html bool) (messageView,
	error) {
	v := messageView{Type: "message", ID: string(id), Size: m.Copies[0].Size, HasBody: m.HasBody}
	for _, one := range m.Copies {
		v.Copies = append(v.Copies, copyView{"copy", one.AccountName, one.MailboxPath, one.UID,
			strings.Fields(string(one.Flags))})
	}
	if !m.HasBody {
		return v, nil
	}
	parts, err := view.Parts(ctx, s, id)
	w := m.View
	v.View = &readView{Type: "view", MessageID: answer.Text(w.MessageID), InReplyTo: list(w.InReplyTo),
		References: list(w.References),
		Subject:    answer.Text(w.Subject), BaseSubject: answer.Text(w.BaseSubject),
		From: viewAddresses(w.From), Sender: viewAddresses(w.Sender), ReplyTo: viewAddresses(w.ReplyTo),
		To: viewAddresses(w.To), Cc: viewAddresses(w.Cc), Bcc: viewAddresses(w.Bcc),
		SentAt: answer.At(w.SentDate), ReceivedAt: answer.At(w.ReceivedDate),
		Text: w.Text, FromHTML: w.FromHTML, Preview: w.Preview,
		Links: viewLinks(w.Links), Parts: viewParts(parts), Attachments: viewParts(w.Attachments),
		HasAttachment: w.HasAttachment, Partial: w.Partial, Problems: list(w.Problems)}
	if html {
		v.View.HTML = &w.HTML
	}
	return v, err
}

// list is a list for JSON: an empty one is [] and not null.
func list[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

func viewAddresses(all []message.Address) []addressView {
	views := make([]addressView, len(all))
	for i, one := range all {
		views[i] = addressView{"address", answer.Text(one.Name), one.Email}
	}
	return views
}

func viewLinks(all []message.Link) []linkView {
	views := make([]linkView, len(all))
	for i, one := range all {
		views[i] = linkView{"link", i + 1, one.Target, answer.Text(one.Text)}
	}
	return views
}

func viewParts(all []message.Attachment) []partView {
	views := make([]partView, len(all))
	for i, one := range all {
		views[i] = partView{"part", one.Path, one.Type, answer.Text(one.Name), one.Size, one.Inline,
			answer.Text(one.ContentID)}
	}
	return views
}
