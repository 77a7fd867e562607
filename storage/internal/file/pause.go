package file

import (
	"context"
	"errors"
	"time"

	"mailcote/storage/disk"
	"mailcote/storage/internal/schema"
	"mailcote/testkit/failpoint"
)

// Limits are what the file bounds itself by; tests make them small.
type Limits struct {
	Probe    time.Duration // while something is wrong, how often the writer looks whether it is over
	ProbeMax time.Duration // the same, after writes that were refused again and again
	Reopen   time.Duration // the first wait before a file that failed again is reopened; it doubles
	Snapshot time.Duration // how old a snapshot may grow while the log is longer than LogMost
	LogMost  int64         // bytes the log is cut back to
	LogPause int64         // bytes at which bulk writing rests until the log can be emptied
	Space    func(path string) (disk.Space, error)
}

// StandardLimits are those that ship.
func StandardLimits() Limits {
	return Limits{
		Probe: 5 * time.Second, ProbeMax: time.Minute, Reopen: time.Minute, Snapshot: 5 * time.Second,
		LogMost: 64 << 20, LogPause: 224 << 20, Space: disk.Of,
	}
}

const (
	probeBytes  = 256 << 10 // what the probing write takes
	frameHeader = 24        // bytes of the log for each page, besides the page
)

// Pause says why bulk writing rests, if it does. Beside an owner it is judged
// by the room and by the log as they are now.
func (f *File) Pause() (disk.Pause, bool) {
	if f.writer != nil {
		return f.writer.gate.Closed()
	}
	if space, err := f.o.Limits.Space(f.o.Path); err == nil && space.Short() {
		return disk.Pause{Cause: disk.Short, Space: space}, true
	}
	if log := f.logSize(); log >= f.o.Limits.LogPause {
		return disk.Pause{Cause: disk.Log, Log: log}, true
	}
	return disk.Pause{}, false
}

// Opened gives a channel that is closed when bulk writing may go on.
func (f *File) Opened() <-chan struct{} { return f.writer.gate.Opened() }

// look closes the gate before the disk is full. A system that does not tell is
// not asked again for being full.
func (w *writer) look() {
	space, err := w.file.o.Limits.Space(w.file.o.Path)
	if err == nil && space.Short() {
		w.shut(disk.Pause{Cause: disk.Short, Space: space})
	}
}

// full closes the gate after an error that says that the disk is full. Each one
// in a row makes the next probe wait longer: the room may be enough for the
// probe and not for what comes.
func (w *writer) full(err error) {
	if !errors.Is(err, ErrFull) || w.gate.Is(disk.Refused) {
		return
	}
	limits := w.file.o.Limits
	space, _ := limits.Space(w.file.o.Path) //nolint:errcheck // without an answer it is zero: nothing is free
	w.shut(disk.Pause{Cause: disk.Refused, Space: space})
	w.refusals++
	w.probeAt = time.Now().Add(min(limits.Probe<<min(w.refusals-1, 10), limits.ProbeMax))
}

// shut closes the gate and sets the clock that opens it.
func (w *writer) shut(p disk.Pause) {
	if _, closed := w.gate.Closed(); !closed {
		w.probeAt = time.Now().Add(w.file.o.Limits.Probe)
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
	if _, closed := w.gate.Closed(); closed || w.long || len(w.file.owed()) > 0 {
		return w.probeAt
	}
	return time.Time{}
}

// probe looks whether what is wrong is over.
func (w *writer) probe() {
	if due := w.due(); due.IsZero() || time.Now().Before(due) {
		return
	}
	w.probeAt = time.Now().Add(w.file.o.Limits.Probe)
	if w.broken != nil {
		w.again()
		return
	}
	w.shorten()
	if w.broken == nil && (w.gate.Is(disk.Short) || w.gate.Is(disk.Refused)) {
		w.roomAgain()
	}
	if _, closed := w.gate.Closed(); !closed && w.broken == nil {
		w.full(w.pay())
	}
}

// roomAgain opens the gate when there is room: by what the system says, and,
// after a write that was refused, by a write.
func (w *writer) roomAgain() {
	limits := w.file.o.Limits
	space, err := limits.Space(w.file.o.Path)
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
			w.probeAt = time.Now().Add(min(limits.Probe<<min(w.refusals, 10), limits.ProbeMax))
			w.refusals++
			w.gate.Close(disk.Pause{Cause: cause, Space: space, Since: time.Now()})
			return
		}
	}
	w.gate.Open(disk.Short, disk.Refused)
}

// try writes something and takes it away again, with what failed writes have
// left behind.
func (w *writer) try() error {
	for _, fn := range []func(*Tx) error{
		func(tx *Tx) error {
			_, err := tx.Exec(`INSERT OR REPLACE INTO meta (key, value) VALUES ('probe', zeroblob(?))`, probeBytes)
			return err
		},
		func(tx *Tx) error {
			_, err := tx.Exec(`DELETE FROM meta WHERE key = 'probe'`)
			return err
		},
	} {
		if err := w.own(fn); err != nil {
			return err
		}
	}
	return w.pay()
}

// pay does what Later was asked for.
func (w *writer) pay() error {
	owed := w.file.owed()
	if len(owed) == 0 {
		return nil
	}
	if err := w.own(func(tx *Tx) error {
		for _, fn := range owed {
			if err := fn(tx); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	w.file.paid(len(owed))
	return nil
}

// checkpoint copies a long WAL into the file, outside every commit.
func (w *writer) checkpoint() {
	if w.broken != nil {
		return
	}
	ctx, conn := context.Background(), w.stmts.conn
	var busy, pages, copied int
	err := conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(NOOP)").Scan(&busy, &pages, &copied)
	if err != nil {
		w.trouble(err)
		return
	}
	if pages-copied < w.file.o.Pages {
		return
	}
	failpoint.Hit("storage.beforeCheckpoint")
	if pages <= w.patience {
		err = conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &copied)
	} else {
		busy, pages, err = w.empty(false)
		w.patience = restartTimes * w.file.o.Pages
		if busy != 0 { // a reader stays: not every group shall wait for it
			w.patience = pages + w.file.o.Pages
			w.measure(pages)
		}
	}
	failpoint.Hit("storage.afterCheckpoint")
	if err != nil {
		w.trouble(err)
	}
}

// shorten empties a log that readers kept long, and closes or opens the gate by
// its length.
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
		w.patience = restartTimes * w.file.o.Pages
		w.gate.Open(disk.Log)
	default:
		w.measure(frames)
	}
}

// measure notes a log that could not be emptied. It closes the gate when the
// log has grown too long.
func (w *writer) measure(frames int) {
	size := int64(frames) * (schema.PageSize + frameHeader)
	if size <= w.file.o.Limits.LogMost {
		return
	}
	if !w.long {
		w.long = true
		if _, closed := w.gate.Closed(); !closed {
			w.probeAt = time.Now().Add(w.file.o.Limits.Probe)
		}
	}
	if size >= w.file.o.Limits.LogPause {
		w.gate.Close(disk.Pause{Cause: disk.Log, Log: size, Since: time.Now()})
	}
}

// empty copies the log into the file and starts it anew, waiting 200 ms for
// readers. cut: the log's file becomes empty, too. busy: the readers stayed.
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
