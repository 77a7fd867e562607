package plan

import (
	"cmp"
	"slices"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/storage"
)

// Answers are what a server says of the messages of an open mailbox.
type Answers struct {
	Exists uint32        // what EXISTS says
	Search goimap.UIDSet // UID SEARCH; nil: there was no answer
	Fetch  goimap.UIDSet // UID FETCH 1:* (UID FLAGS); nil: there was no answer, or it was not asked for
	Excess int64         // by how much EXISTS is known to exceed the listing; 0: they are known to agree
}

// Listing is the mailbox's messages by a server's answers.
type Listing struct {
	UIDs   []storage.UID // ascending
	Exists uint32        // what EXISTS said with it
}

// Agrees reports whether the number of messages is what EXISTS says.
func (l Listing) Agrees() bool { return l.Excess() == 0 }

// Excess is by how much EXISTS exceeds the number of messages.
func (l Listing) Excess() int64 { return int64(l.Exists) - int64(len(l.UIDs)) }

// Same reports whether two listings have the same numbers.
func (l Listing) Same(o Listing) bool { return l.Exists == o.Exists && slices.Equal(l.UIDs, o.UIDs) }

// Listed decides what the answers list. UID SEARCH counts if its number is what
// EXISTS says, or differs by the known excess, and so does UID FETCH. sure
// reports whether one of them does. Otherwise the listing has what either
// answer lists.
func Listed(a Answers) (l Listing, sure bool) {
	l.Exists = a.Exists
	for _, set := range []goimap.UIDSet{a.Search, a.Fetch} {
		if fits(set, int64(a.Exists)) {
			l.UIDs = expand(set)
			return l, true
		}
	}
	both := merge(a.Search, a.Fetch)
	for _, set := range []goimap.UIDSet{a.Search, both} {
		if a.Excess != 0 && fits(set, int64(a.Exists)-a.Excess) {
			l.UIDs = expand(set)
			return l, true
		}
	}
	l.UIDs = expand(both)
	return l, false
}

// fits reports whether a server's answer has this number of UIDs. The set is
// sorted and merged.
func fits(set goimap.UIDSet, n int64) bool { return set != nil && int64(Number(set)) == n }

// Number counts the UIDs of a set. Those that it has twice count twice.
func Number(set goimap.UIDSet) (n uint64) {
	for _, r := range set {
		n += uint64(max(r.Stop, r.Start)) - uint64(r.Start) + 1
	}
	return n
}

// merge returns what either set has. Both are sorted and merged, and so is the
// result.
func merge(a, b goimap.UIDSet) goimap.UIDSet {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y goimap.UIDRange) int { return cmp.Compare(x.Start, y.Start) })
	merged := all[:0]
	for _, r := range all {
		if n := len(merged); n > 0 && uint64(r.Start) <= uint64(merged[n-1].Stop)+1 {
			merged[n-1].Stop = max(merged[n-1].Stop, r.Stop)
			continue
		}
		merged = append(merged, r)
	}
	return merged
}

// expand turns a set that is sorted and merged into ascending UIDs.
func expand(set goimap.UIDSet) []storage.UID {
	uids := make([]storage.UID, 0, Number(set))
	for _, r := range set {
		for uid := uint64(r.Start); uid <= uint64(r.Stop); uid++ {
			uids = append(uids, storage.UID(uid))
		}
	}
	return uids
}

// Excess is by how much EXISTS exceeded the listing of a mailbox's last
// complete pass, on two connections. 0: they agreed.
func Excess(p storage.Pass) int64 {
	if p.Exists == nil {
		return 0
	}
	return *p.Exists - p.Total
}

// counted is what the server counted in a mailbox when its last pass ended.
func counted(p storage.Pass) int64 { return p.Total + Excess(p) }
