package engine

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"time"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/imap"
	"mailcote/engine/plan"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/testkit/failpoint"
)

// maxRounds bounds how often one pass lists a mailbox that keeps moving; what is left is the next pass's.
const maxRounds = 5

// pass is one folder_sync: it brings one mailbox to what the server lists.
type pass struct {
	w        *worker
	s        *imap.Session
	t        queue.Task
	mailbox  storage.Mailbox
	selected imap.SelectData
	validity storage.UIDValidity
	seed     maphash.Seed         // of the flags' sums
	barred   []storage.UID        // quarantined, of this generation
	aside    *int                 // rows that the quarantine still takes of this mailbox; nil: not counted yet
	held     map[storage.UID]bool // those of them that are not tried in this pass
	fatal    map[storage.UID]bool // those that are, and ended sessions before
	brief    map[storage.UID]bool // those of them that no person asks for: one way is tried
	culprits int                  // messages that were found to end sessions
	hopeless int                  // rescues that brought nothing
	listing  []storage.UID
	short    bool          // an answer left out flags that were asked for: the next pass compares all of them
	stirred  bool          // the server told of a message that came or went since the listing
	latest   []storage.UID // what was listed last
	moved    bool          // the same as stirred, since then
	swapped  bool          // the server told of another UIDVALIDITY while the mailbox is open
	compared bool          // what is stored was looked at for UIDs that were given out again
	sure     bool          // that so little is left in a new generation was confirmed
	learned  storage.Sizes // of the server's RFC822.SIZEs
	renewals int           // new sessions for what came in doubt

	unasked       func(*imap.Message) error // gets messages that were not asked for; nil: nobody does
	expungeIssued bool                      // the server said so since a FETCH of messages began
}

// tooMany says which number is over its cap.
func (p *pass) tooMany(phase string, said uint64, what string, most int) error {
	return in(phase, fmt.Errorf("%s: the server says %d %s, and %d are the most: %w", p.mailbox.Path, said, what, most, errTooMany))
}

// folder runs one folder_sync.
func (w *worker) folder(ctx context.Context, t queue.Task) error {
	s, err := w.connect(ctx)
	if err != nil {
		return err
	}
	p := &pass{w: w, s: s, t: t, seed: maphash.MakeSeed()}
	if err := p.open(ctx); err != nil {
		return err
	}
	for round := 1; ; round++ {
		moved, err := p.round(ctx)
		if err != nil {
			return err
		}
		if moved && round < maxRounds {
			continue
		}
		same, err := p.believe(ctx)
		if err != nil {
			return err
		}
		if same {
			return p.end(ctx, moved)
		}
		if round >= maxRounds {
			return in(phaseList, fmt.Errorf("%s: %w", p.mailbox.Path, errDisagrees))
		}
	}
}

// open examines the mailbox and fixes the generation that batches go to.
func (p *pass) open(ctx context.Context) (err error) {
	if err := p.load(ctx); err != nil {
		return err
	}
	if err = p.examine(ctx); err != nil {
		return err
	}
	p.watch()
	if n, most := uint64(p.selected.Exists), p.w.e.o.caps.Messages; n > uint64(most) {
		return p.tooMany(phaseOpen, n, "messages", most)
	}
	p.validity = storage.UIDValidity(p.selected.UIDValidity)
	if p.validity == 0 {
		return in(phaseOpen, fmt.Errorf("%s: %w", p.mailbox.Path, errNoValidity))
	}
	failpoint.Hit("engine.examined")
	if err := p.w.e.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
		return tx.OpenGeneration(p.mailbox.ID, p.validity, storage.ModSeq(p.selected.HighestModSeq), int64(p.selected.Exists))
	}); err != nil {
		return in(phaseStore, err)
	}
	return p.load(ctx)
}

// examine opens the mailbox, without CONDSTORE where the server offers it and does not understand it.
func (p *pass) examine(ctx context.Context) (err error) {
	condstore := p.s.Has("CONDSTORE")
	p.selected, err = p.s.Examine(ctx, p.mailbox.Raw, condstore)
	if err = in(phaseOpen, err); condstore && p.refused(err) { // a BAD: a NO is about the mailbox
		p.selected, err = p.s.Examine(ctx, p.mailbox.Raw, false)
		err = in(phaseOpen, err)
	}
	return err
}

// load reads the mailbox and its quarantine.
func (p *pass) load(ctx context.Context) error {
	return in(phaseStore, p.w.e.store.Read(ctx, func(r *storage.Reader) (err error) {
		if p.mailbox, err = r.Mailbox(p.t.Payload.Mailbox); err != nil {
			return err
		}
		if p.learned, err = r.SizesOf(p.w.account.id); err != nil {
			return err
		}
		held, err := r.QuarantineIn(p.mailbox.ID, p.validity)
		p.barred, p.held, p.aside = nil, map[storage.UID]bool{}, nil
		p.fatal, p.brief = map[storage.UID]bool{}, map[storage.UID]bool{}
		for _, q := range held {
			p.barred = append(p.barred, q.UID)
			if !p.w.retries(q) {
				p.held[q.UID] = true
			} else if q.Alone {
				p.fatal[q.UID] = true
				p.brief[q.UID] = !q.Asked
			}
		}
		return err
	}))
}

func (p *pass) entries(ctx context.Context) (all []storage.Listed, err error) {
	err = p.w.e.store.Read(ctx, func(r *storage.Reader) (err error) {
		all, err = r.Entries(p.mailbox.ID, p.validity, p.seed)
		return err
	})
	return all, in(phaseStore, err)
}

// round lists the mailbox once and settles every difference. moved: it changed meanwhile.
func (p *pass) round(ctx context.Context) (moved bool, err error) {
	stored, err := p.entries(ctx)
	if err != nil {
		return false, err
	}
	empty := p.s.Exists() == 0 // and no flags are asked for
	if err := p.flags(ctx, stored); err != nil {
		return false, err
	}
	if p.listing, err = p.list(ctx); err != nil {
		return false, err
	}
	have := make([]storage.UID, len(stored))
	for i, entry := range stored {
		have[i] = entry.UID
	}
	p.latest, p.moved = p.listing, p.stirred
	failpoint.Hit("engine.listed")
	d := plan.Compare(p.listing, have)
	if plan.Mass(len(d.Gone), len(have)) {
		if d, err = p.confirm(ctx, d, have); err != nil {
			return false, err
		}
	}
	if err := p.proven(ctx, d.Gone); err != nil {
		return false, err
	}
	if p.swapped {
		return false, in(phaseList, errSwapped)
	}
	if err := p.expunge(ctx, d.Gone); err != nil {
		return false, err
	}
	if d.New, err = p.rebind(ctx, d.New); err != nil {
		return false, err
	}
	if !p.compared {
		again, err := p.reused(ctx, stored)
		if err != nil {
			return false, err
		}
		d.New, p.compared = append(d.New, again...), true
	}
	d.New = slices.DeleteFunc(d.New, func(uid storage.UID) bool { return p.held[uid] })
	p.w.e.progress.Mailbox(p.w.account.name(), p.mailbox.Path, int64(len(p.listing)-len(d.New)), int64(len(p.listing)))
	if err := p.fetchAll(ctx, d.New); err != nil {
		return false, err
	}
	if err := p.s.Noop(ctx); err != nil {
		return false, in(phaseList, err)
	}
	if p.swapped {
		return false, in(phaseList, errSwapped)
	}
	return p.stirred || empty && len(p.listing) > 0 || int(p.s.Exists()) != len(p.listing), nil
}

// list gives the mailbox's UIDs, ascending, and believes them only when their number is what EXISTS says.
func (p *pass) list(ctx context.Context) ([]storage.UID, error) {
	for try := 1; ; try++ {
		p.stirred = false
		set, err := p.s.UIDSearchAll(ctx)
		if err != nil {
			return nil, in(phaseList, err)
		}
		if p.swapped { // it may be that of other UIDs
			return nil, in(phaseList, errSwapped)
		}
		if n, most := numberOf(set), p.w.e.o.caps.Messages; n > uint64(most) {
			return nil, p.tooMany(phaseList, n, "messages", most)
		}
		if uids, ok := expand(set, p.s.Exists()); ok {
			return uids, nil
		}
		if try == 3 {
			return nil, in(phaseList, fmt.Errorf("%s: %w", p.mailbox.Path, errDisagrees))
		}
		if err := p.s.Noop(ctx); err != nil {
			return nil, in(phaseList, err)
		}
	}
}

// numberOf counts the UIDs of a set.
func numberOf(set goimap.UIDSet) (n uint64) {
	for _, r := range set {
		n += uint64(max(r.Stop, r.Start)) - uint64(r.Start) + 1
	}
	return n
}

// expand turns a set into ascending UIDs when it holds exactly want of them. Ranges are never expanded beyond that, so ask
// numberOf first whether a mailbox may have so many.
func expand(set goimap.UIDSet, want uint32) ([]storage.UID, bool) {
	if numberOf(set) != uint64(want) {
		return nil, false
	}
	uids := make([]storage.UID, 0, want)
	for _, r := range set {
		if r.Start == 0 || r.Stop < r.Start {
			return nil, false
		}
		for uid := uint64(r.Start); uid <= uint64(r.Stop); uid++ {
			uids = append(uids, storage.UID(uid))
		}
	}
	slices.Sort(uids)
	for i := range len(uids) - 1 {
		if uids[i] == uids[i+1] {
			return nil, false
		}
	}
	return uids, true
}

// confirm lists again on a new connection before a mass of messages goes; only what both listings lack is gone.
func (p *pass) confirm(ctx context.Context, first plan.Difference, have []storage.UID) (plan.Difference, error) {
	if err := p.relist(ctx); err != nil {
		return first, err
	}
	second := plan.Compare(p.listing, have)
	second.Gone = slices.DeleteFunc(second.Gone, func(uid storage.UID) bool {
		_, missed := slices.BinarySearch(first.Gone, uid)
		return !missed
	})
	return second, nil
}

// proven asks for the messages that are to go: a server that still gives one of them has listed wrongly, and nothing goes.
func (p *pass) proven(ctx context.Context, gone []storage.UID) error {
	if len(gone) == 0 {
		return nil
	}
	alive := false
	take := imap.FetchHandler{Fetch: func(*imap.Message) error {
		alive = true
		return nil
	}}
	err := in(phaseList, p.s.UIDFetch(ctx, uidSet(gone), []imap.Item{imap.ItemState}, take))
	if alive {
		return in(phaseList, fmt.Errorf("%s: a message is given that the listing lacks: %w", p.mailbox.Path, errDisagrees))
	}
	if !p.refused(err) {
		return err
	}
	if len(p.listing) > 0 { // some refuse a set of which nothing is left
		return nil
	}
	// An empty mailbox is not searched, so EXISTS stands alone: a new connection must say the same.
	if err := p.relist(ctx); err != nil {
		return err
	}
	if len(p.listing) > 0 {
		return in(phaseList, fmt.Errorf("%s: only one of two connections shows it empty: %w", p.mailbox.Path, errDisagrees))
	}
	return nil
}

// believe says whether the generation that was built may take the place of the shown one: when it holds so much less that a
// mass of messages would go, a listing on a new connection must say the same.
func (p *pass) believe(ctx context.Context) (bool, error) {
	if p.sure || p.mailbox.Building == nil || !plan.Mass(int(p.mailbox.Total)-len(p.listing), int(p.mailbox.Total)) {
		return true, nil
	}
	first := p.listing
	if err := p.relist(ctx); err != nil {
		return false, err
	}
	p.sure = slices.Equal(first, p.listing)
	return p.sure, nil
}

// relist lists the same generation of the mailbox on a new connection.
func (p *pass) relist(ctx context.Context) error {
	s, err := p.w.reconnect(ctx)
	if err != nil {
		return err
	}
	if err := p.reopen(ctx, s); err != nil {
		return err
	}
	p.listing, err = p.list(ctx)
	p.latest, p.moved = p.listing, p.stirred
	return err
}

// yield ends the pass of one who has to stop, or lets a person have the session and opens the mailbox again afterwards. It is
// called between commands.
func (p *pass) yield(ctx context.Context) error {
	moved, err := p.w.yield(ctx)
	if err != nil || !moved {
		return err
	}
	return p.reopen(ctx, p.w.lease.Session())
}

// reopen examines the mailbox on a session that may have had another one open.
func (p *pass) reopen(ctx context.Context, s *imap.Session) error {
	p.s = s
	before := p.selected
	if err := p.examine(ctx); err != nil {
		return err
	}
	p.watch()
	now := &p.selected
	if storage.UIDValidity(now.UIDValidity) != p.validity {
		return in(phaseOpen, errSwapped)
	}
	if now.UIDNext == 0 || now.UIDNext != before.UIDNext || now.Exists != before.Exists { // nobody told of what came and went meanwhile
		p.stir()
	}
	now.HighestModSeq = min(before.HighestModSeq, now.HighestModSeq) // flags were compared up to there
	return nil
}

// watch observes the mailbox, which was just opened, for as long as it stays open.
func (p *pass) watch() {
	p.s.Observe(imap.Observer{
		Fetch: func(m *imap.Message) error {
			if p.unasked == nil {
				return nil
			}
			return p.unasked(m)
		},
		Exists:  func(uint32) { p.stir() },
		Expunge: func(uint32) { p.stir() },
		Status: func(st imap.Status) {
			switch st.Code {
			case "UIDVALIDITY":
				p.swapped = p.swapped || p.validity != 0 && st.CodeArgs != strconv.FormatUint(uint64(p.validity), 10)
			case "EXPUNGEISSUED":
				p.expungeIssued = true
			}
		},
	})
}

// uidFetch asks for messages. take.Fetch also gets what the server says of other messages meanwhile.
func (p *pass) uidFetch(ctx context.Context, uids goimap.UIDSet, since storage.ModSeq, items []imap.Item,
	take imap.FetchHandler) error {
	p.unasked = take.Fetch
	defer func() { p.unasked = nil }()
	return p.s.UIDFetchSince(ctx, uids, uint64(since), items, take)
}

// stir notes that a listing may be out of date.
func (p *pass) stir() { p.stirred, p.moved = true, true }

// stillListed lists the mailbox again if the server told of any change since it did so last: a mailbox that lacks a message on every
// page would else be listed for each.
func (p *pass) stillListed(ctx context.Context) ([]storage.UID, error) {
	err := in(phaseList, p.s.Noop(ctx))
	if p.swapped { // what was listed is perhaps of other UIDs
		return nil, errors.Join(in(phaseList, errSwapped), err)
	}
	if err != nil || !p.moved {
		return p.latest, err
	}
	stirred := p.stirred
	listing, err := p.list(ctx)
	p.latest, p.moved, p.stirred = listing, p.stirred, p.stirred || stirred
	return listing, err
}

// expunge takes out what the listing lacks.
func (p *pass) expunge(ctx context.Context, gone []storage.UID) error {
	for len(gone) > 0 {
		failpoint.Hit("engine.beforeExpunge")
		some, rest := plan.Page(gone, 1000)
		if err := p.w.e.store.Write(ctx, storage.Bulk, 0, func(tx *storage.Writer) error {
			return tx.Expunge(p.mailbox.ID, p.validity, some)
		}); err != nil {
			return in(phaseStore, err)
		}
		gone = rest
	}
	return nil
}

// end closes the pass: the generation is shown, the gate for the next pass set and the task completed, in one transaction.
func (p *pass) end(ctx context.Context, moved bool) error {
	failpoint.Hit("engine.beforePassEnd")
	modseq := storage.ModSeq(p.selected.HighestModSeq)
	if p.short {
		modseq = 0
	}
	done := storage.Pass{UIDNext: storage.UID(p.selected.UIDNext), Total: int64(len(p.listing)), ModSeq: modseq, At: time.Now().UTC()}
	if n := len(p.listing); n > 0 {
		done.UIDNext = max(done.UIDNext, p.listing[n-1]+1)
	}
	return in(phaseStore, p.w.e.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
		m, err := tx.Mailbox(p.mailbox.ID)
		if err != nil {
			return err
		}
		if m.Building != nil && *m.Building == p.validity {
			stored, err := tx.HasEntries(m.ID, p.validity)
			if err != nil {
				return err
			}
			if stored || len(p.listing) == 0 {
				if err := tx.SwitchGeneration(m.ID, modseq); err != nil {
					return err
				}
			} else { // every message of it is quarantined: the old generation is better than none
				moved = true
			}
		}
		if err := tx.ReleaseGone(m.ID, p.validity, plan.Compare(p.listing, p.barred).Gone); err != nil {
			return err
		}
		if moved { // it never held still: the next pass goes on
			if err := tx.BreakPass(m.ID); err != nil {
				return err
			}
		} else if err := tx.EndPass(m.ID, done); err != nil {
			return err
		}
		_, err = p.w.e.queue.CompleteTx(tx, p.t)
		return err
	}))
}
