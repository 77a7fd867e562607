package fault

import (
	"errors"
	"strings"

	"mailcote/engine/imap"
	"mailcote/storage/class"
)

// Forbidden returns the server's words if an error, with its phase, says that
// the account lacks the right to read a mailbox (NOPERM, RFC 5530 §3). That
// stays so until somebody changes it, so the mailbox and not the work is
// at fault. A NO without a code may be about anything.
func Forbidden(err error) (words string, ok bool) {
	var status *imap.StatusError
	if !errors.As(err, &status) || status.Type != "NO" || status.Code != "NOPERM" {
		return "", false
	}
	f := Classify(err)
	return f.ServerText, f.Class == class.Mailbox
}

// Nonexistent reports whether an error is the server's word that a mailbox does
// not exist (NONEXISTENT, RFC 5530 §3). Dovecot leaves the code out where a
// mailbox was deleted and has children.
func Nonexistent(err error) bool {
	var status *imap.StatusError
	return errors.As(err, &status) && status.Type == "NO" && (status.Code == "NONEXISTENT" ||
		status.Code == "" && strings.HasPrefix(strings.ToLower(status.Text), "mailbox doesn't exist"))
}
