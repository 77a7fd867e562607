package fetch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/engine/plan"
	"mailcote/storage"
	"mailcote/storage/class"
)

// Fetch brings messages of a listing, newest first, page by page, and behind them those that are asked for alone.
func (p *Pass) Fetch(ctx context.Context, listing, todo []storage.UID) error {
	p.listing = listing
	todo, err := p.setApart(ctx, todo)
	if err != nil {
		return err
	}
	for len(todo) > 0 {
		if err := p.Memory(ctx); err != nil {
			return err
		}
		if todo, err = p.bring(ctx, todo); err != nil {
			return err
		}
		if err := p.askAgain(ctx, false); err != nil {
			return err
		}
		p.page = min(p.page*2, PageMost)
	}
	if err := p.askAgain(ctx, true); err != nil {
		return err
	}
	for _, r := range p.rescues() { // they go behind all others
		if _, err := p.Meter.Fits([]int64{unknownSize}); err != nil {
			return fault.In(fault.PhaseFetch, err)
		}
		if err := p.Memory(ctx); err != nil {
			return err
		}
		if err := (&attempt{p, r}).run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// bring asks for one page of messages, with what that entails, and gives those behind it.
func (p *Pass) bring(ctx context.Context, todo []storage.UID) (rest []storage.UID, err error) {
	n, err := p.size(ctx, todo)
	if err != nil {
		return nil, err
	}
	page, rest := plan.Page(todo, n)
	missing, _, err := p.fetch(ctx, page)
	if err != nil {
		return nil, err
	}
	return rest, p.without(ctx, missing)
}

// MaxRenewals is how many new sessions a pass takes for the pages whose messages came in doubt. What comes in doubt
// later waits until it is as much as a page, or for the end of the pass: a server that is wrong about a message of each
// page must not cost a sign-in a page.
const MaxRenewals = 4

// askAgain asks once more, on a session that has not brought them, for messages that came in doubt: those of a page
// together. What two sessions do not bring whole is asked for in other ways. last: no page follows.
func (p *Pass) askAgain(ctx context.Context, last bool) error {
	for {
		uids, here := p.uncertain(last)
		if len(uids) == 0 || !last && p.renewals >= MaxRenewals && len(uids) < PageMost {
			return nil
		}
		if here {
			p.renewals++
			if err := p.Mailbox.Renew(ctx); err != nil {
				return err
			}
		}
		for len(uids) > 0 {
			var err error
			if uids, err = p.bring(ctx, uids); err != nil {
				return err
			}
			if err := p.setAside(ctx); err != nil {
				return err
			}
		}
	}
}

// setAside asks in other ways for what two sessions did not bring whole. What comes in none is quarantined.
func (p *Pass) setAside(ctx context.Context) error {
	for _, r := range p.rescues() {
		if r.doubt != plan.Aside {
			continue
		}
		if p.hopeless >= MaxHopeless {
			r.strategy = lost
		}
		if err := (&attempt{p, r}).run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// size gives how many messages the next page may ask for: by its size, by what the server takes in a command, by
// the pace, and by the octets that the day has left. It waits for the pace; for the day the account rests.
func (p *Pass) size(ctx context.Context, todo []storage.UID) (int, error) {
	most := min(p.page, len(todo))
	if n := p.Mailbox.Session().MostMessages(); n > 0 {
		most = min(most, n)
	}
	n, err := p.Meter.Page(ctx, most)
	if err != nil || !p.Meter.Metered() {
		return n, fault.In(fault.PhaseFetch, err)
	}
	sizes, err := p.sizes(ctx, todo[:n])
	if err != nil {
		if err = fault.In(fault.PhaseFetch, err); n == 1 && p.ended(ctx, fault.Classify(err)) {
			p.suspect(todo[0], about).recordEnd(fault.Classify(err))
		}
		p.broke = breakage{page: n, barren: true}
		p.bisection.closer = n > 1
		return 0, err
	}
	n, err = p.Meter.Fits(sizes)
	return n, fault.In(fault.PhaseFetch, err)
}

// sizes asks for the sizes of messages, in their order.
func (p *Pass) sizes(ctx context.Context, page []storage.UID) ([]int64, error) {
	at := make(map[storage.UID]int, len(page))
	sizes := make([]int64, len(page))
	for i, uid := range page {
		at[uid], sizes[i] = i, unknownSize
	}
	take := imap.FetchHandler{Fetch: func(m *imap.Message) error {
		if i, ok := at[storage.UID(m.UID)]; ok && m.Size >= 0 {
			sizes[i] = m.Size
		}
		return nil
	}}
	err := p.Mailbox.Session().UIDFetch(ctx, mailbox.SetOf(page), []imap.Item{imap.ItemSize}, take)
	if err != nil && p.Mailbox.Session().Err() == nil && fault.Classify(fault.In(fault.PhaseFetch,
		err)).Class == class.Parsing {
		err = nil // it would say so of the bodies too, and there they are asked for in halves
	}
	return sizes, err
}

// without goes on without the messages that a tagged OK or NO left out. They are asked for again in halves; what
// does not come even alone, and is still listed, is quarantined.
func (p *Pass) without(ctx context.Context, missing []storage.UID) error {
	why := map[storage.UID]error{}
	if err := p.halve(ctx, missing, why); err != nil || len(why) == 0 {
		return err
	}
	listing, err := p.Mailbox.StillListed(ctx)
	if err != nil {
		return err
	}
	var given []*rescue // up
	for _, uid := range slices.Sorted(maps.Keys(why)) {
		if _, listed := slices.BinarySearch(listing, uid); !listed {
			p.Mailbox.Left() // it left: the next round lists again
			if r := p.suspected(uid); r != nil {
				if err := p.forget(ctx, r); err != nil {
					return err
				}
			}
			continue
		}
		r := p.suspect(uid, about)
		if r.first = leftOut(); why[uid] != nil {
			r.first = fault.Classify(why[uid])
		}
		if p.hopeless >= MaxHopeless {
			r.strategy = lost
			given = append(given, r)
			continue
		}
		if err := (&attempt{p, r}).run(ctx); err != nil {
			return err
		}
	}
	if len(given) == 0 {
		return nil
	}
	err = p.quarantine(context.WithoutCancel(ctx), given...)
	for _, r := range given {
		err = errors.Join(err, p.forget(ctx, r))
	}
	return err
}

// halve asks for messages again, in ever smaller pages. why gets those that did not come alone, with the refusal
// if there was one.
func (p *Pass) halve(ctx context.Context, missing []storage.UID, why map[storage.UID]error) error {
	if len(missing) == 0 {
		return nil
	}
	left, refused, err := p.fetch(ctx, missing)
	if err != nil {
		return err
	}
	silent := len(left) == len(missing) && refused == nil // an OK that brings none of them says so of each
	if len(left) == 1 && len(missing) == 1 || silent && p.hopeless >= MaxHopeless {
		for _, uid := range left {
			why[uid] = refused
		}
		return nil
	}
	if len(left) == 1 && len(missing) > 1 {
		return p.halve(ctx, left, why)
	}
	half := len(left) / 2
	if err := p.halve(ctx, left[:half], why); err != nil {
		return err
	}
	return p.halve(ctx, left[half:], why)
}

// fetch brings one page, without the messages at which sessions end: those are left to a rescue. missing are the
// UIDs that did not come: after a nil error the server left them out, or refused them.
func (p *Pass) fetch(ctx context.Context, page []storage.UID) (missing []storage.UID, refused, err error) {
	for len(page) > 0 {
		got, err := p.take(ctx, page, everything(), nil)
		if err == nil {
			return got.missing, got.refused, p.AskFlags(ctx, got.owed)
		}
		culprit, err := p.findCulprit(ctx, got, len(got.missing) == len(page), err)
		if err != nil {
			return got.missing, nil, err
		}
		page = slices.DeleteFunc(got.missing, func(uid storage.UID) bool { return uid == culprit })
	}
	return nil, nil, nil
}

// result is what one FETCH of messages came to.
type result struct {
	missing []storage.UID // asked for, and neither stored nor in doubt
	inside  storage.UID   // whose body was being received when the session broke; 0: none
	refused error         // the NO that ended it early
	owed    FlagsPending  // by what it brought
}

// take asks for items of messages, their bodies among them, and stores what comes; what came whole before an error too.
// known is what the server said before of the one message that is asked for. A message that came in doubt is neither
// stored nor missing: it has a rescue.
func (p *Pass) take(ctx context.Context, page []storage.UID, items []imap.Item, known *imap.Message) (got result,
	err error) {
	if err := p.Mailbox.Yield(ctx); err != nil {
		return got, err
	}
	take := newIntake(ctx, p, page)
	take.known = known
	defer take.close() //nolint:errcheck // it was asked below; this one is for a panic on the way

	err = fault.In(fault.PhaseFetch, p.Mailbox.Fetch(ctx, mailbox.SetOf(page), 0, items,
		imap.FetchHandler{Body: take.body, Fetch: take.fetched}))
	if err != nil && p.Mailbox.Session().Err() == nil && fault.Classify(err).Class == class.Parsing {
		got.refused, err = err, nil // what came before the NO is kept (RFC 2180); the rest is asked for again
	}
	got.inside, p.bisection.answered = take.inside, p.bisection.answered || err == nil
	defer func() { p.bisection.line = p.bisection.line && len(got.missing) == len(page) }()
	if p.Mailbox.ExpungeIssued() {
		take.doubtEmpty()
		p.doubtGone()
	}
	stored := take.close()
	if p.Mailbox.Renumbered() { // nobody knows since when: what was stored of this answer goes, and is asked for again
		return result{}, errors.Join(fault.In(fault.PhaseStore, stored),
			Expunge(take.ctx, p.Store, p.Row.ID, p.Mailbox.Validity, take.handed), fault.In(fault.PhaseFetch,
				fault.ErrRenumbered))
	}
	if stored != nil {
		return result{}, fault.In(fault.PhaseStore, stored)
	}
	if take.learned != nil {
		p.learned = *take.learned
	}
	for _, r := range take.settled {
		if err := p.forget(ctx, r); err != nil {
			return result{}, err
		}
	}
	got.owed = take.owed()
	if len(take.late) > 0 {
		if err := p.StoreFlags(take.ctx, slices.Collect(maps.Values(take.late))); err != nil {
			return result{}, err
		}
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", p.Row.Path, err)
	}
	got.missing = take.missing()
	return got, err
}
