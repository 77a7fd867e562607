package fetch

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/storage"
	"mailcote/storage/class"
)

// quarantine quarantines messages and records why.
func (p *Pass) quarantine(ctx context.Context, all ...*rescue) error {
	var full error
	for i, r := range all {
		if err := (&attempt{p, r}).keepChunks(ctx); err != nil {
			return err
		}
		if full = p.admit(ctx, r.uid); full != nil {
			all = all[:i]
			break
		}
	}
	err := p.Store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
		for _, r := range all {
			f := r.reason()
			if n := r.received(); n > 0 {
				f.Detail += fmt.Sprintf(" (%d bytes of it came)", n)
			}
			if err := p.RecordTx(tx, r.uid, fault.Fault{Verdict: policy.Verdict{Class: class.Parsing, Scope: "message"},
				Phase: f.Phase, Command: f.Command, ServerText: f.ServerText, Detail: f.Detail}, false); err != nil {
				return err
			}
			if err := tx.Quarantine(storage.Quarantined{Mailbox: r.mailbox, Validity: r.validity, UID: r.uid,
				Reason: f.Detail, Alone: r.endedSession,
				Received: r.received(), Claimed: r.claimed()}); err != nil {
				return err
			}
			if r.kept.Size == 0 {
				continue
			}
			if err := tx.KeepCame(r.mailbox, r.validity, r.uid, r.kept); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		for _, r := range all {
			r.kept = storage.Body{} // the store owns it now
			if at, quarantined := slices.BinarySearch(p.quarantined, r.uid); !quarantined {
				p.quarantined = slices.Insert(p.quarantined, at, r.uid)
			}
		}
	}
	return errors.Join(fault.In(fault.PhaseStore, err), full)
}

// admit reserves a row in the quarantine. It is bounded, because a server may
// invent a mailbox.
func (p *Pass) admit(ctx context.Context, uid storage.UID) error {
	if _, has := slices.BinarySearch(p.quarantined, uid); has { // it has its row already
		return nil
	}
	caps := p.Caps
	if p.room == nil {
		left := caps.Aside - len(p.quarantined)
		if err := p.Store.Read(ctx, func(r *storage.Reader) error {
			n, err := r.QuarantineRows(p.Row.Account, caps.AllAside)
			left = min(left, caps.AllAside-n)
			return err
		}); err != nil {
			return fault.In(fault.PhaseStore, err)
		}
		p.room = &left
	}
	if *p.room <= 0 {
		return fault.In(fault.PhaseFetch, fmt.Errorf(
			"%s: the server lists messages that it does not give, and the quarantine takes %d of a mailbox and %d of "+
				"an account: %w",
			p.Row.Path, caps.Aside, caps.AllAside, fault.ErrTooMany))
	}
	*p.room--
	return nil
}

// recordOdd records a fault that nobody has to act on: of a message that is
// stored all the same, or of a session that ended (uid 0).
func (p *Pass) recordOdd(ctx context.Context, uid storage.UID, f fault.Fault) error {
	return fault.In(fault.PhaseStore, p.Store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
		return p.RecordTx(tx, uid, f, true)
	}))
}

// Quarantined returns the mailbox's quarantined messages as they are now,
// ascending.
func (p *Pass) Quarantined() []storage.UID { return p.quarantined }
