package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"mailcote/storage"
)

// RepairOptions say who watches a repair, and which accounts may be asked.
type RepairOptions struct {
	Accounts []storage.AccountID             // whose servers are asked for what is missing
	Checked  func(done, total int64)         // is told how far a check is; may be nil
	Sync     func(context.Context) []Summary // brings the accounts to the server's state
}

// Repaired says what a repair did.
type Repaired struct {
	Found     []storage.Finding // before it
	Left      []storage.Finding // after it
	Summaries []Summary         // of the last time that the servers were asked
}

// repairRounds bounds how often a repair checks and mends. What one round mends
// may uncover what the next one finds.
const repairRounds = 8

// Repair mends the store, then checks it again. Derived rows are made again from
// the mail. What is missing or damaged is downloaded again, by a pass that lists
// every mailbox and compares all flags. No mail is deleted: what the server does
// not have stays as it is. With an error comes what was done until then.
func (e *Engine) Repair(ctx context.Context, o RepairOptions) (done Repaired, err error) {
	//nolint:errcheck // what cannot be indexed is found below
	_ = e.indexer.Drain(ctx) // what is underway is no damage
	if err := e.store.Write(ctx, storage.Interactive, 0, (*storage.Writer).Reopen); err != nil {
		return done, err
	}
	for round := range repairRounds {
		found, err := Check(ctx, e.store, o.Checked)
		if err != nil {
			return done, err
		}
		stuck := round > 0 && sameFindings(found, done.Left)
		if done.Left = found; round == 0 {
			done.Found = found
		}
		if stuck || round > 0 && !slices.ContainsFunc(found, func(f storage.Finding) bool { return f.Mends }) {
			return done, nil
		}
		if err := e.store.Repair(ctx, storage.RepairOptions{Found: found, Parse: header, Synced: round > 0}); err != nil {
			return done, err
		}
		missing := false
		if err := e.store.Read(ctx, func(r *storage.Reader) (err error) {
			missing, err = r.Refetches()
			return err
		}); err != nil {
			return done, err
		}
		if len(o.Accounts) > 0 && (round == 0 || missing) {
			done.Summaries = o.Sync(ctx)
		}
		if err := errors.Join(e.indexer.Drain(ctx), ctx.Err()); err != nil {
			return done, err
		}
	}
	return done, nil
}

func sameFindings(a, b []storage.Finding) bool {
	return slices.EqualFunc(a, b, func(a, b storage.Finding) bool { return a.What == b.What && a.Where == b.Where })
}

// Rebuilding is what Rebuild makes again.
type Rebuilding string

// What can be made again from the mail.
const (
	RebuildViews   Rebuilding = "views"
	RebuildSearch  Rebuilding = "search"
	RebuildThreads Rebuilding = "threads"
)

// Rebuild makes derived rows again from the mail and says of how many messages.
// What it did not end, the next owner of the store ends.
func (e *Engine) Rebuild(ctx context.Context, what Rebuilding,
	progress func(done, total int64)) (total int64, err error) {
	left := func() (n int64, err error) {
		err = e.store.Read(ctx, func(r *storage.Reader) error {
			outdated, unindexed, err := r.ToRebuild()
			n = outdated + unindexed
			return err
		})
		return n, err
	}
	if err := e.indexer.Drain(ctx); err != nil && !errors.Is(err, storage.ErrIndex) {
		return 0, err
	}
	if err := e.store.WriteAlone(ctx, func(w *storage.Writer) error {
		switch what {
		case RebuildSearch:
			return w.RenewIndex()
		case RebuildThreads:
			return w.OutdateThreads()
		default:
			return w.OutdateAll()
		}
	}); err != nil {
		return 0, err
	}
	if total, err = left(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- e.indexer.Drain(ctx) }()
	for tick := time.NewTicker(200 * time.Millisecond); ; {
		select {
		case err := <-ended:
			tick.Stop()
			if err == nil && progress != nil {
				progress(total, total)
			}
			return total, err
		case <-tick.C:
			if n, err := left(); err == nil && progress != nil {
				progress(max(total-n, 0), total)
			}
		}
	}
}
