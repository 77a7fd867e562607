package cli

import (
	"context"
	"strings"
	"time"

	"mailcote/engine/message"
	"mailcote/storage"
	"mailcote/ui/view"
)

// messageView is `show --json`.
type messageView struct {
	Type    string     `json:"type"` // message
	ID      string     `json:"id"`
	Size    int64      `json:"size"`
	Copies  []copyView `json:"copies"`
	HasBody bool       `json:"has_body"`
	View    *readView  `json:"view"` // null until the body is here
}

// copyView is one place a message is in.
type copyView struct {
	Account string      `json:"account"`
	Mailbox string      `json:"mailbox"`
	UID     storage.UID `json:"uid"`
	Flags   []string    `json:"flags"`
}

// readView is what is read from the bytes of a message. What is absent or
// unreadable is null.
type readView struct {
	MessageID   *string       `json:"message_id"`
	InReplyTo   []string      `json:"in_reply_to"`
	References  []string      `json:"references"`
	Subject     *string       `json:"subject"`
	BaseSubject *string       `json:"base_subject"`
	From        []addressView `json:"from"`
	Sender      []addressView `json:"sender"`
	ReplyTo     []addressView `json:"reply_to"`
	To          []addressView `json:"to"`
	Cc          []addressView `json:"cc"`
	Bcc         []addressView `json:"bcc"`
	SentAt      *time.Time    `json:"sent_at"`
	ReceivedAt  *time.Time    `json:"received_at"`

	Text     string  `json:"text"` // without numbers of links
	FromHTML bool    `json:"from_html"`
	HTML     *string `json:"html,omitempty"` // only with --html; "" if there is none
	Preview  string  `json:"preview"`

	Links         []linkView `json:"links"`
	Parts         []partView `json:"parts"` // each part with a body
	Attachments   []partView `json:"attachments"`
	HasAttachment bool       `json:"has_attachment"` // at least one is neither inline nor a signature

	Partial  bool     `json:"partial"`
	Problems []string `json:"problems"`
}

type addressView struct {
	Name  *string `json:"name"`
	Email string  `json:"email"`
}

// linkView is a link; a line of `show --links --json` too.
type linkView struct {
	Type   string  `json:"type"` // link
	Number int     `json:"number"`
	Target string  `json:"target"`
	Text   *string `json:"text"`
}

// partView is a part or an attachment of a message.
type partView struct {
	Type      string  `json:"type"` // part
	Number    string  `json:"number"`
	MediaType string  `json:"media_type"`
	Name      *string `json:"name"`
	Size      int64   `json:"size"` // decoded bytes
	Inline    bool    `json:"inline"`
	ContentID *string `json:"content_id"`
}

// fileView is a file that `show --save --json` wrote.
type fileView struct {
	Type      string  `json:"type"` // file
	Path      string  `json:"path"`
	Size      int64   `json:"size"`
	Number    string  `json:"number"`
	MediaType string  `json:"media_type"`
	Name      *string `json:"name"` // as the sender wrote it
}

func viewMessage(ctx context.Context, s *storage.Store, id storage.EmailID, m view.Message, html bool) (messageView,
	error) {
	v := messageView{Type: "message", ID: string(id), Size: m.Copies[0].Size, HasBody: m.HasBody}
	for _, one := range m.Copies {
		v.Copies = append(v.Copies, copyView{one.AccountName, one.MailboxPath, one.UID,
			list(strings.Fields(string(one.Flags)))})
	}
	if !m.HasBody {
		return v, nil
	}
	parts, err := view.Parts(ctx, s, id)
	w := m.View
	v.View = &readView{MessageID: known(w.MessageID), InReplyTo: list(w.InReplyTo), References: list(w.References),
		Subject: known(w.Subject), BaseSubject: known(w.BaseSubject),
		From: viewAddresses(w.From), Sender: viewAddresses(w.Sender), ReplyTo: viewAddresses(w.ReplyTo),
		To: viewAddresses(w.To), Cc: viewAddresses(w.Cc), Bcc: viewAddresses(w.Bcc),
		SentAt: some(w.SentDate), ReceivedAt: some(w.ReceivedDate),
		Text: w.Text, FromHTML: w.FromHTML, Preview: w.Preview,
		Links: viewLinks(w.Links), Parts: viewParts(parts), Attachments: viewParts(w.Attachments),
		HasAttachment: w.HasAttachment, Partial: w.Partial, Problems: list(w.Problems)}
	if html {
		v.View.HTML = &w.HTML
	}
	return v, err
}

// known is a string for JSON; nil for "".
func known(s string) *string {
	if s == "" {
		return nil
	}
	return &s
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
		views[i] = addressView{known(one.Name), one.Email}
	}
	return views
}

func viewLinks(all []message.Link) []linkView {
	views := make([]linkView, len(all))
	for i, one := range all {
		views[i] = linkView{"link", i + 1, one.Target, known(one.Text)}
	}
	return views
}

func viewParts(all []message.Attachment) []partView {
	views := make([]partView, len(all))
	for i, one := range all {
		views[i] = partView{"part", one.Path, one.Type, known(one.Name), one.Size, one.Inline, known(one.ContentID)}
	}
	return views
}
