package web

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"mailcote/engine/progress"
	"mailcote/ui/view"
)

// ProgressPath is where programs read a Progress.
const ProgressPath = "/progress.json"

// Progress is what changes on the overview. Programs read it too.
type Progress struct {
	Messages int64             `json:"messages"` // in the store
	Interval time.Duration     `json:"interval"` // between two passes
	Accounts []AccountProgress `json:"accounts"`
	Mail     bool              `json:"mail,omitempty"` // of an event: mail changed, lists are to be read again
}

// AccountProgress is one account's part.
type AccountProgress struct {
	ID          int64             `json:"id"`
	State       view.State        `json:"state"`
	Words       string            `json:"words"`
	Detail      string            `json:"detail"`
	LastSuccess time.Time         `json:"lastSuccess,omitzero"`
	Errors      int               `json:"errors"` // in 24 hours
	Quarantined int               `json:"quarantined"`
	Mailboxes   []MailboxProgress `json:"mailboxes"`
	Live        *progress.Account `json:"live,omitempty"` // what the running engine says, without mailboxes
}

// MailboxProgress is one mailbox's part.
type MailboxProgress struct {
	ID     int64  `json:"id"`
	Stored int64  `json:"stored"`
	Total  int64  `json:"total"`
	Unread int64  `json:"unread"`
	Note   string `json:"note,omitempty"` // what is special about it
}

// progress takes what changes out of an overview.
func (p *pages) progress(ctx context.Context) (Progress, error) {
	o, err := p.source.Overview(ctx)
	all := Progress{Messages: o.Messages, Interval: o.Interval, Accounts: make([]AccountProgress, 0, len(o.Accounts))}
	for _, a := range o.Accounts {
		one := AccountProgress{ID: a.ID, State: a.Standing.State, Words: stateWords(a), Detail: stateDetail(a),
			LastSuccess: a.LastSuccess, Errors: a.Errors, Quarantined: a.Quarantined,
			Mailboxes: make([]MailboxProgress, 0, len(a.Mailboxes))}
		if a.Live != nil {
			live := *a.Live
			live.Mailboxes = nil
			one.Live = &live
		}
		for _, m := range a.Mailboxes {
			one.Mailboxes = append(one.Mailboxes, MailboxProgress{ID: m.ID, Stored: m.Stored, Total: m.Total,
				Unread: m.Unread, Note: m.Note()})
		}
		all.Accounts = append(all.Accounts, one)
	}
	return all, err
}

// stateWords says a state in words, with the first letter large; the page
// never says it by colour alone.
func stateWords(a view.Account) string {
	words := a.Standing.Title()
	_, n := utf8.DecodeRuneInString(words)
	return strings.ToUpper(words[:n]) + words[n:]
}

// stateDetail is why, and what a person can do about it.
func stateDetail(a view.Account) string {
	if a.NextStep == "" || a.Standing.Cause == "" {
		return a.Standing.Cause + a.NextStep
	}
	return strings.TrimRight(a.Standing.Cause, ".") + ": " + a.NextStep
}
