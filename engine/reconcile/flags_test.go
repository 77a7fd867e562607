package reconcile

import (
	"testing"

	"go.uber.org/goleak"

	"mailcote/engine/mailbox"
	"mailcote/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestFailuresOfGeneration: whose flags end sessions says nothing of the message that has the UID after
// UIDVALIDITY changed.
func TestFailuresOfGeneration(t *testing.T) {
	p := &pass{box: &mailbox.Mailbox{}, row: storage.Mailbox{ID: 1}, Task: Task{Memory: &Memory{
		failures: map[storage.MailboxID]flagFailures{1: {validity: 1000, at: 2, times: MaxFlagFailures,
			skipped: map[storage.UID]bool{2: true}}}}}}
	stored := []storage.UID{1, 2, 3}
	for validity, want := range map[storage.UIDValidity]int{1000: 2, 2000: 3} {
		p.box.Validity = validity
		if set, asked := (flagSync{p}).askable(stored); asked != want || set.Contains(2) != (want == 3) {
			t.Errorf("UIDVALIDITY %d: %d are asked for, %v", validity, asked, set)
		}
	}
}
