package engine

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/chunk"
	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/message"
	"mailcote/engine/plan"
	"mailcote/storage"
)

// hopeless is how many rescues in one pass may bring nothing; what the server refuses after them is not tried in other ways.
const hopeless = 50

// mostPartly is how many sessions in a row may end behind a part of a message before that is the line's trouble.
const mostPartly = 3

// everything is what a FETCH asks of a message.
func everything() []imap.Item {
	return []imap.Item{imap.ItemState, imap.ItemDate, imap.ItemSize, imap.ItemBody}
}

// rung is a way of asking for a message that does not come as others do.
type rung int

const (
	alone  rung = iota // with no other message
	about              // what is not its body
	bare               // its body and nothing else
	pieces             // its body in chunks
	lost               // no way is left
)

// rescue is one message that ended sessions, that the server left out, or that came in doubt, and how far its rescue got.
// It outlives sessions and workers, so what came of it stays. Only the worker that has the account touches it.
type rescue struct {
	place

	rung   rung
	fatal  bool // it ended a session
	brief  bool // it is in quarantine, and every way was tried before
	loose  bool // a session ended in which nothing else came, so a way may have been tried in vain
	partly int  // sessions in a row that ended behind a part of it
	known  *imap.Message
	body   *chunk.Body    // how far it came in chunks
	spool  *storage.Spool // what came in them
	first  Fault          // why it did not come as others do
	last   Fault          // why it did not come in the way that was tried last

	doubt plan.Verdict // of what came last; Whole: nothing was in doubt
	asked []asked      // what came in doubt
	kept  storage.Body // staged: the longest of that; its size is 0 when nothing came
}

// asked is what a session brought of a message.
type asked struct {
	plan.Asking
	session *imap.Session
}

// before gives what sessions other than s brought.
func (r *rescue) before(s *imap.Session) (all []plan.Asking) {
	for _, one := range r.asked {
		if one.session != s {
			all = append(all, one.Asking)
		}
	}
	return all
}

// on reports whether s is the session that brought the message last.
func (r *rescue) on(s *imap.Session) bool {
	return len(r.asked) > 0 && r.asked[len(r.asked)-1].session == s
}

// doubtful notes what a session brought.
func (r *rescue) doubtful(now plan.Asking, s *imap.Session, v plan.Verdict) {
	r.doubt, r.asked = v, append(r.asked, asked{now, s})
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

// keep takes a staged body that came in doubt, in place of a shorter one.
func (r *rescue) keep(ctx context.Context, store *storage.Store, b storage.Body) error {
	if b.Size > r.kept.Size {
		b, r.kept = r.kept, b
	}
	return store.Unstage(ctx, b)
}

// reason tells both in one fault.
func (r *rescue) reason() Fault {
	f := r.first
	if f.Detail == "" {
		return r.last
	}
	if r.last.Detail != "" && !strings.HasSuffix(f.Detail, r.last.Detail) && (f.ServerText == "" || f.ServerText != r.last.ServerText) {
		f.Detail += "; alone and in parts: " + r.last.Detail
	}
	return f
}

// blame notes that the message ended a session.
func (r *rescue) blame(f Fault) {
	if r.fatal = true; r.first.Detail == "" {
		r.first = f
	}
}

// claimed is the size the server says, -1 when it did not.
func (r *rescue) claimed() int64 {
	switch {
	case r.known != nil:
		return r.known.Size
	case len(r.asked) > 0:
		return r.asked[len(r.asked)-1].Size
	}
	return -1
}

func (r *rescue) received() int64 {
	if r.spool == nil {
		return r.kept.Size
	}
	return max(r.spool.Size(), r.kept.Size)
}

// place is where a message that is rescued lies.
type place struct {
	mailbox  storage.MailboxID
	validity storage.UIDValidity
	uid      storage.UID
}

// rescues gives the account's, the newest messages first; forget takes one off the list.
func (a *account) rescues() []*rescue {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.SortedFunc(maps.Values(a.suspects), func(a, b *rescue) int {
		return cmp.Or(cmp.Compare(a.mailbox, b.mailbox), cmp.Compare(a.validity, b.validity), cmp.Compare(b.uid, a.uid))
	})
}

// suspected gives the rescue of a message; nil: there is none.
func (a *account) suspected(at place) *rescue {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.suspects[at]
}

// suspect puts a message on the list of those that are asked for alone.
func (a *account) suspect(at place, from rung) *rescue {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.suspects[at]
	if r == nil {
		r = &rescue{place: at, rung: from}
		a.suspects[at] = r
	}
	return r
}

func (a *account) forget(at place) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.suspects, at)
}

// rescues gives those of the mailbox as it is numbered now.
func (p *pass) rescues() []*rescue {
	return slices.DeleteFunc(p.w.account.rescues(), func(r *rescue) bool {
		return r.mailbox != p.mailbox.ID || r.validity != p.validity
	})
}

// uncertain gives the messages that are to be asked for once more, newest first. last: those of an earlier pass, too. here:
// the pass's session is the one that has brought some of them.
func (p *pass) uncertain(last bool) (uids []storage.UID, here bool) {
	for _, r := range p.rescues() {
		if r.doubt == plan.Again && !r.fatal && (last || r.on(p.s)) {
			uids, here = append(uids, r.uid), here || r.on(p.s)
		}
	}
	slices.SortFunc(uids, func(a, b storage.UID) int { return cmp.Compare(b, a) })
	return uids, here
}

// doubtGone notes, of what the session brought in doubt, that the same answer told of expunged messages.
func (p *pass) doubtGone() {
	for _, r := range p.rescues() {
		if r.on(p.s) {
			r.asked[len(r.asked)-1].Gone = true
		}
	}
}

// suspected gives the rescue of a message; nil: there is none.
func (p *pass) suspected(uid storage.UID) *rescue {
	return p.w.account.suspected(place{p.mailbox.ID, p.validity, uid})
}

// suspect puts a message on the list of those that are asked for alone, behind all others.
func (p *pass) suspect(uid storage.UID, from rung) *rescue {
	return p.w.account.suspect(place{p.mailbox.ID, p.validity, uid}, from)
}

// forget ends a rescue and drops what it holds in the store.
func (p *pass) forget(ctx context.Context, r *rescue) error {
	p.w.account.forget(r.place)
	return p.empty(ctx, r)
}

// spooled is how many octets came in chunks.
func (r *rescue) spooled() int64 {
	if r.spool == nil {
		return 0
	}
	return r.spool.Size()
}

func (p *pass) empty(ctx context.Context, r *rescue) error {
	always := context.WithoutCancel(ctx)
	err := p.w.e.store.Unstage(always, r.kept)
	r.kept = storage.Body{}
	if r.spool != nil {
		err = errors.Join(err, r.spool.Drop(always))
		r.spool, r.body = nil, nil
	}
	return in(phaseStore, err)
}

// apart takes out of todo what is asked for behind the others: suspects, and what ended sessions before it was
// quarantined. Suspects that are not to be fetched any more are forgotten.
func (p *pass) apart(ctx context.Context, todo []storage.UID) (rest []storage.UID, err error) {
	wanted := maps.Clone(p.fatal)
	for _, r := range p.w.account.rescues() {
		if r.mailbox == p.mailbox.ID && r.validity == p.validity {
			wanted[r.uid] = true
		}
	}
	listed := make(map[storage.UID]bool, len(wanted))
	rest = slices.DeleteFunc(slices.Clone(todo), func(uid storage.UID) bool {
		if wanted[uid] {
			listed[uid] = true
		}
		return wanted[uid]
	})
	for uid := range p.fatal {
		if listed[uid] {
			r := p.suspect(uid, alone)
			r.fatal, r.brief = true, p.brief[uid]
		}
	}
	for _, r := range p.w.account.rescues() {
		if r.mailbox != p.mailbox.ID {
			continue
		}
		if r.validity != p.validity || !listed[r.uid] {
			if err := p.forget(ctx, r); err != nil {
				return nil, err
			}
			continue
		}
	}
	return rest, nil
}

// rescue brings one message in other ways than the usual one. What does not come, and is still listed, is quarantined. An error
// ends the pass; the next one goes on from there.
//
// A message that ends sessions is quarantined only when the server gives another one meanwhile. Otherwise it is the line.
func (p *pass) rescue(ctx context.Context, r *rescue) error {
	for {
		before := r.spooled()
		r.doubt = plan.Whole
		arrived, err := p.climb(ctx, r)
		if arrived {
			return errors.Join(err, p.forget(ctx, r))
		}
		if err == nil && p.stirred { // it may have left: the next round lists again
			p.hopeless++
			return nil
		}
		if err == nil {
			break
		}
		f := fault.Classify(err)
		if !p.ended(ctx, f) || f.Known() {
			return err
		}
		p.next(r, f)
		if f.Class == Protocol {
			p.w.narrowing.closer = true // the next attempt asks in another way
			if r.rung < lost {
				return err
			}
			p.hopeless++
			return errors.Join(err, p.abandon(ctx, r))
		}
		if r.partly++; r.spooled() == before {
			r.partly = 0
		}
		if r.partly > mostPartly { // more of it comes each time: the line is too short for it, and has its wait
			r.partly, p.w.narrowing.closer = 0, true
			return err
		}
		more := r.spooled() > before && r.rung < lost // a server that gives more of this message serves messages
		served, again := p.renew(ctx, f, more, p.another(r.uid, nil))
		if again != nil || !served {
			if r.loose = true; r.rung == lost {
				r.rung = alone
			}
			return cmp.Or(again, err)
		}
		if r.loose && r.rung == lost { // every way once more
			r.loose, r.rung = false, alone
		}
		p.w.narrowing.closer = true
	}
	p.hopeless++
	return p.abandon(ctx, r)
}

// abandon quarantines a message and ends its rescue.
func (p *pass) abandon(ctx context.Context, r *rescue) error {
	return errors.Join(p.quarantine(context.WithoutCancel(ctx), r), p.forget(ctx, r))
}

// next has a message that ended a session asked for in the next way. Where many were asked for in vain no other way is tried.
func (p *pass) next(r *rescue, f Fault) {
	r.last, r.doubt = f, plan.Whole
	r.blame(f)
	if p.hopeless >= hopeless || r.brief {
		r.rung = lost
	} else if r.rung < pieces || r.body != nil && !r.body.Broke() {
		r.rung++
	}
}

// climb asks for a message in one way after the other. Without an error and without the message no way is left.
func (p *pass) climb(ctx context.Context, r *rescue) (arrived bool, err error) {
	for ; r.rung < lost; r.rung++ {
		arrived, err = p.attempt(ctx, r)
		if r.doubt == plan.Again && err == nil { // once more in this way
			p.renewals++
			if err = p.fresh(ctx); err == nil {
				arrived, err = p.attempt(ctx, r)
			}
		}
		if arrived || err != nil {
			return arrived, err
		}
	}
	return false, nil
}

// attempt asks for a message in one way.
func (p *pass) attempt(ctx context.Context, r *rescue) (arrived bool, err error) {
	r.doubt = plan.Whole
	switch r.rung {
	case alone:
		return p.whole(ctx, r, everything())
	case about:
		return false, p.ask(ctx, r)
	case bare:
		if r.claimed() > storage.MaxInline && r.fatal && r.last.Class != Protocol {
			return false, nil // the line does not hold for so long
		}
		return p.whole(ctx, r, []imap.Item{imap.ItemBody})
	}
	return p.gather(ctx, r)
}

// hearNo keeps a NO that is about the message as the reason, and passes every other error on.
func (p *pass) hearNo(r *rescue, err error) error {
	if err == nil || p.s.Err() != nil || fault.Classify(err).Class != Parsing {
		return err
	}
	r.last = fault.Classify(err)
	return nil
}

// leftOut is why a message did not come when the server does not say.
func leftOut() Fault {
	return Fault{Verdict: policy.Verdict{Class: Parsing, Scope: "message"}, Phase: phaseFetch, Command: "UID FETCH",
		Detail: chunk.ErrLeftOut.Error()}
}

// lend takes memory for a chunk from the process-wide budget; when others hold it all, as little as does not count.
func (e *Engine) lend(ctx context.Context, want int64) (granted int64, giveBack func(), err error) {
	timed, cancel := context.WithTimeout(ctx, budgetWait)
	defer cancel()
	if e.budget.Acquire(timed, want) == nil {
		return want, func() { e.budget.Release(want) }, nil
	}
	return min(want, chunk.Least), func() {}, ctx.Err()
}

// whole asks for the message in one literal.
func (p *pass) whole(ctx context.Context, r *rescue, items []imap.Item) (bool, error) {
	r.last = leftOut()
	got, err := p.take(ctx, []storage.UID{r.uid}, items, r.known)
	if got.refused != nil {
		r.last = fault.Classify(got.refused)
	}
	if len(got.missing) > 0 || err != nil || r.doubt != plan.Whole {
		return false, err
	}
	return true, p.askFlags(ctx, got.owed)
}

// ask fetches what is not the body.
func (p *pass) ask(ctx context.Context, r *rescue) error {
	if err := p.yield(ctx); err != nil {
		return err
	}
	take := imap.FetchHandler{Fetch: func(m *imap.Message) error {
		if r.known == nil || m.HasFlags {
			known := *m
			r.known = &known
		}
		return nil
	}}
	items := []imap.Item{imap.ItemState, imap.ItemDate, imap.ItemSize}
	err := p.hearNo(r, in(phaseFetch, p.s.UIDFetch(ctx, uidSet([]storage.UID{r.uid}), items, take)))
	p.w.narrowing.answered = p.w.narrowing.answered || err == nil
	if p.swapped {
		r.known = nil
		return errors.Join(in(phaseFetch, errSwapped), err)
	}
	return err
}

// gather takes the body chunk by chunk behind what has come.
func (p *pass) gather(ctx context.Context, r *rescue) (bool, error) {
	if r.spool == nil {
		r.spool, r.body = p.w.e.store.NewSpool(p.w.e.packer), chunk.New(goimap.UID(r.uid), r.claimed())
	}
	most := p.w.e.o.Limits.Streamed
	if most <= 0 {
		most = imap.DefaultLimits().Streamed
	}
	always := context.WithoutCancel(ctx)
	r.last = leftOut()
	for r.body.Have() <= most {
		if err := p.yield(ctx); err != nil {
			return false, p.keep(ctx, r, err)
		}
		want, giveBack, err := p.w.e.lend(ctx, r.body.Want())
		if err != nil {
			return false, p.keep(ctx, r, err)
		}
		piece, end, err := r.body.Next(ctx, p.s, want)
		giveBack()
		switch {
		case p.swapped:
			return false, errors.Join(in(phaseFetch, errSwapped), err, p.empty(ctx, r))
		case errors.Is(err, chunk.ErrLeftOut):
			return false, nil
		case err != nil:
			if err = p.hearNo(r, in(phaseFetch, err)); err != nil {
				err = p.keep(ctx, r, err)
			}
			return false, err
		}
		if len(piece) > 0 {
			if err := r.spool.Take(always, bytes.NewReader(piece)); err != nil {
				return false, errors.Join(in(phaseStore, err), p.empty(ctx, r))
			}
			p.w.progressed.Store(true)
			p.w.narrowing.answered = true
		}
		if end {
			return p.settleSpool(ctx, r)
		}
	}
	r.last.Detail = fmt.Sprintf("the message is larger than %d bytes", most)
	return false, nil
}

// keep stores what came of a body before an error that ends the pass, and gives that error.
func (p *pass) keep(ctx context.Context, r *rescue, err error) error {
	if r.spool.Size() == 0 {
		return err
	}
	if full := r.spool.Flush(context.WithoutCancel(ctx)); full != nil {
		return errors.Join(in(phaseStore, full), p.empty(ctx, r), err)
	}
	return err
}

// keepSpool keeps what came in chunks of a message that does not come whole.
func (p *pass) keepSpool(ctx context.Context, r *rescue) error {
	if r.spool == nil || r.spool.Size() == 0 {
		return nil
	}
	body, err := r.spool.Finish(ctx)
	if err != nil {
		return errors.Join(in(phaseStore, err), p.empty(ctx, r))
	}
	r.spool, r.body = nil, nil
	return in(phaseStore, r.keep(ctx, p.w.e.store, body))
}

// settleSpool stores a message that came to its end in chunks, as any other is.
func (p *pass) settleSpool(ctx context.Context, r *rescue) (bool, error) {
	always := context.WithoutCancel(ctx)
	body, err := r.spool.Finish(always)
	if err != nil {
		return false, errors.Join(in(phaseStore, err), p.empty(ctx, r))
	}
	raw, err := r.spool.Reader(always)
	if err != nil {
		return false, in(phaseStore, err)
	}
	view := message.Parse(raw, message.Limits{})
	if err := raw.Close(); err != nil {
		return false, in(phaseStore, err)
	}
	take := p.newIntake(ctx, []storage.UID{r.uid})
	take.known, take.current = r.known, &arrival{staged: &body, view: &view}
	r.spool, r.body = nil, nil // the batch has it now
	said := &imap.Message{UID: goimap.UID(r.uid), HasBody: true, Size: r.claimed()}
	if err := errors.Join(take.fetched(said), take.close()); err != nil || r.doubt != plan.Whole {
		return false, in(phaseStore, err)
	}
	if take.learned != nil {
		p.learned = *take.learned
	}
	if claimed := r.claimed(); claimed >= 0 && claimed < body.Size {
		err = p.remark(ctx, r.uid, Fault{
			Verdict: policy.Verdict{Class: Parsing, Scope: "message"}, Phase: phaseFetch, Command: "UID FETCH",
			Detail: fmt.Sprintf("the server says the message has %d bytes and gave %d to its end: these are stored", claimed, body.Size)})
	}
	return true, errors.Join(err, p.askFlags(ctx, take.owed()))
}
