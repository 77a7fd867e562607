package engine

import (
	"context"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/health"
	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/form"
	"mailcote/testkit/script"
)

// farewell is a moment at which a server says BYE: in place of a line of its answer to a command.
type farewell struct {
	name, command, line string      // line is a pattern
	nth                 int         // which such line of a connection; 0 and 1: the first
	later               bool        // only a later sync gets there
	caps                string      // what the server offers; "": the usual
	class               class.Class // of the fault; "": Network
}

// farewells are the phases of S1. STARTTLS and IDLE, which need more than a scripted server, are in engine/imap.
func farewells() []farewell {
	const flat = "IMAP4rev1 LITERAL+ SASL-IR ID CONDSTORE ESEARCH AUTH=PLAIN" // no STATUS in LIST
	return []farewell{
		{name: "the greeting", command: "GREETING", line: `^\*`},
		{name: "CAPABILITY unanswered", command: "CAPABILITY", line: `^\*`},
		{name: "behind the capabilities", command: "CAPABILITY", line: ` OK`},
		{name: "AUTHENTICATE refused its first part", command: "AUTHENTICATE", line: `^\+`,
			caps: "IMAP4rev1 LITERAL+ ID ESEARCH LIST-STATUS AUTH=PLAIN"},
		{name: "AUTHENTICATE unanswered", command: "AUTHENTICATE", line: ` OK`},
		{name: "LOGIN unanswered", command: "LOGIN", line: ` OK`, caps: "IMAP4rev1 LITERAL+ ID ESEARCH LIST-STATUS"},
		{name: "ID unanswered", command: "ID", line: `^\*`},
		{name: "behind the answer to ID", command: "ID", line: ` OK`},
		{name: "LIST unanswered", command: "LIST", line: `^\*`},
		{name: "inside LIST", command: "LIST", line: `^\* LIST`, nth: 2},
		{name: "behind LIST", command: "LIST", line: ` OK`},
		{name: "STATUS unanswered", command: "STATUS", line: `^\*`, nth: 2, later: true, caps: flat},
		{name: "EXAMINE unanswered", command: "EXAMINE", line: `^\*`},
		{name: "inside EXAMINE", command: "EXAMINE", line: `UIDVALIDITY`},
		{name: "behind EXAMINE", command: "EXAMINE", line: ` OK \[READ`, nth: 2},
		{name: "UID SEARCH unanswered", command: "UID SEARCH", line: `^\*`},
		{name: "behind the listing", command: "UID SEARCH", line: ` OK`},
		{name: "UID FETCH unanswered", command: "UID FETCH", line: `BODY`},
		{name: "between two messages", command: "UID FETCH", line: `BODY`, nth: 3},
		{name: "behind a literal", command: "UID FETCH", line: `^\)`, nth: 2, class: class.Protocol},
		{name: "behind the messages", command: "UID FETCH", line: `^m\d+ OK`},
		{name: "flags unanswered", command: "UID FETCH", line: `FLAGS \([^)]*\) MODSEQ`, later: true},
		{name: "NOOP unanswered", command: "NOOP", line: ` OK`},
		{name: "LOGOUT unanswered", command: "LOGOUT", line: `^\*`},
		{name: "LOGOUT half answered", command: "LOGOUT", line: ` OK`},
	}
}

// TestBye is FAULTS S1: a server says BYE in any phase, in a first sync and in
// one that finds changes, and closes the connection or leaves it open. The
// client closes it. The words are kept escaped and cut. No account is paused,
// and the next connection brings everything without leaving anything half done.
func TestBye(t *testing.T) {
	t.Parallel()
	type run struct {
		farewell
		later, stays bool
	}
	var all []run
	for i, f := range farewells() {
		for j := range 4 {
			later, stays := j&1 == 1, j&2 == 2
			// in the default form each phase has both, in two of four ways
			if f.later && !later || !form.Long() && stays != ((i+j&1)%2 == 0) || form.Race && i%2 == 1 {
				continue
			}
			all = append(all, run{f, later, stays})
		}
	}
	words := "Go away\x1b[31m \xff\u202e " + strings.Repeat("and stay away ", 1000)
	sideBySide(len(all), func(i int) {
		r := all[i]
		name := r.name + map[bool]string{false: ", first",
			true: ", later"}[r.later] + map[bool]string{false: ", closed", true: ", open"}[r.stays]
		s := script.Start(t, script.Options{Capabilities: r.caps})
		defer s.Close()
		put(s, "INBOX", 6)
		put(s, "Archive", 3)
		w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{backoff: quick, retryGap: time.Nanosecond,
			resend: time.Millisecond, Limits: imap.Limits{Bye: 20 * time.Millisecond}})
		defer w.close()
		w.account(s.Host(), s.Port())
		if r.later {
			if sum := w.sync(); sum.Result != Complete {
				t.Errorf("%s, before: %+v", name, sum)
			}
			s.Change(func(m *script.Model) {
				m.Box("INBOX").Expunge(2)
				m.Box("INBOX").Flag(3, "$Now")
				m.Box("Archive").Flag(1, "$Now")
			})
			put(s, "INBOX", 6)
		}
		var mu sync.Mutex
		said, seen := 0, map[int]int{}
		f := script.Faults{Last: func(c script.Command, line string) (string, bool) {
			mu.Lock()
			defer mu.Unlock()
			if c.Name != r.command || said == 2 || !regexp.MustCompile(r.line).MatchString(line) {
				return "", false
			}
			if seen[c.Connection]++; seen[c.Connection] != max(1, r.nth) {
				return "", false
			}
			said++
			return "* BYE " + words, r.stays
		}}
		if r.command == "CAPABILITY" { // it is asked for where the greeting does not say it
			f.Line = func(_ script.Command, line string) string {
				return regexp.MustCompile(`OK \[CAPABILITY [^\]]*\]`).ReplaceAllString(line, "OK")
			}
		}
		s.Misbehave(f)
		if sum := w.sync(); sum.Result != Complete {
			t.Errorf("%s: %+v", name, sum)
		}
		// a moment after our side
		until(t, 10*time.Second, name+": every connection ends", s.Changed, func() bool { return s.Open() == 0 })
		s.Misbehave(script.Faults{})
		w.equals(s)
		faults := w.faults()
		wanted := said
		if r.command == "LOGOUT" {
			wanted = 0
		}
		if said == 0 || len(faults) != wanted || w.find().Paused {
			t.Errorf("%s: said %d times, %d faults, paused %v", name, said, len(faults), w.find().Paused)
		}
		for _, f := range faults {
			want := r.class
			if want == "" {
				want = class.Network
				if !strings.HasPrefix(f.ServerText, `BYE Go away\u{1b}[31m`) {
					t.Errorf("%s: %.100q", name, f.ServerText)
				}
			}
			for _, text := range []string{f.ServerText, f.Detail} {
				if f.Class != want || len(text) > 1500 || strings.ContainsFunc(text, func(r rune) bool {
					return !unicode.IsGraphic(r) || r == unicode.ReplacementChar
				}) {
					t.Errorf("%s: %s, %d octets: %q", name, f.Class, len(text), text)
				}
			}
		}
	})
}

// TestAutologout: a server that ends an agent's session between two passes, as many do after a time without use,
// costs a dial and is no fault, whether it closes the connection or not.
func TestAutologout(t *testing.T) {
	for _, stays := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := script.Start(t, script.Options{Pipe: true})
			put(s, "INBOX", 3)
			s.Misbehave(script.Faults{Last: func(c script.Command, line string) (string, bool) {
				// the first pass has more to do
				if c.Name != "LIST" || s.Count("LIST") == 1 || !strings.Contains(line, " OK") {
					return "", false
				}
				return line + "\r\n* BYE Autologout; idle for too long", stays
			}})
			w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{dialer: s.Dial})
			w.account("127.0.0.1", 143)
			w.engine.UsePassword(w.id, secret.New(script.Password))
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			if err := w.engine.Run(ctx, time.Minute); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			if n := s.Count("LIST"); n < 50 || len(w.faults()) > 0 {
				t.Errorf("%d passes over %d connections, faults %+v", n, s.Connections(), w.faults())
			}
			w.equals(s)
		})
	}
}

// TestAlert is FAULTS S11: what a server wants a person to read is in errors once, over passes and restarts, and
// no fault; a server that has more and more to say is not listened to for ever.
func TestAlert(t *testing.T) {
	s, w := scripted(t, 3, script.Options{}, Options{})
	said := 0
	f := script.Faults{Line: func(c script.Command, line string) string {
		switch {
		case c.Name == "AUTHENTICATE":
			return "* NO [ALERT] Mailbox is at 98% of quota\x1b[31m\r\n" + line
		case c.Name == "NOOP" && said > 0:
			for i := range said {
				line = "* OK [ALERT] " + strings.Repeat("a", i+1) + "\r\n" + line
			}
		}
		return line
	}}
	s.Misbehave(f)
	before := len(w.faults())
	w.complete()
	w.complete()
	w.restart()
	w.complete()
	faults := w.faults()
	if len(faults) != before+1 || faults[0].Detail != `the server says: Mailbox is at 98% of quota\u{1b}[31m` ||
		faults[0].Scope != "nothing" || faults[0].NextStep == "" {
		t.Errorf("faults %+v", faults)
	}
	said = 500
	put(s, "INBOX", 1)
	w.complete()
	if n := len(w.faults()); n != before+health.MostAlerts {
		t.Errorf("%d alerts are recorded", n-before)
	}
	w.equals(s)
}

// TestNotice: a notice that comes with each pass is recorded once in the time
// that faults are kept, whatever other notices come. A notice that could not be
// written is recorded later. One that an earlier process recorded lasts no
// longer.
func TestNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{})
		w.account("127.0.0.1", 143)
		w.id++ // not there yet, so that nothing of it can be written
		f := fault.Fault{Verdict: policy.Verdict{Class: class.Protocol, Scope: "account"}, Phase: fault.PhaseDiscover,
			Detail: "too many mailboxes"}
		of := func() *account { return w.engine.account(w.id) }
		of().health.Notice(f)
		if _, _, err := w.engine.AddAccount(t.Context(), NewAccount{Login: Login{User: "bob", Host: "127.0.0.1",
			Port: 143, Security: "plain"}}); err != nil {
			t.Fatal(err)
		}
		for i := range 2 * health.MostAlerts {
			of().health.Alert(imap.Status{Type: "OK", Text: strings.Repeat("a", i+1)})
		}
		recorded := func(want int) {
			t.Helper()
			of().health.Notice(f)
			of().health.Notice(f)
			if n := w.text(`SELECT count(*) FROM sync_error WHERE detail = ?`, f.Detail); n != strconv.Itoa(want) {
				t.Errorf("recorded %s times, want %d", n, want)
			}
		}
		recorded(1)
		time.Sleep(storage.FaultAge - time.Hour)
		recorded(1)
		w.restart()
		recorded(1)
		time.Sleep(2 * time.Hour)
		recorded(2)
	})
}
