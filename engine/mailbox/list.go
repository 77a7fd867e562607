package mailbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/plan"
	"mailcote/storage"
)

// listings bounds how often a listing is requested on one connection whose
// number is not what EXISTS says.
const listings = 3

// List returns the mailbox's UIDs, ascending. Their number is what EXISTS says.
// If it never is, and two connections give the same numbers, List accepts what
// is listed: then Agrees is false, and Excess tells later listings.
func (m *Mailbox) List(ctx context.Context) ([]storage.UID, error) {
	l, err := m.list(ctx)
	if err == nil {
		m.listed, m.latest, m.stale = l, l.UIDs, m.changed
	}
	return l.UIDs, err
}

// Agrees reports whether the number of the messages that List returned last is
// what EXISTS said.
func (m *Mailbox) Agrees() bool { return m.listed.Agrees() }

// Counted is what EXISTS said when List listed the messages last.
func (m *Mailbox) Counted() uint32 { return m.listed.Exists }

// list is List without its trace.
func (m *Mailbox) list(ctx context.Context) (plan.Listing, error) {
	first, sure, err := m.listHere(ctx, nil)
	if err != nil || sure {
		return first, err
	}
	switch err := m.Renew(ctx); {
	case errors.Is(err, errAlone):
		return first, m.disagrees()
	case err != nil:
		return first, err
	}
	second, sure, err := m.listHere(ctx, &first)
	if err == nil && !sure {
		err = m.disagrees()
	}
	if err == nil {
		m.Excess = second.Excess()
	}
	return second, err
}

// listHere lists the messages on this connection until the listing is sure or
// has the same numbers as another one. If it never is, but has the same numbers
// each time, it is returned as not sure.
func (m *Mailbox) listHere(ctx context.Context, like *plan.Listing) (l plan.Listing, sure bool, err error) {
	steady := true
	for try := 1; ; try++ {
		before := l
		if l, sure, err = m.ask(ctx); err != nil {
			return l, false, err
		}
		if sure || like != nil && l.Same(*like) {
			return l, true, nil
		}
		steady = steady && (try == 1 || l.Same(before))
		if try == listings && steady {
			return l, false, nil
		}
		if try == listings {
			return l, false, m.disagrees()
		}
		if err := m.s.Noop(ctx); err != nil {
			return l, false, fault.In(fault.PhaseList, err)
		}
	}
}

func (m *Mailbox) disagrees() error {
	return fault.In(fault.PhaseList, fmt.Errorf("%s: %w", m.Path, fault.ErrDisagrees))
}

// ask asks once what the mailbox lists: by UID SEARCH, and by UID FETCH if that
// is refused or its number is not what EXISTS says.
func (m *Mailbox) ask(ctx context.Context) (l plan.Listing, sure bool, err error) {
	m.changed = false
	a := plan.Answers{Excess: m.Excess}
	a.Search, err = m.answer(m.s.UIDSearchAll(ctx))
	refused := err
	if err != nil && !m.unanswered(err) {
		return l, false, err
	}
	a.Exists = m.s.Exists()
	if err == nil {
		if l, sure = plan.Listed(a); sure {
			return l, true, nil
		}
	}
	a.Fetch, err = m.answer(m.s.UIDFetchAll(ctx))
	if err != nil && !m.unanswered(err) {
		return l, false, err
	}
	// A mailbox is empty only if both say so: a FETCH that brings nothing may be
	// one that was not carried out.
	if len(a.Search) == 0 && len(a.Fetch) == 0 && (refused != nil || err != nil) {
		return l, false, cmp.Or(refused, m.disagrees())
	}
	a.Exists = m.s.Exists()
	l, sure = plan.Listed(a)
	return l, sure, nil
}

// answer checks a set of UIDs that the server gave for the mailbox. Without an
// error the set is not nil.
func (m *Mailbox) answer(set goimap.UIDSet, err error) (goimap.UIDSet, error) {
	switch n := plan.Number(set); {
	case err != nil:
		return nil, fault.In(fault.PhaseList, err)
	case m.renumbered: // it may be of other UIDs
		return nil, fault.In(fault.PhaseList, fault.ErrRenumbered)
	case n > uint64(m.Most):
		return nil, m.TooMany(fault.PhaseList, n, "messages", m.Most)
	}
	return set, nil
}

// unanswered reports whether the server gave no listing in a session that goes
// on: it refused, or its answer has no result.
func (m *Mailbox) unanswered(err error) bool {
	return m.Refused(err) || m.s.Err() == nil && errors.Is(err, imap.ErrSyntax)
}

// Relist lists the mailbox on a new connection.
func (m *Mailbox) Relist(ctx context.Context) ([]storage.UID, error) {
	if err := m.Renew(ctx); err != nil {
		return nil, err
	}
	return m.List(ctx)
}

// StillListed lists the mailbox again if the server reported any change since
// the last listing. Otherwise a mailbox that lacks a message on every page
// would be listed for each.
func (m *Mailbox) StillListed(ctx context.Context) ([]storage.UID, error) {
	err := fault.In(fault.PhaseList, m.s.Noop(ctx))
	if m.renumbered { // what was listed may be of other UIDs
		return nil, Renumber(fault.PhaseList, err)
	}
	if err != nil || !m.stale {
		return m.latest, err
	}
	changed := m.changed
	l, err := m.list(ctx)
	if err == nil {
		m.latest, m.stale = l.UIDs, m.changed
	}
	m.changed = m.changed || changed // since the listing that the caller uses
	return l.UIDs, err
}
