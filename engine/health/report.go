package health

import (
	"context"
	"time"

	"mailcote/engine/fault"
	"mailcote/storage"
)

// Place is where a fault happened.
type Place struct {
	Account storage.AccountID
	For     fault.Account     // for the next step
	Mailbox storage.MailboxID // 0 for none
	Task    storage.TaskID    // 0 for none
	Attempt int               // of the task; 0 for the first
}

// Row makes the row that is kept of a fault.
func (p Place) Row(f fault.Fault) storage.Fault {
	return storage.Fault{
		At: time.Now().UTC(), Account: p.Account, Mailbox: p.Mailbox, Task: p.Task, Attempt: max(p.Attempt, 1),
		Class: f.Class, Scope: f.Scope, Phase: f.Phase, Command: f.Command, ServerText: f.ServerText, Detail: f.Detail,
		NextStep: f.NextStep(p.For), Stack: f.Stack, Fingerprint: f.Fingerprint(p.Account, p.Mailbox),
	}
}

// ReportTx keeps a fault for people, in the transaction that acts on it.
func ReportTx(tx *storage.Writer, row storage.Fault) error { return tx.RecordFault(row) }

// Report is ReportTx in its own transaction. It writes even when ctx has ended.
func Report(ctx context.Context, store *storage.Store, row storage.Fault) error {
	return store.Write(context.WithoutCancel(ctx), storage.Interactive, 0, func(tx *storage.Writer) error {
		return ReportTx(tx, row)
	})
}
