package reconcile

import (
	"context"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/plan"
	"mailcote/storage"
	"mailcote/storage/class"
)

// condstore reports whether the mailbox has MODSEQs that can be relied on, and
// its HIGHESTMODSEQ.
func (p flagSync) condstore() (bool, storage.ModSeq) {
	now := storage.ModSeq(p.box.Selected.HighestModSeq)
	if !p.box.Session().Has("CONDSTORE") || p.box.Selected.NoModSeq || !plan.Trusted(p.row, p.Wall()) {
		now = 0
	}
	return now > 0, now
}

// countsAnew reports whether the stored MODSEQs are worth nothing: the server
// keeps none now, or counts from a lower number than it did.
func (p flagSync) countsAnew(ctx context.Context, condstore bool, now storage.ModSeq) (anew bool, err error) {
	err = p.Fetcher.Store.Read(ctx, func(r *storage.Reader) error {
		highest, err := r.HighestModSeq(p.row.ID, p.box.Validity)
		if p.row.Building == nil {
			highest = max(highest, p.row.ModSeq)
		}
		anew = highest > 0 && (!condstore || now < highest)
		return err
	})
	return anew, fault.In(fault.PhaseStore, err)
}

// clearModSeqs forgets the stored MODSEQs. hidden: they did not show a change.
// The first time that is recorded.
func (p flagSync) clearModSeqs(tx *storage.Writer, hidden bool) error {
	if err := tx.ClearModSeqs(p.row.ID, p.box.Validity); err != nil || !hidden {
		return err
	}
	if p.row.HiddenAt.IsZero() {
		if err := p.Fetching.RecordTx(tx, 0, fault.Fault{Verdict: policy.Verdict{Class: class.Protocol,
			Scope: "mailbox"},
			Phase: fault.PhaseFlags,
			Detail: p.row.Path + ": flags changed and HIGHESTMODSEQ did not: from now on flags " +
				"are compared as if the server kept no MODSEQ"}, true); err != nil {
			return err
		}
	}
	return tx.SetHidden(p.row.ID, p.Wall())
}
