// Package class names the kinds of faults. It is pure and below everybody: the
// schema's CHECK of sync_error.class knows the same names, and
// engine/fault/policy says what follows from each.
package class

// Class is what kind of fault something is; it decides what is done about it.
type Class string

// The classes of faults.
const (
	Network  Class = "network"
	Timeout  Class = "timeout"
	Auth     Class = "auth"
	Quota    Class = "quota"
	Parsing  Class = "parsing"
	TLS      Class = "tls"
	Protocol Class = "protocol"
	Mailbox  Class = "mailbox"
	Conflict Class = "conflict"
	Storage  Class = "storage"
	Bug      Class = "bug"
)

// Manual is the class of what a person ordered: a pause, or a retry that is
// remembered. No fault has it.
const Manual Class = "manual"

// Faults gives the classes that a fault can have.
func Faults() []Class {
	return []Class{Network, Timeout, Auth, Quota, Parsing, TLS, Protocol, Mailbox, Conflict, Storage, Bug}
}
