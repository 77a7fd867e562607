package engine

import (
	"strings"
	"testing"
	"time"

	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/testkit/script"
)

// unlisted leaves INBOX out of LIST, or shows it in other words; LIST-STATUS does not know it either.
func unlisted(as string) func(script.Command, string) string {
	return func(c script.Command, line string) string {
		switch {
		case c.Name != "LIST" || !strings.Contains(line, `"INBOX"`):
			return line
		case strings.HasPrefix(line, "* LIST"):
			return as
		}
		return ""
	}
}

// TestInboxNotListed: INBOX is asked for whatever LIST says, by servers with and without LIST-STATUS, and is
// never lost for that.
func TestInboxNotListed(t *testing.T) {
	for name, test := range map[string]struct{ caps, as string }{
		"left out":              {"", ""},
		"left out, with STATUS": {plainCaps, ""},
		"shown as a container":  {"", `* LIST (\Noselect) "/" "INBOX"` + "\r\n"},
		"said not to exist":     {plainCaps, `* LIST (\NonExistent) "/" inbox` + "\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := several(t, script.Options{Capabilities: test.caps}, Options{}, "Archive")
			hidden := script.Faults{Line: unlisted(test.as)}
			s.Misbehave(hidden)
			if sum := w.complete(); sum.Fetched != 4 || sum.Mailboxes != 2 {
				t.Errorf("%+v", sum)
			}
			for _, faults := range []script.Faults{hidden, {}, hidden} {
				put(s, "INBOX", 1)
				s.Misbehave(faults)
				w.complete()
				w.equals(s)
			}
			if n := w.text(`SELECT count(*) FROM mailbox WHERE path = 'INBOX'`); n != "1" {
				t.Errorf("%s INBOX", n)
			}
		})
	}
}

// TestNoInbox: where INBOX cannot be opened none is invented, and the account is complete without it. One that
// did open stays as long as it is not said to be gone.
func TestNoInbox(t *testing.T) {
	for answer, goes := range map[script.Action]bool{"NO [NONEXISTENT] no such mailbox": true,
		"NO cannot be opened": false} {
		t.Run(string(answer), func(t *testing.T) {
			t.Parallel()
			s, w := several(t, script.Options{}, Options{}, "Archive")
			shut := script.Faults{Line: unlisted(""), On: on(asks("INBOX", "EXAMINE"), answer)}
			s.Misbehave(shut)
			for range 2 {
				if sum := w.complete(); sum.Mailboxes != 1 {
					t.Errorf("%+v", sum)
				}
			}
			if n := w.text(`SELECT count(*) FROM mailbox WHERE path = 'INBOX'`); n != "0" {
				t.Errorf("%s INBOX", n)
			}
			if f := w.faults(); len(f) != 1 || f[0].Scope != "nothing" || !strings.Contains(f[0].NextStep, "INBOX") {
				t.Errorf("%+v", f)
			}
			s.Misbehave(script.Faults{})
			w.complete()
			w.equals(s)
			s.Misbehave(shut)
			if sum := w.complete(); (w.stored("INBOX") == "0") != goes {
				t.Errorf("%s messages, %+v", w.stored("INBOX"), sum)
			}
			s.Misbehave(script.Faults{})
			w.complete()
			w.equals(s)
		})
	}
}

// TestInboxOpensLater: an INBOX that is not listed and cannot be opened for a while is missing, and comes.
func TestInboxOpensLater(t *testing.T) {
	s, w := several(t, script.Options{}, Options{}, "Archive")
	s.Misbehave(script.Faults{Line: unlisted(""), On: on(asks("INBOX", "EXAMINE"), "NO [UNAVAILABLE] later")})
	sum := w.sync()
	if n := w.text(`SELECT count(*) FROM mailbox WHERE path = 'INBOX'`); sum.Result != Partial ||
		!strings.Contains(sum.Detail, "INBOX") || n != "0" {
		t.Errorf("%s INBOX, %+v", n, sum)
	}
	if w.stored("Archive") != "2" || w.rests() != "" {
		t.Errorf("%s in Archive, rests %q", w.stored("Archive"), w.rests())
	}
	s.Misbehave(script.Faults{Line: unlisted("")})
	w.complete()
	w.equals(s)
}

// TestListIsEmpty: a server that lists nothing has an INBOX all the same; where more was known before, that is
// looked at and nothing of it goes, and the pass is not complete.
func TestListIsEmpty(t *testing.T) {
	s, w := scripted(t, 2, script.Options{}, Options{})
	nothing := script.Faults{On: on(func(c script.Command) bool { return c.Name == "LIST" }, script.Bare)}
	s.Misbehave(nothing)
	w.complete()
	w.equals(s)
	put(s, "Archive", 2)
	s.Misbehave(script.Faults{})
	w.complete()
	put(s, "INBOX", 1)
	put(s, "Archive", 1)
	s.Misbehave(nothing)
	if sum := w.sync(); sum.Result != Partial || !strings.Contains(sum.Detail, "lists no mailbox at all") ||
		sum.Fetched != 2 {
		t.Errorf("%+v", sum)
	}
	w.equals(s)
	s.Misbehave(script.Faults{})
	w.complete()
}

// TestInboxBeyondTheCut: INBOX is synced although the server lists it behind more mailboxes than are taken.
func TestInboxBeyondTheCut(t *testing.T) {
	s, w := several(t, script.Options{}, Options{Limits: imap.Limits{Mailboxes: 2}}, "A", "B", "C")
	s.Change(func(m *script.Model) { m.Boxes = append(m.Boxes[1:], m.Boxes[0]) })
	if sum := w.sync(); sum.Result != Partial || w.stored("INBOX") != "2" || w.stored("A") != "2" {
		t.Errorf("%s in INBOX, %+v", w.stored("INBOX"), sum)
	}
}

// TestStatusOfManyRefused: two mailboxes whose STATUS is refused keep nobody from the others, wherever they are listed.
func TestStatusOfManyRefused(t *testing.T) {
	s, w := several(t, script.Options{Capabilities: plainCaps}, Options{least: func(policy.Wait, int) time.Duration {
		return 0
	}}, "Archive", "Bulk", "Later")
	w.complete()
	for _, box := range []string{"INBOX", "Archive", "Bulk", "Later"} {
		put(s, box, 1)
	}
	s.Misbehave(script.Faults{On: on(func(c script.Command) bool {
		return c.Name == "STATUS" && (strings.Contains(c.Args, "INBOX") || strings.Contains(c.Args, "Archive"))
	}, "NO [UNAVAILABLE] later")})
	w.complete() // the first attempt ends at those two, the next begins behind them
	w.equals(s)
}
