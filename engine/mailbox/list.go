package mailbox

import (
	"context"
	"fmt"
	"slices"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/fault"
	"mailcote/storage"
)

// listings bounds how often a listing is requested whose number is not what
// EXISTS says.
const listings = 3

// List returns the mailbox's UIDs, ascending. It accepts a listing only if its
// number is what EXISTS says.
func (m *Mailbox) List(ctx context.Context) ([]storage.UID, error) {
	uids, err := m.search(ctx)
	if err == nil {
		m.latest, m.stale = uids, m.changed
	}
	return uids, err
}

func (m *Mailbox) search(ctx context.Context) ([]storage.UID, error) {
	for try := 1; ; try++ {
		m.changed = false
		set, err := m.s.UIDSearchAll(ctx)
		if err != nil {
			return nil, fault.In(fault.PhaseList, err)
		}
		if m.renumbered { // it may be of other UIDs
			return nil, fault.In(fault.PhaseList, fault.ErrRenumbered)
		}
		if n := numberOf(set); n > uint64(m.Most) {
			return nil, m.TooMany(fault.PhaseList, n, "messages", m.Most)
		}
		if uids, ok := expand(set, m.s.Exists()); ok {
			return uids, nil
		}
		if try == listings {
			return nil, fault.In(fault.PhaseList, fmt.Errorf("%s: %w", m.Path, fault.ErrDisagrees))
		}
		if err := m.s.Noop(ctx); err != nil {
			return nil, fault.In(fault.PhaseList, err)
		}
	}
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
	uids, err := m.List(ctx)
	m.changed = m.changed || changed // since the listing that the caller uses
	return uids, err
}

// numberOf counts the UIDs of a set.
func numberOf(set goimap.UIDSet) (n uint64) {
	for _, r := range set {
		n += uint64(max(r.Stop, r.Start)) - uint64(r.Start) + 1
	}
	return n
}

// expand turns a set into ascending UIDs if it has exactly want of them. It
// expands no more than that, so ask numberOf first whether a mailbox may have
// so many.
func expand(set goimap.UIDSet, want uint32) ([]storage.UID, bool) {
	if numberOf(set) != uint64(want) {
		return nil, false
	}
	uids := make([]storage.UID, 0, want)
	for _, r := range set {
		if r.Start == 0 || r.Stop < r.Start {
			return nil, false
		}
		for uid := uint64(r.Start); uid <= uint64(r.Stop); uid++ {
			uids = append(uids, storage.UID(uid))
		}
	}
	slices.Sort(uids)
	for i := range len(uids) - 1 {
		if uids[i] == uids[i+1] {
			return nil, false
		}
	}
	return uids, true
}
