package engine

import (
	"context"
	"errors"
	"slices"

	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/engine/plan"
	"mailcote/storage"
	"mailcote/storage/class"
)

const (
	// markHead is how many messages of each stored mailbox are compared first,
	// so that a mailbox that is another one costs little.
	markHead = 16
	// markPage is how many messages are compared at once. It bounds memory.
	markPage = 20_000
	// mostAlike bounds the stored mailboxes that are compared as a whole with
	// one name. More that begin alike tell nothing.
	mostAlike = 4
	// mostBreaks is how often comparing one name may break the session before
	// it counts as a new mailbox.
	mostBreaks = 2
)

// renames returns the stored mailboxes that the server lists under other names.
// Where nothing came and nothing went, nothing is asked.
func (d *discovery) renames(ctx context.Context, stored []storage.Mailbox, all []found) ([]storage.Rename, error) {
	if d.incomplete != "" { // what it lacks may be there
		return nil, nil
	}
	listed := make([]plan.Named, len(all))
	for i, one := range all {
		listed[i] = plan.Named{Raw: one.mailbox.Raw, Selectable: one.mailbox.Selectable, Status: one.status}
	}
	c := renameCheck{discovery: d, Renaming: plan.FindRenames(stored, listed),
		heads: map[storage.MailboxID][]storage.Mark{}}
	for _, l := range c.Listed {
		candidates := c.Candidates(l)
		m, known := d.known[l.Raw]
		if len(candidates) == 0 || d.broke[l.Raw] >= mostBreaks || known && !d.asks(m) {
			continue
		}
		if err := c.compare(ctx, l, candidates); err != nil {
			d.broke[l.Raw]++
			return nil, err
		}
	}
	return plan.Settle(stored, c.Sure), nil
}

// byName returns the stored mailboxes by the names that they have on the server
// now. A mailbox whose name another one took is not among them.
func byName(stored []storage.Mailbox, renames []storage.Rename) map[string]storage.Mailbox {
	names := make(map[storage.MailboxID]string, len(renames))
	for _, r := range renames {
		names[r.Mailbox] = r.Raw
	}
	known := make(map[string]storage.Mailbox, len(stored))
	for _, m := range stored {
		if names[m.ID] == "" {
			known[m.Raw] = m
		}
	}
	for _, m := range stored {
		if name := names[m.ID]; name != "" {
			m.Raw = name
			known[name] = m
		}
	}
	return known
}

// rename records other names, and forgets what was known of the mailboxes that
// lost theirs to another one.
func (d *discovery) rename(tx *storage.Writer, all []storage.Rename) error {
	lost, err := tx.RenameMailboxes(d.account.id, all)
	for _, id := range lost {
		d.account.health.Clear(id)
	}
	return err
}

// renameCheck compares stored mailboxes with listed ones, message by message.
type renameCheck struct {
	*discovery
	plan.Renaming
	heads map[storage.MailboxID][]storage.Mark // the first messages of each stored mailbox
}

// compare adds the candidates that the listed mailbox is. It asks for the size
// and date of each message that the store has.
func (c *renameCheck) compare(ctx context.Context, l plan.Named, candidates []storage.Mailbox) error {
	box := mailbox.New(&c.stream, l.Raw, l.Raw, c.e.o.caps.Messages)
	if err := box.Open(ctx); err != nil {
		return c.unanswered(err)
	}
	status := plan.Status{Said: true, Messages: int64(box.Selected.Exists), UIDNext: storage.UID(box.Selected.UIDNext),
		UIDValidity: box.Validity, ObjectID: box.Selected.MailboxID}
	candidates, err := c.alike(ctx, box, slices.DeleteFunc(candidates, func(m storage.Mailbox) bool {
		return box.Validity == 0 || !plan.MaybeRenamed(m, status)
	}))
	if err != nil || len(candidates) > mostAlike {
		return c.unanswered(err)
	}
	for _, m := range candidates {
		same, err := c.same(ctx, box, m)
		if err != nil {
			return c.unanswered(err)
		}
		if same {
			c.Sure = append(c.Sure, storage.Rename{Mailbox: m.ID, Raw: l.Raw})
		}
	}
	return nil
}

// unanswered passes over a refusal. The mailbox then counts as a new one.
func (c *renameCheck) unanswered(err error) error {
	for _, passed := range []error{fault.ErrTooMany, fault.ErrRenumbered, imap.ErrCommand} {
		if errors.Is(err, passed) {
			return nil
		}
	}
	if err != nil && c.lease != nil && fault.Declined(c.Session(), err, class.Mailbox) {
		return nil
	}
	return err
}

// alike returns the candidates that begin as the open mailbox does.
func (c *renameCheck) alike(ctx context.Context, box *mailbox.Mailbox, candidates []storage.Mailbox) (
	[]storage.Mailbox, error) {
	var uids []storage.UID
	for _, m := range candidates {
		if _, known := c.heads[m.ID]; !known {
			head, err := c.marks(ctx, m, 1, markHead)
			if err != nil {
				return nil, err
			}
			c.heads[m.ID] = head
		}
		for _, mark := range c.heads[m.ID] {
			uids = append(uids, mark.UID)
		}
	}
	slices.Sort(uids)
	server, err := c.ask(ctx, box, slices.Compact(uids))
	return slices.DeleteFunc(candidates, func(m storage.Mailbox) bool {
		var like plan.Likeness
		like.Compare(c.heads[m.ID], server)
		return like.Other > 0
	}), err
}

// same reports whether a stored mailbox is the open one.
func (c *renameCheck) same(ctx context.Context, box *mailbox.Mailbox, m storage.Mailbox) (bool, error) {
	var like plan.Likeness
	for from := storage.UID(1); like.Other == 0; {
		page, err := c.marks(ctx, m, from, markPage)
		if err != nil {
			return false, err
		}
		uids := make([]storage.UID, len(page))
		for i, mark := range page {
			uids[i] = mark.UID
		}
		server, err := c.ask(ctx, box, uids)
		if err != nil {
			return false, err
		}
		like.Compare(page, server)
		if len(page) < markPage {
			break
		}
		from = page[len(page)-1].UID + 1
	}
	return like.Alike() && !box.Renumbered(), nil
}

// marks reads what tells the messages of a stored mailbox.
func (c *renameCheck) marks(ctx context.Context, m storage.Mailbox, from storage.UID, n int) (all []storage.Mark,
	err error) {
	err = c.e.store.Read(ctx, func(r *storage.Reader) (err error) {
		all, err = r.Marks(m.ID, m.UIDValidity, from, n)
		return err
	})
	return all, fault.In(fault.PhaseStore, err)
}

// ask asks the server what tells these messages.
func (c *renameCheck) ask(ctx context.Context, box *mailbox.Mailbox, uids []storage.UID) (map[storage.UID]plan.Seen,
	error) {
	server := make(map[storage.UID]plan.Seen, len(uids))
	return server, box.Look(ctx, uids, func(m plan.Seen) { server[m.UID] = m })
}
