package fault

import (
	"errors"
	"io"
	"syscall"

	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
)

// hungUpFirst is the next step where no server has spoken yet.
const hungUpFirst = "something answers at {server} and closes the connection: check the host and the port if it " +
	"lasts; the next sync goes on from here"

// hungUp says at which command a server closed the connection, and what to do.
// words is "" if the connection failed otherwise.
func hungUp(err error) (words, step string) {
	var wire *imap.WireError
	if !errors.As(err, &wire) || wire.Phase == "connect" || wire.Phase == "handler" {
		return "", ""
	}
	var bye *imap.StatusError
	var said string
	switch {
	case errors.As(wire.Cause, &bye) && bye.Type == "BYE":
		words, said = "the server closed the connection", ": "+serverText(bye)
	case errors.Is(wire.Cause, io.EOF), errors.Is(wire.Cause, io.ErrUnexpectedEOF):
		words = "the server closed the connection"
	case errors.Is(wire.Cause, syscall.ECONNRESET), errors.Is(wire.Cause, syscall.EPIPE):
		words = "the connection was reset"
	default:
		return "", ""
	}
	switch {
	case wire.Op != "dial" && wire.Op != "wait":
		return words + " at " + wire.Op + said, policy.HungUp
	case wire.Phase == "greeting" && bye == nil:
		return words + " before its greeting", hungUpFirst
	case wire.Phase == "tls":
		return words + " during the TLS handshake" + said, hungUpFirst
	}
	return words + said, policy.HungUp
}
