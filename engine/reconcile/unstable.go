package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/plan"
	"mailcote/storage"
	"mailcote/storage/class"
)

// clockStep is a little longer than what a clock needs to show another second.
const clockStep = 1100 * time.Millisecond

// clockSlack is how long a first pass may take after it was given its number.
const clockSlack = 15 * time.Minute

// keepsNumber reports whether the server keeps the UIDVALIDITY of the open
// mailbox, which is not the stored one. Some servers take a new number from the
// clock at each STATUS and EXAMINE of a mailbox that nobody has written to. The
// mailbox is examined again until an answer repeats the one before it, or two in
// a row did not.
func (p numbers) keepsNumber(ctx context.Context) (bool, error) {
	differ := 0
	switch said := p.Said.UIDValidity; {
	case p.row.Unstable >= plan.Unlasting:
		differ = plan.Unlasting - 1
		if said != 0 && said != p.box.Said() {
			differ++
		}
	case said != 0 && said != p.box.Said():
		differ++
	case !p.fromClock():
		return true, nil
	}
	for differ < plan.Unlasting {
		before := p.box.Said()
		if p.row.Unstable >= plan.Unlasting || p.fromClock() {
			select {
			case <-ctx.Done():
				return false, fault.In(fault.PhaseOpen, ctx.Err())
			case <-time.After(clockStep):
			}
		}
		if err := p.box.Open(ctx); err != nil {
			return false, err
		}
		if p.box.Said() == before {
			return true, nil
		}
		differ++
	}
	return false, nil
}

// fromClock reports whether the UIDVALIDITY may run with a clock: since the last
// pass it has moved by about as many seconds as have passed. The clock may have
// begun at any time: Courier's begins in 2001.
func (p numbers) fromClock() bool {
	if p.row.CompletedAt.IsZero() {
		return true
	}
	moved := time.Duration(int64(p.box.Said())-int64(p.row.UIDValidity)) * time.Second
	return (moved - time.Since(p.row.CompletedAt)).Abs() < clockSlack
}

// unlasting is what is recorded once of a mailbox whose numbers do not last.
func (p numbers) unlasting() *fault.Fault {
	return &fault.Fault{
		Verdict: policy.Verdict{Class: class.Protocol, Scope: "nothing",
			Hint: "the mailbox is synced when its count or its unread count changes, and once a day; a mail program " +
				"that opens it for writing ends this"},
		Phase:  fault.PhaseOpen,
		Detail: fmt.Sprintf("%s: the server gives the mailbox another UIDVALIDITY each time", p.row.Path)}
}

// align gives the stored messages the UIDs that they have in this session, where
// numbers do not last. What is paired keeps its row and no change is published.
// What the server does not list any more gets a UID beyond its own, so that the
// round finds it gone. quiet: STATUS says that nothing changed, and a sample
// shows whether UIDs did.
func (p numbers) align(ctx context.Context, quiet bool) (same bool, err error) {
	p.reuseChecked = true // each message is compared here
	stored, err := p.aligning(ctx)
	if err != nil {
		return false, err
	}
	if quiet {
		if same, err = p.sampled(ctx, stored); err != nil || same {
			return same, err
		}
	}
	if len(stored) == 0 {
		return false, nil
	}
	listing, err := p.box.List(ctx)
	if err != nil {
		return false, err
	}
	listed := make([]plan.Copy, 0, len(listing))
	if err := p.box.Describe(ctx, listing, false, func(_ *imap.Message, c plan.Copy) {
		listed = append(listed, c)
	}); err != nil {
		return false, err
	}
	a := plan.Align(stored, listed)
	if err := p.alignHeaders(ctx, &a); err != nil {
		return false, err
	}
	if p.box.Renumbered() {
		return false, fault.In(fault.PhaseList, fault.ErrRenumbered)
	}
	moves := make(map[storage.UID]storage.UID)
	uids := make(map[storage.EntryID]storage.UID, len(a.Pairs))
	for _, m := range a.Pairs {
		uids[m.Entry] = m.UID
	}
	var left []storage.UID
	for _, c := range stored {
		uid, ok := uids[c.Entry]
		switch _, known := slices.BinarySearch(listing, c.UID); {
		case ok && uid != c.UID:
			moves[c.UID] = uid
		case !ok && known: // the UID is another message's
			left = append(left, c.UID)
		}
	}
	if len(moves)+len(left) == 0 {
		return false, nil
	}
	return false, fault.In(fault.PhaseStore, p.Fetcher.Store.Write(context.WithoutCancel(ctx), storage.Bulk, 0,
		func(tx *storage.Writer) error {
			if err := tx.RenumberEntries(p.row.ID, p.box.Validity, moves, left); err != nil {
				return err
			}
			held, err := tx.UIDs(p.row.ID, p.box.Validity, p.row.Total)
			if err != nil {
				return err
			}
			return tx.Vouch(p.row.ID, p.box.Validity, plan.Cover(listing, held, p.box.Agrees()))
		}))
}

// aligning reads what the store has of the generation, if it is little enough to
// be compared.
func (p numbers) aligning(ctx context.Context) (all []plan.Copy, err error) {
	if most := p.Fetcher.Caps.Rebound; p.row.Total+int64(p.box.Selected.Exists) > int64(most) {
		return nil, p.box.TooMany(fault.PhaseOpen, uint64(p.row.Total)+uint64(p.box.Selected.Exists),
			"messages whose numbers do not last", most)
	}
	err = p.Fetcher.Store.Read(ctx, func(r *storage.Reader) error {
		held, err := r.Held(p.row.ID, p.box.Validity, storage.AllUIDs())
		all = nil
		for _, h := range held {
			if !h.Expunged {
				all = append(all, copyOf(h))
			}
		}
		return err
	})
	return all, fault.In(fault.PhaseStore, err)
}

// sampled reports whether some of the stored messages are the server's under
// their UIDs.
func (p numbers) sampled(ctx context.Context, stored []plan.Copy) (bool, error) {
	want := map[storage.UID]storage.Mark{}
	var uids []storage.UID
	for _, i := range plan.Sample(len(stored)) {
		c := stored[i]
		want[c.UID] = storage.Mark{UID: c.UID, Size: c.Size, Date: c.Date.Unix()}
		uids = append(uids, c.UID)
	}
	same := 0
	err := p.box.Look(ctx, uids, func(m plan.Seen) {
		if want[m.UID] == m.Mark {
			same++
		}
	})
	return same == len(uids), err
}

// alignHeaders asks for the headers that tell doubtful copies apart.
func (p numbers) alignHeaders(ctx context.Context, a *plan.Aligned) error {
	if len(a.Stored) == 0 || len(a.Listed) == 0 {
		return nil
	}
	sizes := make(map[int64]bool, len(a.Stored))
	for _, c := range a.Stored {
		sizes[c.Size] = true
	}
	at := make(map[storage.UID]int, len(a.Listed))
	var ask []storage.UID
	for i, c := range a.Listed {
		if at[c.UID] = i; c.Size < 0 || sizes[c.Size] {
			ask = append(ask, c.UID)
		}
	}
	for page := range slices.Chunk(ask, HeaderPage) {
		if err := p.box.Describe(ctx, page, true, func(_ *imap.Message, c plan.Copy) {
			if i, ok := at[c.UID]; ok {
				a.Listed[i].Header = c.Header
			}
		}); err != nil && !p.box.Refused(err) { // without headers they are downloaded
			return err
		}
		p.Moved() // the task is not stuck
	}
	if err := p.digestStored(ctx, a.Stored, nil); err != nil {
		return err
	}
	a.ByHeader()
	return nil
}

// realign compares again on a new connection, whose numbers may be others,
// before messages go. again: it did, and the mailbox must be listed again.
func (p numbers) realign(ctx context.Context) (again bool, err error) {
	if p.realigned {
		return false, nil
	}
	p.realigned = true
	if err := p.box.Anew(ctx); err != nil {
		return false, err
	}
	if _, err := p.align(ctx, false); err != nil {
		return false, err
	}
	return true, p.begin(ctx)
}

// endQuiet ends a pass that found nothing to do.
func (p numbers) endQuiet(ctx context.Context) error {
	return fault.In(fault.PhaseStore, p.Fetcher.Store.Write(ctx, storage.Interactive, 0,
		func(tx *storage.Writer) error {
			if err := tx.EndPass(p.row.ID, storage.Pass{UIDNext: p.row.Pass.UIDNext, Total: p.row.Total,
				Unseen: p.Said.Unseen, At: time.Now().UTC()}); err != nil {
				return err
			}
			return p.CompleteTx(tx)
		}))
}
