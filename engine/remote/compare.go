package remote

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/engine/meter"
	"mailcote/engine/plan"
	"mailcote/engine/row"
	"mailcote/storage"
	"mailcote/storage/class"
)

// Options are what a comparison needs.
type Options struct {
	Accounts []storage.Account
	Progress func(done, total int64) // of messages; may be nil
	Messages int                     // the most that are taken of one mailbox
}

// Compare compares what the store shows with the servers, message by message:
// UIDs, flags, arrival times and, by downloading each message, its bytes. It
// examines mailboxes and peeks at bodies. No mail is changed or stored. of
// returns the account of a row. If a server does not show everything, the error
// has a Fault for each such account, and the findings come with it.
func Compare(ctx context.Context, store *storage.Store, o Options,
	of func(storage.Account) Account) ([]storage.Finding, error) {
	c := &comparison{store: store, o: o}
	var all [][]storage.Mailbox
	if err := c.store.Read(ctx, func(r *storage.Reader) error {
		all, c.total = nil, 0
		for _, a := range c.o.Accounts {
			boxes, err := r.Mailboxes(a.ID)
			if err != nil {
				return err
			}
			all = append(all, boxes)
			for _, m := range boxes {
				c.total += m.Total
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	var failed []error
	for i, a := range c.o.Accounts {
		if err := c.account(ctx, of(a), all[i]); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", a.Name, fault.Classify(err)))
		}
	}
	return c.found, errors.Join(failed...)
}

// remotePage bounds the messages that one FETCH of a comparison asks for.
const remotePage = 500

// comparison is one run of Compare.
type comparison struct {
	store       *storage.Store
	o           Options
	meter       *meter.Meter // the present account's
	found       []storage.Finding
	done, total int64
}

func (c *comparison) account(ctx context.Context, a Account, boxes []storage.Mailbox) error {
	s, release, err := a.Lease(ctx)
	if err != nil {
		return err
	}
	defer release()
	if c.meter, err = a.Meter(ctx); err != nil {
		return err
	}
	for _, m := range boxes {
		if !m.Counts() || m.UIDValidity == 0 {
			continue
		}
		err := c.mailbox(ctx, s, a, m)
		if err == nil {
			continue
		}
		f := a.Judge(ctx, m.ID, fault.Classify(err))
		if s.Err() == nil && f.Scope == "mailbox" || fault.Declined(s, err) { // the other mailboxes can be compared
			if f.ServerText == "" {
				c.add(a, m, 0, "not compared", "%s.", f.Detail)
			} else {
				c.add(a, m, 0, "not compared", "The server refuses %s in it: it says %q.", f.Command, f.ServerText)
			}
			continue
		}
		return errors.Join(err, a.Failed(ctx, f))
	}
	return nil
}

func (c *comparison) add(a Account, m storage.Mailbox, uid storage.UID, what, format string, args ...any) {
	place := fmt.Sprintf("account %s, mailbox %s", a.Name(), m.Path)
	if uid > 0 {
		place += fmt.Sprintf(", UID %d", uid)
	}
	c.found = append(c.found, storage.Finding{What: what, Where: place, Detail: fmt.Sprintf(format, args...)})
}

func (c *comparison) mailbox(ctx context.Context, s *imap.Session, a Account, m storage.Mailbox) error {
	box := mailbox.New(mailbox.Only(s), m.Raw, m.Path, c.o.Messages)
	box.Own = m.OwnValidity
	box.Excess = plan.Excess(m.Pass)
	if err := box.Open(ctx); err != nil {
		if !fault.Declined(s, err, class.Mailbox) {
			return err
		}
		c.add(a, m, 0, "other mailbox", "The server does not open it: it says %q.", fault.Classify(err).ServerText)
		return nil
	}
	if m.Unstable >= plan.Unlasting {
		return c.contents(ctx, box, a, m)
	}
	if m.Total == 0 && box.Selected.Exists == 0 { // an empty mailbox has no UIDs whose numbers could be old
		return nil
	}
	if box.Validity != m.UIDValidity {
		c.add(a, m, 0, "other mailbox",
			"The server gave it new numbers (UIDVALIDITY %d, the store has %d): sync, then check again.",
			box.Validity, m.UIDValidity)
		return nil
	}
	listing, err := box.List(ctx)
	if err != nil {
		return err
	}
	// The store is read after the listing: what an owner stored meanwhile is
	// newer than the listing.
	stored := map[storage.UID]storage.Shown{}
	quarantined := map[storage.UID]bool{}
	if err := c.store.Read(ctx, func(r *storage.Reader) error {
		clear(stored)
		clear(quarantined)
		all, err := r.Shown(m.ID, m.UIDValidity)
		if err != nil {
			return err
		}
		for _, h := range all {
			stored[h.UID] = h
		}
		aside, err := r.QuarantineIn(m.ID, m.UIDValidity)
		for _, q := range aside {
			quarantined[q.UID] = true
		}
		return err
	}); err != nil {
		return fault.In(fault.PhaseStore, err)
	}
	if err := s.Noop(ctx); err != nil {
		return fault.In(fault.PhaseList, err)
	}
	// something came, and what is stored beyond the listing may be that
	if s.Exists() != box.Counted() {
		maps.DeleteFunc(stored, func(uid storage.UID, _ storage.Shown) bool {
			return len(listing) == 0 ||
				uid > listing[len(listing)-1]
		})
	}
	both := c.compareUIDs(a, m, listing, stored, quarantined)
	for len(both) > 0 {
		n, err := c.pageSize(ctx, s, both, stored)
		if err != nil {
			return fault.In(fault.PhaseFetch, err)
		}
		page, rest := plan.Page(both, n)
		if err := c.comparePage(ctx, s, a, m, page, stored); err != nil {
			return err
		}
		both = rest
	}
	return nil
}

// compareUIDs compares the UIDs and returns those that both sides have. UIDs
// listed beyond the last pass are mail that is still to come.
func (c *comparison) compareUIDs(a Account, m storage.Mailbox, listing []storage.UID,
	stored map[storage.UID]storage.Shown, quarantined map[storage.UID]bool) (both []storage.UID) {
	for _, uid := range listing {
		_, here := stored[uid]
		switch {
		case here:
			both = append(both, uid)
		case m.Pass.At.IsZero() || uid >= m.Pass.UIDNext || quarantined[uid]:
		default:
			c.add(a, m, uid, "missing message", "The server has it and the store does not: sync to fetch it.")
		}
	}
	for uid := range stored {
		if _, there := slices.BinarySearch(listing, uid); !there {
			c.add(a, m, uid, "not on the server",
				"The store has it and the server does not: it was deleted there since the last sync, or its number "+
					"is wrong; a sync settles it.")
		}
	}
	return both
}

// pageSize returns how many messages the next FETCH may ask for, by the server
// and by the account's limits.
func (c *comparison) pageSize(ctx context.Context, s *imap.Session, todo []storage.UID,
	stored map[storage.UID]storage.Shown) (int, error) {
	most := min(remotePage, len(todo))
	if n := s.MostMessages(); n > 0 {
		most = min(most, n)
	}
	n, err := c.meter.Page(ctx, most)
	if err != nil {
		return 0, err
	}
	sizes := make([]int64, n)
	for i, uid := range todo[:n] {
		sizes[i] = stored[uid].Size
	}
	return c.meter.Fits(sizes)
}

// comparePage compares messages by their flags, arrival time and bytes. Bytes
// are hashed as they come and not kept.
func (c *comparison) comparePage(ctx context.Context, s *imap.Session, a Account, m storage.Mailbox, page []storage.UID,
	stored map[storage.UID]storage.Shown) error {
	seen := map[storage.UID]bool{}
	var sum [sha256.Size]byte
	take := imap.FetchHandler{
		Body: hashing(&sum),
		Fetch: func(msg *imap.Message) error {
			uid := storage.UID(msg.UID)
			have, found := stored[uid]
			if !found || !msg.HasBody || seen[uid] {
				return nil
			}
			seen[uid] = true
			if now := mailbox.FlagsOf(msg.UID, msg.State).Flags; msg.HasFlags && now != have.Flags {
				c.add(a, m, uid, "other flags",
					"The store has %q, the server %q: a sync settles it, if the server notes such "+
						"changes.", have.Flags, now)
			}
			if t := row.Dated(msg.InternalDate, time.Now()); !t.IsZero() &&
				!t.Equal(have.InternalDate.Truncate(time.Second)) {
				c.add(a, m, uid, "other date", "It arrived at %s by the store, at %s by the server.",
					have.InternalDate.Format(time.RFC3339), t.Format(time.RFC3339))
			}
			if have.HasBody && have.SHA256 != sum {
				c.add(a, m, uid, "other message",
					"Its bytes are not the server's: they were changed here, or the server gives others under the "+
						"same number.")
			}
			return nil
		},
	}
	err := fault.In(fault.PhaseFetch, s.UIDFetch(ctx, mailbox.SetOf(page), []imap.Item{imap.ItemState, imap.ItemDate,
		imap.ItemBody}, take))
	if err := c.counted(ctx, err, len(page)); err != nil {
		return err
	}
	for _, uid := range page {
		if !seen[uid] {
			c.add(a, m, uid, "not delivered",
				"The server lists it and does not give it: it was deleted in this moment, or cannot be read there.")
		}
	}
	return nil
}

// counted counts what a page of messages cost, and the page if it came whole.
func (c *comparison) counted(ctx context.Context, err error, messages int) error {
	if !c.store.ReadOnly() {
		if counted := c.store.Write(context.WithoutCancel(ctx), storage.Interactive, 0, c.meter.CountTx); err == nil {
			err = fault.In(fault.PhaseStore, counted)
		}
	}
	if err != nil {
		return err
	}
	if c.done += int64(messages); c.o.Progress != nil {
		c.o.Progress(min(c.done, c.total), c.total)
	}
	return nil
}

// hashing hashes the bytes of each message into sum as they come.
func hashing(sum *[sha256.Size]byte) func(*imap.Message, string, int64, io.Reader) error {
	return func(_ *imap.Message, section string, _ int64, r io.Reader) error {
		if section != "" {
			return nil
		}
		h := sha256.New()
		if _, err := io.Copy(h, r); err != nil {
			return fmt.Errorf("read message: %w", err)
		}
		h.Sum(sum[:0])
		return nil
	}
}
