package engine

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/engine/connpool"
	"mailcote/engine/imap"
	"mailcote/engine/progress"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/script"
)

// runUntil runs the agent until an account is in a state.
func (w *world) runUntil(state progress.State) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.engine.Run(ctx, time.Hour) }()
	for ctx.Err() == nil {
		changed := w.engine.ProgressChanged()
		for _, a := range w.engine.Progress() {
			if a.State == state {
				cancel()
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	if err := <-done; err != nil {
		w.t.Fatal(err)
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		w.t.Fatalf("the account was never %s: %+v", state, w.engine.Progress())
	}
}

// TestWrongPassword: one attempt, then a pause that only a person ends.
func TestWrongPassword(t *testing.T) {
	for _, caps := range []string{"", "IMAP4rev1"} {
		s, w := scripted(t, 10, script.Options{Capabilities: caps}, Options{})
		s.SetPassword("other")
		sum := w.sync()
		if sum.Result != Failed || sum.Class != "auth" || s.Count("LOGIN") != 1 {
			t.Fatalf("%d sign-ins, summary %+v", s.Count("LOGIN"), sum)
		}
		if a := w.find(); !a.Paused || a.PauseClass != "auth" {
			t.Fatalf("account %+v", a)
		}
		for range 10 {
			w.engine.progress.State(w.find().Name, "idle", "")
			w.runUntil("paused")
		}
		if n := s.Count("LOGIN"); n != 1 {
			t.Fatalf("run sent %d sign-ins", n-1)
		}
		if w.sync(); s.Count("LOGIN") != 2 {
			t.Fatalf("%d sign-ins after an explicit sync, want 2", s.Count("LOGIN"))
		}
		w.engine.UsePassword(w.id, secret.New("other"))
		w.complete()
		if w.find().Paused || s.Count("LOGIN") != 3 {
			t.Errorf("paused %v, %d sign-ins", w.find().Paused, s.Count("LOGIN"))
		}
		w.equals(s)
		for _, f := range w.faults() {
			if f.Class != "auth" || !strings.Contains(f.ServerText, "AUTHENTICATIONFAILED") ||
				strings.Contains(f.Detail, dovecot.Password) {
				t.Errorf("fault %+v", f)
			}
		}
	}
}

// TestWrongPasswordDovecot is the same on a server that punishes guesses by delay.
func TestWrongPasswordDovecot(t *testing.T) {
	t.Parallel()
	server := dovecot.Start(t, dovecot.Config{Penalty: true})
	fill(t, server, 5, 20, 1)
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{}).account(server.Host(), server.Port())
	w.engine.UsePassword(w.id, secret.New("wrong"))
	if sum := w.sync(); sum.Result != Failed || sum.Class != "auth" {
		t.Fatalf("summary %+v", sum)
	}
	if n, err := server.Logins(); n != 1 || err != nil {
		t.Errorf("%d sign-ins, %v", n, err)
	}
	w.engine.UsePassword(w.id, secret.New(dovecot.Password))
	w.complete()
	w.agrees(server)
}

// TestUntrusted: a certificate nobody vouches for ends everything before a credential is sent, until a person acts.
func TestUntrusted(t *testing.T) {
	t.Parallel()
	server := dovecot.Start(t, dovecot.Config{TLS: true})
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{})
	for _, security := range []imap.Security{imap.TLS, imap.StartTLS} {
		port := server.Port()
		if security == imap.TLS {
			_, text, _ := strings.Cut(server.TLSAddr(), ":")
			port, _ = strconv.Atoi(text)
		}
		id, _, err := w.engine.AddAccount(t.Context(), NewAccount{Login: Login{User: dovecot.User, Host: "localhost",
			Port: port, Security: security, Password: secret.New(dovecot.Password)}})
		if err != nil {
			t.Fatal(err)
		}
		w.id = id
		if sum := w.sync(); sum.Result != Failed || sum.Class != "tls" || !w.find().Paused {
			t.Errorf("%s: %+v", security, sum)
		}
	}
	if strings.Contains(server.Log(), "user=<"+dovecot.User+">") {
		t.Error("a credential was sent")
	}
}

// TestNoPassword: nothing is dialled.
func TestNoPassword(t *testing.T) {
	s := script.Start(t, script.Options{})
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{backoff: quick})
	id, _, err := w.engine.AddAccount(t.Context(), NewAccount{Login: Login{User: "alice", Host: s.Host(),
		Port: s.Port(), Security: imap.Plain}})
	if err != nil {
		t.Fatal(err)
	}
	w.id = id
	if sum := w.sync(); sum.Class != "auth" || !strings.Contains(sum.NextStep, "give the password") ||
		s.Connections() != 0 {
		t.Errorf("%d connections, summary %+v", s.Connections(), sum)
	}
}

// TestRefusedSignIn: a NO about the server is no NO about the password.
func TestRefusedSignIn(t *testing.T) {
	for _, test := range []struct {
		answer script.Action
		class  class.Class
		logins int
	}{
		{"NO [UNAVAILABLE] later", "network", 5},
		{"BYE too many connections", "network", 5},
		{script.Drop, "network", 2}, // the third is a minute away
		{"NO [LIMIT] too many", "quota", 1},
		{"NO [EXPIRED] your password is old", "auth", 1},
		{"NO go away", "auth", 1},
		{"NO [PRIVACYREQUIRED] use TLS", "tls", 1},
	} {
		t.Run(string(test.answer), func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 3, script.Options{}, Options{least: soon})
			s.Misbehave(script.Faults{On: on(func(c script.Command) bool {
				return c.Name == "AUTHENTICATE"
			}, test.answer)})
			if sum := w.sync(); sum.Class != test.class || s.Count("LOGIN") != test.logins {
				t.Errorf("%d sign-ins, summary %+v", s.Count("LOGIN"), sum)
			}
			if paused := w.find().Paused; paused != (test.class == "auth" || test.class == "tls") {
				t.Errorf("paused: %v", paused)
			}
			s.Misbehave(script.Faults{})
			if sum := w.sync(); sum.Result != Complete && test.class != "quota" {
				t.Errorf("afterwards: %+v", sum)
			}
		})
	}
}

// TestUnansweredSignIn: it is not sent again within a minute, once more after it, and then a person must act.
func TestUnansweredSignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := scripted(t, 3, script.Options{Pipe: true}, Options{})
		s.Misbehave(script.Faults{On: on(func(c script.Command) bool {
			return c.Name == "AUTHENTICATE"
		}, script.Silent)})
		if sum := w.sync(); sum.Class != "timeout" || sum.Result != Failed || s.Count("LOGIN") != 1 {
			t.Fatalf("%d sign-ins, summary %+v", s.Count("LOGIN"), sum)
		}
		if w.find().Paused || len(w.tasks()) != 1 {
			t.Errorf("account %+v, tasks %+v", w.find(), w.tasks())
		}
		// Again at once, by another process too: it waits, and has not even dialled.
		w.restart()
		connections := s.Connections()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if sum := w.engine.Sync(ctx, []storage.AccountID{w.id}, SyncOptions{})[0]; !sum.Interrupted ||
			s.Connections() != connections {
			t.Errorf("%d connections, summary %+v", s.Connections()-connections, sum)
		}
		time.Sleep(connpool.Resend)
		if sum := w.sync(); sum.Class != "auth" || s.Count("LOGIN") != 2 || !w.find().Paused ||
			!strings.Contains(sum.NextStep, "did not answer") {
			t.Errorf("%d sign-ins, summary %+v", s.Count("LOGIN"), sum)
		}
		s.Misbehave(script.Faults{})
		time.Sleep(connpool.Resend)
		w.complete()
		w.equals(s)
	})
}
