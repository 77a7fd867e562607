package imap

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
)

// capabilities takes a list of capabilities in place of the one known.
func (s *Session) capabilities(line []byte) {
	s.caps, s.capsNew = map[string]struct{}{}, true
	last := ""
	for word := range strings.FieldsSeq(strings.ToUpper(string(line))) {
		if word == "+" || word == "-" { // "LITERAL +" has been seen
			word = last + word
		}
		if len(s.caps) < MaxCapabilities && len(word) <= MaxCapabilityName && !s.denied(word) {
			s.caps[word] = struct{}{}
			last = word
		}
	}
}

// Has tells whether the server offers a capability, such as "CONDSTORE" (also
// implied by QRESYNC) or "AUTH=PLAIN". After login only what was said after it
// counts.
func (s *Session) Has(capability string) bool {
	name := strings.ToUpper(capability)
	if _, ok := s.caps[name]; ok {
		return true
	}
	if name == "CONDSTORE" {
		_, ok := s.caps["QRESYNC"]
		return ok
	}
	return false
}

// Capabilities returns what the server offers, sorted, in upper case.
func (s *Session) Capabilities() []string { return slices.Sorted(maps.Keys(s.caps)) }

// Capability asks for the capabilities anew.
func (s *Session) Capability(ctx context.Context) error {
	_, err := s.run(ctx, s.command("CAPABILITY"))
	return err
}

// Login signs in with LOGIN. Where the server has it disabled, ErrLoginDisabled
// comes before any credential octet is sent. One attempt is one command.
func (s *Session) Login(ctx context.Context, user, password string) error {
	if s.Has("LOGINDISABLED") {
		return fmt.Errorf("imap: LOGIN: %w", ErrLoginDisabled)
	}
	c := s.command("LOGIN").text(user).text(password)
	c.secret = true
	escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(password)
	return s.authenticated(ctx, c, []string{password, escaped}, func() error { return s.send(c) })
}

// Authenticate signs in with SASL. The initial response goes along only where
// SASL-IR is offered.
func (s *Session) Authenticate(ctx context.Context, client sasl.Client) error {
	mech, initial, err := client.Start()
	if err != nil {
		return fmt.Errorf("imap: AUTHENTICATE: %w", err)
	}
	c := s.command("AUTHENTICATE").raw(" " + mech)
	c.secret = true
	secrets := saslSecrets(initial)
	if initial != nil && s.Has("SASL-IR") {
		c.raw(" " + saslLine(initial))
		initial = nil
	}
	return s.authenticated(ctx, c, secrets, func() error { return s.exchange(c, client, initial) })
}

// saslLine encodes a response; the empty one is "=".
func saslLine(b []byte) string {
	if len(b) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(b)
}

// saslSecrets are the forms in which a server might echo a response: encoded,
// and its last field, which is the password of PLAIN and the token of
// OAUTHBEARER.
func saslSecrets(b []byte) []string {
	fields := strings.FieldsFunc(string(b), func(r rune) bool { return r < ' ' })
	if len(fields) == 0 {
		return nil
	}
	last := fields[len(fields)-1]
	return []string{saslLine(b), last, strings.TrimPrefix(last, "auth=Bearer ")}
}

// exchange sends AUTHENTICATE and answers challenges until the server has
// decided.
func (s *Session) exchange(c *command, client sasl.Client, initial []byte) error {
	if err := s.send(c); err != nil {
		return err
	}
	for {
		going, err := s.goAhead(c.tag)
		if err != nil || !going {
			return err
		}
		answer := initial
		if initial == nil {
			challenge, derr := base64.StdEncoding.DecodeString(string(s.plusText))
			if derr != nil {
				challenge = nil
			}
			if answer, err = client.Next(challenge); err != nil || derr != nil {
				// "*" gives up; the server's NO tells more than our own error.
				if err := s.write(c.name, []byte("*\r\n")); err != nil {
					return err
				}
				continue
			}
		}
		initial = nil
		line := saslLine(answer)
		if len(answer) == 0 {
			line = "" // "=" is for the initial response in the command only
		}
		s.secrets = append(s.secrets, saslSecrets(answer)...)
		if err := s.write(c.name, []byte(line+"\r\n")); err != nil {
			return err
		}
	}
}

// authenticated runs one attempt to sign in, with its own time limit and with
// its secrets kept out of traces and of what the server says back.
func (s *Session) authenticated(ctx context.Context, c *command, secrets []string, attempt func() error) error {
	stop, err := s.begin(ctx, c.name)
	if err != nil {
		return err
	}
	defer stop()
	if s.state != NotAuthenticated {
		return fmt.Errorf("imap: %s: %w: already signed in", c.name, ErrCommand)
	}
	capsBefore := s.caps
	s.capsNew = false
	st, err := s.attempt(c, secrets, attempt)
	if err != nil {
		return err
	}
	if s.bye == nil {
		s.conn.until = time.Time{}
	}
	if err := st.Err(c.name); err != nil {
		return err
	}
	s.state = Authenticated
	if s.capsNew {
		return nil
	}
	s.caps = nil // what was said before login is not to be trusted after it
	if _, err := s.runNow(s.command("CAPABILITY")); err != nil {
		if s.err == nil {
			s.caps = capsBefore
		}
		return err
	}
	return nil
}

// attempt sends and awaits one attempt under Limits.Auth.
func (s *Session) attempt(c *command, secrets []string, send func() error) (Status, error) {
	s.secrets = secrets
	s.trace.masked(true)
	before := s.progress
	s.progress, s.conn.until = s.lim.Auth, time.Now().Add(s.lim.Auth)
	defer func() {
		s.secrets, s.progress = nil, before
		s.trace.masked(false)
	}()
	if err := send(); err != nil {
		return Status{}, err
	}
	return s.wait(c.tag)
}

// ID tells the server who we are and returns who it is (RFC 2971). nil sends
// NIL.
func (s *Session) ID(ctx context.Context, fields map[string]string) (map[string]string, error) {
	c := s.command("ID")
	if len(fields) == 0 {
		c.raw(" NIL")
	} else {
		c.raw(" ")
		open := "("
		for _, k := range slices.Sorted(maps.Keys(fields)) {
			c.raw(open).bare(k)
			c.text(fields[k])
			open = " "
		}
		c.raw(")")
	}
	s.id = map[string]string{}
	defer func() { s.id = nil }()
	_, err := s.run(ctx, c)
	return s.id, err
}

// idResponse reads `* ID ("name" "x" "version" NIL)`.
func (s *Session) idResponse() error {
	sc := s.sc
	c, err := sc.spaces()
	if err != nil || c != '(' {
		return errors.Join(err, sc.skipLine())
	}
	sc.pos++
	for {
		if c, err = sc.spaces(); err != nil {
			return err
		}
		if c == ')' || c == '\r' || c == '\n' || c == '(' {
			return sc.skipLine()
		}
		t, _, err := sc.str()
		if err != nil {
			return err
		}
		key := strings.ToLower(escape(t))
		t, null, err := sc.str()
		if err != nil {
			return err
		}
		if null {
			t = nil
		}
		if len(s.id) < MaxID {
			s.id[key] = escape(t)
		}
	}
}

// Logout ends the session in order and closes the connection. The server's BYE
// is no error, nor is its closing early.
func (s *Session) Logout(ctx context.Context) error {
	stop, err := s.begin(ctx, "LOGOUT")
	if err != nil {
		return err
	}
	defer stop()
	s.leaving = true
	_, err = s.runNow(s.command("LOGOUT"))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	s.err = &WireError{Op: "LOGOUT", Phase: "closed", Cause: net.ErrClosed}
	_ = s.Close()
	return err
}
