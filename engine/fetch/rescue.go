package fetch

import (
	"cmp"
	"context"
	"errors"

	"mailcote/engine/chunk"
	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/engine/plan"
	"mailcote/storage"
	"mailcote/storage/class"
)

// MaxHopeless is how many rescues in one pass may bring nothing; what the server refuses after them is not tried
// in other ways.
const MaxHopeless = 50

// mostPartly is how many sessions in a row may end behind a part of a message before that is the line's trouble.
const mostPartly = 3

// everything is what a FETCH asks of a message.
func everything() []imap.Item {
	return []imap.Item{imap.ItemState, imap.ItemDate, imap.ItemSize, imap.ItemBody}
}

// attempt is the rescue of one message in one pass.
type attempt struct {
	*Pass
	r *rescue
}

// run brings one message in other ways than the usual one. What does not come, and is still listed, is
// quarantined. An error ends the pass; the next one goes on from there.
//
// A message that ends sessions is quarantined only when the server gives another one meanwhile. Otherwise it is
// the line.
func (a *attempt) run(ctx context.Context) error {
	for {
		before := a.r.spooled()
		a.r.doubt = plan.Whole
		arrived, err := a.fallBack(ctx)
		if arrived {
			return errors.Join(err, a.forget(ctx, a.r))
		}
		if err == nil && a.Mailbox.Changed() { // it may have left: the next round lists again
			a.hopeless++
			return nil
		}
		if err == nil {
			break
		}
		f := fault.Classify(err)
		if !a.ended(ctx, f) || f.Known() {
			return err
		}
		a.next(f)
		if f.Class == class.Protocol {
			a.bisection.closer = true // the next attempt asks in another way
			if a.r.strategy < lost {
				return err
			}
			a.hopeless++
			return errors.Join(err, a.abandon(ctx))
		}
		if a.r.partly++; a.r.spooled() == before {
			a.r.partly = 0
		}
		if a.r.partly > mostPartly { // more of it comes each time: the line is too short for it, and has its wait
			a.r.partly, a.bisection.closer = 0, true
			return err
		}
		// a server that gives more of this message serves messages
		more := a.r.spooled() > before && a.r.strategy < lost
		served, again := a.renew(ctx, f, more, a.witness(a.r.uid, nil))
		if again != nil || !served {
			if a.r.unproven = true; a.r.strategy == lost {
				a.r.strategy = alone
			}
			return cmp.Or(again, err)
		}
		if a.r.unproven && a.r.strategy == lost { // every way once more
			a.r.unproven, a.r.strategy = false, alone
		}
		a.bisection.closer = true
	}
	a.hopeless++
	return a.abandon(ctx)
}

// abandon quarantines a message and ends its rescue.
func (a *attempt) abandon(ctx context.Context) error {
	return errors.Join(a.quarantine(context.WithoutCancel(ctx), a.r), a.forget(ctx, a.r))
}

// next has a message that ended a session asked for in the next way. Where many were asked for in vain no other
// way is tried.
func (a *attempt) next(f fault.Fault) {
	a.r.last, a.r.doubt = f, plan.Whole
	a.r.recordEnd(f)
	if a.hopeless >= MaxHopeless || a.r.brief {
		a.r.strategy = lost
	} else if a.r.strategy < pieces || a.r.body != nil && !a.r.body.Broke() {
		a.r.strategy++
	}
}

// fallBack asks for a message in one way after the other. Without an error and without the message no way is left.
func (a *attempt) fallBack(ctx context.Context) (arrived bool, err error) {
	for ; a.r.strategy < lost; a.r.strategy++ {
		arrived, err = a.try(ctx)
		if a.r.doubt == plan.Again && err == nil { // once more in this way
			a.renewals++
			if err = a.Mailbox.Renew(ctx); err == nil {
				arrived, err = a.try(ctx)
			}
		}
		if arrived || err != nil {
			return arrived, err
		}
	}
	return false, nil
}

// try asks for a message in one way.
func (a *attempt) try(ctx context.Context) (arrived bool, err error) {
	a.r.doubt = plan.Whole
	switch a.r.strategy {
	case alone:
		return a.whole(ctx, everything())
	case about:
		return false, a.ask(ctx)
	case bare:
		if a.r.claimed() > storage.MaxInline && a.r.fatal && a.r.last.Class != class.Protocol {
			return false, nil // the line does not hold for so long
		}
		return a.whole(ctx, []imap.Item{imap.ItemBody})
	}
	return a.gather(ctx)
}

// hearNo keeps a NO that is about the message as the reason, and passes every other error on.
func (a *attempt) hearNo(err error) error {
	if err == nil || a.Mailbox.Session().Err() != nil || fault.Classify(err).Class != class.Parsing {
		return err
	}
	a.r.last = fault.Classify(err)
	return nil
}

// leftOut is why a message did not come when the server does not say.
func leftOut() fault.Fault {
	return fault.Fault{Verdict: policy.Verdict{Class: class.Parsing, Scope: "message"}, Phase: fault.PhaseFetch,
		Command: "UID FETCH",
		Detail:  chunk.ErrLeftOut.Error()}
}

// whole asks for the message in one literal.
func (a *attempt) whole(ctx context.Context, items []imap.Item) (bool, error) {
	a.r.last = leftOut()
	got, err := a.take(ctx, []storage.UID{a.r.uid}, items, a.r.known)
	if got.refused != nil {
		a.r.last = fault.Classify(got.refused)
	}
	if len(got.missing) > 0 || err != nil || a.r.doubt != plan.Whole {
		return false, err
	}
	return true, a.AskFlags(ctx, got.owed)
}

// ask fetches what is not the body.
func (a *attempt) ask(ctx context.Context) error {
	if err := a.Mailbox.Yield(ctx); err != nil {
		return err
	}
	take := imap.FetchHandler{Fetch: func(m *imap.Message) error {
		if a.r.known == nil || m.HasFlags {
			known := *m
			a.r.known = &known
		}
		return nil
	}}
	items := []imap.Item{imap.ItemState, imap.ItemDate, imap.ItemSize}
	err := a.hearNo(fault.In(fault.PhaseFetch, a.Mailbox.Session().UIDFetch(ctx,
		mailbox.SetOf([]storage.UID{a.r.uid}), items, take)))
	a.bisection.answered = a.bisection.answered || err == nil
	if a.Mailbox.Renumbered() {
		a.r.known = nil
		return mailbox.Renumber(fault.PhaseFetch, err)
	}
	return err
}
