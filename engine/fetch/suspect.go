package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"mailcote/engine/chunk"
	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/plan"
	"mailcote/storage"
)

// Suspects are an account's messages that do not come as others do. They
// outlive sessions and streams, not the process. Their methods may be called
// from any goroutine. A message's rescue belongs to the stream that has its
// mailbox.
type Suspects struct {
	mu sync.Mutex
	by map[place]*rescue
}

// Len counts them.
func (s *Suspects) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.by)
}

// all returns them by mailbox, newest message first.
func (s *Suspects) all() []*rescue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.by), func(a, b *rescue) int {
		return cmp.Or(cmp.Compare(a.mailbox, b.mailbox), cmp.Compare(a.validity, b.validity), cmp.Compare(b.uid, a.uid))
	})
}

// find returns the rescue of a message, or nil.
func (s *Suspects) find(at place) *rescue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[at]
}

// add makes a message a suspect, which is asked for alone.
func (s *Suspects) add(at place, from strategy) *rescue {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.by[at]
	if r == nil {
		if s.by == nil {
			s.by = map[place]*rescue{}
		}
		r = &rescue{place: at, strategy: from}
		s.by[at] = r
	}
	return r
}

func (s *Suspects) drop(at place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, at)
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

// place identifies a message on the server.
type place struct {
	mailbox  storage.MailboxID
	validity storage.UIDValidity
	uid      storage.UID
}

// spooled is how many octets came in chunks.
func (r *rescue) spooled() int64 {
	if r.spool == nil {
		return 0
	}
	return r.spool.Size()
}

// rescues returns those of the mailbox under its present UIDVALIDITY.
func (p *Pass) rescues() []*rescue {
	return slices.DeleteFunc(p.Suspects.all(), func(r *rescue) bool {
		return r.mailbox != p.Row.ID || r.validity != p.Mailbox.Validity
	})
}

// doubtful returns the messages to ask for once more, newest first. last
// includes those of an earlier pass. here reports whether the present session
// brought some of them.
func (p *Pass) doubtful(last bool) (uids []storage.UID, here bool) {
	for _, r := range p.rescues() {
		if r.doubt == plan.Again && !r.endedSession && (last || r.lastFrom(p.Mailbox.Session())) {
			uids, here = append(uids, r.uid), here || r.lastFrom(p.Mailbox.Session())
		}
	}
	slices.SortFunc(uids, func(a, b storage.UID) int { return cmp.Compare(b, a) })
	return uids, here
}

// doubtGone marks what the session brought in doubt: the same answer reported
// expunged messages.
func (p *Pass) doubtGone() {
	for _, r := range p.rescues() {
		if r.lastFrom(p.Mailbox.Session()) {
			r.answers[len(r.answers)-1].Gone = true
		}
	}
}

// suspected returns the rescue of a message, or nil.
func (p *Pass) suspected(uid storage.UID) *rescue {
	return p.Suspects.find(place{p.Row.ID, p.Mailbox.Validity, uid})
}

// suspect makes a message a suspect, which is asked for alone after all others.
func (p *Pass) suspect(uid storage.UID, from strategy) *rescue {
	return p.Suspects.add(place{p.Row.ID, p.Mailbox.Validity, uid}, from)
}

// forget ends a rescue and drops what it has in the store.
func (p *Pass) forget(ctx context.Context, r *rescue) error {
	p.Suspects.drop(r.place)
	return p.dropKept(ctx, r)
}

func (p *Pass) dropKept(ctx context.Context, r *rescue) error {
	always := context.WithoutCancel(ctx)
	err := p.Store.Unstage(always, r.kept)
	r.kept = storage.Body{}
	if r.spool != nil {
		err = errors.Join(err, r.spool.Drop(always))
		r.spool, r.body = nil, nil
	}
	return fault.In(fault.PhaseStore, err)
}

// deferSuspects returns todo without the messages that are asked for after the
// others: suspects, and quarantined messages that ended sessions before. It
// forgets suspects that are not to be fetched any more.
func (p *Pass) deferSuspects(ctx context.Context, todo []storage.UID) (rest []storage.UID, err error) {
	wanted := maps.Clone(p.endedSessions)
	for _, r := range p.Suspects.all() {
		if r.mailbox == p.Row.ID && r.validity == p.Mailbox.Validity {
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
	for uid := range p.endedSessions {
		if listed[uid] {
			r := p.suspect(uid, alone)
			r.endedSession, r.tryOnce = true, p.tryOnce[uid]
		}
	}
	for _, r := range p.Suspects.all() {
		if r.mailbox != p.Row.ID {
			continue
		}
		if r.validity != p.Mailbox.Validity || !listed[r.uid] {
			if err := p.forget(ctx, r); err != nil {
				return nil, err
			}
			continue
		}
	}
	return rest, nil
}
