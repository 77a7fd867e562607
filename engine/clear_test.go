package engine

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/storage/class"
	"mailcote/testkit/dovecot"
)

// impostor is a server that does what a test says, and keeps every byte it was sent, also inside TLS.
type impostor struct {
	listener net.Listener
	ended    sync.WaitGroup
	mu       sync.Mutex
	heard    bytes.Buffer
	conns    int
	hung     int // connections the client did not close
}

// wire is what was heard so far.
func (i *impostor) wire() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.heard.String()
}

// keeper notes what is read through it.
type keeper struct {
	net.Conn
	of *impostor
}

func (k keeper) Read(b []byte) (int, error) {
	n, err := k.Conn.Read(b)
	k.of.mu.Lock()
	k.of.heard.Write(b[:n])
	k.of.mu.Unlock()
	return n, err
}

func impersonate(t *testing.T, serve func(c net.Conn, in *bufio.Reader)) *impostor {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	i := &impostor{listener: l}
	i.ended.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			i.ended.Go(func() {
				defer conn.Close()
				k := keeper{conn, i}
				in := bufio.NewReader(k)
				serve(k, in)
				// Whatever happened, the client leaves, and nothing it says on the way is a secret.
				_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck // it may have gone
				_, err := io.Copy(io.Discard, in)
				i.mu.Lock()
				defer i.mu.Unlock()
				i.conns++
				if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
					i.hung++
				}
			})
		}
	})
	t.Cleanup(i.close)
	return i
}

func (i *impostor) close() {
	i.listener.Close()
	i.ended.Wait()
}

// next reads a command and gives its tag.
func next(in *bufio.Reader) (tag string) {
	line, _ := in.ReadString('\n') //nolint:errcheck // "" is no tag
	tag, _, _ = strings.Cut(line, " ")
	return tag
}

func say(c net.Conn, lines ...string) {
	_, _ = io.WriteString(c, strings.Join(lines, "\r\n")+"\r\n") //nolint:errcheck // the client may have gone
}

// issue makes a certificate for 127.0.0.1, changed by change; without a parent it signs itself.
func issue(t *testing.T, parent *tls.Certificate, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true}
	change(c)
	by, byKey := c, any(key)
	if parent != nil {
		by, byKey = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, key.Public(), byKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// TestNothingInClear is bar 25: an impostor, or somebody on the way to the
// server, gets no byte of a credential. The client closes the connection and
// stores nothing of what was said.
func TestNothingInClear(t *testing.T) {
	authority := issue(t, nil, func(c *x509.Certificate) { c.IsCA = true })
	roots := x509.NewCertPool()
	roots.AddCert(authority.Leaf)
	asIs := func(*x509.Certificate) {}
	good := issue(t, &authority, asIs)
	shake := func(c net.Conn, cert tls.Certificate, newest uint16) {
		tc := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10,
			MaxVersion: newest}) //nolint:gosec // the client must refuse
		if tc.Handshake() == nil {
			serveAnything(keeper{tc, c.(keeper).of})
		}
	}
	const offers = "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR] ready"
	cert := func(change func(*x509.Certificate)) tls.Certificate { return issue(t, &authority, change) }
	selfSigned := issue(t, nil, asIs)
	strangers := issue(t, nil, func(c *x509.Certificate) { c.IsCA = true })
	foreign := issue(t, &strangers, asIs)
	expired := cert(func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	})
	early := cert(func(c *x509.Certificate) {
		c.NotBefore = time.Now().Add(time.Hour)
		c.NotAfter = time.Now().Add(2 * time.Hour)
	})
	elsewhere := cert(func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"imap.elsewhere.example"} })
	clients := cert(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })

	type attack struct {
		name     string
		security imap.Security
		class    class.Class
		serve    func(c net.Conn, in *bufio.Reader)
	}
	var attacks []attack
	for name, bad := range map[string]tls.Certificate{"expired": expired, "not yet valid": early,
		"wrong host": elsewhere, "self-signed": selfSigned, "unknown CA": foreign, "for clients": clients} {
		attacks = append(attacks,
			attack{name, imap.TLS, class.TLS, func(c net.Conn, _ *bufio.Reader) { shake(c, bad, 0) }},
			attack{name, imap.StartTLS, class.TLS, func(c net.Conn, in *bufio.Reader) {
				say(c, offers)
				say(c, next(in)+" OK begin TLS")
				shake(c, bad, 0)
			}})
	}
	attacks = append(attacks,
		attack{"TLS 1.1", imap.TLS, class.TLS, func(c net.Conn, _ *bufio.Reader) { shake(c, good, tls.VersionTLS11) }},
		attack{"TLS 1.0 after STARTTLS", imap.StartTLS, class.TLS, func(c net.Conn, in *bufio.Reader) {
			say(c, offers)
			say(c, next(in)+" OK begin TLS")
			shake(c, good, tls.VersionTLS10)
		}},
		attack{"no TLS on the TLS port", imap.TLS, class.TLS, func(c net.Conn, in *bufio.Reader) {
			say(c, offers)
			serveLines(c, in)
		}},
		attack{"captive portal on the TLS port", imap.TLS, class.TLS, func(c net.Conn, _ *bufio.Reader) {
			say(c, "HTTP/1.1 302 Found", "Location: http://portal.example/login", "", "<html>please sign in</html>")
		}},
		attack{"captive portal", imap.StartTLS, class.Protocol, func(c net.Conn, _ *bufio.Reader) {
			say(c, "HTTP/1.1 200 OK", "Content-Type: text/html", "", "<html>please sign in</html>")
		}},
		attack{"STARTTLS stripped", imap.StartTLS, class.TLS, func(c net.Conn, in *bufio.Reader) {
			say(c, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready")
			serveLines(c, in)
		}},
		attack{"STARTTLS stripped, capabilities asked for", imap.StartTLS, class.TLS,
			func(c net.Conn, in *bufio.Reader) {
				say(c, "* OK ready")
				serveLines(c, in)
			}},
		attack{"NO to STARTTLS", imap.StartTLS, class.TLS, func(c net.Conn, in *bufio.Reader) {
			say(c, offers)
			say(c, next(in)+" NO not now")
			serveLines(c, in)
		}},
		attack{"BAD to STARTTLS", imap.StartTLS, class.TLS, func(c net.Conn, in *bufio.Reader) {
			say(c, offers)
			say(c, next(in)+" BAD what?")
			serveLines(c, in)
		}},
		attack{"PREAUTH", imap.StartTLS, class.TLS, func(c net.Conn, in *bufio.Reader) {
			say(c, "* PREAUTH [CAPABILITY IMAP4rev1] welcome", `* LIST () "/" "forged"`)
			serveLines(c, in)
		}},
		attack{"forged OK before the command", imap.StartTLS, class.TLS, func(c net.Conn, in *bufio.Reader) {
			say(c, offers, "m1 OK begin TLS", `* LIST () "/" "forged"`)
			serveLines(c, in)
		}},
		attack{"LIST behind OK in one segment", imap.StartTLS, class.TLS, func(c net.Conn, in *bufio.Reader) {
			say(c, offers)
			say(c, next(in)+" OK begin TLS", `* LIST () "/" "forged"`)
			shake(c, good, 0) // somebody on the way put it in: the rest is as it should be
		}},
		attack{"capabilities behind OK in one segment", imap.StartTLS, class.TLS, func(c net.Conn, in *bufio.Reader) {
			say(c, offers)
			say(c, next(in)+" OK begin TLS", "* CAPABILITY IMAP4rev1 AUTH=PLAIN", "m2 OK done")
			shake(c, good, 0)
		}},
		attack{"one byte behind OK", imap.StartTLS, class.TLS, func(c net.Conn, in *bufio.Reader) {
			say(c, offers)
			_, _ = io.WriteString(c, next(in)+" OK begin TLS\r\n*") //nolint:errcheck // the client may have gone
			shake(c, good, 0)
		}},
		attack{"plain talk after OK", imap.StartTLS, class.TLS, func(c net.Conn, in *bufio.Reader) {
			say(c, offers)
			say(c, next(in)+" OK begin TLS")
			in.Peek(1) //nolint:errcheck // the client's hello
			say(c, "* OK let us not", "m2 OK done")
			serveLines(c, in)
		}},
		attack{"LOGINDISABLED inside TLS", imap.TLS, class.Auth, func(c net.Conn, _ *bufio.Reader) {
			tc := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{good}})
			if tc.Handshake() == nil {
				inside := keeper{tc, c.(keeper).of}
				say(inside, "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] ready")
				serveLines(inside, bufio.NewReader(inside))
			}
		}},
	)
	const password = "c4nary-of-the-wire"
	for _, a := range attacks {
		// Not side by side: crypto/tls shares what it has parsed of a certificate, in a way that the race
		// detector does not follow.
		t.Run(a.name+", "+string(a.security), func(t *testing.T) {
			i := impersonate(t, a.serve)
			var trace safeBuffer
			w := open(t, filepath.Join(t.TempDir(), "mail.db"),
				Options{TLSConfig: &tls.Config{RootCAs: roots}, backoff: quick, Trace: &trace})
			id, _, err := w.engine.AddAccount(t.Context(), NewAccount{Login: Login{User: dovecot.User,
				Host: "127.0.0.1", Port: i.listener.Addr().(*net.TCPAddr).Port,
				Security: a.security, Password: secret.New(password)}})
			if err != nil {
				t.Fatal(err)
			}
			w.id = id
			sum := w.sync()
			waits := a.class == class.TLS || a.class == class.Auth
			if sum.Result != Failed || sum.Class != a.class || w.find().Paused != waits {
				t.Errorf("paused %v, summary %+v", w.find().Paused, sum)
			}
			i.close()
			if i.conns == 0 || i.hung > 0 {
				t.Errorf("%d connections, %d of them not closed", i.conns, i.hung)
			}
			encoded := base64.StdEncoding.EncodeToString([]byte("\x00" + dovecot.User + "\x00" + password))
			for _, form := range []string{password, encoded, dovecot.User, " LOGIN", "AUTHENTICATE"} {
				if strings.Contains(i.wire(), form) || strings.Contains(trace.String(), "C: ") &&
					strings.Contains(trace.String(), form) {
					t.Errorf("%q went out: %q, %q", form, i.wire(), trace.String())
				}
			}
			if n := w.text(`SELECT count(*) FROM mailbox`) + w.text(`SELECT count(*) FROM entry`) +
				w.text(`SELECT count(*) FROM account WHERE server_id <> '' OR capabilities <> ''`); n != "000" {
				t.Errorf("stored: %s", n)
			}
			w.clean()
		})
	}
	t.Logf("%d attacks", len(attacks))
	t.Run("none", func(t *testing.T) { // the same certificate and nothing wrong: the password does go out, inside TLS
		inside := make(chan string, 10)
		i := impersonate(t, func(c net.Conn, _ *bufio.Reader) {
			tc := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{good}})
			if tc.Handshake() != nil {
				return
			}
			say(tc, "* OK [CAPABILITY IMAP4rev1] ready")
			in := bufio.NewReader(tc)
			line, _ := in.ReadString('\n') //nolint:errcheck // "" fails the test
			inside <- line
			tag, _, _ := strings.Cut(line, " ")
			say(tc, tag+" NO [AUTHENTICATIONFAILED] no")
		})
		w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{TLSConfig: &tls.Config{RootCAs: roots},
			backoff: quick})
		id, _, err := w.engine.AddAccount(t.Context(), NewAccount{Login: Login{User: dovecot.User, Host: "127.0.0.1",
			Port: i.listener.Addr().(*net.TCPAddr).Port, Security: imap.TLS, Password: secret.New(password)}})
		if err != nil {
			t.Fatal(err)
		}
		w.id = id
		if sum := w.sync(); sum.Class != "auth" {
			t.Errorf("%+v", sum)
		}
		if line := <-inside; !strings.Contains(line, password) || strings.Contains(i.wire(), password) {
			t.Errorf("inside TLS: %q", line)
		}
	})
}

// safeBuffer is a trace that sessions of several goroutines may write.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// serveLines plays along: every command is answered with OK, as one would who wants the password.
func serveLines(c net.Conn, in *bufio.Reader) {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		tag, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if rest == "CAPABILITY" {
			say(c, "* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR")
		}
		say(c, `* LIST () "/" "forged"`, tag+" OK done")
	}
}

func serveAnything(c net.Conn) {
	say(c, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready")
	serveLines(c, bufio.NewReader(c))
}
