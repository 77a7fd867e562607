package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/fault"
	"mailcote/engine/fetch"
	"mailcote/engine/imap"
	"mailcote/engine/plan"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/testkit/failpoint"
)

const inboxName = "INBOX"

// statusItems are what a pass needs to know of a mailbox it does not open.
func statusItems(s *imap.Session) []string {
	items := []string{"MESSAGES", "UIDNEXT", "UIDVALIDITY"}
	if s.Has("CONDSTORE") {
		items = append(items, "HIGHESTMODSEQ")
	}
	return items
}

// discover lists the account's mailboxes, notes what came and went, and enqueues a folder_sync for each that moved.
func (w *worker) discover(ctx context.Context, t queue.Task) error {
	s, err := w.connect(ctx)
	if err != nil {
		return err
	}
	known, due, err := w.known(ctx)
	if err != nil {
		return err
	}
	entries, err := w.list(ctx, s, known)
	if err != nil {
		return err
	}
	if w.cut == "" && mass(known, entries) { // so much mail gone at once: a new connection must say the same
		if s, err = w.Renew(ctx); err != nil {
			return err
		}
		again, err := s.List(ctx, statusItems(s))
		if err != nil {
			return in(phaseDiscover, err)
		}
		if again, err = w.inbox(ctx, s, known, again); err != nil {
			return err
		}
		entries = union(again, entries)
	}
	found, err := w.statuses(ctx, t, entries)
	if err != nil {
		return err
	}
	failpoint.Hit("engine.beforeDiscovered")
	err = w.e.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error { return w.enqueue(tx, t, found, due) })
	if err != nil {
		return in(phaseStore, err)
	}
	w.discovered = true
	if w.homeless > 0 {
		w.cut = tooMany
		f := fault.Classify(in(phaseDiscover, fmt.Errorf("the server lists %d mailboxes more than there is room for: the store keeps %d of an account: %w",
			w.homeless, w.e.o.caps.Rows, imap.ErrLimit)))
		f.Scope, f.Hint = "account", "new mailboxes are left out until those that are gone are forgotten; "+
			"if the server gives its mailboxes other names each time, ask its operator"
		w.account.notice(f)
	}
	w.report(known, found)
	return nil
}

// Why a listing is not all there is.
const (
	tooMany  = "the server lists too many mailboxes, and the last of them are not synced"
	shut     = "the server does not list INBOX and could not open it"
	listless = "the server lists no mailbox at all, and only those known before were looked at"
)

// list gives the mailboxes as the server lists them, and INBOX. w.cut says why there may be more.
func (w *worker) list(ctx context.Context, s *imap.Session, known []storage.Mailbox) ([]imap.ListEntry, error) {
	entries, err := s.List(ctx, statusItems(s))
	w.cut = ""
	switch {
	case errors.Is(err, imap.ErrLimit) && s.Err() == nil && len(entries) > 0:
		w.cut = tooMany
		f := fault.Classify(in(phaseDiscover, err))
		f.Scope = "account"
		f.Hint = "the first mailboxes that the server lists are synced, the others are not; new ones are left out when the store has twice as many"
		w.account.notice(f)
		entries = within(2*len(entries), known, entries)
	case err != nil:
		return nil, in(phaseDiscover, err)
	case len(entries) == 0: // an empty answer takes nothing away
		if entries = remembered(known); slices.ContainsFunc(entries, func(e imap.ListEntry) bool { return !isInbox(e.Raw) }) {
			w.cut = listless
		}
	}
	if entries, err = w.inbox(ctx, s, known, entries); err == nil && len(entries) == 0 {
		err = in(phaseDiscover, fmt.Errorf("the server lists no mailbox at all, not even INBOX: %w", errDisagrees))
	}
	return entries, err
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

// inbox asks for INBOX where a listing lacks it or says that it cannot be opened. It exists whatever LIST says (RFC 9051 §5.1).
// One that the server does not open is left out, unless it did open before and is not said to be gone.
func (w *worker) inbox(ctx context.Context, s *imap.Session, known []storage.Mailbox, entries []imap.ListEntry) (
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
	err = in(phaseOpen, err)
	f := fault.Classify(err)
	if f.Words == "" && !fault.Declined(s, err, Mailbox) {
		return nil, err
	}
	opened := slices.ContainsFunc(known, func(m storage.Mailbox) bool { return m.Raw == inboxName && m.UIDValidity != 0 })
	if status := (*imap.StatusError)(nil); opened && errors.As(err, &status) && status.Code != "NONEXISTENT" {
		return append(others, imap.ListEntry{Raw: inboxName, Name: inboxName}), nil
	}
	if w.cut == "" && (f.Words != "" || f.Wait.Floor > 0) { // it is there, and later it may open
		w.cut = shut
	}
	f.Scope, f.Hint = "nothing", "the server neither lists nor opens INBOX; the other mailboxes are synced"
	w.account.notice(f)
	return entries, nil
}

// statuses gives what LIST and STATUS say of mailboxes. Words of one that may be about the account (Fault.Words) are so when a second
// one says them too and none answers; each attempt begins at other mailboxes.
func (w *worker) statuses(ctx context.Context, t queue.Task, entries []imap.ListEntry) ([]found, error) {
	all := make([]found, 0, len(entries))
	answered, refused := false, 0
	for i := range entries {
		if _, err := w.Yield(ctx); err != nil {
			return nil, err
		}
		s := w.lease.Session()
		entry := entries[(i+2*t.RetryCount)%len(entries)]
		one := describe(w.account.id, entry)
		wanted := one.mailbox.Selectable && w.wants(one.mailbox.Path)
		var err error
		if one.status, err = w.status(ctx, s, entry, wanted, t.Type); err != nil {
			if refused++; fault.Classify(in(phaseDiscover, err)).Words == "" || s.Err() != nil || refused > 1 && !answered {
				return nil, in(phaseDiscover, err)
			}
		}
		answered = answered || one.status.Said
		all = append(all, one)
	}
	return all, nil
}

// found is a mailbox as LIST and STATUS describe it.
type found struct {
	mailbox storage.Mailbox
	status  plan.Status
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
	m := storage.Mailbox{Account: account, Raw: entry.Raw, Path: entry.Name, Attributes: strings.Join(names, " "), Selectable: selectable}
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

// status gives what LIST-STATUS said of a mailbox, else asks; a NO to STATUS that is about the mailbox leaves it unsaid, and
// the mailbox is opened.
func (w *worker) status(ctx context.Context, s *imap.Session, entry imap.ListEntry, wanted bool, kind queue.Type) (plan.Status, error) {
	data := entry.Status
	if data == nil && wanted && kind == queue.IncrementalSync {
		asked, err := s.Status(ctx, entry.Raw, statusItems(s))
		if fault.Declined(s, in(phaseOpen, err), Mailbox) || errors.Is(err, imap.ErrCommand) && s.Err() == nil { // EXAMINE will say why
			return plan.Status{}, nil
		}
		if err != nil {
			return plan.Status{}, err
		}
		data = &asked
	}
	if data == nil || !data.HasMessages {
		return plan.Status{}, nil
	}
	return plan.Status{Said: true, Messages: int64(data.Messages), UIDNext: storage.UID(data.UIDNext),
		UIDValidity: storage.UIDValidity(data.UIDValidity), ModSeq: storage.ModSeq(data.HighestModSeq)}, nil
}

// known gives the mailboxes the store shows and those with quarantined messages to try again.
func (w *worker) known(ctx context.Context) (all []storage.Mailbox, due map[storage.MailboxID]bool, err error) {
	due = map[storage.MailboxID]bool{}
	err = w.e.store.Read(ctx, func(r *storage.Reader) error {
		if all, err = r.Mailboxes(w.account.id); err != nil {
			return err
		}
		held, err := r.QuarantineOf(w.account.id)
		for _, q := range held {
			if w.retries(q) {
				due[q.Mailbox] = true
			}
		}
		return err
	})
	return all, due, err
}

// retries says whether a quarantined message is tried again: once when a person asks, else with growing delay.
func (w *worker) retries(q storage.Quarantined) bool {
	if q.Asked {
		return true
	}
	if w.once {
		return q.LastAt.Before(w.started)
	}
	now := time.Now()
	return !now.Before(NextTry(q)) || now.Before(q.LastAt) // the clock was set back
}

// report tells the doors where the mailboxes stand.
func (w *worker) report(known []storage.Mailbox, all []found) {
	total, listed := make(map[string]int64, len(known)), make(map[string]bool, len(all))
	for _, m := range known {
		total[m.Raw] = m.Total
	}
	for _, one := range all {
		listed[one.mailbox.Path] = true
	}
	w.e.progress.Retain(w.account.name(), listed)
	for _, one := range all {
		if one.status.Said && w.wants(one.mailbox.Path) {
			w.e.progress.Mailbox(w.account.name(), one.mailbox.Path, min(total[one.mailbox.Raw], one.status.Messages), one.status.Messages)
		}
	}
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

// within leaves out new mailboxes where the store has most already: under a listing that is cut none is ever lost, and a server that
// lists other names each time would fill the store.
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

// wants says whether this worker syncs a mailbox.
func (w *worker) wants(path string) bool { return w.only == nil || w.only[path] }

// enqueue notes the mailboxes and what is to be done with them, and completes the task, in one transaction.
func (w *worker) enqueue(tx *storage.Writer, t queue.Task, all []found, due map[storage.MailboxID]bool) error {
	listed := map[storage.MailboxID]bool{}
	all, err := w.housed(tx, all)
	if err != nil {
		return err
	}
	for _, one := range all {
		id, err := tx.PutMailbox(one.mailbox)
		if err != nil {
			return err
		}
		listed[id] = true
		if one.status.Said && one.mailbox.Selectable {
			if err := tx.Announce(id, one.status.Messages); err != nil {
				return err
			}
		}
		m, err := tx.Mailbox(id)
		if err != nil {
			return err
		}
		if !m.Selectable && m.UIDValidity != 0 && m.Total > 0 { // only its name is left, because it has children
			if err := w.empty(tx, id, one.mailbox); err != nil {
				return err
			}
			continue
		}
		if !m.Selectable || !w.wants(m.Path) || !plan.Moved(m, one.status) && !due[id] || w.cools(id) {
			continue
		}
		if err := tx.BreakPass(id); err != nil { // it is complete again when the task ends well
			return err
		}
		if _, _, err := w.e.queue.EnqueueTx(tx, queue.NewTask{Account: w.account.id, Type: queue.FolderSync, Priority: m.Priority,
			Payload: queue.Payload{Folder: m.Path, Mailbox: id, PageSize: fetch.PageMost}}); err != nil {
			return err
		}
	}
	before, err := tx.Mailboxes(w.account.id)
	if err != nil {
		return err
	}
	for _, m := range before {
		if !listed[m.ID] && w.cut == "" {
			if err := tx.LoseMailbox(m.ID); err != nil {
				return err
			}
			w.account.clear(m.ID)
		}
	}
	_, err = w.e.queue.CompleteTx(tx, t)
	return err
}

// housed leaves out new mailboxes that the store has no room for: a server that lists other names each time would fill it with
// mailboxes that are gone.
func (w *worker) housed(tx *storage.Writer, all []found) ([]found, error) {
	w.homeless = 0
	rows, err := tx.MailboxRows(w.account.id)
	room := w.e.o.caps.Rows - rows
	if err != nil || room >= len(all) {
		return all, err
	}
	kept := make([]found, 0, len(all))
	for _, one := range all {
		_, err := tx.MailboxByRaw(w.account.id, one.mailbox.Raw)
		switch unknown := errors.Is(err, storage.ErrNotFound); {
		case err != nil && !unknown:
			return nil, err
		case unknown && room <= 0:
			w.homeless++
			continue
		case unknown:
			room--
		}
		kept = append(kept, one)
	}
	return kept, nil
}

// empty takes a mailbox's mail out of the views and keeps the mailbox.
func (w *worker) empty(tx *storage.Writer, id storage.MailboxID, m storage.Mailbox) error {
	if err := tx.LoseMailbox(id); err != nil {
		return err
	}
	_, err := tx.PutMailbox(m)
	return err
}
