package reconcile

import (
	"context"
	"slices"

	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/plan"
	"mailcote/storage"
)

// reusedUIDs returns the stored messages whose UIDs now mean other messages. A
// server that was restored from a copy gives out UIDs again. They are
// downloaded, and the store keeps what they were for its retention.
func (p *pass) reusedUIDs(ctx context.Context, stored []storage.UID) ([]storage.UID, error) {
	if len(stored) == 0 || len(p.listing) == 0 {
		return nil, nil
	}
	noted := stored[len(stored)-1] + 1
	if p.row.Building == nil {
		noted = max(noted, p.row.Pass.UIDNext)
	}
	doubt := plan.DoubtOf(p.uidNext(), p.listing[len(p.listing)-1], noted)
	if doubt == plan.Sure {
		return nil, nil
	}
	var all []storage.UID
	for part := range slices.Chunk(stored, p.Fetcher.Caps.Rebound) {
		other, err := p.reusedIn(ctx, storage.Range{Lo: part[0], Hi: part[len(part)-1]}, doubt)
		if err != nil {
			return nil, err
		}
		all = append(all, other...)
	}
	return all, nil
}

// reusedIn is reusedUIDs for a range.
func (p *pass) reusedIn(ctx context.Context, uids storage.Range, doubt plan.Doubt) ([]storage.UID, error) {
	copies, err := p.listedCopies(ctx, uids)
	if err != nil {
		return nil, err
	}
	if doubt == plan.Unsure {
		copies, err = p.changedCopies(ctx, copies)
	}
	var all []storage.UID
	for err == nil && len(copies) > 0 {
		page := copies[:min(len(copies), HeaderPage)]
		var other []storage.UID
		if other, err = p.replaced(ctx, page, doubt); err == nil {
			all, copies = append(all, other...), copies[len(page):]
		}
	}
	if p.box.Refused(err) { // without an answer, what is suspect is downloaded
		for _, c := range copies {
			if doubt == plan.Suspect {
				all = append(all, c.UID)
			}
		}
		return all, nil
	}
	return all, err
}

// listedCopies returns what the store has of the listing in a range.
func (p *pass) listedCopies(ctx context.Context, uids storage.Range) (copies []plan.Copy, err error) {
	err = p.Fetcher.Store.Read(ctx, func(r *storage.Reader) error {
		here, err := r.Held(p.row.ID, p.box.Validity, uids)
		for _, h := range here {
			if _, listed := slices.BinarySearch(p.listing, h.UID); listed && !h.Expunged {
				copies = append(copies, copyOf(h))
			}
		}
		return err
	})
	return copies, fault.In(fault.PhaseStore, err)
}

// changedCopies returns the copies whose size or date differ on the server.
func (p *pass) changedCopies(ctx context.Context, copies []plan.Copy) (all []plan.Copy, err error) {
	stored := make(map[storage.UID]plan.Copy, len(copies))
	uids := make([]storage.UID, len(copies))
	for i, c := range copies {
		stored[c.UID], uids[i] = c, c.UID
	}
	err = p.box.Describe(ctx, uids, false, func(_ *imap.Message, now plan.Copy) {
		c, ok := stored[now.UID]
		if ok && (now.Size >= 0 && now.Size != c.Size || !now.Date.IsZero() && now.Date.Unix() != c.Date.Unix()) {
			delete(stored, c.UID)
			all = append(all, c)
		}
	})
	return all, err
}

// replaced returns the messages of a page that differ from the stored copies,
// and those that the server does not describe. If the server's UIDNEXT is worth
// nothing, its sizes and dates may be wrong too: then the header decides.
func (p *pass) replaced(ctx context.Context, page []plan.Copy, doubt plan.Doubt) ([]storage.UID, error) {
	if err := p.digestStored(ctx, page, nil); err != nil {
		return nil, err
	}
	uids := make([]storage.UID, len(page))
	stored := make(map[storage.UID]plan.Copy, len(page))
	for i, c := range page {
		stored[c.UID], uids[i] = c, c.UID
	}
	same, other := map[storage.UID]bool{}, map[storage.UID]bool{}
	err := p.box.Describe(ctx, uids, true, func(_ *imap.Message, now plan.Copy) {
		if c, ok := stored[now.UID]; !ok || !now.Header.Known() {
			return
		} else if c.Same(now) || doubt == plan.Unsure && c.Header == now.Header {
			same[now.UID] = true
		} else {
			other[now.UID] = true
		}
	})
	return slices.DeleteFunc(uids, func(uid storage.UID) bool { return same[uid] && !other[uid] }), err
}
