package fault

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailcote/engine/connpool"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/storage/disk"
)

// Fault is an error with what follows from it.
type Fault struct {
	policy.Verdict // its class and scope, and what is done about it

	Phase      string // sign-in, discover, open, list, flags, fetch, store …
	Command    string // without arguments
	ServerText string
	Detail     string
	Stack      string
	Err        error
	Resumes    time.Time // for Quota: when the account goes on; zero if undecided
}

func (f Fault) Error() string { return fmt.Sprintf("%s: %s", f.Class, f.Detail) }

// Unwrap returns the cause.
func (f Fault) Unwrap() error { return f.Err }

// Refused reports whether the server refused the password itself. A server that
// takes none, or that did not understand, said nothing about it.
func (f Fault) Refused() bool {
	var answer *imap.StatusError
	var passwordless *connpool.PasswordlessError
	return f.Class == class.Auth && f.Phase == PhaseSignIn && errors.As(f.Err, &answer) &&
		(answer.Type == "NO" || f.Row != nil) && !errors.As(f.Err, &passwordless)
}

// NextStep says what a person can do, or what happens by itself.
func (f Fault) NextStep(account Account) string {
	var unapproved *secret.UnapprovedError
	switch {
	case errors.As(f.Err, &unapproved):
		return "if you want that, approve it: mailcote account set " + account.Name + " " + unapproved.Flag()
	case errors.Is(f.Err, secret.ErrNoPassword):
		return account.fill("give the password: mailcote account add {url} --password-file FILE")
	case errors.Is(f.Err, connpool.ErrSecret):
		return account.fill("nothing was sent: correct what the password is read from, then mailcote sync {account}")
	case errors.Is(f.Err, connpool.ErrSilent):
		return "the server took the password and did not answer; it is not sent again by itself: later, mailcote " +
			"sync " + account.Name
	case errors.Is(f.Err, storage.ErrFull):
		return "free disk space; an agent goes on by itself, else mailcote sync " + account.Name
	case errors.Is(f.Err, storage.ErrPaused):
		return "end the program that has been reading the store for so long; an agent goes on by itself, else " +
			"mailcote sync " + account.Name
	case disk.Exhausted(f.Err):
		return "it is tried again by itself; allow more open files (ulimit -n) if it lasts"
	case errors.Is(f.Err, storage.ErrCorrupt):
		return "mailcote sync saves what can be read into a new store and fetches the rest again"
	case errors.Is(f.Err, storage.ErrMoved):
		return "put the store back where it was, then start mailcote again"
	}
	words := f.Hint
	if words == "" {
		words = policy.PolicyOf(f.Class).Shows
	}
	if !f.Resumes.IsZero() {
		words += "; resumes " + f.Resumes.Local().Format("15:04")
	}
	return account.fill(words)
}

// Fingerprint is equal for faults that are one problem. It leaves out the
// digits of the server's words, which are times, sizes and sessions.
func (f Fault) Fingerprint(account storage.AccountID, mailbox storage.MailboxID) string {
	words := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, f.ServerText)
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %s %s %s %s", account, mailbox, f.Class, f.Phase, f.Command, words))
	return hex.EncodeToString(sum[:8])
}
