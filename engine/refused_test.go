package engine

import (
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine/fault/policy"
	"mailcote/engine/plan"
	"mailcote/testkit/script"
)

// TestConsent: messages that a listing lacks go when the server refuses to give them, and not when its words are
// about a limit, the line or the mailbox.
func TestConsent(t *testing.T) {
	for answer, consents := range map[script.Action]bool{
		"NO nothing of that is left":           true,
		"BAD Invalid messageset":               true,
		"NO [EXPUNGEISSUED] they were deleted": true,
		"NO [THROTTLED] slow down":             false,
		"NO [LIMIT] too much":                  false,
		"NO [OVERQUOTA] not today":             false,
		"NO [UNAVAILABLE] later":               false,
		"NO [INUSE] held by another program":   false,
		"BAD Request is throttled.":            false,
	} {
		t.Run(string(answer), func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 20, script.Options{}, Options{least: func(policy.Wait, int) time.Duration { return 0 }})
			w.complete()
			s.Misbehave(script.Faults{
				Listing: func(_ script.Command, uids []uint32) []uint32 {
					return slices.Delete(slices.Clone(uids), 4, 5)
				},
				Exists: func(_ int, _ string, n int) int { return n - 1 },
				On: on(func(c script.Command) bool {
					return c.Name == "UID FETCH" && strings.HasPrefix(c.Args, "5 ")
				}, answer),
			})
			sum, want := w.sync(), 20
			if consents {
				want = 19
			}
			if left := len(w.lines()); left != want || (sum.Result == Complete) != consents {
				t.Errorf("%d messages are left, want %d; %+v", left, want, sum)
			}
		})
	}
}

// TestThrottledIsNoRefusal: a command that a limit ended is not asked in another way, and nothing is downloaded
// in its place.
func TestThrottledIsNoRefusal(t *testing.T) {
	for name, test := range map[string]struct {
		caps    string
		change  func(*script.Box)
		refuses func(script.Command) bool
	}{
		"EXAMINE": {"", func(b *script.Box) { b.Add(mail("INBOX", 21)) },
			func(c script.Command) bool { return c.Name == "EXAMINE" }},
		"STATUS": {"IMAP4rev1 SASL-IR AUTH=PLAIN", func(b *script.Box) { b.Add(mail("INBOX", 21)) },
			func(c script.Command) bool { return c.Name == "STATUS" || c.Name == "EXAMINE" }},
		"flags": {"", func(b *script.Box) { b.Flag(3, "$New") },
			func(c script.Command) bool { return c.Name == "UID FETCH" && !strings.Contains(c.Args, "BODY") }},
		"headers": {"", func(b *script.Box) { b.Renumber(2000, 1) },
			func(c script.Command) bool { return c.Name == "UID FETCH" }},
		"reused": {"", func(b *script.Box) { b.Messages, b.UIDNext = b.Messages[:10], 11; b.Add(mail("other", 11)) },
			func(c script.Command) bool { return c.Name == "UID FETCH" && strings.Contains(c.Args, "HEADER") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 20, script.Options{Capabilities: test.caps}, Options{})
			w.complete()
			s.Change(func(m *script.Model) { test.change(m.Box("INBOX")) })
			var refused, bodies atomic.Int32
			s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
				switch {
				case test.refuses(c):
					refused.Add(1)
					return "BAD Request is throttled."
				case strings.Contains(c.Args, "BODY.PEEK[]"):
					bodies.Add(1)
				}
				return script.Answer
			}})
			sum := w.sync()
			if sum.Class != "quota" || refused.Load() != 1 || bodies.Load() != 0 {
				t.Errorf("refused %d times, %d pages of bodies, %+v", refused.Load(), bodies.Load(), sum)
			}
		})
	}
}

// TestUnavailableStatus: a server that is unavailable is not asked for each mailbox, and no mailbox is opened
// instead; words about mailboxes, or about one alone, let them be opened.
func TestUnavailableStatus(t *testing.T) {
	for _, test := range []struct {
		answer script.Action
		of     string // the mailbox; "": all
		ends   bool
	}{
		{"NO [UNAVAILABLE] later", "", true},
		{"NO [UNAVAILABLE] later", "Box 7", false},
		{"NO [AUTHORIZATIONFAILED] not for you", "", false},
		{"NO [NONEXISTENT] there is none", "", false},
		{"NO [X-NEVER-HEARD-OF] words", "", false},
		{"BAD nothing that we know how to do it", "", false},
	} {
		t.Run(string(test.answer)+" "+test.of, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 5, script.Options{Capabilities: "IMAP4rev1 SASL-IR AUTH=PLAIN"}, Options{least: soon})
			for i := range 30 {
				put(s, "Box "+strconv.Itoa(i), 1)
			}
			w.complete()
			status, opened := s.Count("STATUS"), s.Count("EXAMINE")
			s.Misbehave(script.Faults{On: on(func(c script.Command) bool {
				return c.Name == "STATUS" && strings.Contains(c.Args, test.of)
			}, test.answer)})
			sum := w.sync()
			status, opened = s.Count("STATUS")-status, s.Count("EXAMINE")-opened
			if test.ends && (sum.Result != Failed || status > 2*plan.Fruitless || opened > 0) || !test.ends &&
				(sum.Result != Complete || status != 31 || opened != 31) {
				t.Errorf("%d STATUS, %d EXAMINE, %+v", status, opened, sum)
			}
			s.Misbehave(script.Faults{})
			w.complete()
			w.equals(s)
		})
	}
}
