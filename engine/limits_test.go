package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mailcote/engine/fault/policy"
	"mailcote/engine/meter"
	"mailcote/engine/progress"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/testkit/script"
)

const gmailCapabilities = script.Capabilities + " X-GM-EXT-1"

// hosted is scripted for a host of another name.
func hosted(t *testing.T, host string, n int, so script.Options, o Options) (*script.Server, *world) {
	t.Helper()
	s := script.Start(t, so)
	put(s, "INBOX", n)
	o.dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(s.Host(), strconv.Itoa(s.Port())))
	}
	o.backoff = quick
	w := open(t, t.TempDir()+"/mail.db", o)
	id, _, err := w.engine.AddAccount(t.Context(), NewAccount{Insecure: true,
		Login: Login{User: script.User, Host: host, Port: 143, Security: "plain",
			Password: secret.New(script.Password)}})
	if err != nil {
		t.Fatal(err)
	}
	w.id = id
	return s, w
}

func (w *world) meter() *meter.Meter {
	w.t.Helper()
	m, err := w.live().meter(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// limits is the view rate_limits, a line a row.
func (w *world) limits() string {
	w.t.Helper()
	var all strings.Builder
	if err := w.store.SQL(w.t.Context(),
		`SELECT provider, kind, used, allowed, pace, coalesce(learned, '-'), resumes_at IS NOT NULL
			FROM rate_limits ORDER BY kind`,
		func(_ []string, v []any) error {
			_, err := fmt.Fprintln(&all, v...)
			return err
		}); err != nil {
		w.t.Fatal(err)
	}
	return all.String()
}

// bodies counts how often each message's body was asked for.
type bodies struct {
	mu    sync.Mutex
	asked map[uint32]int
}

func (b *bodies) fault(_ string, uid uint32) script.Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.asked == nil {
		b.asked = map[uint32]int{}
	}
	b.asked[uid]++
	return script.Whole
}

// once fails the test unless n messages were asked for, each once.
func (b *bodies) once(t *testing.T, n int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for uid, times := range b.asked {
		if times != 1 {
			t.Errorf("message %d was asked for %d times", uid, times)
		}
	}
	if len(b.asked) != n {
		t.Errorf("%d messages were asked for, want %d", len(b.asked), n)
	}
}

// runs runs the engine until a pass is complete, and gives what the account's progress said while it waited.
func (w *world) runs() (waited AccountProgress) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.engine.Run(ctx, time.Hour) }()
	for ctx.Err() == nil {
		changed := w.engine.ProgressChanged()
		for _, a := range w.engine.Progress() {
			if a.State == progress.Waiting {
				waited = a
			}
			if a.State == progress.Done {
				cancel()
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		w.t.Error(err)
	}
	return waited
}

// TestGmailBandwidth: the limit comes in the middle of a sync. It says until when it rests, goes on alone, and
// asks for nothing twice.
func TestGmailBandwidth(t *testing.T) {
	s, w := scripted(t, 700, script.Options{Capabilities: gmailCapabilities},
		Options{least: func(f policy.Wait, n int) time.Duration {
			return f.After(n) / 3000
		}})
	var got bodies
	fetches := 0
	s.Misbehave(script.Faults{Message: got.fault, On: func(c script.Command) script.Action {
		if c.Name == "UID FETCH" && strings.Contains(c.Args, "BODY") {
			if fetches++; fetches == 2 {
				return "NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)"
			}
		}
		return script.Answer
	}})
	waited := w.runs()
	if waited.Until.IsZero() || !strings.Contains(waited.Note, "bandwidth limits") {
		t.Errorf("it waited as %+v", waited)
	}
	got.once(t, 700)
	if m := w.meter(); m.Profile().Name != "gmail" || !strings.Contains(w.limits(), "gmail bytes") {
		t.Errorf("profile %s, limits\n%s", m.Profile().Name, w.limits())
	}
}

// TestGmailBandwidthOnce: a sync that is to end says when it would go on, and so does the next one, without knocking.
func TestGmailBandwidthOnce(t *testing.T) {
	s, w := scripted(t, 20, script.Options{Capabilities: gmailCapabilities}, Options{})
	s.Misbehave(script.Faults{On: on(func(c script.Command) bool {
		return c.Name == "UID FETCH"
	}, "NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)")})
	first := w.sync()
	resumes := "resumes " + w.meter().Resumes().Local().Format("15:04")
	if first.Class != "quota" || !strings.Contains(first.NextStep, resumes) {
		t.Errorf("summary %+v", first)
	}
	w.restart()
	connections := s.Connections()
	if again := w.sync(); again.Class != "quota" || !strings.Contains(again.NextStep, resumes) ||
		s.Connections() != connections {
		t.Errorf("after a restart %+v, %d connections more", again, s.Connections()-connections)
	}
	// 15 min is a guess, and is spread.
	if rest := time.Until(w.meter().Resumes()); rest < 14*time.Minute || rest > 19*time.Minute ||
		!strings.HasSuffix(strings.SplitN(w.limits(), "\n", 2)[0], " 1") {
		t.Errorf("it rests %v, limits\n%s", rest, w.limits())
	}
}

// TestDayIsUsedUp: what an earlier process counted leaves room for a few messages; the account rests until the
// oldest octets are a day old, and goes on alone. Nothing above the figure comes meanwhile, and nothing twice.
func TestDayIsUsedUp(t *testing.T) {
	s, w := scripted(t, 0, script.Options{Capabilities: gmailCapabilities}, Options{})
	s.Change(func(m *script.Model) {
		for range 40 {
			m.Box("INBOX").Add(append(mail("INBOX", m.Box("INBOX").UIDNext), make([]byte, 100_000)...))
		}
	})
	over := time.Now().Add(3 * time.Second)
	if err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
		if err := tx.SetServer(w.id, "", gmailCapabilities); err != nil {
			return err
		}
		return tx.PutRates(w.id, nil, []storage.RateSlot{{At: over.Add(-24*time.Hour - 10*time.Minute),
			Bytes: 2_449_000_000}}, time.Now())
	}); err != nil {
		t.Fatal(err)
	}
	var got bodies
	s.Misbehave(script.Faults{Message: got.fault})
	summary := w.sync()
	if summary.Class != "quota" || summary.Fetched < 5 || summary.Fetched > 10 ||
		!strings.Contains(summary.NextStep, "resumes ") || !strings.Contains(summary.Detail, "2500 MB in 24 hours") {
		t.Fatalf("summary %+v", summary)
	}
	w.restart()
	w.runs()
	if time.Now().Before(over) {
		t.Error("it went on before the oldest octets were a day old")
	}
	got.once(t, 40)
	if pace := w.meter().Pace(); pace != 1 {
		t.Errorf("pace %v: what we plan ourselves is no sign of throttling", pace)
	}
	t.Logf("%d messages before the rest, limits\n%s", summary.Fetched, w.limits())
}

// TestSuggestedBackoff: Microsoft's figure is waited for, to the millisecond.
func TestSuggestedBackoff(t *testing.T) {
	s, w := scripted(t, 20, script.Options{ID: "Microsoft.Exchange.Imap4.Imap4Server"}, Options{})
	s.Misbehave(script.Faults{On: on(func(c script.Command) bool {
		return c.Name == "EXAMINE"
	}, "BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds")})
	before := time.Now()
	sum := w.sync()
	if rest := w.meter().Resumes().Sub(before); sum.Class != "quota" || rest < 299961*time.Millisecond ||
		rest > 310*time.Second {
		t.Errorf("it rests %v: %+v", rest, sum)
	}
	if pace := w.meter().Pace(); pace != 0.5 {
		t.Errorf("pace %v", pace)
	}
}

// TestConnectionsLearned: Dovecot says how many connections it takes; two of them are left to others, for a day
// and across a restart. The password is not to blame.
func TestConnectionsLearned(t *testing.T) {
	s, w := scripted(t, 20, script.Options{ID: "Dovecot"}, Options{least: func(policy.Wait, int) time.Duration {
		return 0
	}})
	w.complete()
	if m := w.meter(); m.Profile().Name != "dovecot" || m.Connections() != 2 {
		t.Fatalf("%s, %d connections", m.Profile().Name, m.Connections())
	}
	s.Misbehave(script.Faults{On: on(func(c script.Command) bool { return c.Name == "AUTHENTICATE" },
		"NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=3)")})
	if sum := w.sync(); sum.Class != "quota" || w.find().Paused {
		t.Errorf("summary %+v", sum)
	}
	for range 2 {
		if n := w.meter().Connections(); n != 1 || !strings.Contains(w.limits(), "dovecot connections 0 1 0.5 1") &&
			!strings.Contains(w.limits(), "dovecot connections 0 1 1 1") {
			t.Errorf("%d connections, limits\n%s", n, w.limits())
		}
		w.restart()
	}
}

// TestProviderLimits: the other words for a limit slow the account down and never speak of the password.
func TestProviderLimits(t *testing.T) {
	for who, c := range map[string]struct {
		command string
		answer  script.Action
		rest    time.Duration
	}{
		"Yahoo, each command": {"LIST", "NO [LIMIT] LIST Rate limit hit.", 5 * time.Minute},
		"Fastmail, sign-ins": {"AUTHENTICATE",
			"NO login not available on this server. 451 Already reached per-10 minute limit for logins",
			10 * time.Minute},
	} {
		s, w := scripted(t, 5, script.Options{}, Options{})
		s.Misbehave(script.Faults{On: on(func(cmd script.Command) bool { return cmd.Name == c.command }, c.answer)})
		sum, rest := w.sync(), time.Until(w.meter().Resumes())
		// a guess is spread; LIST is asked in two ways
		if sum.Class != "quota" || w.find().Paused || rest < c.rest-10*time.Second ||
			rest > c.rest*6/5+10*time.Second || w.meter().Pace() != 0.5 || s.Count(c.command) > 2 {
			t.Errorf("%s: rests %v, pace %v, %d %s, %+v", who, rest, w.meter().Pace(), s.Count(c.command), c.command,
				sum)
		}
	}
}

// TestThrottledOK: a throttle inside an OK is no error; the pace is halved.
func TestThrottledOK(t *testing.T) {
	s, w := scripted(t, 20, script.Options{}, Options{})
	s.Misbehave(script.Faults{On: on(func(c script.Command) bool {
		return c.Name == "NOOP"
	}, "OK Success [THROTTLED]")})
	w.complete()
	if pace := w.meter().Pace(); pace != 0.5 || len(w.faults()) != 0 {
		t.Errorf("pace %v, %d errors", pace, len(w.faults()))
	}
}

// TestCommandLines: no line is longer than the profile allows, and all of a scattered mailbox arrives.
func TestCommandLines(t *testing.T) {
	for id, most := range map[string]int{"Microsoft.Exchange.Imap4.Imap4Server": 4096, "Unheard of": 1000} {
		s, w := scripted(t, 0, script.Options{ID: id}, Options{})
		s.Change(func(m *script.Model) {
			b := m.Box("INBOX")
			for range 400 {
				b.UIDNext += 1_000_003
				b.Add(mail("INBOX", b.UIDNext))
			}
		})
		longest := 0
		s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
			longest = max(longest, len("m1234 "+c.Name+" "+c.Args+"\r\n"))
			return script.Answer
		}})
		if sum := w.complete(); sum.Fetched != 400 || longest > most || longest < most*9/10 {
			t.Errorf("%s: the longest line has %d octets of %d; %d fetched", id, longest, most, sum.Fetched)
		}
	}
}

// TestMessageLimit: a server that gets to 100 messages a command, with and without saying so beforehand, is asked
// again for the rest.
func TestMessageLimit(t *testing.T) {
	for _, caps := range []string{script.Capabilities, script.Capabilities + " MESSAGELIMIT=100"} {
		s, w := scripted(t, 450, script.Options{Capabilities: caps, MessageLimit: 100}, Options{})
		var got bodies
		s.Misbehave(script.Faults{Message: got.fault})
		if sum := w.complete(); sum.Fetched != 450 {
			t.Errorf("%+v", sum)
		}
		got.once(t, 450)
		s.Change(func(m *script.Model) {
			for uid := uint32(1); uid <= 450; uid++ {
				m.Box("INBOX").Flag(uid, "$Seen2")
			}
		})
		w.complete()
		for _, l := range w.lines() {
			if l.Flags != "$Seen2" {
				t.Fatalf("%s: message %d has %q", caps, l.UID, l.Flags)
			}
		}
	}
}

// TestIDFirst: NetEase wants to know who we are before a mailbox is opened, whether or not it offers ID.
func TestIDFirst(t *testing.T) {
	s, w := hosted(t, "imap.163.com", 20, script.Options{Capabilities: strings.ReplaceAll(script.Capabilities, " ID",
		""), ID: "Coremail Imap"}, Options{})
	told := false
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		told = told || c.Name == "ID" && strings.Contains(c.Args, `"name" "mailcote"`) &&
			strings.Contains(c.Args, `"version"`)
		if c.Name == "EXAMINE" && !told {
			return "NO EXAMINE Unsafe Login. Please contact kefu@188.com for help"
		}
		return script.Answer
	}})
	w.complete()
	if p := w.meter().Profile(); p.Name != "netease" || !told {
		t.Errorf("%s, told %v", p.Name, told)
	}
}

// TestDistrust: what a provider offers and does not keep is not used.
func TestDistrust(t *testing.T) {
	s, w := hosted(t, "imap.zoho.eu", 20, script.Options{}, Options{})
	w.complete()
	s.Change(func(m *script.Model) { m.Box("INBOX").Flag(3, "$New") })
	asked := ""
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		asked += c.Name + " " + c.Args + "\n"
		return script.Answer
	}})
	w.complete()
	if strings.Contains(asked, "CONDSTORE") || strings.Contains(asked, "MODSEQ") ||
		strings.Contains(asked, "CHANGEDSINCE") {
		t.Errorf("asked\n%s", asked)
	}
}
