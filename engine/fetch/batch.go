package fetch

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/mailbox"
	"mailcote/engine/message"
	"mailcote/engine/plan"
	"mailcote/engine/row"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/failpoint"
)

// commit parses and packs a batch. It writes it in one transaction with its
// coverage, checkpoint and counters.
func (t *intake) commit(batch []arrival) error {
	out := storage.Batch{Mailbox: t.p.Row.ID, Validity: t.p.Mailbox.Validity,
		Arrivals: make([]storage.Arrival, len(batch))}
	docs := make([]storage.IndexDoc, len(batch))
	var group errgroup.Group
	group.SetLimit(parsers)
	for i := range batch {
		group.Go(func() error {
			return fault.Guard(func() error {
				out.Arrivals[i], docs[i] = t.pack(&batch[i])
				return nil
			})
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	uids := make([]storage.UID, len(batch))
	for i, a := range batch {
		uids[i] = a.uid
	}
	out.Cover = plan.Cover(t.p.listing, slices.Sorted(slices.Values(uids)), t.p.Mailbox.Agrees())
	failpoint.Hit("engine.beforeBatch")
	var stored storage.Stored
	var learned *storage.Sizes
	p := t.p
	// a generation that is being built has all its flags compared anyway
	pending := t.p.Row.Building == nil && slices.ContainsFunc(batch, func(a arrival) bool { return a.flagsPending })
	err := p.Store.Write(t.ctx, storage.Bulk, out.Size(), func(tx *storage.Writer) (err error) {
		if stored, err = tx.StoreBatch(out); err != nil {
			return err
		}
		for _, uid := range stored.Conflicts {
			if err := p.RecordTx(tx, uid, fault.Fault{Verdict: policy.Verdict{Class: class.Protocol, Scope: "message"},
				Phase: fault.PhaseStore, Detail: "the server gives other bytes under a UID it used before: " +
					"they are shown now, the earlier ones are kept for their retention"}, false); err != nil {
				return err
			}
		}
		if learned, err = t.learn(tx, batch); err != nil {
			return err
		}
		if len(p.quarantined) > 0 { // a message that arrived leaves the quarantine
			if err := tx.ReleaseGone(out.Mailbox, out.Validity, uids); err != nil {
				return err
			}
		}
		if pending { // so that a restart compares all flags
			if err := tx.SetModSeq(out.Mailbox, 0); err != nil {
				return err
			}
		}
		if err := p.Meter.CountTx(tx); err != nil {
			return err
		}
		return p.StoredTx(tx, p.Row.Path, uids[len(uids)-1], stored)
	})
	if err != nil {
		return err
	}
	if learned != nil {
		t.mu.Lock()
		t.learned = learned
		t.mu.Unlock()
	}
	failpoint.Hit("engine.afterBatch")
	p.Stored(p.Row.Path, len(batch), stored, docs)
	p.Progressed()
	return nil
}

// learn notes what a batch shows of the server's sizes. nil means nothing.
func (t *intake) learn(tx *storage.Writer, batch []arrival) (*storage.Sizes, error) {
	p := t.p
	n, lack, zero := 0, int64(0), false
	for _, a := range batch {
		if a.lacks > 0 {
			n, lack = n+1, max(lack, a.lacks)
		}
		zero = zero || a.zero
	}
	if n == 0 && !zero {
		return nil, nil
	}
	have, err := tx.SizesOf(p.Row.Account)
	if err != nil {
		return nil, err
	}
	have.Lack = max(have.Lack, p.learned.Lack)
	now := plan.Learn(have, n, lack)
	now.Zero = now.Zero || zero
	if err := tx.SetSizes(p.Row.Account, now); err != nil || have.Wrong {
		return &now, err
	}
	f := fault.Fault{Verdict: policy.Verdict{Class: class.Parsing, Scope: "message"}, Phase: fault.PhaseFetch,
		Command: "UID FETCH"}
	for _, a := range batch {
		if a.lacks == 0 {
			continue
		}
		f.Detail = fmt.Sprintf("the server says the message has %d bytes and gave the same %d on two connections: "+
			"these are stored",
			a.size()+a.lacks, a.size())
		if now.Wrong {
			f.Detail += "; it computes sizes wrongly, and that is not recorded again"
		}
		if err := p.RecordTx(tx, a.uid, f, true); err != nil || now.Wrong { // one record stands for all
			return &now, err
		}
	}
	return &now, nil
}

// pack parses, hashes and compresses a message. It returns the row to store and
// the document to index.
func (t *intake) pack(a *arrival) (storage.Arrival, storage.IndexDoc) {
	said := mailbox.FlagsOf(a.said.UID, a.said.State)
	out := storage.Arrival{UID: a.uid, Flags: said.Flags, ModSeq: said.ModSeq}
	var view message.View
	if a.staged != nil {
		out.Body, view = *a.staged, *a.view
	} else {
		out.Body, view = t.p.Packer.Pack(a.raw), message.Parse(bytes.NewReader(a.raw), message.Limits{})
	}
	out.Header = row.Header(view)
	out.InternalDate = row.ReceivedAt(a.said.InternalDate, view)
	return out, row.Document(view).Spelled() // here, since packers run side by side
}

// expungeMost bounds the messages that one transaction expunges.
const expungeMost = 1000

// Expunge removes messages from a mailbox in the store.
func Expunge(ctx context.Context, s *storage.Store, id storage.MailboxID, v storage.UIDValidity,
	gone []storage.UID) error {
	for some := range slices.Chunk(gone, expungeMost) {
		failpoint.Hit("engine.beforeExpunge")
		if err := s.Write(ctx, storage.Bulk, 0, func(tx *storage.Writer) error {
			return tx.Expunge(id, v, some)
		}); err != nil {
			return fault.In(fault.PhaseStore, err)
		}
	}
	return nil
}
