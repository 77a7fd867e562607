package engine

import (
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine/imap"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/proxy"
	"mailcote/testkit/script"
)

// TestRescue: a message that does not come as others do comes in another way, whole, and the others are not held up.
func TestRescue(t *testing.T) {
	const bad = 21
	whole := func(p script.Part) bool { return p.Most == 0 && strings.Contains(p.Items, "BODY") }
	tests := []struct {
		name   string
		part   func(script.Part) script.Fault
		flags  bool // they are lost: the server cannot say them
		says   string
		limits imap.Limits
	}{
		{name: "its flags end sessions", flags: true, part: func(p script.Part) script.Fault {
			if !strings.Contains(p.Items, "FLAGS") {
				return script.Whole
			}
			if whole(p) {
				return script.TooShort
			}
			return script.Broken
		}},
		{name: "its flags end sessions until they were asked for", part: deaf(1)},
		{name: "its flags end sessions until they were asked for again", part: deaf(2)},
		{name: "refused with its flags", part: func(p script.Part) script.Fault {
			if strings.Contains(p.Items, "FLAGS") && whole(p) {
				return script.Refuse
			}
			return script.Whole
		}},
		{name: "only parts", part: onlyParts(script.Omit)},
		{name: "only parts, cut", part: onlyParts(script.Cut)},
		{name: "only parts, literal too short", part: onlyParts(script.TooShort)},
		{name: "only parts, literal too long", part: onlyParts(script.TooLong),
			limits: imap.Limits{Progress: 500 * time.Millisecond}},
		{name: "only parts, huge literal", part: onlyParts(script.Huge)},
		{name: "only parts, literal {-1}", part: onlyParts(script.Negative)},
		{name: "only parts, literal 2^63", part: onlyParts(script.Overflow)},
		{name: "only parts, size not a number", part: onlyParts(script.Garbled)},
		{name: "only small parts", part: func(p script.Part) script.Fault {
			if whole(p) || p.Most > 20_000 {
				return script.CutEarly
			}
			return script.Whole
		}},
		{name: "parts shorter than asked for", part: func(p script.Part) script.Fault {
			if whole(p) {
				return script.Nil
			}
			return script.Stingy
		}},
		{name: "parts, wrong size", says: "7 bytes and gave", part: func(p script.Part) script.Fault {
			if whole(p) {
				return script.Omit
			}
			return script.WrongSize
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, bad-1, script.Options{}, Options{Limits: test.limits})
			s.Change(func(m *script.Model) {
				if b := m.Box("INBOX"); test.flags {
					b.Add(large(1, 1)[:300_000])
				} else {
					b.Add(large(1, 1)[:300_000], `\Seen`, "$Work")
				}
			})
			put(s, "INBOX", 20)
			put(s, "Archive", 5)
			s.Misbehave(script.Faults{Part: func(p script.Part) script.Fault {
				if p.Box == "INBOX" && p.UID == bad {
					return test.part(p)
				}
				return script.Whole
			}})
			sum := w.complete()
			w.equals(s)
			said := ""
			for _, f := range w.faults() {
				said += f.Detail + "\n"
			}
			if !strings.Contains(said, test.says) {
				t.Errorf("nothing says %q: %s", test.says, said)
			}
			if left := w.text(`SELECT count(*) FROM blob WHERE state = 'staged'`); left != "0" || sum.Quarantined != 0 {
				t.Errorf("%s staged blobs, summary %+v", left, sum)
			}
			if w.engine.account(w.id).suspects.Len() != 0 {
				t.Error("the message is still a suspect")
			}
		})
	}
}

// deaf makes a message end sessions that ask for its flags, until n have asked for them and for no body.
func deaf(n int32) func(script.Part) script.Fault {
	var asked atomic.Int32
	return func(p script.Part) script.Fault {
		if !strings.Contains(p.Items, "FLAGS") || asked.Load() >= n {
			return script.Whole
		}
		if !strings.Contains(p.Items, "BODY") {
			asked.Add(1)
		}
		return script.CutEarly
	}
}

// onlyParts makes a message come in parts only.
func onlyParts(whole script.Fault) func(script.Part) script.Fault {
	return func(p script.Part) script.Fault {
		if p.Most == 0 && strings.Contains(p.Items, "BODY") {
			return whole
		}
		return script.Whole
	}
}

// TestShortLivedLink: a message larger than any connection survives arrives piece by piece, and what came is not
// asked for again.
func TestShortLivedLink(t *testing.T) {
	t.Parallel()
	const lives = 600_000
	s := script.Start(t, script.Options{})
	put(s, "INBOX", 10)
	source := &script.Source{Head: []byte("Subject: large\r\n\r\n"), Pattern: large(7, 1)[:999_983], Size: 8 << 20}
	s.Change(func(m *script.Model) { m.Box("INBOX").AddSource(source, `\Seen`) })
	put(s, "INBOX", 10)
	p := proxy.Start(t, s.Addr(), 1)
	p.Set(proxy.Faults{CutDown: lives})
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{backoff: quick}).account("127.0.0.1", p.Port())
	w.complete()
	w.equals(s)
	n := int64(s.Connections())
	t.Logf("%d bytes over links that live for %d: %d connections", source.Size, lives, n)
	if n*lives > 2*source.Size {
		t.Errorf("%d connections that bring %d bytes each for a message of %d", n, lives, source.Size)
	}
}

// TestShortLivedLinkDovecot is the same with a real server.
func TestShortLivedLinkDovecot(t *testing.T) {
	t.Parallel()
	server := dovecot.Start(t, dovecot.Config{})
	for i := range 5 {
		server.Deliver(t, dovecot.User, "INBOX", mail("INBOX", uint32(i)), dovecot.Options{})
	}
	server.Deliver(t, dovecot.User, "INBOX", large(5, 5), dovecot.Options{})
	p := proxy.Start(t, server.Addr(), 1)
	p.Set(proxy.Faults{CutDown: 900_000})
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{backoff: quick}).account("127.0.0.1", p.Port())
	w.complete()
	w.agrees(server)
	if n := p.Stats().Cuts; n < 5 {
		t.Errorf("%d cuts: the message came in one piece", n)
	}
}

// TestRescueOnce: what ended sessions before it was quarantined is not asked for together with others again.
func TestRescueOnce(t *testing.T) {
	s, w := scripted(t, 40, script.Options{}, Options{})
	var together atomic.Int32
	s.Misbehave(script.Faults{Message: func(_ string, uid uint32) script.Fault {
		if uid == 20 {
			return script.Cut
		}
		return script.Whole
	}, On: func(c script.Command) script.Action {
		if c.Name == "UID FETCH" && strings.Contains(c.Args, "BODY") &&
			strings.ContainsAny(strings.Fields(c.Args)[0], ":,") {
			together.Add(1)
		}
		return script.Answer
	}})
	if sum := w.sync(); sum.Quarantined != 1 || sum.Fetched != 39 {
		t.Fatalf("summary %+v", sum)
	}
	put(s, "INBOX", 5)
	before, opened := together.Load(), s.Connections()
	if sum := w.sync(); sum.Quarantined != 1 || sum.Fetched != 5 {
		t.Fatalf("summary %+v", sum)
	}
	if n := together.Load() - before; n != 1 {
		t.Errorf("%d pages for 5 new messages", n)
	}
	t.Logf("one message that ends every session cost %d connections", s.Connections()-opened)
	if got := w.text(`SELECT attempts || ' ' || alone || ' ' || claimed FROM quarantine`); !strings.HasPrefix(got,
		"2 1 ") {
		t.Errorf("quarantine %s", got)
	}
}

// TestRescueGone: a message that leaves, or a mailbox that is numbered anew, while it comes in parts leaves
// nothing behind.
func TestRescueGone(t *testing.T) {
	for name, change := range map[string]func(b *script.Box){
		"expunged":   func(b *script.Box) { b.Expunge(6) },
		"renumbered": func(b *script.Box) { b.Renumber(77, 100) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 5, script.Options{}, Options{})
			s.Change(func(m *script.Model) { m.Box("INBOX").Add(large(1, 1)) })
			var parts atomic.Int32
			s.Misbehave(script.Faults{Part: func(p script.Part) script.Fault {
				if !strings.Contains(p.Items, "BODY") || p.UID != 6 {
					return script.Whole
				}
				if p.Most == 0 {
					return script.Cut
				}
				if parts.Add(1) == 2 {
					s.Change(func(m *script.Model) { change(m.Box("INBOX")) })
					return script.CutEarly
				}
				return script.Whole
			}})
			if sum := w.complete(); sum.Quarantined != 0 {
				t.Errorf("summary %+v", sum)
			}
			w.equals(s)
			if left := w.text(`SELECT count(*) FROM blob WHERE state = 'staged'`); left != "0" ||
				w.engine.account(w.id).suspects.Len() > 0 {
				t.Errorf("%s staged blobs are left, %d suspects", left, w.engine.account(w.id).suspects.Len())
			}
		})
	}
}

// TestRescueNothing: a message of which nothing has come yet takes no place in the store, and one that broke off
// takes one.
func TestRescueNothing(t *testing.T) {
	for fault, want := range map[script.Fault]string{script.CutEarly: "0", script.Cut: "1"} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 5, script.Options{}, Options{})
			s.Change(func(m *script.Model) { m.Box("INBOX").Add(large(1, 1)[:300_000]) })
			var parts atomic.Int32
			s.Misbehave(script.Faults{Part: func(p script.Part) script.Fault {
				switch {
				case p.UID != 6 || !strings.Contains(p.Items, "BODY"):
					return script.Whole
				case p.Most == 0:
					return fault
				case parts.Add(1) == 1:
					return script.CutEarly
				}
				if staged := w.text(`SELECT count(*) FROM blob WHERE state = 'staged'`); parts.Load() == 2 &&
					staged != want {
					t.Errorf("%s staged blobs before a part came, want %s", staged, want)
				}
				return script.Whole
			}})
			w.complete()
			w.equals(s)
			if parts.Load() < 2 {
				t.Error("it was not asked for in parts")
			}
			w.settled()
		})
	}
}
