package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine/fault/policy"
	"mailcote/storage"
	"mailcote/testkit/script"
)

func searches(c script.Command) bool { return c.Name == "UID SEARCH" }

// listsByFetch matches the FETCH that stands in for a SEARCH.
func listsByFetch(c script.Command) bool {
	return c.Name == "UID FETCH" && strings.HasPrefix(c.Args, "1:* ")
}

// listsAll matches every command that lists a mailbox.
func listsAll(c script.Command) bool { return searches(c) || listsByFetch(c) }

// fetchLacks leaves UIDs out of the answers to the FETCH that lists a mailbox.
func fetchLacks(uids ...uint32) func(script.Command, string) string {
	return func(c script.Command, line string) string {
		for _, uid := range uids {
			if listsByFetch(c) && strings.Contains(line, fmt.Sprintf(" FETCH (UID %d ", uid)) {
				return ""
			}
		}
		return line
	}
}

// searchLacks leaves UIDs out of the answers to SEARCH.
func searchLacks(missing ...uint32) func(script.Command, []uint32) []uint32 {
	return func(_ script.Command, uids []uint32) []uint32 {
		return slices.DeleteFunc(slices.Clone(uids), func(uid uint32) bool { return slices.Contains(missing, uid) })
	}
}

// countsMore makes EXISTS and STATUS of INBOX say more than there is.
func countsMore(n int) func(int, string, int) int {
	return func(_ int, box string, have int) int {
		if box == "INBOX" {
			return have + n
		}
		return have
	}
}

// TestListedByFetch: where SEARCH is refused, gives nothing or gives another number than EXISTS, the answers to a
// FETCH are the listing, on the same connection: mail comes, and what was deleted goes.
func TestListedByFetch(t *testing.T) {
	for name, faults := range map[string]script.Faults{
		"NO":             {On: on(searches, "NO search is not possible")},
		"BAD":            {On: on(searches, "BAD unknown argument")},
		"NO [SERVERBUG]": {On: on(searches, "NO [SERVERBUG] index is broken")},
		"OK and no data": {On: on(searches, script.Bare)},
		"short":          {Listing: searchLacks(1)},
		"empty":          {Listing: func(script.Command, []uint32) []uint32 { return nil }},
		"what is gone":   {Listing: func(_ script.Command, uids []uint32) []uint32 { return append(uids, 77, 78) }},
		"one twice": {Listing: func(_ script.Command, uids []uint32) []uint32 {
			return append(uids[1:], uids[1])
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := several(t, script.Options{}, Options{}, "Archive")
			put(s, "INBOX", 4)
			s.Misbehave(faults)
			w.complete()
			w.equals(s)
			s.Change(func(m *script.Model) { m.Box("INBOX").Expunge(2, 3) })
			put(s, "INBOX", 1)
			w.complete()
			w.equals(s)
			if n := s.Connections(); n != 2 || len(w.faults()) > 0 { // one a sync
				t.Errorf("%d connections, %+v", n, w.faults())
			}
		})
	}
	t.Run("MESSAGELIMIT", func(t *testing.T) {
		t.Parallel()
		s, w := scripted(t, 25, script.Options{MessageLimit: 10}, Options{})
		s.Misbehave(script.Faults{On: on(searches, "NO search is not possible")})
		w.complete()
		w.equals(s)
	})
}

// TestNothingLists: a mailbox that neither SEARCH nor FETCH lists stays as it is and is not complete.
func TestNothingLists(t *testing.T) {
	s, w := several(t, script.Options{}, Options{}, "Archive")
	w.complete()
	put(s, "INBOX", 1)
	s.Misbehave(script.Faults{On: on(func(c script.Command) bool {
		return listsAll(c) && c.Box == "INBOX"
	}, "NO not here")})
	if sum := w.sync(); sum.Result != Partial || w.stored("INBOX") != "2" {
		t.Errorf("%s stored, %+v", w.stored("INBOX"), sum)
	}
	for _, f := range w.faults() {
		if f.Command != "UID SEARCH" {
			t.Errorf("%+v", f)
		}
	}
}

// TestCountNeverAgrees: where EXISTS always says more or less than the mailbox lists, what is listed is stored,
// nothing but that is vouched for, and the mailbox is opened again when the numbers move.
func TestCountNeverAgrees(t *testing.T) {
	for name, test := range map[string]struct {
		faults script.Faults
		exists string // at first
	}{
		"one more":           {script.Faults{Exists: countsMore(1)}, "7"},
		"many more":          {script.Faults{Exists: countsMore(5000)}, "5006"},
		"two fewer":          {script.Faults{Exists: countsMore(-2)}, "4"},
		"SEARCH is short":    {script.Faults{Exists: countsMore(1), Listing: searchLacks(5)}, "7"},
		"FETCH is short":     {script.Faults{Exists: countsMore(1), Line: fetchLacks(5, 6)}, "7"},
		"each lacks another": {script.Faults{Exists: countsMore(1), Listing: searchLacks(5), Line: fetchLacks(6)}, "7"},
		"FETCH is refused":   {script.Faults{Exists: countsMore(1), On: on(listsByFetch, "NO too much")}, "7"},
		"SEARCH is refused":  {script.Faults{Exists: countsMore(1), On: on(searches, "BAD what")}, "7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := several(t, script.Options{}, Options{}, "Archive")
			put(s, "INBOX", 8)
			s.Change(func(m *script.Model) { m.Box("INBOX").Expunge(1, 2, 4, 8) })
			s.Misbehave(test.faults)
			w.complete()
			w.equals(s)
			pass := func() string {
				return w.text(`SELECT coalesce(pass_exists, '') FROM mailbox WHERE path = 'INBOX'`)
			}
			if pass() != test.exists || len(w.faults()) > 0 {
				t.Errorf("EXISTS %s, want %s; %+v", pass(), test.exists, w.faults())
			}
			covered := w.text(`SELECT lo || ':' || hi FROM coverage c JOIN mailbox m ON m.id = c.mailbox_id
				WHERE path = 'INBOX' AND level = 'body' ORDER BY lo`)
			if covered != "3:3\n5:7\n9:10" {
				t.Errorf("vouched for: %q", covered)
			}
			opened, dials := s.Count("EXAMINE"), s.Connections()
			w.complete()
			if n := s.Count("EXAMINE") - opened; n != 0 {
				t.Errorf("nothing moved and %d mailboxes were opened", n)
			}
			put(s, "INBOX", 3)
			w.complete()
			w.equals(s)
			if n := s.Connections() - dials; n != 2 { // one a sync: the difference is known
				t.Errorf("%d connections", n)
			}
			s.Misbehave(script.Faults{})
			put(s, "INBOX", 1)
			w.complete()
			w.equals(s)
			if pass() != "" {
				t.Errorf("EXISTS %s is still noted", pass())
			}
			findings, err := w.engine.CheckRemote(t.Context(), RemoteOptions{Accounts: []storage.Account{w.find()}})
			if err != nil || len(findings) > 0 {
				t.Errorf("%+v, %v", findings, err)
			}
		})
	}
}

// TestComparedWhereCountsDiffer: check --remote accepts the difference that the store knows of.
func TestComparedWhereCountsDiffer(t *testing.T) {
	s, w := scripted(t, 6, script.Options{}, Options{})
	s.Misbehave(script.Faults{Exists: countsMore(1)})
	w.complete()
	if c := w.compares(); c != "" {
		t.Errorf("class %s", c)
	}
	findings, err := w.engine.CheckRemote(t.Context(), RemoteOptions{Accounts: []storage.Account{w.find()}})
	if err != nil || len(findings) > 0 {
		t.Errorf("%+v, %v", findings, err)
	}
	s.Change(func(m *script.Model) { m.Box("INBOX").Expunge(6) })
	findings, err = w.engine.CheckRemote(t.Context(), RemoteOptions{Accounts: []storage.Account{w.find()}})
	if err != nil || len(findings) != 1 || findings[0].What != "not on the server" {
		t.Errorf("%+v, %v", findings, err)
	}
}

// TestUnsteadyCount: numbers that differ between two looks or two connections are no listing, and nothing of the
// mailbox is stored or deleted by them.
func TestUnsteadyCount(t *testing.T) {
	var looks atomic.Int32
	for name, exists := range map[string]func(connection int, box string, n int) int{
		"another number on each connection": func(connection int, box string, n int) int {
			return n + connection
		},
		"another number at each look": func(_ int, box string, n int) int {
			return n + int(looks.Add(1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 5, script.Options{}, Options{})
			s.Misbehave(script.Faults{Exists: exists, On: func(c script.Command) script.Action {
				if c.Name == "NOOP" && name != "another number on each connection" {
					return script.Action(fmt.Sprintf("* %d EXISTS", 5+looks.Add(1)))
				}
				return script.Answer
			}})
			if sum := w.sync(); sum.Result == Complete || w.stored("INBOX") != "0" {
				t.Errorf("%s stored, %+v", w.stored("INBOX"), sum)
			}
			if n := w.text(`SELECT count(*) FROM mailbox WHERE pass_exists IS NOT NULL`); n != "0" {
				t.Error("a difference is noted")
			}
			s.Misbehave(script.Faults{})
			w.complete()
			w.equals(s)
		})
	}
}

// TestGoneWhereCountsDiffer: where EXISTS and the listing never agree, a message goes when two connections list the
// mailbox without it and a FETCH of it brings nothing. Others that are gone do not keep it, nor it them.
func TestGoneWhereCountsDiffer(t *testing.T) {
	asked := func(c script.Command) bool { return c.Name == "UID FETCH" && strings.HasPrefix(c.Args, "4") }
	type test struct {
		hidden  []uint32 // are there and are not listed
		faults  script.Faults
		expunge []uint32
		left    int
	}
	refused := func(answer script.Action) test {
		return test{expunge: []uint32{4}, faults: script.Faults{On: on(asked, answer)}, left: 10}
	}
	for name, test := range map[string]test{
		"it is gone":                 {expunge: []uint32{4}, left: 9},
		"FETCH gives it":             {hidden: []uint32{4}, left: 10},
		"FETCH gives one of two":     {hidden: []uint32{4}, expunge: []uint32{7}, left: 9},
		"FETCH is refused":           refused("NO not now"),
		"FETCH is out of order":      refused("BAD Invalid messageset"),
		"FETCH is [UNAVAILABLE]":     refused("NO [UNAVAILABLE] later"),
		"all are gone, few of a few": {expunge: []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9}, left: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 10, script.Options{}, Options{least: func(policy.Wait, int) time.Duration { return 0 }})
			test.faults.Exists = countsMore(1)
			s.Misbehave(script.Faults{Exists: countsMore(1)})
			w.complete()
			before := s.Connections()
			s.Change(func(m *script.Model) { m.Box("INBOX").Expunge(test.expunge...) })
			if len(test.hidden) > 0 {
				s.Change(func(m *script.Model) { m.Box("INBOX").ModSeq++ })
				test.faults.Listing, test.faults.Line = searchLacks(test.hidden...), fetchLacks(test.hidden...)
				test.faults.Exists = countsMore(1 - len(test.hidden))
			}
			s.Misbehave(test.faults)
			w.sync()
			if got := w.stored("INBOX"); got != strconv.Itoa(test.left) {
				t.Errorf("%s left, want %d", got, test.left)
			}
			if n := s.Connections() - before; n < 2 {
				t.Errorf("%d connection", n)
			}
			w.clean()
			s.Misbehave(script.Faults{})
			s.Change(func(m *script.Model) { m.Box("INBOX").ModSeq++ })
			w.complete()
			w.equals(s)
		})
	}
	t.Run("one connection lists it", func(t *testing.T) {
		t.Parallel()
		s, w := scripted(t, 10, script.Options{}, Options{})
		s.Misbehave(script.Faults{Exists: countsMore(1)})
		w.complete()
		first := s.Connections() + 1
		s.Change(func(m *script.Model) { m.Box("INBOX").Flag(1, `\Seen`) })
		var refused atomic.Bool
		s.Misbehave(script.Faults{
			Exists: func(connection int, _ string, n int) int {
				if connection == first {
					return n
				}
				return n + 1
			},
			Listing: func(c script.Command, uids []uint32) []uint32 {
				if c.Connection == first {
					return searchLacks(4)(c, uids)
				}
				return uids
			},
			Line: func(c script.Command, line string) string {
				if c.Connection == first {
					return fetchLacks(4)(c, line)
				}
				return line
			},
			On: func(c script.Command) script.Action {
				if asked(c) { // what is not asked for cannot be missed
					refused.Store(true)
					return script.Bare
				}
				return script.Answer
			},
		})
		w.complete()
		if w.stored("INBOX") != "10" || refused.Load() {
			t.Errorf("%s left, asked for it %v", w.stored("INBOX"), refused.Load())
		}
	})
}

// TestQuarantineWhereCountsDiffer: a message in quarantine that a listing lacks stays there while EXISTS and the
// listing never agree.
func TestQuarantineWhereCountsDiffer(t *testing.T) {
	s, w := scripted(t, 6, script.Options{}, Options{})
	bad := func(_ string, uid uint32) script.Fault {
		if uid == 3 {
			return script.Refuse
		}
		return script.Whole
	}
	held := func() string { return w.text(`SELECT uid FROM quarantine`) }
	s.Misbehave(script.Faults{Exists: countsMore(1), Message: bad})
	w.sync()
	if held() != "3" {
		t.Fatalf("in quarantine: %q", held())
	}
	put(s, "INBOX", 1)
	s.Misbehave(script.Faults{Exists: countsMore(0), Message: bad, Listing: searchLacks(3), Line: fetchLacks(3)})
	w.sync()
	if held() != "3" || w.stored("INBOX") != "6" {
		t.Errorf("in quarantine: %q; %s stored", held(), w.stored("INBOX"))
	}
	s.Misbehave(script.Faults{})
	s.Change(func(m *script.Model) { m.Box("INBOX").Expunge(3) })
	w.complete()
	w.equals(s)
	if held() != "" {
		t.Errorf("in quarantine: %q", held())
	}
}

// TestRenumberedWhereCountsDiffer: a new generation whose listing does not agree with EXISTS replaces the old one
// only if another connection lists the same.
func TestRenumberedWhereCountsDiffer(t *testing.T) {
	s, w := scripted(t, 10, script.Options{}, Options{})
	s.Misbehave(script.Faults{Exists: countsMore(1)})
	w.complete()
	s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(2000, 101) })
	first := s.Connections() + 1
	s.Misbehave(script.Faults{
		Exists: func(connection int, _ string, n int) int {
			if connection == first {
				return n - 3
			}
			return n + 1
		},
		Listing: func(c script.Command, uids []uint32) []uint32 {
			if c.Connection == first {
				return searchLacks(101, 104, 107, 110)(c, uids)
			}
			return uids
		},
		Line: func(c script.Command, line string) string {
			if c.Connection == first {
				return fetchLacks(101, 104, 107, 110)(c, line)
			}
			return line
		},
	})
	w.complete()
	w.equals(s)
}
