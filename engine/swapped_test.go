package engine

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"mailcote/testkit/script"
)

// interlude puts another mailbox in the place of INBOX, with as many messages, from the first command that fits
// begins on. The server says so before or in the line that fits tells. It has the old one back when the mailbox
// is opened again, or it stays.
type interlude struct {
	server *script.Server
	begins func(script.Command) bool
	tells  func(c script.Command, line string) bool
	other  func(b *script.Box)
	stays  bool

	begun  atomic.Bool
	told   atomic.Bool
	before script.Box
}

func (i *interlude) faults() script.Faults {
	return script.Faults{
		On: func(c script.Command) script.Action {
			switch {
			case i.begins(c) && !i.begun.Swap(true):
				i.server.Change(func(m *script.Model) {
					b := m.Box("INBOX")
					i.before = *b
					b.Messages = slices.Clone(b.Messages)
					i.other(b)
					b.UIDValidity = 77
				})
			case c.Name == "EXAMINE" && i.begun.Load() && !i.stays:
				i.server.Change(func(m *script.Model) { *m.Box("INBOX") = i.before })
			}
			return script.Answer
		},
		Line: func(c script.Command, line string) string {
			if !i.begun.Load() || !i.tells(c, line) || i.told.Swap(true) {
				return line
			}
			if strings.HasPrefix(line, c.Tag+" OK") {
				return c.Tag + " OK [UIDVALIDITY 77] it is another one"
			}
			return "* OK [UIDVALIDITY 77] it is another one\r\n" + line
		},
	}
}

// strangers gives every message other bytes and flags.
func strangers(b *script.Box) {
	for i := range b.Messages {
		one := &b.Messages[i]
		one.Raw, one.Source, one.Flags = mail("stranger", one.UID), nil, "$Strange"
		one.ModSeq = b.ModSeq // so that it changed
	}
}

// fetchOf fits the FETCHes whose items contain all of some.
func fetchOf(items ...string) func(script.Command) bool {
	return func(c script.Command) bool {
		return c.Name == "UID FETCH" && !slices.ContainsFunc(items, func(item string) bool {
			return !strings.Contains(c.Args, item)
		})
	}
}

// response fits the response about a message in the answer to a command; 0: the tagged line.
func response(command func(script.Command) bool, uid string) func(script.Command, string) bool {
	return func(c script.Command, line string) bool {
		if uid == "0" {
			return command(c) && strings.HasPrefix(line, c.Tag+" ")
		}
		return command(c) && strings.Contains(line, "(UID "+uid+" ")
	}
}

// TestSwappedInAnswer: an answer in which the server says that UIDVALIDITY moved is not believed in any part:
// neither what comes behind these words nor what came before them stays under the old UIDs.
func TestSwappedInAnswer(t *testing.T) {
	bodies, flags, parts := fetchOf("BODY.PEEK[]"), fetchOf("(UID FLAGS)"), fetchOf("BODY.PEEK[]<")
	sizes := func(c script.Command) bool { return fetchOf("RFC822.SIZE")(c) && !bodies(c) }
	silent := func(f script.Faults) script.Faults { // bodies come without flags
		line := f.Line
		f.Line = func(c script.Command, said string) string {
			if bodies(c) {
				said = flagsOnWire.ReplaceAllString(said, "")
			}
			return line(c, said)
		}
		return f
	}
	inParts := func(f script.Faults) script.Faults {
		f.Part = func(p script.Part) script.Fault {
			if p.UID == 250 && p.Most == 0 && strings.Contains(p.Items, "BODY") {
				return script.Omit
			}
			return script.Whole
		}
		return f
	}
	// what it is asked for besides its body breaks the session the second time
	sized := func(f script.Faults) script.Faults {
		f = inParts(f)
		part := f.Part
		var asked atomic.Int32
		f.Part = func(p script.Part) script.Fault {
			if strings.Contains(p.Items, "FLAGS") && strings.Contains(p.Items, "RFC822.SIZE") &&
				!strings.Contains(p.Items, "BODY") && asked.Add(1) == 2 {
				return script.Broken
			}
			return part(p)
		}
		return f
	}
	broken := func(f script.Faults) script.Faults { // the line breaks when the second part is due
		f = inParts(f)
		part := f.Part
		var asked atomic.Int32
		f.Part = func(p script.Part) script.Fault {
			if p.Most > 0 && asked.Add(1) == 2 {
				return script.CutEarly
			}
			return part(p)
		}
		return f
	}
	apart := func(f script.Faults) script.Faults { // flags come in a response of their own
		f.Message = func(string, uint32) script.Fault { return script.FlagsAfter }
		return f
	}
	for name, test := range map[string]struct {
		begins func(script.Command) bool
		tells  func(script.Command, string) bool
		stored bool // the messages are, before their flags change
		early  bool // it is told before a batch is full
		also   func(script.Faults) script.Faults
	}{
		"bodies, first":          {bodies, response(bodies, "1"), false, true, nil},
		"bodies, in a batch":     {bodies, response(bodies, "50"), false, true, nil},
		"bodies, behind a batch": {bodies, response(bodies, "150"), false, false, nil},
		"bodies, last":           {bodies, response(bodies, "249"), false, false, nil},
		"bodies, tagged":         {bodies, response(bodies, "0"), false, false, nil},
		"flags of their own":     {bodies, response(bodies, "0"), false, false, apart},
		"flags behind bodies":    {flags, response(flags, "150"), false, false, silent},
		"flags, tagged":          {flags, response(flags, "0"), false, false, silent},
		"compared flags":         {flags, response(flags, "150"), true, false, nil},
		"compared flags, tagged": {flags, response(flags, "0"), true, false, nil},
		"size, alone":            {sizes, response(sizes, "250"), false, false, inParts},
		"part":                   {parts, response(parts, "250"), false, false, inParts},
		"part, tagged":           {parts, response(parts, "0"), false, false, inParts},
		"size, and the line":     {sizes, response(sizes, "250"), false, false, sized},
		"part, and the line":     {parts, response(parts, "250"), false, false, broken},
	} {
		for _, stays := range []bool{false, true} {
			t.Run(name+map[bool]string{false: ", and back", true: ""}[stays], func(t *testing.T) {
				t.Parallel()
				s, w := scripted(t, 249, script.Options{}, Options{})
				s.Change(func(m *script.Model) { m.Box("INBOX").Add(large(1, 1)[:900_000], "$Large") })
				if test.stored {
					w.complete()
					s.Change(func(m *script.Model) { m.Box("INBOX").Flag(3, "$New") })
				}
				i := &interlude{begins: test.begins, tells: test.tells, other: strangers, stays: stays, server: s}
				f := i.faults()
				if test.also != nil {
					f = test.also(f)
				}
				s.Misbehave(f)
				w.complete()
				w.equals(s)
				if !i.told.Load() {
					t.Error("the server did not say it")
				}
				if got := w.text(`SELECT count(*) FROM entry 
					WHERE uidvalidity = 1000 AND expunged_at IS NULL AND blob_id IN
					(SELECT blob_id FROM entry WHERE uidvalidity = 77)`); got != "0" {
					t.Errorf("%s messages of the other mailbox are under old UIDs", got)
				}
				if got := w.text(`SELECT count(*) FROM entry
					WHERE uidvalidity = 1000 AND flags = '$Strange'`); test.early && got != "0" {
					t.Errorf("%s messages of the other mailbox were stored under old UIDs", got)
				}
				if got := w.text(`SELECT (SELECT count(*) FROM blob WHERE state = 'staged') +
					(SELECT count(*) FROM quarantine)`); got != "0" {
					t.Errorf("%s staged blobs and quarantined messages are left", got)
				}
				if !w.engine.process.Budget.TryAcquire(budgetBytes) {
					t.Error("part of the budget is gone for good")
				}
			})
		}
	}
}

// TestSwappedStaged: a large message of such an answer is not left behind in the store.
func TestSwappedStaged(t *testing.T) {
	s, w := scripted(t, 0, script.Options{}, Options{})
	s.Change(func(m *script.Model) { m.Box("INBOX").Add(large(1, 6)) })
	bodies := fetchOf("BODY.PEEK[]")
	i := &interlude{server: s, begins: bodies, tells: response(bodies, "0"), other: func(b *script.Box) {
		b.Messages[0].Raw = large(2, 6)
	}}
	s.Misbehave(i.faults())
	w.complete()
	w.equals(s)
	if got := w.text(`SELECT count(*) || ' ' || count(*) FILTER (WHERE state = 'staged') FROM blob`); got != "1 0" ||
		!i.told.Load() {
		t.Errorf("blobs, staged ones: %s", got)
	}
}

// TestSwappedHeaders: headers that were given in an answer in which UIDVALIDITY moved are forgotten, also when
// the old one is back.
func TestSwappedHeaders(t *testing.T) {
	s, w := scripted(t, 0, script.Options{}, Options{})
	s.Change(func(m *script.Model) { // they differ, but not in size
		for n := range 20 {
			m.Box("INBOX").Add(append([]byte("X-Number: "+string(rune('a'+n))+"\r\n"), mail("INBOX", 40)...))
		}
	})
	w.complete()
	s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(2000, 500) })
	headers := fetchOf("HEADER")
	i := &interlude{server: s, begins: headers, tells: response(headers, "0"), other: func(b *script.Box) {
		of := slices.Clone(b.Messages)
		for n := range of {
			b.Messages[n].Raw = of[len(of)-1-n].Raw
		}
	}}
	s.Misbehave(i.faults())
	w.complete()
	w.equals(s)
	if !i.told.Load() {
		t.Error("the server did not say it")
	}
}

// TestSwappedListing: what a listing lacks in which UIDVALIDITY moved, or in the question about which it did,
// does not go, and what it holds is not set aside.
func TestSwappedListing(t *testing.T) {
	const moved = "* OK [UIDVALIDITY 77] it is another one"
	t.Run("of a new generation", func(t *testing.T) {
		s, w := scripted(t, 150, script.Options{}, Options{})
		w.complete()
		var before script.Box
		s.Change(func(m *script.Model) {
			b := m.Box("INBOX")
			before = *b
			b.Messages = slices.Clone(b.Messages[:1])
			b.Renumber(2000, 1)
		})
		var listed atomic.Int32
		s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
			switch {
			case c.Name == "EXAMINE" && listed.Load() == 2:
				s.Change(func(m *script.Model) { *m.Box("INBOX") = before })
				return script.Answer
			case c.Name != "UID SEARCH" || listed.Add(1) != 2:
				return script.Answer
			}
			return moved
		}})
		w.complete()
		w.equals(s)
		if got := w.text(`SELECT count(*) FROM entry
			WHERE uidvalidity = 1000 AND expunged_at IS NOT NULL`); got != "0" || listed.Load() < 3 {
			t.Errorf("%s messages went meanwhile, %d listings", got, listed.Load())
		}
	})
	t.Run("of messages that are left out", func(t *testing.T) {
		s, w := scripted(t, 20, script.Options{}, Options{})
		var asked atomic.Int32 // what is new before the message is set aside
		s.Misbehave(script.Faults{
			On: func(c script.Command) script.Action {
				if c.Name == "NOOP" && asked.Add(1) == 1 {
					return moved
				}
				return script.Answer
			},
			Message: func(_ string, uid uint32) script.Fault {
				if uid == 5 && asked.Load() == 0 {
					return script.Omit
				}
				return script.Whole
			},
		})
		w.complete()
		w.equals(s)
		if got := w.text(`SELECT count(*) FROM sync_error WHERE uid = 5`); got != "0" || asked.Load() < 2 {
			t.Errorf("it was set aside %s times, %d NOOPs", got, asked.Load())
		}
	})
	t.Run("of messages that are to go", func(t *testing.T) {
		s, w := scripted(t, 20, script.Options{}, Options{})
		w.complete()
		s.Change(func(m *script.Model) { m.Box("INBOX").Flag(3, "$New") })
		var told atomic.Bool
		asked := func(c script.Command) bool { return c.Name == "UID FETCH" && strings.HasPrefix(c.Args, "5 ") }
		s.Misbehave(script.Faults{
			Exists: func(_ int, _ string, n int) int {
				if told.Load() {
					return n
				}
				return n - 1
			},
			Listing: func(_ script.Command, uids []uint32) []uint32 {
				return slices.DeleteFunc(uids, func(uid uint32) bool { return uid == 5 && !told.Load() })
			},
			Line: func(c script.Command, line string) string {
				switch {
				case !asked(c):
				case strings.Contains(line, "(UID 5 "):
					told.Store(true)
					return moved
				}
				return line
			},
		})
		w.complete()
		w.equals(s)
		if got := w.text(`SELECT count(*) FROM entry WHERE expunged_at IS NOT NULL`); got != "0" || !told.Load() {
			t.Errorf("%s messages went meanwhile", got)
		}
	})
}
