package view

import (
	"errors"
	"time"

	"mailcote/engine/message"
)

// ErrNotFound says that the mailbox or message does not exist (any more).
var ErrNotFound = errors.New("not found")

// QueryError says that a search cannot be understood; its text is shown to
// the person as it is.
type QueryError struct{ Reason string }

// Error is the reason.
func (e *QueryError) Error() string { return e.Reason }

// Overview is the state of the whole store.
type Overview struct {
	Accounts []Account
	Messages int64         // live messages in the store
	Interval time.Duration // between two passes
}

// ListQuery selects one page of messages.
type ListQuery struct {
	Mailbox int64  // 0 means every mailbox
	Search  string // the search language of the CLI; empty means all
	Before  string // MessageList.Next of the page before; empty starts
	Limit   int
}

// MessageList is one page, newest first.
type MessageList struct {
	Title   string // the mailbox's path when the query named one
	Account string
	Items   []MessageItem
	Next    string // cursor of the next page; empty at the end
}

// MessageItem is one line of a list.
type MessageItem struct {
	ID         string
	From       string // display name, or the address
	Subject    string
	Preview    string
	Date       time.Time
	Mailbox    string
	Unread     bool
	Flagged    bool
	Attachment bool
}

// MessageView is one message as text.
type MessageView struct {
	ID           string
	Subject      string
	From, To, Cc []Address
	ReplyTo      []Address
	Date         time.Time // of the Date header; zero if unreadable
	Received     time.Time // INTERNALDATE
	MessageID    string
	Size         int64 // octets of the raw message
	Mailboxes    []string
	Flags        []string
	Text         string // decoded body, UTF-8, with the numbers of links
	Links        []message.Link
	FromHTML     bool   // some of Text was reduced from HTML
	Note         string // why Text is missing or partial; may be empty
	Attachments  []Attachment
}

// Address is one correspondent.
type Address struct{ Name, Addr string }

// Attachment is a file of a message, by description only.
type Attachment struct {
	Number string // the IMAP part number
	Name   string
	Type   string
	Size   int64
}
