package engine

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine/fault/policy"
	"mailcote/testkit/form"
	"mailcote/testkit/script"
)

// TestFalseListings: what a listing lacks is gone only if the server's own count agrees, or two connections lack it
// and nothing is given under its UID. Where FETCH is not refused, it lists what SEARCH does not.
func TestFalseListings(t *testing.T) {
	refused := on(listsByFetch, "NO cannot list")
	tests := []struct {
		name     string
		faults   script.Faults
		complete bool
	}{
		{"short", script.Faults{On: refused, Listing: func(_ script.Command, uids []uint32) []uint32 {
			return uids[:len(uids)-1]
		}}, true},
		{"without the oldest", script.Faults{On: refused, Listing: searchLacks(1)}, true},
		{"without the oldest, by FETCH too", script.Faults{Listing: searchLacks(1), Line: fetchLacks(1)}, true},
		{"empty", script.Faults{On: refused, Listing: func(script.Command, []uint32) []uint32 { return nil }}, false},
		{"empty, by FETCH too", script.Faults{Listing: func(script.Command, []uint32) []uint32 { return nil },
			Line: func(c script.Command, line string) string {
				if listsByFetch(c) && strings.HasPrefix(line, "* ") {
					return ""
				}
				return line
			}}, true},
		{"twice the same", script.Faults{On: refused, Listing: func(_ script.Command, uids []uint32) []uint32 {
			return append(slices.Clone(uids[:len(uids)-1]), uids[0])
		}}, true},
		{"failed", script.Faults{On: on(listsAll, "NO cannot search")}, false},
		{"no data", script.Faults{On: on(listsAll, script.Bare)}, false},
		{"no data, and FETCH is refused", script.Faults{On: func(c script.Command) script.Action {
			if searches(c) {
				return script.Bare
			}
			return refused(c)
		}}, false},
		{"EXISTS too low", script.Faults{Exists: func(_ int, _ string, n int) int { return n / 2 }}, true},
		{"EXISTS 0", script.Faults{Exists: func(int, string, int) int { return 0 }}, false},
		{"LIST fails", script.Faults{On: on(func(c script.Command) bool { return c.Name == "LIST" }, "NO not now")},
			false},
		{"LIST is empty", script.Faults{On: on(func(c script.Command) bool { return c.Name == "LIST" }, script.Bare)},
			false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 50, script.Options{}, Options{})
			put(s, "Archive", 7)
			w.complete()
			before := modelOf(s)
			s.Change(func(m *script.Model) { m.Box("INBOX").Flag(3, `\Answered`) }) // so that it is opened
			s.Misbehave(test.faults)
			if sum := w.sync(); (sum.Result == Complete) != test.complete {
				t.Errorf("summary %+v", sum)
			}
			if got := w.lines(); len(got) != len(before) {
				t.Errorf("%d messages, want %d", len(got), len(before))
			}
			w.clean()
			s.Misbehave(script.Faults{})
			w.complete()
			w.equals(s)
		})
	}
}

// on makes a hook that answers matching commands.
func on(match func(script.Command) bool, a script.Action) func(script.Command) script.Action {
	return func(c script.Command) script.Action {
		if match(c) {
			return a
		}
		return script.Answer
	}
}

// TestBar13 is bar 13: listings, flags and counts that are cut short at random, empty, failing or made up delete
// nothing.
func TestBar13(t *testing.T) {
	want := volume(300)
	if form.Long() {
		want = 10_000
	}
	s, w := scripted(t, 120, script.Options{}, Options{least: func(policy.Wait, int) time.Duration { return 0 }})
	w.complete()
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(1, 2))
	chance := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n)
	}
	var spoilt [6]atomic.Int64
	total := func() (n int64) {
		for i := range spoilt {
			n += spoilt[i].Load()
		}
		return n
	}
	cut := func(uids []uint32) []uint32 {
		keep := slices.Clone(uids)
		for range 1 + chance(len(uids)) {
			if len(keep) == 0 {
				break
			}
			from := chance(len(keep))
			keep = slices.Delete(keep, from, from+1+chance(len(keep)-from))
		}
		return keep
	}
	listing := func(_ script.Command, uids []uint32) []uint32 { spoilt[0].Add(1); return cut(uids) }
	exists := func(_ int, _ string, n int) int { spoilt[1].Add(1); return chance(n + 2) }
	at := func(name string) func(script.Command) bool {
		return func(c script.Command) bool { return c.Name == name }
	}
	kinds := []func() script.Faults{
		func() script.Faults { return script.Faults{Listing: listing} },
		func() script.Faults { return script.Faults{Listing: listing, Exists: exists} },
		func() script.Faults { return script.Faults{Exists: exists} },
		func() script.Faults { // the answers about flags
			return script.Faults{Line: func(c script.Command, line string) string {
				if c.Name == "UID FETCH" && strings.Contains(line, "FETCH") && chance(3) > 0 {
					spoilt[2].Add(1)
					return ""
				}
				return line
			}}
		},
		func() script.Faults { // a listing that agrees with a VANISHED which nobody may send
			return script.Faults{Line: func(c script.Command, line string) string {
				if c.Name != "UID SEARCH" || !strings.Contains(line, "SEARCH") {
					return line
				}
				spoilt[3].Add(1)
				from := chance(120)
				line = fmt.Sprintf("* VANISHED %d:%d\r\n%s", 1+from, 1+from+chance(200), line)
				return line[:strings.LastIndexAny(line, " ,")]
			}}
		},
		func() script.Faults {
			spoilt[4].Add(1)
			return script.Faults{On: on(at([]string{"UID SEARCH", "EXAMINE", "UID FETCH"}[chance(3)]),
				[]script.Action{script.Bare, script.Drop, "NO not now", "BAD what", "BYE [UNAVAILABLE] x"}[chance(5)])}
		},
		func() script.Faults { // the connection ends inside the listing
			return script.Faults{Raw: func(c script.Command, out io.Writer) bool {
				if c.Name != "UID SEARCH" {
					return false
				}
				spoilt[5].Add(1)
				fmt.Fprintf(out, "* SEARCH %.*s\r\n* BYE\r\n", chance(100), strings.Repeat("1 2 3 4 ", 20))
				return true
			}}
		},
	}
	for total() < int64(want) {
		s.Misbehave(kinds[chance(len(kinds))]())
		s.Change(func(m *script.Model) { m.Box("INBOX").Flag(uint32(1+chance(120)), "$Now") })
		w.sync()
	}
	if n := w.text(`SELECT count(*) FROM entry WHERE expunged_at IS NOT NULL`); n != "0" {
		t.Errorf("%s false deletes", n)
	}
	t.Logf("bar 13: 0 deletes wanted from %d answers: %d listings, %d counts, %d flags, %d VANISHED, %d failures, %d "+
		"broken off",
		total(), spoilt[0].Load(), spoilt[1].Load(), spoilt[2].Load(), spoilt[3].Load(), spoilt[4].Load(),
		spoilt[5].Load())
	s.Misbehave(script.Faults{})
	s.Change(func(m *script.Model) { // flags that an answer left out are told anew
		for uid := range uint32(120) {
			m.Box("INBOX").Flag(uid+1, "$Then")
		}
	})
	w.complete()
	w.equals(s)
}

// TestDeletes: a few at once; a mass only after a second listing on another connection has said the same.
func TestDeletes(t *testing.T) {
	tests := []struct {
		name        string
		have, gone  int
		connections int
	}{
		{"a few", 300, 20, 1},
		{"all of a small one", 80, 80, 1},
		{"a mass", 300, 200, 2},
		{"all", 300, 300, 2},
		{"just no mass", 300, 150, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, test.have, script.Options{}, Options{})
			w.complete()
			before := s.Connections()
			s.Change(func(m *script.Model) {
				for uid := range test.gone {
					m.Box("INBOX").Expunge(uint32(uid + 1))
				}
			})
			w.complete()
			if n := s.Connections() - before; n != test.connections {
				t.Errorf("%d connections, want %d", n, test.connections)
			}
			w.equals(s)
		})
	}
	t.Run("the second listing disagrees", func(t *testing.T) {
		t.Parallel()
		s, w := scripted(t, 300, script.Options{}, Options{})
		w.complete()
		first := s.Connections() + 1
		s.Change(func(m *script.Model) { m.Box("INBOX").Flag(1, `\Seen`); m.Box("INBOX").Expunge(7) })
		lie := func(connection int) bool { return connection == first }
		s.Misbehave(script.Faults{
			Listing: func(c script.Command, uids []uint32) []uint32 {
				if lie(c.Connection) {
					return uids[:10]
				}
				return uids
			},
			Exists: func(connection int, _ string, n int) int {
				if lie(connection) {
					return 10
				}
				return n
			},
		})
		w.complete()
		if n := w.text(`SELECT count(*) FROM entry WHERE expunged_at IS NOT NULL`); n != "1" {
			t.Errorf("%s entries were expunged, want 1", n)
		}
		w.equals(s)
	})
	t.Run("flags that change between the two listings", func(t *testing.T) {
		t.Parallel()
		s, w := scripted(t, 300, script.Options{}, Options{})
		w.complete()
		s.Change(func(m *script.Model) {
			m.Box("INBOX").Messages = m.Box("INBOX").Messages[:50]
			m.Box("INBOX").ModSeq++
		})
		second := s.Connections() + 2
		s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
			if c.Connection == second && c.Name == "EXAMINE" {
				s.Change(func(m *script.Model) { m.Box("INBOX").Flag(9, "$Between") })
			}
			return script.Answer
		}})
		w.complete()
		s.Misbehave(script.Faults{})
		w.complete()
		w.equals(s)
	})
}

// TestMailboxGoes: a mailbox that LIST lacks is gone, and returns with the same
// emails. Most of the mail goes only after a second LIST.
func TestMailboxGoes(t *testing.T) {
	s, w := scripted(t, 20, script.Options{}, Options{})
	put(s, "Archive", 300)
	put(s, "Lists", 10)
	w.complete()
	emails := w.emails()
	var lists, archive *script.Box
	s.Change(func(m *script.Model) { lists = m.Box("Lists"); m.Drop("Lists") })
	before := s.Connections()
	w.complete()
	w.equals(s)
	if n := s.Connections() - before; n != 1 {
		t.Errorf("a small mailbox: %d connections", n)
	}
	s.Change(func(m *script.Model) { m.Boxes = append(m.Boxes, lists) })
	w.complete()
	w.equals(s)
	if w.emails() != emails {
		t.Error("emails did not keep their ids")
	}
	s.Change(func(m *script.Model) { archive = m.Box("Archive"); m.Drop("Archive") })
	before = s.Connections()
	w.complete()
	w.equals(s)
	if n := s.Connections() - before; n != 2 {
		t.Errorf("most of the mail: %d connections, want 2", n)
	}
	archive.Attrs = `\Noselect \HasChildren`
	s.Change(func(m *script.Model) { m.Boxes = append(m.Boxes, archive) })
	w.complete()
	if got := w.lines(); len(got) != 30 {
		t.Errorf("%d messages, want 30", len(got))
	}
	archive.Attrs = ``
	w.complete()
	w.equals(s)
	if w.emails() != emails {
		t.Error("emails did not keep their ids")
	}
	// Only its name stays: its mail is gone.
	s.Change(func(m *script.Model) { m.Box("Archive").Attrs = `\NonExistent \HasChildren` })
	w.complete()
	for _, l := range w.lines() {
		if l.Mailbox == "Archive" {
			t.Fatal("the mail of a mailbox that cannot be opened is still shown")
		}
	}
	if paths := w.text(`SELECT path FROM mailboxes ORDER BY path`); !strings.Contains(paths, "Archive") {
		t.Errorf("mailboxes %q", paths)
	}
}
