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

// Suspects are an account's messages that do not come as others do. They outlive sessions and streams, not the
// process. Its methods may be called from any goroutine; a message's rescue is used by the stream that has its
// mailbox.
type Suspects struct {
	mu sync.Mutex
	by map[place]*rescue
}

// Len is how many there are.
func (s *Suspects) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.by)
}

// all gives them by mailbox, the newest messages first; drop takes one off the list.
func (s *Suspects) all() []*rescue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.by), func(a, b *rescue) int {
		return cmp.Or(cmp.Compare(a.mailbox, b.mailbox), cmp.Compare(a.validity, b.validity), cmp.Compare(b.uid, a.uid))
	})
}

// find gives the rescue of a message; nil: there is none.
func (s *Suspects) find(at place) *rescue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[at]
}

// add puts a message on the list of those that are asked for alone.
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
	alone  strategy = iota // with no other message
	about                  // what is not its body
	bare                   // its body and nothing else
	pieces                 // its body in chunks
	lost                   // no way is left
)

// rescue is one message that ended sessions, that the server left out, or that came in doubt, and how far its
// rescue got. It outlives sessions and workers, so what came of it stays. Only the worker that has the account
// touches it.
type rescue struct {
	place

	strategy strategy
	fatal    bool // it ended a session
	brief    bool // it is in quarantine, and every way was tried before
	unproven bool // a session ended in which nothing else came, so a way may have been tried in vain
	partly   int  // sessions in a row that ended behind a part of it
	known    *imap.Message
	body     *chunk.Body    // how far it came in chunks
	spool    *storage.Spool // what came in them
	first    fault.Fault    // why it did not come as others do
	last     fault.Fault    // why it did not come in the way that was tried last

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

// spooled is how many octets came in chunks.
func (r *rescue) spooled() int64 {
	if r.spool == nil {
		return 0
	}
	return r.spool.Size()
}

// rescues gives those of the mailbox as it is numbered now.
func (p *Pass) rescues() []*rescue {
	return slices.DeleteFunc(p.Suspects.all(), func(r *rescue) bool {
		return r.mailbox != p.Row.ID || r.validity != p.Mailbox.Validity
	})
}

// uncertain gives the messages that are to be asked for once more, newest first. last: those of an earlier pass,
// too. here: the pass's session is the one that has brought some of them.
func (p *Pass) uncertain(last bool) (uids []storage.UID, here bool) {
	for _, r := range p.rescues() {
		if r.doubt == plan.Again && !r.fatal && (last || r.on(p.Mailbox.Session())) {
			uids, here = append(uids, r.uid), here || r.on(p.Mailbox.Session())
		}
	}
	slices.SortFunc(uids, func(a, b storage.UID) int { return cmp.Compare(b, a) })
	return uids, here
}

// doubtGone notes, of what the session brought in doubt, that the same answer told of expunged messages.
func (p *Pass) doubtGone() {
	for _, r := range p.rescues() {
		if r.on(p.Mailbox.Session()) {
			r.asked[len(r.asked)-1].Gone = true
		}
	}
}

// suspected gives the rescue of a message; nil: there is none.
func (p *Pass) suspected(uid storage.UID) *rescue {
	return p.Suspects.find(place{p.Row.ID, p.Mailbox.Validity, uid})
}

// suspect puts a message on the list of those that are asked for alone, behind all others.
func (p *Pass) suspect(uid storage.UID, from strategy) *rescue {
	return p.Suspects.add(place{p.Row.ID, p.Mailbox.Validity, uid}, from)
}

// forget ends a rescue and drops what it holds in the store.
func (p *Pass) forget(ctx context.Context, r *rescue) error {
	p.Suspects.drop(r.place)
	return p.empty(ctx, r)
}

func (p *Pass) empty(ctx context.Context, r *rescue) error {
	always := context.WithoutCancel(ctx)
	err := p.Store.Unstage(always, r.kept)
	r.kept = storage.Body{}
	if r.spool != nil {
		err = errors.Join(err, r.spool.Drop(always))
		r.spool, r.body = nil, nil
	}
	return fault.In(fault.PhaseStore, err)
}

// setApart takes out of todo what is asked for behind the others: suspects, and what ended sessions before it was
// quarantined. Suspects that are not to be fetched any more are forgotten.
func (p *Pass) setApart(ctx context.Context, todo []storage.UID) (rest []storage.UID, err error) {
	wanted := maps.Clone(p.fatal)
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
	for uid := range p.fatal {
		if listed[uid] {
			r := p.suspect(uid, alone)
			r.fatal, r.brief = true, p.brief[uid]
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
