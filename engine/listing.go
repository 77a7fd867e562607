package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/plan"
	"mailcote/storage"
	"mailcote/storage/class"
)

// found is a mailbox as LIST and STATUS describe it.
type found struct {
	mailbox storage.Mailbox
	status  plan.Status
}

// remembered gives the mailboxes of the store as if they were listed.
func remembered(known []storage.Mailbox) (entries []imap.ListEntry) {
	for _, m := range known {
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

func isInbox(raw string) bool { return strings.EqualFold(raw, inboxName) }

// inbox asks for INBOX where a listing lacks it or says that it cannot be opened. It exists whatever LIST says
// (RFC 9051 §5.1). One that the server does not open is left out, unless it did open before and is not said to be
// gone.
func (d *discovery) inbox(ctx context.Context, s *imap.Session, known []storage.Mailbox, entries []imap.ListEntry) (
	[]imap.ListEntry, error) {
	var others []imap.ListEntry
	for _, e := range entries {
		if !isInbox(e.Raw) {
			others = append(others, e)
		} else if describe(0, e).mailbox.Selectable {
			return entries, nil
		}
	}
	selected, err := s.Examine(ctx, inboxName, false)
	if err == nil {
		return append(others, imap.ListEntry{Raw: inboxName, Name: inboxName, Status: &imap.StatusData{
			Messages: selected.Exists, HasMessages: true, UIDNext: selected.UIDNext,
			UIDValidity: selected.UIDValidity, HighestModSeq: selected.HighestModSeq,
		}}), nil
	}
	err = fault.In(fault.PhaseOpen, err)
	f := fault.Classify(err)
	if f.Words == "" && !fault.Declined(s, err, class.Mailbox) {
		return nil, err
	}
	opened := slices.ContainsFunc(known, func(m storage.Mailbox) bool {
		return m.Raw == inboxName &&
			m.UIDValidity != 0
	})
	if status := (*imap.StatusError)(nil); opened && errors.As(err, &status) && status.Code != "NONEXISTENT" {
		return append(others, imap.ListEntry{Raw: inboxName, Name: inboxName}), nil
	}
	if d.cut == "" && (f.Words != "" || f.Wait.Floor > 0) { // it is there, and later it may open
		d.cut = shut
	}
	f.Scope, f.Hint = "nothing", "the server neither lists nor opens INBOX; the other mailboxes are synced"
	d.account.health.Notice(f)
	return entries, nil
}

func describe(account storage.AccountID, entry imap.ListEntry) found {
	var names []string
	selectable := true
	for _, attribute := range entry.Attrs {
		names = append(names, string(attribute))
		selectable = selectable && !bars(string(attribute))
	}
	if isInbox(entry.Raw) { // the one name that servers write as they like (RFC 9051 §5.1)
		entry.Raw, entry.Name = inboxName, inboxName
	}
	m := storage.Mailbox{Account: account, Raw: entry.Raw, Path: entry.Name, Attributes: strings.Join(names, " "),
		Selectable: selectable}
	if entry.Delim != 0 {
		m.Delimiter = string(entry.Delim)
	}
	m.Role = plan.Role(names, m.Path, m.Delimiter)
	m.Priority = plan.Priority(m.Role)
	return found{mailbox: m}
}

// bars says whether an attribute means that there is no mail to open.
func bars(attribute string) bool {
	return strings.EqualFold(attribute, `\Noselect`) || strings.EqualFold(attribute, `\NonExistent`)
}

// mass says whether the mailboxes that a listing lacks hold most of the account's mail.
func mass(known []storage.Mailbox, entries []imap.ListEntry) bool {
	listed := make(map[string]bool, len(entries))
	for _, entry := range entries {
		one := describe(0, entry).mailbox
		listed[one.Raw] = listed[one.Raw] || one.Selectable
	}
	var gone, all int64
	for _, m := range known {
		all += m.Total
		if !listed[m.Raw] {
			gone += m.Total
		}
	}
	return plan.Mass(int(gone), int(all))
}

// within leaves out new mailboxes where the store has most already: under a listing that is cut none is ever
// lost, and a server that lists other names each time would fill the store.
func within(most int, known []storage.Mailbox, entries []imap.ListEntry) []imap.ListEntry {
	have := make(map[string]bool, most)
	for _, m := range known {
		have[m.Raw] = true
	}
	return slices.DeleteFunc(entries, func(entry imap.ListEntry) bool {
		raw := describe(0, entry).mailbox.Raw
		if !have[raw] && len(have) >= most {
			return true
		}
		have[raw] = true
		return false
	})
}

// union adds the mailboxes that only the other listing has: one that a listing lacks by mistake is not gone.
func union(entries, other []imap.ListEntry) []imap.ListEntry {
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
