package fault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailcote/engine/connpool"
	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/class"
)

func TestClassify(t *testing.T) {
	no := func(code string) error { return &imap.StatusError{Type: "NO", Code: code, Text: "words", Command: "X"} }
	bad := &imap.StatusError{Type: "BAD", Text: "words", Command: "X"}
	bye := func(code string) error {
		return &imap.WireError{Op: "X", Phase: "response", Cause: &imap.StatusError{Type: "BYE", Code: code,
			Command: "X"}}
	}
	wire := func(phase string, err error) error { return &imap.WireError{Op: "X", Phase: phase, Cause: err} }
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, test := range []struct {
		name  string
		phase string
		err   error
		class class.Class
		scope string
	}{
		{"refused", PhaseConnect, wire("connect", refused), class.Network, "connection"},
		{"no such host", PhaseConnect, wire("connect", &net.DNSError{Err: "no such host", IsNotFound: true}),
			class.Network, "connection"},
		{"reset", PhaseFetch, wire("literal", os.NewSyscallError("read", syscall.ECONNRESET)), class.Network,
			"connection"},
		{"end", PhaseFetch, wire("literal", io.ErrUnexpectedEOF), class.Network, "connection"},
		{"end in a handler", PhaseFetch, wire("handler", fmt.Errorf("read message: %w", io.ErrUnexpectedEOF)),
			class.Network, "connection"},
		{"full in a handler", PhaseFetch, wire("handler", fmt.Errorf("stage: %w", storage.ErrFull)), class.Storage,
			"store"},
		{"stalled in a handler", PhaseFetch, wire("handler", fmt.Errorf("read: %w", imap.ErrStalled)), class.Timeout,
			"connection"},
		{"not connected in time", PhaseConnect, wire("connect",
			fmt.Errorf("%w: %w", imap.ErrStalled, context.DeadlineExceeded)), class.Timeout, "connection"},
		{"stalled", PhaseFetch, wire("response", imap.ErrStalled), class.Timeout, "connection"},
		{"sign-in stalled", PhaseSignIn, wire("response", imap.ErrStalled), class.Timeout, "connection"},
		{"sign-in stalled twice", PhaseSignIn, fmt.Errorf("%w: %w", connpool.ErrSilent,
			wire("response", imap.ErrStalled)), class.Auth, "account"},
		{"unknown authority", PhaseConnect, wire("tls",
			&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), class.TLS, "account"},
		{"not TLS", PhaseConnect, wire("tls", tls.RecordHeaderError{Msg: "x"}), class.TLS, "account"},
		{"no STARTTLS", PhaseConnect, wire("tls", imap.ErrNoStartTLS), class.TLS, "account"},
		{"plain", PhaseConnect, fmt.Errorf("x: %w", imap.ErrPlainRefused), class.TLS, "account"},
		{"login disabled", PhaseSignIn, fmt.Errorf("x: %w", imap.ErrLoginDisabled), class.Auth, "account"},
		{"no password taken", PhaseSignIn, &connpool.PasswordlessError{Offers: []string{"NTLM"}}, class.Auth,
			"account"},
		{"no password taken after TLS", PhaseSignIn, &connpool.PasswordlessError{Encrypted: true, Err: bad}, class.Auth,
			"account"},
		{"preauth", PhaseConnect, wire("greeting", imap.ErrPreauth), class.TLS, "account"},
		{"reset in the handshake", PhaseConnect, wire("tls", os.NewSyscallError("read", syscall.ECONNRESET)),
			class.Network, "connection"},
		{"alert in the handshake", PhaseConnect, wire("tls",
			&net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")}), class.TLS, "account"},
		{"old version", PhaseConnect, wire("tls",
			errors.New("tls: server selected unsupported protocol version 301")), class.TLS, "account"},
		{"end in the handshake", PhaseConnect, wire("tls", io.ErrUnexpectedEOF), class.Network, "connection"},
		{"stalled in the handshake", PhaseConnect, wire("tls", imap.ErrStalled), class.Timeout, "connection"},
		{"read fails in the handshake", PhaseConnect, wire("tls",
			&net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}), class.Network,
			"connection"},
		{"NO to LOGIN", PhaseSignIn, no(""), class.Auth, "account"},
		{"BAD to LOGIN", PhaseSignIn, bad, class.Auth, "account"},
		{"failed", PhaseSignIn, no("AUTHENTICATIONFAILED"), class.Auth, "account"},
		{"expired", PhaseSignIn, no("EXPIRED"), class.Auth, "account"},
		{"unavailable at sign-in", PhaseSignIn, no("UNAVAILABLE"), class.Network, "account"},
		{"server bug at sign-in", PhaseSignIn, no("SERVERBUG"), class.Network, "account"},
		{"in use", PhaseOpen, no("INUSE"), class.Mailbox, "mailbox"},
		{"limit", PhaseFetch, no("LIMIT"), class.Quota, "account"},
		{"over quota", PhaseFetch, no("OVERQUOTA"), class.Quota, "account"},
		{"privacy", PhaseSignIn, no("PRIVACYREQUIRED"), class.TLS, "account"},
		{"no password", PhaseSignIn, fmt.Errorf("%w: %w", connpool.ErrSecret, secret.ErrNoPassword), class.Auth,
			"account"},
		{"password command", PhaseSignIn, fmt.Errorf("%w: %w", connpool.ErrSecret, context.DeadlineExceeded),
			class.Auth, "account"},
		{"BYE", PhaseDiscover, bye(""), class.Network, "connection"},
		{"BYE unavailable", PhaseConnect, bye("UNAVAILABLE"), class.Network, "account"},
		{"BYE at sign-in", PhaseSignIn, bye(""), class.Network, "connection"},
		{"NO to EXAMINE", PhaseOpen, no(""), class.Mailbox, "mailbox"},
		{"gone", PhaseOpen, no("NONEXISTENT"), class.Mailbox, "mailbox"},
		{"BAD to EXAMINE", PhaseOpen, bad, class.Protocol, "connection"},
		{"NO to LIST", PhaseDiscover, no(""), class.Protocol, "connection"},
		{"NO to SEARCH", PhaseList, no(""), class.Protocol, "connection"},
		{"NO to FETCH", PhaseFetch, no("SERVERBUG"), class.Parsing, "message"},
		{"BAD to FETCH", PhaseFetch, bad, class.Parsing, "message"},
		{"syntax", PhaseFetch, wire("response", fmt.Errorf("%w: x", imap.ErrSyntax)), class.Protocol, "connection"},
		{"limit of ours", PhaseDiscover, wire("response", fmt.Errorf("%w: x", imap.ErrLimit)), class.Protocol,
			"connection"},
		{"disagrees", PhaseList, fmt.Errorf("x: %w", ErrDisagrees), class.Protocol, "connection"},
		{"swapped", PhaseFetch, wire("handler", ErrRenumbered), class.Protocol, "connection"},
		{"a name that cannot be sent", PhaseOpen, fmt.Errorf("x: %w", imap.ErrCommand), class.Mailbox, "mailbox"},
		{"full", PhaseStore, fmt.Errorf("x: %w", storage.ErrFull), class.Storage, "store"},
		{"locked by another program", PhaseStore, fmt.Errorf("x: %w", storage.ErrBusy), class.Storage, "store"},
		{"writing rests", PhaseStore, fmt.Errorf("x: %w", storage.ErrPaused), class.Storage, "store"},
		{"disk fails", PhaseStore, fmt.Errorf("x: %w", storage.ErrFailing), class.Storage, "store"},
		{"no descriptor for a file", PhaseSignIn, &os.PathError{Op: "open", Path: "x", Err: syscall.EMFILE},
			class.Storage, "process"},
		{"no descriptor for a dial", PhaseConnect, wire("connect",
			&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}), class.Storage,
			"process"},
		{"moved", PhaseStore, fmt.Errorf("x: %w", storage.ErrMoved), class.Storage, "store"},
		{"unknown outcome", PhaseStore, fmt.Errorf("x: %w", storage.ErrOutcomeUnknown), class.Storage, "store"},
		{"panic in a write", PhaseStore, &storage.PanicError{Value: 1, Stack: []byte("stack")}, class.Bug, "task"},
		{"panic", PhaseFetch, &PanicError{Value: 1, Stack: []byte("stack")}, class.Bug, "task"},
		{"lease", PhaseStore, queue.ErrLeaseLost, class.Bug, "task"},
		{"anything else", PhaseStore, errors.New("x"), class.Bug, "task"},
	} {
		f := Classify(fmt.Errorf("around: %w", errors.Join(In(test.phase, test.err), nil)))
		if f.Class != test.class || f.Scope != test.scope || f.Phase != test.phase {
			t.Errorf("%s: %s, %s, %s", test.name, f.Class, f.Scope, f.Phase)
		}
		if !errors.Is(f, test.err) || f.NextStep(Account{Name: "ada"}) == "" ||
			f.Fingerprint(1, 2) == f.Fingerprint(1, 3) {
			t.Errorf("%s: %+v", test.name, f)
		}
		if panicked := f.Stack != ""; panicked != (test.name == "panic" || test.name == "panic in a write") {
			t.Errorf("%s: stack %q", test.name, f.Stack)
		}
	}
	if f := Classify(In(PhaseSignIn, imap.ErrStalled)); f.Wait.Floor != connpool.Resend {
		t.Errorf("an unanswered sign-in waits %v", f.Wait)
	}
	if f := Classify(In(PhaseFetch, no("LIMIT"))); f.Wait.Floor != 5*time.Minute {
		t.Errorf("after a limit it waits %v", f.Wait)
	}
	if f := Classify(In(PhaseFetch, no("SERVERBUG"))); f.ServerText != "NO [SERVERBUG] words" || f.Command != "X" {
		t.Errorf("%+v", f)
	}
}

// TestCertificateIsShown: a person can see which certificate was refused.
func TestCertificateIsShown(t *testing.T) {
	c := &x509.Certificate{Raw: []byte("raw"), DNSNames: []string{"mail.example.org"},
		Issuer:    pkix.Name{CommonName: "Example CA"},
		NotBefore: time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2021, 3, 4, 0, 0, 0, 0, time.UTC)}
	f := Classify(&tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{c},
		Err: errors.New("expired")})
	for _, want := range []string{`"mail.example.org"`, `"Example CA"`, "2020-01-02 to 2021-03-04", "SHA-256 "} {
		if f.Class != class.TLS || !strings.Contains(f.Detail, want) {
			t.Errorf("%s lacks %s", f.Detail, want)
		}
	}
}
