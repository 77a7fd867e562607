package fault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailcote/engine/imap"
	"mailcote/storage/class"
)

var (
	// ErrDisagrees means that a server's answers contradict each other.
	ErrDisagrees = errors.New("the server's listing and its message count disagree")
	// ErrRenumbered ends a pass whose UIDs now mean something else.
	ErrRenumbered = fmt.Errorf("UIDVALIDITY moved during the pass: %w", ErrDisagrees)
	// ErrTooMany ends a pass over a mailbox of which the server says more than
	// plan.Caps allow.
	ErrTooMany = errors.New("more than mailcote takes of one mailbox")
	// ErrStuck ends a task that moved nothing.
	ErrStuck = fmt.Errorf("nothing moved for too long and the task was ended: %w", imap.ErrStalled)
	// ErrStopped ends a task at the next command boundary after a stop was
	// asked for. It is no fault: whoever asked knows.
	ErrStopped = errors.New("the work was stopped")
)

// HeldError means that nothing was tried: the account or its host backs off, or
// a person has to act.
type HeldError struct {
	Class class.Class // of the fault that caused it
	Until time.Time   // zero if a person has to act
	Why   string
}

func (e *HeldError) Error() string { return "nothing was tried: " + e.Why }

// Stopped reports whether ctx ended. A dial gives up at its deadline, which is
// a little earlier.
func Stopped(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}
