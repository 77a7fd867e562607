package view

import (
	"time"

	"mailcote/engine/plan"
	"mailcote/storage"
	"mailcote/ui/format"
)

// Mailbox is one folder with its counts.
type Mailbox struct {
	ID      int64
	Path    string // decoded, "/" between levels
	Role    string // inbox, sent, …; empty for the rest
	Stored  int64  // messages whose body is here
	Total   int64  // messages the server announced last; 0 before the first listing
	Unread  int64
	Holder  bool      // it only holds other mailboxes
	LeftOut bool      // a person left it out of the sync
	Refused string    // the server's words when it does not let the account read it; "": it does
	AskedAt time.Time // when the server refused it last
	Ended   time.Time // when it was last complete; zero: never
	Excess  int64     // by how much the server always counts more than it lists; < 0: fewer
}

// MailboxOf is a mailbox of the store. Of one that is not synced nothing is
// missing.
func MailboxOf(m storage.Mailbox) Mailbox {
	one := Mailbox{ID: int64(m.ID), Path: m.Path, Role: m.Role, Stored: m.Total, Total: m.RemoteTotal, Unread: m.Unread,
		Holder: !m.Selectable, LeftOut: !m.Synced, Refused: m.Refused, AskedAt: m.RefusedAt, Ended: m.CompletedAt}
	switch {
	case !m.Counts():
		one.Total = m.Total
	case !m.Pass.At.IsZero():
		one.Excess = plan.Excess(m.Pass)
	}
	return one
}

// Note says what is special about a mailbox; "" for most.
func (m Mailbox) Note() string {
	switch {
	case m.LeftOut && m.Ended.IsZero():
		return "not synced"
	case m.LeftOut:
		return "not synced since " + format.Moment(m.Ended)
	case m.Holder:
		return "holds other mailboxes only"
	case m.Refused != "":
		return "not readable: " + m.Refused
	}
	return excess(m.Excess)
}

// excess says by how much a server always counts more than it lists; "" for 0.
func excess(n int64) string {
	switch {
	case n > 0:
		return "the server counts " + format.Count(n) + " more than it lists"
	case n < 0:
		return "the server counts " + format.Count(-n) + " fewer than it lists"
	}
	return ""
}
