package engine

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

	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/line"
	"mailcote/engine/secret"
	"mailcote/queue"
	"mailcote/storage"
)

func TestClassify(t *testing.T) {
	no := func(code string) error { return &imap.StatusError{Type: "NO", Code: code, Text: "words", Command: "X"} }
	bad := &imap.StatusError{Type: "BAD", Text: "words", Command: "X"}
	bye := func(code string) error {
		return &imap.WireError{Op: "X", Phase: "response", Cause: &imap.StatusError{Type: "BYE", Code: code, Command: "X"}}
	}
	wire := func(phase string, err error) error { return &imap.WireError{Op: "X", Phase: phase, Cause: err} }
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, test := range []struct {
		name  string
		phase string
		err   error
		class Class
		scope string
	}{
		{"refused", phaseConnect, wire("connect", refused), Network, "connection"},
		{"no such host", phaseConnect, wire("connect", &net.DNSError{Err: "no such host", IsNotFound: true}), Network, "connection"},
		{"reset", phaseFetch, wire("literal", os.NewSyscallError("read", syscall.ECONNRESET)), Network, "connection"},
		{"end", phaseFetch, wire("literal", io.ErrUnexpectedEOF), Network, "connection"},
		{"end in a handler", phaseFetch, wire("handler", fmt.Errorf("read message: %w", io.ErrUnexpectedEOF)), Network, "connection"},
		{"full in a handler", phaseFetch, wire("handler", fmt.Errorf("stage: %w", storage.ErrFull)), Storage, "store"},
		{"stalled in a handler", phaseFetch, wire("handler", fmt.Errorf("read: %w", imap.ErrStalled)), Timeout, "connection"},
		{"not connected in time", phaseConnect, wire("connect", fmt.Errorf("%w: %w", imap.ErrStalled, context.DeadlineExceeded)), Timeout, "connection"},
		{"stalled", phaseFetch, wire("response", imap.ErrStalled), Timeout, "connection"},
		{"sign-in stalled", phaseSignIn, wire("response", imap.ErrStalled), Timeout, "connection"},
		{"sign-in stalled twice", phaseSignIn, fmt.Errorf("%w: %w", line.ErrSilent, wire("response", imap.ErrStalled)), Auth, "account"},
		{"unknown authority", phaseConnect, wire("tls", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), TLS, "account"},
		{"not TLS", phaseConnect, wire("tls", tls.RecordHeaderError{Msg: "x"}), TLS, "account"},
		{"no STARTTLS", phaseConnect, wire("tls", imap.ErrNoStartTLS), TLS, "account"},
		{"plain", phaseConnect, fmt.Errorf("x: %w", imap.ErrPlainRefused), TLS, "account"},
		{"login disabled", phaseSignIn, fmt.Errorf("x: %w", imap.ErrLoginDisabled), TLS, "account"},
		{"preauth", phaseConnect, wire("greeting", imap.ErrPreauth), TLS, "account"},
		{"reset in the handshake", phaseConnect, wire("tls", os.NewSyscallError("read", syscall.ECONNRESET)), Network, "connection"},
		{"alert in the handshake", phaseConnect, wire("tls", &net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")}), TLS, "account"},
		{"old version", phaseConnect, wire("tls", errors.New("tls: server selected unsupported protocol version 301")), TLS, "account"},
		{"end in the handshake", phaseConnect, wire("tls", io.ErrUnexpectedEOF), Network, "connection"},
		{"stalled in the handshake", phaseConnect, wire("tls", imap.ErrStalled), Timeout, "connection"},
		{"read fails in the handshake", phaseConnect, wire("tls", &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}), Network, "connection"},
		{"NO to LOGIN", phaseSignIn, no(""), Auth, "account"},
		{"BAD to LOGIN", phaseSignIn, bad, Auth, "account"},
		{"failed", phaseSignIn, no("AUTHENTICATIONFAILED"), Auth, "account"},
		{"expired", phaseSignIn, no("EXPIRED"), Auth, "account"},
		{"unavailable at sign-in", phaseSignIn, no("UNAVAILABLE"), Network, "account"},
		{"server bug at sign-in", phaseSignIn, no("SERVERBUG"), Network, "account"},
		{"in use", phaseOpen, no("INUSE"), Mailbox, "mailbox"},
		{"limit", phaseFetch, no("LIMIT"), Quota, "account"},
		{"over quota", phaseFetch, no("OVERQUOTA"), Quota, "account"},
		{"privacy", phaseSignIn, no("PRIVACYREQUIRED"), TLS, "account"},
		{"no password", phaseSignIn, fmt.Errorf("%w: %w", line.ErrSecret, secret.ErrNoPassword), Auth, "account"},
		{"password command", phaseSignIn, fmt.Errorf("%w: %w", line.ErrSecret, context.DeadlineExceeded), Auth, "account"},
		{"BYE", phaseDiscover, bye(""), Network, "connection"},
		{"BYE unavailable", phaseConnect, bye("UNAVAILABLE"), Network, "account"},
		{"BYE at sign-in", phaseSignIn, bye(""), Network, "connection"},
		{"NO to EXAMINE", phaseOpen, no(""), Mailbox, "mailbox"},
		{"gone", phaseOpen, no("NONEXISTENT"), Mailbox, "mailbox"},
		{"BAD to EXAMINE", phaseOpen, bad, Protocol, "connection"},
		{"NO to LIST", phaseDiscover, no(""), Protocol, "connection"},
		{"NO to SEARCH", phaseList, no(""), Protocol, "connection"},
		{"NO to FETCH", phaseFetch, no("SERVERBUG"), Parsing, "message"},
		{"BAD to FETCH", phaseFetch, bad, Parsing, "message"},
		{"syntax", phaseFetch, wire("response", fmt.Errorf("%w: x", imap.ErrSyntax)), Protocol, "connection"},
		{"limit of ours", phaseDiscover, wire("response", fmt.Errorf("%w: x", imap.ErrLimit)), Protocol, "connection"},
		{"disagrees", phaseList, fmt.Errorf("x: %w", errDisagrees), Protocol, "connection"},
		{"swapped", phaseFetch, wire("handler", errSwapped), Protocol, "connection"},
		{"a name that cannot be sent", phaseOpen, fmt.Errorf("x: %w", imap.ErrCommand), Mailbox, "mailbox"},
		{"full", phaseStore, fmt.Errorf("x: %w", storage.ErrFull), Storage, "store"},
		{"locked by another program", phaseStore, fmt.Errorf("x: %w", storage.ErrBusy), Storage, "store"},
		{"writing rests", phaseStore, fmt.Errorf("x: %w", storage.ErrPaused), Storage, "store"},
		{"disk fails", phaseStore, fmt.Errorf("x: %w", storage.ErrFailing), Storage, "store"},
		{"no descriptor for a file", phaseSignIn, &os.PathError{Op: "open", Path: "x", Err: syscall.EMFILE}, Storage, "process"},
		{"no descriptor for a dial", phaseConnect, wire("connect", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}), Storage, "process"},
		{"moved", phaseStore, fmt.Errorf("x: %w", storage.ErrMoved), Storage, "store"},
		{"unknown outcome", phaseStore, fmt.Errorf("x: %w", storage.ErrOutcomeUnknown), Storage, "store"},
		{"panic in a write", phaseStore, &storage.PanicError{Value: 1, Stack: []byte("stack")}, Bug, "task"},
		{"panic", phaseFetch, &fault.PanicError{Value: 1, Stack: []byte("stack")}, Bug, "task"},
		{"lease", phaseStore, queue.ErrLeaseLost, Bug, "task"},
		{"anything else", phaseStore, errors.New("x"), Bug, "task"},
	} {
		f := Classify(fmt.Errorf("around: %w", errors.Join(in(test.phase, test.err), nil)))
		if f.Class != test.class || f.Scope != test.scope || f.Phase != test.phase {
			t.Errorf("%s: %s, %s, %s", test.name, f.Class, f.Scope, f.Phase)
		}
		if !errors.Is(f, test.err) || f.NextStep("ada") == "" || f.fingerprint(1, 2) == f.fingerprint(1, 3) {
			t.Errorf("%s: %+v", test.name, f)
		}
		if panicked := f.Stack != ""; panicked != (test.name == "panic" || test.name == "panic in a write") {
			t.Errorf("%s: stack %q", test.name, f.Stack)
		}
	}
	if f := Classify(in(phaseSignIn, imap.ErrStalled)); f.Wait.Floor != line.Resend {
		t.Errorf("an unanswered sign-in waits %v", f.Wait)
	}
	if f := Classify(in(phaseFetch, no("LIMIT"))); f.Wait.Floor != 5*time.Minute {
		t.Errorf("after a limit it waits %v", f.Wait)
	}
	if f := Classify(in(phaseFetch, no("SERVERBUG"))); f.ServerText != "NO [SERVERBUG] words" || f.Command != "X" {
		t.Errorf("%+v", f)
	}
}

// TestCertificateIsShown: a person can see which certificate was refused.
func TestCertificateIsShown(t *testing.T) {
	c := &x509.Certificate{Raw: []byte("raw"), DNSNames: []string{"mail.example.org"}, Issuer: pkix.Name{CommonName: "Example CA"},
		NotBefore: time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2021, 3, 4, 0, 0, 0, 0, time.UTC)}
	f := Classify(&tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{c}, Err: errors.New("expired")})
	for _, want := range []string{`"mail.example.org"`, `"Example CA"`, "2020-01-02 to 2021-03-04", "SHA-256 "} {
		if f.Class != TLS || !strings.Contains(f.Detail, want) {
			t.Errorf("%s lacks %s", f.Detail, want)
		}
	}
}
