package plan

import (
	"slices"
	"strings"

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

// Moved reports whether a mailbox must be opened. It was never complete, or
// something changed, or nothing shows whether flags changed.
func Moved(m storage.Mailbox, s Status) bool {
	return m.Pass.At.IsZero() || !s.Said || s.UIDValidity != m.UIDValidity || s.UIDNext != m.Pass.UIDNext ||
		s.Messages != counted(m.Pass) || s.ModSeq == 0 || s.ModSeq != m.Pass.ModSeq
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
