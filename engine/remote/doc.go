// Package remote is what a person asks of a server beyond a sync: whether the store holds what it has (check
// --remote), and what it gives of one quarantined message (errors raw).
//
// What always holds: mailboxes are examined, and no mail is changed or stored. Pauses, waits and limits hold as
// for a sync, and what is downloaded counts.
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
	// Meter gives its limits.
	Meter(ctx context.Context) (*meter.Meter, error)
	// Lease gives a session for an interactive command, or says what the account waits for. give ends the lease.
	Lease(ctx context.Context) (s *imap.Session, give func(), err error)
	// Judge gives a fault of a command within a mailbox the meaning that it has for the account.
	Judge(ctx context.Context, mailbox storage.MailboxID, f fault.Fault) fault.Fault
	// Failed acts on it. An error is one of noting it.
	Failed(ctx context.Context, f fault.Fault) error
}
