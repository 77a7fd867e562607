package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"mailcote/engine/fetch"
	"mailcote/storage"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/script"
	"mailcote/testkit/truth"
)

// wholes answers in place of the literal of one message: one fault after the other, the last of them ever after.
func wholes(uid uint32, faults ...script.Fault) func(script.Part) script.Fault {
	var n atomic.Int32
	return func(p script.Part) script.Fault {
		if p.Box != "INBOX" || p.UID != uid || !strings.Contains(p.Items, "BODY.PEEK[]") {
			return script.Whole
		}
		return faults[min(int(n.Add(1)), len(faults))-1]
	}
}

// cut is the model with a message of INBOX that ends in its middle.
func cut(s *script.Server, uid uint32) []truth.Line {
	all := modelOf(s)
	s.Change(func(m *script.Model) {
		for i := range all {
			if all[i].Mailbox == "INBOX" && all[i].UID == uid {
				raw := m.Box("INBOX").Messages[uid-1].Raw
				sum := sha256.Sum256(raw[:len(raw)/2])
				all[i].SHA256 = hex.EncodeToString(sum[:])
			}
		}
	})
	return all
}

// facts gives the store's facts about sizes, as key=value.
func (w *world) facts() string {
	return w.text(`SELECT key || '=' || value FROM meta WHERE key GLOB 'size*' ORDER BY key`)
}

func (w *world) came() []byte {
	w.t.Helper()
	var all []storage.Quarantined
	if err := w.store.Read(w.t.Context(), func(r *storage.Reader) (err error) {
		all, err = r.QuarantineOf(w.id)
		return err
	}); err != nil || len(all) != 1 {
		w.t.Fatalf("%v, quarantine %+v", err, all)
	}
	var out bytes.Buffer
	report, err := w.engine.Came(w.t.Context(), all[0], 0, &out)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil || report.Got != int64(out.Len()) || report.SHA256 != sha256.Sum256(out.Bytes()) {
		w.t.Errorf("%+v of %d bytes, %v", report, out.Len(), err)
	}
	return out.Bytes()
}

// settled fails the test when anything of a message in doubt is left behind.
func (w *world) settled() {
	w.t.Helper()
	left := w.text(`SELECT (SELECT count(*) FROM blob WHERE state = 'staged') || ' ' ||
		(SELECT count(*) FROM meta WHERE key GLOB 'came:*')`)
	if left != "0 0" || w.engine.account(w.id).suspects.Len() != 0 {
		w.t.Errorf("staged blobs and facts %s, %d suspects", left, w.engine.account(w.id).suspects.Len())
	}
}

// TestBodyInDoubt: a body that is empty or cut is asked for once more on a new session, and is whole only when
// that says so.
func TestBodyInDoubt(t *testing.T) {
	const bad = 3
	for name, test := range map[string]struct {
		faults   []script.Fault
		sessions int
		stored   string // whole, cut or nothing
		came     bool   // half of it is kept
	}{
		"NIL once":           {[]script.Fault{script.Nil, script.Whole}, 2, "whole", false},
		"empty once":         {[]script.Fault{script.Empty, script.Whole}, 2, "whole", false},
		"quoted once":        {[]script.Fault{script.Quoted, script.Whole}, 2, "whole", false},
		"cut once":           {[]script.Fault{script.Half, script.Whole}, 2, "whole", false},
		"empty, cut, whole":  {[]script.Fault{script.Empty, script.Half, script.Whole}, 3, "whole", false},
		"left out at last":   {[]script.Fault{script.Half, script.Omit, script.Whole}, 2, "whole", false},
		"cut always":         {[]script.Fault{script.Half}, 2, "cut", false},
		"NIL always":         {[]script.Fault{script.Nil}, 2, "nothing", false},
		"empty always":       {[]script.Fault{script.Empty}, 2, "nothing", false},
		"quoted always":      {[]script.Fault{script.Quoted}, 2, "nothing", false},
		"cut, then NIL":      {[]script.Fault{script.Half, script.Nil}, 2, "nothing", true},
		"cut, then left out": {[]script.Fault{script.Half, script.Omit}, 2, "nothing", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 5, script.Options{}, Options{})
			s.Misbehave(script.Faults{Part: wholes(bad, test.faults...)})
			sum := w.sync()
			t.Logf("%d sessions, %+v", s.Connections(), sum)
			if s.Connections() != test.sessions {
				t.Errorf("%d sessions, want %d", s.Connections(), test.sessions)
			}
			switch test.stored {
			case "nothing":
				if sum.Result != Partial || sum.Quarantined != 1 || sum.Fetched != 4 {
					t.Errorf("summary %+v", sum)
				}
				w.equals(s, bad)
				if held := w.text(`SELECT count(*) FROM coverage WHERE ? BETWEEN lo AND hi`, bad); held != "0" {
					t.Error("coverage vouches for it")
				}
				if want := cameWant(s, bad, test.came); !bytes.Equal(w.came(), want) {
					t.Errorf("%q is kept, want %q", w.came(), want)
				}
				w.restart()
				if want := cameWant(s, bad, test.came); !bytes.Equal(w.came(), want) {
					t.Errorf("after a restart %q is kept, want %q", w.came(), want)
				}
				s.Misbehave(script.Faults{})
				w.complete()
				w.equals(s)
			case "cut":
				w.same(cut(s, bad))
				if got := w.facts(); got != fmt.Sprintf("size_short:%d=1", w.id) || len(w.faults()) != 1 {
					t.Errorf("facts %q, faults %+v", got, w.faults())
				}
			default:
				if sum.Result != Complete {
					t.Errorf("summary %+v", sum)
				}
				w.equals(s)
				if got := w.facts(); got != "" || len(w.faults()) != 0 {
					t.Errorf("facts %q, faults %+v", got, w.faults())
				}
			}
			before := s.Connections()
			if sum := w.sync(); sum.Result != Complete || sum.Fetched != 0 || s.Connections() != before+1 {
				t.Errorf("at the second time %+v, %d sessions", sum, s.Connections()-before)
			}
			w.settled()
		})
	}
}

func cameWant(s *script.Server, uid uint32, came bool) (half []byte) {
	if came {
		s.Change(func(m *script.Model) {
			raw := m.Box("INBOX").Messages[uid-1].Raw
			half = raw[:len(raw)/2]
		})
	}
	return half
}

// TestWrongSizes: a server that computes sizes wrongly costs a few sessions,
// and then no more. An empty body is never believed, nor one that lacks more
// octets than others did.
func TestWrongSizes(t *testing.T) {
	for name, test := range map[string]struct {
		size     func(int64) int64
		sessions int
		fact     string
	}{
		"too large":    {func(n int64) int64 { return n + 29 }, 2, "size_wrong:1=29"},
		"huge":         {func(int64) int64 { return 1<<62 + 1 }, 2, ""},
		"beyond int64": {func(int64) int64 { return -1 }, 1, ""},
		"too small":    {func(n int64) int64 { return n - 29 }, 1, ""},
		"zero":         {func(int64) int64 { return 0 }, 1, "size_zero:1=1"},
		"left out":     {func(int64) int64 { return -1 }, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 20, script.Options{}, Options{})
			size := func(_ string, _ uint32, n int64) int64 { return test.size(n) }
			faults := script.Faults{Size: size}
			if name == "beyond int64" {
				faults = script.Faults{Line: func(_ script.Command, line string) string {
					return strings.Replace(line, "RFC822.SIZE ", "RFC822.SIZE 99999999999999999999", 1)
				}}
			}
			s.Misbehave(faults)
			w.complete()
			w.equals(s)
			got := w.facts()
			if name == "huge" {
				test.fact = got
				if !strings.HasPrefix(got, "size_wrong:1=46116860") {
					t.Errorf("facts %q", got)
				}
			}
			if s.Connections() != test.sessions || got != test.fact {
				t.Errorf("%d sessions, want %d; facts %q, want %q", s.Connections(), test.sessions, got, test.fact)
			}
			w.restart()
			put(s, "INBOX", 5)
			before := s.Connections()
			w.complete()
			later := 1
			if name == "huge" { // a size that far off tells nothing of a cut: each page is asked for once more
				later = 2
			}
			if w.equals(s); s.Connections() != before+later || w.facts() != test.fact {
				t.Errorf("later %d sessions, facts %q", s.Connections()-before, w.facts())
			}

			// An empty one.
			put(s, "INBOX", 1)
			faults.Part = wholes(26, script.Empty, script.Empty, script.Whole)
			s.Misbehave(faults)
			if sum := w.sync(); sum.Result != Complete || sum.Fetched != 1 {
				t.Errorf("the empty one: %+v", sum)
			}
			w.equals(s)
			w.settled()
		})
	}
}

// TestWrongSizesSlowly: messages that come one at a time teach the same, over restarts, and say so once each.
func TestWrongSizesSlowly(t *testing.T) {
	s, w := scripted(t, 0, script.Options{}, Options{})
	s.Misbehave(script.Faults{Size: func(_ string, _ uint32, n int64) int64 { return n + 29 }})
	for i, want := range []struct {
		sessions int
		fact     string
	}{{2, "size_short:1=1"}, {2, "size_short:1=2"}, {2, "size_wrong:1=29"}, {1, "size_wrong:1=29"}} {
		put(s, "INBOX", 1)
		before := s.Connections()
		w.complete()
		if n := s.Connections() - before; n != want.sessions || w.facts() != want.fact {
			t.Errorf("message %d: %d sessions, facts %q", i+1, n, w.facts())
		}
		w.restart()
	}
	w.equals(s)
	if all := w.faults(); len(all) != 3 || !strings.Contains(all[0].Detail, "not recorded again") ||
		!strings.Contains(all[2].Detail, "the same ") {
		t.Errorf("faults %+v", all)
	}

	// It lacks more than the others did: a cut one.
	put(s, "INBOX", 1)
	s.Misbehave(script.Faults{Part: wholes(5, script.Half, script.Whole),
		Size: func(_ string, _ uint32, n int64) int64 {
			return n + 29
		}})
	before := s.Connections()
	w.complete()
	w.equals(s)
	if n := s.Connections() - before; n != 2 {
		t.Errorf("%d sessions for a cut message", n)
	}
	w.settled()
}

// TestEmptyMessage: a message of no octets comes, after two sessions have said the same.
func TestEmptyMessage(t *testing.T) {
	for _, fault := range []script.Fault{script.Whole, script.Nil, script.Quoted} {
		s, w := scripted(t, 5, script.Options{}, Options{})
		s.Change(func(m *script.Model) { m.Box("INBOX").Add(nil, `\Seen`) })
		s.Misbehave(script.Faults{Part: wholes(6, fault)})
		w.complete()
		w.equals(s)
		if got := w.text(`SELECT size || ' ' || has_body FROM mail WHERE uid = 6`); got != "0 1" ||
			s.Connections() != 2 || w.facts() != "" {
			t.Errorf("size and body %s, %d sessions, facts %q", got, s.Connections(), w.facts())
		}
		w.settled()
	}
}

// TestPartsInDoubt: a message that comes in parts only, and whose parts end early, is downloaded twice.
func TestPartsInDoubt(t *testing.T) {
	for _, once := range []bool{true, false} {
		t.Run(fmt.Sprint("once ", once), func(t *testing.T) {
			s, w := scripted(t, 5, script.Options{}, Options{})
			s.Change(func(m *script.Model) { m.Box("INBOX").Add(large(1, 1)[:900_000]) })
			var ended atomic.Int32
			s.Misbehave(script.Faults{Part: func(p script.Part) script.Fault {
				switch {
				case p.UID != 6 || !strings.Contains(p.Items, "BODY"):
					return script.Whole
				case p.Most == 0:
					return script.Omit
				case p.From == 0:
					ended.Add(1)
				}
				if !once || ended.Load() == 1 {
					return script.Half
				}
				return script.Whole
			}})
			w.complete()
			if once {
				w.equals(s)
			} else {
				w.same(cut(s, 6))
			}
			if ended.Load() != 2 || s.Connections() != 2 {
				t.Errorf("downloaded %d times over %d sessions", ended.Load(), s.Connections())
			}
			w.settled()
		})
	}
}

// TestDoubtOutlivesSessions: a second session that breaks, or a process that ends before it, leaves nothing half done.
func TestDoubtOutlivesSessions(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			s, w := scripted(t, 30, script.Options{}, Options{})
			first := wholes(7, script.Half, script.Whole)
			var asked atomic.Int32
			s.Misbehave(script.Faults{Part: first, On: func(c script.Command) script.Action {
				if c.Name == "UID FETCH" && strings.Contains(c.Args, "BODY") && asked.Add(1) > 1 &&
					(restart || asked.Load() == 2) {
					return script.Drop
				}
				return script.Answer
			}})
			sum := w.sync()
			if restart {
				if sum.Result == Complete || w.text(`SELECT count(*) FROM mail`) != "29" ||
					w.text(`SELECT count(*) FROM coverage WHERE 7 BETWEEN lo AND hi`) != "0" {
					t.Fatalf("summary %+v, %s messages", sum, w.text(`SELECT count(*) FROM mail`))
				}
				w.restart()
				s.Misbehave(script.Faults{})
				sum = w.sync()
			}
			if sum.Result != Complete {
				t.Errorf("summary %+v", sum)
			}
			w.equals(s)
			w.settled()
		})
	}
}

// TestDoubtBounded: a server that is wrong once about messages of each page costs a few sessions, not one a page,
// and no more messages wait than a page has.
func TestDoubtBounded(t *testing.T) {
	for name, test := range map[string]struct {
		n        int
		bad      func(uid uint32) bool
		sessions int
	}{
		"one of each page": {200, func(uid uint32) bool { return uid%10 == 5 }, 1 + fetch.MaxRenewals + 1},
		"all": {20*fetch.MaxRenewals + fetch.PageMost + 60, func(uint32) bool {
			return true
		}, 1 + fetch.MaxRenewals + 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, test.n, script.Options{Capabilities: script.Capabilities + " MESSAGELIMIT=20",
				MessageLimit: 20}, Options{})
			done := make([]atomic.Bool, test.n+1)
			var most atomic.Int32
			s.Misbehave(script.Faults{Part: func(p script.Part) script.Fault {
				raise(&most, int32(w.engine.account(w.id).suspects.Len()))
				if test.bad(p.UID) && strings.Contains(p.Items, "BODY") && !done[p.UID].Swap(true) {
					return script.Half
				}
				return script.Whole
			}})
			w.complete()
			w.equals(s)
			t.Logf("%d sessions, %d messages waited at once", s.Connections(), most.Load())
			if n := s.Connections(); n > test.sessions || most.Load() > fetch.PageMost {
				t.Errorf("%d sessions, want %d; %d messages waited at once", n, test.sessions, most.Load())
			}
			w.settled()
		})
	}
}

// TestEmptyMessageDovecot: an empty file in a Maildir is a message.
func TestEmptyMessageDovecot(t *testing.T) {
	t.Parallel()
	server := dovecot.Start(t, dovecot.Config{})
	for i := range 5 {
		server.Deliver(t, dovecot.User, "INBOX", mail("INBOX", uint32(i)), dovecot.Options{})
	}
	server.Deliver(t, dovecot.User, "INBOX", nil, dovecot.Options{})
	w := open(t, t.TempDir()+"/mail.db", Options{backoff: quick}).account(server.Host(), server.Port())
	w.complete()
	w.agrees(server)
	if n := w.text(`SELECT count(*) FROM mail WHERE size = 0 AND has_body`); n != "1" {
		t.Errorf("%s empty messages", n)
	}
	w.settled()
}

// TestDoubtedLeaves: a message that came in doubt and is gone when it is asked for again ends nothing and is not
// asked for any more.
func TestDoubtedLeaves(t *testing.T) {
	s, w := scripted(t, 5, script.Options{}, Options{})
	var came, left atomic.Bool
	s.Misbehave(script.Faults{
		Part: func(p script.Part) script.Fault {
			if p.UID == 3 && strings.Contains(p.Items, "BODY.PEEK[]") {
				came.Store(true)
				return script.Half
			}
			return script.Whole
		},
		On: func(c script.Command) script.Action {
			if c.Name == "EXAMINE" && came.Load() && !left.Swap(true) {
				s.Change(func(m *script.Model) { m.Box("INBOX").Expunge(3) })
			}
			return script.Answer
		},
	})
	w.complete()
	w.equals(s)
	if n := s.Count("UID FETCH"); n > 6 || w.engine.account(w.id).suspects.Len() > 0 {
		t.Errorf("%d FETCH commands, %d messages are waited for", n, w.engine.account(w.id).suspects.Len())
	}
}

// TestAbsurdSizes: three messages of absurd sizes do not make a cut of a later one believed.
func TestAbsurdSizes(t *testing.T) {
	s, w := scripted(t, 3, script.Options{}, Options{})
	s.Misbehave(script.Faults{Size: func(_ string, _ uint32, n int64) int64 { return n + 1_000_000 }})
	w.complete()
	put(s, "INBOX", 1)
	s.Misbehave(script.Faults{Part: wholes(4, script.Half, script.Whole)})
	before := s.Connections()
	w.complete()
	w.equals(s)
	if n := s.Connections() - before; n != 2 {
		t.Errorf("%d sessions for a cut message", n)
	}
}

// TestAllEmpty: where no message has a body, only the first are asked for in every way, and all are set aside at once.
func TestAllEmpty(t *testing.T) {
	const n = 400
	s, w := scripted(t, n, script.Options{}, Options{})
	s.Misbehave(script.Faults{Part: func(p script.Part) script.Fault {
		if strings.Contains(p.Items, "BODY") {
			return script.Empty
		}
		return script.Whole
	}})
	if sum := w.sync(); sum.Quarantined != n || w.engine.account(w.id).suspects.Len() > 0 {
		t.Errorf("%d are waited for: %+v", w.engine.account(w.id).suspects.Len(), sum)
	}
	if got := s.Count("UID FETCH"); got > 4*fetch.MaxHopeless {
		t.Errorf("%d FETCH commands", got)
	}
}

// TestExpungeIssued: a message of no octets does not come where the server tells with the same answer of expunged ones.
func TestExpungeIssued(t *testing.T) {
	const bad = 3
	s, w := scripted(t, 5, script.Options{}, Options{})
	s.Misbehave(script.Faults{
		Part: wholes(bad, script.Empty),
		Size: func(_ string, uid uint32, size int64) int64 {
			if uid == bad {
				return 0
			}
			return size
		},
		Line: func(c script.Command, line string) string {
			if c.Name == "UID FETCH" {
				line = strings.Replace(line, " OK ", " OK [EXPUNGEISSUED] ", 1)
			}
			return line
		},
	})
	if sum := w.sync(); sum.Result != Partial || sum.Quarantined != 1 || sum.Fetched != 4 {
		t.Errorf("summary %+v", sum)
	}
	w.equals(s, bad)
}
