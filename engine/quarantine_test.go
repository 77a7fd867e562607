package engine

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine/imap"
	"mailcote/storage/class"
	"mailcote/testkit/script"
)

// TestUnreadableMessage: whatever is wrong with one message, it alone is set aside, and it comes when the server
// is mended.
func TestUnreadableMessage(t *testing.T) {
	const bad = 41
	tests := []struct {
		name   string
		fault  script.Fault
		class  class.Class // of a fault recorded beside the quarantine
		not    class.Class // a class no fault has: the message is the cause, not the line
		says   string      // the server's words or ours
		limits imap.Limits
	}{
		{name: "refused", fault: script.Refuse, says: "NO [SERVERBUG] cannot read a message"},
		{name: "refused at the end", fault: script.RefuseLate, says: "NO some messages could not be read"},
		{name: "left out", fault: script.Omit, says: "does not deliver it"},
		{name: "nil", fault: script.Nil, says: "does not deliver it"},
		{name: "literal too long", fault: script.TooLong, class: "protocol", not: "timeout",
			says: "unreadable answer", limits: imap.Limits{Progress: 500 * time.Millisecond}},
		{name: "literal too short", fault: script.TooShort, class: "protocol", says: "unreadable answer"},
		{name: "cut inside", fault: script.Cut, not: "network", says: "closed the connection at UID FETCH"},
		{name: "cut before anything", fault: script.CutEarly, class: "network",
			says: "closed the connection at UID FETCH"},
		{name: "huge literal", fault: script.Huge, class: "protocol", says: "literal of 1099511627776 octets"},
		{name: "literal {-1}", fault: script.Negative, class: "protocol", says: "literal without a size"},
		{name: "literal 2^63", fault: script.Overflow, class: "protocol",
			says: "literal of 9223372036854775808 octets"},
		{name: "size not a number", fault: script.Garbled, class: "protocol", says: "unreadable answer"},
		{name: "silent inside", fault: script.Stall, not: "timeout", says: "stalled",
			limits: imap.Limits{Progress: 500 * time.Millisecond}},
	}
	for _, test := range tests {
		for _, place := range []struct {
			name string
			n    int
		}{{"among others", 120}, {"newest", bad}} {
			t.Run(test.name+", "+place.name, func(t *testing.T) {
				t.Parallel()
				s, w := scripted(t, place.n, script.Options{}, Options{Limits: test.limits})
				put(s, "Archive", 30)
				s.Misbehave(script.Faults{Message: func(box string, uid uint32) script.Fault {
					if box == "INBOX" && uid == bad {
						return test.fault
					}
					return script.Whole
				}})
				sum := w.sync()
				if sum.Result != Partial || sum.Quarantined != 1 || sum.Fetched != int64(place.n+30-1) {
					t.Fatalf("summary %+v", sum)
				}
				w.equals(s, bad)
				var row, beside bool
				for _, f := range w.faults() {
					if f.Class == "parsing" && f.UID == bad && f.MailboxPath == "INBOX" &&
						strings.Contains(f.ServerText+f.Detail, test.says) {
						row = true
					}
					beside = beside || f.Class == test.class
					if f.Class == test.not {
						t.Errorf("a fault of the line: %+v", f)
					}
				}
				if !row || test.class != "" && !beside {
					t.Errorf("no fault of the message among %+v", w.faults())
				}
				if held := w.text(`SELECT lo || '-' || hi FROM coverage c
					JOIN mailbox m ON m.id = c.mailbox_id
					WHERE m.path = 'INBOX' AND ? BETWEEN lo AND hi`, bad); held != "" {
					t.Errorf("coverage %s vouches for UID %d", held, bad)
				}
				if left := w.tasks(); len(left) > 0 {
					t.Errorf("unfinished tasks: %+v", left)
				}
				s.Misbehave(script.Faults{})
				if sum := w.sync(); sum.Result != Complete || sum.Quarantined != 0 || sum.Fetched != 1 {
					t.Errorf("after mending: %+v", sum)
				}
				w.equals(s)
				if left := w.text(`SELECT uid FROM quarantine`); left != "" {
					t.Errorf("still in quarantine: %s", left)
				}
			})
		}
	}
}

// TestManyUnreadable: as many as you like are set aside, with a number of commands in proportion, and a message
// that leaves takes its quarantine with it.
func TestManyUnreadable(t *testing.T) {
	s, w := scripted(t, 400, script.Options{}, Options{})
	s.Misbehave(script.Faults{Message: func(_ string, uid uint32) script.Fault {
		switch {
		case uid%40 == 0:
			return script.Refuse
		case uid%40 == 7:
			return script.Omit
		}
		return script.Whole
	}})
	if sum := w.sync(); sum.Result != Partial || sum.Quarantined != 20 || sum.Fetched != 380 {
		t.Fatalf("summary %+v", sum)
	}
	if n := s.Count("UID FETCH"); n > 20*2*9 {
		t.Errorf("%d FETCH commands for 20 unreadable messages", n)
	}
	s.Change(func(m *script.Model) { m.Box("INBOX").Expunge(40, 47) })
	if sum := w.sync(); sum.Result != Partial || sum.Quarantined != 18 {
		t.Fatalf("after an expunge: %+v", sum)
	}
	s.Misbehave(script.Faults{})
	w.complete()
	w.equals(s)
}

// TestThrottledFetch: a NO that is about the account is no verdict on messages.
func TestThrottledFetch(t *testing.T) {
	for _, answer := range []script.Action{"NO [LIMIT] slow down", "NO [UNAVAILABLE] later",
		"BYE [UNAVAILABLE] going down"} {
		t.Run(string(answer), func(t *testing.T) {
			s, w := scripted(t, 50, script.Options{}, Options{least: soon})
			var once atomic.Bool
			s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
				if c.Name == "UID FETCH" && !once.Swap(true) {
					return answer
				}
				return script.Answer
			}})
			sum := w.sync()
			if strings.Contains(string(answer), "LIMIT") {
				if sum.Result != Failed || sum.Class != "quota" || len(w.tasks()) != 1 {
					t.Fatalf("summary %+v, tasks %+v", sum, w.tasks())
				}
			} else if sum.Result != Complete {
				t.Fatalf("summary %+v", sum)
			}
			if held := w.text(`SELECT uid FROM quarantine`); held != "" {
				t.Errorf("quarantined: %s", held)
			}
		})
	}
}

// TestRefusedMailbox: one mailbox that cannot be opened is named and does not go round for ever.
func TestRefusedMailbox(t *testing.T) {
	for _, test := range []struct {
		name string
		on   script.Action
	}{
		{name: "NO", on: "NO [X-CLOSED] not for you"},
		{name: "NO without code", on: "NO broken index"},
		{name: "BAD", on: "BAD no"},
		{name: "dropped", on: script.Drop},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 20, script.Options{}, Options{})
			put(s, "Broken", 5)
			put(s, "Later", 5)
			faults := script.Faults{On: func(c script.Command) script.Action {
				if c.Name == "EXAMINE" && strings.Contains(c.Args, "Broken") {
					return test.on
				}
				return script.Answer
			}}
			s.Misbehave(faults)
			sum := w.sync()
			if sum.Result != Partial || sum.Fetched < 20 {
				t.Fatalf("summary %+v", sum)
			}
			if n := s.Count("EXAMINE"); n > 20 {
				t.Errorf("%d EXAMINEs", n)
			}
			s.Misbehave(script.Faults{})
			w.complete()
			w.equals(s)
			// Complete once, a mailbox that fails later must not be called complete.
			put(s, "Broken", 1)
			s.Misbehave(faults)
			if sum := w.sync(); sum.Result == Complete {
				t.Errorf("a message is missing and the result is %+v", sum)
			}
		})
	}
}
