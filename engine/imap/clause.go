package imap

import (
	"errors"
	"net"
	"os"
)

// clause says in one clause what became of a connection: who was dialled from
// where, and by which call, is known where it is read. Of an error that is none
// of the network it is the text.
func clause(err error) string {
	if name := (*net.DNSError)(nil); errors.As(err, &name) {
		switch {
		case name.IsNotFound:
			return "no such host: " + name.Name
		case name.IsTimeout:
			return "no name server answered for " + name.Name
		case name.Name != "":
			return name.Err + " (looking up " + name.Name + ")"
		}
		return name.Err
	}
	op, ok := err.(*net.OpError) //nolint:errorlint // with something said around it, that is to be read too
	if !ok || op.Err == nil {
		return err.Error()
	}
	if call := (*os.SyscallError)(nil); errors.As(op.Err, &call) {
		return call.Err.Error()
	}
	if op.Timeout() {
		return "no answer in time"
	}
	return op.Err.Error()
}
