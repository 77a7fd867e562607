package cli

import (
	"errors"
	"fmt"

	"mailcote/engine"
	"mailcote/engine/fault"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/storage/owner"
	"mailcote/storage/query"
)

// Status is an exit status of the contract.
type Status int

// The exit statuses. A status that is not in the table means failure.
const (
	Done      Status = 0
	Failed    Status = 1
	Usage     Status = 2
	Partly    Status = 3
	Nothing   Status = 4
	Temporary Status = 75
	Denied    Status = 77
)

// statusTable says what each status means. Help is written from it.
func statusTable() []struct {
	Status Status
	Means  string
} {
	return []struct {
		Status Status
		Means  string
	}{
		{Done, "done"},
		{Failed, "failed: unreadable or newer store, TLS, a defect, or check found something"},
		{Usage, "usage: bad flag, bad URL, unknown account or message"},
		{Partly, "done in part: items were quarantined or are missing, mailcote errors lists them; or accounts ended " +
			"differently"},
		{Nothing, "nothing found, where search was to say so (--exists, --wait)"},
		{Temporary, "temporary, try again: network, timeout, quota, full disk, store held by another process"},
		{Denied, "the server refused to sign in"},
	}
}

// usageError is a mistake in what was typed.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// ended carries a status whose reason was already said.
type ended struct{ status Status }

func (e *ended) Error() string { return fmt.Sprintf("ended with status %d", int(e.status)) }

// failure is an error with its own status.
type failure struct {
	status Status
	err    error
}

func (e *failure) Error() string { return e.err.Error() }
func (e *failure) Unwrap() error { return e.err }

// statusOf gives an error its exit status.
func statusOf(err error) Status {
	var (
		over   *ended
		own    *failure
		usage  *usageError
		syntax *query.SyntaxError
		held   *owner.HeldError
		soon   *engine.TooSoonError
		which  *storage.AmbiguousError
		f      fault.Fault
	)
	switch {
	case err == nil:
		return Done
	case errors.As(err, &over):
		return over.status
	case errors.As(err, &own):
		return own.status
	case errors.As(err, &usage), errors.As(err, &syntax), errors.As(err, &which), errors.Is(err, engine.ErrURL),
		errors.Is(err, storage.ErrRefused):
		return Usage
	case errors.As(err, &held), errors.As(err, &soon), errors.Is(err, storage.ErrFull),
		errors.Is(err, storage.ErrPaused), errors.Is(err, storage.ErrSnapshotTooOld):
		return Temporary
	case errors.As(err, &f):
		return statusOfClass(f.Class)
	}
	return Failed
}

// missingPasswordError is secret.ErrNoPassword with the URL of its account.
type missingPasswordError struct {
	url string
	err error
}

func (e *missingPasswordError) Error() string { return e.err.Error() }
func (e *missingPasswordError) Unwrap() error { return e.err }

// ofLogin adds the URL of a login to the error of a missing password.
func ofLogin(l engine.Login, err error) error {
	if errors.Is(err, secret.ErrNoPassword) {
		return &missingPasswordError{l.URL(), err}
	}
	return err
}

// statusOfClass gives a fault class its exit status.
func statusOfClass(c class.Class) Status {
	switch c {
	case class.Network, class.Timeout, class.Quota:
		return Temporary
	case class.Auth:
		return Denied
	}
	return Failed
}

// statusOfSummary gives the exit status of one account's pass. The fault that
// ended it decides, also when some mail had arrived: a script that retries at
// 75 must do so.
func statusOfSummary(s engine.Summary) Status {
	switch {
	case s.Result == "complete":
		return Done
	case s.Interrupted || s.Result == "partial" && s.Class == "":
		return Partly
	case errors.Is(s.Err, storage.ErrFull), errors.Is(s.Err, storage.ErrPaused):
		return Temporary
	}
	return statusOfClass(s.Class)
}

// combined gives the common status of several accounts, or Partly when they
// differ.
func combined(all []engine.Summary) Status {
	status := Done
	for i, s := range all {
		one := statusOfSummary(s)
		if i > 0 && one != status {
			return Partly
		}
		status = one
	}
	return status
}
