package plan

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailcote/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func uids(n ...storage.UID) []storage.UID { return n }

func TestCompare(t *testing.T) {
	for _, test := range []struct {
		name            string
		listing, stored []storage.UID
		fresh, gone     []storage.UID
	}{
		{name: "nothing"},
		{name: "equal", listing: uids(1, 5), stored: uids(1, 5)},
		{name: "all new, newest first", listing: uids(1, 2, 9), fresh: uids(9, 2, 1)},
		{name: "all gone", stored: uids(1, 2), gone: uids(1, 2)},
		{name: "both", listing: uids(1, 3, 4294967295), stored: uids(1, 2, 5), fresh: uids(4294967295, 3),
			gone: uids(2, 5)},
	} {
		d := Compare(test.listing, test.stored)
		if !slices.Equal(d.New, test.fresh) || !slices.Equal(d.Gone, test.gone) {
			t.Errorf("%s: %+v", test.name, d)
		}
	}
}

// set draws a sorted set of UIDs below most.
func set(r *rand.Rand, most storage.UID) []storage.UID {
	var all []storage.UID
	for uid := storage.UID(1); uid < most; uid++ {
		if r.IntN(3) == 0 {
			all = append(all, uid)
		}
	}
	return all
}

// TestCompareHolds: what is stored, less what went, plus what is new, is the listing.
func TestCompareHolds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		listing, stored := set(r, 40), set(r, 40)
		d := Compare(listing, stored)
		after := slices.DeleteFunc(slices.Clone(stored), func(uid storage.UID) bool {
			return slices.Contains(d.Gone, uid)
		})
		after = append(after, d.New...)
		slices.Sort(after)
		if !slices.Equal(after, listing) {
			t.Fatalf("listing %v, stored %v: %+v", listing, stored, d)
		}
		if !slices.IsSortedFunc(d.New, func(a, b storage.UID) int { return int(b) - int(a) }) {
			t.Fatalf("not newest first: %v", d.New)
		}
	}
}

// TestCoverHolds: vouched for are exactly the messages that are listed and done, and with gaps those where no listed
// message is.
func TestCoverHolds(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for round := range 2000 {
		listing, done, gaps := set(r, 40), set(r, 40), round%2 == 0
		ranges := Cover(listing, done, gaps)
		in := func(uid storage.UID) bool {
			return slices.ContainsFunc(ranges, func(one storage.Range) bool { return one.Lo <= uid && uid <= one.Hi })
		}
		for i, one := range ranges {
			if one.Lo < 1 || one.Lo > one.Hi || i > 0 && one.Lo <= ranges[i-1].Hi+1 {
				t.Fatalf("ranges %v are not closed, ascending and apart", ranges)
			}
		}
		for uid := storage.UID(1); uid < 45; uid++ {
			listed, stored := slices.Contains(listing, uid), slices.Contains(done, uid)
			switch {
			case listed && stored != in(uid):
				t.Fatalf("listing %v, done %v: %v, UID %d", listing, done, ranges, uid)
			case !listed && in(uid): // a gap belongs to the listed message above it
				i, _ := slices.BinarySearch(listing, uid)
				if !gaps || i == len(listing) || !slices.Contains(done, listing[i]) {
					t.Fatalf("listing %v, done %v: %v vouches for %d", listing, done, ranges, uid)
				}
			}
		}
	}
	ends := uids(1, 4294967295)
	if got := Cover(ends, ends, true); !slices.Equal(got, []storage.Range{{Lo: 1, Hi: 4294967295}}) {
		t.Errorf("%v", got)
	}
	if got := Cover(ends, ends, false); !slices.Equal(got, []storage.Range{{Lo: 1, Hi: 1},
		{Lo: 4294967295, Hi: 4294967295}}) {
		t.Errorf("without gaps: %v", got)
	}
}

func TestMass(t *testing.T) {
	for _, test := range []struct {
		gone, stored int
		want         bool
	}{{0, 0, false}, {100, 100, false}, {101, 101, true}, {101, 201, true}, {101, 202, false}, {5000, 10_000, false},
		{5001, 10_000, true}, {-5, 10, false}} {
		if got := Mass(test.gone, test.stored); got != test.want {
			t.Errorf("Mass(%d, %d) = %v", test.gone, test.stored, got)
		}
	}
}

func TestPage(t *testing.T) {
	todo := uids(9, 7, 5)
	for size, want := range map[int]int{-1: 1, 0: 1, 1: 1, 2: 2, 3: 3, 500: 3} {
		page, rest := Page(todo, size)
		if len(page) != want || !slices.Equal(append(slices.Clone(page), rest...), todo) {
			t.Errorf("size %d: %v %v", size, page, rest)
		}
	}
}

func TestMoved(t *testing.T) {
	two, three := int64(2), int64(3)
	m := storage.Mailbox{UIDValidity: 7, Pass: storage.Pass{UIDNext: 10, Total: 5, ModSeq: 3, Unseen: &two,
		At: time.Now()}}
	still := Status{Said: true, Messages: 5, UIDNext: 10, UIDValidity: 7, ModSeq: 3, Unseen: &two}
	if Moved(m, still) {
		t.Error("nothing moved")
	}
	m.Pass.ModSeq, still.ModSeq = 0, 0
	if Moved(m, still) {
		t.Error("nothing moved, and there is no MODSEQ")
	}
	m.Pass.ModSeq, still.ModSeq = 3, 3
	for name, change := range map[string]func(*storage.Mailbox, *Status){
		"never complete": func(m *storage.Mailbox, _ *Status) { m.Pass.At = time.Time{} },
		"not said":       func(_ *storage.Mailbox, s *Status) { s.Said = false },
		"new mail":       func(_ *storage.Mailbox, s *Status) { s.UIDNext, s.Messages = 11, 6 },
		"new and gone":   func(_ *storage.Mailbox, s *Status) { s.UIDNext = 11 },
		"gone":           func(_ *storage.Mailbox, s *Status) { s.Messages = 4 },
		"generation":     func(_ *storage.Mailbox, s *Status) { s.UIDValidity = 8 },
		"flags":          func(_ *storage.Mailbox, s *Status) { s.ModSeq = 4 },
		"modseq lower":   func(_ *storage.Mailbox, s *Status) { s.ModSeq = 2 },
		"no modseq now":  func(_ *storage.Mailbox, s *Status) { s.ModSeq = 0 },
		"modseq now":     func(m *storage.Mailbox, _ *Status) { m.Pass.ModSeq = 0 },
		"no UIDNEXT":     func(m *storage.Mailbox, s *Status) { m.Pass.UIDNext, s.UIDNext = 0, 0 },
		"unseen":         func(_ *storage.Mailbox, s *Status) { s.Unseen = &three },
		"unseen unsaid":  func(_ *storage.Mailbox, s *Status) { s.Unseen = nil },
		"unseen unknown": func(m *storage.Mailbox, _ *Status) { m.Pass.Unseen = nil },
	} {
		m, s := m, still
		change(&m, &s)
		if !Moved(m, s) {
			t.Errorf("%s: not moved", name)
		}
	}
}

func TestRole(t *testing.T) {
	for _, test := range []struct {
		attributes []string
		path, want string
	}{
		{nil, "INBOX", "inbox"}, {nil, "inbox", "inbox"}, {nil, "Other/INBOX", ""},
		{[]string{`\HasNoChildren`, `\SENT`}, "Gesendet", "sent"}, {[]string{`\All`}, "INBOX", "all"},
		{nil, "INBOX/Sent Items", "sent"}, {nil, "Junk E-mail", "junk"}, {nil, "Deleted Messages", "trash"},
		{nil, "Archives", "archive"},
		{nil, "Projects/Sent", ""}, {nil, "Drafts", "drafts"},
	} {
		if got := Role(test.attributes, test.path, "/"); got != test.want {
			t.Errorf("Role(%v, %q) = %q, want %q", test.attributes, test.path, got, test.want)
		}
	}
	for _, role := range []string{"inbox", "flagged", "important", "sent", "drafts", "junk", "trash", "archive",
		"all", "", "new"} {
		if p := Priority(role); p < 1 || p > 10 {
			t.Errorf("priority of %q: %d", role, p)
		}
	}
	if !(Priority("inbox") > Priority("sent") && Priority("sent") > Priority("drafts") &&
		Priority("drafts") > Priority("") && Priority("") > Priority("junk")) {
		t.Error("the order of priorities is wrong")
	}
}

func TestBackoff(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	limits := map[int][2]time.Duration{
		-1: {0, 250 * time.Millisecond}, 0: {0, 250 * time.Millisecond}, 1: {0, time.Second}, 2: {0, 2 * time.Second},
		5: {0, 16 * time.Second}, 6: {0, 30 * time.Second},
		7: {24 * time.Second, 36 * time.Second}, 8: {48 * time.Second, 72 * time.Second},
		11: {384 * time.Second, 576 * time.Second},
		12: {12 * time.Minute, 18 * time.Minute}, 1 << 30: {12 * time.Minute, 18 * time.Minute},
	}
	for n, limit := range limits {
		var most time.Duration
		for range 500 {
			d := Backoff(n, r)
			if d <= limit[0] || d > limit[1] {
				t.Fatalf("Backoff(%d) = %v", n, d)
			}
			most = max(most, d)
		}
		if most < (limit[0]+limit[1])/2 {
			t.Errorf("Backoff(%d) is at most %v of %v: no full jitter", n, most, limit[1])
		}
	}
}
