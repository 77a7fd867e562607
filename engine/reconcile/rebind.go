package reconcile

import (
	"context"
	"io"
	"slices"

	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/engine/plan"
	"mailcote/storage"
	"mailcote/testkit/failpoint"
)

const (
	HeaderPage = 500 // messages whose headers one FETCH asks for, or one snapshot reads
	// times in a row that asking for headers may break a session before the messages are downloaded instead
	headerMost = 3
	bindBatch  = 1000 // messages one transaction binds
)

// headerProbe is what a worker has learnt of a listing that may hold known messages under new UIDs. It outlives a
// broken session, so that each header is asked for once.
type headerProbe struct {
	mailbox  storage.MailboxID
	validity storage.UIDValidity
	known    map[storage.UID]*candidate // those of a size that the store holds
	learnt   int                        // headers, in all
	broke    int                        // times in a row that a session broke before one header was learnt
}

// candidate is a listed message that the store does not hold under its UID.
type candidate struct {
	plan.Copy
	said storage.FlagChange // its flags
	told bool               // its header was given; given twice and not alike, it is unknown again
}

// rebind gives messages that are new under their UIDs to entries the store holds, where they can be told for
// certain by size and header, and gives the rest, which must be downloaded. There is something to look for in a
// new generation, and where the store held UIDs of this one before.
func (p *pass) rebind(ctx context.Context, todo []storage.UID) (rest []storage.UID, err error) {
	next := p.row.Pass.UIDNext
	if p.row.Building == nil && !slices.ContainsFunc(todo, func(uid storage.UID) bool { return uid < next }) {
		return todo, nil
	}
	compared := int64(len(p.listing))
	if p.row.Building != nil {
		compared += p.row.Total
	}
	if compared > int64(p.Fetcher.Caps.Rebound) { // each takes memory: what is new is downloaded
		return todo, nil
	}
	before, again, taken, err := p.holdings(ctx, todo)
	if err != nil || len(before)+len(again) == 0 {
		return todo, err
	}
	a := p.Memory.probe
	if a == nil || a.mailbox != p.row.ID || a.validity != p.box.Validity {
		a = &headerProbe{mailbox: p.row.ID, validity: p.box.Validity, known: map[storage.UID]*candidate{}}
		p.Memory.probe = a
	}
	if a.broke >= headerMost {
		return todo, nil
	}
	learnt := a.learnt
	silent, err := p.measure(ctx, todo, before, again)
	if err == nil {
		err = p.headers(ctx, todo)
	}
	if p.box.Renumbered() { // what was learnt may be of another mailbox
		p.Memory.probe = nil
		return nil, mailbox.Renumber(fault.PhaseList, err)
	}
	if p.box.Refused(err) { // it cannot be told: a download can
		return todo, nil
	}
	if err != nil {
		if a.learnt > learnt {
			a.broke = 0
			p.Fetcher.Bisection().Closer()
		} else if p.box.Session().Err() != nil {
			a.broke++
		}
		return nil, err
	}
	listed := make([]plan.Copy, 0, len(a.known)+len(silent))
	wanted := map[int64]bool{}
	for _, uid := range todo {
		if s := a.known[uid]; s != nil {
			listed = append(listed, s.Copy)
			wanted[s.Size] = true
		} else if silent[uid] {
			listed = append(listed, plan.Copy{UID: uid, Size: -1})
		}
	}
	for _, side := range [][]plan.Copy{before, again, taken} {
		if err := p.sums(ctx, side, wanted); err != nil {
			return nil, err
		}
	}
	bound, err := p.bind(ctx, plan.Rebind(listed, taken, before, again))
	if err != nil {
		return nil, err
	}
	p.Memory.probe = nil
	return slices.DeleteFunc(slices.Clone(todo), func(uid storage.UID) bool { return bound[uid] }), nil
}

// holdings gives what the store holds of the mailbox: before under another generation's UIDs, again under UIDs of
// todo before they left, taken under other UIDs of this generation.
func (p *pass) holdings(ctx context.Context, todo []storage.UID) (before, again, taken []plan.Copy, err error) {
	err = p.Fetcher.Store.Read(ctx, func(r *storage.Reader) error {
		if p.row.Building != nil {
			shown, err := r.Held(p.row.ID, p.row.UIDValidity, storage.AllUIDs())
			if err != nil {
				return err
			}
			for _, h := range shown {
				if !h.Expunged {
					before = append(before, copyOf(h))
				}
			}
		}
		here, err := r.Held(p.row.ID, p.box.Validity, storage.AllUIDs())
		if err != nil {
			return err
		}
		asked := make(map[storage.UID]bool, len(todo))
		for _, uid := range todo {
			asked[uid] = true
		}
		for _, h := range here {
			switch {
			case !h.Expunged:
				taken = append(taken, copyOf(h))
			case asked[h.UID]:
				again = append(again, copyOf(h))
			}
		}
		return nil
	})
	return before, again, taken, fault.In(fault.PhaseStore, err)
}

func copyOf(h storage.Held) plan.Copy {
	return plan.Copy{UID: h.UID, Entry: h.ID, Size: h.Size, Date: h.InternalDate}
}

// measure asks what size and flags the messages have, and notes those of a size that the store holds. silent are
// those of which nothing is said even when asked twice.
func (p *pass) measure(ctx context.Context, todo []storage.UID, before,
	again []plan.Copy) (silent map[storage.UID]bool, err error) {
	held := make(map[int64]bool, len(before))
	for _, c := range before {
		held[c.Size] = true
	}
	own := make(map[storage.UID]int64, len(again))
	for _, c := range again {
		own[c.UID] = c.Size
	}
	silent = make(map[storage.UID]bool, len(todo))
	for _, uid := range todo {
		if len(before) > 0 || own[uid] > 0 {
			silent[uid] = true
		}
	}
	for try := 0; try < 2 && len(silent) > 0; try++ {
		asked := slices.DeleteFunc(slices.Clone(todo), func(uid storage.UID) bool { return !silent[uid] })
		if err := p.box.Describe(ctx, asked, false, func(m *imap.Message, now plan.Copy) {
			if silent[now.UID] && now.Size >= 0 {
				delete(silent, now.UID)
				if size, ok := own[now.UID]; (held[now.Size] || ok && size == now.Size) &&
					p.Memory.probe.known[now.UID] == nil {
					p.Memory.probe.known[now.UID] = &candidate{Copy: plan.Copy{UID: now.UID, Size: now.Size}}
				}
			}
			p.reflag(m)
		}); err != nil {
			return nil, err
		}
	}
	return silent, nil
}

// reflag notes the flags of a message that is known already.
func (p *pass) reflag(m *imap.Message) {
	if s := p.Memory.probe.known[storage.UID(m.UID)]; s != nil && m.HasFlags {
		s.said = mailbox.FlagsOf(m.UID, m.State)
	}
}

// headers asks for the headers that are not known yet, page by page.
func (p *pass) headers(ctx context.Context, todo []storage.UID) error {
	unknown := slices.DeleteFunc(slices.Clone(todo), func(uid storage.UID) bool {
		s := p.Memory.probe.known[uid]
		return s == nil || s.told
	})
	for page := range slices.Chunk(unknown, HeaderPage) {
		failpoint.Hit("engine.beforeHeaders")
		if err := p.headersOf(ctx, page); err != nil {
			return err
		}
	}
	return nil
}

// headersOf asks for one page of headers.
func (p *pass) headersOf(ctx context.Context, page []storage.UID) error {
	return p.box.Describe(ctx, page, true, func(m *imap.Message, now plan.Copy) {
		p.reflag(m)
		s := p.Memory.probe.known[now.UID]
		switch {
		case s == nil || !now.Header.Says():
		case !s.told && now.Size == s.Size:
			s.Copy, s.told = now, true
			p.Memory.probe.learnt++
		case !s.Same(now):
			s.Header = plan.Digest{}
		}
	})
}

// sums fills in the digests of stored messages of the wanted sizes, nil: of all. A message that cannot be read
// matches nothing.
func (p *pass) sums(ctx context.Context, copies []plan.Copy, wanted map[int64]bool) error {
	at := make(map[storage.EntryID]int, HeaderPage)
	for i := 0; i < len(copies); {
		clear(at)
		var ids []storage.EntryID
		for ; i < len(copies) && len(ids) < HeaderPage; i++ {
			if wanted == nil || wanted[copies[i].Size] {
				ids = append(ids, copies[i].Entry)
				at[copies[i].Entry] = i
			}
		}
		if err := p.Fetcher.Store.Read(ctx, func(r *storage.Reader) error {
			return r.Beginnings(ids, func(id storage.EntryID, raw io.Reader) error {
				copies[at[id]].Header = plan.SumOf(raw)
				return nil
			})
		}); err != nil {
			return fault.In(fault.PhaseStore, err)
		}
		p.Moved() // it moves: the watchdog is told
	}
	return nil
}

// bind commits matches and what they earn, in slices.
func (p *pass) bind(ctx context.Context, matches []plan.Match) (bound map[storage.UID]bool, err error) {
	bound = make(map[storage.UID]bool, len(matches))
	for len(matches) > 0 {
		failpoint.Hit("engine.beforeBind")
		n := min(len(matches), bindBatch)
		some := make([]storage.Binding, n)
		for i, m := range matches[:n] {
			s := p.Memory.probe.known[m.UID]
			some[i] = storage.Binding{UID: m.UID, From: m.Entry, InternalDate: s.Date, Flags: s.said.Flags,
				ModSeq: s.said.ModSeq}
		}
		matches = matches[n:]
		var stored []storage.UID
		if err := p.Fetcher.Store.Write(context.WithoutCancel(ctx), storage.Bulk, 0,
			func(tx *storage.Writer) (err error) {
				if stored, err = tx.Bind(p.row.ID, p.box.Validity, some); err != nil {
					return err
				}
				if err := tx.Vouch(p.row.ID, p.box.Validity, plan.Cover(p.listing,
					slices.Sorted(slices.Values(stored)))); err != nil {
					return err
				}
				return p.ProgressTx(tx, p.row.Path, some[n-1].UID, 0)
			}); err != nil {
			return nil, fault.In(fault.PhaseStore, err)
		}
		for _, uid := range stored {
			bound[uid] = true
		}
		p.Fetching.Progressed()
		p.Moved()
		if err := ctx.Err(); err != nil {
			return nil, fault.In(fault.PhaseStore, err)
		}
	}
	return bound, nil
}

// reused gives the stored messages under whose UIDs the server has others now: a server that was restored from a
// copy gives out UIDs again (FAULTS S6). They are downloaded; the store keeps what they were for its retention.
func (p *pass) reused(ctx context.Context, stored []storage.Listed) ([]storage.UID, error) {
	if len(stored) == 0 || len(p.listing) == 0 {
		return nil, nil
	}
	noted := stored[len(stored)-1].UID + 1
	if p.row.Building == nil {
		noted = max(noted, p.row.Pass.UIDNext)
	}
	doubt := plan.DoubtOf(storage.UID(p.box.Selected.UIDNext), p.listing[len(p.listing)-1], noted)
	if doubt == plan.Sure {
		return nil, nil
	}
	var all []storage.UID
	for part := range slices.Chunk(stored, p.Fetcher.Caps.Rebound) {
		other, err := p.doubted(ctx, storage.Range{Lo: part[0].UID, Hi: part[len(part)-1].UID}, doubt)
		if err != nil {
			return nil, err
		}
		all = append(all, other...)
	}
	return all, nil
}

// doubted is reused for those of a range.
func (p *pass) doubted(ctx context.Context, uids storage.Range, doubt plan.Doubt) ([]storage.UID, error) {
	held, err := p.listedHoldings(ctx, uids)
	if err != nil {
		return nil, err
	}
	if doubt == plan.Unsure {
		held, err = p.different(ctx, held)
	}
	var all []storage.UID
	for err == nil && len(held) > 0 {
		page := held[:min(len(held), HeaderPage)]
		var other []storage.UID
		if other, err = p.others(ctx, page, doubt); err == nil {
			all, held = append(all, other...), held[len(page):]
		}
	}
	if p.box.Refused(err) { // nothing can be said: what gives reason to doubt is downloaded
		for _, c := range held {
			if doubt == plan.Suspect {
				all = append(all, c.UID)
			}
		}
		return all, nil
	}
	return all, err
}

// listedHoldings gives what the store holds of the listing in a range.
func (p *pass) listedHoldings(ctx context.Context, uids storage.Range) (held []plan.Copy, err error) {
	err = p.Fetcher.Store.Read(ctx, func(r *storage.Reader) error {
		here, err := r.Held(p.row.ID, p.box.Validity, uids)
		for _, h := range here {
			if _, listed := slices.BinarySearch(p.listing, h.UID); listed && !h.Expunged {
				held = append(held, copyOf(h))
			}
		}
		return err
	})
	return held, fault.In(fault.PhaseStore, err)
}

// different gives the messages whose size or date are not what the store knows.
func (p *pass) different(ctx context.Context, held []plan.Copy) (all []plan.Copy, err error) {
	known := make(map[storage.UID]plan.Copy, len(held))
	uids := make([]storage.UID, len(held))
	for i, c := range held {
		known[c.UID], uids[i] = c, c.UID
	}
	err = p.box.Describe(ctx, uids, false, func(_ *imap.Message, now plan.Copy) {
		c, ok := known[now.UID]
		if ok && (now.Size >= 0 && now.Size != c.Size || !now.Date.IsZero() && now.Date.Unix() != c.Date.Unix()) {
			delete(known, c.UID)
			all = append(all, c)
		}
	})
	return all, err
}

// others gives the messages of a page that are not what the store holds, and those the server does not describe.
// Of a server whose UIDNEXT is worth nothing size and date may be too: then the header decides.
func (p *pass) others(ctx context.Context, page []plan.Copy, doubt plan.Doubt) ([]storage.UID, error) {
	if err := p.sums(ctx, page, nil); err != nil {
		return nil, err
	}
	uids := make([]storage.UID, len(page))
	stored := make(map[storage.UID]plan.Copy, len(page))
	for i, c := range page {
		stored[c.UID], uids[i] = c, c.UID
	}
	same, other := map[storage.UID]bool{}, map[storage.UID]bool{}
	err := p.box.Describe(ctx, uids, true, func(_ *imap.Message, now plan.Copy) {
		if c, ok := stored[now.UID]; !ok || !now.Header.Says() {
			return
		} else if c.Same(now) || doubt == plan.Unsure && c.Header == now.Header {
			same[now.UID] = true
		} else {
			other[now.UID] = true
		}
	})
	return slices.DeleteFunc(uids, func(uid storage.UID) bool { return same[uid] && !other[uid] }), err
}
