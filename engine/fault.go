package engine

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/limit"
	"mailcote/engine/line"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/storage/disk"
)

// Class is what kind of fault something is; it decides what is done about it (package fault).
type Class = class.Class

// The classes.
const (
	Network  = class.Network
	Timeout  = class.Timeout
	Auth     = class.Auth
	Quota    = class.Quota
	Parsing  = class.Parsing
	TLS      = class.TLS
	Protocol = class.Protocol
	Mailbox  = class.Mailbox
	Conflict = class.Conflict
	Storage  = class.Storage
	Bug      = class.Bug
)

// Fault is an error with what follows from it.
type Fault struct {
	Class      Class
	Scope      string // connection, account, mailbox, message, store or task
	Phase      string // sign-in, discover, open, list, flags, fetch, store …
	Command    string // without arguments
	ServerText string
	Detail     string
	Stack      string
	Err        error

	Wait        policy.Wait   // the least wait the server or the contract asks for
	Do          policy.Action // what is done about it
	Tries       int           // for policy.Limit: attempts without progress before the task fails
	Then        Class         // not "": what it is after Tries attempts
	Connections int           // how many connections the server said it allows; 0: it said nothing
	Crowded     bool          // the server takes no more connections
	Known       bool          // a provider's row knows the server's words
	Named       bool          // that wait is what the server or its limits say, and no guess
	Resumes     time.Time     // for Quota: when the account goes on; zero: not decided yet
	Words       string        // what may be about one mailbox where it was said (attributed); "": the scope is certain
	Lives       bool          // an answer, in a session that is none the worse for it
	Hint        string        // what a person can do about these words of the server; "": what the class says
}

func (f Fault) Error() string { return fmt.Sprintf("%s: %s", f.Class, f.Detail) }

// Unwrap gives the cause.
func (f Fault) Unwrap() error { return f.Err }

// phased marks where an error happened.
type phased struct {
	phase string
	err   error
}

func (p *phased) Error() string { return p.phase + ": " + p.err.Error() }
func (p *phased) Unwrap() error { return p.err }

func in(phase string, err error) error {
	if err == nil {
		return nil
	}
	return &phased{phase, err}
}

// exhaustedWait is how long a process that has no file descriptor left waits for others to be closed.
const exhaustedWait = 5 * time.Second

// Classify says what kind of fault an error is. It is the only function that does.
func Classify(err error) Fault {
	f := kind(err)
	if f.Do == "" {
		p := policy.PolicyOf(f.Class)
		f.Do, f.Tries = p.Do, p.Tries
	}
	return f
}

func kind(err error) Fault {
	f := Fault{Class: Bug, Scope: "task", Detail: err.Error(), Err: err}
	var p *phased
	if errors.As(err, &p) {
		f.Phase = p.phase
	}
	var panicked *storage.PanicError
	var recovered *fault.PanicError
	var status *imap.StatusError
	var wire *imap.WireError
	var held *heldError
	if errors.As(err, &wire) {
		f.Command = wire.Op
	}
	var rest *limit.RestError
	switch {
	case errors.As(err, &rest):
		f.Class, f.Scope, f.Wait.Floor, f.Named, f.Resumes = Quota, "account", time.Until(rest.Resumes), true, rest.Resumes
		f.Detail = rest.Error()
	case errors.As(err, &panicked):
		f.Stack = string(panicked.Stack)
	case errors.As(err, &recovered):
		f.Stack = string(recovered.Stack)
	case disk.Exhausted(err): // also behind a dial, a password's file, or SQLite
		f.Class, f.Scope, f.Wait.Floor = Storage, "process", exhaustedWait
	case errors.Is(err, storage.ErrFull), errors.Is(err, storage.ErrPaused), errors.Is(err, storage.ErrBusy), errors.Is(err, storage.ErrIO), errors.Is(err, storage.ErrOutcomeUnknown),
		errors.Is(err, storage.ErrFailing), errors.Is(err, storage.ErrSnapshotTooOld), errors.Is(err, storage.ErrMoved), errors.Is(err, storage.ErrCorrupt),
		errors.Is(err, storage.ErrClosed):
		f.Class, f.Scope = Storage, "store"
	case errors.Is(err, secret.ErrNoPassword), errors.Is(err, line.ErrSecret), errors.Is(err, line.ErrSilent):
		f.Class, f.Scope = Auth, "account"
	case errors.As(err, &held):
		if f.Class, f.Scope = held.Class, "account"; f.Class == Quota {
			f.Resumes = held.Until
		}
	case isTLS(err):
		f.Class, f.Scope = TLS, "account"
		f.Detail += certificate(err)
	case errors.As(err, &status):
		f.Command, f.ServerText = status.Command, serverText(status)
		v := policy.Judge(policy.Answer{Type: status.Type, Code: status.Code, CodeArgs: status.CodeArgs, Text: status.Text, Command: status.Command, Phase: f.Phase})
		f.judged(v)
		f.Known = v.Row != nil && v.Row.Text != ""
	case errors.Is(err, imap.ErrStalled), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		f.Class, f.Scope = Timeout, "connection"
		if f.Phase == phaseSignIn {
			f.Wait.Floor = line.Resend
		}
	case errors.Is(err, errNoValidity): // no UID means anything: the mailbox waits, the account goes on
		f.Class, f.Scope, f.Do, f.Tries = Mailbox, "mailbox", policy.Limit, 10
		f.Wait = policy.Wait{Floor: time.Minute, Factor: 4, Cap: time.Hour}
	case errors.Is(err, errTooMany): // another connection hears the same: it is tried later, and the account goes on
		f.Class, f.Scope, f.Do, f.Tries = Protocol, "mailbox", policy.Limit, 1
		f.Wait = policy.Wait{Floor: 15 * time.Minute, Factor: 4, Cap: 12 * time.Hour}
		f.Hint = "look at the mailbox with another mail program: if it is right, move part of its mail to another mailbox; " +
			"the other mailboxes go on"
	case errors.Is(err, imap.ErrCommand): // a name from the server that cannot be sent back
		f.Class, f.Scope = Mailbox, "mailbox"
	case errors.Is(err, imap.ErrLimit), errors.Is(err, imap.ErrSyntax), errors.Is(err, errDisagrees):
		f.Class, f.Scope = Protocol, "connection"
	case isNetwork(err):
		f.Class, f.Scope = Network, "connection"
		if errors.Is(err, line.ErrDropped) {
			f.Wait.Floor = line.Resend
		}
	}
	return f
}

// judged takes over what an answer means.
func (f *Fault) judged(v policy.Verdict) {
	f.Class, f.Scope, f.Wait, f.Named = v.Class, v.Scope, v.Wait, v.Named
	f.Do, f.Tries, f.Then = v.Do, v.Tries, v.Then
	f.Connections, f.Crowded, f.Hint = v.Connections, v.Crowded, v.Hint
	f.Words, f.Lives = v.Words, v.Lives
}

// declined says whether an error, with its phase, is the server's NO or BAD to what was asked, in a session that lives. Words about a
// limit, the line or the account answer nothing: a server that is throttled knows no more of a message than before. also are classes
// that are an answer too: Mailbox, where a mailbox was asked for.
func declined(s *imap.Session, err error, also ...Class) bool {
	var answer *imap.StatusError
	if !errors.As(err, &answer) || s.Err() != nil {
		return false
	}
	return slices.Contains(append(also, Parsing, Protocol, Bug), Classify(err).Class)
}

func serverText(s *imap.StatusError) string {
	text := s.Type
	if s.Code != "" {
		text += " [" + strings.TrimSpace(s.Code+" "+s.CodeArgs) + "]"
	}
	return strings.TrimSpace(text + " " + s.Text)
}

// certificate shows the one that was refused: whose it is, who signed it, until when, and its SHA-256 for a comparison.
func certificate(err error) string {
	var verify *tls.CertificateVerificationError
	if !errors.As(err, &verify) || len(verify.UnverifiedCertificates) == 0 {
		return ""
	}
	c := verify.UnverifiedCertificates[0]
	sum := sha256.Sum256(c.Raw)
	return fmt.Sprintf(" (certificate for %.200q, issued by %.100q, valid %s to %s, SHA-256 %x)", namesOf(c), c.Issuer.CommonName,
		c.NotBefore.UTC().Format(time.DateOnly), c.NotAfter.UTC().Format(time.DateOnly), sum)
}

// namesOf gives the first names a certificate is for.
func namesOf(c *x509.Certificate) string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		names = []string{c.Subject.CommonName}
	}
	return strings.Join(names[:min(len(names), 3)], ", ")
}

func isTLS(err error) bool {
	var (
		verify  *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		alert   tls.AlertError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	return errors.As(err, &verify) || errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &unknown) ||
		errors.As(err, &host) || errors.As(err, &invalid) || errors.Is(err, imap.ErrPlainRefused) || errors.Is(err, imap.ErrPreauth) ||
		errors.Is(err, imap.ErrNoStartTLS) || errors.Is(err, imap.ErrLoginDisabled) || disagreed(err)
}

// disagreed says that a handshake ended because the two sides do not agree, not because the line broke.
func disagreed(err error) bool {
	var wire *imap.WireError
	if !errors.As(err, &wire) || wire.Phase != "tls" {
		return false
	}
	for _, line := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, imap.ErrStalled, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, line) {
			return false
		}
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op == "remote error" // an alert
	}
	var system *os.SyscallError
	return !errors.As(err, &system)
}

func isNetwork(err error) bool {
	var network net.Error
	var wire *imap.WireError
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.As(err, &wire) && wire.Phase != "handler"
}

// NextStep says what a person can do, or what happens by itself.
func (f Fault) NextStep(account string) string {
	switch {
	case errors.Is(f.Err, secret.ErrNoPassword):
		return "give the password: mailcote account add with the URL of account " + account + " and --password-file FILE"
	case errors.Is(f.Err, line.ErrSilent):
		return "the server took the password and did not answer; it is not sent again by itself: later, mailcote sync " + account
	case errors.Is(f.Err, storage.ErrFull):
		return "free disk space; an agent goes on by itself, else mailcote sync " + account
	case errors.Is(f.Err, storage.ErrPaused):
		return "end the program that has been reading the store for so long; an agent goes on by itself, else mailcote sync " + account
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
	return strings.ReplaceAll(words, "{account}", account)
}

// fingerprint is equal for faults that are one problem. Numbers in the server's words are times, sizes and sessions.
func (f Fault) fingerprint(account storage.AccountID, mailbox storage.MailboxID) string {
	words := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, f.ServerText)
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %s %s %s %s", account, mailbox, f.Class, f.Phase, f.Command, words))
	return hex.EncodeToString(sum[:8])
}
