package plan

import (
	"slices"
	"strings"
	"time"

	"mailcote/storage"
)

// Difference is where a mailbox's listing and the store differ.
type Difference struct {
	New  []storage.UID // listed, not stored: newest first
	Gone []storage.UID // stored, not listed
}

// Compare compares a listing with the stored UIDs. Both are ascending, without
// duplicates.
func Compare(listing, stored []storage.UID) Difference {
	var d Difference
	i, j := 0, 0
	for i < len(listing) || j < len(stored) {
		switch {
		case j == len(stored) || i < len(listing) && listing[i] < stored[j]:
			d.New = append(d.New, listing[i])
			i++
		case i == len(listing) || stored[j] < listing[i]:
			d.Gone = append(d.Gone, stored[j])
			j++
		default:
			i, j = i+1, j+1
		}
	}
	slices.Reverse(d.New)
	return d
}

// Mass reports whether so many messages would go that a second listing must say
// the same.
func Mass(gone, stored int) bool { return gone > 100 && gone*2 > stored }

// Cover returns what may be vouched for once the messages in done are
// committed: each UID, and with gaps also the gap down to its neighbour in the
// listing. Both are ascending. A UID of done that is not listed vouches for
// nothing. Without a listing that agrees with EXISTS a gap may hide messages.
func Cover(listing, done []storage.UID, gaps bool) []storage.Range {
	var ranges []storage.Range
	for _, uid := range done {
		i, listed := slices.BinarySearch(listing, uid)
		if !listed {
			continue
		}
		lo := storage.UID(1)
		switch {
		case !gaps:
			lo = uid
		case i > 0:
			lo = listing[i-1] + 1
		}
		if n := len(ranges); n > 0 && ranges[n-1].Hi+1 == lo {
			ranges[n-1].Hi = uid
		} else {
			ranges = append(ranges, storage.Range{Lo: lo, Hi: uid})
		}
	}
	return ranges
}

// Page splits off the next page of at most size UIDs.
func Page(todo []storage.UID, size int) (page, rest []storage.UID) {
	n := min(max(size, 1), len(todo))
	return todo[:n], todo[n:]
}

// Status is what the server says of a mailbox that is not open. A zero field,
// or a nil one, was not said.
type Status struct {
	Said        bool
	Messages    int64
	Unseen      *int64
	UIDNext     storage.UID
	UIDValidity storage.UIDValidity
	ModSeq      storage.ModSeq
	ObjectID    string // MAILBOXID (RFC 8474)
}

// Moved reports whether a mailbox must be opened. It was never complete, or a
// number changed, or a number was not said that would show a change. Without
// MODSEQ, flags other than \Seen change unseen: see Rotate.
func Moved(m storage.Mailbox, s Status) bool {
	return m.Pass.At.IsZero() || !s.Said || s.UIDValidity != m.UIDValidity || s.UIDNext == 0 ||
		s.UIDNext != m.Pass.UIDNext || s.Messages != counted(m.Pass) || s.ModSeq != m.Pass.ModSeq ||
		s.Unseen == nil || m.Pass.Unseen == nil || *s.Unseen != *m.Pass.Unseen
}

// Hides reports whether a mailbox changed, as STATUS says, and HIGHESTMODSEQ
// does not show it. In a mailbox without CONDSTORE it shows nothing.
func Hides(m storage.Mailbox, s Status) bool {
	if !s.Said || s.ModSeq == 0 || s.ModSeq != m.Pass.ModSeq {
		return false
	}
	return s.UIDNext != m.Pass.UIDNext ||
		s.Messages == counted(m.Pass) && s.Unseen != nil && m.Pass.Unseen != nil && *s.Unseen != *m.Pass.Unseen
}

// trustAgain is how long MODSEQs are not used after they hid a change.
const trustAgain = 30 * 24 * time.Hour

// Trusted reports whether a mailbox's MODSEQs show each change of a flag, as
// far as is known.
func Trusted(m storage.Mailbox, now time.Time) bool {
	return m.HiddenAt.IsZero() || now.Sub(m.HiddenAt) > trustAgain
}

// Empty reports whether a mailbox holds nothing, neither here nor, as STATUS
// says, on the server. Whether mail that is here is gone there takes more than
// a STATUS.
func Empty(m storage.Mailbox, s Status) bool {
	return s.Said && s.Messages == 0 && m.Total == 0 && m.Building == nil
}

// Role finds a mailbox's role (RFC 8621 §2): by its special-use attributes,
// INBOX by name, otherwise by the names that people use.
func Role(attributes []string, path, delimiter string) string {
	for _, attribute := range attributes {
		switch strings.ToLower(attribute) {
		case `\all`:
			return "all"
		case `\archive`:
			return "archive"
		case `\drafts`:
			return "drafts"
		case `\flagged`:
			return "flagged"
		case `\important`:
			return "important"
		case `\junk`:
			return "junk"
		case `\sent`:
			return "sent"
		case `\trash`:
			return "trash"
		}
	}
	if strings.EqualFold(path, "INBOX") {
		return "inbox"
	}
	name := strings.ToLower(path)
	if delimiter != "" && strings.HasPrefix(name, "inbox"+delimiter) {
		name = name[len("inbox"+delimiter):]
	}
	switch name {
	case "sent", "sent items", "sent messages", "sent mail":
		return "sent"
	case "drafts", "draft":
		return "drafts"
	case "trash", "deleted items", "deleted messages":
		return "trash"
	case "junk", "spam", "junk e-mail", "bulk mail":
		return "junk"
	case "archive", "archives":
		return "archive"
	}
	return ""
}

// Priority orders mailboxes: the inbox first, spam and trash last.
func Priority(role string) int {
	switch role {
	case "inbox":
		return 9
	case "flagged", "important":
		return 8
	case "sent":
		return 7
	case "drafts":
		return 6
	case "junk", "trash":
		return 2
	}
	return 5
}
