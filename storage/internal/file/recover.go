package file

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailcote/storage/internal/schema"
	"mailcote/storage/owner"
)

const (
	reopenMost = 15 * time.Minute
	failingFor = 10 * time.Minute // a file that fails again within it is not trusted at once
)

// trouble acts on the failure of a checkpoint. Nobody waits for that: what is
// committed stays in the log, which is not to grow for ever.
func (w *writer) trouble(err error) {
	w.full(Mark(err))
	if severityOf(err) == unknown {
		_ = w.recover(err) //nolint:errcheck // a file that cannot be reopened says so to the next write
		return
	}
	w.measure(int(w.file.logSize() / (schema.PageSize + frameHeader)))
}

// recover reopens the file after an unknown outcome and says so to the caller.
// A file that fails again soon can only be read from then on; it is reopened by
// the clock.
func (w *writer) recover(cause error) error {
	defer w.file.o.Doubted() // it may have been kept
	w.full(Mark(cause))
	_ = w.file.damage.note(cause) //nolint:errcheck // it is told below
	now := time.Now()
	if now.Sub(w.failedAt) > failingFor {
		w.failures = 0
	}
	w.failedAt = now
	w.failures++
	if w.failures > 1 {
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, w.fail(cause, w.file.onlyRead(context.Background())))
	}
	if err := w.file.reopen(context.Background()); err != nil {
		err = fmt.Errorf("the store could not be reopened: %w", err)
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, w.fail(cause, err))
	}
	return fmt.Errorf("%w: %w", ErrOutcomeUnknown, Mark(cause))
}

// fail makes every write fail until the file is reopened; err, which may be
// nil, says what more went wrong. A file that was moved is never reopened.
func (w *writer) fail(cause, err error) error {
	cause, err = w.file.damage.note(cause), w.file.damage.note(err)
	wait := min(w.file.o.Limits.Reopen<<min(max(w.failures-1, 0), 10), reopenMost)
	if errors.Is(err, ErrFull) || errors.Is(cause, ErrFull) {
		wait = w.file.o.Limits.Probe
	}
	w.reopenAt = time.Now().Add(wait)
	switch {
	case errors.Is(err, owner.ErrMoved):
		w.broken, w.reopenAt = err, time.Time{}
	case errors.Is(cause, owner.ErrMoved):
		w.broken, w.reopenAt = cause, time.Time{}
	case err != nil:
		w.broken = fmt.Errorf("%w: %w; %w", ErrFailing, cause, err)
	default:
		w.broken = fmt.Errorf("%w: %w", ErrFailing, cause)
	}
	return w.broken
}

// again reopens a file that failed more than once.
func (w *writer) again() {
	if err := w.file.reopen(context.Background()); err != nil {
		w.failures++
		_ = w.fail(fmt.Errorf("the store could not be reopened: %w", err),
			nil) //nolint:errcheck // the next write is told
		return
	}
	w.broken, w.failedAt = nil, time.Now()
}
