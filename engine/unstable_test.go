package engine

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/storage"
	"mailcote/storage/tables"
	"mailcote/testkit/script"
)

// restless gives a mailbox another UIDVALIDITY each time it is asked.
func restless() func(int, string, uint32) uint32 {
	var n atomic.Uint32
	return func(int, string, uint32) uint32 { return 5000 + n.Add(1) }
}

// unlasting is a world whose server's numbers do not last, and which has noticed.
func unlasting(t *testing.T, n int, caps string) (*script.Server, *world) {
	s, w := scripted(t, n, script.Options{Capabilities: caps}, Options{})
	s.Misbehave(script.Faults{Validity: restless()})
	w.complete()
	w.complete()
	w.equals(s)
	if got := w.text(`SELECT DISTINCT unstable FROM mailbox`); got != "2" {
		t.Fatalf("unstable %q", got)
	}
	return s, w
}

// compact gives the messages UIDs from 1 on, as a server does that numbers them at each open.
func compact(m *script.Model) { b := m.Box("INBOX"); b.Renumber(b.UIDValidity, 1) }

// kept gives which row and email each digest has.
func (w *world) kept() string {
	w.t.Helper()
	return w.text(`SELECT id || ' ' || email_id || ' ' || blob_id FROM entry WHERE expunged_at IS NULL ORDER BY 1`)
}

// yesterday makes the last look at every mailbox older than a day.
func (w *world) yesterday() {
	w.t.Helper()
	if err := w.store.Write(w.t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
		_, err := tables.In(tx).Exec(`UPDATE mailbox SET pass_at = pass_at - 90000000,
			completed_at = completed_at - 90000000`)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
}

// TestNumbersDoNotLast: where each STATUS and EXAMINE gives another UIDVALIDITY, passes add no rows and no changes and
// cost little.
func TestNumbersDoNotLast(t *testing.T) {
	for name, caps := range map[string]string{"STATUS in LIST": "", "plain": plainCaps} {
		t.Run(name, func(t *testing.T) {
			s, w := scripted(t, volume(3000), script.Options{Capabilities: caps}, Options{})
			s.Change(func(m *script.Model) { m.Box("Empty") })
			s.Misbehave(script.Faults{Validity: restless()})
			w.complete()
			number := w.text(`SELECT uidvalidity FROM mailbox`)
			since, rows := w.changeNo(), w.text(`SELECT count(*) FROM entry`)
			for range 20 {
				w.restart()
				if sum := w.complete(); sum.Wire > 20_000 || sum.Fetched != 0 {
					t.Fatalf("summary %+v", sum)
				}
			}
			if w.changeNo() != since || w.text(`SELECT count(*) FROM entry`) != rows ||
				w.text(`SELECT uidvalidity FROM mailbox`) != number {
				t.Errorf("changes %s after %s, %s rows after %s", w.changeNo(), since,
					w.text(`SELECT count(*) FROM entry`), rows)
			}
			w.equals(s)
			w.checkRemote()
			if f := w.faults(); len(f) > 2 || f[0].Scope != "nothing" {
				t.Errorf("faults %+v", f)
			}
			examined := s.Count("EXAMINE")
			w.complete()
			if n := s.Count("EXAMINE") - examined; n != 0 {
				t.Errorf("%d mailboxes were opened", n)
			}
			w.yesterday()
			if sum := w.complete(); sum.Fetched != 0 || w.changeNo() != since {
				t.Errorf("summary %+v", sum)
			}
			w.equals(s)
		})
	}
}

// TestNumbersFromClock: numbers taken from the clock repeat within a second, and do not last either.
func TestNumbersFromClock(t *testing.T) {
	s, w := scripted(t, 10, script.Options{}, Options{})
	var pass atomic.Uint32 // a second each
	s.Misbehave(script.Faults{Validity: func(int, string, uint32) uint32 {
		return uint32(time.Now().Unix()) - 1_000_000_000 + pass.Load()
	}})
	w.complete()
	rows := w.text(`SELECT count(*) FROM entry`)
	for range 3 {
		pass.Add(1)
		w.complete()
	}
	if w.text(`SELECT count(*) FROM entry`) != rows {
		t.Errorf("%s rows", w.text(`SELECT count(*) FROM entry`))
	}
	w.equals(s)

	// So it is where no pass has ended complete yet.
	s.Misbehave(script.Faults{Validity: func(int, string, uint32) uint32 {
		return uint32(time.Now().Unix()) - 1_000_000_000 + pass.Load()
	}})
	w = w.damaged(s, `UPDATE mailbox SET completed_at = NULL, unstable = 0`)
	pass.Add(1)
	w.complete()
	if got := w.text(`SELECT count(*) FROM entry`); got != rows {
		t.Errorf("%s rows", got)
	}
	w.equals(s)
}

// TestNewNumberIsBelieved: a mailbox that was made anew, as STATUS and EXAMINE say alike, is not examined again to
// see whether its UIDVALIDITY lasts.
func TestNewNumberIsBelieved(t *testing.T) {
	s, w := scripted(t, 10, script.Options{}, Options{})
	w.complete()
	s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(2000, 501) })
	before := s.Count("EXAMINE")
	w.complete()
	if n := s.Count("EXAMINE") - before; n != 1 {
		t.Errorf("examined %d times", n)
	}
	w.equals(s)
}

// TestUnlastingChanges: what comes, goes and changes there arrives, and the rest keeps its rows though UIDs move.
func TestUnlastingChanges(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(m *script.Model)
		want   int64 // fetched
		daily  bool  // it is found after a day
	}{
		{"new mail", func(m *script.Model) { m.Box("INBOX").Add(mail("new", 1)) }, 1, false},
		{"one is read", func(m *script.Model) { m.Box("INBOX").Flag(4, `\Seen`) }, 0, false},
		{"a flag", func(m *script.Model) { m.Box("INBOX").Flag(4, `\Answered`) }, 0, true},
		{"the first is gone", func(m *script.Model) { m.Box("INBOX").Expunge(1); compact(m) }, 0, false},
		{"some are gone and one came", func(m *script.Model) {
			b := m.Box("INBOX")
			b.Expunge(2, 17, 18, 40)
			b.Add(mail("new", 1))
			b.Add(mail("new", 2))
			b.Add(mail("new", 3))
			b.Add(mail("new", 4))
			compact(m)
		}, 4, true},
		{"other UIDs for all", func(m *script.Model) { m.Box("INBOX").Renumber(1, 7777) }, 0, true},
		{"backwards", func(m *script.Model) {
			b := m.Box("INBOX")
			for i, j := 0, len(b.Messages)-1; i < j; i, j = i+1, j-1 {
				b.Messages[i], b.Messages[j] = b.Messages[j], b.Messages[i]
			}
			compact(m)
		}, 0, true},
		{"all is gone", func(m *script.Model) { m.Box("INBOX").Messages = nil }, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, w := unlasting(t, 60, "")
			s.Change(func(m *script.Model) { // some of them are as old and as long, and two of these have one header
				b := m.Box("INBOX")
				for i := range b.Messages[30:36] {
					b.Messages[30+i].Date = b.Messages[30].Date
				}
				for which := range 2 {
					b.Add(twin(1, which))
					b.Messages[len(b.Messages)-1].Date = b.Messages[0].Date
				}
			})
			w.complete()
			w.equals(s)
			before := w.kept()
			s.Change(test.change)
			if test.daily {
				w.yesterday()
			}
			sum := w.complete()
			w.equals(s)
			moved := strings.Contains(test.name, "gone") && test.name != "all is gone" || test.name == "backwards" ||
				strings.Contains(test.name, "UIDs")
			if want := test.want; sum.Fetched != want && !(moved && sum.Fetched == want+2) { // twins that moved
				t.Errorf("fetched %d, want %d", sum.Fetched, want)
			}
			after := map[string]bool{}
			for row := range strings.SplitSeq(w.kept(), "\n") {
				after[row] = true
			}
			lost := 0
			for row := range strings.SplitSeq(before, "\n") {
				if !after[row] {
					lost++
				}
			}
			if most := map[string]int{"the first is gone": 3, "some are gone and one came": 6, "other UIDs for all": 2,
				"backwards": 2, "all is gone": 62}[test.name]; lost > most {
				t.Errorf("%d rows were lost", lost)
			}
			w.checkRemote()
			if sum := w.complete(); sum.Fetched != 0 {
				t.Errorf("summary %+v", sum)
			}
			w.equals(s)
		})
	}
}

// TestUnlastingEachOpen: UIDs are others at each EXAMINE.
func TestUnlastingEachOpen(t *testing.T) {
	s, w := scripted(t, 150, script.Options{}, Options{})
	var n atomic.Uint32
	faults := script.Faults{Validity: restless(), On: func(c script.Command) script.Action {
		if c.Name == "EXAMINE" {
			s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(1, 1+1000*n.Add(1)) })
		}
		return script.Answer
	}}
	s.Misbehave(faults)
	w.complete()
	kept := w.kept()
	for range 3 {
		w.yesterday()
		if sum := w.complete(); sum.Fetched != 0 || w.kept() != kept {
			t.Errorf("summary %+v", sum)
		}
		w.equals(s)
	}
	// Most of it goes, and two connections say so.
	s.Change(func(m *script.Model) { b := m.Box("INBOX"); b.Messages = b.Messages[:20] })
	connections := s.Connections()
	w.complete()
	w.equals(s)
	if got := s.Connections() - connections; got != 2 {
		t.Errorf("%d connections", got)
	}
	put(s, "INBOX", 5)
	if sum := w.complete(); sum.Fetched != 5 {
		t.Errorf("summary %+v", sum)
	}
	w.equals(s)
}

// TestNumbersLast: a mailbox that is renumbered between STATUS and EXAMINE is renumbered, and one whose numbers begin
// to last is an ordinary one again.
func TestNumbersLast(t *testing.T) {
	s, w := scripted(t, 30, script.Options{}, Options{})
	w.complete()
	put(s, "INBOX", 1)
	var once atomic.Bool
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if c.Name == "EXAMINE" && !once.Swap(true) {
			s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(2000, 501) })
		}
		return script.Answer
	}})
	if sum := w.complete(); sum.Fetched != 1 {
		t.Errorf("summary %+v", sum)
	}
	w.equals(s)
	if got := w.text(`SELECT unstable || ' ' || uidvalidity FROM mailbox`); got != "0 2000" {
		t.Errorf("unstable, UIDVALIDITY: %s", got)
	}
	if f := w.faults(); len(f) != 0 {
		t.Errorf("faults %+v", f)
	}

	s, w = unlasting(t, 30, "")
	s.Misbehave(script.Faults{})
	put(s, "INBOX", 1)
	if sum := w.complete(); sum.Fetched != 1 {
		t.Errorf("summary %+v", sum)
	}
	w.equals(s)
	if got := w.text(`SELECT unstable || ' ' || uidvalidity FROM mailbox`); got != "0 1000" {
		t.Errorf("unstable, UIDVALIDITY: %s", got)
	}
}

// TestCheckUnlasting: check compares such a mailbox by what it holds.
func TestCheckUnlasting(t *testing.T) {
	s, w := unlasting(t, 20, "")
	s.Change(func(m *script.Model) {
		b := m.Box("INBOX")
		b.Expunge(3)
		b.Flag(9, "$Other")
		raw := mail("Missing", 1)
		b.Add(raw)
		compact(m)
	})
	findings, err := w.engine.CheckRemote(t.Context(), RemoteOptions{Accounts: []storage.Account{w.find()}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range findings {
		got = append(got, f.What)
	}
	if fmt.Sprint(got) != "[other flags missing message not on the server]" {
		t.Errorf("%q", got)
	}
}
