package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"mailcote/engine/chunk"
	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/engine/plan"
	"mailcote/storage"
	"mailcote/storage/class"
)

// MaxHopeless bounds the rescues of one pass that may bring nothing. After them
// a refused message is not tried in other ways.
const MaxHopeless = 50

// maxPartialEnds is how many sessions in a row may end after a part of a
// message. More of them is the connection's trouble.
const maxPartialEnds = 3

// messageItems is what a FETCH asks of a message.
func messageItems() []imap.Item {
	return []imap.Item{imap.ItemState, imap.ItemDate, imap.ItemSize, imap.ItemBody}
}

// strategy is a way of asking for a message that does not come as others do.
type strategy int

const (
	alone     strategy = iota // with no other message
	metadata                  // everything but its body
	bodyOnly                  // its body and nothing else
	chunks                    // its body in chunks
	exhausted                 // no way is left
)

// rescue is one message that ended sessions, was left out by the server or came
// in doubt, and how far its rescue got. It outlives sessions and workers, so
// what came of the message stays. Only the worker that has the account touches
// it.
type rescue struct {
	place

	strategy     strategy
	endedSession bool // it ended a session
	tryOnce      bool // it is quarantined, and every way was tried before
	// a session ended in which nothing else came, so a way may have failed for
	// another reason
	inconclusive bool
	partialEnds  int // sessions in a row that ended after a part of it
	described    *imap.Message
	body         *chunk.Body    // how far it came in chunks
	spool        *storage.Spool // the chunks that came
	first        fault.Fault    // why it did not come as others do
	last         fault.Fault    // why it did not come the last time

	doubt   plan.Verdict // of what came last; Whole: no doubt
	answers []answer     // the answers that came in doubt
	kept    storage.Body // staged: the longest body among them; of size 0 when nothing came
}

// answer is what a session brought of a message.
type answer struct {
	plan.Received
	session *imap.Session
}

// fromOtherSessions returns what sessions other than s brought.
func (r *rescue) fromOtherSessions(s *imap.Session) (all []plan.Received) {
	for _, one := range r.answers {
		if one.session != s {
			all = append(all, one.Received)
		}
	}
	return all
}

// lastFrom reports whether s brought the message last.
func (r *rescue) lastFrom(s *imap.Session) bool {
	return len(r.answers) > 0 && r.answers[len(r.answers)-1].session == s
}

// noteDoubt notes a doubtful answer of a session.
func (r *rescue) noteDoubt(now plan.Received, s *imap.Session, v plan.Verdict) {
	r.doubt, r.answers = v, append(r.answers, answer{now, s})
	size := "does not say how long the message is"
	if now.Size >= 0 {
		size = fmt.Sprintf("says the message has %d bytes", now.Size)
	}
	r.last = leftOut()
	r.last.Detail = fmt.Sprintf("the server %s and gives %d", size, now.Got)
	if r.first.Detail == "" {
		r.first = r.last
	}
}

// keep takes a staged body that came in doubt and drops the shorter of it and
// the one kept before.
func (r *rescue) keep(ctx context.Context, store *storage.Store, b storage.Body) error {
	if b.Size > r.kept.Size {
		b, r.kept = r.kept, b
	}
	return store.Unstage(ctx, b)
}

// reason returns the first and the last fault as one.
func (r *rescue) reason() fault.Fault {
	f := r.first
	if f.Detail == "" {
		return r.last
	}
	if r.last.Detail != "" && !strings.HasSuffix(f.Detail, r.last.Detail) &&
		(f.ServerText == "" || f.ServerText != r.last.ServerText) {
		f.Detail += "; alone and in parts: " + r.last.Detail
	}
	return f
}

// recordEnd notes that the message ended a session.
func (r *rescue) recordEnd(f fault.Fault) {
	if r.endedSession = true; r.first.Detail == "" {
		r.first = f
	}
}

// claimed is the size that the server says, or -1.
func (r *rescue) claimed() int64 {
	switch {
	case r.described != nil:
		return r.described.Size
	case len(r.answers) > 0:
		return r.answers[len(r.answers)-1].Size
	}
	return -1
}

func (r *rescue) received() int64 {
	if r.spool == nil {
		return r.kept.Size
	}
	return max(r.spool.Size(), r.kept.Size)
}

// spooled is how many octets came in chunks.
func (r *rescue) spooled() int64 {
	if r.spool == nil {
		return 0
	}
	return r.spool.Size()
}

// attempt is the rescue of one message in one pass.
type attempt struct {
	*Pass
	r *rescue
}

// run fetches one message in other ways than the usual one. A message that does
// not come, and is still listed, is quarantined. An error ends the pass, and
// the next pass goes on from there.
//
// A message that ends sessions is quarantined only if the server delivers
// another one meanwhile. Otherwise the connection is to blame.
func (a *attempt) run(ctx context.Context) error {
	for {
		before := a.r.spooled()
		a.r.doubt = plan.Whole
		arrived, err := a.fallBack(ctx)
		if arrived {
			return errors.Join(err, a.forget(ctx, a.r))
		}
		if err == nil && a.Mailbox.Changed() { // it may be expunged: the next round lists again
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
		a.nextStrategy(f)
		if f.Class == class.Protocol {
			a.bisection.closer = true // the next attempt asks in another way
			if a.r.strategy < exhausted {
				return err
			}
			a.hopeless++
			return errors.Join(err, a.abandon(ctx))
		}
		if a.r.partialEnds++; a.r.spooled() == before {
			a.r.partialEnds = 0
		}
		// More of it comes each time: the connection does not last for all of
		// it, and has its own wait.
		if a.r.partialEnds > maxPartialEnds {
			a.r.partialEnds, a.bisection.closer = 0, true
			return err
		}
		// a server that sends more of this message does serve messages
		more := a.r.spooled() > before && a.r.strategy < exhausted
		served, again := a.renew(ctx, f, more, a.control(a.r.uid, nil))
		if again != nil || !served {
			if a.r.inconclusive = true; a.r.strategy == exhausted {
				a.r.strategy = alone
			}
			return cmp.Or(again, err)
		}
		if a.r.inconclusive && a.r.strategy == exhausted { // try every way once more
			a.r.inconclusive, a.r.strategy = false, alone
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

// nextStrategy picks the next way to ask for a message that ended a session.
// After many rescues that brought nothing no other way is tried.
func (a *attempt) nextStrategy(f fault.Fault) {
	a.r.last, a.r.doubt = f, plan.Whole
	a.r.recordEnd(f)
	if a.hopeless >= MaxHopeless || a.r.tryOnce {
		a.r.strategy = exhausted
	} else if a.r.strategy < chunks || a.r.body != nil && !a.r.body.Broke() {
		a.r.strategy++
	}
}

// fallBack asks for a message in one way after the other. If it returns neither
// the message nor an error, no way is left.
func (a *attempt) fallBack(ctx context.Context) (arrived bool, err error) {
	for ; a.r.strategy < exhausted; a.r.strategy++ {
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
		return a.fetchWhole(ctx, messageItems())
	case metadata:
		return false, a.fetchMetadata(ctx)
	case bodyOnly:
		if a.r.claimed() > storage.MaxInline && a.r.endedSession && a.r.last.Class != class.Protocol {
			return false, nil // the connection does not last that long
		}
		return a.fetchWhole(ctx, []imap.Item{imap.ItemBody})
	}
	return a.fetchChunks(ctx)
}

// keepRefusal keeps a NO about the message as the reason. It returns every
// other error.
func (a *attempt) keepRefusal(err error) error {
	if err == nil || a.Mailbox.Session().Err() != nil || fault.Classify(err).Class != class.Parsing {
		return err
	}
	a.r.last = fault.Classify(err)
	return nil
}

// leftOut is the fault of a message that the server leaves out without a word.
func leftOut() fault.Fault {
	return fault.Fault{Verdict: policy.Verdict{Class: class.Parsing, Scope: "message"}, Phase: fault.PhaseFetch,
		Command: "UID FETCH",
		Detail:  chunk.ErrLeftOut.Error()}
}

// fetchWhole fetches the message in one literal.
func (a *attempt) fetchWhole(ctx context.Context, items []imap.Item) (bool, error) {
	a.r.last = leftOut()
	got, err := a.fetchOnce(ctx, []storage.UID{a.r.uid}, items, a.r.described)
	if got.refused != nil {
		a.r.last = fault.Classify(got.refused)
	}
	if len(got.missing) > 0 || err != nil || a.r.doubt != plan.Whole {
		return false, err
	}
	return true, a.AskFlags(ctx, got.pending)
}

// fetchMetadata fetches everything but the body.
func (a *attempt) fetchMetadata(ctx context.Context) error {
	if err := a.Mailbox.Yield(ctx); err != nil {
		return err
	}
	take := imap.FetchHandler{Fetch: func(m *imap.Message) error {
		if a.r.described == nil || m.HasFlags {
			said := *m
			a.r.described = &said
		}
		return nil
	}}
	items := []imap.Item{imap.ItemState, imap.ItemDate, imap.ItemSize}
	err := a.keepRefusal(fault.In(fault.PhaseFetch, a.Mailbox.Session().UIDFetch(ctx,
		mailbox.SetOf([]storage.UID{a.r.uid}), items, take)))
	a.bisection.answered = a.bisection.answered || err == nil
	if a.Mailbox.Renumbered() {
		a.r.described = nil
		return mailbox.Renumber(fault.PhaseFetch, err)
	}
	return err
}
