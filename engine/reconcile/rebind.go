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
	// maxBreaks is how often in a row asking for headers may break a session
	// before the messages are downloaded instead.
	maxBreaks = 3
	bindBatch = 1000 // messages that one transaction binds
)

// headerProbe is what a worker has learnt of a listing that may have stored
// messages under new UIDs. It outlives a broken session, so that each header is
// asked for once.
type headerProbe struct {
	mailbox    storage.MailboxID
	validity   storage.UIDValidity
	candidates map[storage.UID]*candidate // those of a size that the store has
	learnt     int                        // headers in all
	breaks     int                        // sessions in a row that broke before one header was learnt
}

// candidate is a listed message that the store does not have under its UID.
type candidate struct {
	plan.Copy
	flags     storage.FlagChange // its flags
	hasHeader bool               // its header came; if it came again and differed, it is unknown again
}

// rebind binds messages with new UIDs to stored entries, where size and header
// prove that they are the same. It returns the rest, which must be downloaded.
// There is something to bind in a new generation, and where the store had UIDs
// of this one before.
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
	before, again, taken, err := p.storedCopies(ctx, todo)
	if err != nil || len(before)+len(again) == 0 {
		return todo, err
	}
	probe := p.Memory.probe
	if probe == nil || probe.mailbox != p.row.ID || probe.validity != p.box.Validity {
		probe = &headerProbe{mailbox: p.row.ID, validity: p.box.Validity, candidates: map[storage.UID]*candidate{}}
		p.Memory.probe = probe
	}
	if probe.breaks >= maxBreaks {
		return todo, nil
	}
	learnt := probe.learnt
	unanswered, err := p.probeSizes(ctx, todo, before, again)
	if err == nil {
		err = p.probeHeaders(ctx, todo)
	}
	if p.box.Renumbered() { // what was learnt may be of another mailbox
		p.Memory.probe = nil
		return nil, mailbox.Renumber(fault.PhaseList, err)
	}
	if p.box.Refused(err) { // it cannot be probed: a download works
		return todo, nil
	}
	if err != nil {
		if probe.learnt > learnt {
			probe.breaks = 0
			p.Fetcher.Bisection().Closer()
		} else if p.box.Session().Err() != nil {
			probe.breaks++
		}
		return nil, err
	}
	listed := make([]plan.Copy, 0, len(probe.candidates)+len(unanswered))
	wanted := map[int64]bool{}
	for _, uid := range todo {
		if s := probe.candidates[uid]; s != nil {
			listed = append(listed, s.Copy)
			wanted[s.Size] = true
		} else if unanswered[uid] {
			listed = append(listed, plan.Copy{UID: uid, Size: -1})
		}
	}
	for _, side := range [][]plan.Copy{before, again, taken} {
		if err := p.digestStored(ctx, side, wanted); err != nil {
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

// storedCopies returns what the store has of the mailbox: before is under
// another generation's UIDs, again under UIDs of todo before they left, taken
// under other UIDs of this generation.
func (p *pass) storedCopies(ctx context.Context, todo []storage.UID) (before, again, taken []plan.Copy, err error) {
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

// probeSizes asks for the sizes and flags of messages and notes the candidates.
// unanswered are messages that the server says nothing of, even when asked
// twice.
func (p *pass) probeSizes(ctx context.Context, todo []storage.UID, before,
	again []plan.Copy) (unanswered map[storage.UID]bool, err error) {
	storedSizes := make(map[int64]bool, len(before))
	for _, c := range before {
		storedSizes[c.Size] = true
	}
	own := make(map[storage.UID]int64, len(again))
	for _, c := range again {
		own[c.UID] = c.Size
	}
	unanswered = make(map[storage.UID]bool, len(todo))
	for _, uid := range todo {
		if len(before) > 0 || own[uid] > 0 {
			unanswered[uid] = true
		}
	}
	for try := 0; try < 2 && len(unanswered) > 0; try++ {
		asked := slices.DeleteFunc(slices.Clone(todo), func(uid storage.UID) bool { return !unanswered[uid] })
		if err := p.box.Describe(ctx, asked, false, func(m *imap.Message, now plan.Copy) {
			if unanswered[now.UID] && now.Size >= 0 {
				delete(unanswered, now.UID)
				if size, ok := own[now.UID]; (storedSizes[now.Size] || ok && size == now.Size) &&
					p.Memory.probe.candidates[now.UID] == nil {
					p.Memory.probe.candidates[now.UID] = &candidate{Copy: plan.Copy{UID: now.UID, Size: now.Size}}
				}
			}
			p.probeFlags(m)
		}); err != nil {
			return nil, err
		}
	}
	return unanswered, nil
}

// probeFlags notes the flags of a candidate.
func (p *pass) probeFlags(m *imap.Message) {
	if s := p.Memory.probe.candidates[storage.UID(m.UID)]; s != nil && m.HasFlags {
		s.flags = mailbox.FlagsOf(m.UID, m.State)
	}
}

// probeHeaders asks for the headers that are still unknown, page by page.
func (p *pass) probeHeaders(ctx context.Context, todo []storage.UID) error {
	unknown := slices.DeleteFunc(slices.Clone(todo), func(uid storage.UID) bool {
		s := p.Memory.probe.candidates[uid]
		return s == nil || s.hasHeader
	})
	for page := range slices.Chunk(unknown, HeaderPage) {
		failpoint.Hit("engine.beforeHeaders")
		if err := p.probePage(ctx, page); err != nil {
			return err
		}
	}
	return nil
}

// probePage asks for one page of headers.
func (p *pass) probePage(ctx context.Context, page []storage.UID) error {
	return p.box.Describe(ctx, page, true, func(m *imap.Message, now plan.Copy) {
		p.probeFlags(m)
		s := p.Memory.probe.candidates[now.UID]
		switch {
		case s == nil || !now.Header.Known():
		case !s.hasHeader && now.Size == s.Size:
			s.Copy, s.hasHeader = now, true
			p.Memory.probe.learnt++
		case !s.Same(now):
			s.Header = plan.Digest{}
		}
	})
}

// digestStored fills in the digests of stored messages of the wanted sizes; nil
// means of all. A message that cannot be read matches nothing.
func (p *pass) digestStored(ctx context.Context, copies []plan.Copy, wanted map[int64]bool) error {
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
		p.Moved() // the task is not stuck
	}
	return nil
}

// bind commits matches and the UIDs they vouch for, in slices.
func (p *pass) bind(ctx context.Context, matches []plan.Match) (bound map[storage.UID]bool, err error) {
	bound = make(map[storage.UID]bool, len(matches))
	for len(matches) > 0 {
		failpoint.Hit("engine.beforeBind")
		n := min(len(matches), bindBatch)
		some := make([]storage.Binding, n)
		for i, m := range matches[:n] {
			s := p.Memory.probe.candidates[m.UID]
			some[i] = storage.Binding{UID: m.UID, From: m.Entry, InternalDate: s.Date, Flags: s.flags.Flags,
				ModSeq: s.flags.ModSeq}
		}
		matches = matches[n:]
		var stored []storage.UID
		if err := p.Fetcher.Store.Write(context.WithoutCancel(ctx), storage.Bulk, 0,
			func(tx *storage.Writer) (err error) {
				if stored, err = tx.Bind(p.row.ID, p.box.Validity, some); err != nil {
					return err
				}
				if err := tx.Vouch(p.row.ID, p.box.Validity, plan.Cover(p.listing,
					slices.Sorted(slices.Values(stored)), p.box.Agrees())); err != nil {
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
