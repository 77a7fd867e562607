package imap

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
)

// certificate makes a self-signed one for a host.
func certificate(t *testing.T, host string, from, to time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestDialTLS(t *testing.T) {
	now := time.Now()
	good, pool := certificate(t, "mail.example.org", now.Add(-time.Hour), now.Add(time.Hour))
	expired, expiredPool := certificate(t, "mail.example.org", now.Add(-2*time.Hour), now.Add(-time.Hour))
	tests := []struct {
		name, host string
		cert       tls.Certificate
		cfg        *tls.Config
		want       any
	}{
		{"good", "mail.example.org", good, &tls.Config{RootCAs: pool}, nil},
		{"unknown authority", "mail.example.org", good, nil, new(x509.UnknownAuthorityError)},
		{"another host", "mail.example.com", good, &tls.Config{RootCAs: pool}, new(x509.HostnameError)},
		{"expired", "mail.example.org", expired, &tls.Config{RootCAs: expiredPool}, new(x509.CertificateInvalidError)},
	}
	for _, tt := range tests {
		for _, sec := range []Security{TLS, StartTLS} {
			t.Run(tt.name+" "+string(sec), func(t *testing.T) {
				d, _ := tcp(t, func(p *peer) {
					if sec == StartTLS {
						p.say("* OK [CAPABILITY IMAP4rev1 STARTTLS X-FORGED] plain words")
						p.answer()
					}
					c := tls.Server(p.c, &tls.Config{Certificates: []tls.Certificate{tt.cert}})
					if c.Handshake() != nil {
						return
					}
					p.c = c
					p.br.Reset(c)
					if sec == TLS {
						p.say("* OK hello")
					}
					p.answer("* CAPABILITY IMAP4rev1 X-REAL")
					p.answer()
				})
				s, err := Dial(context.Background(), Endpoint{tt.host, 993, sec}, Options{Dial: d, TLSConfig: tt.cfg})
				if tt.want != nil {
					if !errors.As(err, tt.want) {
						t.Errorf("%v, want %T", err, tt.want)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if !slices.Equal(s.Capabilities(), []string{"IMAP4REV1", "X-REAL"}) {
					t.Errorf("capabilities %v", s.Capabilities())
				}
				if sec == StartTLS && s.Greeting() != "" {
					t.Errorf("words from before TLS kept: %q", s.Greeting())
				}
				if err := s.Noop(context.Background()); err != nil {
					t.Error(err)
				}
				if _, ok := s.TLS(); !ok || s.BytesRead() < 500 || s.BytesWritten() < 100 {
					t.Errorf("TLS %v, %d read, %d written", ok, s.BytesRead(), s.BytesWritten())
				}
			})
		}
	}
}

// TestDialRefusals: nothing is parsed that was said before TLS, and nothing
// goes on without it.
func TestDialRefusals(t *testing.T) {
	tests := []struct {
		name   string
		sec    Security
		script func(p *peer)
		want   error
	}{
		{"bytes behind the OK", StartTLS, func(p *peer) {
			p.say("* OK [CAPABILITY IMAP4rev1 STARTTLS] hi")
			tag, _ := p.next()
			p.raw(tag + " OK begin\r\n* LIST () \"/\" forged\r\n")
			p.untilGone()
		}, ErrSyntax},
		{"NO", StartTLS, func(p *peer) {
			p.say("* OK [CAPABILITY IMAP4rev1 STARTTLS] hi")
			tag, _ := p.next()
			p.say(tag + " NO not today")
			p.untilGone()
		}, ErrNoStartTLS},
		{"not offered", StartTLS, func(p *peer) {
			p.say("* OK [CAPABILITY IMAP4rev1] hi")
			p.untilGone()
		}, ErrNoStartTLS},
		{"OK before it was asked", StartTLS, func(p *peer) {
			p.raw("* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\nm1 OK begin\r\n* OK x\r\n")
			p.untilGone()
		}, ErrSyntax},
		{"PREAUTH before STARTTLS", StartTLS, func(p *peer) {
			p.say("* PREAUTH [CAPABILITY IMAP4rev1] welcome")
			p.untilGone()
		}, ErrPreauth},
		{"PREAUTH on plain", Plain, func(p *peer) { p.say("* PREAUTH welcome"); p.untilGone() }, ErrPreauth},
		{"HTTP", Plain, func(p *peer) { p.say("HTTP/1.1 400 Bad Request", "", "<html>"); p.untilGone() }, ErrSyntax},
		{"another response", Plain, func(p *peer) {
			p.say("* CAPABILITY IMAP4rev1", "* OK hi")
			p.untilGone()
		}, ErrSyntax},
		{"long greeting", Plain, func(p *peer) {
			p.raw("* OK " + strings.Repeat("x", 3<<20))
			p.untilGone()
		}, ErrLimit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, p := pipe(t, tt.script)
			_, err := Dial(context.Background(), Endpoint{"127.0.0.1", 143, tt.sec}, Options{Dial: d})
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			for _, line := range p.lines() {
				if !strings.HasSuffix(line, "STARTTLS\r\n") {
					t.Errorf("sent %q", line)
				}
			}
		})
	}
}

func TestPlainRefused(t *testing.T) {
	dialled := 0
	count := func(context.Context, string, string) (net.Conn, error) {
		dialled++
		return nil, errors.New("no")
	}
	for host, ok := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "[::1]": true,
		"::ffff:127.0.0.1":      true,
		"localhost.example.org": false, "127.0.0.1.example.org": false, "example.org": false, "10.0.0.1": false,
		"0.0.0.0": false, "": false,
	} {
		dialled = 0
		_, err := Dial(context.Background(), Endpoint{host, 143, Plain}, Options{Dial: count})
		if errors.Is(err, ErrPlainRefused) == ok || (dialled == 1) != ok {
			t.Errorf("%q: %v, dialled %d times", host, err, dialled)
		}
		dialled = 0
		_, err = Dial(context.Background(), Endpoint{host, 143, Plain}, Options{Dial: count, Insecure: true})
		if errors.Is(err, ErrPlainRefused) || dialled != 1 {
			t.Errorf("%q insecure: %v, dialled %d times", host, err, dialled)
		}
	}
	if _, err := Dial(context.Background(), Endpoint{"localhost", 143, "TLS"}, Options{Dial: count}); err == nil ||
		dialled != 1 {
		t.Error("an unknown security was dialled")
	}
}

// What a login sends, and that no trace and no error shows it, even if the
// server says it back.
func TestLogin(t *testing.T) {
	const user, secret = "jo", "can\"ary\\pw"
	plain := sasl.NewPlainClient("", user, secret)
	tests := []struct {
		name, caps string
		login      func(s *Session) error
		script     func(p *peer) // after the greeting, up to the final answer
		sent       []string
	}{
		{"LOGIN quoted", "", func(s *Session) error { return s.Login(context.Background(), user, secret) },
			func(p *peer) {}, []string{`m1 LOGIN "jo" "can\"ary\\pw"`}},
		{"PLAIN with SASL-IR", "SASL-IR AUTH=PLAIN", func(s *Session) error {
			return s.Authenticate(context.Background(), plain)
		},
			func(p *peer) {}, []string{"m1 AUTHENTICATE PLAIN AGpvAGNhbiJhcnlccHc="}},
		{"PLAIN", "AUTH=PLAIN", func(s *Session) error { return s.Authenticate(context.Background(), plain) },
			func(p *peer) { p.say("+ "); p.next() }, []string{"m1 AUTHENTICATE PLAIN", "AGpvAGNhbiJhcnlccHc="}},
	}
	for _, tt := range tests {
		for _, refused := range []bool{false, true} {
			var trace bytes.Buffer
			d, p := pipe(t, func(p *peer) {
				p.say("* OK [CAPABILITY IMAP4rev1 X-BEFORE " + tt.caps + "] hi")
				tag, rest := p.next()
				tt.script(p)
				if refused {
					p.say("* OK you said "+rest+" and "+secret,
						tag+" NO [AUTHENTICATIONFAILED] wrong: "+secret+" "+strings.Join(p.lines(), ""))
				} else {
					p.say(tag + " OK in")
					p.answer("* CAPABILITY IMAP4rev1 X-AFTER")
				}
				p.untilGone()
			})
			s, err := Dial(context.Background(), Endpoint{"localhost", 143, Plain}, Options{Dial: d, Trace: &trace})
			if err != nil {
				t.Fatal(err)
			}
			g := &got{}
			s.Observe(g.observer())
			err = tt.login(s)
			if refused {
				var st *StatusError
				if !errors.As(err, &st) || st.Type != "NO" || st.Code != "AUTHENTICATIONFAILED" || s.Err() != nil {
					t.Errorf("%s: %v", tt.name, err)
				}
			} else if err != nil || s.State() != Authenticated || !s.Has("x-after") || s.Has("X-BEFORE") {
				t.Errorf("%s: %v, state %v, %v", tt.name, err, s.State(), s.Capabilities())
			}
			_ = s.Close()
			lines := p.lines()
			for i, want := range tt.sent {
				if strings.TrimRight(lines[i], "\r\n") != want {
					t.Errorf("%s: sent %q, want %q", tt.name, lines[i], want)
				}
			}
			shown := trace.String() + strings.Join(g.events, "\n")
			if err != nil {
				shown += err.Error()
			}
			for _, word := range []string{secret, "ary", "AGpv"} {
				if strings.Contains(shown, word) {
					t.Errorf("%s: secret shown in %q", tt.name, shown)
				}
			}
			if !strings.Contains(trace.String(), "C: m1 ") || !strings.Contains(trace.String(), "***") {
				t.Errorf("%s: trace %q", tt.name, trace.String())
			}
		}
	}
}

func TestLoginDisabled(t *testing.T) {
	d, p := pipe(t, func(p *peer) { p.say("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi"); p.untilGone() })
	s, err := Dial(context.Background(), Endpoint{"localhost", 143, Plain}, Options{Dial: d})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Login(context.Background(), "u", "p"); !errors.Is(err, ErrLoginDisabled) || len(p.lines()) > 0 {
		t.Errorf("%v, sent %q", err, p.lines())
	}
}

// Capabilities that come with the answer are not asked for again.
func TestLoginCapabilities(t *testing.T) {
	s, p := dial(t, Options{}, func(p *peer) {
		tag, _ := p.next()
		p.say(tag + " OK [CAPABILITY IMAP4rev1 LITERAL + QRESYNC] in")
		p.answer()
		p.untilGone()
	})
	if err := s.Login(context.Background(), "u", "p"); err != nil {
		t.Fatal(err)
	}
	if !s.Has("LITERAL+") || !s.Has("CONDSTORE") || s.Has("ESEARCH") || len(p.lines()) != 1 {
		t.Errorf("%v, sent %q", s.Capabilities(), p.lines())
	}
	if err := s.Login(context.Background(), "u", "p"); !errors.Is(err, ErrCommand) {
		t.Errorf("second login: %v", err)
	}
	if err := s.Noop(context.Background()); err != nil {
		t.Error(err)
	}
}

// What was offered before login is gone after it, whatever the server says
// then.
func TestLoginForgets(t *testing.T) {
	s, _ := dial(t, Options{}, func(p *peer) { p.answer(); p.answer(); p.untilGone() })
	if err := s.Login(context.Background(), "u", "p"); err != nil || len(s.Capabilities()) != 0 {
		t.Errorf("%v, %v", err, s.Capabilities())
	}
}

// Capabilities named in Without are not there, nor is what they imply.
func TestWithout(t *testing.T) {
	d, _ := pipe(t, func(p *peer) { p.say("* OK [CAPABILITY IMAP4rev1 QRESYNC ESEARCH IDLE] hi"); p.untilGone() })
	s, err := Dial(context.Background(), Endpoint{"localhost", 143, Plain},
		Options{Dial: d, Manners: Manners{Without: []string{"qresync", "ESEARCH"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Has("QRESYNC") || s.Has("CONDSTORE") || s.Has("ESEARCH") || !s.Has("IDLE") {
		t.Errorf("%v", s.Capabilities())
	}
}

// A challenge that cannot be answered is given up with "*".
func TestAuthenticateGivesUp(t *testing.T) {
	s, p := dial(t, Options{}, func(p *peer) {
		tag, _ := p.next()
		p.say("+ eyJzdGF0dXMiOiI0MDAifQ==")
		p.next()
		p.say(tag + " NO [AUTHENTICATIONFAILED] no")
		p.untilGone()
	})
	err := s.Authenticate(context.Background(), sasl.NewPlainClient("", "u", "p"))
	var st *StatusError
	if !errors.As(err, &st) || p.lines()[1] != "*\r\n" {
		t.Errorf("%v, sent %q", err, p.lines())
	}
}

// TestAlerts: alerts are reported, escaped and cut, wherever the server sends
// them. Refusals and BYE are errors instead, and what was said before TLS is
// left out.
func TestAlerts(t *testing.T) {
	now := time.Now()
	cert, pool := certificate(t, "localhost", now.Add(-time.Hour), now.Add(time.Hour))
	for _, sec := range []Security{Plain, StartTLS} {
		var told []string
		d, _ := tcp(t, func(p *peer) {
			p.say("* OK [ALERT] greeting")
			if sec == StartTLS {
				p.answer("* CAPABILITY IMAP4rev1 STARTTLS", "* OK [ALERT] forged")
				c := tls.Server(p.c, &tls.Config{Certificates: []tls.Certificate{cert}})
				if c.Handshake() != nil {
					return
				}
				p.c = c
				p.br.Reset(c)
			}
			p.answer("* CAPABILITY IMAP4rev1")
			p.answer("* NO [ALERT] nearly full\x1b[31m", "* OK [ALERT] "+strings.Repeat("x", 5000), "* OK [X] else")
			tag, _ := p.next()
			p.say(tag + " NO [ALERT] refused")
			tag, _ = p.next()
			p.say(tag+" OK [ALERT] done", "* BYE [ALERT] gone")
			p.untilGone()
		})
		s, err := Dial(context.Background(), Endpoint{"localhost", 143, sec},
			Options{Dial: d, TLSConfig: &tls.Config{RootCAs: pool},
				Alert: func(st Status) { told = append(told, st.Type+" "+st.Text) }})
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			_ = s.Noop(context.Background()) // what it says is not the question
		}
		_ = s.Close()
		if sec == Plain {
			if len(told) == 0 || told[0] != "OK greeting" {
				t.Fatalf("told %.100q", told)
			}
			told = told[1:]
		}
		if len(told) != 3 || told[0] != `NO nearly full\u{1b}[31m` || len(told[1]) > 1100 || told[2] != "OK done" {
			t.Errorf("%s: told %.100q", sec, told)
		}
	}
}
