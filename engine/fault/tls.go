package fault

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"mailcote/engine/imap"
)

// certificate describes the refused certificate: its names, issuer, dates, and
// its SHA-256 for a comparison.
func certificate(err error) string {
	var verify *tls.CertificateVerificationError
	if !errors.As(err, &verify) || len(verify.UnverifiedCertificates) == 0 {
		return ""
	}
	c := verify.UnverifiedCertificates[0]
	sum := sha256.Sum256(c.Raw)
	return fmt.Sprintf(" (certificate for %.200q, issued by %.100q, valid %s to %s, SHA-256 %x)", CertificateNames(c),
		c.Issuer.CommonName,
		c.NotBefore.UTC().Format(time.DateOnly), c.NotAfter.UTC().Format(time.DateOnly), sum)
}

// CertificateNames returns the first names of a certificate.
func CertificateNames(c *x509.Certificate) string {
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
		errors.As(err, &host) || errors.As(err, &invalid) || errors.Is(err, imap.ErrPlainRefused) ||
		errors.Is(err, imap.ErrPreauth) ||
		errors.Is(err, imap.ErrNoStartTLS) || disagreed(err)
}

// disagreed reports whether a handshake ended because the two sides disagree,
// not because the connection broke.
func disagreed(err error) bool {
	var wire *imap.WireError
	if !errors.As(err, &wire) || wire.Phase != "tls" {
		return false
	}
	for _, line := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, imap.ErrStalled, context.Canceled,
		context.DeadlineExceeded} {
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
