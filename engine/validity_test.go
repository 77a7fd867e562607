package engine

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine/fetch"
	"mailcote/storage"
	"mailcote/storage/tables"
	"mailcote/testkit/script"
)

// emails gives which email each digest in view is.
func (w *world) emails() string {
	w.t.Helper()
	return w.text(`SELECT sha256 || ' ' || email_id FROM mail ORDER BY 1`)
}

// unsized refuses what would tell a known message from others, so that each is downloaded.
func unsized(c script.Command) script.Action {
	if c.Name == "UID FETCH" && strings.Contains(c.Args, "RFC822.SIZE") {
		return "NO not that"
	}
	return script.Answer
}

// stopAfter cancels a sync when the server has sent n messages and half of the next, and the full batches of them
// are stored.
func (w *world) stopAfter(s *script.Server, n int32) Summary {
	return w.stopWith(s, n, script.Faults{})
}

// stopWith is stopAfter of a server that misbehaves in other ways too.
func (w *world) stopWith(s *script.Server, n int32, faults script.Faults) Summary {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	var seen atomic.Int32
	faults.On = unsized
	faults.Message = func(string, uint32) script.Fault {
		if seen.Add(1) > n {
			return script.Stall
		}
		return script.Whole
	}
	faults.Stalled = func() {
		until(w.t, time.Minute, "the full batches", w.engine.ProgressChanged, func() bool {
			return w.engine.Progress()[0].Fetched >= int64(n)/fetch.BatchMessages*fetch.BatchMessages
		})
		cancel()
	}
	s.Misbehave(faults)
	defer s.Misbehave(script.Faults{})
	return w.engine.Sync(ctx, []storage.AccountID{w.id}, SyncOptions{})[0]
}

// TestUIDValidity: a new generation is built while the old one is shown whole.
// The same bytes stay the same email.
func TestUIDValidity(t *testing.T) {
	s, w := scripted(t, 150, script.Options{}, Options{})
	w.complete()
	before, emails := modelOf(s), w.emails()

	s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(2000, 501); m.Box("INBOX").Add(mail("new", 1)) })
	sum := w.stopAfter(s, 110)
	if !sum.Interrupted || sum.Result == Complete {
		t.Fatalf("interrupted: %+v", sum)
	}
	w.same(before)
	if built := w.text(`SELECT count(*) FROM entry WHERE uidvalidity = 2000 AND expunged_at IS NULL`); built == "0" {
		t.Error("nothing was built beside the shown generation")
	}
	w.clean()
	w.complete()
	w.equals(s)
	if got := w.text(`SELECT sha256 || ' ' || email_id FROM mail WHERE uid < 651 ORDER BY 1`); got != emails {
		t.Error("emails did not keep their ids")
	}

	// Back to the first generation, under the UIDs it had.
	emails = w.emails()
	s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(1000, 1) })
	w.complete()
	w.equals(s)
	if w.emails() != emails {
		t.Error("back: emails did not keep their ids")
	}

	// Twice, the second time before the first was built.
	shown := modelOf(s)
	s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(3000, 10) })
	w.stopAfter(s, 60)
	s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(4000, 77) })
	w.same(shown)
	w.stopAfter(s, 60)
	w.same(shown)
	w.complete()
	w.equals(s)
	if w.emails() != emails {
		t.Error("twice: emails did not keep their ids")
	}

	// Away and back before anything was built: the shown one stays, nothing is fetched.
	s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(5000, 1) })
	w.stopAfter(s, 60)
	s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(4000, 77) })
	if sum := w.complete(); sum.Fetched != 0 {
		t.Errorf("going back fetched %d messages", sum.Fetched)
	}
	w.equals(s)
	if got := w.text(`SELECT count(*) FROM entry WHERE expunged_at IS NULL`); got != "151" {
		t.Errorf("%s live entries, want 151", got)
	}
}

// TestUIDValidityLoss: a new generation that would lose much mail is believed
// only after a second connection confirms it. A generation that cannot be read
// at all is not shown.
func TestUIDValidityLoss(t *testing.T) {
	t.Run("believed after a second listing", func(t *testing.T) {
		s, w := scripted(t, 150, script.Options{}, Options{})
		w.complete()
		connections := s.Connections()
		s.Change(func(m *script.Model) { b := m.Box("INBOX"); b.Messages = nil; b.Renumber(2000, 1) })
		w.complete()
		if n := s.Connections() - connections; n != 2 {
			t.Errorf("%d connections, want 2", n)
		}
		w.equals(s)
	})
	t.Run("unreadable", func(t *testing.T) {
		s, w := scripted(t, 30, script.Options{}, Options{})
		w.complete()
		before := modelOf(s)
		s.Change(func(m *script.Model) { m.Box("INBOX").Renumber(2000, 101) })
		s.Misbehave(script.Faults{On: unsized, Message: func(string, uint32) script.Fault { return script.Refuse }})
		if sum := w.sync(); sum.Result != Partial || sum.Quarantined != 30 {
			t.Fatalf("summary %+v", sum)
		}
		w.same(before)
		s.Misbehave(script.Faults{})
		w.complete()
		w.equals(s)
	})
	t.Run("another one on every connection", func(t *testing.T) {
		s, w := scripted(t, 30, script.Options{}, Options{})
		w.complete()
		before := modelOf(s)
		s.Misbehave(script.Faults{Validity: func(connection int, _ string, v uint32) uint32 {
			return v + uint32(connection)*10
		}})
		for range 3 {
			if sum := w.sync(); sum.Result != Complete {
				t.Fatalf("summary %+v", sum)
			}
			w.same(before)
			w.clean()
		}
	})
	t.Run("told in the middle", func(t *testing.T) {
		for _, at := range []string{"UID SEARCH", "UID FETCH", "NOOP"} {
			s, w := scripted(t, 30, script.Options{}, Options{})
			var told atomic.Bool
			s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
				if c.Name == at && !told.Swap(true) {
					return "* OK [UIDVALIDITY 77] moved"
				}
				return script.Answer
			}})
			w.complete()
			w.equals(s)
			if f := w.faults(); len(f) != 1 || f[0].Class != "protocol" {
				t.Errorf("at %s: faults %+v", at, f)
			}
			if n := s.Count("UID SEARCH"); n != 2 && at != "UID SEARCH" || s.Count("EXAMINE") != 2 {
				t.Errorf("at %s: %v", at, s.Counts())
			}
		}
	})
}

// TestFlagsModSeq: flags are right with CONDSTORE, without, and when HIGHESTMODSEQ goes back.
func TestFlagsModSeq(t *testing.T) {
	for _, test := range []struct{ name, caps string }{
		{"condstore", ""},
		{"none", "IMAP4rev1 AUTH=PLAIN"},
		{"none, LOGIN", "IMAP4rev1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, w := scripted(t, 60, script.Options{Capabilities: test.caps}, Options{})
			put(s, "Sent", 5)
			w.complete()
			for round := range 3 {
				s.Change(func(m *script.Model) {
					m.Box("INBOX").Flag(uint32(5+round), `\Flagged`, fmt.Sprintf("$R%d", round))
					m.Box("INBOX").Flag(uint32(50+round), `\Seen`)
					m.Box("Sent").Flag(2, fmt.Sprintf("$S%d", round))
				})
				if sum := w.complete(); sum.Fetched != 0 {
					t.Errorf("fetched %d", sum.Fetched)
				}
				w.equals(s)
			}
			s.Change(func(m *script.Model) { // a restored server: lower numbers, other flags
				b := m.Box("INBOX")
				b.ModSeq = 3
				for i := range b.Messages {
					b.Messages[i].ModSeq, b.Messages[i].Flags = 2, `\Answered`
				}
			})
			w.complete()
			w.equals(s)
			s.Change(func(m *script.Model) { m.Box("INBOX").Flag(9) })
			w.complete()
			w.equals(s)
		})
	}
}

// TestQuarantineOfGeneration: what is set aside under a UID says nothing of the message that has the UID after
// UIDVALIDITY changed.
func TestQuarantineOfGeneration(t *testing.T) {
	s, w := scripted(t, 10, script.Options{}, Options{})
	s.Misbehave(script.Faults{Message: func(_ string, uid uint32) script.Fault {
		if uid == 5 {
			return script.Omit
		}
		return script.Whole
	}})
	if sum := w.sync(); sum.Quarantined != 1 {
		t.Fatalf("summary %+v", sum)
	}
	if err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
		_, err := tables.In(tx).Exec(`UPDATE quarantine SET attempts = 20`) // the agent's next try is a day off
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s.Misbehave(script.Faults{})
	s.Change(func(m *script.Model) { b := m.Box("INBOX"); b.Expunge(5); b.Renumber(2000, 1); b.Add(mail("new", 1)) })
	w.runUntil("done")
	w.equals(s)
}
