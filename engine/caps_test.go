package engine

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"mailcote/engine/plan"
	"mailcote/testkit/script"
)

// lists answers UID SEARCH of a mailbox with a set.
func lists(box, set string) func(script.Command, io.Writer) bool {
	return func(c script.Command, w io.Writer) bool {
		if c.Name != "UID SEARCH" || c.Box != box {
			return false
		}
		_, _ = fmt.Fprintf(w, "* ESEARCH (TAG %q) UID ALL %s\r\n%s OK done\r\n", c.Tag, set, c.Tag)
		return true
	}
}

// announces says a number of messages in a mailbox.
func announces(box string, n int) func(int, string, int) int {
	return func(_ int, name string, have int) int {
		if name == box {
			return n
		}
		return have
	}
}

// TestMailboxTooLarge: a mailbox that is said to be larger than a mailbox may be is one fault that names the
// number and the cap. It is opened once, costs no other mailbox anything, a restart meets it as well, and is
// complete when the server says less.
func TestMailboxTooLarge(t *testing.T) {
	for _, test := range []struct {
		name   string
		exists int
		set    string
		said   string // in the fault
	}{
		{"both", 4294967295, "1:4294967295", "4294967295 messages"},
		{"the number", 51, "1:51", "51 messages"},
		{"the listing", 3, "1:4294967295", "4294967295 messages"},
		{"the listing, upside down", 3, "4294967295:1", "4294967295 messages"},
		{"the listing in two ranges", 3, "1:30,1000:1029", "60 messages"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, w := scripted(t, 3, script.Options{}, Options{caps: plan.Caps{Messages: 50}})
			put(s, "Other", 2)
			s.Misbehave(script.Faults{Exists: announces("INBOX", test.exists), Raw: lists("INBOX", test.set)})
			for range 2 {
				before := s.Count("EXAMINE")
				if sum := w.sync(); sum.Result != Partial {
					t.Errorf("%+v", sum)
				}
				if n := s.Count("EXAMINE") - before; n > 2 {
					t.Errorf("%d mailboxes were opened", n)
				}
				if n := w.text(`SELECT count(*) FROM mail WHERE mailbox = 'Other'`); n != "2" {
					t.Errorf("%s messages in the other mailbox", n)
				}
				w.restart()
			}
			if n := s.Count("UID SEARCH"); test.exists > 50 && n > 1 { // that of the other mailbox
				t.Errorf("%d mailboxes were listed", n)
			}
			f := w.faults()[0]
			if f.Class != "protocol" || f.Scope != "mailbox" || f.MailboxPath != "INBOX" ||
				!strings.Contains(f.Detail, test.said) ||
				!strings.Contains(f.Detail, "50 are the most") ||
				!strings.Contains(f.NextStep, "move part of its mail") {
				t.Errorf("%+v", f)
			}
			s.Misbehave(script.Faults{})
			w.complete()
			w.equals(s)
		})
	}
}

// TestMailboxAsLargeAsAllowed: the cap itself is no fault.
func TestMailboxAsLargeAsAllowed(t *testing.T) {
	s, w := scripted(t, 5, script.Options{}, Options{caps: plan.Caps{Messages: 5}})
	w.complete()
	w.equals(s)
}

// TestInventedMessages: messages that a server lists and never gives fill the quarantine to its cap and no
// further, with few commands, while what is newer arrives, in other mailboxes too.
func TestInventedMessages(t *testing.T) {
	const listed, most = 200_000, 1200
	for _, test := range []struct {
		name string
		caps plan.Caps
	}{{"of a mailbox", plan.Caps{Aside: most}}, {"of an account", plan.Caps{AllAside: most}}} {
		t.Run(test.name, func(t *testing.T) {
			s, w := scripted(t, 0, script.Options{}, Options{caps: test.caps})
			put(s, "Other", 2)
			s.Change(func(m *script.Model) {
				box := m.Box("INBOX")
				box.UIDNext = listed
				box.Add(mail("INBOX", 1))
			})
			s.Misbehave(script.Faults{Exists: announces("INBOX", listed),
				Raw: lists("INBOX", "1:"+strconv.Itoa(listed))})
			for range 2 {
				before := s.Count("UID FETCH")
				if sum := w.sync(); sum.Result != Partial || sum.Quarantined != most {
					t.Errorf("%+v", sum)
				}
				if n := s.Count("UID FETCH") - before; n > 2000 {
					t.Errorf("%d FETCH commands", n)
				}
				if f := w.faults()[0]; f.Class != "protocol" || f.Scope != "mailbox" ||
					!strings.Contains(f.Detail, "the quarantine takes") {
					t.Errorf("%+v", f)
				}
				if n := w.text(`SELECT count(*) FROM mail`); n != "3" {
					t.Errorf("%s messages arrived", n)
				}
				w.restart()
			}
			s.Misbehave(script.Faults{})
			w.complete()
			w.equals(s)
			if n := w.text(`SELECT count(*) FROM quarantine`); n != "0" {
				t.Errorf("%s rows are left", n)
			}
		})
	}
}

// TestLackOnEachPage: messages that do not come do not have the whole mailbox listed for each page.
func TestLackOnEachPage(t *testing.T) {
	s, w := scripted(t, 2000, script.Options{}, Options{})
	s.Misbehave(script.Faults{Message: func(_ string, uid uint32) script.Fault {
		if uid%500 == 7 {
			return script.Omit
		}
		return script.Whole
	}})
	if sum := w.sync(); sum.Quarantined != 4 {
		t.Errorf("%+v", sum)
	}
	if n := s.Count("UID SEARCH"); n > 2 {
		t.Errorf("the mailbox was listed %d times", n)
	}
}

// TestManyChangedFlags: more changes than are kept at once come in parts, by CHANGEDSINCE or without, and none is lost.
func TestManyChangedFlags(t *testing.T) {
	for _, caps := range []string{script.Capabilities, "IMAP4rev1 LITERAL+ SASL-IR ID ESEARCH AUTH=PLAIN"} {
		s, w := scripted(t, 45, script.Options{Capabilities: caps}, Options{caps: plan.Caps{Flags: 10}})
		w.complete()
		s.Change(func(m *script.Model) {
			for uid := range uint32(45) {
				m.Box("INBOX").Flag(uid+1, fmt.Sprintf(`\Seen $k%d`, uid))
			}
		})
		w.complete()
		w.equals(s)
	}
}

// TestLongFlags: an answer with more octets of new flags than are kept is a fault of its mailbox, and each pass
// has fewer left.
func TestLongFlags(t *testing.T) {
	s, w := scripted(t, 10, script.Options{}, Options{caps: plan.Caps{Octets: 300}})
	put(s, "Other", 1)
	w.complete()
	s.Change(func(m *script.Model) {
		for uid := range uint32(10) {
			m.Box("INBOX").Flag(uid+1, "$"+strings.Repeat("k", 99))
		}
		m.Box("Other").Flag(1, `\Seen`)
	})
	syncs := 1
	for ; w.sync().Result == Partial && syncs < 10; syncs++ {
		if f := w.faults()[0]; f.Class != "protocol" || f.Scope != "mailbox" ||
			!strings.Contains(f.Detail, "octets of new flags") {
			t.Errorf("%+v", f)
		}
	}
	if syncs < 3 || syncs > 6 {
		t.Errorf("%d syncs", syncs)
	}
	w.equals(s)
}

// TestFlagsOverAndOver: a server that says the flags of one message without end is heard to the end of its
// answer, and what it said last counts.
func TestFlagsOverAndOver(t *testing.T) {
	s, w := scripted(t, 3, script.Options{}, Options{caps: plan.Caps{Flags: 3, Octets: 100}})
	w.complete()
	s.Change(func(m *script.Model) { m.Box("INBOX").Flag(2, "$last") })
	s.Misbehave(script.Faults{Line: func(c script.Command, line string) string {
		if c.Name != "UID FETCH" || !strings.Contains(line, "FETCH (UID 2 ") {
			return line
		}
		var b strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&b, "* 2 FETCH (UID 2 FLAGS ($n%d))\r\n", i)
		}
		return b.String() + line
	}})
	w.complete()
	w.equals(s)
}

// TestOtherNamesEachTime: a server that lists its mailboxes under other names each time does not fill the store,
// nor what is shown of it, and INBOX is synced all the same.
func TestOtherNamesEachTime(t *testing.T) {
	s, w := scripted(t, 1, script.Options{}, Options{caps: plan.Caps{Rows: 20}})
	for i := range 9 {
		s.Change(func(m *script.Model) { m.Boxes = m.Boxes[:1] })
		for n := range 8 {
			put(s, fmt.Sprintf("Box %d of %d", n, i), 1)
		}
		put(s, "INBOX", 1)
		sum := w.sync()
		if cut := i > 1; cut != (sum.Result == Partial) {
			t.Errorf("sync %d: %+v", i, sum)
		}
	}
	if n := w.text(`SELECT count(*) FROM mailbox`); n != "20" {
		t.Errorf("%s rows", n)
	}
	if n := w.text(`SELECT count(*) FROM mail WHERE mailbox = 'INBOX'`); n != "10" {
		t.Errorf("%s messages in INBOX", n)
	}
	if n := len(w.engine.Progress()[0].Mailboxes); n > 9 {
		t.Errorf("%d mailboxes are shown", n)
	}
	faults := w.faults()
	if len(faults) != 1 || faults[0].Class != "protocol" || !strings.Contains(faults[0].Detail,
		"the store keeps 20") || !strings.Contains(faults[0].NextStep, "other names") {
		t.Errorf("%+v", faults)
	}
}

// TestRenumberedAndLarge: a renumbered mailbox that is too large for a comparison is downloaded instead.
func TestRenumberedAndLarge(t *testing.T) {
	for _, test := range []struct {
		most     int
		download bool
	}{{20, false}, {19, true}} {
		s, w := scripted(t, 10, script.Options{}, Options{caps: plan.Caps{Rebound: test.most}})
		w.complete()
		var bodies atomic.Int32
		s.Misbehave(script.Faults{Validity: func(_ int, _ string, v uint32) uint32 {
			return v + 1
		}, On: func(c script.Command) script.Action {
			if c.Name == "UID FETCH" && strings.Contains(c.Args, "BODY.PEEK[]") {
				bodies.Add(1)
			}
			return script.Answer
		}})
		w.complete()
		if got := bodies.Load() > 0; got != test.download {
			t.Errorf("at most %d: downloaded %v", test.most, got)
		}
		if n := w.text(`SELECT count(*) FROM mail`); n != "10" {
			t.Errorf("%s messages", n)
		}
	}
}
