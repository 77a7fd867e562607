package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/storage/owner"
	"mailcote/ui/cli/answer"
)

// errorView is an error in JSON. A command that fails prints one.
type errorView struct {
	Type    string      `json:"type"`     // always "error"
	Class   string      `json:"class"`    // what kind of error it is, see above
	Message string      `json:"message"`  // what happened
	Hint    answer.Text `json:"hint"`     // what can be done, or what happens by itself
	RetryAt answer.Time `json:"retry_at"` // when the next try is made or allowed; null: nothing is known
	Account answer.Text `json:"account"`  // the account that it is about; null: it is about none, or about more
}

// Classes of errors that are no faults of a sync. Those are in docs/errors.md.
const (
	classUsage       = "usage"       // a mistake in what was typed
	classHeld        = "held"        // another process owns the store
	classInterrupted = "interrupted" // by Ctrl-C or a signal
	classFailed      = "failed"      // anything else
)

// explainedError is an error with what is known about it.
type explainedError struct {
	err   error
	hint  string
	class string
}

func (e *explainedError) Error() string { return joined(e.err.Error(), e.hint) }
func (e *explainedError) Unwrap() error { return e.err }

// usageHint is usagef with what to type instead.
func usageHint(hint, format string, args ...any) error {
	return &explainedError{err: usagef(format, args...), hint: hint}
}

// fail says on stderr why a command failed, and with --json on stdout too. The
// error that it returns has the status and is said.
func (a *app) fail(c *cobra.Command, err error) error {
	if over := (*ended)(nil); errors.As(err, &over) {
		return err
	}
	err = explained(err)
	a.voice.Fail(err)
	if a.json {
		if failed := a.voice.JSON(viewError(c, err)); failed != nil {
			a.voice.Fail(failed)
		}
	}
	return &ended{statusOf(err)}
}

// viewError is an error that ends a command.
func viewError(c *cobra.Command, err error) errorView {
	v := errorView{Type: "error", Class: classOfError(err), Hint: answer.Text(hintOf(c, err))}
	var soon *engine.TooSoonError
	var f fault.Fault
	switch {
	case errors.As(err, &soon):
		v.RetryAt, v.Account = answer.At(soon.At), answer.Text(soon.Account)
	case errors.As(err, &f):
		v.RetryAt = answer.At(f.Resumes)
	}
	v.Message = strings.TrimSpace(err.Error())
	for _, before := range []string{": see ", ": "} { // the hint has a key of its own
		v.Message = strings.TrimSuffix(v.Message, before+string(v.Hint))
	}
	return v
}

// hintOf says what to do about an error. A mistyped command has its help.
func hintOf(c *cobra.Command, err error) string {
	var (
		known   *explainedError
		held    *owner.HeldError
		refused *owner.RefusedError
	)
	switch {
	case errors.As(err, &known) && known.hint != "":
		return known.hint
	case errors.As(err, &held):
		return "wait for it to end, or stop it"
	case errors.As(err, &refused):
		return refused.Advice
	case errors.Is(err, storage.ErrMissing):
		return "add an account or name another file with --store"
	case statusOf(err) == Usage && c != nil:
		return c.CommandPath() + " --help"
	}
	return ""
}

// classOfError is the class of an error that ends a command.
func classOfError(err error) string {
	var (
		known *explainedError
		held  *owner.HeldError
		soon  *engine.TooSoonError
		f     fault.Fault
	)
	switch {
	case errors.As(err, &known) && known.class != "":
		return known.class
	case statusOf(err) == Usage:
		return classUsage
	case errors.As(err, &held):
		return classHeld
	case errors.As(err, &f):
		return string(f.Class)
	case errors.As(err, &soon):
		return string(class.Quota)
	case errors.Is(err, imap.ErrPlainRefused):
		return string(class.TLS)
	case errors.Is(err, secret.ErrNoPassword):
		return string(class.Auth)
	case ofStore(err):
		return string(class.Storage)
	}
	return classFailed
}

// ofStore reports whether an error is about the store's file or its disk.
func ofStore(err error) bool {
	var refused *owner.RefusedError
	if errors.As(err, &refused) {
		return true
	}
	for _, one := range []error{storage.ErrMissing, storage.ErrFull, storage.ErrPaused, storage.ErrCorrupt,
		storage.ErrNothingSaved, storage.ErrSnapshotTooOld, storage.ErrNewer, storage.ErrOlder, storage.ErrNotStore,
		storage.ErrMoved, storage.ErrIndex, storage.ErrFailing, storage.ErrIO, storage.ErrBusy} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// explained adds what to do to an error that does not say it.
func explained(err error) error {
	add := ""
	var missing *missingPasswordError
	switch {
	case errors.Is(err, context.Canceled):
		return &explainedError{err: errors.New("interrupted: nothing more was done"), class: classInterrupted}
	case errors.Is(err, storage.ErrFull):
		add = "make room on the disk and try again"
	case errors.Is(err, storage.ErrCorrupt) && !errors.Is(err, storage.ErrNothingSaved):
		add = "mailcote sync saves what can be read into a new store and fetches the rest again; mailcote check " +
			"--salvage FILE only saves"
	case errors.Is(err, storage.ErrNothingSaved):
		add = "restore a backup, or move the store away and add the accounts again"
	case errors.Is(err, imap.ErrPlainRefused):
		add = "write imaps:// or imap+starttls://, or accept the risk with --insecure"
	case errors.As(err, &missing):
		add = "give it with --password-file FILE, --password-command CMD, --password-stdin or at a terminal: " +
			"mailcote account add " + missing.url
	}
	if add == "" {
		return err
	}
	return &explainedError{err: err, hint: add}
}

// asksJSON reports whether --json is among the words of a command line that
// could not be understood.
func asksJSON(args []string) bool {
	for _, arg := range args {
		switch arg {
		case "--":
			return false
		case "--json", "--json=true", "--json=1":
			return true
		}
	}
	return false
}

// errAbandoned is what Main says of a command that did not end in time.
func errAbandoned() error {
	return &explainedError{err: errors.New("not everything ended in time and the rest was left; what was stored is " +
		"kept, and the next run goes on from there"), class: classInterrupted}
}
