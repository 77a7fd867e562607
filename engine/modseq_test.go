package engine

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mailcote/testkit/dovecot"
	"mailcote/testkit/script"
	"mailcote/testkit/truth"
)

// TestModSeqStuck: HIGHESTMODSEQ does not move while flags do. A change that another number of STATUS shows is
// found by the next sync, and from then on so is each, as if the server kept no MODSEQ. That is recorded once.
func TestModSeqStuck(t *testing.T) {
	s, w := scripted(t, 8, script.Options{}, Options{})
	s.Misbehave(script.Faults{ModSeq: func(string, uint64) uint64 { return 1 }})
	w.complete()
	for _, flags := range []string{`\Seen`, `$Later \Seen`, `\Answered \Seen`} {
		s.Change(func(m *script.Model) { m.Box("INBOX").Flag(4, flags) })
		w.complete()
		w.equals(s)
	}
	if got := w.text(`SELECT count(*) FROM sync_error WHERE detail LIKE '%HIGHESTMODSEQ did not%'`); got != "1" {
		t.Errorf("recorded %s times", got)
	}
	w.restart()
	s.Change(func(m *script.Model) { m.Box("INBOX").Flag(7, "$Other") })
	w.complete()
	w.equals(s)
	s.Misbehave(script.Faults{})
	s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(2000, 100) })
	w.complete()
	opened := s.Count("EXAMINE")
	w.complete()
	if s.Count("EXAMINE") != opened {
		t.Error("MODSEQ is not used again under another UIDVALIDITY")
	}
	w.equals(s)
}

// TestModSeqStuckNewMail: mail comes and HIGHESTMODSEQ does not move: the flags of the other messages are compared.
func TestModSeqStuckNewMail(t *testing.T) {
	s, w := scripted(t, 8, script.Options{}, Options{})
	s.Misbehave(script.Faults{ModSeq: func(string, uint64) uint64 { return 1 }})
	w.complete()
	s.Change(func(m *script.Model) { m.Box("INBOX").Flag(3, `\Answered`) })
	put(s, "INBOX", 1)
	w.complete()
	w.equals(s)
}

// TestOlderFlags: flags with a lower MODSEQ than the stored ones are older, though they come later.
func TestOlderFlags(t *testing.T) {
	for told, want := range map[string]string{
		"* 2 FETCH (UID 2 FLAGS ($Told) MODSEQ (3))":  "$New",
		"* 2 FETCH (UID 2 FLAGS ($Told) MODSEQ (50))": "$Told",
		"* 2 FETCH (UID 2 FLAGS ($Told))":             "$Told",
	} {
		s, w := scripted(t, 6, script.Options{}, Options{})
		w.complete()
		s.Change(func(m *script.Model) { m.Box("INBOX").Flag(2, "$New") }) // MODSEQ 8
		w.complete()
		put(s, "INBOX", 1)
		s.Misbehave(script.Faults{Line: func(c script.Command, line string) string {
			if c.Name == "UID FETCH" && strings.Contains(c.Args, "BODY.PEEK[]") && strings.Contains(line, " OK ") {
				return told + "\r\n" + line
			}
			return line
		}})
		w.complete()
		if got := w.text(`SELECT flags FROM mail WHERE uid = 2`); got != want {
			t.Errorf("%s: the flags are %s", told, got)
		}
	}
}

var modSeqOnWire = regexp.MustCompile(` MODSEQ \(\d+\)`)

// TestModSeqFalls: the server counts MODSEQ anew, or keeps none for a while: flags are those of the server, whatever
// their MODSEQ, and no MODSEQ of before is left.
func TestModSeqFalls(t *testing.T) {
	lost := func(m *script.Model) {
		b := m.Box("INBOX")
		b.ModSeq = 2
		for i := range b.Messages {
			b.Messages[i].ModSeq = 1
		}
		b.Messages[1].Flags, b.Messages[4].Flags = "$Other", ""
	}
	none := script.Faults{Line: func(_ script.Command, line string) string {
		if strings.HasPrefix(line, "* OK [HIGHESTMODSEQ") {
			return "* OK [NOMODSEQ] none is kept"
		}
		line = strings.Split(line, " HIGHESTMODSEQ")[0] + map[bool]string{true: ")"}[strings.Contains(line,
			" HIGHESTMODSEQ")]
		return modSeqOnWire.ReplaceAllString(line, "")
	}}
	for name, f := range map[string]script.Faults{"lower": {}, "none": none} {
		t.Run(name, func(t *testing.T) {
			s, w := scripted(t, 6, script.Options{}, Options{})
			w.complete()
			for i := range 20 {
				s.Change(func(m *script.Model) { m.Box("INBOX").Flag(uint32(1+i%6), []string{"", "$New"}[i%2]) })
			}
			w.complete()
			s.Change(lost)
			s.Misbehave(f)
			w.complete()
			w.equals(s)
			if got := w.text(`SELECT max(modseq) <= 2 FROM mailbox`); got != "1" {
				t.Errorf("the mailbox's MODSEQ is %s", w.text(`SELECT modseq FROM mailbox`))
			}
			if got := w.text(`SELECT max(modseq) <= 2 FROM entry`); got != "1" {
				t.Errorf("a message's MODSEQ is %s", w.text(`SELECT max(modseq) FROM entry`))
			}
			s.Misbehave(script.Faults{})
			for range 40 { // past what was stored before
				s.Change(func(m *script.Model) { m.Box("INBOX").Flag(3, "$A") })
			}
			w.complete()
			w.equals(s)
		})
	}
}

// TestIndexLost: Dovecot without its index has the same UIDVALIDITY and UIDs and counts MODSEQ from 1 again.
func TestIndexLost(t *testing.T) {
	server := dovecot.Start(t, dovecot.Config{})
	fill(t, server, 3, 20, 1)
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{}).account(server.Host(), server.Port())
	client, err := truth.Dial(t.Context(), server.Addr(), dovecot.User, dovecot.Password)
	must(t, err)
	defer client.Close()
	flip := func(set, flag string, times int) {
		for i := range times {
			must(t, client.Store("INBOX", set, []string{"+FLAGS", "-FLAGS"}[i%2], flag))
		}
	}
	flip("1:20", `\Flagged`, 29)
	w.complete()
	flip("3", `\Answered`, 3)
	w.complete()
	w.agrees(server)
	const numbers = `SELECT uidvalidity || ' ' || modseq FROM mailbox WHERE path = 'INBOX'`
	before := w.text(numbers)
	for round := range 3 {
		client.Close()
		must(t, server.LoseIndex(dovecot.User, "INBOX"))
		client, err = truth.Dial(t.Context(), server.Addr(), dovecot.User, dovecot.Password)
		must(t, err)
		flip("5", `\Draft`, 1+round) // MODSEQ stays far below what it was
		flip("7", `\Seen`, 3+round)
		w.complete()
		w.agrees(server)
		after := w.text(numbers)
		t.Logf("UIDVALIDITY and HIGHESTMODSEQ: before %s, after %s", before, after)
		if highest := w.text(`SELECT max(e.modseq) > m.modseq FROM entry e JOIN mailbox m ON m.id = e.mailbox_id
			WHERE m.path = 'INBOX'`); highest != "0" {
			t.Error("a MODSEQ of before is left")
		}
		flip("9", `\Flagged`, 40) // past what it was
		w.complete()
		w.agrees(server)
	}
}
