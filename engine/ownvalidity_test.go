package engine

import (
	"strings"
	"testing"

	"mailcote/storage"
	"mailcote/testkit/script"
)

// checkRemote compares the store with the server and fails the test at each difference.
func (w *world) checkRemote() {
	w.t.Helper()
	findings, err := w.engine.CheckRemote(w.t.Context(), RemoteOptions{Accounts: []storage.Account{w.find()}})
	if err != nil || len(findings) > 0 {
		w.t.Errorf("check: %v, %d findings: %+v", err, len(findings), findings[:min(3, len(findings))])
	}
}

// unnumbered takes UIDVALIDITY out of what EXAMINE says, or makes it 0.
func unnumbered(zero bool) func(script.Command, string) string {
	return func(c script.Command, line string) string {
		switch {
		case c.Name != "EXAMINE" || !strings.Contains(line, "[UIDVALIDITY"):
			return line
		case zero:
			return "* OK [UIDVALIDITY 0] this"
		}
		return ""
	}
}

// none is a server that gives no UIDVALIDITY at all.
func none(int, string, uint32) uint32 { return 0 }

// TestUIDValidityOfStatus: where EXAMINE gives no UIDVALIDITY, that of STATUS is the mailbox's.
func TestUIDValidityOfStatus(t *testing.T) {
	for _, caps := range []string{"", plainCaps} {
		for _, zero := range []bool{false, true} {
			s, w := scripted(t, 20, script.Options{Capabilities: caps}, Options{})
			s.Misbehave(script.Faults{Line: unnumbered(zero)})
			w.complete()
			w.equals(s)
			if got := w.text(`SELECT uidvalidity || ' ' || (own_validity IS NULL) FROM mailbox`); got != "1000 1" {
				t.Errorf("UIDVALIDITY %q", got)
			}
			w.checkRemote()
			put(s, "INBOX", 2)
			if sum := w.complete(); sum.Fetched != 2 {
				t.Errorf("summary %+v", sum)
			}
			s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(2000, 501) })
			if sum := w.complete(); sum.Fetched != 0 {
				t.Errorf("summary %+v", sum)
			}
			w.equals(s)
			if f := w.faults(); len(f) != 0 {
				t.Errorf("faults %+v", f)
			}
		}
	}
}

// TestOwnUIDValidity: a mailbox without any UIDVALIDITY is stored under a number of ours, and that is said once.
func TestOwnUIDValidity(t *testing.T) {
	start := func(t *testing.T, caps string) (*script.Server, *world) {
		s, w := scripted(t, 40, script.Options{Capabilities: caps}, Options{})
		put(s, "Plans", 3)
		s.Misbehave(script.Faults{Validity: none})
		w.complete()
		w.equals(s)
		return s, w
	}
	own := func(w *world) string {
		return w.text(`SELECT uidvalidity FROM mailbox
			WHERE uidvalidity = own_validity AND raw = CAST('INBOX' AS BLOB)`)
	}
	for name, caps := range map[string]string{"STATUS in LIST": "", "plain": plainCaps} {
		t.Run(name, func(t *testing.T) {
			s, w := start(t, caps)
			number, entries := own(w), w.text(`SELECT count(*) FROM entry`)
			for range 3 {
				w.restart()
				if sum := w.complete(); sum.Fetched != 0 {
					t.Errorf("summary %+v", sum)
				}
			}
			w.checkRemote()
			if own(w) != number || w.text(`SELECT count(*) FROM entry`) != entries {
				t.Error("the number or the rows did not stay")
			}
			s.Change(func(m *script.Model) {
				b := m.Box("INBOX")
				b.Expunge(1, 7, 40)
				b.Flag(5, `\Answered`)
				b.Add(mail("INBOX", 41))
			})
			if sum := w.complete(); sum.Fetched != 1 || own(w) != number {
				t.Errorf("summary %+v", sum)
			}
			w.equals(s)
			s.Change(func(m *script.Model) { b := m.Box("INBOX"); b.Messages = nil; b.Add(mail("INBOX", 42)) })
			w.complete()
			w.equals(s)
			f := w.faults()
			if len(f) != 2 || f[0].Scope != "nothing" || !strings.Contains(f[0].Detail, "no UIDVALIDITY") {
				t.Errorf("faults %+v", f)
			}
		})
	}
	for _, test := range []struct {
		name   string
		change func(b *script.Box)
		want   int64 // fetched
	}{
		{"UIDs begin anew", func(b *script.Box) { b.Expunge(1); b.Renumber(0, 1); b.Add(mail("new", 1)) }, 1},
		{"in another order", func(b *script.Box) {
			raws := make([][]byte, len(b.Messages))
			for i, m := range b.Messages {
				raws[len(raws)-1-i] = m.Raw
			}
			for i := range b.Messages {
				b.Messages[i].Raw = raws[i]
			}
		}, 0},
		{"UIDNEXT fell, the first ones are the same", func(b *script.Box) {
			b.Messages = b.Messages[:20]
			b.UIDNext = 21
			for i := range uint32(15) {
				b.Add(mail("new", i))
			}
		}, 15},
		{"moved beyond all that was known", func(b *script.Box) { b.Renumber(0, 1000) }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, w := start(t, "")
			number := own(w)
			s.Change(func(m *script.Model) { test.change(m.Box("INBOX")) })
			if sum := w.complete(); sum.Fetched != test.want {
				t.Errorf("fetched %d, want %d", sum.Fetched, test.want)
			}
			w.equals(s)
			if own(w) == number {
				t.Error("the old number stayed")
			}
			if sum := w.complete(); sum.Fetched != 0 {
				t.Errorf("summary %+v", sum)
			}
			w.equals(s)
			if f := w.faults(); len(f) != 2 {
				t.Errorf("%d faults", len(f))
			}
		})
	}
	t.Run("UIDNEXT is worth nothing", func(t *testing.T) {
		s, w := start(t, "")
		number := own(w)
		s.Change(func(m *script.Model) { m.Box("INBOX").UIDNext = 1 })
		for range 2 {
			if sum := w.complete(); sum.Fetched != 0 || own(w) != number {
				t.Errorf("summary %+v", sum)
			}
		}
		w.equals(s)
	})
	t.Run("sizes are worth nothing", func(t *testing.T) {
		s, w := scripted(t, 40, script.Options{}, Options{})
		s.Misbehave(script.Faults{Validity: none, Size: func(_ string, _ uint32, n int64) int64 { return 0 }})
		w.complete()
		number := own(w)
		if sum := w.complete(); sum.Fetched != 0 || own(w) != number {
			t.Errorf("summary %+v", sum)
		}
		w.equals(s)
	})
	t.Run("given before and again", func(t *testing.T) {
		s, w := scripted(t, 40, script.Options{}, Options{})
		w.complete()
		for _, validity := range []func(int, string, uint32) uint32{none, nil, none, nil} {
			s.Misbehave(script.Faults{Validity: validity})
			if sum := w.complete(); sum.Fetched != 0 {
				t.Errorf("summary %+v", sum)
			}
			w.equals(s)
		}
		if got := w.text(`SELECT count(*) FROM entry`); got != "40" {
			t.Errorf("%s rows", got)
		}
	})
	t.Run("broken off while it is built anew", func(t *testing.T) {
		s, w := start(t, "")
		s.Change(func(m *script.Model) {
			b := m.Box("INBOX")
			b.Messages, b.UIDNext = nil, 1
			for i := range uint32(200) {
				b.Add(mail("new", i))
			}
		})
		if sum := w.stopWith(s, 120, script.Faults{Validity: none}); !sum.Interrupted {
			t.Errorf("summary %+v", sum)
		}
		s.Misbehave(script.Faults{Validity: none})
		w.complete()
		w.equals(s)
		if got := w.text(`SELECT count(*) FROM entry WHERE expunged_at IS NULL`); got != "203" {
			t.Errorf("%s rows", got)
		}
	})
}
