package file

import "context"

// Write runs fn in a transaction and returns when it is committed, or nothing
// of it is. size is roughly how many bytes fn writes. ctx cancels fn only while
// it waits for its turn. fn may run more than once and sees its own earlier run
// undone.
//
// While the disk is short of room or the log cannot be emptied, bulk writes are
// refused at once. Opened tells when that is over.
//
// Errors: what fn returned, ErrFull, ErrPaused, ErrBusy, ErrOutcomeUnknown,
// ErrFailing, owner.ErrMoved, ErrClosed, ErrReadOnly, or ctx's.
func (f *File) Write(ctx context.Context, lane Lane, size int, fn func(*Tx) error) error {
	return f.enqueue(ctx, &request{ctx: ctx, lane: lane, size: size, fn: fn, done: make(chan error, 1)})
}

// WriteAlone is Write in the bulk lane without neighbours and without a
// savepoint.
func (f *File) WriteAlone(ctx context.Context, fn func(*Tx) error) error {
	return f.enqueue(ctx, &request{ctx: ctx, lane: Bulk, alone: true, fn: fn, done: make(chan error, 1)})
}

// Vacuum writes every page anew, so that nothing is left of what was deleted,
// and empties the log. It takes room for a second copy of the file. ctx cancels
// it only while it waits for its turn.
//
// Errors: those of Write, or ErrLogInUse.
func (f *File) Vacuum(ctx context.Context) error {
	return f.enqueue(ctx, &request{ctx: ctx, alone: true, vacuum: true, done: make(chan error, 1)})
}

func (f *File) enqueue(ctx context.Context, r *request) error {
	w := f.writer
	if w == nil {
		return ErrReadOnly
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !w.put(r) {
		return ErrClosed
	}
	w.nudge()
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		if w.withdraw(r) {
			return ctx.Err()
		}
		return <-r.done // it is in a group: its outcome is the truth
	}
}

// Later has the writer run fn when writing is possible again, until it succeeds
// once. It is for what a failed write could not take away: what is not done
// when the file is closed is lost.
func (f *File) Later(fn func(*Tx) error) {
	f.mu.Lock()
	f.later = append(f.later, fn)
	f.mu.Unlock()
	f.writer.nudge()
}

// owed gives what Later was asked for.
func (f *File) owed() []func(*Tx) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.later[:len(f.later):len(f.later)]
}

// paid forgets the first n of them, which are done.
func (f *File) paid(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.later = f.later[n:]
}

// Waiting is how many writes of a lane wait for their turn.
func (f *File) Waiting(lane Lane) int { return f.writer.waiting(lane) }
