package plan

import (
	"cmp"
	"math"
	"slices"
	"time"

	"mailcote/storage"
)

const (
	// Round is how long a round of comparisons takes, after which all flags of
	// each mailbox were compared. Two rounds fit into a day, so 24 hours contain
	// a whole one, wherever they begin. Eleven does not divide 24, so a sync at
	// the same hour of each day meets every part of a round.
	Round = 11 * time.Hour
	// Newest is how many of a mailbox's newest messages are compared together.
	Newest = 1000

	activeMost     = 4 // mailboxes whose newest messages each pass compares
	activeFor      = time.Hour
	askedMessages  = 20_000 // that a sync which the user asked for compares
	askedMailboxes = 200
)

// Turn is a mailbox in which nothing moved, as STATUS says.
type Turn struct {
	storage.Mailbox
	Gated bool // MODSEQ shows each change of a flag
}

// Window is which stored messages of a mailbox a pass compares with the server.
type Window struct {
	storage.Mailbox
	UIDs   storage.Range
	Newest int         // how many of them; 0: all
	Whole  bool        // it is all messages of the mailbox
	Next   storage.UID // where the mailbox's next window begins; 0: this one is out of turn
}

// Rotate chooses whose flags a pass compares though STATUS shows no change. Of
// the active mailboxes whose flags no MODSEQ shows, that is the newest
// messages. Of all mailboxes it is what is due in the round. A sync that the
// user asked for compares all that no MODSEQ shows, or as much as is allowed.
func Rotate(now time.Time, all []Turn, asked bool) []Window {
	var chosen []Window
	taken := map[storage.MailboxID]bool{}
	take := func(m storage.Mailbox, newest int) {
		w := Window{Mailbox: m, UIDs: storage.AllUIDs(), Newest: newest, Whole: newest == 0 || m.Total <= int64(newest)}
		if taken[m.ID] = w.Whole; w.Whole {
			w.Newest = 0
		}
		chosen = append(chosen, w)
	}
	open := activeFirst(all)
	messages := int64(0)
	for _, m := range open {
		messages += m.Total
	}
	switch {
	case asked && len(open) <= askedMailboxes && messages <= askedMessages:
		for _, m := range open {
			take(m, 0)
		}
	case asked:
		left := int64(askedMessages)
		for _, m := range open[:min(len(open), askedMailboxes)] {
			if left -= min(m.Total, Newest); left < 0 {
				break
			}
			take(m, Newest)
		}
	default:
		for i, m := range open {
			if m.Role == "inbox" || i < activeMost && now.Sub(m.Pass.At) < activeFor {
				take(m, Newest)
			}
		}
	}
	for _, t := range all {
		if w, due := dueOf(now, t.Mailbox); due && !taken[t.ID] {
			chosen = append(chosen, w)
		}
	}
	return chosen
}

// activeFirst returns the mailboxes whose flags no MODSEQ shows: INBOX, then
// those that were opened last, which is when they changed last.
func activeFirst(all []Turn) []storage.Mailbox {
	var open []storage.Mailbox
	for _, t := range all {
		if !t.Gated {
			open = append(open, t.Mailbox)
		}
	}
	slices.SortStableFunc(open, func(a, b storage.Mailbox) int {
		if a, b := a.Role == "inbox", b.Role == "inbox"; a != b {
			return map[bool]int{true: -1, false: 1}[a]
		}
		return cmp.Or(b.Pass.At.Compare(a.Pass.At), b.Priority-a.Priority)
	})
	return open
}

// dueOf returns what is due of a mailbox's round. A round begins at the same
// time for all mailboxes. Each mailbox has as many parts as Newest messages
// make, and its parts are due at even distances, the first at a place of its
// own. So each pass gets its share.
func dueOf(now time.Time, m storage.Mailbox) (w Window, due bool) {
	start := now.Truncate(Round)
	last := m.FlagsAt
	if last.After(now) { // the clock was set back
		last = time.Time{}
	}
	if !last.Before(start) {
		return w, false
	}
	w = Window{Mailbox: m, UIDs: storage.Range{Lo: max(m.FlagsUID, 1), Hi: math.MaxUint32}, Whole: m.FlagsUID <= 1,
		Next: math.MaxUint32}
	if !last.IsZero() && last.Before(start.Add(-Round)) { // nothing ran for a whole round: all of it is due
		return w, true
	}
	parts := float64((m.Total + Newest - 1) / Newest)
	_, place := math.Modf(float64(m.ID) * math.Phi)
	passed := math.Floor(float64(now.Sub(start))/float64(Round)*parts-place) + 1
	if passed < parts {
		w.Next = storage.UID(float64(m.Pass.UIDNext) * passed / parts)
		w.UIDs.Hi, w.Whole = w.Next-1, false
	}
	return w, passed > 0 && w.UIDs.Lo <= w.UIDs.Hi && w.Next > w.UIDs.Lo
}

// Ends reports whether the round of the mailbox is over with the window.
func (w Window) Ends() bool { return w.Whole || w.Next == math.MaxUint32 }
