package engine

import (
	"cmp"
	"context"
	"errors"
	"io"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/line"
	"mailcote/engine/plan"
	"mailcote/storage"
)

// breakage is the last session that broke inside a FETCH, for the size of the next page.
type breakage struct {
	page   int  // how many messages were still due; 0: no session broke
	barren bool // none of the page had come
}

// narrowing is the search for what ends sessions: smaller pages, then messages apart, asked for in other ways.
type narrowing struct {
	closer   bool // the last fault brought the search nearer to a message
	times    int  // how often that was so since a FETCH of messages was answered
	answered bool // a FETCH of messages was answered since the last fault
	line     bool // the last fault met a message that had come before: it is the line
}

// narrowMost is how often it may come nearer while no FETCH is answered at all: enough to find the one message of a page, in every way
// of asking. Behind that it is the line that breaks, and not each message.
const narrowMost = 10

// further reports whether the last fault brought the search nearer to a message.
func (n *narrowing) further() bool {
	closer := n.closer
	if n.answered {
		n.times = 0
	}
	if closer {
		n.times++
	}
	n.closer, n.answered = false, false
	return closer && !n.astray()
}

// astray says that no message is to blame.
func (n *narrowing) astray() bool { return n.line || n.times > narrowMost }

// broken looks for the message at which a session ended: the first one that was due. It is asked for alone on a new session. When
// that one ends too, the message is the cause: culprit is to be left out of the page, and the pass goes on. Otherwise the error
// stays what it was.
//
// Where nothing of the page came before the break, another message has to come in between. Otherwise it is the line.
func (p *pass) broken(ctx context.Context, got result, barren bool, err error) (culprit storage.UID, _ error) {
	f, missing, inside := fault.Classify(err), got.missing, got.inside
	if !p.ended(ctx, f) || len(missing) == 0 {
		return 0, err
	}
	p.w.broke = breakage{page: len(missing), barren: barren}
	p.w.narrowing.closer = barren && len(missing) > 1 // the next page is smaller
	if f.Class == Protocol {
		if inside == 0 && len(missing) == 1 {
			inside = missing[0]
		}
		if inside != 0 { // a contradiction inside a message is no accident: once is enough
			p.suspect(inside, about).blame(f)
			p.w.narrowing.closer = true
		}
		return 0, err
	}
	if f.Known() || p.culprits >= p.w.e.o.caps.Culprits {
		return 0, err
	}
	first := inside
	if first == 0 {
		first = missing[0]
	}
	r := p.suspect(first, alone)
	before := r.fatal
	r.blame(f)
	served, again := p.renew(ctx, f, !barren, p.another(first, missing))
	if again == nil && served {
		again = p.askFlags(ctx, got.owed) // of what came before the break
	}
	if again != nil || !served {
		return 0, cmp.Or(again, err)
	}
	if !before {
		if found, again := p.trial(ctx, r); again != nil || !found {
			return 0, cmp.Or(again, err)
		}
	}
	r.doubt, p.w.narrowing.closer = plan.Whole, true
	p.culprits++
	return first, p.remark(context.WithoutCancel(ctx), first, Fault{Verdict: policy.Verdict{Class: Parsing, Scope: "message"},
		Phase: phaseFetch, Command: "UID FETCH", ServerText: f.ServerText, Detail: "the session ends when this message is asked for: " + f.Detail})
}

// ended reports whether a fault ended the session while messages were fetched, in a way that a message may cause.
func (p *pass) ended(ctx context.Context, f Fault) bool {
	switch f.Class {
	case Network, Timeout, Protocol:
		return f.Phase == phaseFetch && f.Scope != "account" && p.s.Err() != nil && !p.swapped && !stopped(ctx) &&
			!errors.Is(f.Err, line.ErrSlept)
	}
	return false
}

// trial asks for a message alone after it may have ended a session. found: it ended this one too, or the server refuses it, and
// the pass has another session.
func (p *pass) trial(ctx context.Context, r *rescue) (found bool, err error) {
	r.doubt = plan.Whole
	arrived, err := p.whole(ctx, r, everything())
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
	p.next(r, f)
	_, err = p.renew(ctx, f, true, 0)
	return true, err
}

// renew gives the pass a new session after one that ended with f, and reports whether messages are served: as served says, or else as
// serves finds. An account that is known to be in trouble gets no session here: the fault has its wait. Without an error and
// unserved, f is what ended the pass.
func (p *pass) renew(ctx context.Context, f Fault, served bool, other storage.UID) (bool, error) {
	if !served && !p.w.progressed.Load() && len(p.w.e.breakers.Rows(p.w.account.scope())) > 0 {
		return false, nil
	}
	if err := p.fresh(ctx); err != nil {
		return false, errors.Join(err, p.remark(context.WithoutCancel(ctx), 0, f))
	}
	if served {
		return true, nil
	}
	came, err := p.serves(ctx, other)
	if err == nil && came { // a line may end at every second FETCH: what is asked for next is the first of its session, too
		err = p.fresh(ctx)
	}
	return came, err
}

// serves reports whether the server gives a message: one that it gave before, of this mailbox or of another one. Where the store has
// none of the account, other is asked for and stored; 0: none is.
func (p *pass) serves(ctx context.Context, other storage.UID) (came bool, err error) {
	var known storage.Sample
	err = p.w.e.store.Read(ctx, func(r *storage.Reader) (err error) {
		known, err = r.Sample(p.mailbox, p.validity)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return p.comes(ctx, other)
	}
	if err != nil {
		return false, in(phaseStore, err)
	}
	elsewhere := known.Mailbox != p.mailbox.ID
	take := imap.FetchHandler{Body: func(_ *imap.Message, _ string, _ int64, body io.Reader) error {
		n, err := io.Copy(io.Discard, body)
		came = came || n > 0
		return err
	}}
	if elsewhere {
		_, err = p.s.Examine(ctx, known.Raw, false)
	}
	if err == nil {
		err = p.s.UIDFetch(ctx, uidSet([]storage.UID{known.UID}), []imap.Item{imap.ItemBody}, take)
	}
	if p.s.Err() != nil {
		p.w.narrowing.line = true
		err = cmp.Or(err, p.s.Err()) // it may have ended behind the answer
		return false, p.remark(context.WithoutCancel(ctx), 0, p.w.throttled(fault.Classify(in(phaseFetch, err))))
	}
	switch {
	case p.swapped:
		return false, in(phaseFetch, errSwapped)
	case elsewhere:
		return came, p.reopen(ctx, p.s)
	}
	return came, nil
}

// another gives a message that may come where one does not: one that was taken for the cause once, or the last of the page; 0: there is
// none.
func (p *pass) another(one storage.UID, page []storage.UID) storage.UID {
	for _, r := range p.rescues() {
		if r.uid != one && r.rung == alone {
			return r.uid
		}
	}
	if n := len(page); n > 1 && page[n-1] != one {
		return page[n-1]
	}
	return 0
}

// comes asks for one message as for any other.
func (p *pass) comes(ctx context.Context, uid storage.UID) (bool, error) {
	if uid == 0 {
		return false, nil
	}
	got, err := p.take(ctx, []storage.UID{uid}, everything(), nil)
	if err != nil && p.s.Err() != nil {
		f := fault.Classify(err)
		if r := p.suspected(uid); r != nil && p.ended(ctx, f) {
			p.next(r, f)
		}
		return false, p.remark(context.WithoutCancel(ctx), 0, p.w.throttled(f))
	}
	if err != nil {
		return false, err
	}
	return len(got.missing) == 0 && p.suspected(uid) == nil, p.askFlags(ctx, got.owed)
}

// shrink makes the next page smaller after a fault that its messages may have caused. It grows again on success.
func (w *worker) shrink(f Fault) {
	due := w.broke.page
	if due > 0 && f.Phase == phaseFetch && (f.Class == Protocol || f.Class == Timeout || f.Class == Network && w.broke.barren) {
		w.page = max(min(w.page, due)/2, pageLeast)
	}
	w.broke = breakage{}
}
