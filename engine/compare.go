package engine

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/engine/plan"
	"mailcote/storage"
)

// comparison is a look at the flags of a window of stored messages.
type comparison struct {
	plan.Window
	imap.Glance
	found  *found
	stored []storage.Listed
	same   []bool // by index of stored
}

// compareFlags compares flags with the server's where STATUS shows no change,
// as many as are due (plan.Rotate). It stores none. A mailbox where something
// differs is marked, and its own task finds out what. The windows that were
// equal are returned.
func (d *discovery) compareFlags(ctx context.Context, still []unmoved) ([]plan.Window, error) {
	if len(still) == 0 {
		return nil, nil
	}
	if _, err := d.Yield(ctx); err != nil {
		return nil, err
	}
	s := d.lease.Session()
	looks, equal, err := d.comparisons(ctx, s, still)
	if err != nil || len(looks) == 0 {
		return equal, err
	}
	glances := make([]*imap.Glance, len(looks))
	for i := range looks {
		glances[i] = &looks[i].Glance
	}
	err = s.Glances(ctx, glances)
	if err != nil && (s.Err() == nil || fault.Stopped(ctx)) {
		return nil, fault.In(fault.PhaseFlags, err)
	}
	d.flightBroke(ctx, s, len(glances))
	for i := range looks {
		l := &looks[i]
		switch {
		case !l.Answered && err != nil: // it may be what ended the session: its task deals with that
			l.found.differs = true
			d.account.openWhenDue(l.ID)
			return equal, nil
		case !l.Answered || !l.equal():
			l.found.differs = true
		case l.Ends() || l.Next > 0:
			equal = append(equal, l.Window)
		}
	}
	return slices.DeleteFunc(equal, func(w plan.Window) bool {
		return slices.ContainsFunc(looks, func(l comparison) bool { return l.ID == w.ID && l.found.differs })
	}), nil
}

// unmoved is a mailbox in which nothing moved, as STATUS says.
type unmoved struct {
	row   storage.Mailbox
	found *found
}

// unmoved returns the mailboxes whose flags may be compared.
func (d *discovery) unmoved(all []found, due map[storage.MailboxID]bool) (still []unmoved) {
	for i := range all {
		m, known := d.known[all[i].mailbox.Raw]
		if known && all[i].mailbox.Selectable && m.Total > 0 && m.Unstable < plan.Unlasting &&
			d.wants(all[i].mailbox.Path) && d.asks(m) && !due[m.ID] && !d.coolingDown(m.ID) &&
			!plan.Moved(m, all[i].status) {
			still = append(still, unmoved{m, &all[i]})
		}
	}
	return still
}

// comparisons returns the looks of this pass. equal are windows without a
// message. A mailbox that only its own task can open is marked.
func (d *discovery) comparisons(ctx context.Context, s *imap.Session, still []unmoved) (looks []comparison,
	equal []plan.Window, err error) {
	seed := maphash.MakeSeed()
	turns, at := make([]plan.Turn, len(still)), make(map[storage.MailboxID]*found, len(still))
	for i, u := range still {
		turns[i] = plan.Turn{Mailbox: u.row, Gated: s.Has("CONDSTORE") && u.found.status.ModSeq > 0 &&
			plan.Trusted(u.row, d.e.o.wall())}
		at[u.row.ID] = u.found
	}
	windows := plan.Rotate(d.e.o.wall(), turns, d.once)
	if len(windows) == 0 {
		return nil, nil, nil
	}
	err = d.e.store.Read(ctx, func(r *storage.Reader) error {
		for _, w := range windows {
			if d.account.opensWhenDue(w.ID) {
				at[w.ID].differs = true
				continue
			}
			stored, err := r.EntriesIn(w.ID, w.UIDValidity, w.UIDs, w.Newest, seed)
			if err != nil {
				return err
			}
			if len(stored) == 0 {
				equal = append(equal, w)
				continue
			}
			looks = append(looks, newComparison(w, at[w.ID], stored, seed))
		}
		return nil
	})
	return looks, equal, fault.In(fault.PhaseStore, err)
}

func newComparison(w plan.Window, f *found, stored []storage.Listed, seed maphash.Seed) comparison {
	c := comparison{Window: w, found: f, stored: stored, same: make([]bool, len(stored))}
	c.Glance = imap.Glance{Raw: w.Raw, UIDs: goimap.UIDRange{Start: goimap.UID(stored[0].UID),
		Stop: goimap.UID(stored[len(stored)-1].UID)}}
	same := c.same
	c.Glance.Take = func(m *imap.Message) error {
		i, found := slices.BinarySearchFunc(stored, storage.UID(m.UID), func(one storage.Listed, uid storage.UID) int {
			return cmp.Compare(one.UID, uid)
		})
		if found && m.HasFlags {
			same[i] = mailbox.FlagsOf(m.UID, m.State).Flags.Sum(seed) == stored[i].Flags
		}
		return nil
	}
	return c
}

// equal reports whether the server said the stored flags of every message.
func (c *comparison) equal() bool {
	validity := storage.UIDValidity(c.Selected.UIDValidity)
	return c.Err == nil && (validity == 0 || validity == c.UIDValidity) && !slices.Contains(c.same, false)
}
