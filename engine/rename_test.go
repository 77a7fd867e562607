package engine

import (
	"strings"
	"testing"

	"mailcote/testkit/dovecot"
	"mailcote/testkit/script"
	"mailcote/testkit/truth"
)

// rows gives the mailboxes that are not gone, by row and name.
func (w *world) rows() string {
	w.t.Helper()
	return w.text(`SELECT id || ' ' || path FROM mailbox WHERE gone_at IS NULL ORDER BY id`)
}

// feed gives what the change feed says since a number, in order.
func (w *world) feed(since string) string {
	w.t.Helper()
	return w.text(`SELECT type || ' ' || CASE WHEN destroyed THEN 'destroyed'
		WHEN created_no > ?1 THEN 'created' ELSE 'updated' END
		FROM change WHERE changed_no > CAST(?1 AS INTEGER) ORDER BY changed_no`, since)
}

func (w *world) changeNo() string {
	w.t.Helper()
	return w.text(`SELECT value FROM meta WHERE key = 'change_no'`)
}

// numbered gives mailboxes UIDVALIDITYs of their own.
func numbered(s *script.Server, boxes ...string) {
	s.Change(func(m *script.Model) {
		for i, box := range boxes {
			m.Box(box).UIDValidity = 7000 + uint32(i)
		}
	})
}

// renameBoxes gives mailboxes other names, all at once.
func renameBoxes(s *script.Server, pairs ...string) {
	s.Change(func(m *script.Model) {
		moved := map[*script.Box]string{}
		for i := 0; i < len(pairs); i += 2 {
			moved[m.Box(pairs[i])] = pairs[i+1]
		}
		for b, name := range moved {
			b.Name = name
		}
	})
}

// TestRename: a mailbox with another name is the same mailbox. Nothing is
// downloaded, and its row, its emails and what is vouched for stay.
func TestRename(t *testing.T) {
	for _, test := range []struct {
		name, caps string
		boxes      []string // INBOX and these, 30 messages each
		numbered   bool     // each has another UIDVALIDITY
		pairs      []string // old and new names
		change     func(m *script.Model)
		rows       string
	}{
		{name: "renamed", boxes: []string{"Plans"}, pairs: []string{"Plans", "Old plans"},
			rows: "1 INBOX\n2 Old plans"},
		{name: "without STATUS in LIST", caps: plainCaps, boxes: []string{"Plans"},
			pairs: []string{"Plans", "Old plans"}, rows: "1 INBOX\n2 Old plans"},
		{name: "with a role", boxes: []string{"Plans"}, pairs: []string{"Plans", "Trash"}, rows: "1 INBOX\n2 Trash"},
		{name: "and changed meanwhile", boxes: []string{"Plans"}, pairs: []string{"Plans", "Done"},
			change: func(m *script.Model) {
				b := m.Box("Done")
				b.Expunge(2, 30)
				b.Flag(7, `\Answered`)
			}, rows: "1 INBOX\n2 Done"},
		{name: "and flags that STATUS does not show, there and elsewhere", caps: plainCaps,
			boxes: []string{"Plans", "Notes"}, numbered: true, pairs: []string{"Plans", "Done"},
			change: func(m *script.Model) {
				m.Box("Notes").Flag(7, `\Answered`)
				m.Box("Done").Flag(9, `\Answered`)
			}, rows: "1 INBOX\n2 Done\n3 Notes"},
		{name: "its parent renamed, one number for all", boxes: []string{"Work", "Work/Sales", "Work/Team", "Home"},
			pairs: []string{"Work", "Job", "Work/Sales", "Job/Sales", "Work/Team", "Job/Team"},
			rows:  "1 INBOX\n2 Job\n3 Job/Sales\n4 Job/Team\n5 Home"},
		{name: "two swapped", boxes: []string{"Plans", "Notes"}, numbered: true,
			pairs: []string{"Plans", "Notes", "Notes", "Plans"}, rows: "1 INBOX\n2 Notes\n3 Plans"},
		{name: "three in a ring", boxes: []string{"A", "B", "C"}, numbered: true,
			pairs: []string{"A", "B", "B", "C", "C", "A"}, rows: "1 INBOX\n2 B\n3 C\n4 A"},
		{name: "moved up into a free name", boxes: []string{"A", "B"}, numbered: true,
			pairs: []string{"A", "B", "B", "C"}, rows: "1 INBOX\n2 B\n3 C"},
		{name: "INBOX emptied into another one", boxes: []string{"Plans"}, numbered: true,
			pairs: []string{"INBOX", "Everything"}, change: func(m *script.Model) { m.Box("INBOX").UIDValidity = 8000 },
			rows: "1 Everything\n2 Plans\n3 INBOX"},
		{name: "and a new one under the old name", boxes: []string{"Plans"}, pairs: []string{"Plans", "Plans of 2024"},
			change: func(m *script.Model) { m.Box("Plans").UIDValidity = 8000 },
			rows:   "1 INBOX\n2 Plans of 2024\n3 Plans"},
		{name: "only its children keep the old name", boxes: []string{"Plans"}, pairs: []string{"Plans", "Done"},
			change: func(m *script.Model) { m.Box("Plans").Attrs = `\NonExistent \HasChildren` },
			rows:   "1 INBOX\n2 Done\n3 Plans"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, w := scripted(t, 30, script.Options{Capabilities: test.caps}, Options{})
			for _, box := range test.boxes {
				put(s, box, 30)
			}
			if test.numbered {
				numbered(s, append(test.boxes, "INBOX")...)
			}
			w.complete()
			emails, since := w.emails(), w.changeNo()
			covered := w.text(`SELECT mailbox_id || ' ' || lo || ':' || hi FROM coverage ORDER BY 1`)

			renameBoxes(s, test.pairs...)
			var bodies fetches
			bodies.count(s, script.Faults{})
			if test.change != nil {
				s.Change(test.change)
			}
			if sum := w.complete(); sum.Fetched != 0 {
				t.Errorf("summary %+v", sum)
			}
			bodies.only(t)
			w.equals(s)
			if got := w.rows(); got != test.rows {
				t.Errorf("mailboxes\n%s\nwant\n%s", got, test.rows)
			}
			if got := w.emails(); test.name != "and changed meanwhile" && got != emails {
				t.Error("emails did not keep their ids")
			}
			if feed := w.feed(since); strings.Contains(feed, "Mailbox destroyed") ||
				test.change == nil && (strings.Contains(feed, "Email") || strings.Contains(feed, "created")) {
				t.Errorf("the feed says\n%s", feed)
			}
			if got := w.text(`SELECT mailbox_id || ' ' || lo || ':' || hi FROM coverage ORDER BY 1`); got != covered {
				t.Errorf("covered\n%s\nwant\n%s", got, covered)
			}
			if test.name == "with a role" {
				if got := w.text(`SELECT role FROM mailbox WHERE id = 2`); got != "trash" {
					t.Errorf("role %q", got)
				}
			}
			put(s, "INBOX", 1)
			if sum := w.complete(); sum.Fetched != 1 {
				t.Errorf("the next pass: %+v", sum)
			}
			w.equals(s)
		})
	}
}

// TestRenameTakesName: a mailbox is deleted and another one gets its name.
func TestRenameTakesName(t *testing.T) {
	s, w := scripted(t, 30, script.Options{}, Options{})
	put(s, "Old", 5)
	put(s, "New", 40)
	numbered(s, "Old", "New")
	w.complete()
	s.Change(func(m *script.Model) { m.Drop("Old"); m.Box("New").Name = "Old" })
	if sum := w.complete(); sum.Fetched != 0 {
		t.Errorf("summary %+v", sum)
	}
	w.equals(s)
	if got := w.rows(); got != "1 INBOX\n3 Old" {
		t.Errorf("mailboxes\n%s", got)
	}
}

// TestRenameByID: MAILBOXID tells a mailbox whatever is in it, and whatever its
// name or its UIDVALIDITY is.
func TestRenameByID(t *testing.T) {
	const caps = script.Capabilities + " OBJECTID"
	start := func(t *testing.T) (*script.Server, *world) {
		s, w := scripted(t, 10, script.Options{Capabilities: caps}, Options{})
		put(s, "Plans", 10)
		put(s, "Empty", 0)
		put(s, "Notes", 10)
		s.Change(func(m *script.Model) {
			for _, b := range m.Boxes {
				b.ObjectID = "F-" + b.Name
			}
		})
		w.complete()
		return s, w
	}
	t.Run("all but one message is gone", func(t *testing.T) {
		s, w := start(t)
		s.Change(func(m *script.Model) {
			b := m.Box("Plans")
			b.Name = "Done"
			b.Expunge(1, 2, 3, 4, 5, 6, 7, 8, 9)
			m.Box("Empty").Name = "Still empty"
		})
		if sum := w.complete(); sum.Fetched != 0 {
			t.Errorf("summary %+v", sum)
		}
		w.equals(s)
		if got := w.rows(); got != "1 INBOX\n2 Done\n3 Still empty\n4 Notes" {
			t.Errorf("mailboxes\n%s", got)
		}
	})
	t.Run("another UIDVALIDITY", func(t *testing.T) {
		s, w := start(t)
		emails := w.emails()
		s.Change(func(m *script.Model) { b := m.Box("Plans"); b.Name = "Done"; b.Renumber(2000, 501) })
		if sum := w.complete(); sum.Fetched != 0 {
			t.Errorf("summary %+v", sum)
		}
		w.equals(s)
		if w.emails() != emails || w.rows() != "1 INBOX\n2 Done\n3 Empty\n4 Notes" {
			t.Errorf("mailboxes\n%s", w.rows())
		}
	})
	t.Run("swapped, with one UIDVALIDITY and one UIDNEXT", func(t *testing.T) {
		s, w := start(t)
		emails := w.emails()
		renameBoxes(s, "Plans", "Notes", "Notes", "Plans")
		if sum := w.complete(); sum.Fetched != 0 {
			t.Errorf("summary %+v", sum)
		}
		w.equals(s)
		if w.emails() != emails || w.rows() != "1 INBOX\n2 Notes\n3 Empty\n4 Plans" {
			t.Errorf("mailboxes\n%s", w.rows())
		}
	})
	t.Run("deleted and made anew", func(t *testing.T) {
		s, w := start(t)
		s.Change(func(m *script.Model) {
			m.Drop("Plans")
			for i := range uint32(10) {
				m.Box("Plans").Add(mail("Anew", i))
			}
			m.Box("Plans").ObjectID, m.Box("Plans").UIDValidity = "F-Anew", 2000
		})
		if sum := w.complete(); sum.Fetched != 10 {
			t.Errorf("summary %+v", sum)
		}
		w.equals(s)
	})
	t.Run("one for all says nothing", func(t *testing.T) {
		s, w := start(t)
		s.Change(func(m *script.Model) {
			for _, b := range m.Boxes {
				b.ObjectID = "F-1"
			}
		})
		w.complete()
		put(s, "Fresh", 3)
		s.Change(func(m *script.Model) { m.Drop("Plans"); m.Box("Fresh").ObjectID = "F-1" })
		if sum := w.complete(); sum.Fetched != 3 {
			t.Errorf("summary %+v", sum)
		}
		w.equals(s)
	})
}

// TestRenameDoubted: what only resembles a stored mailbox is a new one, and its
// messages are downloaded.
func TestRenameDoubted(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(m *script.Model)
		want   int64 // fetched
	}{
		{"other messages under the same numbers", func(m *script.Model) {
			b := m.Box("Copy")
			for i := range uint32(20) {
				b.Add(mail("Other", i))
			}
		}, 20},
		{"one of them differs", func(m *script.Model) {
			b := m.Box("Copy")
			*b = *m.Box("Plans")
			b.Name, b.Messages = "Copy", append([]script.Message(nil), b.Messages...)
			b.Messages[19].Date = b.Messages[19].Date.AddDate(1, 0, 0)
		}, 20},
		{"a copy with another UIDVALIDITY", func(m *script.Model) {
			b := m.Box("Copy")
			*b = *m.Box("Plans")
			b.Name, b.UIDValidity = "Copy", 2000
		}, 20},
		{"too few of them are left", func(m *script.Model) {
			b := m.Box("Copy")
			*b = *m.Box("Plans")
			b.Name, b.Messages = "Copy", b.Messages[3:]
		}, 17},
		{"two of them", func(m *script.Model) {
			for _, name := range []string{"Copy", "Copy 2"} {
				b := m.Box(name)
				*b = *m.Box("Plans")
				b.Name = name
			}
		}, 40},
		{"its UIDVALIDITY changes while it is compared", func(m *script.Model) {
			b := m.Box("Copy")
			*b = *m.Box("Plans")
			b.Name = "Copy"
		}, 20},
		{"UIDNEXT is lower", func(m *script.Model) {
			b := m.Box("Copy")
			*b = *m.Box("Plans")
			b.Name, b.UIDNext, b.Messages = "Copy", 20, b.Messages[:19]
		}, 19},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, w := scripted(t, 30, script.Options{}, Options{})
			put(s, "Plans", 20)
			w.complete()
			s.Change(func(m *script.Model) { test.change(m); m.Drop("Plans") })
			if strings.HasPrefix(test.name, "its UIDVALIDITY") {
				s.Misbehave(script.Faults{Line: func(c script.Command, line string) string {
					if c.Name == "UID FETCH" && strings.Contains(c.Args, "INTERNALDATE)") {
						return "* OK [UIDVALIDITY 5000] moved\r\n" + line
					}
					return line
				}})
			}
			if sum := w.complete(); sum.Fetched != test.want {
				t.Errorf("fetched %d, want %d", sum.Fetched, test.want)
			}
			w.equals(s)
			if strings.Contains(w.rows(), "2 ") {
				t.Errorf("mailboxes\n%s", w.rows())
			}
		})
	}
}

// TestRenameSwapUnseen: two mailboxes with one UIDVALIDITY swap their names.
// The one whose UIDNEXT fell gives it away.
func TestRenameSwapUnseen(t *testing.T) {
	s, w := scripted(t, 5, script.Options{}, Options{})
	put(s, "Plans", 10)
	put(s, "Notes", 25)
	w.complete()
	emails := w.emails()
	renameBoxes(s, "Plans", "Notes", "Notes", "Plans")
	if sum := w.complete(); sum.Fetched != 0 {
		t.Errorf("summary %+v", sum)
	}
	w.equals(s)
	if w.emails() != emails || w.rows() != "1 INBOX\n2 Notes\n3 Plans" {
		t.Errorf("mailboxes\n%s", w.rows())
	}
}

// TestRenameCost: a listing without news opens no mailbox for comparison, and a
// mailbox that cannot be compared is a new one.
func TestRenameCost(t *testing.T) {
	s, w := several(t, script.Options{}, Options{}, "Plans", "Notes")
	w.complete()
	opened := func() int { return s.Count("EXAMINE") }
	before := opened()
	w.complete()
	s.Change(func(m *script.Model) { m.Drop("Notes") })
	w.complete()
	if n := opened() - before; n != 0 {
		t.Errorf("%d mailboxes were opened", n)
	}
	s.Change(func(m *script.Model) { m.Drop("Plans"); m.Box("Room").UIDValidity = 9 })
	w.complete()
	if n := opened() - before; n != 0 { // it is empty
		t.Errorf("%d mailboxes were opened", n)
	}

	put(s, "Plans", 10)
	w.complete()
	renameBoxes(s, "Plans", "Done")
	broken := 0
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if asks("Done", "UID FETCH")(c) && !strings.Contains(c.Args, "FLAGS") && !strings.Contains(c.Args, "BODY") {
			broken++
			return script.Drop
		}
		return script.Answer
	}})
	if sum := w.complete(); sum.Fetched != 10 || broken != mostBreaks {
		t.Errorf("broken %d times, %+v", broken, sum)
	}
	w.equals(s)
}

// TestRenameDovecot: a real server renames, and renames a parent.
func TestRenameDovecot(t *testing.T) {
	s := dovecot.Start(t, dovecot.Config{})
	for _, box := range []string{"INBOX", "Plans", "Plans/Sub", "Notes"} {
		for i := range 20 {
			s.Deliver(t, dovecot.User, box, mail(box, uint32(i)), dovecot.Options{})
		}
	}
	w := open(t, t.TempDir()+"/mail.db", Options{}).account(s.Host(), s.Port())
	w.complete()
	emails, rows := w.emails(), w.rows()
	c, err := truth.Dial(t.Context(), s.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, step := range [][2]string{{"Plans", "Done"}, {"Notes", "Between"}, {"Done", "Notes"}, {"Between", "Done"}} {
		if err := c.Rename(step[0], step[1]); err != nil {
			t.Fatal(err)
		}
	}
	if sum := w.complete(); sum.Fetched != 0 {
		t.Errorf("summary %+v", sum)
	}
	w.agrees(s)
	want := strings.NewReplacer("Plans", "Notes", "Notes", "Done").Replace(rows)
	if w.emails() != emails || w.rows() != want {
		t.Errorf("mailboxes\n%s\nwant\n%s", w.rows(), want)
	}
}
