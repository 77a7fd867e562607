package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/plan"
	"mailcote/storage"
	"mailcote/storage/class"
)

// numbers decides what the UIDs of the open mailbox mean, where UIDVALIDITY does
// not tell.
type numbers struct{ *pass }

// settleValidity decides to which generation the UIDs of the open mailbox
// belong.
func (p numbers) settleValidity(ctx context.Context) error {
	v := p.box.Validity
	switch {
	case v == 0:
		return p.ownValidity(ctx)
	case p.row.UIDValidity == 0, v == p.row.UIDValidity, p.row.Building != nil && v == *p.row.Building:
		return p.noteValidity(ctx, 0, 0, nil)
	}
	keeps, err := p.keepsNumber(ctx)
	if keeps || err != nil {
		return errors.Join(err, p.noteValidity(ctx, 0, 0, nil))
	}
	p.inPlace, p.box.Validity = true, p.row.UIDValidity
	p.box.Selected.HighestModSeq = 0 // it belongs to no number that lasts
	return p.noteValidity(ctx, 0, plan.Unlasting, p.unlasting())
}

// ownValidity gives the mailbox a number of ours, because the server gives none.
// It is the number that the store has, as long as the UIDs last (plan.Lasts).
func (p numbers) ownValidity(ctx context.Context) error {
	have := p.row.UIDValidity
	if p.row.Building != nil && *p.row.Building == p.row.OwnValidity {
		have = *p.row.Building
	}
	lasts := false
	if have != 0 {
		var err error
		if lasts, err = p.lasts(ctx, have); err != nil {
			return err
		}
	}
	own := have
	for now := storage.UIDValidity(time.Now().Unix()); !lasts; now++ {
		own = now
		lasts = own != 0 && own != p.row.UIDValidity && (p.row.Building == nil || own != *p.row.Building)
	}
	p.box.Own, p.box.Validity = own, own
	return p.noteValidity(ctx, own, 0, &fault.Fault{
		Verdict: policy.Verdict{Class: class.Protocol, Scope: "nothing",
			Hint: "the mailbox is synced, and messages are told by their headers if its UIDs begin anew; " +
				"tell the server's operator"},
		Phase: fault.PhaseOpen, Detail: fmt.Sprintf("%s: the server gives the mailbox no UIDVALIDITY", p.row.Path)})
}

// noteValidity stores what stands in for the server's UIDVALIDITY, and whether
// that lasts. why is recorded when it is news.
func (p numbers) noteValidity(ctx context.Context, own storage.UIDValidity, unstable int, why *fault.Fault) error {
	if own == p.row.OwnValidity && unstable == p.row.Unstable {
		return nil
	}
	news := own != 0 && p.row.OwnValidity == 0 || unstable > p.row.Unstable
	return fault.In(fault.PhaseStore, p.Fetcher.Store.Write(ctx, storage.Interactive, 0,
		func(tx *storage.Writer) error {
			if err := tx.NoteValidity(p.row.ID, own, unstable); err != nil || !news {
				return err
			}
			return p.Fetching.RecordTx(tx, 0, *why, false)
		}))
}

// lasts looks at a sample of a generation's messages.
func (p numbers) lasts(ctx context.Context, validity storage.UIDValidity) (bool, error) {
	var noted storage.UID
	if validity == p.row.UIDValidity {
		noted = p.row.Pass.UIDNext
	}
	var sample []plan.Copy
	if err := p.Fetcher.Store.Read(ctx, func(r *storage.Reader) error {
		all, err := r.UIDs(p.row.ID, validity, p.row.Total)
		if err != nil {
			return err
		}
		sample = nil
		for _, i := range plan.Sample(len(all)) {
			one, err := r.Held(p.row.ID, validity, storage.Range{Lo: all[i], Hi: all[i]})
			if err != nil {
				return err
			}
			for _, h := range one {
				sample = append(sample, copyOf(h))
			}
		}
		if n := len(all); n > 0 {
			noted = max(noted, all[n-1]+1)
		}
		return nil
	}); err != nil {
		return false, fault.In(fault.PhaseStore, err)
	}
	if err := p.digestStored(ctx, sample, nil); err != nil {
		return false, err
	}
	uids := make([]storage.UID, len(sample))
	for i, c := range sample {
		uids[i] = c.UID
	}
	now := make(map[storage.UID]plan.Copy, len(sample))
	err := p.box.Describe(ctx, uids, true, func(_ *imap.Message, c plan.Copy) { now[c.UID] = c })
	if p.box.Refused(err) {
		if err = nil; len(now) == 0 { // UIDNEXT alone tells
			sample = nil
		}
	}
	return plan.Lasts(sample, now, p.box.Selected.Exists, storage.UID(p.box.Selected.UIDNext), noted, p.sizes), err
}
