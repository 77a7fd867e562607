package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/plan"
	"mailcote/storage"
)

const (
	pageStart = 500 // UIDs of the first page
	pageMost  = 500
	pageLeast = 1

	unknownSize = 1 << 20 // octets a message is taken to have where the server does not say
)

// fetchAll brings messages, newest first, page by page, and behind them those that are asked for alone.
func (p *pass) fetchAll(ctx context.Context, todo []storage.UID) error {
	todo, err := p.apart(ctx, todo)
	if err != nil {
		return err
	}
	for len(todo) > 0 {
		if err := p.memory(ctx); err != nil {
			return err
		}
		n, err := p.room(ctx, todo)
		if err != nil {
			return err
		}
		page, rest := plan.Page(todo, n)
		missing, _, err := p.fetch(ctx, page)
		if err != nil {
			return err
		}
		if err := p.without(ctx, missing); err != nil {
			return err
		}
		if err := p.again(ctx, false); err != nil {
			return err
		}
		p.w.page = min(p.w.page*2, pageMost)
		todo = rest
	}
	if err := p.again(ctx, true); err != nil {
		return err
	}
	for _, r := range p.rescues() { // they go behind all others
		if _, err := p.w.meter.Fits([]int64{unknownSize}); err != nil {
			return in(phaseFetch, err)
		}
		if err := p.memory(ctx); err != nil {
			return err
		}
		if err := p.rescue(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// mostRenewals is how many new sessions a pass takes for the pages whose messages came in doubt. What comes in doubt
// later waits until it is as much as a page, or for the end of the pass: a server that is wrong about a message of each
// page must not cost a sign-in a page.
const mostRenewals = 4

// again asks once more, on a session that has not brought them, for messages that came in doubt: those of a page
// together. What two sessions do not bring whole is asked for in other ways. last: no page follows.
func (p *pass) again(ctx context.Context, last bool) error {
	for {
		uids, here := p.uncertain(last)
		if len(uids) == 0 || !last && p.renewals >= mostRenewals && len(uids) < pageMost {
			return nil
		}
		if here {
			p.renewals++
			if err := p.fresh(ctx); err != nil {
				return err
			}
		}
		for len(uids) > 0 {
			n, err := p.room(ctx, uids)
			if err != nil {
				return err
			}
			page, rest := plan.Page(uids, n)
			missing, _, err := p.fetch(ctx, page)
			if err != nil {
				return err
			}
			if err := p.without(ctx, missing); err != nil {
				return err
			}
			if err := p.setAside(ctx); err != nil {
				return err
			}
			uids = rest
		}
	}
}

// setAside asks in other ways for what two sessions did not bring whole. What comes in none is quarantined.
func (p *pass) setAside(ctx context.Context) error {
	for _, r := range p.rescues() {
		if r.doubt != plan.Aside {
			continue
		}
		if p.hopeless >= hopeless {
			r.rung = lost
		}
		if err := p.rescue(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// fresh gives the pass a session that owes nothing to the one it had.
func (p *pass) fresh(ctx context.Context) error {
	s, err := p.w.reconnect(ctx)
	if err != nil {
		return err
	}
	return p.reopen(ctx, s)
}

// memory waits while the process is short of it, and says so.
func (p *pass) memory(ctx context.Context) error {
	if p.w.e.memory.Open() {
		return nil
	}
	p.w.e.progress.State(p.w.account.name(), "waiting", "memory is short: it goes on when there is room")
	_, err := p.w.e.memory.Pass(ctx)
	p.w.e.progress.State(p.w.account.name(), "syncing", "")
	return in(phaseFetch, err)
}

// room gives how many messages the next page may ask for: by its size, by what the server takes in a command, by the pace, and
// by the octets that the day has left. It waits for the pace; for the day the account rests.
func (p *pass) room(ctx context.Context, todo []storage.UID) (int, error) {
	most := min(p.w.page, len(todo))
	if n := p.s.MostMessages(); n > 0 {
		most = min(most, n)
	}
	n, err := p.w.meter.Page(ctx, most)
	if err != nil || !p.w.meter.Metered() {
		return n, in(phaseFetch, err)
	}
	sizes, err := p.sizes(ctx, todo[:n])
	if err != nil {
		if err = in(phaseFetch, err); n == 1 && p.ended(ctx, fault.Classify(err)) {
			p.suspect(todo[0], about).blame(fault.Classify(err))
		}
		p.w.broke = breakage{page: n, barren: true}
		p.w.narrowing.closer = n > 1
		return 0, err
	}
	n, err = p.w.meter.Fits(sizes)
	return n, in(phaseFetch, err)
}

// sizes asks for the sizes of messages, in their order.
func (p *pass) sizes(ctx context.Context, page []storage.UID) ([]int64, error) {
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
	err := p.s.UIDFetch(ctx, uidSet(page), []imap.Item{imap.ItemSize}, take)
	if err != nil && p.s.Err() == nil && fault.Classify(in(phaseFetch, err)).Class == Parsing {
		err = nil // it would say so of the bodies too, and there they are asked for in halves
	}
	return sizes, err
}

// without goes on without the messages that a tagged OK or NO left out. They are asked for again in halves; what does not
// come even alone, and is still listed, is quarantined.
func (p *pass) without(ctx context.Context, missing []storage.UID) error {
	why := map[storage.UID]error{}
	if err := p.halve(ctx, missing, why); err != nil || len(why) == 0 {
		return err
	}
	listing, err := p.stillListed(ctx)
	if err != nil {
		return err
	}
	var given []*rescue // up
	for _, uid := range slices.Sorted(maps.Keys(why)) {
		if _, listed := slices.BinarySearch(listing, uid); !listed {
			p.stirred = true // it left: the next round lists again
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
		if p.hopeless >= hopeless {
			r.rung = lost
			given = append(given, r)
			continue
		}
		if err := p.rescue(ctx, r); err != nil {
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

// halve asks for messages again, in ever smaller pages. why gets those that did not come alone, with the refusal if there was one.
func (p *pass) halve(ctx context.Context, missing []storage.UID, why map[storage.UID]error) error {
	if len(missing) == 0 {
		return nil
	}
	left, refused, err := p.fetch(ctx, missing)
	if err != nil {
		return err
	}
	silent := len(left) == len(missing) && refused == nil // an OK that brings none of them says so of each
	if len(left) == 1 && len(missing) == 1 || silent && p.hopeless >= hopeless {
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

// quarantine sets messages aside and records why.
func (p *pass) quarantine(ctx context.Context, all ...*rescue) error {
	var full error
	for i, r := range all {
		if err := p.keepSpool(ctx, r); err != nil {
			return err
		}
		if full = p.admit(ctx, r.uid); full != nil {
			all = all[:i]
			break
		}
	}
	err := p.w.e.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
		for _, r := range all {
			f := r.reason()
			if n := r.received(); n > 0 {
				f.Detail += fmt.Sprintf(" (%d bytes of it came)", n)
			}
			row := p.w.record(p.t, Fault{Verdict: policy.Verdict{Class: Parsing, Scope: "message"}, Phase: f.Phase,
				Command: f.Command, ServerText: f.ServerText, Detail: f.Detail})
			row.UID = r.uid
			if err := tx.RecordFault(row); err != nil {
				return err
			}
			if err := tx.Quarantine(storage.Quarantined{Mailbox: r.mailbox, Validity: r.validity, UID: r.uid, Reason: f.Detail, Alone: r.fatal,
				Received: r.received(), Claimed: r.claimed()}); err != nil {
				return err
			}
			if r.kept.Size == 0 {
				continue
			}
			if err := tx.KeepCame(r.mailbox, r.validity, r.uid, r.kept); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		for _, r := range all {
			r.kept = storage.Body{} // the store has it now
			if at, barred := slices.BinarySearch(p.barred, r.uid); !barred {
				p.barred = slices.Insert(p.barred, at, r.uid)
			}
		}
	}
	return errors.Join(in(phaseStore, err), full)
}

// admit makes sure that the quarantine takes one message more: a mailbox may have been invented.
func (p *pass) admit(ctx context.Context, uid storage.UID) error {
	if _, known := slices.BinarySearch(p.barred, uid); known { // it has its row
		return nil
	}
	caps := p.w.e.o.caps
	if p.aside == nil {
		left := caps.Aside - len(p.barred)
		if err := p.w.e.store.Read(ctx, func(r *storage.Reader) error {
			n, err := r.QuarantineRows(p.w.account.id, caps.AllAside)
			left = min(left, caps.AllAside-n)
			return err
		}); err != nil {
			return in(phaseStore, err)
		}
		p.aside = &left
	}
	if *p.aside <= 0 {
		return in(phaseFetch, fmt.Errorf(
			"%s: the server lists messages that it does not give, and the quarantine takes %d of a mailbox and %d of an account: %w",
			p.mailbox.Path, caps.Aside, caps.AllAside, errTooMany))
	}
	*p.aside--
	return nil
}

// remark records what is odd about a message that is stored all the same.
func (p *pass) remark(ctx context.Context, uid storage.UID, f Fault) error {
	row := p.w.record(p.t, f)
	row.UID, row.NextStep = uid, ""
	return in(phaseStore, p.w.e.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error { return tx.RecordFault(row) }))
}

// fetch brings one page, without the messages at which sessions end: those are left to a rescue. missing are the UIDs that did not
// come: after a nil error the server left them out, or refused them.
func (p *pass) fetch(ctx context.Context, page []storage.UID) (missing []storage.UID, refused, err error) {
	for len(page) > 0 {
		got, err := p.take(ctx, page, everything(), nil)
		if err == nil {
			return got.missing, got.refused, p.askFlags(ctx, got.owed)
		}
		culprit, err := p.broken(ctx, got, len(got.missing) == len(page), err)
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
	owed    flagsOwed     // by what it brought
}

// take asks for items of messages, their bodies among them, and stores what comes; what came whole before an error too.
// known is what the server said before of the one message that is asked for. A message that came in doubt is neither
// stored nor missing: it has a rescue.
func (p *pass) take(ctx context.Context, page []storage.UID, items []imap.Item, known *imap.Message) (got result,
	err error) {
	if err := p.yield(ctx); err != nil {
		return got, err
	}
	take := p.newIntake(ctx, page)
	take.known = known
	defer take.close() //nolint:errcheck // it was asked below; this one is for a panic on the way
	p.expungeIssued = false
	err = in(phaseFetch, p.uidFetch(ctx, uidSet(page), 0, items, imap.FetchHandler{Body: take.body, Fetch: take.fetched}))
	if err != nil && p.s.Err() == nil && fault.Classify(err).Class == Parsing {
		got.refused, err = err, nil // what came before the NO is kept (RFC 2180); the rest is asked for again
	}
	got.inside, p.w.narrowing.answered = take.inside, p.w.narrowing.answered || err == nil
	defer func() { p.w.narrowing.line = p.w.narrowing.line && len(got.missing) == len(page) }()
	if p.expungeIssued {
		take.doubtEmpty()
		p.doubtGone()
	}
	stored := take.close()
	if p.swapped { // nobody knows since when: what was stored of this answer goes, and is asked for again
		return result{}, errors.Join(in(phaseStore, stored), p.expunge(take.ctx, take.handed), in(phaseFetch, errSwapped))
	}
	if stored != nil {
		return result{}, in(phaseStore, stored)
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
		if err := p.applyFlags(take.ctx, slices.Collect(maps.Values(take.late)), false, 0); err != nil {
			return result{}, err
		}
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", p.mailbox.Path, err)
	}
	got.missing = take.missing()
	return got, err
}
