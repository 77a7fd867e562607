package engine

import (
	"context"
	"fmt"
	"io"

	"mailcote/engine/message"
	"mailcote/engine/row"
	"mailcote/storage"
)

// Check verifies a store, also beside its owner; see storage.Store.Check.
func Check(ctx context.Context, s *storage.Store, progress func(done, total int64)) ([]storage.Finding, error) {
	return s.Check(ctx, storage.CheckOptions{Parse: header, Progress: progress})
}

// Salvage says how a damaged store is salvaged; see storage.Salvage.
func Salvage(cause error, progress func(done, total int64)) *storage.Salvage {
	return &storage.Salvage{Parse: header, Progress: progress, Cause: cause}
}

// header reads what a message says of itself, as when it arrived.
func header(r io.Reader) storage.Header { return row.Header(message.Parse(r, message.Limits{})) }

// missingText names what a partial sync lacks.
func missingText(mailboxes, messages int) string {
	switch {
	case messages == 0:
		return fmt.Sprintf("%d mailboxes are not complete", mailboxes)
	case mailboxes == 0:
		return fmt.Sprintf("%d messages are quarantined", messages)
	}
	return fmt.Sprintf("%d mailboxes are not complete, %d messages are quarantined", mailboxes, messages)
}
