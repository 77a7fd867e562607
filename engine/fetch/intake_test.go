package fetch

import (
	"testing"

	goimap "github.com/emersion/go-imap/v2"
	"go.uber.org/goleak"

	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/engine/plan"
	"mailcote/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestNewsOfEveryMessage: of the flags that come with a page of mail for other messages only some are kept, those
// of the page all.
func TestNewsOfEveryMessage(t *testing.T) {
	p := New(Process{Caps: plan.Caps{News: 7}}, nil, &Suspects{}).Begin(Job{Mailbox: &mailbox.Mailbox{}},
		storage.Sizes{})
	for uid := range storage.UID(1000) {
		p.listing = append(p.listing, uid+1)
	}
	take := newIntake(t.Context(), p, p.listing[500:510])
	for range 2 {
		for uid := range goimap.UID(1000) {
			if err := take.fetched(&imap.Message{UID: uid + 1, State: imap.State{HasFlags: true}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(take.late) != 7+10 {
		t.Errorf("the flags of %d messages are kept", len(take.late))
	}
}
