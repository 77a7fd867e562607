package engine

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"mailcote/storage"
	"mailcote/testkit/script"
)

// TestEmptyIsNotSearched: servers that refuse to search an empty mailbox lose nothing by it, in a sync and in a
// comparison.
func TestEmptyIsNotSearched(t *testing.T) {
	s, w := several(t, script.Options{}, Options{}, "Archive")
	for i := range 20 {
		put(s, fmt.Sprint("Empty ", i), 0)
	}
	var searched atomic.Int32
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if c.Name == "UID SEARCH" && strings.HasPrefix(c.Box, "Empty") {
			searched.Add(1)
			return "NO no such message"
		}
		return script.Answer
	}})
	w.complete()
	w.complete()
	if n := s.Connections(); n != 2 || len(w.faults()) != 0 { // one a sync
		t.Errorf("%d connections, %+v", n, w.faults())
	}
	findings, err := w.engine.CheckRemote(t.Context(), RemoteOptions{Accounts: []storage.Account{w.find()}})
	if err != nil || len(findings) != 0 || searched.Load() != 0 {
		t.Errorf("%d searches, %+v, %v", searched.Load(), findings, err)
	}
	w.equals(s)
}

// TestEmptied: 0 EXISTS alone takes nothing out: the server must give none of the messages, or say the same on a
// new connection, and so it must where they are many.
func TestEmptied(t *testing.T) {
	for name, test := range map[string]struct {
		n       int
		refuses bool // a FETCH of what is gone
		lies    int  // connections that say 0 EXISTS; 0: all, for it is so
		left    int
		dials   int // of the sync
	}{
		"few":                          {n: 3, dials: 1},
		"few, and FETCH is refused":    {n: 3, refuses: true, dials: 2},
		"many":                         {n: 150, dials: 2},
		"a slip, and FETCH is refused": {n: 3, refuses: true, lies: 1, left: 3},
		"a slip with many":             {n: 150, lies: 1, left: 150},
		"a slip":                       {n: 3, lies: 1, left: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := several(t, script.Options{}, Options{}, "Archive")
			put(s, "Full", test.n)
			w.complete()
			before := s.Connections()
			if test.lies == 0 {
				s.Change(func(m *script.Model) {
					for range test.n {
						m.Box("Full").Expunge(m.Box("Full").Messages[0].UID)
					}
				})
			} else {
				s.Change(func(m *script.Model) { m.Box("Full").Flag(1, "$Moved") })
			}
			s.Misbehave(script.Faults{
				Exists: func(connection int, box string, n int) int {
					if box == "Full" && connection <= before+test.lies {
						return 0
					}
					return n
				},
				On: func(c script.Command) script.Action {
					if test.refuses && c.Name == "UID FETCH" && c.Box == "Full" &&
						c.Connection <= before+max(test.lies, 1) {
						return "NO nothing of that is here"
					}
					return script.Answer
				},
			})
			w.sync()
			if got := w.stored("Full"); got != strconv.Itoa(test.left) {
				t.Errorf("%s left, want %d", got, test.left)
			}
			if n := s.Connections() - before; test.dials > 0 && n != test.dials {
				t.Errorf("%d connections", n)
			}
			s.Misbehave(script.Faults{})
			w.complete()
			w.equals(s)
		})
	}
}
