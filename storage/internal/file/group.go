package file

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"mailcote/testkit/failpoint"
)

// group runs requests in one transaction until 20 ms or 4 MB are full or nobody
// waits; then one COMMIT, then the answers. Each but the first runs in a
// savepoint. The first has no neighbours to spare yet: when it fails, the whole
// transaction is undone. A savepoint has its price: SQLite copies aside every
// page that is changed in it, and walks these copies after each statement that
// can fail half-way. That made large batches quadratic.
//
// Only the writer's own context reaches the database: a statement cancelled by
// a caller would make SQLite roll back the whole transaction, neighbours
// included.
func (w *writer) group(first *request) {
	ctx := context.Background()
	tx, err := w.stmts.conn.BeginTx(ctx, nil)
	if err != nil {
		w.refuse([]*request{first}, err)
		return
	}
	var (
		members []*request // their closures succeeded
		notes   []any      // theirs
		changed bool
		size    int
		closes  = time.Now().Add(w.groupTime)
	)
	for r := first; r != nil; r, _ = w.next() {
		if r.alone {
			w.push(r)
			break
		}
		if err := r.ctx.Err(); err != nil {
			r.done <- err
			continue
		}
		view, rows := newTx(tx, w.stmts), w.rowsChanged()
		var own, trouble error
		if r == first {
			own, trouble = sorted(run(view, r.fn))
		} else if trouble = stillOpen(ctx, tx); trouble == nil {
			own, trouble = w.member(ctx, view, r)
		}
		if trouble != nil {
			_ = tx.Rollback() //nolint:errcheck // the transaction is given up; trouble says why
			w.settle(append(members, r), trouble)
			return
		}
		if own != nil && r == first {
			_ = tx.Rollback() //nolint:errcheck // as above
			r.done <- own
			return
		}
		if own != nil {
			r.done <- own
		} else {
			members, notes = append(members, r), append(notes, view.Note)
			changed = w.changedSince(rows) || changed
		}
		if size += r.size; size >= groupSize || time.Now().After(closes) {
			break
		}
	}
	failpoint.Hit("storage.beforeGroupCommit")
	if err := tx.Commit(); err != nil {
		_ = tx.Rollback() //nolint:errcheck // as above
		w.settle(members, err)
		return
	}
	failpoint.Hit("storage.afterGroupCommit")
	if changed {
		w.file.o.Committed(notes)
	}
	for _, r := range members {
		w.outcome(r.lane, nil)
		r.done <- nil
	}
}

// member runs one closure in a savepoint. own is its own failure, undone;
// trouble is the whole transaction's.
func (w *writer) member(ctx context.Context, view *Tx, r *request) (own, trouble error) {
	if _, err := view.tx.ExecContext(ctx, "SAVEPOINT member"); err != nil {
		return nil, err
	}
	if own, trouble = sorted(run(view, r.fn)); trouble != nil {
		return nil, trouble
	}
	if own != nil {
		if _, err := view.tx.ExecContext(ctx, "ROLLBACK TO member"); err != nil {
			return nil, errors.Join(err, own)
		}
	}
	if _, err := view.tx.ExecContext(ctx, "RELEASE member"); err != nil {
		return nil, err
	}
	return own, nil
}

// stillOpen reports an error when a closure lost the transaction and did not say
// so. A SAVEPOINT would then begin another one.
func stillOpen(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, "BEGIN"); err != nil {
		return nil //nolint:nilerr // there is one already
	}
	_, err := tx.ExecContext(ctx, "ROLLBACK")
	return errors.Join(errLost, err)
}

// sorted tells a closure's own failure from the whole transaction's.
func sorted(err error) (own, trouble error) {
	if err != nil && severityOf(err) != harmless {
		return nil, err
	}
	return err, nil
}

// settle ends a group whose transaction was given up. After a void one each
// closure runs again alone, so that one batch costs no neighbour its page.
// After an unknown one nothing is replayed.
func (w *writer) settle(members []*request, trouble error) {
	if severityOf(trouble) == unknown {
		w.refuse(members, trouble)
		return
	}
	for i, r := range members {
		if w.broken != nil { // since the one before: of these nothing was written
			for _, r := range members[i:] {
				r.done <- Explain("write", w.broken)
			}
			return
		}
		w.alone(r)
	}
}

// refuse answers requests whose transaction could not be begun or whose outcome
// is not known.
func (w *writer) refuse(members []*request, trouble error) {
	if severityOf(trouble) == unknown {
		trouble = w.recover(trouble)
	}
	w.full(Mark(trouble))
	for _, r := range members {
		r.done <- Explain("write", trouble)
	}
}
