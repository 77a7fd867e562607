package index

import (
	"context"
	"errors"

	"mailcote/storage"
	"mailcote/testkit/failpoint"
)

// respellBatch is how many emails are written at once to the index that is
// built anew. New mail waits no longer than for a batch and the rest after it.
const respellBatch = 100

// Remade waits until the search index that is being built anew answers. It does
// not wait for one that failed, and returns why.
func (x *Indexer) Remade(ctx context.Context) error {
	if err := x.Drain(ctx); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	want := x.seenWakes
	x.await(ctx, func() bool { return x.remadeWakes >= want || x.err != nil })
	if x.remadeWakes < want {
		return errors.Join(x.err, ctx.Err())
	}
	return x.remadeErr
}

// respell does one step of building the index anew, if it must be: it begins,
// writes one batch, or lets the new index answer. more is false when nothing is
// left to do, and after a failure, which the next mail or start tries again.
func (x *Indexer) respell() (more bool, err error) {
	more, err = x.respellStep()
	if errors.Is(err, storage.ErrIndex) {
		x.report("the search index is built again from the start; the old one answers meanwhile", err)
		again := x.store.WriteAlone(x.ctx, (*storage.Writer).RebuildIndex)
		if again == nil && !x.restarted {
			x.restarted = true
			return true, nil
		}
		return false, errors.Join(err, again)
	}
	if err = x.unlessStopping(err); err != nil && !x.respellFailed {
		x.report("the search index is built anew later; the old one answers meanwhile", err)
	}
	x.respellFailed = err != nil
	return more && err == nil, err
}

// respelled notes that respell has nothing more to do now, and why.
func (x *Indexer) respelled(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.remadeWakes, x.remadeErr = x.seenWakes, err
	x.tried.Broadcast()
}

func (x *Indexer) respellStep() (more bool, err error) {
	var rows []storage.EmailRow
	var building, outdated bool
	if err := x.store.Read(x.ctx, func(r *storage.Reader) (err error) {
		rows, building, outdated, err = r.Rebuild(respellBatch)
		return err
	}); err != nil {
		return false, err
	}
	switch {
	case outdated:
		return true, x.store.WriteAlone(x.ctx, (*storage.Writer).RebuildIndex)
	case !building:
		return false, nil
	case len(rows) == 0:
		failpoint.Hit("engine.beforeSwap")
		return true, x.store.WriteAlone(x.ctx, (*storage.Writer).SwapIndex)
	}
	docs, _, err := x.documents(rows, true)
	if err != nil {
		return false, err
	}
	failpoint.Hit("engine.beforeRespell")
	return true, x.store.WriteAlone(x.ctx, func(tx *storage.Writer) error { return tx.RebuildDocs(docs) })
}
