package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/chunk"
	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/engine/message"
	"mailcote/engine/plan"
	"mailcote/storage"
	"mailcote/storage/class"
)

// acquire takes memory for a chunk from the process's budget. If others hold it
// all, it grants as little as need not be counted.
func (a *attempt) acquire(ctx context.Context, want int64) (granted int64, release func(), err error) {
	timed, cancel := context.WithTimeout(ctx, budgetWait)
	defer cancel()
	if a.Budget.Acquire(timed, want) == nil {
		return want, func() { a.Budget.Release(want) }, nil
	}
	return min(want, chunk.Least), func() {}, ctx.Err()
}

// fetchChunks fetches the rest of the body, chunk by chunk.
func (a *attempt) fetchChunks(ctx context.Context) (bool, error) {
	if a.r.spool == nil {
		a.r.spool, a.r.body = a.Store.NewSpool(a.Packer), chunk.New(goimap.UID(a.r.uid), a.r.claimed())
	}
	most := a.Streamed
	always := context.WithoutCancel(ctx)
	a.r.last = leftOut()
	for a.r.body.Have() <= most {
		if err := a.Mailbox.Yield(ctx); err != nil {
			return false, a.flushChunks(ctx, err)
		}
		want, release, err := a.acquire(ctx, a.r.body.Want())
		if err != nil {
			return false, a.flushChunks(ctx, err)
		}
		piece, end, err := a.r.body.Next(ctx, a.Mailbox.Session(), want)
		release()
		switch {
		case a.Mailbox.Renumbered():
			return false, errors.Join(mailbox.Renumber(fault.PhaseFetch, err), a.dropKept(ctx, a.r))
		case errors.Is(err, chunk.ErrLeftOut):
			return false, nil
		case err != nil:
			if err = a.keepRefusal(fault.In(fault.PhaseFetch, err)); err != nil {
				err = a.flushChunks(ctx, err)
			}
			return false, err
		}
		if len(piece) > 0 {
			if err := a.r.spool.Take(always, bytes.NewReader(piece)); err != nil {
				return false, errors.Join(fault.In(fault.PhaseStore, err), a.dropKept(ctx, a.r))
			}
			a.Progressed()
			a.bisection.answered = true
		}
		if end {
			return a.storeChunks(ctx)
		}
	}
	a.r.last.Detail = fmt.Sprintf("the message is larger than %d bytes", most)
	return false, nil
}

// flushChunks stores what came of a body before an error that ends the pass,
// and returns that error.
func (a *attempt) flushChunks(ctx context.Context, err error) error {
	if a.r.spool.Size() == 0 {
		return err
	}
	if full := a.r.spool.Flush(context.WithoutCancel(ctx)); full != nil {
		return errors.Join(fault.In(fault.PhaseStore, full), a.dropKept(ctx, a.r), err)
	}
	return err
}

// keepChunks keeps the chunks of a message that does not come whole.
func (a *attempt) keepChunks(ctx context.Context) error {
	if a.r.spool == nil || a.r.spool.Size() == 0 {
		return nil
	}
	body, err := a.r.spool.Finish(ctx)
	if err != nil {
		return errors.Join(fault.In(fault.PhaseStore, err), a.dropKept(ctx, a.r))
	}
	a.r.spool, a.r.body = nil, nil
	return fault.In(fault.PhaseStore, a.r.keep(ctx, a.Store, body))
}

// storeChunks stores a message that came to its end in chunks, as any other is
// stored.
func (a *attempt) storeChunks(ctx context.Context) (bool, error) {
	always := context.WithoutCancel(ctx)
	body, err := a.r.spool.Finish(always)
	if err != nil {
		return false, errors.Join(fault.In(fault.PhaseStore, err), a.dropKept(ctx, a.r))
	}
	raw, err := a.r.spool.Reader(always)
	if err != nil {
		return false, fault.In(fault.PhaseStore, err)
	}
	view := message.Parse(raw, message.Limits{})
	if err := raw.Close(); err != nil {
		return false, fault.In(fault.PhaseStore, err)
	}
	take := newIntake(ctx, a.Pass, []storage.UID{a.r.uid})
	take.described, take.current = a.r.described, &arrival{staged: &body, view: &view}
	a.r.spool, a.r.body = nil, nil // the batch owns it now
	said := &imap.Message{UID: goimap.UID(a.r.uid), HasBody: true, Size: a.r.claimed()}
	if err := errors.Join(take.fetched(said), take.close()); err != nil || a.r.doubt != plan.Whole {
		return false, fault.In(fault.PhaseStore, err)
	}
	if take.learned != nil {
		a.learned = *take.learned
	}
	if claimed := a.r.claimed(); claimed >= 0 && claimed < body.Size {
		err = a.recordOdd(ctx, a.r.uid, fault.Fault{
			Verdict: policy.Verdict{Class: class.Parsing,
				Scope: "message"}, Phase: fault.PhaseFetch, Command: "UID FETCH",
			Detail: fmt.Sprintf("the server says the message has %d bytes and gave %d to its end: these are stored",
				claimed, body.Size)})
	}
	return true, errors.Join(err, a.AskFlags(ctx, take.pending()))
}
