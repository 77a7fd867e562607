package engine

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/engine/secret"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/form"
	"mailcote/testkit/script"
	"mailcote/testkit/truth"
)

// grudge is one way of a server that cannot or will not be used.
type grudge struct {
	name string
	on   func(script.Command) script.Action
	dial error // nobody listens
	one  bool  // one mailbox: it is tried between passes of the others, which come by the minute
}

var grudges = []grudge{
	{"nobody listens", nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, false},
	{"no such name", nil, &net.DNSError{Err: "no such host", Name: "mail.example.org", IsNotFound: true}, false},
	{"the resolver fails", nil, &net.DNSError{Err: "server misbehaving", Name: "mail.example.org", IsTemporary: true},
		false},
	{"BYE in place of a greeting", command("GREETING", "BYE too busy"), nil, false},
	{"no IMAP at all", command("GREETING", "* HTTP/1.1 200 OK"), nil, false},
	{"NO [UNAVAILABLE] to the sign-in", command("AUTHENTICATE", "NO [UNAVAILABLE] later"), nil, false},
	{"BYE to the sign-in", command("AUTHENTICATE", "BYE later"), nil, false},
	{"the line breaks at the sign-in", command("AUTHENTICATE", script.Drop), nil, false},
	{"NO to LIST", command("LIST", "NO not now"), nil, false},
	{"BYE to LIST", command("LIST", "BYE not now"), nil, false},
	{"NO to EXAMINE", command("EXAMINE", "NO not now"), nil, false},
	{"NO [INUSE] to EXAMINE", command("EXAMINE", "NO [INUSE] not now"), nil, false},
	{"BYE to EXAMINE", command("EXAMINE", "BYE not now"), nil, false},
	{"BYE to SEARCH", command("UID SEARCH", "BYE not now"), nil, false},
	{"NO to SEARCH and FETCH", on(listsAll, "NO not now"), nil, false},
	{"NO to SEARCH and FETCH in one mailbox", inArchive("NO not now"), nil, true},
	{"nonsense in one mailbox", inArchive("* SEARCH (("), nil, true},
	{"BYE to SEARCH in one mailbox", inArchive("BYE not now"), nil, true},
	{"BYE to FETCH", command("UID FETCH", "BYE not now"), nil, false},
	{"the line breaks at FETCH", command("UID FETCH", script.Drop), nil, false},
	{"NO [LIMIT] to FETCH", command("UID FETCH", "NO [LIMIT] not now"), nil, false},
	{"NO [OVERQUOTA] to FETCH", command("UID FETCH", "NO [OVERQUOTA] Account exceeded command or bandwidth limits."),
		nil, false},
}

func command(name string, a script.Action) func(script.Command) script.Action {
	return on(func(c script.Command) bool { return c.Name == name }, a)
}

func inArchive(a script.Action) func(script.Command) script.Action {
	return on(func(c script.Command) bool { return listsAll(c) && c.Box == "Archive" }, a)
}

// dials counts connection attempts.
type dials struct {
	mu sync.Mutex
	at []time.Time
}

func (d *dials) through(s *script.Server, refused error) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		d.mu.Lock()
		d.at = append(d.at, time.Now())
		d.mu.Unlock()
		if refused != nil {
			return nil, refused
		}
		return s.Dial(ctx, network, addr)
	}
}

// late gives the waits between attempts once they have grown.
func (d *dials) late() (waits []time.Duration) {
	for i := len(d.at) - 20; i > 0 && i < len(d.at); i++ {
		waits = append(waits, d.at[i].Sub(d.at[i-1]).Round(time.Second))
	}
	return waits
}

// TestDayOfRefusals is bar 11 (FAULTS C): an account whose server refuses for 24 hours, in whatever way, is tried
// 120 times at most, at intervals nobody can predict; and when it no longer refuses, everything arrives by
// itself.
func TestDayOfRefusals(t *testing.T) {
	cases := grudges
	if !form.Long() {
		cases = []grudge{grudges[0], grudges[5], grudges[12], grudges[20]}
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := script.Start(t, script.Options{Pipe: true})
				for _, box := range []string{"INBOX", "Archive", "Sent"} {
					put(s, box, 3)
				}
				s.Misbehave(script.Faults{On: c.on})
				var d dials
				w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{dialer: d.through(s, c.dial)})
				w.account("127.0.0.1", 143)
				w.engine.UsePassword(w.id, secret.New(dovecot.Password))
				ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
				if err := w.engine.Run(ctx, time.Minute); err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				cancel()
				waits := d.late()
				t.Logf("%d connections in 24 h; the last intervals: %v", len(d.at), waits)
				if len(d.at) > 120 || len(d.at) < 2 {
					t.Errorf("%d connections", len(d.at))
				}
				if same := slices.Compact(slices.Clone(waits)); len(waits) > 0 && len(same) < len(waits)*3/4 && !c.one {
					t.Errorf("no jitter: %v", waits)
				}
				if w.find().Paused {
					t.Errorf("paused: %s", w.find().PauseReason)
				}
				// The grudge ends, and nobody touches anything.
				s.Misbehave(script.Faults{})
				w.engine.o.dialer = s.Dial
				ctx, cancel = context.WithCancel(t.Context())
				defer cancel()
				done := make(chan error, 1)
				go func() { done <- w.engine.Run(ctx, time.Minute) }()
				until(t, 13*time.Hour, "all mail", w.commits(), func() bool {
					return len(truth.Diff(modelOf(s), w.lines())) == 0
				})
				synctest.Wait() // the pass ends
				cancel()
				<-done
				if missing := strings.Count(w.text(`SELECT class || ' ' || until FROM breakers`), "\n"); missing > 0 {
					t.Errorf("%d breakers are left", missing)
				}
				w.equals(s)
			})
		})
	}
}
