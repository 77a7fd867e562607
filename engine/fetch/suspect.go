package fetch

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"mailcote/engine/fault"
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

// place identifies a message on the server.
type place struct {
	mailbox  storage.MailboxID
	validity storage.UIDValidity
	uid      storage.UID
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
