package engine

import (
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"mailcote/engine/reconcile"
	"mailcote/testkit/form"
	"mailcote/testkit/script"
)

var (
	flagsOnWire = regexp.MustCompile(` FLAGS \([^)]*\)`)
	unsaidUIDs  = regexp.MustCompile(`\(UID (3|503)[ )]`) // of two pages
)

// unsaid has no body say its flags, and the answers to the first n questions for flags leave out those of a
// message: its whole response, or its FLAGS item alone.
func unsaid(n int32, whole bool) script.Faults {
	var asked atomic.Int32
	return script.Faults{Line: func(c script.Command, line string) string {
		switch {
		case c.Name != "UID FETCH":
		case strings.Contains(c.Args, "BODY.PEEK[]"):
			return flagsOnWire.ReplaceAllString(line, "")
		case !strings.Contains(c.Args, "(UID FLAGS)") || !unsaidUIDs.MatchString(line) || asked.Add(1) > n:
		case whole:
			return ""
		default:
			return flagsOnWire.ReplaceAllString(line, "")
		}
		return line
	}}
}

// TestShortFlags: an answer that leaves flags out, under OK, vouches for none, whichever question it answers:
// once the server says them, the next pass has them, though nothing has changed since.
func TestShortFlags(t *testing.T) {
	const plain, always = "IMAP4rev1 SASL-IR AUTH=PLAIN", 1000
	questions := map[string]struct {
		caps  string
		whole bool
		setup func(s *script.Server, w *world)
	}{
		"behind bodies":                     {"", true, func(s *script.Server, _ *world) { put(s, "INBOX", 250) }},
		"behind bodies, the item":           {"", false, func(s *script.Server, _ *world) { put(s, "INBOX", 250) }},
		"behind bodies, without CONDSTORE":  {plain, true, func(s *script.Server, _ *world) { put(s, "INBOX", 250) }},
		"behind bodies, several pages":      {"", true, func(s *script.Server, _ *world) { put(s, "INBOX", 600) }},
		"behind bodies of a new generation": {"", true, elsewhere},
		"comparison": {"", true, func(s *script.Server, w *world) {
			put(s, "INBOX", 20)
			w.complete()
			s.Change(func(m *script.Model) { // a restored server: lower numbers, other flags
				b := m.Box("INBOX")
				b.ModSeq = 3
				for i := range b.Messages {
					b.Messages[i].ModSeq, b.Messages[i].Flags = 2, `\Answered`
				}
			})
		}},
		"comparison, without CONDSTORE": {plain, true, func(s *script.Server, w *world) {
			put(s, "INBOX", 20)
			w.complete()
			s.Change(func(m *script.Model) { m.Box("INBOX").Flag(3, `\Answered`) })
		}},
		"comparison while a generation is built": {"", true, func(s *script.Server, w *world) {
			elsewhere(s, w)
			w.stopAfter(s, 230)
			s.Change(func(m *script.Model) { m.Box("INBOX").Flag(3, `\Answered`) })
		}},
		"changes, the item": {"", false, func(s *script.Server, w *world) {
			put(s, "INBOX", 20)
			w.complete()
			s.Change(func(m *script.Model) { m.Box("INBOX").Flag(3, `\Answered`); m.Box("INBOX").Flag(5, "$New") })
		}},
	}
	times := []int32{1, 2, always}
	if form.Race {
		times = times[1:2]
	}
	for name, q := range questions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, n := range times {
				s, w := scripted(t, 0, script.Options{Capabilities: q.caps}, Options{})
				q.setup(s, w)
				s.Misbehave(unsaid(n, q.whole))
				w.complete()
				if got := w.text(`SELECT modseq || ' ' || pass_modseq FROM mailbox`); n == always && got != "0 0" {
					t.Errorf("vouched for up to MODSEQ %s", got)
				}
				if n > 1 {
					w.complete()
				}
				s.Misbehave(script.Faults{})
				w.complete()
				w.equals(s)
				opened := s.Count("EXAMINE")
				w.complete()
				if again := s.Count("EXAMINE") - opened; again > 0 && q.caps == "" {
					t.Errorf("%d times: nothing is vouched for after all", n)
				}
				w.close()
				s.Close()
			}
		})
	}
}

// elsewhere gives the mailbox another generation, in which nothing can be told from what the store holds.
func elsewhere(s *script.Server, w *world) {
	put(s, "INBOX", 1)
	w.complete()
	s.Change(func(m *script.Model) { b := m.Box("INBOX"); b.Messages = nil; b.Renumber(2000, 1) })
	put(s, "INBOX", 250)
}

// TestShortFlagsRefused: what came before a refusal of CHANGEDSINCE is no part of the comparison that takes its place.
func TestShortFlagsRefused(t *testing.T) {
	s, w := scripted(t, 20, script.Options{}, Options{})
	w.complete()
	s.Change(func(m *script.Model) { m.Box("INBOX").Flag(3, `\Answered`) })
	s.Misbehave(script.Faults{Line: func(c script.Command, line string) string {
		switch {
		case c.Name != "UID FETCH":
		case strings.Contains(c.Args, "CHANGEDSINCE"):
			return strings.Replace(line, "OK done", "BAD what is CHANGEDSINCE?", 1)
		case strings.Contains(line, "(UID 3 "):
			return ""
		}
		return line
	}})
	w.complete()
	s.Misbehave(script.Faults{})
	w.complete()
	w.equals(s)
}

// TestShortFlagsOfOthers: flags that nobody asked for do not make up for those that were.
func TestShortFlagsOfOthers(t *testing.T) {
	s, w := scripted(t, 20, script.Options{}, Options{})
	w.complete()
	s.Change(func(m *script.Model) { m.Box("INBOX").ModSeq = 3; m.Box("INBOX").Messages[2].Flags = `\Answered` })
	var ended atomic.Int32
	s.Misbehave(script.Faults{
		Last: func(c script.Command, line string) (string, bool) {
			if c.Name == "UID FETCH" && strings.Contains(line, "(UID 7 ") && ended.Add(1) <= reconcile.MaxFlagFailures {
				return "* 7 FETCH )(", false
			}
			return "", false
		},
		Line: func(c script.Command, line string) string {
			if c.Name != "UID FETCH" || ended.Load() < reconcile.MaxFlagFailures || !strings.Contains(line, "(UID 3 ") {
				return line
			}
			return "* 7 FETCH (UID 7 FLAGS ())"
		},
	})
	w.complete()
	if ended.Load() != reconcile.MaxFlagFailures {
		t.Fatalf("flags ended %d sessions", ended.Load())
	}
	s.Misbehave(script.Faults{})
	w.complete()
	if got := w.text(`SELECT flags FROM mail WHERE uid = 3`); got != `\Answered` {
		t.Errorf("the flags are %s", got)
	}
}

// TestFlagsTold: flags that the server tells of a message while another one is asked for are stored.
func TestFlagsTold(t *testing.T) {
	t.Run("with a page", func(t *testing.T) {
		s, w := scripted(t, 3, script.Options{}, Options{})
		w.complete()
		put(s, "INBOX", 1)
		s.Misbehave(script.Faults{Line: func(c script.Command, line string) string {
			if c.Name == "UID FETCH" && strings.Contains(c.Args, "BODY.PEEK[]") && strings.Contains(line, " OK ") {
				return "* 2 FETCH (UID 2 FLAGS ($Told))\r\n" + line
			}
			return line
		}})
		w.complete()
		if got := w.text(`SELECT group_concat(flags, ' ') FROM mail WHERE uid = 2`); got != "$Told" {
			t.Errorf("the flags are %q", got)
		}
	})
	t.Run("of a message that is not asked for", func(t *testing.T) {
		s, w := scripted(t, 20, script.Options{}, Options{})
		w.complete()
		s.Change(func(m *script.Model) { m.Box("INBOX").ModSeq = 3 }) // lower than before: all flags are compared
		var ended atomic.Int32
		s.Misbehave(script.Faults{
			Last: func(c script.Command, line string) (string, bool) {
				if c.Name == "UID FETCH" && strings.Contains(line, "(UID 7 ") &&
					ended.Add(1) <= reconcile.MaxFlagFailures {
					return "* 7 FETCH )(", false
				}
				return "", false
			},
			Line: func(c script.Command, line string) string {
				if c.Name == "UID FETCH" && ended.Load() >= reconcile.MaxFlagFailures &&
					strings.Contains(line, " OK ") {
					return "* 7 FETCH (UID 7 FLAGS ($Told))\r\n" + line
				}
				return line
			},
		})
		w.complete()
		if got := w.text(`SELECT flags FROM mail WHERE uid = 7`); got != "$Told" ||
			ended.Load() < reconcile.MaxFlagFailures {
			t.Errorf("the flags are %q, %d sessions ended", got, ended.Load())
		}
	})
}
