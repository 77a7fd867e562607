package plan

import (
	"slices"
	"testing"
	"time"

	"mailcote/storage"
)

// TestRotate: within 24 hours each mailbox is compared whole, whatever the distance of the passes, and passes that
// come often have even shares.
func TestRotate(t *testing.T) {
	start := time.Date(2026, 3, 5, 13, 37, 0, 0, time.UTC)
	for _, every := range []time.Duration{time.Minute, 17 * time.Minute, 5 * time.Hour, 23 * time.Hour} {
		var all []Turn
		total := int64(0)
		for i := range 300 {
			m := storage.Mailbox{ID: storage.MailboxID(i + 1), Total: int64(1 + i*i%701)}
			if i == 7 {
				m.Total = 120_000
			}
			m.Pass.UIDNext, m.FlagsAt = storage.UID(2*m.Total+1), start
			total += m.Total
			all = append(all, Turn{m, true})
		}
		most, passes := int64(0), 0
		for now := start.Add(every); now.Before(start.Add(5 * 24 * time.Hour)); now = now.Add(every) {
			share := int64(0)
			for _, w := range Rotate(now, all, false) {
				m := &all[w.ID-1].Mailbox
				if w.UIDs.Lo != max(m.FlagsUID, 1) {
					t.Fatalf("%v: a gap before UID %d", now, w.UIDs.Lo)
				}
				share += int64(min(w.UIDs.Hi, m.Pass.UIDNext)-w.UIDs.Lo)/2 + 1
				if m.FlagsUID = w.Next; w.Ends() {
					m.FlagsUID, m.FlagsAt = 0, now
				}
			}
			if passes++; passes > 1 {
				most = max(most, share)
			}
			for _, a := range all {
				if age := now.Sub(a.FlagsAt); age > 24*time.Hour+every-time.Minute {
					t.Fatalf("passes every %v: mailbox %d was not compared for %v", every, a.ID, age)
				}
			}
		}
		if every < time.Hour && float64(most) > 20*float64(total)*every.Hours()/Round.Hours()+2*Newest {
			t.Errorf("passes every %v: one compares %d of %d messages", every, most, total)
		}
	}
}

func ids(all []Window) (ids []storage.MailboxID) {
	for _, w := range all {
		ids = append(ids, w.ID)
	}
	slices.Sort(ids)
	return ids
}

// TestRotateOpen: of mailboxes whose flags no MODSEQ shows, a pass compares the active ones, and a person's sync all
// of them as far as that is little.
func TestRotateOpen(t *testing.T) {
	now := time.Date(2026, 3, 5, 13, 37, 0, 0, time.UTC)
	box := func(id storage.MailboxID, role string, total int64, opened time.Duration) Turn {
		m := storage.Mailbox{ID: id, Role: role, Total: total, FlagsAt: now}
		m.Pass.UIDNext, m.Pass.At = storage.UID(total+1), now.Add(-opened)
		return Turn{Mailbox: m}
	}
	all := []Turn{box(1, "", 10, 30*time.Minute), box(2, "", 10, time.Minute), box(3, "inbox", 3000, 9*time.Hour),
		box(4, "", 10, 2*time.Minute), box(5, "", 10, 3*time.Minute), box(6, "", 10, 2*time.Hour),
		{Mailbox: box(7, "", 10, 0).Mailbox, Gated: true}}
	few := Rotate(now, all, false)
	if got := ids(few); !slices.Equal(got, []storage.MailboxID{2, 3, 4, 5}) {
		t.Errorf("a pass compares %v", got)
	}
	if w := few[0]; w.ID != 3 || w.Newest != Newest || w.Ends() {
		t.Errorf("of INBOX: %+v", w)
	}
	asked := Rotate(now, all, true)
	if got := ids(asked); !slices.Equal(got, []storage.MailboxID{1, 2, 3, 4, 5, 6}) {
		t.Errorf("a person's sync compares %v", got)
	}
	for _, w := range asked {
		if !w.Whole || w.UIDs != storage.AllUIDs() {
			t.Errorf("it does not compare all: %+v", w)
		}
	}
	all = append(all, box(8, "", 30_000, time.Second))
	messages := 0
	for _, w := range Rotate(now, all, true) {
		if w.ID == 8 && w.Newest != Newest {
			t.Errorf("of much mail: %+v", w)
		}
		messages += min(w.Newest, int(w.Total))
	}
	if messages > askedMessages {
		t.Errorf("a person's sync compares %d messages", messages)
	}
}
