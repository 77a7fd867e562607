package plan

import (
	"time"

	"mailcote/storage"
)

// sampleSize is how many stored messages show whether UIDs still mean what they
// meant.
const sampleSize = 10

// Sample picks the first of n things, the last, and some in between.
func Sample(n int) []int {
	if n <= sampleSize {
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		return all
	}
	all := make([]int, sampleSize)
	for i := range all {
		all[i] = i * (n - 1) / (sampleSize - 1)
	}
	return all
}

// Lasts reports whether the UIDs of a mailbox still mean what they meant, where
// the server gives it no UIDVALIDITY. UIDNEXT (0: not said) may not be lower
// than the one noted. If it is, it may still be worth nothing: then a message
// of the sample is there under a UID beyond it. Each message of the sample that
// is there must have the header and, if sizes tell anything, the size of the
// stored one. now are those messages as the server describes them, exists is
// what EXISTS says.
func Lasts(sample []Copy, now map[storage.UID]Copy, exists uint32, uidNext, noted storage.UID,
	sizes storage.Sizes) bool {
	there, last := 0, storage.UID(0)
	for _, s := range sample {
		c, ok := now[s.UID]
		if !ok || s.Header.Known() != c.Header.Known() {
			continue
		}
		if c.Header != s.Header || c.Size >= 0 && c.Size != s.Size && !sizes.Wrong && !sizes.Zero {
			return false
		}
		there, last = there+1, max(last, s.UID)
	}
	if uidNext > 0 && uidNext < noted && last < uidNext {
		return false
	}
	return there > 0 || len(sample) == 0 || exists == 0
}

// Unlasting is from how many different answers in a row on a mailbox's numbers
// do not last. One alone may be a renumbering between the two.
const Unlasting = 2

// LookDaily is how often a mailbox whose numbers do not last is looked at though
// STATUS shows no change.
const LookDaily = 24 * time.Hour

// Stirred reports whether a mailbox whose numbers do not last must be looked at.
// UIDVALIDITY and UIDNEXT tell nothing.
func Stirred(m storage.Mailbox, s Status, now time.Time) bool {
	if m.Pass.At.IsZero() || now.Sub(m.Pass.At) >= LookDaily || now.Before(m.Pass.At) || !s.Said {
		return true
	}
	if m.Pass.Unseen != nil && s.Unseen != nil && *s.Unseen != *m.Pass.Unseen {
		return true
	}
	return s.Messages != m.Pass.Total
}

// Quiet reports whether the store has as many messages, and as many unread, as
// STATUS says.
func Quiet(m storage.Mailbox, s Status) bool {
	return s.Said && s.Unseen != nil && s.Messages == m.Total && *s.Unseen == m.Unread
}

// Aligned pairs stored messages with listed ones where UIDs may mean others than
// before. Size and INTERNALDATE tell a message if no other one of either side
// has both. Doubtful are the copies that need their headers for it.
type Aligned struct {
	Pairs    []Match
	Stored   []Copy // doubtful
	Listed   []Copy // doubtful
	InPlace  bool   // no pair has another UID than before
	storedAt map[storage.EntryID]storage.UID
}

// Align pairs by size and date.
func Align(stored, listed []Copy) Aligned {
	type look struct{ size, date int64 }
	lookOf := func(c Copy) look { return look{c.Size, c.Date.Unix()} }
	here, there := map[look]int{}, map[look]int{}
	at := make(map[look]Copy, len(stored))
	a := Aligned{InPlace: true, storedAt: make(map[storage.EntryID]storage.UID, len(stored))}
	for _, c := range stored {
		here[lookOf(c)]++
		at[lookOf(c)] = c
		a.storedAt[c.Entry] = c.UID
	}
	dateless := map[int64]bool{} // sizes of listed messages without a date; < 0: without a size
	for _, c := range listed {
		there[lookOf(c)]++
		if c.Size < 0 || c.Date.IsZero() {
			dateless[max(c.Size, -1)] = true
		}
	}
	paired := map[storage.EntryID]bool{}
	for _, c := range listed {
		if k := lookOf(c); here[k] == 1 && there[k] == 1 && !dateless[c.Size] && !dateless[-1] {
			a.pair(c.UID, at[k].Entry)
			paired[at[k].Entry] = true
		} else {
			a.Listed = append(a.Listed, c)
		}
	}
	for _, c := range stored {
		if !paired[c.Entry] {
			a.Stored = append(a.Stored, c)
		}
	}
	return a
}

func (a *Aligned) pair(uid storage.UID, entry storage.EntryID) {
	a.Pairs = append(a.Pairs, Match{uid, entry})
	a.InPlace = a.InPlace && a.storedAt[entry] == uid
}

// ByHeader pairs the doubtful copies, which have headers now. What Rebind cannot
// tell apart stays under its UID if nothing else has moved, and if the same UIDs
// look the same.
func (a *Aligned) ByHeader() {
	taken, entries := map[storage.UID]bool{}, map[storage.EntryID]bool{}
	for _, m := range Rebind(a.Listed, nil, a.Stored, nil) {
		a.pair(m.UID, m.Entry)
		taken[m.UID], entries[m.Entry] = true, true
	}
	if !a.InPlace {
		return
	}
	here, there := map[likeness]int{}, map[likeness]int{}
	byUID := map[storage.UID]Copy{}
	for _, c := range a.Stored {
		if !entries[c.Entry] {
			byUID[c.UID] = c
			here[c.like()]++
		}
	}
	for _, c := range a.Listed {
		if old, ok := byUID[c.UID]; ok && !taken[c.UID] && old.Same(c) {
			there[c.like()]++
		}
	}
	for _, c := range a.Listed {
		old, ok := byUID[c.UID]
		if ok && !taken[c.UID] && old.Same(c) && here[c.like()] == there[c.like()] {
			a.pair(c.UID, old.Entry)
		}
	}
}
