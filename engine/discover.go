package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/fetch"
	"mailcote/engine/imap"
	"mailcote/engine/plan"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/failpoint"
)

// statusItems returns the STATUS items that a pass needs of a mailbox it does
// not open.
func statusItems(s *imap.Session) []string {
	items := []string{"MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN"}
	if s.Has("CONDSTORE") {
		items = append(items, "HIGHESTMODSEQ")
	}
	if s.Has("OBJECTID") {
		items = append(items, "MAILBOXID")
	}
	return items
}

// found is a mailbox as LIST and STATUS describe it.
type found struct {
	mailbox storage.Mailbox
	status  plan.Status
	differs bool // nothing moved, but flags differ from the stored ones
}

// discovery is one listing of an account's mailboxes.
type discovery struct {
	*worker
	incomplete string                     // why the listing is incomplete; "": it is complete
	leftOut    int                        // new mailboxes over the store's limit
	lost       int64                      // messages of mailboxes that are gone
	known      map[string]storage.Mailbox // those of the store, by their names on the server
}

// asksFor reports whether the server is asked for a mailbox.
func (d *discovery) asksFor(raw, path string) bool {
	m, known := d.known[raw]
	return d.wants(path) && (!known || d.asks(m))
}

// run lists the account's mailboxes, records which came and went, and enqueues
// a folder_sync for each that changed.
func (d *discovery) run(ctx context.Context, t queue.Task) error {
	w := d.worker
	defer func() { w.incomplete = d.incomplete }()
	s, err := w.connect(ctx)
	if err != nil {
		return err
	}
	stored, due, err := d.load(ctx)
	if err != nil {
		return err
	}
	d.known = byName(stored, nil)
	entries, err := d.list(ctx, s, stored)
	if err != nil {
		return err
	}
	// so much mail gone at once: a new connection must confirm it
	if d.incomplete == "" && plan.MassGone(stored, entries) {
		if s, err = w.Renew(ctx); err != nil {
			return err
		}
		again, err := d.readable(s.List(ctx, statusItems(s)))
		if err != nil {
			return fault.In(fault.PhaseDiscover, err)
		}
		if again, err = d.addInbox(ctx, s, stored, again); err != nil {
			return err
		}
		entries = plan.Union(again, entries)
	}
	found, err := d.statuses(ctx, t, entries)
	if err != nil {
		return err
	}
	renames, err := d.renames(ctx, stored, found)
	if err != nil {
		return err
	}
	d.known = byName(stored, renames)
	compared, err := d.compareFlags(ctx, d.unmoved(found, due))
	if err != nil {
		return err
	}
	failpoint.Hit("engine.beforeDiscovered")
	err = w.e.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
		if err := d.rename(tx, renames); err != nil {
			return err
		}
		for _, c := range compared {
			if err := tx.SetFlagsPlace(c.ID, c.Ends(), c.Next, w.e.o.wall()); err != nil {
				return err
			}
		}
		return d.enqueue(tx, t, found, due)
	})
	if err != nil {
		return fault.In(fault.PhaseStore, err)
	}
	w.discovered = true
	w.gone += d.lost
	w.e.progress.Count(w.account.name(), int(d.lost), 0)
	if d.leftOut > 0 {
		d.incomplete = tooManyListed
		f := fault.Classify(fault.In(fault.PhaseDiscover,
			fmt.Errorf("the server lists %d mailboxes more than there is room for: "+
				"the store keeps %d of an account: %w", d.leftOut, w.e.o.caps.Rows, imap.ErrLimit)))
		f.Scope, f.Hint = "account", "new mailboxes are left out until those that are gone are forgotten; "+
			"if the server gives its mailboxes other names each time, ask its operator"
		w.account.health.Notice(f)
	}
	d.showProgress(found)
	return nil
}

// Why a listing is incomplete.
const (
	tooManyListed = "the server lists too many mailboxes, and the last of them are not synced"
	unreadable    = "the server's list of mailboxes has lines that cannot be read, and these mailboxes are not synced"
	noInbox       = "the server does not list INBOX and could not open it"
	nothingListed = "the server lists no mailbox at all, and only those known before were looked at"
)

// list returns the mailboxes that the server lists, and INBOX. If there may be
// more, incomplete says why.
func (d *discovery) list(ctx context.Context, s *imap.Session, stored []storage.Mailbox) ([]imap.ListEntry, error) {
	d.incomplete = ""
	entries, err := d.readable(s.List(ctx, statusItems(s)))
	switch {
	case errors.Is(err, imap.ErrLimit) && s.Err() == nil && len(entries) > 0:
		d.incomplete = tooManyListed
		f := fault.Classify(fault.In(fault.PhaseDiscover, err))
		f.Scope = "account"
		f.Hint = "the first mailboxes that the server lists are synced, the others are not; new ones are left out " +
			"when the store has twice as many"
		d.account.health.Notice(f)
		entries = plan.Within(2*len(entries), stored, entries)
	case err != nil:
		return nil, fault.In(fault.PhaseDiscover, err)
	case len(entries) == 0: // an empty answer removes no mailbox
		entries = plan.Remembered(stored)
		if slices.ContainsFunc(entries, func(e imap.ListEntry) bool { return !plan.IsInbox(e.Raw) }) {
			d.incomplete = nothingListed
		}
	}
	if entries, err = d.addInbox(ctx, s, stored, entries); err == nil && len(entries) == 0 {
		err = fault.In(fault.PhaseDiscover, fmt.Errorf("the server lists no mailbox at all, not even INBOX: %w",
			fault.ErrDisagrees))
	}
	return entries, err
}

// readable accepts a listing of which some lines cannot be read. They may be of
// mailboxes that are known.
func (d *discovery) readable(entries []imap.ListEntry, err error) ([]imap.ListEntry, error) {
	var lines *imap.UnreadableError
	if !errors.As(err, &lines) {
		return entries, err
	}
	d.incomplete = unreadable
	f := fault.Classify(fault.In(fault.PhaseDiscover, err))
	f.Scope, f.Command = "mailbox", "LIST"
	f.Hint = "the other mailboxes are synced, and none is taken for deleted meanwhile: ask the server's operator " +
		"about the mailbox's name"
	d.account.health.Notice(f)
	return entries, nil
}

// load returns the mailboxes in the store. due has those with quarantined
// messages, and says whether any is tried again.
func (d *discovery) load(ctx context.Context) (all []storage.Mailbox, due map[storage.MailboxID]bool, err error) {
	err = d.e.store.Read(ctx, func(r *storage.Reader) error {
		if all, err = r.Mailboxes(d.account.id); err != nil {
			return err
		}
		due, err = d.retriesDue(r)
		return err
	})
	return all, due, err
}

// showProgress publishes how far each mailbox is synced.
func (d *discovery) showProgress(all []found) {
	listed := make(map[string]bool, len(all))
	for _, one := range all {
		listed[one.mailbox.Path] = true
	}
	d.e.progress.Retain(d.account.name(), listed)
	for _, one := range all {
		if one.status.Said && d.asksFor(one.mailbox.Raw, one.mailbox.Path) {
			m := d.known[one.mailbox.Raw]
			there := max(0, one.status.Messages-plan.Excess(m.Pass))
			d.e.progress.Mailbox(d.account.name(), one.mailbox.Path, min(m.Total, there), there)
		}
	}
}

// enqueue records the mailboxes, enqueues their tasks and completes this task,
// in one transaction.
func (d *discovery) enqueue(tx *storage.Writer, t queue.Task, all []found, due map[storage.MailboxID]bool) error {
	listed := map[storage.MailboxID]bool{}
	d.lost = 0
	all, err := d.withinLimit(tx, all)
	if err != nil {
		return err
	}
	before, err := tx.Mailboxes(d.account.id)
	if err != nil {
		return err
	}
	rows := make(map[string]storage.Mailbox, len(before))
	for _, m := range before {
		rows[m.Raw] = m
	}
	for _, one := range all {
		m, err := putMailbox(tx, rows, one)
		if err != nil {
			return err
		}
		id := m.ID
		listed[id] = true
		// only its name is left, because it has children
		if !m.Selectable && m.UIDValidity != 0 && m.Total > 0 {
			if err := d.emptyMailbox(tx, id, one.mailbox); err != nil {
				return err
			}
			d.lost += m.Total
			continue
		}
		_, aside := due[id]
		if !m.Selectable || !d.wants(m.Path) || !d.asks(m) || !moved(m, one.status) && !one.differs && !due[id] ||
			d.coolingDown(id) {
			continue
		}
		if !aside && plan.Empty(m, one.status) {
			if err := endEmpty(tx, m, one.status); err != nil {
				return err
			}
			d.account.health.Clear(id)
			continue
		}
		if err := tx.BreakPass(id); err != nil { // complete again when the task succeeds
			return err
		}
		d.said[id], d.differs[id] = one.status, one.differs
		next := queue.NewTask{Account: d.account.id, Type: queue.FolderSync, Priority: m.Priority,
			Payload: queue.Payload{Folder: m.Path, Mailbox: id, PageSize: fetch.PageMost}}
		if _, _, err := d.e.queue.EnqueueTx(tx, next); err != nil {
			return err
		}
	}
	for _, m := range before {
		if !listed[m.ID] && d.incomplete == "" {
			if err := tx.LoseMailbox(m.ID); err != nil {
				return err
			}
			d.lost += m.Total
			d.account.health.Clear(m.ID)
		}
	}
	_, err = d.e.queue.CompleteTx(tx, t)
	return err
}

// moved reports whether a mailbox must be opened.
func moved(m storage.Mailbox, s plan.Status) bool {
	if m.Unstable >= plan.Unlasting {
		return plan.Stirred(m, s, time.Now())
	}
	return plan.Moved(m, s)
}

// putMailbox records what LIST and STATUS say of a mailbox and returns its row.
func putMailbox(tx *storage.Writer, rows map[string]storage.Mailbox, one found) (storage.Mailbox, error) {
	m, known := rows[one.mailbox.Raw]
	announced := one.status.Said && one.mailbox.Selectable && m.UIDValidity == 0
	object := one.status.ObjectID != "" && one.status.ObjectID != m.ObjectID
	if known && m.ListedAs(one.mailbox) && !announced && !object {
		return m, nil
	}
	id, err := tx.PutMailbox(one.mailbox)
	if err == nil && announced {
		err = tx.Announce(id, one.status.Messages)
	}
	if err == nil && object {
		err = tx.NoteObjectID(id, one.status.ObjectID)
	}
	if err != nil {
		return m, err
	}
	return tx.Mailbox(id)
}

// endEmpty ends the pass of a mailbox that holds nothing here or there. It
// writes nothing if nothing is new.
func endEmpty(tx *storage.Writer, m storage.Mailbox, s plan.Status) error {
	if m.UIDValidity == 0 && s.UIDValidity != 0 {
		if err := tx.OpenGeneration(m.ID, s.UIDValidity, s.ModSeq, 0); err != nil {
			return err
		}
	}
	unseen := func(n *int64) int64 {
		if n == nil {
			return -1
		}
		return *n
	}
	p := m.Pass
	if !p.At.IsZero() && p.UIDNext == s.UIDNext && p.Total == 0 && p.ModSeq == s.ModSeq && p.Exists == nil &&
		unseen(p.Unseen) == unseen(s.Unseen) {
		return nil
	}
	return tx.EndPass(m.ID, storage.Pass{UIDNext: s.UIDNext, ModSeq: s.ModSeq, Unseen: s.Unseen, At: time.Now().UTC()})
}

// withinLimit leaves out new mailboxes over the store's limit. A server that
// lists other names each time would otherwise fill the store with deleted
// mailboxes.
func (d *discovery) withinLimit(tx *storage.Writer, all []found) ([]found, error) {
	d.leftOut = 0
	rows, err := tx.MailboxRows(d.account.id)
	free := d.e.o.caps.Rows - rows
	if err != nil || free >= len(all) {
		return all, err
	}
	kept := make([]found, 0, len(all))
	for _, one := range all {
		_, err := tx.MailboxByRaw(d.account.id, one.mailbox.Raw)
		switch unknown := errors.Is(err, storage.ErrNotFound); {
		case err != nil && !unknown:
			return nil, err
		case unknown && free <= 0:
			d.leftOut++
			continue
		case unknown:
			free--
		}
		kept = append(kept, one)
	}
	return kept, nil
}

// emptyMailbox removes a mailbox's mail from the views and keeps the mailbox.
func (d *discovery) emptyMailbox(tx *storage.Writer, id storage.MailboxID, m storage.Mailbox) error {
	if err := tx.LoseMailbox(id); err != nil {
		return err
	}
	_, err := tx.PutMailbox(m)
	return err
}

// addInbox opens INBOX if a listing lacks it or says that it cannot be
// selected. INBOX exists whatever LIST says (RFC 9051 §5.1). If the server
// refuses to open it, it is left out. It stays if it was opened before and the
// server does not say NONEXISTENT.
func (d *discovery) addInbox(ctx context.Context, s *imap.Session, stored []storage.Mailbox, entries []imap.ListEntry) (
	[]imap.ListEntry, error) {
	var others []imap.ListEntry
	for _, e := range entries {
		if !plan.IsInbox(e.Raw) {
			others = append(others, e)
		} else if plan.Describe(0, e).Selectable {
			return entries, nil
		}
	}
	if m, known := d.known[plan.Inbox]; known && !d.asks(m) {
		return append(others, imap.ListEntry{Raw: plan.Inbox, Name: plan.Inbox}), nil
	}
	selected, err := s.Examine(ctx, plan.Inbox, false)
	if err == nil {
		return append(others, imap.ListEntry{Raw: plan.Inbox, Name: plan.Inbox, Status: &imap.StatusData{
			Messages: selected.Exists, HasMessages: true, UIDNext: selected.UIDNext,
			UIDValidity: selected.UIDValidity, HighestModSeq: selected.HighestModSeq, MailboxID: selected.MailboxID,
		}}), nil
	}
	err = fault.In(fault.PhaseOpen, err)
	f := fault.Classify(err)
	if f.Words == "" && !fault.Declined(s, err, class.Mailbox) {
		return nil, err
	}
	opened := slices.ContainsFunc(stored, func(m storage.Mailbox) bool {
		return m.Raw == plan.Inbox && m.UIDValidity != 0
	})
	if status := (*imap.StatusError)(nil); opened && errors.As(err, &status) && status.Code != "NONEXISTENT" {
		return append(others, imap.ListEntry{Raw: plan.Inbox, Name: plan.Inbox}), nil
	}
	// it exists and may open later
	if d.incomplete == "" && (f.Words != "" || f.Wait.Floor > 0) {
		d.incomplete = noInbox
	}
	f.Scope, f.Hint = "nothing", "the server neither lists nor opens INBOX; the other mailboxes are synced"
	d.account.health.Notice(f)
	return entries, nil
}
