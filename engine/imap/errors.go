package imap

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sentinels, for errors.Is on any error of a call.
var (
	// ErrLimit: the server exceeded one of Limits.
	ErrLimit = errors.New("imap: over a limit")
	// ErrSyntax: the server's bytes are not IMAP, or do not answer the command.
	ErrSyntax = errors.New("imap: unreadable answer")
	// ErrStalled: no byte, or too few bytes, within a time limit.
	ErrStalled = errors.New("imap: stalled")
	// ErrPlainRefused: a plain connection to another host without
	// Options.Insecure.
	ErrPlainRefused = errors.New("imap: plain connection to another host refused")
	// ErrLoginDisabled: the server has LOGIN disabled; nothing was sent.
	ErrLoginDisabled = errors.New("imap: server has LOGIN disabled")
	// ErrPreauth: PREAUTH in the greeting of an unprotected connection.
	ErrPreauth = errors.New("imap: PREAUTH on an unprotected connection refused")
	// ErrNoStartTLS: STARTTLS was requested but is not offered.
	ErrNoStartTLS = errors.New("imap: server does not offer STARTTLS")
	// ErrCommand: an argument cannot be sent; nothing was.
	ErrCommand = errors.New("imap: command refused before sending")
)

// maxText is how many octets of a server's text are kept.
const maxText = 1 << 10

// Status is a status response: OK, NO, BAD or BYE. Its strings are escaped and
// at most 1 KiB each, so they may be shown and stored.
type Status struct {
	Tag      string // empty: untagged
	Type     string // "OK", "NO", "BAD", "BYE"
	Code     string // upper case, without brackets; empty if none
	CodeArgs string
	Text     string
}

// StatusError is the server's NO, BAD or BYE to a command.
type StatusError struct {
	Type     string // "NO", "BAD", "BYE"
	Code     string // such as "AUTHENTICATIONFAILED"; empty if none
	CodeArgs string
	Text     string // escaped, at most 1 KiB
	Command  string // the command's name, without arguments
}

func (e *StatusError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "imap: %s: %s", e.Command, e.Type)
	if e.Code != "" {
		b.WriteString(" [" + e.Code)
		if e.CodeArgs != "" {
			b.WriteString(" " + e.CodeArgs)
		}
		b.WriteString("]")
	}
	if e.Text != "" {
		b.WriteString(" " + e.Text)
	}
	return b.String()
}

// WireError means that the session is over. Causes are a broken connection, a
// limit, bytes that are not IMAP, a BYE, an ended context, or an error of a
// FetchHandler.
type WireError struct {
	Op    string // the command's name, or "dial"
	Phase string // connect, tls, greeting, write, response, literal, handler, closed
	Cause error
}

func (e *WireError) Error() string {
	if e.Op == "dial" && e.Phase == "connect" { // who reads it knows that much
		return clause(e.Cause)
	}
	return fmt.Sprintf("imap: %s: %s: %s", e.Op, e.Phase, clause(e.Cause))
}

// Unwrap returns the cause.
func (e *WireError) Unwrap() error { return e.Cause }

// Err returns nil for OK, otherwise a *StatusError of the named command.
func (st Status) Err(command string) error {
	if st.Type == "OK" {
		return nil
	}
	return &StatusError{Type: st.Type, Code: st.Code, CodeArgs: st.CodeArgs, Text: st.Text, Command: command}
}

// escape makes a server's text safe to show: valid UTF-8, no control, bidi or
// other invisible characters, at most maxText octets.
func escape(b []byte) string {
	var out strings.Builder
	for len(b) > 0 && out.Len() < maxText {
		r, n := utf8.DecodeRune(b)
		piece := string(b[:n])
		switch {
		case r == utf8.RuneError && n == 1:
			piece = fmt.Sprintf(`\x%02x`, b[0])
		case !unicode.IsPrint(r):
			piece = fmt.Sprintf(`\u{%x}`, r)
		}
		if out.Len()+len(piece) > maxText {
			break
		}
		out.WriteString(piece)
		b = b[n:]
	}
	return out.String()
}
