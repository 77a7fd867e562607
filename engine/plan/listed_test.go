package plan

import (
	"slices"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/storage"
)

// said makes the set of an answer; without ranges it is an empty answer.
func said(ends ...goimap.UID) goimap.UIDSet {
	set := goimap.UIDSet{}
	for i := 0; i < len(ends); i += 2 {
		set = append(set, goimap.UIDRange{Start: ends[i], Stop: ends[i+1]})
	}
	return set
}

// TestListed: which of two answers is the listing, and whether it is sure.
func TestListed(t *testing.T) {
	for name, test := range map[string]struct {
		a    Answers
		want []storage.UID
		sure bool
	}{
		"SEARCH agrees":      {Answers{Exists: 3, Search: said(4, 6)}, uids(4, 5, 6), true},
		"SEARCH was refused": {Answers{Exists: 3, Fetch: said(1, 1, 7, 8)}, uids(1, 7, 8), true},
		"SEARCH is short": {Answers{Exists: 3, Search: said(2, 3), Fetch: said(1, 3)}, uids(1, 2, 3),
			true},
		"SEARCH lists what is gone": {Answers{Exists: 2, Search: said(1, 3), Fetch: said(1, 2)}, uids(1, 2), true},
		"SEARCH is empty":           {Answers{Exists: 2, Search: said(), Fetch: said(8, 9)}, uids(8, 9), true},
		"both are short": {Answers{Exists: 4, Search: said(2, 3), Fetch: said(1, 2)}, uids(1, 2, 3),
			false},
		"only together they agree": {Answers{Exists: 3, Search: said(2, 3), Fetch: said(1, 2)}, uids(1, 2, 3),
			false},
		"both list more": {Answers{Exists: 1, Search: said(1, 3), Fetch: said(1, 3)}, uids(1, 2, 3),
			false},
		"no FETCH, and SEARCH is short": {Answers{Exists: 3, Search: said(1, 2)}, uids(1, 2), false},
		"the known excess":              {Answers{Exists: 3, Search: said(1, 2), Excess: 1}, uids(1, 2), true},
		"the known excess, of fewer":    {Answers{Exists: 1, Search: said(1, 2), Excess: -1}, uids(1, 2), true},
		"the known excess, by both": {Answers{Exists: 4, Search: said(1, 1, 3, 3), Fetch: said(2, 3), Excess: 1},
			uids(1, 2, 3), true},
		"another excess": {Answers{Exists: 4, Search: said(1, 2), Fetch: said(1, 2), Excess: 1}, uids(1, 2),
			false},
		"an excess that is over": {Answers{Exists: 2, Search: said(1, 2), Excess: 1}, uids(1, 2), true},
		"an excess that FETCH disproves": {Answers{Exists: 3, Search: said(1, 1), Fetch: said(1, 3), Excess: 1},
			uids(1, 2, 3), true},
		"nothing was answered": {Answers{Exists: 3}, uids(), false},
	} {
		l, sure := Listed(test.a)
		if !slices.Equal(l.UIDs, test.want) || sure != test.sure || l.Exists != test.a.Exists {
			t.Errorf("%s: %v, sure %v, want %v", name, l, sure, test.want)
		}
		if l.Agrees() != (int(test.a.Exists) == len(test.want)) && sure {
			t.Errorf("%s: agrees %v", name, l.Agrees())
		}
	}
}

// TestMovedWhereCountsDiffer: where EXISTS and the listing never agree, STATUS is compared with EXISTS.
func TestMovedWhereCountsDiffer(t *testing.T) {
	eleven, unseen := int64(11), int64(2)
	m := storage.Mailbox{UIDValidity: 7, Pass: storage.Pass{UIDNext: 20, Total: 10, Exists: &eleven, ModSeq: 5,
		Unseen: &unseen, At: time.Now()}}
	for messages, moved := range map[int64]bool{9: true, 10: true, 11: false, 12: true} {
		s := Status{Said: true, Messages: messages, UIDNext: 20, UIDValidity: 7, ModSeq: 5, Unseen: &unseen}
		if got := Moved(m, s); got != moved {
			t.Errorf("%d messages: moved %v", messages, got)
		}
	}
}
