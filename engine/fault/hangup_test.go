package fault

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"mailcote/engine/connpool"
	"mailcote/engine/imap"
	"mailcote/storage/class"
)

// TestHungUp: where a server closed the connection is said, and nobody is sent to check a network that works.
func TestHungUp(t *testing.T) {
	wire := func(op, phase string, cause error) error { return &imap.WireError{Op: op, Phase: phase, Cause: cause} }
	bye := &imap.StatusError{Type: "BYE", Text: "going down", Command: "UID FETCH"}
	for _, test := range []struct {
		phase        string
		err          error
		detail, step string // parts
	}{
		{PhaseDiscover, wire("LIST", "response", io.ErrUnexpectedEOF), "the server closed the connection at LIST",
			"was reached"},
		{PhaseOpen, wire("EXAMINE", "write", os.NewSyscallError("write", syscall.EPIPE)),
			"the connection was reset at EXAMINE", "was reached"},
		{PhaseFetch, wire("UID FETCH", "literal", os.NewSyscallError("read", syscall.ECONNRESET)),
			"the connection was reset at UID FETCH", "was reached"},
		{PhaseFetch, wire("UID FETCH", "response", bye),
			"the server closed the connection at UID FETCH: BYE going down", "was reached"},
		{PhaseSignIn, fmt.Errorf("%w: %w", connpool.ErrDropped, wire("LOGIN", "response", io.ErrUnexpectedEOF)),
			"two sign-ins in a row: the server closed the connection at LOGIN", "was reached"},
		{PhaseConnect, wire("dial", "greeting", io.ErrUnexpectedEOF), "closed the connection before its greeting",
			"something answers at mail.example:993"},
		{PhaseConnect, wire("dial", "tls", io.ErrUnexpectedEOF), "closed the connection during the TLS handshake",
			"something answers at mail.example:993"},
		{PhaseConnect, wire("dial", "connect", os.NewSyscallError("connect", syscall.ECONNREFUSED)), "refused",
			"check the network"},
		{PhaseFetch, wire("UID FETCH", "response", os.NewSyscallError("read", syscall.ETIMEDOUT)), "timed out",
			"check the network"},
	} {
		f := Classify(In(test.phase, test.err))
		step := f.NextStep(Account{Name: "ada", Host: "mail.example", Port: 993, Security: imap.TLS})
		if f.Class != class.Network || !strings.Contains(f.Detail, test.detail) ||
			!strings.Contains(step, test.step) {
			t.Errorf("%v: %s, %q, %q", test.err, f.Class, f.Detail, step)
		}
	}
}

// TestNextStepNamesTheAccount: URLs in next steps are the account's own, fit for a shell, and without a password.
func TestNextStepNamesTheAccount(t *testing.T) {
	refused := Classify(In(PhaseSignIn, &imap.StatusError{Type: "NO", Command: "LOGIN"}))
	plain := Classify(In(PhaseSignIn, &connpool.PasswordlessError{StartTLS: true}))
	bare := Classify(In(PhaseSignIn, &connpool.PasswordlessError{}))
	for _, test := range []struct {
		fault Fault
		of    Account
		want  string
		not   string
	}{
		{refused, Account{"work", "ada@example.org", "mail.example", 993, imap.TLS},
			"mailcote account add imaps://ada%40example.org@mail.example:993", ""},
		{refused, Account{"work", "ada $(x)", "::1", 1143, imap.StartTLS},
			"mailcote account add imap+starttls://ada%20%24%28x%29@[::1]:1143", ""},
		{refused, Account{"", "ada", "mail.example", 143, imap.Plain}, "check the password", "mailcote"},
		{plain, Account{"work", "ada", "mail.example", 1143, imap.Plain},
			"imap+starttls://ada@mail.example:1143 (mailcote account set work --security starttls)", ""},
		{plain, Account{"", "ada", "mail.example", 143, imap.Plain},
			"imap+starttls://ada@mail.example:143 (mailcote account add with that URL)", "account set"},
		{bare, Account{"work", "ada", "mail.example", 143, imap.Plain}, "imaps://ada@mail.example:993 ", ""},
	} {
		got := test.fault.NextStep(test.of)
		if !strings.Contains(got, test.want) || test.not != "" && strings.Contains(got, test.not) ||
			strings.Contains(got, "{") {
			t.Errorf("%+v: %q", test.of, got)
		}
	}
}
