package engine

import (
	"crypto/tls"
	"path/filepath"
	"strings"
	"testing"

	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/storage/class"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/script"
)

// TestPlainNotUnderstood: a BAD says nothing about the password, so LOGIN follows once. Whatever says more is final.
func TestPlainNotUnderstood(t *testing.T) {
	const plain = "IMAP4rev1 SASL-IR AUTH=PLAIN"
	for _, test := range []struct {
		name, caps     string
		plain, login   script.Action // the answers to AUTHENTICATE and LOGIN
		result         string
		class          string
		plains, login1 int // how often each came
	}{
		{"BAD", plain, "BAD no such command", "", Complete, "", 1, 1},
		{"BAD without SASL-IR", "IMAP4rev1 AUTH=PLAIN", "BAD [CLIENTBUG] no such command", "", Complete, "", 1, 1},
		{"BAD, LOGIN refused", plain, "BAD what?", "NO [AUTHENTICATIONFAILED] no", Failed, "auth", 1, 1},
		{"BAD, LOGIN not understood", plain, "BAD what?", "BAD what?", Failed, "auth", 1, 1},
		{"BAD, LOGIN disabled", plain + " LOGINDISABLED", "BAD what?", "", Failed, "auth", 1, 0},
		{"BAD that refuses", plain, "BAD [AUTHENTICATIONFAILED] no", "", Failed, "auth", 1, 0},
		{"BAD that is a limit", plain, "BAD [LIMIT] later", "", Failed, "quota", 1, 0},
		{"NO", plain, "NO what?", "", Failed, "auth", 1, 0},
		{"no PLAIN", "IMAP4rev1", "", "", Complete, "", 0, 1},
		{"LOGIN only as SASL", "IMAP4rev1 LOGINDISABLED AUTH=LOGIN", "BAD what?", "", Failed, "auth", 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 3, script.Options{Capabilities: test.caps}, Options{least: soon})
			s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
				return map[string]script.Action{"AUTHENTICATE": test.plain, "LOGIN": test.login}[c.Name]
			}})
			sum := w.sync()
			plains := s.Count("AUTHENTICATE")
			if logins := s.Count("LOGIN") - plains; sum.Result != test.result || string(sum.Class) != test.class ||
				plains != test.plains || logins != test.login1 {
				t.Errorf("%d AUTHENTICATE, %d LOGIN, summary %+v", plains, logins, sum)
			}
			unread := strings.HasSuffix(test.name, "not understood") || strings.HasSuffix(test.name, "LOGIN disabled")
			if unread && !strings.Contains(sum.NextStep, "did not understand") {
				t.Errorf("next step: %s", sum.NextStep)
			}
		})
	}
}

// TestPlainThenHangUp: a server that hangs up after its BAD gets LOGIN on the next connection, and PLAIN never again.
func TestPlainThenHangUp(t *testing.T) {
	for name, bye := range map[string]string{"at once": "", "with BYE": "* BYE too many errors\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 3, script.Options{Capabilities: "IMAP4rev1 SASL-IR AUTH=PLAIN"}, Options{})
			s.Misbehave(script.Faults{Last: func(c script.Command, _ string) (string, bool) {
				if c.Name != "AUTHENTICATE" {
					return "", true
				}
				return bye + c.Tag + " BAD what?", false
			}})
			w.complete()
			w.complete()
			if n := s.Count("AUTHENTICATE"); n != 1 {
				t.Errorf("%d times AUTHENTICATE", n)
			}
			login := w.live().login()
			login.Password = *w.live().processPassword
			for _, step := range Probe(t.Context(), login, imap.Options{}) {
				if !step.OK {
					t.Errorf("%+v", step)
				}
			}
		})
	}
}

// TestNoPasswordTaken: a server that takes no password is no TLS fault. What it offers is named, and what to do.
func TestNoPasswordTaken(t *testing.T) {
	for _, test := range []struct {
		caps, detail, step string
		logins             int
	}{
		{"IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2 AUTH=OAUTHBEARER", "OAuth tokens (OAUTHBEARER, XOAUTH2)",
			"app password", 0},
		{"IMAP4rev1 LOGINDISABLED AUTH=CRAM-MD5", "challenge and response (CRAM-MD5)", "operator", 0},
		{"IMAP4rev1 LOGINDISABLED STARTTLS", "nothing else", "imap+starttls://" + script.User + "@", 0},
		{"IMAP4rev1 LOGINDISABLED", "nothing else", "imaps://" + script.User + "@", 0},
		{"IMAP4rev1 AUTH=XOAUTH2", "OAuth tokens (XOAUTH2)", "app password", 1},
		{"IMAP4rev1 AUTH=NTLM AUTH=X-OWN AUTH=GSSAPI",
			"Kerberos (GSSAPI), Windows domain sign-in (NTLM), other mechanisms (X-OWN)", "operator", 1},
	} {
		s, w := scripted(t, 3, script.Options{Capabilities: test.caps}, Options{})
		s.Misbehave(script.Faults{On: on(func(c script.Command) bool { return c.Name == "LOGIN" }, "NO not so")})
		sum := w.sync()
		if sum.Class != "auth" || !w.find().Paused || !strings.Contains(sum.Detail, test.detail) ||
			!strings.Contains(sum.NextStep, test.step) || s.Count("LOGIN") != test.logins {
			t.Errorf("%s: %d sign-ins, %+v", test.caps, s.Count("LOGIN"), sum)
		}
		if u := w.text(`SELECT count(*) FROM sign_in`); u != "0" && test.logins == 0 {
			t.Errorf("%s: a sign-in that was not sent is noted as unanswered", test.caps)
		}
	}
}

// TestLoginDisabledDovecot is the same with Dovecot, which counts a connection as safe only if both ends have one
// address. It announces LOGINDISABLED and STARTTLS, and after STARTTLS it takes the password.
func TestLoginDisabledDovecot(t *testing.T) {
	t.Parallel()
	server := dovecot.Start(t, dovecot.Config{TLS: true, Extra: "listen = 127.0.0.1, 127.0.0.2\n" +
		"disable_plaintext_auth = yes\n"})
	fill(t, server, 5, 3, 1)
	const host = "127.0.0.2"
	reached := func(security imap.Security) *world {
		t.Helper()
		w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{TLSConfig: &tls.Config{RootCAs: server.Roots,
			ServerName: "localhost"}})
		id, _, err := w.engine.AddAccount(t.Context(), NewAccount{Login: Login{User: dovecot.User, Host: host,
			Port: server.Port(), Security: security, Password: secret.New(dovecot.Password)}})
		if err != nil {
			t.Fatal(err)
		}
		w.id = id
		return w
	}
	w := reached(imap.Plain)
	before, err := server.Logins()
	if err != nil {
		t.Fatal(err)
	}
	sum := w.sync()
	if url := (Login{User: dovecot.User, Host: host, Port: server.Port(), Security: imap.StartTLS}).URL(); sum.Class !=
		class.Auth || !w.find().Paused || !strings.Contains(sum.NextStep, url) {
		t.Errorf("summary %+v", sum)
	}
	if n, err := server.Logins(); n != before || err != nil {
		t.Errorf("%d sign-ins in the clear, %v", n-before, err)
	}
	reached(imap.StartTLS).complete()
}
