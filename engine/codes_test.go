package engine

import (
	"context"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/engine/secret"
	"mailcote/storage/class"
	"mailcote/testkit/form"
	"mailcote/testkit/script"
	"mailcote/testkit/truth"
)

// refusing is a response code at a command, and what follows.
type refusing struct {
	code, at string
	class    class.Class // of its faults; "": there are none
	asked    int         // how often at most the command is sent in the hour of refusals
	local    bool        // a mailbox that says it alone has said it of itself
}

// refusals is FAULTS S2: what each code means where.
func refusals() []refusing {
	const signIn, list, status, open, search, flags, bodies = "AUTHENTICATE", "LIST", "STATUS", "EXAMINE",
		"UID SEARCH", "flags", "bodies"
	places := []string{signIn, list, status, open, search, flags, bodies}
	var all []refusing
	row := func(code string, asked int, classes ...class.Class) {
		for i, class := range classes {
			local := i > 2 && (code == "UNAVAILABLE" || code == "LIMIT")
			all = append(all, refusing{"NO [" + code + "] words", places[i], class, asked, local})
		}
	}
	// In the order of places. A STATUS that is refused for a reason of the mailbox is left out: EXAMINE has the
	// last word. Where UID SEARCH is refused without meaning the account, UID FETCH lists.
	row("UNAVAILABLE", 40, class.Network, class.Network, class.Network, class.Network, class.Network, class.Network,
		class.Network)
	row("INUSE", 80, class.Network, class.Mailbox, "", class.Mailbox, class.Mailbox, class.Mailbox, class.Mailbox)
	row("LIMIT", 16, class.Quota, class.Quota, class.Quota, class.Quota, class.Quota, class.Quota, class.Quota)
	row("OVERQUOTA", 16, class.Quota, class.Quota, class.Quota, class.Quota, class.Quota, class.Quota, class.Quota)
	row("THROTTLED", 16, class.Quota, class.Quota, class.Quota, class.Quota, class.Quota, class.Quota, class.Quota)
	row("SERVERBUG", 150, class.Network, class.Protocol, "", class.Mailbox, "", class.Protocol,
		class.Parsing)
	row("CONTACTADMIN", 150, class.Auth, class.Protocol, "", class.Mailbox, "", class.Protocol,
		class.Parsing)
	row("X-NEVER-HEARD-OF", 150, class.Auth, class.Protocol, "", class.Mailbox, "", class.Protocol,
		class.Parsing)
	for _, soft := range []string{"* OK [THROTTLED] slow down", "* NO [THROTTLED] slow down",
		"* NO [UNAVAILABLE] perhaps", "* OK [X-NEVER-HEARD-OF] words"} {
		for _, at := range []string{list, search, bodies} {
			all = append(all, refusing{soft, at, "", 15, false})
		}
	}
	return all
}

// TestCodes: a server refuses one kind of command with one code for an hour. The class is right, only what means
// a wrong password waits for a person, the command is not asked for again and again, nothing goes that the server
// has, and in the end everything arrives.
func TestCodes(t *testing.T) {
	for i, r := range refusals() {
		if form.Race && i%5 != 0 || !form.Race && !form.Long() && i%2 != 0 {
			continue
		}
		t.Run(r.at+" "+r.code, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, r.happens)
		})
	}
}

func (r refusing) is(c script.Command) bool {
	body := strings.Contains(c.Args, "BODY")
	return c.Name == r.at || c.Name == "UID FETCH" && (r.at == "flags" && !body || r.at == "bodies" && body)
}

func (r refusing) happens(t *testing.T) {
	caps := script.Capabilities
	if r.at == "STATUS" {
		caps = strings.ReplaceAll(caps, "LIST-STATUS", "")
	}
	s := script.Start(t, script.Options{Pipe: true, Capabilities: caps})
	put(s, "INBOX", 4)
	put(s, "Archive", 2)
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{dialer: s.Dial})
	w.account("127.0.0.1", 143)
	w.engine.UsePassword(w.id, secret.New(script.Password))
	w.complete()
	s.Change(func(m *script.Model) {
		m.Box("INBOX").Expunge(2)
		m.Box("INBOX").Flag(3, "$Now")
		m.Box("Archive").Flag(1, "$Now")
	})
	put(s, "INBOX", 3)
	put(s, "Archive", 2)
	var refusing atomic.Bool
	var asked atomic.Int32
	refusing.Store(true)
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if !r.is(c) || !refusing.Load() {
			return script.Answer
		}
		asked.Add(1)
		return script.Action(r.code)
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 48*time.Hour)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.engine.Run(ctx, 5*time.Minute) }()
	for began := time.Now(); time.Since(began) < time.Hour; time.Sleep(time.Minute) {
		lost := 0
		for _, line := range truth.Diff(modelOf(s), w.lines()) {
			if strings.HasPrefix(line, "-") {
				lost++
			}
		}
		if lost > 7 { // new mail and flags are still to come
			t.Errorf("%d lines are missing", lost)
		}
	}
	refusing.Store(false)
	paused := w.find().Paused
	began := time.Now()
	if paused {
		cancel()
		<-done
		w.complete()
	} else {
		until(w.t, 47*time.Hour, "all mail", w.commits(), func() bool {
			return len(truth.Diff(modelOf(s), w.lines())) == 0
		})
		synctest.Wait() // the pass ends
		cancel()
		<-done
	}
	faults := w.faults()
	t.Logf("asked %d times, %d faults, complete after %v", asked.Load(), len(faults),
		time.Since(began).Round(time.Minute))
	whole := 0
	for _, f := range faults {
		if r.local && f.Class == class.Mailbox && f.Scope == "mailbox" {
			continue
		}
		whole++
		if strings.HasPrefix(f.Detail, "no connection for") { // what TestLowPool is about
			continue
		}
		if f.Class != r.class {
			t.Errorf("fault %+v", f)
		}
	}
	if paused != (r.class == class.Auth) || (whole == 0) != (r.class == "") {
		t.Errorf("paused %v, %d faults, %d of the account", paused, len(faults), whole)
	}
	if n := int(asked.Load()); n == 0 || n > r.asked || r.class == class.Auth && n != 1 {
		t.Errorf("asked %d times", n)
	}
	w.equals(s)
}
