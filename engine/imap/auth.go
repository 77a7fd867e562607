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

// capabilities replaces the known capabilities.
func (s *Session) capabilities(line []byte) {
	s.caps, s.capsUpdated = map[string]struct{}{}, true
	last := ""
	for word := range strings.FieldsSeq(strings.ToUpper(string(line))) {
		if word == "+" || word == "-" { // some servers send "LITERAL +"
			word = last + word
		}
		if len(s.caps) < MaxCapabilities && len(word) <= MaxCapabilityName && !s.denies(word) {
			s.caps[word] = struct{}{}
			last = word
		}
	}
}

// Has reports whether the server offers a capability, such as "AUTH=PLAIN" or
// "CONDSTORE", which QRESYNC implies. After login only what was said after it
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

// Capabilities returns the server's capabilities, sorted, in upper case.
func (s *Session) Capabilities() []string { return slices.Sorted(maps.Keys(s.caps)) }

// Login signs in with LOGIN. If the server has it disabled, it returns
// ErrLoginDisabled before any credential is sent. One call is one attempt.
func (s *Session) Login(ctx context.Context, user, password string) error {
	if s.Has("LOGINDISABLED") {
		return fmt.Errorf("imap: LOGIN: %w", ErrLoginDisabled)
	}
	c := s.command("LOGIN").text(user).text(password)
	c.secret = true
	escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(password)
	return s.authenticated(ctx, c, []string{password, escaped}, func() error { return s.send(c) })
}

// Authenticate signs in with SASL. The initial response is sent along only if
// the server offers SASL-IR.
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

// saslLine encodes a response. The empty response is "=".
func saslLine(b []byte) string {
	if len(b) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(b)
}

// saslSecrets returns the forms in which a server might echo a response:
// encoded, and its last field. That field is the password of PLAIN or the token
// of OAUTHBEARER.
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
			challenge, derr := base64.StdEncoding.DecodeString(string(s.continuation))
			if derr != nil {
				challenge = nil
			}
			if answer, err = client.Next(challenge); err != nil || derr != nil {
				// "*" gives up. The server's NO says more than our own error.
				if err := s.write(c.name, []byte("*\r\n")); err != nil {
					return err
				}
				continue
			}
		}
		initial = nil
		line := saslLine(answer)
		if len(answer) == 0 {
			line = "" // "=" is only for an initial response in the command
		}
		s.secrets = append(s.secrets, saslSecrets(answer)...)
		if err := s.write(c.name, []byte(line+"\r\n")); err != nil {
			return err
		}
	}
}

// authenticated runs one attempt to sign in, under its own time limit. Its
// secrets are kept out of traces and out of what the server says.
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
	s.capsUpdated = false
	st, err := s.attempt(c, secrets, attempt)
	if err != nil {
		return err
	}
	if s.bye == nil {
		s.conn.phaseEnd = time.Time{}
	}
	if err := st.Err(c.name); err != nil {
		return err
	}
	s.state = Authenticated
	if s.capsUpdated {
		return nil
	}
	s.caps = nil // capabilities from before login no longer count
	if _, err := s.runNow(s.command("CAPABILITY")); err != nil {
		if s.err == nil {
			s.caps = capsBefore
		}
		return err
	}
	return nil
}

// attempt sends and awaits one attempt within Limits.Auth.
func (s *Session) attempt(c *command, secrets []string, send func() error) (Status, error) {
	s.secrets = secrets
	s.trace.masked(true)
	before := s.progress
	s.progress, s.conn.phaseEnd = s.lim.Auth, time.Now().Add(s.lim.Auth)
	defer func() {
		s.secrets, s.progress = nil, before
		s.trace.masked(false)
	}()
	if err := send(); err != nil {
		return Status{}, err
	}
	return s.wait(c.tag)
}

// ID sends our identification and returns the server's (RFC 2971). nil sends
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

// Logout ends the session with LOGOUT and closes the connection. It is no error
// if the server says BYE or closes early.
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
