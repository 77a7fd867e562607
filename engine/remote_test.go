package engine

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/rate"
	"mailcote/testkit/script"
)

// compares runs a comparison and gives the class of its fault; "": there was none.
func (w *world) compares() Class {
	w.t.Helper()
	return w.classOf(w.engine.CheckRemote(w.t.Context(), RemoteOptions{Accounts: []storage.Account{w.find()}}))
}

// besideCompares is compares beside the owner.
func (w *world) besideCompares() Class {
	w.t.Helper()
	s, err := storage.Open(w.t.Context(), w.store.Path(), storage.Options{ReadOnly: true})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // it was only read
	return w.classOf(CheckRemoteBeside(w.t.Context(), s, nil, RemoteOptions{Accounts: []storage.Account{w.find()}}))
}

func (w *world) classOf(found []storage.Finding, err error) Class {
	w.t.Helper()
	if len(found) > 0 {
		w.t.Errorf("findings %+v", found)
	}
	var f Fault
	if err != nil && !errors.As(err, &f) {
		w.t.Errorf("no fault: %v", err)
	}
	return f.Class
}

// TestCheckRemoteHeld: a comparison knocks at no server that a sync would have let be, nor at one that has refused the password.
func TestCheckRemoteHeld(t *testing.T) {
	for name, test := range map[string]struct {
		hold func(w *world) error
		want Class
	}{
		"nothing": {func(*world) error { return nil }, ""},
		"by hand": {func(w *world) error { return w.engine.PauseAccounts(w.t.Context(), []storage.AccountID{w.id}, "") }, ""},
		"refused": {func(w *world) error {
			return w.store.Write(w.t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error { return tx.PauseAccount(w.id, "auth", "no") })
		}, Auth},
		"rest": {func(w *world) error {
			w.meter().Rest(time.Now().Add(time.Hour))
			return w.store.Write(w.t.Context(), storage.Interactive, 0, w.meter().SaveTx)
		}, Quota},
		"account": {func(w *world) error {
			return w.engine.blame(w.t.Context(), scopeOf(w.id), Fault{Class: Timeout}, false)
		}, Timeout},
		"host": {func(w *world) error {
			return w.engine.blame(w.t.Context(), hostOf(loginOf(w.find()).Endpoint()), Fault{Class: Network}, false)
		}, Network},
	} {
		t.Run(name, func(t *testing.T) {
			s, w := scripted(t, 20, script.Options{}, Options{backoff: hourly})
			w.complete()
			if err := test.hold(w); err != nil {
				t.Fatal(err)
			}
			before := s.Connections()
			if class := w.compares(); class != test.want || (s.Connections() > before) != (test.want == "") {
				t.Errorf("%q, want %q, %d connections", class, test.want, s.Connections()-before)
			}
			if test.want == "" { // beside an owner: ui/cli TestCheckRemote
				return
			}
			if class := w.besideCompares(); class != test.want || s.Connections() > before {
				t.Errorf("beside: %q, want %q, %d connections", class, test.want, s.Connections()-before)
			}
		})
	}
}

// TestCheckRemoteRefused: a password that is refused is sent once, and then a person has to act; words about a limit are heard.
func TestCheckRemoteRefused(t *testing.T) {
	s, w := scripted(t, 20, script.Options{}, Options{})
	w.complete()
	s.SetPassword("other")
	before := s.Count("LOGIN")
	for range 3 {
		if class := w.compares(); class != Auth {
			t.Errorf("%q", class)
		}
	}
	if n := s.Count("LOGIN") - before; n != 1 || w.find().PauseClass != "auth" || len(w.faults()) != 1 {
		t.Errorf("%d sign-ins, account %+v, faults %+v", n, w.find(), w.faults())
	}
	w.engine.UsePassword(w.id, secret.New("other"))
	w.complete()

	for _, command := range []string{"AUTHENTICATE", "EXAMINE", "UID FETCH"} {
		s, w := scripted(t, 20, script.Options{}, Options{})
		w.complete()
		s.Misbehave(script.Faults{On: on(func(c script.Command) bool { return c.Name == command }, "NO [LIMIT] too much")})
		before := s.Count(command)
		for range 3 {
			if class := w.compares(); class != Quota {
				t.Errorf("%s: %q", command, class)
			}
			w.restart()
		}
		if rest := time.Until(w.meter().Resumes()); s.Count(command)-before != 1 || rest < 4*time.Minute {
			t.Errorf("%s: asked %d times, it rests %v", command, s.Count(command)-before, rest)
		}
	}
}

// TestCheckRemoteCounts: what a comparison downloads counts, and when the day is used up it ends.
func TestCheckRemoteCounts(t *testing.T) {
	s, w := scripted(t, 0, script.Options{Capabilities: gmailCapabilities}, Options{})
	s.Change(func(m *script.Model) {
		for n := range uint32(10) {
			m.Box("INBOX").Add(append(mail("INBOX", n+1), make([]byte, 100_000)...))
		}
	})
	w.complete()
	used := func() (n int64) {
		if err := w.store.Read(t.Context(), func(r *storage.Reader) error {
			all, err := rate.Slots(r, w.id)
			for _, one := range all {
				n += one.Bytes
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := used()
	if class := w.compares(); class != "" || used()-before < 1_000_000 {
		t.Errorf("%q, %d octets counted", class, used()-before)
	}
	w.meter().Received(2_449_000_000)
	bodies := 0
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if strings.Contains(c.Args, "BODY") {
			bodies++
		}
		return script.Answer
	}})
	if class := w.compares(); class != Quota || bodies != 0 || !w.meter().Resumes().After(time.Now()) {
		t.Errorf("%q, %d FETCH, it rests until %v", class, bodies, w.meter().Resumes())
	}
}

// hourly stands in for plan.Backoff.
func hourly(int, *rand.Rand) time.Duration { return time.Hour }
