package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"mailcote/engine/imap"
	"mailcote/engine/secret"
)

func TestParseURL(t *testing.T) {
	for _, test := range []struct {
		url                  string
		user, password, host string
		port                 int
		security             imap.Security
		says                 string // the error's words
	}{
		{url: "imap://alice:sesame@127.0.0.1:1143", user: "alice", password: "sesame", host: "127.0.0.1", port: 1143,
			security: imap.Plain},
		{url: "imap://alice@localhost", user: "alice", host: "localhost", port: 143, security: imap.Plain},
		{url: "IMAPS://Ada%40Example.org:p%3A%2F%3F%23%40%25%20%C3%A9@Mail.Example.ORG.", user: "Ada@Example.org",
			password: "p:/?#@% é", host: "mail.example.org", port: 993, security: imap.TLS},
		{url: "imap+starttls://a:b@h/", user: "a", password: "b", host: "h", port: 143, security: imap.StartTLS},
		{url: "imaps://ada@example.org:pass@mail.example.org", user: "ada@example.org", password: "pass",
			host: "mail.example.org", port: 993, security: imap.TLS},
		{url: "imaps://a:p+w:x@h:1", user: "a", password: "p+w:x", host: "h", port: 1, security: imap.TLS},
		{url: "imaps://a@[::1]:1993", user: "a", host: "::1", port: 1993, security: imap.TLS},
		{url: "imaps://a@[2001:db8::1]", user: "a", host: "2001:db8::1", port: 993, security: imap.TLS},
		{url: "alice@example.org", says: "no scheme"},
		{url: "", says: "no scheme"},
		{url: "http://a@h", says: "no scheme that is known"},
		{url: "alice:s3cr3t://x@h", says: "no scheme that is known"},
		{url: "imaps://h", says: "no user"},
		{url: "imaps://@h", says: "user is empty"},
		{url: "imaps://a@", says: "no host name"},
		{url: "imaps://a:s3%zz@h", says: "write %25"},
		{url: "imaps://%z:s3cr3t@h", says: "write %25"},
		{url: "imaps://a:s3cr3t@h:0", says: "port"},
		{url: "imaps://a:s3cr3t@h:65536", says: "port"},
		{url: "imaps://a:s3cr3t@h:", says: "port"},
		{url: "imaps://a:s3cr3t@h:imap", says: "port"},
		{url: "imaps://a:s3cr3t@::1", says: "[::1]"},
		{url: "imaps://a:s3cr3t@h/INBOX", says: "ends after host and port"},
		{url: "imaps://a:s3/cr3t@h", says: "percent-encode"},
		{url: "imaps://a:s3?cr3t@h", says: "percent-encode"},
		{url: "imaps://a:s3cr3t@h#x", says: "percent-encode"},
		{url: "imaps://a:s3%0d%0acr3t@h", says: "line break"},
		{url: "imaps://a%00:s3cr3t@h", says: "line break"},
		{url: "imaps://a:s3cr3t@h h", says: "no host name"},
		{url: "imaps://a:s3cr3t@<h>", says: "no host name"},
	} {
		l, err := ParseURL(test.url)
		if test.says != "" {
			if !errors.Is(err, ErrURL) || !strings.Contains(err.Error(), test.says) ||
				strings.Contains(err.Error(), "s3") || strings.Contains(err.Error(), "cr3t") {
				t.Errorf("%s: %v", test.url, err)
			}
			continue
		}
		if err != nil || l.User != test.user || l.Password.Reveal() != test.password || l.Host != test.host ||
			l.Port != test.port || l.Security != test.security {
			t.Errorf("%s: %+v %q %v", test.url, l, l.Password.Reveal(), err)
		}
	}
	if name := (Login{User: "ada@example.org", Host: "h"}).Name(); name != "ada@example.org" {
		t.Error(name)
	}
	if name := (Login{User: "ada", Host: "h"}).Name(); name != "ada@h" {
		t.Error(name)
	}
}

// FuzzParseURL: no input panics, what is read can be dialled and named, and no error repeats what stands in a
// password's place.
func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"imap://alice:sesame@127.0.0.1:1143", "imaps://a%40b:p%25@h", "imap+starttls://[::1]",
		"imaps://a:b@[::1]:9/", "x://", "imaps://a:p:q@h:1?x", "a:b://c:d@e"} {
		f.Add(s, "s3cr3t")
	}
	f.Fuzz(func(t *testing.T, s, password string) {
		check := func(l Login, err error) {
			if err != nil {
				if !errors.Is(err, ErrURL) {
					t.Fatalf("%q: %v", s, err)
				}
				return
			}
			if l.User == "" || l.Host == "" || l.Port < 1 || l.Port > 65535 || l.Security == "" ||
				strings.ContainsAny(l.User+l.Password.Reveal(), "\x00\r\n") {
				t.Fatalf("%q: %+v", s, l)
			}
			_ = l.Name() + l.Key() + l.Endpoint().Addr()
		}
		check(ParseURL(s))
		if len(password) < 6 || strings.ContainsAny(password, "@/?#") {
			return // too short to be recognised, or it ends the password
		}
		for _, url := range []string{"imaps://user:" + password + "@" + s, "user:" + password + "@" + s,
			"imap://user:" + password} {
			l, err := ParseURL(url)
			check(l, err)
			// the host may hold the same characters, as errors write them
			shown := fmt.Sprintf("%s %[1]q %s %[2]q", s, strings.ToLower(s))
			quoted := strings.Trim(secret.New(password).Reveal(), "%")
			if err != nil && strings.Contains(err.Error(), quoted) &&
				!strings.Contains(ErrURL.Error()+allWords, quoted) && !strings.Contains(shown, quoted) {
				t.Fatalf("%q: the error repeats the password: %v", url, err)
			}
		}
	})
}

// allWords is what errors say anyway.
const allWords = ": there is no scheme: write imaps://user@host it begins with no scheme that is known: use imaps, " +
	"imap+starttls or, for this machine only, imap\n" +
	" it ends after host and port; percent-encode / ? # in user and password there is no user: write " +
	"imap+starttls://user@host write imap://user@host\n" +
	" the user has a % that is not followed by two hex digits: write %25 for a percent sign the password " +
	"has a % that is not followed by two hex digits\n" +
	" the user is empty, or user or password hold a line break the port must be a number from 1 to 65535 " +
	"host and port cannot be told apart: write [::1]:143 for an IPv6 address\n" +
	" \"\" is no host name"
