package fault

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"mailcote/engine/connpool"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/limit"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/storage/disk"
)

// exhaustedWait is how long a process without a free file descriptor waits for
// others to be closed.
const exhaustedWait = 5 * time.Second

// Classify says what kind of fault an error is. No other function does.
func Classify(err error) Fault {
	f := kind(err)
	if f.Do == "" {
		p := policy.PolicyOf(f.Class)
		f.Do, f.Tries = p.Do, p.Tries
	}
	return f
}

func kind(err error) Fault {
	f := Fault{Verdict: policy.Verdict{Class: class.Bug, Scope: "task"}, Detail: err.Error(), Err: err}
	var p *phased
	if errors.As(err, &p) {
		f.Phase = p.phase
	}
	var panicked *storage.PanicError
	var recovered *PanicError
	var status *imap.StatusError
	var wire *imap.WireError
	var held *HeldError
	var passwordless *connpool.PasswordlessError
	if errors.As(err, &wire) {
		f.Command = wire.Op
	}
	var rest *limit.RestError
	switch {
	case errors.As(err, &rest):
		f.Class, f.Scope, f.Wait.Floor, f.Named = class.Quota, "account", time.Until(rest.Resumes), true
		f.Resumes = rest.Resumes
		f.Detail = rest.Error()
	case errors.As(err, &panicked):
		f.Stack = string(panicked.Stack)
	case errors.As(err, &recovered):
		f.Stack = string(recovered.Stack)
	case disk.Exhausted(err): // also inside the error of a dial, a password file or SQLite
		f.Class, f.Scope, f.Wait.Floor = class.Storage, "process", exhaustedWait
	case errors.Is(err, storage.ErrFull), errors.Is(err, storage.ErrPaused), errors.Is(err, storage.ErrBusy),
		errors.Is(err, storage.ErrIO), errors.Is(err, storage.ErrOutcomeUnknown), errors.Is(err, storage.ErrFailing),
		errors.Is(err, storage.ErrSnapshotTooOld), errors.Is(err, storage.ErrMoved), errors.Is(err, storage.ErrCorrupt),
		errors.Is(err, storage.ErrClosed):
		f.Class, f.Scope = class.Storage, "store"
	case errors.Is(err, secret.ErrNoPassword), errors.Is(err, connpool.ErrSecret), errors.Is(err, connpool.ErrSilent),
		errors.Is(err, imap.ErrLoginDisabled):
		f.Class, f.Scope = class.Auth, "account"
	case errors.As(err, &passwordless):
		ofPasswordless(&f, passwordless)
	case errors.As(err, &held):
		if f.Class, f.Scope = held.Class, "account"; f.Class == class.Quota {
			f.Resumes = held.Until
		}
	case isTLS(err):
		f.Class, f.Scope = class.TLS, "account"
		f.Detail += certificate(err)
	case errors.As(err, &status):
		f.Command, f.ServerText = status.Command, serverText(status)
		f.Verdict = policy.Judge(policy.Answer{Type: status.Type, Code: status.Code, CodeArgs: status.CodeArgs,
			Text: status.Text, Command: status.Command, Phase: f.Phase})
		if words, _ := hungUp(err); words != "" {
			f.Detail = words
		}
	case errors.Is(err, imap.ErrStalled), errors.Is(err, os.ErrDeadlineExceeded),
		errors.Is(err, context.DeadlineExceeded):
		f.Class, f.Scope = class.Timeout, "connection"
		if f.Phase == PhaseSignIn {
			f.Wait.Floor = connpool.Resend
		}
	// another connection gets the same: it is tried later, and the account goes
	// on
	case errors.Is(err, ErrTooMany):
		f.Class, f.Scope, f.Do, f.Tries = class.Protocol, "mailbox", policy.Limit, 1
		f.Wait = policy.Wait{Floor: 15 * time.Minute, Factor: 4, Cap: 12 * time.Hour}
		f.Hint = "look at the mailbox with another mail program: if it is right, move part of its mail to another " +
			"mailbox; the other mailboxes go on"
	case errors.Is(err, imap.ErrCommand): // a name from the server that cannot be sent back
		f.Class, f.Scope = class.Mailbox, "mailbox"
	case errors.Is(err, imap.ErrLimit), errors.Is(err, imap.ErrSyntax), errors.Is(err, ErrDisagrees):
		f.Class, f.Scope = class.Protocol, "connection"
	case isNetwork(err):
		f.Class, f.Scope = class.Network, "connection"
		words, step := hungUp(err)
		if words != "" {
			f.Detail, f.Hint = words, step
		}
		if errors.Is(err, connpool.ErrDropped) {
			f.Wait.Floor = connpool.Resend
			if words != "" {
				f.Detail = connpool.ErrDropped.Error() + ": " + words
			}
		}
	}
	return f
}

// ofPasswordless is the fault of a server that takes no password. If it refused
// LOGIN in words that are known, their hint is better.
func ofPasswordless(f *Fault, err *connpool.PasswordlessError) {
	f.Class, f.Scope = class.Auth, "account"
	var refusal *imap.StatusError
	if errors.As(err.Err, &refusal) {
		f.Command, f.ServerText = refusal.Command, serverText(refusal)
		if known := policy.Judge(policy.Answer{Type: refusal.Type, Code: refusal.Code, CodeArgs: refusal.CodeArgs,
			Text: refusal.Text, Command: refusal.Command, Phase: PhaseSignIn}); known.Row != nil {
			f.Hint = known.Hint
		}
	}
	f.Hint = cmp.Or(f.Hint, policy.WithoutPassword(err.Offers, err.Encrypted, err.StartTLS))
}

// Declined reports whether an error, with its phase, is the server's NO or BAD
// to the command, in a live session. Words about a limit, the connection or the
// account answer nothing: a throttled server says nothing about a message. also
// are classes that count as an answer too, such as Mailbox where a mailbox was
// asked for.
func Declined(s *imap.Session, err error, also ...class.Class) bool {
	var answer *imap.StatusError
	if !errors.As(err, &answer) || s.Err() != nil {
		return false
	}
	return slices.Contains(append(also, class.Parsing, class.Protocol, class.Bug), Classify(err).Class)
}

func serverText(s *imap.StatusError) string {
	text := s.Type
	if s.Code != "" {
		text += " [" + strings.TrimSpace(s.Code+" "+s.CodeArgs) + "]"
	}
	return strings.TrimSpace(text + " " + s.Text)
}

func isNetwork(err error) bool {
	var network net.Error
	var wire *imap.WireError
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) ||
		errors.As(err, &wire) && wire.Phase != "handler"
}
