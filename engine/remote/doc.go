// Package remote asks a server what lies beyond a sync: whether the store has
// what the server has (check --remote), and what it delivers of one quarantined
// message (errors raw).
//
// What always holds: mailboxes are examined, and no mail is changed or stored.
// Pauses, waits and limits hold as for a sync, and what is downloaded counts.
package remote

import (
	"context"

	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/meter"
	"mailcote/storage"
)

// Account is the account whose server is asked.
type Account interface {
	Name() string
	// Meter returns its limits.
	Meter(ctx context.Context) (*meter.Meter, error)
	// Lease leases a session for an interactive command, or fails with what the
	// account waits for. release ends the lease.
	Lease(ctx context.Context) (s *imap.Session, release func(), err error)
	// Judge returns a fault of a command within a mailbox with the meaning that
	// it has for the account.
	Judge(ctx context.Context, mailbox storage.MailboxID, f fault.Fault) fault.Fault
	// Failed acts on a fault. Its error is that of noting it.
	Failed(ctx context.Context, f fault.Fault) error
}
