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

// Fetch downloads messages of a listing page by page, newest first. Suspects
// come after all others, one by one.
func (p *Pass) Fetch(ctx context.Context, listing, todo []storage.UID) error {
	p.listing = listing
	todo, err := p.deferSuspects(ctx, todo)
	if err != nil {
		return err
	}
	for len(todo) > 0 {
		if err := p.Memory(ctx); err != nil {
			return err
		}
		if todo, err = p.fetchNext(ctx, todo); err != nil {
			return err
		}
		if err := p.retryDoubtful(ctx, false); err != nil {
			return err
		}
		p.page = min(p.page*2, PageMost)
	}
	if err := p.retryDoubtful(ctx, true); err != nil {
		return err
	}
	for _, r := range p.rescues() { // after all other messages
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

// fetchNext fetches one page, rescues what is missing of it, and returns the
// messages after it.
func (p *Pass) fetchNext(ctx context.Context, todo []storage.UID) (rest []storage.UID, err error) {
	n, err := p.pageSize(ctx, todo)
	if err != nil {
		return nil, err
	}
	page, rest := plan.Page(todo, n)
	missing, _, err := p.fetch(ctx, page)
	if err != nil {
		return nil, err
	}
	return rest, p.rescueMissing(ctx, missing)
}

// MaxRenewals bounds the new sessions that a pass takes for pages with doubtful
// messages. A later doubtful message waits until there is a page of them, or
// for the end of the pass. A server that is wrong about one message a page must
// not cost a sign-in a page.
const MaxRenewals = 4

// retryDoubtful asks again for messages that came in doubt, those of a page
// together, on a session that has not brought them. What two sessions do not
// bring whole is asked for in other ways. last: no page follows.
func (p *Pass) retryDoubtful(ctx context.Context, last bool) error {
	for {
		uids, here := p.doubtful(last)
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
			if uids, err = p.fetchNext(ctx, uids); err != nil {
				return err
			}
			if err := p.rescueDoubtful(ctx); err != nil {
				return err
			}
		}
	}
}

// rescueDoubtful asks in other ways for messages that two sessions did not
// bring whole. If none works, the message is quarantined.
func (p *Pass) rescueDoubtful(ctx context.Context) error {
	for _, r := range p.rescues() {
		if r.doubt != plan.Aside {
			continue
		}
		if p.hopeless >= MaxHopeless {
			r.strategy = exhausted
		}
		if err := (&attempt{p, r}).run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pageSize returns how many messages the next page may ask for. It is bounded
// by the stream's page, by what the server takes in a command, by the pace, and
// by the octets left of the day. It waits for the pace. When the day's octets
// are used up the error ends the pass and the account rests.
func (p *Pass) pageSize(ctx context.Context, todo []storage.UID) (int, error) {
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
			p.suspect(todo[0], metadata).recordEnd(fault.Classify(err))
		}
		p.broke = breakage{page: n, nothingCame: true}
		p.bisection.closer = n > 1
		return 0, err
	}
	n, err = p.Meter.Fits(sizes)
	return n, fault.In(fault.PhaseFetch, err)
}

// sizes asks for the sizes of messages and returns them in order.
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
		err = nil // the bodies would be refused too, and those are asked for in halves
	}
	return sizes, err
}

// rescueMissing handles messages that a tagged OK or NO left out. They are
// asked for again in halves. A message that does not come even alone, and is
// still listed, is quarantined.
func (p *Pass) rescueMissing(ctx context.Context, missing []storage.UID) error {
	why := map[storage.UID]error{}
	if err := p.halve(ctx, missing, why); err != nil || len(why) == 0 {
		return err
	}
	listing, err := p.Mailbox.StillListed(ctx)
	if err != nil {
		return err
	}
	var given []*rescue // ascending
	for _, uid := range slices.Sorted(maps.Keys(why)) {
		if _, listed := slices.BinarySearch(listing, uid); !listed {
			p.Mailbox.Left() // it was expunged: the next round lists again
			if r := p.suspected(uid); r != nil {
				if err := p.forget(ctx, r); err != nil {
					return err
				}
			}
			continue
		}
		r := p.suspect(uid, metadata)
		if r.first = leftOut(); why[uid] != nil {
			r.first = fault.Classify(why[uid])
		}
		if p.hopeless >= MaxHopeless {
			r.strategy = exhausted
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

// halve asks for messages again, in ever smaller pages. why gets those that did
// not come alone, each with its refusal or nil.
func (p *Pass) halve(ctx context.Context, missing []storage.UID, why map[storage.UID]error) error {
	if len(missing) == 0 {
		return nil
	}
	left, refused, err := p.fetch(ctx, missing)
	if err != nil {
		return err
	}
	silent := len(left) == len(missing) && refused == nil // an OK that brings none of them counts for each
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

// fetch fetches one page without the messages that end sessions, which are left
// to their rescues. missing are the UIDs that did not come. After a nil error
// the server left them out or refused them.
func (p *Pass) fetch(ctx context.Context, page []storage.UID) (missing []storage.UID, refused, err error) {
	for len(page) > 0 {
		got, err := p.fetchOnce(ctx, page, messageItems(), nil)
		if err == nil {
			return got.missing, got.refused, p.AskFlags(ctx, got.pending)
		}
		culprit, err := p.findCulprit(ctx, got, len(got.missing) == len(page), err)
		if err != nil {
			return got.missing, nil, err
		}
		page = slices.DeleteFunc(got.missing, func(uid storage.UID) bool { return uid == culprit })
	}
	return nil, nil, nil
}

// result is what one FETCH of messages brought.
type result struct {
	missing []storage.UID // asked for, and neither stored nor in doubt
	inside  storage.UID   // whose body was being received when the session broke; 0: none
	refused error         // the NO that ended it early
	pending FlagsPending  // for what it brought
}

// fetchOnce asks for items of messages, their bodies included, and stores what
// comes whole, even before an error. described is what the server said earlier
// of the one message that is asked for, or nil. A message that came in doubt is
// neither stored nor missing: it has a rescue.
func (p *Pass) fetchOnce(ctx context.Context, page []storage.UID, items []imap.Item,
	described *imap.Message) (got result, err error) {
	if err := p.Mailbox.Yield(ctx); err != nil {
		return got, err
	}
	take := newIntake(ctx, p, page)
	take.described = described
	defer take.close() //nolint:errcheck // its error is taken below; this call is for a panic

	err = fault.In(fault.PhaseFetch, p.Mailbox.Fetch(ctx, mailbox.SetOf(page), 0, items,
		imap.FetchHandler{Body: take.body, Fetch: take.fetched}))
	if err != nil && p.Mailbox.Session().Err() == nil && fault.Classify(err).Class == class.Parsing {
		// what came before the NO is kept (RFC 2180), the rest is asked for
		// again
		got.refused, err = err, nil
	}
	got.inside, p.bisection.answered = take.inside, p.bisection.answered || err == nil
	defer func() { p.bisection.connectionFault = p.bisection.connectionFault && len(got.missing) == len(page) }()
	if p.Mailbox.ExpungeIssued() {
		take.doubtEmpty()
		p.doubtGone()
	}
	stored := take.close()
	// Nobody knows since when, so what this answer stored is expunged and asked
	// for again.
	if p.Mailbox.Renumbered() {
		return result{}, errors.Join(fault.In(fault.PhaseStore, stored),
			Expunge(take.ctx, p.Store, p.Row.ID, p.Mailbox.Validity, take.flushed), fault.In(fault.PhaseFetch,
				fault.ErrRenumbered))
	}
	if stored != nil {
		return result{}, fault.In(fault.PhaseStore, stored)
	}
	if err := take.recordTwice(); err != nil {
		return result{}, fault.In(fault.PhaseStore, err)
	}
	if take.learned != nil {
		p.learned = *take.learned
	}
	for _, r := range take.resolved {
		if err := p.forget(ctx, r); err != nil {
			return result{}, err
		}
	}
	got.pending = take.pending()
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
