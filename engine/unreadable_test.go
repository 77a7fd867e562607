package engine

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine/plan"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/form"
	"mailcote/testkit/proxy"
	"mailcote/testkit/script"
	"mailcote/testkit/truth"
)

// TestUnreadableFiles: Dovecot ends the session at a file that it cannot read.
// Everything else arrives in one sync, however many such messages there are.
// Each of them is named, and neither a limit nor the network is blamed.
func TestUnreadableFiles(t *testing.T) {
	t.Parallel()
	harms := map[string]dovecot.Harm{"forbidden": dovecot.Forbidden, "wrong size": dovecot.WrongSize,
		"dangling": dovecot.Dangling}
	for name, harm := range harms {
		for _, n := range []int{1, 10, 100} {
			if n == 100 && !form.Long() { // 500 sessions each
				continue
			}
			t.Run(fmt.Sprintf("%d %s", n, name), func(t *testing.T) {
				t.Parallel()
				server := dovecot.Start(t, dovecot.Config{})
				const around = 30
				for i := range uint32(around) {
					server.Deliver(t, dovecot.User, "INBOX", mail("INBOX", i), dovecot.Options{})
					server.Deliver(t, dovecot.User, "Archive", mail("Archive", i), dovecot.Options{})
				}
				for i := range n {
					server.Deliver(t, dovecot.User, "INBOX", mail("INBOX", uint32(1000+i)), dovecot.Options{Harm: harm})
				}
				for i := range uint32(around) {
					server.Deliver(t, dovecot.User, "INBOX", mail("INBOX", 5000+i), dovecot.Options{})
				}
				// all of a mailbox
				server.Deliver(t, dovecot.User, "Locked", mail("Locked", 1), dovecot.Options{Harm: harm})
				w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{backoff: quick}).account(server.Host(),
					server.Port())
				began := time.Now()
				sum := w.sync()
				t.Logf("%v", time.Since(began).Round(time.Millisecond))
				w.setAside(sum, 3*around, n+1)
			})
		}
	}
}

// TestDamagedMdbox: the same with compressed mail that ends inside the literal.
func TestDamagedMdbox(t *testing.T) {
	t.Parallel()
	server := dovecot.Start(t,
		dovecot.Config{Extra: "mail_location = mdbox:~/mdbox\nmail_plugins = zlib\nplugin {\n  zlib_save = gz\n}\n"})
	c, err := truth.Dial(t.Context(), server.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var bad []int
	for i := range 40 {
		if i%3 == 1 && len(bad) < 12 {
			bad = append(bad, i)
		}
		box := "INBOX"
		if i%2 == 0 {
			box = "Archive"
		}
		if i < 2 {
			if err := c.Create([]string{"Archive", "Sent"}[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Append(box, large(uint64(i), 1)[:60_000], nil, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.DamageMdbox(dovecot.User, bad...); err != nil {
		t.Fatal(err)
	}
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{backoff: quick}).account(server.Host(), server.Port())
	w.setAside(w.sync(), 40-len(bad), len(bad))
}

// setAside wants a sync that brought all messages but some, each of which is named, and blamed nothing else.
func (w *world) setAside(sum Summary, whole, bad int) {
	w.t.Helper()
	if sum.Result != Partial || sum.Class != "" || sum.Quarantined != bad || len(w.lines()) != whole {
		w.t.Errorf("%d messages arrived, want %d, and %d set aside: %+v", len(w.lines()), whole, bad, sum)
	}
	named := map[string]bool{}
	for _, f := range w.faults() {
		if f.Class != "parsing" || f.UID == 0 {
			w.t.Errorf("%s is blamed: %+v", f.Class, f)
		}
		named[fmt.Sprint(f.MailboxPath, f.UID)] = true
	}
	if len(named) != bad {
		w.t.Errorf("%d messages are named, want %d", len(named), bad)
	}
	if held := w.text(`SELECT scope FROM breaker`); held != "" {
		w.t.Errorf("%s is held", held)
	}
	if left := w.tasks(); len(left) > 0 {
		w.t.Errorf("unfinished tasks: %+v", left)
	}
	w.clean()
}

// TestBadLine: a line that breaks by itself costs no message and stays the network's trouble.
func TestBadLine(t *testing.T) {
	const bye = "BYE something happened"
	bodies := func(c script.Command) bool { return c.Name == "UID FETCH" && strings.Contains(c.Args, "BODY.PEEK[") }
	tests := []struct {
		name    string
		class   class.Class
		first   func(s *script.Server) script.Faults // until the first sync has ended
		brief   bool                                 // all arrives in spite of it
		known   bool                                 // some messages are in the store before
		proxied proxy.Faults
	}{
		{name: "at another message each time", class: class.Network, brief: true, proxied: proxy.Faults{CutDown: 6000}},
		{name: "at each FETCH", class: class.Network, first: func(*script.Server) script.Faults {
			return script.Faults{On: on(bodies, script.Drop)}
		}},
		{name: "at each FETCH, with mail in the store", known: true, class: class.Network,
			first: func(*script.Server) script.Faults {
				return script.Faults{On: on(bodies, script.Drop)}
			}},
		{name: "BYE at each FETCH, with mail in the store", known: true, first: func(*script.Server) script.Faults {
			return script.Faults{On: on(bodies, bye)}
		}},
		{name: "inside each literal", known: true, class: class.Network, first: func(*script.Server) script.Faults {
			return script.Faults{Message: func(string, uint32) script.Fault { return script.Cut }}
		}},
		{name: "in words that are known", known: true, class: class.Network, first: func(*script.Server) script.Faults {
			return script.Faults{Last: func(c script.Command, line string) (string, bool) {
				if bodies(c) && strings.HasPrefix(line, "* 9 FETCH") {
					return "* BYE Closing connection", false
				}
				return "", false
			}}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := script.Start(t, script.Options{})
			put(s, "INBOX", 3)
			p := proxy.Start(t, s.Addr(), 1)
			w := open(t, filepath.Join(t.TempDir(), "mail.db"),
				Options{backoff: quick, retryGap: time.Nanosecond}).account("127.0.0.1", p.Port())
			if test.known {
				w.complete()
			}
			p.Set(test.proxied)
			put(s, "INBOX", 40)
			put(s, "Archive", 10)
			if test.first != nil {
				s.Misbehave(test.first(s))
			}
			sum := w.sync()
			if held := w.text(`SELECT uid FROM quarantine`); held != "" {
				t.Errorf("set aside: %s", held)
			}
			classes := []class.Class{}
			for _, f := range w.faults() {
				classes = append(classes, f.Class)
			}
			if test.class != "" && !slices.Contains(classes, test.class) || slices.Contains(classes, "parsing") {
				t.Errorf("faults of %v", classes)
			}
			if (sum.Result == Complete) != test.brief {
				t.Errorf("%+v", sum)
			}
			s.Misbehave(script.Faults{})
			p.Set(proxy.Faults{})
			if _, err := w.engine.Tasks(t.Context(), queue.Order{Verb: queue.VerbRetry, Force: true}); err != nil {
				t.Fatal(err)
			}
			w.complete()
			w.equals(s)
		})
	}
}

// TestSearchOutlivesRest: a message that may have ended a session is remembered while its account waits, and
// asked for behind all others.
func TestSearchOutlivesRest(t *testing.T) {
	const bad = 1
	s, w := scripted(t, 20, script.Options{}, Options{least: soon})
	var away, aside atomic.Bool
	away.Store(true)
	s.Misbehave(script.Faults{
		Message: func(_ string, uid uint32) script.Fault {
			if uid == bad {
				return script.Cut
			}
			return script.Whole
		},
		On: func(c script.Command) script.Action {
			if c.Name == "AUTHENTICATE" && c.Connection > 1 && away.Load() {
				return "NO [UNAVAILABLE] later"
			}
			if c.Name == "UID FETCH" && strings.HasPrefix(c.Args, "2:20 (") {
				aside.Store(true)
			}
			return script.Answer
		},
	})
	if sum := w.sync(); sum.Result != Failed || w.engine.account(w.id).suspects.Len() != 1 {
		t.Errorf("%d messages are remembered: %+v", w.engine.account(w.id).suspects.Len(), sum)
	}
	away.Store(false)
	if sum := w.sync(); sum.Result != Partial || sum.Quarantined != 1 || !aside.Load() {
		t.Errorf("the others were asked for without it: %v; %+v", aside.Load(), sum)
	}
	w.equals(s, bad)
}

// TestSecondFetchBreaks: a line that ends at the second FETCH of each session, whatever it is for, sets no
// message aside.
func TestSecondFetchBreaks(t *testing.T) {
	s, w := scripted(t, 60, script.Options{Capabilities: script.Capabilities + " MESSAGELIMIT=20", MessageLimit: 20},
		Options{})
	var mu sync.Mutex
	fetches := map[int]int{}
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if c.Name == "UID FETCH" && strings.Contains(c.Args, "BODY") {
			mu.Lock()
			defer mu.Unlock()
			if fetches[c.Connection]++; fetches[c.Connection] == 2 {
				return script.Drop
			}
		}
		return script.Answer
	}})
	w.complete()
	w.equals(s)
}

// TestCulpritsBounded: a pass that finds ever more messages at which the session ends takes no session for each
// without an end; they are all set aside in the end.
func TestCulpritsBounded(t *testing.T) {
	const n, most = 40, 10
	s, w := scripted(t, n, script.Options{}, Options{caps: plan.Caps{Culprits: most}})
	s.Misbehave(script.Faults{Part: func(p script.Part) script.Fault {
		if p.UID > 10 && strings.Contains(p.Items, "BODY") {
			return script.CutEarly
		}
		return script.Whole
	}})
	w.sync()
	found := 0
	for _, f := range w.faults() {
		if strings.HasPrefix(f.Detail, "the session ends when") {
			found++
		}
	}
	if found == 0 || !slices.ContainsFunc(w.faults(), func(f storage.Fault) bool { return f.Class == "network" }) {
		t.Errorf("%d were found in one go", found)
	}
	for range 8 {
		if sum := w.sync(); sum.Quarantined == n-10 {
			break
		}
	}
	if held := w.text(`SELECT count(*) FROM quarantine`); held != "30" {
		t.Errorf("%s are set aside", held)
	}
}
