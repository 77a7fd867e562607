package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/testkit/dovecot"
	"mailcote/testkit/form"
	"mailcote/testkit/script"
)

// fetches counts the bodies a server sends, by UID.
type fetches struct {
	mu  sync.Mutex
	per map[uint32]int
}

func (f *fetches) count(s *script.Server, more script.Faults) {
	f.mu.Lock()
	f.per = map[uint32]int{}
	f.mu.Unlock()
	more.Message = func(_ string, uid uint32) script.Fault {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.per[uid]++
		return script.Whole
	}
	s.Misbehave(more)
}

// only fails the test unless exactly these UIDs were sent, once each.
func (f *fetches) only(t *testing.T, want ...uint32) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, uid := range want {
		if f.per[uid] != 1 {
			t.Errorf("the body of UID %d was sent %d times, want once", uid, f.per[uid])
		}
	}
	if len(f.per) != len(want) {
		t.Errorf("%d bodies were sent, want %d", len(f.per), len(want))
	}
}

// twin is one of two messages that have header and size in common, and nothing else.
func twin(n, which int) []byte {
	return fmt.Appendf(nil,
		"From: Ada <ada@example.org>\r\nSubject: twins %d\r\nMessage-ID: <twins.%d@example.org>\r\n\r\nI am number "+
			"%d.\r\n", n, n, which)
}

// TestBar12 is bar 12: UIDVALIDITY changes under many messages. No local row is lost, no body fetched again that
// size and header tell for certain, and every other one is.
func TestBar12(t *testing.T) {
	n := volume(2000)
	if form.Long() {
		n = 100_000
	}
	s, w := scripted(t, n, script.Options{}, Options{})
	s.Change(func(m *script.Model) {
		b := m.Box("INBOX")
		for i := range n / 200 {
			for which := range 2 {
				b.Add(twin(i, which))
			}
		}
		for i := range b.Messages { // so many arrive in one minute that their date tells nothing
			b.Messages[i].Date = time.Date(2024, 1, 1, 0, i/1000, 0, 0, time.UTC)
		}
	})
	first := w.complete()
	emails, rows := w.emails(), w.text(`SELECT id || jmap_id FROM email ORDER BY id`)

	var bodies fetches
	bodies.count(s, script.Faults{})
	var ambiguous []uint32
	s.Change(func(m *script.Model) {
		b := m.Box("INBOX")
		rand.New(rand.NewPCG(3, 4)).Shuffle(len(b.Messages), func(i, j int) {
			b.Messages[i], b.Messages[j] = b.Messages[j], b.Messages[i]
		})
		b.Renumber(2000, 7)
		for i := range b.Messages {
			b.Messages[i].Flags = []string{"", `\Seen`, "$Other"}[i%3]
			if strings.Contains(string(b.Messages[i].Raw[:80]), "twins") {
				ambiguous = append(ambiguous, b.Messages[i].UID)
			}
		}
		for i := range 10 {
			ambiguous = append(ambiguous, b.Add(mail("new", uint32(i))))
		}
	})
	start := time.Now()
	sum := w.complete()
	took := time.Since(start)
	bodies.only(t, ambiguous...)
	if w.text(`SELECT id || jmap_id FROM email WHERE id <= (SELECT count(*) FROM email) - 10 ORDER BY id`) != rows {
		t.Error("rows of emails were lost")
	}
	if got := w.text(`SELECT sha256 || ' ' || email_id FROM mail
		WHERE subject NOT LIKE 'new%' ORDER BY 1`); got != emails {
		t.Error("emails did not keep their ids")
	}
	w.equals(s)
	t.Logf("bar 12: %d messages under a new UIDVALIDITY in %.1f s: 0 local rows lost, 0 unique bodies fetched again, "+
		"%d ambiguous or new ones fetched; %d bytes against %d of the first sync (%.1f s)",
		n+n/100+10, took.Seconds(), len(ambiguous), sum.Wire, first.Wire, first.Seconds)
}

// TestRebindDovecot: a real server that has forgotten its UIDs costs headers, not bodies.
func TestRebindDovecot(t *testing.T) {
	s := dovecot.Start(t, dovecot.Config{})
	for i := range volume(300) {
		raw := append(mail("INBOX", uint32(i)), []byte(strings.Repeat("A line of a longer message.\r\n", 300))...)
		s.Deliver(t, dovecot.User, "INBOX", raw, dovecot.Options{Flags: []string{`\Seen`}})
	}
	for which := range 2 {
		s.Deliver(t, dovecot.User, "INBOX", twin(1, which), dovecot.Options{})
	}
	w := open(t, t.TempDir()+"/mail.db", Options{}).account(s.Host(), s.Port())
	first := w.complete()
	emails := w.emails()
	if err := s.Renumber(dovecot.User, "INBOX"); err != nil {
		t.Fatal(err)
	}
	sum := w.complete()
	w.agrees(s)
	if sum.Fetched > 2 || w.emails() != emails {
		t.Errorf("%d messages were fetched, want the twins at most; ids kept: %v", sum.Fetched, w.emails() == emails)
	}
	t.Logf("Dovecot with a new UIDVALIDITY: %d bytes moved, the first sync moved %d", sum.Wire, first.Wire)
	if sum.Wire > first.Wire/5 {
		t.Errorf("%d bytes moved, the first sync moved %d", sum.Wire, first.Wire)
	}
}

// TestFlipFlop: a server that goes to and fro between two generations costs each message of either once.
func TestFlipFlop(t *testing.T) {
	s, w := scripted(t, 50, script.Options{}, Options{})
	s.Change(func(m *script.Model) {
		for which := range 2 {
			b := m.Box("INBOX")
			b.Add(twin(1, which))
			b.Messages[50+which].Date = time.Unix(1e9, 0)
		}
	})
	w.complete()
	emails := w.emails()
	var bodies fetches
	turn := func(validity, first uint32, want ...uint32) {
		t.Helper()
		bodies.count(s, script.Faults{})
		s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(validity, first) })
		w.complete()
		bodies.only(t, want...)
		w.equals(s)
		if w.emails() != emails {
			t.Errorf("UIDVALIDITY %d: emails did not keep their ids", validity)
		}
	}
	turn(2000, 501, 551, 552)
	commands := s.Counts()["UID FETCH"]
	for range 3 {
		turn(1000, 1)
		turn(2000, 501)
	}
	if n := s.Counts()["UID FETCH"] - commands; n > 6*2 {
		t.Errorf("%d FETCH commands for six changes", n)
	}
	if got := w.text(`SELECT count(*) FROM entry`); got != "104" {
		t.Errorf("%s entries, want two generations of 52", got)
	}
	// The same UIDs once more, but one of them means another message.
	s.Change(func(m *script.Model) { m.Box("INBOX").Messages[9].Raw = mail("other", 10) })
	bodies.count(s, script.Faults{})
	s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(1000, 1) })
	w.complete()
	bodies.only(t, 10)
	w.equals(s)
}

// TestRebindBroken: a connection that breaks while headers come costs no header twice, and a header that breaks each
// connection costs the downloads, not the mailbox.
func TestRebindBroken(t *testing.T) {
	s, w := scripted(t, volume(1800), script.Options{}, Options{})
	w.complete()
	var bodies fetches
	var told atomic.Int32
	asks := func(c script.Command) bool { return strings.Contains(c.Args, "BODY.PEEK[HEADER]") }
	headers := func(c script.Command, line string) string {
		if strings.Contains(line, "BODY[HEADER]") {
			told.Add(1)
		}
		return line
	}
	var pages atomic.Int32
	bodies.count(s, script.Faults{Line: headers, On: func(c script.Command) script.Action {
		if asks(c) && pages.Add(1)%2 == 0 {
			return script.Drop
		}
		return script.Answer
	}})
	s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(2000, 1) })
	w.complete()
	bodies.only(t)
	if int(told.Load()) != volume(1800) {
		t.Errorf("%d headers were sent for %d messages", told.Load(), volume(1800))
	}
	w.equals(s)

	s.Change(func(m *script.Model) {
		m.Box("INBOX").Messages = m.Box("INBOX").Messages[:20]
		m.Box("INBOX").Renumber(3000, 1)
	})
	bodies.count(s, script.Faults{On: on(asks, script.Drop)})
	w.complete()
	if len(bodies.per) != 20 {
		t.Errorf("%d bodies were sent, want 20", len(bodies.per))
	}
	w.equals(s)
}

// TestReusedUIDs: a server that gives UIDs out again, or whose UIDNEXT is worth nothing, hides no message behind
// an old one.
func TestReusedUIDs(t *testing.T) {
	without := func(what string) func(script.Command, string) string {
		return func(_ script.Command, line string) string {
			if strings.Contains(line, "["+what) {
				return ""
			}
			return line
		}
	}
	restore := func(m *script.Model) { // to when there were 25, then two others came
		b := m.Box("INBOX")
		b.Messages, b.UIDNext, b.ModSeq = b.Messages[:25], 26, b.ModSeq+1
		b.Add(mail("other", 26), `\Seen`)
		b.Add(mail("other", 127))
	}
	for _, test := range []struct {
		name   string
		change func(*script.Model)
		line   func(script.Command, string) string
		want   []uint32
	}{
		{"UIDNEXT fell", restore, nil, []uint32{26, 27}},
		{"UIDNEXT fell, nothing came", func(m *script.Model) {
			b := m.Box("INBOX")
			b.Messages, b.UIDNext = b.Messages[:25], 26
		}, nil, nil},
		{"no UIDNEXT", func(m *script.Model) {
			restore(m)
			m.Box("INBOX").Messages[25].Raw = mail("another", 26)
			m.Box("INBOX").Messages[26].Date = time.Unix(1e9, 0)
		}, without("UIDNEXT"), []uint32{26, 27}},
		{"UIDNEXT lies", func(m *script.Model) { m.Box("INBOX").UIDNext = 3; m.Box("INBOX").ModSeq++ }, nil, nil},
		{"UIDNEXT lies and dates changed", func(m *script.Model) {
			b := m.Box("INBOX")
			b.UIDNext = 3
			b.ModSeq++
			for i := range b.Messages {
				b.Messages[i].Date = time.Unix(1e9, 0)
			}
		}, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, w := scripted(t, 30, script.Options{}, Options{})
			w.complete()
			s.Change(test.change)
			var bodies fetches
			bodies.count(s, script.Faults{Line: test.line})
			w.complete()
			w.same(modelOf(s))
			bodies.only(t, test.want...)
			w.clean()
			bodies.count(s, script.Faults{Line: test.line})
			w.complete()
			bodies.only(t)
		})
	}
	t.Run("a UID that was expunged means another message", func(t *testing.T) {
		s, w := scripted(t, 30, script.Options{}, Options{})
		w.complete()
		gone := modelOf(s)
		var kept script.Message
		s.Change(func(m *script.Model) { b := m.Box("INBOX"); kept = b.Messages[29]; b.Expunge(29, 30) })
		w.complete()
		var bodies fetches
		bodies.count(s, script.Faults{})
		s.Change(func(m *script.Model) {
			b := m.Box("INBOX")
			b.UIDNext = 29
			b.Add(mail("other", 1))
			b.Messages = append(b.Messages, kept)
			b.UIDNext = 31
		})
		w.complete()
		bodies.only(t, 29)
		w.equals(s)
		if now := modelOf(s); now[29] != gone[29] {
			t.Errorf("%+v did not come back as it was", now[29])
		}
	})
}
