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

// breakage is the last session that broke inside a FETCH, for the size of the next page.
type breakage struct {
	page   int  // how many messages were still due; 0: no session broke
	barren bool // none of the page had come
}

// Bisection is the search for what ends sessions: smaller pages, then messages apart, asked for in other ways.
type Bisection struct {
	closer   bool // the last fault brought the search nearer to a message
	times    int  // how often that was so since a FETCH of messages was answered
	answered bool // a FETCH of messages was answered since the last fault
	line     bool // the last fault met a message that had come before: it is the line
}

// maxCloser is how often it may come nearer while no FETCH is answered at all: enough to find the one message of
// a page, in every way of asking. Behind that it is the line that breaks, and not each message.
const maxCloser = 10

// Closer notes that the last fault brought the search nearer to a message.
func (n *Bisection) Closer() { n.closer = true }

// Progressed reports whether the last fault brought the search nearer to a message.
func (n *Bisection) Progressed() bool {
	closer := n.closer
	if n.answered {
		n.times = 0
	}
	if closer {
		n.times++
	}
	n.closer, n.answered = false, false
	return closer && !n.GaveUp()
}

// GaveUp says that no message is to blame.
func (n *Bisection) GaveUp() bool { return n.line || n.times > maxCloser }

// findCulprit looks for the message at which a session ended: the first one that was due. It is asked for alone
// on a new session. When that one ends too, the message is the cause: culprit is to be left out of the page, and
// the pass goes on. Otherwise the error stays what it was.
//
// Where nothing of the page came before the break, another message has to come in between. Otherwise it is the line.
func (p *Pass) findCulprit(ctx context.Context, got result, barren bool, err error) (culprit storage.UID, _ error) {
	f, missing, inside := fault.Classify(err), got.missing, got.inside
	if !p.ended(ctx, f) || len(missing) == 0 {
		return 0, err
	}
	p.broke = breakage{page: len(missing), barren: barren}
	p.bisection.closer = barren && len(missing) > 1 // the next page is smaller
	if f.Class == class.Protocol {
		if inside == 0 && len(missing) == 1 {
			inside = missing[0]
		}
		if inside != 0 { // a contradiction inside a message is no accident: once is enough
			p.suspect(inside, about).recordEnd(f)
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
	before := r.fatal
	r.recordEnd(f)
	served, again := p.renew(ctx, f, !barren, p.witness(first, missing))
	if again == nil && served {
		again = p.AskFlags(ctx, got.owed) // of what came before the break
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
	return first, p.remark(context.WithoutCancel(ctx), first,
		fault.Fault{Verdict: policy.Verdict{Class: class.Parsing, Scope: "message"},
			Phase: fault.PhaseFetch, Command: "UID FETCH", ServerText: f.ServerText, Detail: "the session ends when " +
				"this " +
				"message is asked for: " + f.Detail})
}

// ended reports whether a fault ended the session while messages were fetched, in a way that a message may cause.
func (p *Pass) ended(ctx context.Context, f fault.Fault) bool {
	switch f.Class {
	case class.Network, class.Timeout, class.Protocol:
		return f.Phase == fault.PhaseFetch && f.Scope != "account" && p.Mailbox.Session().Err() != nil &&
			!p.Mailbox.Renumbered() && !fault.Stopped(ctx) &&
			!errors.Is(f.Err, connpool.ErrSlept)
	}
	return false
}

// trial asks for a message alone after it may have ended a session. found: it ended this one too, or the server
// refuses it, and the pass has another session.
func (p *Pass) trial(ctx context.Context, r *rescue) (found bool, err error) {
	r.doubt = plan.Whole
	arrived, err := (&attempt{p, r}).whole(ctx, everything())
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
	(&attempt{p, r}).next(f)
	_, err = p.renew(ctx, f, true, 0)
	return true, err
}

// renew gives the pass a new session after one that ended with f, and reports whether messages are served: as
// served says, or else as serves finds. An account that is known to be in trouble gets no session here: the fault
// has its wait. Without an error and unserved, f is what ended the pass.
func (p *Pass) renew(ctx context.Context, f fault.Fault, served bool, other storage.UID) (bool, error) {
	if !served && p.InTrouble() {
		return false, nil
	}
	if err := p.Mailbox.Renew(ctx); err != nil {
		return false, errors.Join(err, p.remark(context.WithoutCancel(ctx), 0, f))
	}
	if served {
		return true, nil
	}
	came, err := p.serves(ctx, other)
	// a line may end at every second FETCH: what is asked for next is the first of its session, too
	if err == nil && came {
		err = p.Mailbox.Renew(ctx)
	}
	return came, err
}

// serves reports whether the server gives a message: one that it gave before, of this mailbox or of another one.
// Where the store has none of the account, other is asked for and stored; 0: none is.
func (p *Pass) serves(ctx context.Context, other storage.UID) (came bool, err error) {
	var known storage.Sample
	err = p.Store.Read(ctx, func(r *storage.Reader) (err error) {
		known, err = r.Sample(p.Row, p.Mailbox.Validity)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return p.comes(ctx, other)
	}
	if err != nil {
		return false, fault.In(fault.PhaseStore, err)
	}
	elsewhere := known.Mailbox != p.Row.ID
	take := imap.FetchHandler{Body: func(_ *imap.Message, _ string, _ int64, body io.Reader) error {
		n, err := io.Copy(io.Discard, body)
		came = came || n > 0
		return err
	}}
	if elsewhere {
		_, err = p.Mailbox.Session().Examine(ctx, known.Raw, false)
	}
	if err == nil {
		err = p.Mailbox.Session().UIDFetch(ctx, mailbox.SetOf([]storage.UID{known.UID}), []imap.Item{imap.ItemBody},
			take)
	}
	if p.Mailbox.Session().Err() != nil {
		p.bisection.line = true
		err = cmp.Or(err, p.Mailbox.Session().Err()) // it may have ended behind the answer
		return false, p.remark(context.WithoutCancel(ctx), 0, p.Judge(fault.Classify(fault.In(fault.PhaseFetch, err))))
	}
	switch {
	case p.Mailbox.Renumbered():
		return false, fault.In(fault.PhaseFetch, fault.ErrRenumbered)
	case elsewhere:
		return came, p.Mailbox.Reopen(ctx, p.Mailbox.Session())
	}
	return came, nil
}

// witness gives a message that may come where one does not: one that was taken for the cause once, or the last of
// the page; 0: there is none.
func (p *Pass) witness(one storage.UID, page []storage.UID) storage.UID {
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

// comes asks for one message as for any other.
func (p *Pass) comes(ctx context.Context, uid storage.UID) (bool, error) {
	if uid == 0 {
		return false, nil
	}
	got, err := p.take(ctx, []storage.UID{uid}, everything(), nil)
	if err != nil && p.Mailbox.Session().Err() != nil {
		f := fault.Classify(err)
		if r := p.suspected(uid); r != nil && p.ended(ctx, f) {
			(&attempt{p, r}).next(f)
		}
		return false, p.remark(context.WithoutCancel(ctx), 0, p.Judge(f))
	}
	if err != nil {
		return false, err
	}
	return len(got.missing) == 0 && p.suspected(uid) == nil, p.AskFlags(ctx, got.owed)
}

// Shrink makes the next page smaller after a fault that its messages may have caused. It grows again on success.
func (f *Fetcher) Shrink(of fault.Fault) {
	due := f.broke.page
	cut := of.Class == class.Protocol || of.Class == class.Timeout || of.Class == class.Network && f.broke.barren
	if due > 0 && of.Phase == fault.PhaseFetch && cut {
		f.page = max(min(f.page, due)/2, pageLeast)
	}
	f.broke = breakage{}
}
