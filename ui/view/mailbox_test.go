package view_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"mailcote/engine"
	"mailcote/storage"
	"mailcote/testkit/script"
	"mailcote/ui/view"
)

// TestMailboxNotes: an account is complete without mailboxes that are not readable or left out, and where the server
// counts more than it lists; what is special about each is said.
func TestMailboxNotes(t *testing.T) {
	b := newBed(t)
	raw := []byte("Subject: one\r\n\r\nText.\r\n")
	b.server.Change(func(m *script.Model) {
		for _, box := range []string{"Closed", "Old", "Odd"} {
			m.Box(box).Add(raw)
			m.Box(box).Add(raw)
		}
	})
	b.sync()
	b.server.Change(func(m *script.Model) {
		for _, box := range []string{"Closed", "Old", "Odd"} {
			m.Box(box).Add(raw)
		}
	})
	var boxes []storage.Mailbox
	if err := b.store.Read(t.Context(), func(r *storage.Reader) (err error) {
		boxes, err = r.Mailboxes(b.id)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	old := slices.IndexFunc(boxes, func(m storage.Mailbox) bool { return m.Path == "Old" })
	if err := b.engine.SetSynced(t.Context(), b.id, boxes[old].ID, false); err != nil {
		t.Fatal(err)
	}
	b.server.Misbehave(script.Faults{
		On: func(c script.Command) script.Action {
			if c.Name == "EXAMINE" && strings.Contains(c.Args, `"Closed"`) {
				return "NO [NOPERM] not for you"
			}
			return script.Answer
		},
		Exists: func(_ int, box string, n int) int {
			if box == "Odd" {
				return n + 2
			}
			return n
		},
	})
	sum := b.engine.Sync(t.Context(), []storage.AccountID{b.id}, engine.SyncOptions{})[0]
	a := b.standing(view.Around{Owned: true, Interval: time.Minute})
	want := "up to date: the server counts 2 more than it lists"
	if sum.Result != engine.Complete || !a.Standing.UpToDate() || a.Standing.String() != want || a.NextStep != "" {
		t.Errorf("%s, %q, %+v", a.Standing, a.NextStep, sum)
	}
	if a.Stored != 10 || a.Remote != 10 { // 3, 2, 2 and 3
		t.Errorf("%d of %d messages", a.Stored, a.Remote)
	}
	notes := map[string]string{"INBOX": "", "Closed": "not readable: NO [NOPERM] not for you",
		"Old": "not synced since ", "Odd": "the server counts 2 more than it lists"}
	for _, m := range a.Mailboxes {
		if note := m.Note(); !strings.HasPrefix(note, notes[m.Path]) || note != "" && notes[m.Path] == "" {
			t.Errorf("%s: %q", m.Path, note)
		}
	}
}
