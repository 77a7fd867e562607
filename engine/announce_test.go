package engine

import (
	"testing"

	"mailcote/testkit/script"
)

// TestAnnounced: a first sync that is interrupted knows of the mailboxes it did not come to. A mailbox counts with what
// LIST-STATUS announced until it is opened; from then on SELECT decides.
func TestAnnounced(t *testing.T) {
	s, w := scripted(t, 600, script.Options{}, Options{})
	put(s, "Archive", 70)
	put(s, "Sent", 5)
	w.stopAfter(s, 300)
	const remote = `SELECT group_concat(path || ' ' || remote_total || ' ' || (uidvalidity <> 0), ', ')
		FROM (SELECT * FROM mailbox ORDER BY path)`
	if got := w.text(remote); got != "Archive 70 0, INBOX 600 1, Sent 5 0" {
		t.Errorf("after an interrupted sync: %s", got)
	}
	put(s, "Sent", 2)
	w.complete()
	if got := w.text(remote); got != "Archive 70 1, INBOX 600 1, Sent 7 1" {
		t.Errorf("after a whole one: %s", got)
	}
}
