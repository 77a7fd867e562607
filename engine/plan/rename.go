package plan

import (
	"slices"

	"mailcote/storage"
)

// Named is a mailbox as LIST and STATUS describe it.
type Named struct {
	Raw        string // its name as the server writes it
	Selectable bool
	Status     Status
}

// Renaming says which stored mailboxes may have other names now.
type Renaming struct {
	Sure   []storage.Rename // those that MAILBOXID tells
	Listed []Named          // names that may be another mailbox's than before
	loose  []storage.Mailbox
}

// FindRenames compares the stored mailboxes with a complete listing. A stored
// mailbox may have another name if the listing lacks its name, or if what has
// the name now is not it: it has another MAILBOXID, another UIDVALIDITY or a
// lower UIDNEXT, or it cannot be selected.
func FindRenames(stored []storage.Mailbox, listed []Named) (r Renaming) {
	byName := make(map[string]Named, len(listed))
	ids := make(map[string][]Named, len(listed))
	for _, l := range listed {
		byName[l.Raw] = l
		if l.Status.ObjectID != "" {
			ids[l.Status.ObjectID] = append(ids[l.Status.ObjectID], l)
		}
	}
	owners := make(map[string]int, len(stored)) // of each MAILBOXID
	fell := map[storage.UIDValidity]storage.UID{}
	for _, m := range stored {
		owners[m.ObjectID]++
		if s := byName[m.Raw].Status; sameNumbers(m, s) && s.UIDNext > 0 && s.UIDNext < m.Pass.UIDNext {
			fell[m.UIDValidity] = max(fell[m.UIDValidity], m.Pass.UIDNext)
		}
	}
	taken, held := map[string]bool{}, map[string]bool{} // names: found a mailbox, or kept theirs
	for _, m := range stored {
		l, here := byName[m.Raw]
		if here && l.Selectable && keepsName(m, l.Status, fell[m.UIDValidity]) {
			held[m.Raw] = true
			continue
		}
		if same := ids[m.ObjectID]; len(same) == 1 && owners[m.ObjectID] == 1 && same[0].Selectable {
			r.Sure = append(r.Sure, storage.Rename{Mailbox: m.ID, Raw: same[0].Raw})
			taken[same[0].Raw] = true
			continue
		}
		if m.UIDValidity != 0 && m.OwnValidity == 0 && m.Unstable == 0 && m.Total > 0 {
			r.loose = append(r.loose, m)
		}
	}
	r.Sure = slices.DeleteFunc(r.Sure, func(one storage.Rename) bool { return held[one.Raw] })
	for _, l := range listed {
		if l.Selectable && !held[l.Raw] && !taken[l.Raw] {
			r.Listed = append(r.Listed, l)
		}
	}
	return r
}

// sameNumbers reports whether STATUS gives the UIDVALIDITY that the store has.
func sameNumbers(m storage.Mailbox, s Status) bool { return s.Said && s.UIDValidity == m.UIDValidity }

// keepsName reports whether nothing says that the mailbox of this name is
// another one now. fell is the UIDNEXT that a mailbox with the same UIDVALIDITY
// had before it fell: this one may be that one.
func keepsName(m storage.Mailbox, s Status, fell storage.UID) bool {
	switch {
	case m.ObjectID != "" && s.ObjectID != "":
		return m.ObjectID == s.ObjectID
	case !s.Said || s.UIDValidity == 0 || m.UIDValidity == 0 || m.Building != nil && *m.Building == s.UIDValidity:
		return true
	case s.UIDValidity != m.UIDValidity:
		return false
	}
	return s.UIDNext == 0 || s.UIDNext >= m.Pass.UIDNext && (fell == 0 || s.UIDNext < fell)
}

// Candidates returns the stored mailboxes that may be the listed one, as far as
// STATUS tells. Their messages have to be compared.
func (r Renaming) Candidates(l Named) (all []storage.Mailbox) {
	for _, m := range r.loose {
		if m.Raw != l.Raw && MaybeRenamed(m, l.Status) {
			all = append(all, m)
		}
	}
	return all
}

// MaybeRenamed reports whether a stored mailbox may be the one that has this
// status. The UIDVALIDITY must be the same, UIDNEXT never falls, and most of
// the messages must be there.
func MaybeRenamed(m storage.Mailbox, s Status) bool {
	return (m.ObjectID == "" || s.ObjectID == "" || m.ObjectID == s.ObjectID) &&
		(s.UIDValidity == 0 || s.UIDValidity == m.UIDValidity) &&
		(s.UIDNext == 0 || s.UIDNext >= m.Pass.UIDNext) && (!s.Said || mostOf(s.Messages, m.Total))
}

// mostOf reports whether n are enough of a mailbox to know it again.
func mostOf(n, all int64) bool { return n > 0 && n*10 >= all*9 }

// Likeness counts what a stored mailbox and a listed one have in common.
type Likeness struct {
	Stored int64 // messages of the store
	Same   int64 // of them, those that the server has with the same size and date under their UIDs
	Other  int64 // of them, those that look different
}

// Seen is a message as the server describes it.
type Seen struct {
	storage.Mark
	Doubted bool // the store may have another date
}

// Compare compares stored messages with what the server says of their UIDs.
// What is not there says nothing, nor does another date that is doubted.
func (k *Likeness) Compare(stored []storage.Mark, server map[storage.UID]Seen) {
	for _, s := range stored {
		k.Stored++
		switch now, ok := server[s.UID]; {
		case !ok:
		case now.Mark == s:
			k.Same++
		case now.Doubted && now.Size == s.Size:
		default:
			k.Other++
		}
	}
}

// Alike reports whether it is one mailbox: every message that both have is the
// same, and they are most of those stored.
func (k *Likeness) Alike() bool { return k.Other == 0 && mostOf(k.Same, k.Stored) }

// Settle returns the renames that may be made: what is ambiguous is left out,
// and so is what would push out most of the account's mail.
func Settle(stored []storage.Mailbox, found []storage.Rename) []storage.Rename {
	ids, names := map[storage.MailboxID]int{}, map[string]int{}
	for _, one := range found {
		ids[one.Mailbox]++
		names[one.Raw]++
	}
	found = slices.DeleteFunc(found, func(one storage.Rename) bool {
		return ids[one.Mailbox] > 1 || names[one.Raw] > 1
	})
	for {
		pushed, most := pushedOut(stored, found)
		if !most {
			return found
		}
		found = slices.DeleteFunc(found, func(one storage.Rename) bool { return pushed[one.Raw] })
	}
}

// pushedOut returns the names whose mailboxes lose them to another one and are
// nowhere else, and whether these hold most of the mail.
func pushedOut(stored []storage.Mailbox, found []storage.Rename) (names map[string]bool, most bool) {
	moved, wanted := map[storage.MailboxID]bool{}, map[string]bool{}
	for _, one := range found {
		moved[one.Mailbox], wanted[one.Raw] = true, true
	}
	var out, all int64
	names = map[string]bool{}
	for _, m := range stored {
		all += m.Total
		if wanted[m.Raw] && !moved[m.ID] {
			out += m.Total
			names[m.Raw] = true
		}
	}
	return names, Mass(int(out), int(all))
}
