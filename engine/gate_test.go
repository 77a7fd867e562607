package engine

import (
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/testkit/script"
)

// TestUnseenNoted: the number of unseen messages that is kept is what STATUS said before the mailbox was opened.
func TestUnseenNoted(t *testing.T) {
	for name, caps := range map[string]string{"LIST-STATUS": "", "STATUS": plainCaps} {
		t.Run(name, func(t *testing.T) {
			s, w := scripted(t, 6, script.Options{Capabilities: caps}, Options{})
			w.complete()
			if got := w.text(`SELECT pass_unseen FROM mailbox`); got != "2" {
				t.Errorf("unseen: %q", got)
			}
			s.Change(func(m *script.Model) { m.Box("INBOX").Flag(3, `\Seen`) })
			w.complete()
			if got := w.text(`SELECT pass_unseen FROM mailbox`); got != "1" {
				t.Errorf("unseen, after one was read: %q", got)
			}
			w.equals(s)
		})
	}
}

// since is how often each command came since the counts were taken.
func since(s *script.Server, before map[string]int) map[string]int {
	all := s.Counts()
	for name, n := range before {
		if all[name] -= n; all[name] == 0 {
			delete(all, name)
		}
	}
	return all
}

// TestFewCommands: what a pass costs in which nothing moved, and what a first one costs in which little is.
func TestFewCommands(t *testing.T) {
	const boxes, empty = 34, 300 // and INBOX
	signIn := func(more map[string]int) map[string]int {
		all := map[string]int{"GREETING": 1, "AUTHENTICATE": 1, "LOGIN": 1, "ID": 1, "LIST": 1, "LOGOUT": 1}
		maps.Copy(all, more)
		return all
	}
	for name, want := range map[string]struct {
		caps        string
		first, noOp map[string]int
		turns       int // at most, of the pass in which nothing moved
	}{
		"MODSEQ and LIST-STATUS": {"", signIn(map[string]int{"EXAMINE": boxes + 1, "UID FETCH": boxes + 1,
			"UID SEARCH": boxes + 1, "NOOP": boxes + 1}), signIn(nil), 8},
		"neither": {plainCaps, signIn(map[string]int{"STATUS": boxes + empty + 1, "EXAMINE": boxes + 1,
			"UID FETCH": boxes + 1, "UID SEARCH": boxes + 1, "NOOP": boxes + 1}), signIn(map[string]int{
			"STATUS": boxes + empty + 1, "EXAMINE": boxes + 1, "UID FETCH": boxes + 1}), 8 + 11 + 3},
	} {
		t.Run(name, func(t *testing.T) {
			s, w := scripted(t, 2, script.Options{Capabilities: want.caps}, Options{})
			for i := range boxes {
				put(s, fmt.Sprintf("Box %d", i), 2)
			}
			s.Change(func(m *script.Model) {
				for i := range empty {
					m.Box(fmt.Sprintf("Empty %d", i))
				}
			})
			w.complete()
			if got := s.Counts(); fmt.Sprint(got) != fmt.Sprint(want.first) {
				t.Errorf("first pass: %v, want %v", got, want.first)
			}
			if got := w.text(`SELECT count(*) FROM mailbox WHERE pass_at IS NOT NULL AND uidvalidity = 1000`); got !=
				fmt.Sprint(boxes+empty+1) {
				t.Errorf("%s mailboxes are complete", got)
			}
			before, turns := s.Counts(), s.Turns()
			w.complete()
			if got := since(s, before); fmt.Sprint(got) != fmt.Sprint(want.noOp) {
				t.Errorf("second pass: %v, want %v", got, want.noOp)
			}
			if got := s.Turns() - turns; got > want.turns {
				t.Errorf("second pass: %d round trips", got)
			}
			w.equals(s)
		})
	}
}

// TestOnceFull: STATUS says that a mailbox is empty. One that held mail is opened all the same, and its mail goes
// only when the mailbox itself shows that it is gone.
func TestOnceFull(t *testing.T) {
	for name, lie := range map[string]bool{"it is": false, "it is not": true} {
		t.Run(name, func(t *testing.T) {
			s, w := several(t, script.Options{}, Options{}, "Box")
			w.complete()
			if lie {
				s.Misbehave(script.Faults{Line: func(c script.Command, line string) string {
					if strings.HasPrefix(line, `* STATUS "Box"`) {
						return `* STATUS "Box" (MESSAGES 0 UNSEEN 0 UIDNEXT 3 UIDVALIDITY 1000 HIGHESTMODSEQ 9)`
					}
					return line
				}})
			} else {
				s.Change(func(m *script.Model) { m.Box("Box").Expunge(1, 2) })
			}
			opened := s.Count("EXAMINE")
			w.complete()
			if s.Count("EXAMINE") == opened {
				t.Error("it was not opened")
			}
			w.equals(s)
		})
	}
}

// TestEmptyThenFull: a mailbox that was never opened because it was empty has its mail as soon as there is some,
// under another UIDVALIDITY too.
func TestEmptyThenFull(t *testing.T) {
	for _, validity := range []uint32{1000, 2000} {
		s, w := several(t, script.Options{}, Options{})
		s.Change(func(m *script.Model) { m.Box("Box") })
		w.complete()
		w.complete()
		s.Change(func(m *script.Model) { m.Box("Box").UIDValidity = validity })
		w.complete()
		put(s, "Box", 3)
		w.complete()
		w.equals(s)
	}
}

// TestUIDNextOfStatus: where EXAMINE gives no UIDNEXT, that of STATUS counts: what did not move is not opened, and
// nothing is asked for twice.
func TestUIDNextOfStatus(t *testing.T) {
	s, w := scripted(t, 6, script.Options{}, Options{})
	s.Change(func(m *script.Model) { m.Box("INBOX").Expunge(6) }) // UIDNEXT cannot be told from what is left
	s.Misbehave(script.Faults{Line: func(c script.Command, line string) string {
		if strings.HasPrefix(line, "* OK [UIDNEXT") {
			return ""
		}
		return line
	}})
	w.complete()
	opened := s.Count("EXAMINE")
	w.complete()
	if s.Count("EXAMINE") != opened {
		t.Error("it was opened though nothing moved")
	}
	s.Change(func(m *script.Model) { m.Box("INBOX").Flag(5, "$Work") })
	before := s.Counts()
	w.complete()
	if got := since(s, before); got["UID FETCH"] != 1 || got["UID SEARCH"] != 1 || got["NOOP"] != 0 {
		t.Errorf("for one flag: %v", got)
	}
	w.equals(s)
}

// TestFlagsWithoutModSeq: a flag that changes no number of STATUS is found by the next sync that a person asks for.
func TestFlagsWithoutModSeq(t *testing.T) {
	s, w := several(t, script.Options{Capabilities: plainCaps}, Options{}, "A", "B")
	w.complete()
	s.Change(func(m *script.Model) { m.Box("B").Flag(1, `\Seen`, "$Later"); m.Box("A").Flag(2, `\Answered`, `\Seen`) })
	opened := s.Count("UID SEARCH")
	w.complete()
	w.equals(s)
	if n := s.Count("UID SEARCH") - opened; n != 2 {
		t.Errorf("%d mailboxes had a pass of their own", n)
	}
}

// TestFlagsUnsaid: a mailbox whose flags were not all said is opened again by every pass, a background one too.
func TestFlagsUnsaid(t *testing.T) {
	s, w := scripted(t, 6, script.Options{Capabilities: plainCaps}, Options{})
	w.complete()
	s.Change(func(m *script.Model) { m.Box("INBOX").Flag(3, `\Seen`) })
	s.Misbehave(script.Faults{Line: func(c script.Command, line string) string {
		if c.Name == "UID FETCH" && strings.Contains(line, "(UID 2 ") {
			return ""
		}
		return line
	}})
	w.complete()
	if got := w.text(`SELECT count(*) FROM mailbox WHERE pass_unseen IS NOT NULL OR flags_at > pass_at`); got != "0" {
		t.Error("it counts as compared")
	}
}

// TestFlagsBreakSession: a mailbox whose flags end the session when they are compared costs no other one its pass.
func TestFlagsBreakSession(t *testing.T) {
	s, w := several(t, script.Options{Capabilities: plainCaps}, Options{}, "A", "B", "C")
	w.complete()
	s.Change(func(m *script.Model) { m.Box("C").Flag(1, "$Later") })
	var broken atomic.Int32
	s.Misbehave(script.Faults{Last: func(c script.Command, line string) (string, bool) {
		if c.Name == "UID FETCH" && c.Box == "A" && strings.Contains(line, "FETCH (UID 2") && broken.Add(1) == 1 {
			return "* 2 FETCH )(", false
		}
		return "", false
	}})
	w.complete()
	if broken.Load() == 0 {
		t.Error("nothing broke")
	}
	w.complete()
	w.equals(s)
}

// TestFlightBreaks: a server that ends a session with several commands in flight gets one at a time.
func TestFlightBreaks(t *testing.T) {
	s, w := several(t, script.Options{Capabilities: plainCaps}, Options{}, "A", "B", "C")
	var flying atomic.Int32
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if c.Name == "STATUS" && c.Connection == 1 && flying.Add(1) == 2 {
			return script.Drop
		}
		return script.Answer
	}})
	w.complete()
	if flying.Load() != 2 {
		t.Fatalf("%d STATUS on the first connection", flying.Load())
	}
	turns := s.Turns()
	w.complete()
	if n := s.Turns() - turns; n < 4+2*4 {
		t.Errorf("%d round trips: several commands were in flight", n)
	}
	w.equals(s)
}

// TestRoundDue: what no number of STATUS shows and MODSEQ does not either is found when the mailbox's turn comes.
func TestRoundDue(t *testing.T) {
	now := atomic.Int64{}
	now.Store(time.Now().UnixNano())
	s, w := several(t, script.Options{}, Options{wall: func() time.Time { return time.Unix(0, now.Load()) }}, "A", "B")
	w.complete()
	s.Change(func(m *script.Model) { m.Box("A").Messages[0].Flags = `\Seen $Hidden` })
	opened := s.Count("EXAMINE")
	w.complete()
	if s.Count("EXAMINE") != opened {
		t.Error("mailboxes were opened before their turn")
	}
	now.Add(int64(24 * time.Hour))
	w.complete()
	w.equals(s)
}
