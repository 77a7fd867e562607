package fetch

import (
	"cmp"
	"context"
	"errors"
	"io"

	"mailcote/engine/connpool"
	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/engine/plan"
	"mailcote/storage"
	"mailcote/storage/class"
)

// breakage is the last session that broke inside a FETCH. It sets the size of
// the next page.
type breakage struct {
	page        int  // messages that were still due; 0: no session broke
	nothingCame bool // nothing of the page had come
}

// Bisection is the search for what ends sessions. It asks for smaller pages,
// then for single messages, and for those in other ways.
type Bisection struct {
	closer          bool // the last fault brought the search closer to a message
	times           int  // how often it came closer since a FETCH of messages was answered
	answered        bool // a FETCH of messages was answered since the last fault
	connectionFault bool // a message that came before ended the session too: the connection is to blame
}

// maxCloser is how often the search may come closer while no FETCH is answered.
// It is enough to find one message of a page in every way of asking. After that
// the connection is to blame, not each message.
const maxCloser = 10

// Closer notes that the last fault brought the search closer to a message.
func (b *Bisection) Closer() { b.closer = true }

// Progressed reports whether the last fault brought the search closer to a
// message.
func (b *Bisection) Progressed() bool {
	closer := b.closer
	if b.answered {
		b.times = 0
	}
	if closer {
		b.times++
	}
	b.closer, b.answered = false, false
	return closer && !b.GaveUp()
}

// GaveUp reports whether no message is to blame.
func (b *Bisection) GaveUp() bool { return b.connectionFault || b.times > maxCloser }

// findCulprit looks for the message that ended a session. It suspects the first
// one that was due and asks for it alone on a new session. If that session ends
// too, the message is the culprit: it is left out of the page and the pass goes
// on. Otherwise the error is returned unchanged.
//
// If nothing of the page came before the break, another message must come in
// between. Otherwise the connection is to blame.
func (p *Pass) findCulprit(ctx context.Context, got result, nothingCame bool,
	err error) (culprit storage.UID, _ error) {
	f, missing, inside := fault.Classify(err), got.missing, got.inside
	if !p.ended(ctx, f) || len(missing) == 0 {
		return 0, err
	}
	p.broke = breakage{page: len(missing), nothingCame: nothingCame}
	p.bisection.closer = nothingCame && len(missing) > 1 // the next page is smaller
	if f.Class == class.Protocol {
		if inside == 0 && len(missing) == 1 {
			inside = missing[0]
		}
		if inside != 0 { // a contradiction inside a message is no accident: once is enough
			p.suspect(inside, metadata).recordEnd(f)
			p.bisection.closer = true
		}
		return 0, err
	}
	if f.Known() || p.culprits >= p.Caps.Culprits {
		return 0, err
	}
	first := inside
	if first == 0 {
		first = missing[0]
	}
	r := p.suspect(first, alone)
	before := r.endedSession
	r.recordEnd(f)
	served, again := p.renew(ctx, f, !nothingCame, p.control(first, missing))
	if again == nil && served {
		again = p.AskFlags(ctx, got.pending) // for what came before the break
	}
	if again != nil || !served {
		return 0, cmp.Or(again, err)
	}
	if !before {
		if found, again := p.trial(ctx, r); again != nil || !found {
			return 0, cmp.Or(again, err)
		}
	}
	r.doubt, p.bisection.closer = plan.Whole, true
	p.culprits++
	return first, p.recordOdd(context.WithoutCancel(ctx), first, fault.Fault{
		Verdict: policy.Verdict{Class: class.Parsing, Scope: "message"},
		Phase:   fault.PhaseFetch, Command: "UID FETCH", ServerText: f.ServerText,
		Detail: "the session ends when this message is asked for: " + f.Detail})
}

// ended reports whether a fault ended the session during a fetch, in a way that
// a message may cause.
func (p *Pass) ended(ctx context.Context, f fault.Fault) bool {
	switch f.Class {
	case class.Network, class.Timeout, class.Protocol:
		return f.Phase == fault.PhaseFetch && f.Scope != "account" && p.Mailbox.Session().Err() != nil &&
			!p.Mailbox.Renumbered() && !fault.Stopped(ctx) &&
			!errors.Is(f.Err, connpool.ErrSlept)
	}
	return false
}

// trial asks alone for a message that may have ended a session. found: it ended
// this session too, or the server refuses it. The pass then has a live session.
func (p *Pass) trial(ctx context.Context, r *rescue) (found bool, err error) {
	r.doubt = plan.Whole
	arrived, err := (&attempt{p, r}).fetchWhole(ctx, messageItems())
	switch {
	case arrived:
		return false, errors.Join(err, p.forget(ctx, r))
	case err == nil: // found, unless it came and is in doubt
		return r.doubt == plan.Whole, nil
	}
	f := fault.Classify(err)
	if !p.ended(ctx, f) || f.Known() {
		return false, err
	}
	(&attempt{p, r}).nextStrategy(f)
	_, err = p.renew(ctx, f, true, 0)
	return true, err
}

// renew gives the pass a new session after one that ended with f. It reports
// whether the server serves messages: served if the caller knows, otherwise
// what serves finds. An account in known trouble gets no session here, because
// the fault has its wait. If it returns false without an error, f is what ended
// the pass.
func (p *Pass) renew(ctx context.Context, f fault.Fault, served bool, other storage.UID) (bool, error) {
	if !served && p.InTrouble() {
		return false, nil
	}
	if err := p.Mailbox.Renew(ctx); err != nil {
		return false, errors.Join(err, p.recordOdd(context.WithoutCancel(ctx), 0, f))
	}
	if served {
		return true, nil
	}
	came, err := p.serves(ctx, other)
	// a connection may end at every second FETCH, so the next one must be the
	// first of its session, too
	if err == nil && came {
		err = p.Mailbox.Renew(ctx)
	}
	return came, err
}

// serves reports whether the server delivers a message that it delivered
// before, of this mailbox or another. If the store has none of the account,
// other is fetched and stored instead. 0 means that there is none.
func (p *Pass) serves(ctx context.Context, other storage.UID) (came bool, err error) {
	var sample storage.Sample
	err = p.Store.Read(ctx, func(r *storage.Reader) (err error) {
		sample, err = r.Sample(p.Row, p.Mailbox.Validity)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return p.arrives(ctx, other)
	}
	if err != nil {
		return false, fault.In(fault.PhaseStore, err)
	}
	elsewhere := sample.Mailbox != p.Row.ID
	take := imap.FetchHandler{Body: func(_ *imap.Message, _ string, _ int64, body io.Reader) error {
		n, err := io.Copy(io.Discard, body)
		came = came || n > 0
		return err
	}}
	if elsewhere {
		_, err = p.Mailbox.Session().Examine(ctx, sample.Raw, false)
	}
	if err == nil {
		err = p.Mailbox.Session().UIDFetch(ctx, mailbox.SetOf([]storage.UID{sample.UID}), []imap.Item{imap.ItemBody},
			take)
	}
	if p.Mailbox.Session().Err() != nil {
		p.bisection.connectionFault = true
		err = cmp.Or(err, p.Mailbox.Session().Err()) // it may have ended after the answer
		return false, p.recordOdd(context.WithoutCancel(ctx), 0,
			p.Judge(fault.Classify(fault.In(fault.PhaseFetch, err))))
	}
	switch {
	case p.Mailbox.Renumbered():
		return false, fault.In(fault.PhaseFetch, fault.ErrRenumbered)
	case elsewhere:
		return came, p.Mailbox.Reopen(ctx, p.Mailbox.Session())
	}
	return came, nil
}

// control returns a message that may come where another does not: an earlier
// suspect, or the last of the page. 0 means that there is none.
func (p *Pass) control(one storage.UID, page []storage.UID) storage.UID {
	for _, r := range p.rescues() {
		if r.uid != one && r.strategy == alone {
			return r.uid
		}
	}
	if n := len(page); n > 1 && page[n-1] != one {
		return page[n-1]
	}
	return 0
}

// arrives fetches one message in the usual way and reports whether it came.
func (p *Pass) arrives(ctx context.Context, uid storage.UID) (bool, error) {
	if uid == 0 {
		return false, nil
	}
	got, err := p.fetchOnce(ctx, []storage.UID{uid}, messageItems(), nil)
	if err != nil && p.Mailbox.Session().Err() != nil {
		f := fault.Classify(err)
		if r := p.suspected(uid); r != nil && p.ended(ctx, f) {
			(&attempt{p, r}).nextStrategy(f)
		}
		return false, p.recordOdd(context.WithoutCancel(ctx), 0, p.Judge(f))
	}
	if err != nil {
		return false, err
	}
	return len(got.missing) == 0 && p.suspected(uid) == nil, p.AskFlags(ctx, got.pending)
}

// Shrink makes the next page smaller after a fault that its messages may have
// caused. Pages grow again on success.
func (f *Fetcher) Shrink(of fault.Fault) {
	due := f.broke.page
	cut := of.Class == class.Protocol || of.Class == class.Timeout || of.Class == class.Network && f.broke.nothingCame
	if due > 0 && of.Phase == fault.PhaseFetch && cut {
		f.page = max(min(f.page, due)/2, pageLeast)
	}
	f.broke = breakage{}
}
