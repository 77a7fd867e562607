package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"mailcote/storage/disk"
	"mailcote/storage/internal/schema"
)

// limits are what the store bounds itself by; tests make them small.
type limits struct {
	probe    time.Duration // while something is wrong, how often the writer looks whether it is over
	probeMax time.Duration // the same, after writes that were refused again and again
	reopen   time.Duration // the first wait before a store that failed again is reopened; it doubles
	snapshot time.Duration // how old a snapshot may grow while the log is longer than logMost
	logMost  int64         // bytes the log is cut back to
	logPause int64         // bytes at which bulk writing rests until the log can be emptied
	space    func(path string) (disk.Space, error)
}

func standardLimits() limits {
	return limits{probe: 5 * time.Second, probeMax: time.Minute, reopen: time.Minute, snapshot: 5 * time.Second,
		logMost: logMost, logPause: 224 << 20, space: disk.Of}
}

const (
	logMost     = 64 << 20
	reopenMost  = 15 * time.Minute
	failingFor  = 10 * time.Minute // a store that fails again within it is not trusted at once
	probeBytes  = 256 << 10        // what the probing write takes
	frameHeader = 24               // bytes of the log beside each page
)

// Pause says why bulk writing rests, if it does. Beside an owner it is judged by the room and by the log as they are now.
func (s *Store) Pause() (disk.Pause, bool) {
	if s.writer != nil {
		return s.writer.gate.Closed()
	}
	if space, err := s.limits.space(s.path); err == nil && space.Short() {
		return disk.Pause{Cause: disk.Short, Space: space}, true
	}
	if log := s.logSize(); log >= s.limits.logPause {
		return disk.Pause{Cause: disk.Log, Log: log}, true
	}
	return disk.Pause{}, false
}

// Opened gives a channel that is closed when bulk writing may go on.
func (s *Store) Opened() <-chan struct{} { return s.writer.gate.Opened() }

// logSize is how long the log's file is.
func (s *Store) logSize() int64 {
	info, err := os.Stat(s.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// pausedError is what a bulk write is told while the gate is closed.
type pausedError struct{ disk.Pause }

func (e *pausedError) Error() string { return e.String() + "; resumes by itself" }

func (e *pausedError) Is(target error) bool {
	return target == ErrPaused || target == ErrFull && e.Full()
}

// look closes the gate before the disk is full. A system that does not tell is not asked again for being full.
func (w *writer) look() {
	space, err := w.store.limits.space(w.store.path)
	if err == nil && space.Short() {
		w.shut(disk.Pause{Cause: disk.Short, Space: space})
	}
}

// full closes the gate after an error of the disk's being full. Each one in a row makes the next probe wait longer: the room may be
// enough for the probe and not for what comes.
func (w *writer) full(err error) {
	if !errors.Is(err, ErrFull) || w.gate.Is(disk.Refused) {
		return
	}
	space, _ := w.store.limits.space(w.store.path) //nolint:errcheck // without an answer it is a zero, which says that nothing is free
	w.shut(disk.Pause{Cause: disk.Refused, Space: space})
	w.refusals++
	w.probeAt = time.Now().Add(min(w.store.limits.probe<<min(w.refusals-1, 10), w.store.limits.probeMax))
}

// shut closes the gate and sets the clock that opens it.
func (w *writer) shut(p disk.Pause) {
	if _, closed := w.gate.Closed(); !closed {
		w.probeAt = time.Now().Add(w.store.limits.probe)
	}
	p.Since = time.Now()
	w.gate.Close(p)
}

// sleep waits for work, or for the next look at what is wrong.
func (w *writer) sleep() {
	due := w.due()
	if due.IsZero() {
		<-w.wake
		return
	}
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-w.wake:
	case <-timer.C:
	}
}

// due is when the next look is; zero: nothing is wrong.
func (w *writer) due() time.Time {
	if w.broken != nil {
		return w.reopenAt
	}
	if _, closed := w.gate.Closed(); closed || w.long || len(w.store.leftOver()) > 0 {
		return w.probeAt
	}
	return time.Time{}
}

// probe looks whether what is wrong is over.
func (w *writer) probe() {
	if due := w.due(); due.IsZero() || time.Now().Before(due) {
		return
	}
	w.probeAt = time.Now().Add(w.store.limits.probe)
	if w.broken != nil {
		w.again()
		return
	}
	w.shorten()
	if w.broken == nil && (w.gate.Is(disk.Short) || w.gate.Is(disk.Refused)) {
		w.roomAgain()
	}
	if _, closed := w.gate.Closed(); !closed && w.broken == nil {
		w.full(w.clear())
	}
}

// roomAgain opens the gate when there is room: by what the system says, and, after a write that was refused, by a write.
func (w *writer) roomAgain() {
	space, err := w.store.limits.space(w.store.path)
	cause := disk.Short
	if w.gate.Is(disk.Refused) {
		cause = disk.Refused
	}
	if err == nil && space.Free < space.Need() {
		w.gate.Close(disk.Pause{Cause: cause, Space: space, Since: time.Now()})
		return
	}
	if cause == disk.Refused {
		if err := w.try(); err != nil {
			w.probeAt = time.Now().Add(min(w.store.limits.probe<<min(w.refusals, 10), w.store.limits.probeMax))
			w.refusals++
			w.gate.Close(disk.Pause{Cause: cause, Space: space, Since: time.Now()})
			return
		}
	}
	w.gate.Open(disk.Short, disk.Refused)
}

// try writes something and takes it away again, with what failed writes have left behind.
func (w *writer) try() error {
	for _, fn := range []func(*Writer) error{
		func(tx *Writer) error {
			_, err := tx.Exec(`INSERT OR REPLACE INTO meta (key, value) VALUES ('probe', zeroblob(?))`, probeBytes)
			return err
		},
		func(tx *Writer) error {
			_, err := tx.Exec(`DELETE FROM meta WHERE key = 'probe'`)
			return err
		},
	} {
		if err := w.own(fn); err != nil {
			return err
		}
	}
	return w.clear()
}

// own runs a closure of the writer itself.
func (w *writer) own(fn func(*Writer) error) error {
	err := w.once(&request{fn: fn})
	if severityOf(err) == unknown {
		err = w.recover(err)
	}
	return err
}

// clear drops the staged blobs that Unstage could not.
func (w *writer) clear() error {
	left := w.store.leftOver()
	if len(left) == 0 {
		return nil
	}
	if err := w.own(func(tx *Writer) error {
		for _, id := range left {
			if err := tx.dropBlob(id); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	w.store.forgetLeft(len(left))
	return nil
}

// shorten empties a log that readers kept long, and closes or opens the gate by its length.
func (w *writer) shorten() {
	if !w.long {
		return
	}
	busy, frames, err := w.empty(true)
	switch {
	case err != nil:
		w.trouble(err)
	case busy == 0:
		w.long = false
		w.patience = restartTimes * w.store.pages
		w.gate.Open(disk.Log)
	default:
		w.measure(frames)
	}
}

// measure notes a log that could not be emptied. It closes the gate when it has grown too long.
func (w *writer) measure(frames int) {
	size := int64(frames) * (schema.PageSize + frameHeader)
	if size <= w.store.limits.logMost {
		return
	}
	if !w.long {
		w.long = true
		if _, closed := w.gate.Closed(); !closed {
			w.probeAt = time.Now().Add(w.store.limits.probe)
		}
	}
	if size >= w.store.limits.logPause {
		w.gate.Close(disk.Pause{Cause: disk.Log, Log: size, Since: time.Now()})
	}
}

// empty copies the log into the file and starts it anew, waiting 200 ms for readers; cut: its file goes, too. busy: they stayed.
func (w *writer) empty(cut bool) (busy, frames int, err error) {
	ctx, conn := context.Background(), w.stmts.conn
	_, impatient := conn.ExecContext(ctx, "PRAGMA busy_timeout = 200")
	var copied int
	if cut {
		err = conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &copied)
	} else {
		err = conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(RESTART)").Scan(&busy, &frames, &copied)
	}
	_, patient := conn.ExecContext(ctx, "PRAGMA busy_timeout = 5000")
	return busy, frames, errors.Join(err, impatient, patient)
}

// trouble acts on the failure of a checkpoint, which nobody waits for: what is committed stays in the log, which is not to grow for
// ever.
func (w *writer) trouble(err error) {
	w.full(mark(err))
	if severityOf(err) == unknown {
		_ = w.recover(err) //nolint:errcheck // a store that cannot be reopened says so to the next write
		return
	}
	w.measure(int(w.store.logSize() / (schema.PageSize + frameHeader)))
}

// recover reopens the store after an unknown outcome and says so to the caller. A store that fails again soon can only be read
// from then on; it is reopened by the clock.
func (w *writer) recover(cause error) error {
	defer w.store.watches.publish(News{Any: true, Types: allTypes}) // it may have been kept
	w.full(mark(cause))
	_ = w.store.noteDamage(cause) //nolint:errcheck // it is told below
	now := time.Now()
	if now.Sub(w.failedAt) > failingFor {
		w.failures = 0
	}
	w.failedAt = now
	w.failures++
	if w.failures > 1 {
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, w.fail(cause, w.store.onlyRead(context.Background())))
	}
	if err := w.store.reopen(context.Background()); err != nil {
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, w.fail(cause, fmt.Errorf("the store could not be reopened: %w", err)))
	}
	return fmt.Errorf("%w: %w", ErrOutcomeUnknown, mark(cause))
}

// fail makes every write fail until the store is reopened; err, which may be nil, says what more went wrong. Where the store was
// moved, that is never.
func (w *writer) fail(cause, err error) error {
	cause, err = w.store.noteDamage(cause), w.store.noteDamage(err)
	wait := min(w.store.limits.reopen<<min(max(w.failures-1, 0), 10), reopenMost)
	if errors.Is(err, ErrFull) || errors.Is(cause, ErrFull) {
		wait = w.store.limits.probe
	}
	w.reopenAt = time.Now().Add(wait)
	switch {
	case errors.Is(err, ErrMoved):
		w.broken, w.reopenAt = err, time.Time{}
	case errors.Is(cause, ErrMoved):
		w.broken, w.reopenAt = cause, time.Time{}
	case err != nil:
		w.broken = fmt.Errorf("%w: %w; %w", ErrFailing, cause, err)
	default:
		w.broken = fmt.Errorf("%w: %w", ErrFailing, cause)
	}
	return w.broken
}

// again reopens a store that failed more than once.
func (w *writer) again() {
	if err := w.store.reopen(context.Background()); err != nil {
		w.failures++
		_ = w.fail(fmt.Errorf("the store could not be reopened: %w", err), nil) //nolint:errcheck // the next write is told
		return
	}
	w.broken, w.failedAt = nil, time.Now()
}
