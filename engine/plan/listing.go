package plan

import (
	"slices"
	"strings"
	"unicode/utf8"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/imap"
	"mailcote/storage"
)

// Inbox is the one name that every account has. Servers write it in any case
// (RFC 9051 §5.1).
const Inbox = "INBOX"

// IsInbox reports whether a mailbox name means INBOX.
func IsInbox(raw string) bool { return strings.EqualFold(raw, Inbox) }

// Remembered returns the mailboxes of the store as if the server had listed
// them.
func Remembered(stored []storage.Mailbox) (entries []imap.ListEntry) {
	for _, m := range stored {
		e := imap.ListEntry{Raw: m.Raw, Name: m.Path}
		if delim, n := utf8.DecodeRuneInString(m.Delimiter); n > 0 {
			e.Delim = delim
		}
		for _, attribute := range strings.Fields(m.Attributes) {
			e.Attrs = append(e.Attrs, goimap.MailboxAttr(attribute))
		}
		entries = append(entries, e)
	}
	return entries
}

// Describe makes the row of a listed mailbox.
func Describe(account storage.AccountID, entry imap.ListEntry) storage.Mailbox {
	var names []string
	selectable := true
	for _, attribute := range entry.Attrs {
		names = append(names, string(attribute))
		selectable = selectable && !noSelect(string(attribute))
	}
	if IsInbox(entry.Raw) {
		entry.Raw, entry.Name = Inbox, Inbox
	}
	m := storage.Mailbox{Account: account, Raw: entry.Raw, Path: entry.Name, Attributes: strings.Join(names, " "),
		Selectable: selectable}
	if entry.Delim != 0 {
		m.Delimiter = string(entry.Delim)
	}
	m.Role = Role(names, m.Path, m.Delimiter)
	m.Priority = Priority(m.Role)
	return m
}

// noSelect reports whether an attribute means that the mailbox cannot be
// opened.
func noSelect(attribute string) bool {
	return strings.EqualFold(attribute, `\Noselect`) || strings.EqualFold(attribute, `\NonExistent`)
}

// MassGone reports whether the mailboxes that a listing lacks hold most of the
// account's mail.
func MassGone(stored []storage.Mailbox, entries []imap.ListEntry) bool {
	listed := make(map[string]bool, len(entries))
	for _, entry := range entries {
		one := Describe(0, entry)
		listed[one.Raw] = listed[one.Raw] || one.Selectable
	}
	var gone, all int64
	for _, m := range stored {
		all += m.Total
		if !listed[m.Raw] {
			gone += m.Total
		}
	}
	return Mass(int(gone), int(all))
}

// Within leaves out new mailboxes once the store has the most it may have. The
// store never drops a mailbox that an incomplete listing lacks, so a server
// that lists other names each time would fill it.
func Within(most int, stored []storage.Mailbox, entries []imap.ListEntry) []imap.ListEntry {
	have := make(map[string]bool, most)
	for _, m := range stored {
		have[m.Raw] = true
	}
	return slices.DeleteFunc(entries, func(entry imap.ListEntry) bool {
		raw := Describe(0, entry).Raw
		if !have[raw] && len(have) >= most {
			return true
		}
		have[raw] = true
		return false
	})
}

// Union adds the mailboxes that only the other listing has. One listing may
// lack a mailbox by mistake.
func Union(entries, other []imap.ListEntry) []imap.ListEntry {
	have := make(map[string]bool, len(entries))
	for _, entry := range entries {
		have[entry.Raw] = true
	}
	for _, entry := range other {
		if !have[entry.Raw] {
			have[entry.Raw] = true
			entries = append(entries, entry)
		}
	}
	return entries
}
