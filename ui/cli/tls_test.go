package cli_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
)

// TestTLS syncs over TLS from Dovecot's own port and by STARTTLS, with the certificate among the system's roots, and
// refuses without it.
func TestTLS(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{TLS: true})
	r.fill(51, 60, 3, corpus.Options{AvgSize: 4000})
	secure := fmt.Sprintf("imaps://%s:%s@%s", dovecot.User, dovecot.Password, r.server.TLSAddr())
	started := fmt.Sprintf("imap+starttls://%s:%s@%s", dovecot.User, dovecot.Password, r.server.Addr())
	before := r.logins()
	for _, url := range []string{secure, started} {
		r.untrusted(url)
	}
	if n := r.logins() - before; n != 0 {
		t.Errorf("%d sign-ins over a line nobody vouches for", n)
	}
	conn, err := tls.Dial("tcp", r.server.TLSAddr(),
		&tls.Config{InsecureSkipVerify: true}) //nolint:gosec // to learn what to trust
	if err != nil {
		t.Fatal(err)
	}
	leaf := conn.ConnectionState().PeerCertificates[0].Raw
	conn.Close()
	lines := r.truth()
	for _, url := range []string{secure, started} {
		r.fresh()
		r.trust(leaf)
		r.exits(0, "sync", url, "--once")
		r.whole(lines)
	}
}

// trust makes the program's system roots one certificate.
func (r *rig) trust(der []byte) {
	r.t.Helper()
	file := filepath.Join(r.t.TempDir(), "roots.pem")
	r.write(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	r.env = append(r.env, "SSL_CERT_FILE="+file, "SSL_CERT_DIR="+filepath.Join(r.dir, "none"))
}

// untrusted syncs and wants a refusal: status 1, one line, and the account paused.
func (r *rig) untrusted(url string, wants ...string) {
	r.t.Helper()
	keep := r.env
	r.fresh()
	if len(keep) > 4 { // the roots stay
		r.env = append(r.env, keep[4:]...)
	}
	r.refuses(1, []string{"sync", url, "--once"}, append(wants, "(tls)", "nothing was sent", "certificate"))
	if o := r.exits(0, "status", "--json"); !strings.Contains(o.out, `"state":"paused"`) {
		r.t.Errorf("status: %s", o.out)
	}
}

// TestTLSFailures puts other certificates before the server: whatever is wrong with one, no word of IMAP is said.
func TestTLSFailures(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	r.fill(52, 20, 2, corpus.Options{AvgSize: 4000})
	ca, caKey := certify(t, nil, nil, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	good := func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} }
	before := r.logins()
	for _, c := range []struct {
		name   string
		signed bool
		change func(*x509.Certificate)
		max    uint16
		want   string
	}{
		{name: "self-signed", change: good, want: "unknown authority"},
		{name: "other host", signed: true, change: func(c *x509.Certificate) {
			c.DNSNames = []string{"imap.elsewhere.example"}
		}, want: "127.0.0.1"},
		{name: "expired", signed: true, change: func(c *x509.Certificate) {
			good(c)
			c.NotAfter = time.Now().Add(-time.Minute)
		}, want: "expired"},
		{name: "not yet valid", signed: true, change: func(c *x509.Certificate) {
			good(c)
			c.NotBefore = time.Now().Add(time.Hour)
		}, want: "not yet valid"},
		{name: "for clients", signed: true, change: func(c *x509.Certificate) {
			good(c)
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}, want: "usage"},
		{name: "old TLS", signed: true, change: good, max: tls.VersionTLS11, want: "protocol version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &rig{t: t, server: r.server}
			r.fresh()
			r.trust(ca.Raw)
			parent, parentKey := ca, caKey
			if !c.signed {
				parent, parentKey = nil, nil
			}
			leaf, key := certify(t, parent, parentKey, c.change)
			front := newFront(t, r.server.Addr(), tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key},
				c.max)
			r.untrusted(front.url(), c.want)
			if n := front.heard(); n != 0 {
				t.Errorf("%d bytes were said through it", n)
			}
		})
	}
	if n := r.logins() - before; n != 0 {
		t.Errorf("%d sign-ins", n)
	}

	// The same front with nothing wrong: the failures above are the certificates'.
	r.trust(ca.Raw)
	leaf, key := certify(t, ca, caKey, good)
	front := newFront(t, r.server.Addr(), tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}, 0)
	r.exits(0, "sync", front.url(), "--once")
	r.whole(r.truth())

	// No TLS at all where TLS was asked for.
	r.untrusted(fmt.Sprintf("imaps://%s:%s@%s", dovecot.User, dovecot.Password, r.server.Addr()))
	r.untrusted(fmt.Sprintf("imap+starttls://%s:%s@%s", dovecot.User, dovecot.Password, r.server.Addr()))
}

// certify makes a certificate; without a parent it signs itself.
func certify(t *testing.T, parent *x509.Certificate, parentKey *ecdsa.PrivateKey,
	change func(*x509.Certificate)) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:   pkix.Name{CommonName: "mailcote test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	change(c)
	if parent == nil {
		parent, parentKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return c, key
}

// front speaks TLS before a server that does not, with a certificate of the test's choice.
type front struct {
	listener net.Listener
	target   string
	ended    sync.WaitGroup
	mu       sync.Mutex
	said     int64 // bytes clients sent inside TLS
}

func newFront(t *testing.T, target string, cert tls.Certificate, newest uint16) *front {
	t.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10,
		MaxVersion: newest} //nolint:gosec // old versions must be refused by the client
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{listener: l, target: target}
	f.ended.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			f.ended.Go(func() { f.serve(client) })
		}
	})
	t.Cleanup(func() { l.Close(); f.ended.Wait() })
	return f
}

func (f *front) url() string {
	return fmt.Sprintf("imaps://%s:%s@%s", dovecot.User, dovecot.Password, f.listener.Addr())
}

func (f *front) serve(client net.Conn) {
	defer client.Close()
	if client.(*tls.Conn).Handshake() != nil {
		return
	}
	server, err := net.Dial("tcp", f.target)
	if err != nil {
		fmt.Fprintln(os.Stderr, err) // the client's test fails
		return
	}
	defer server.Close()
	var down sync.WaitGroup
	down.Go(func() { io.Copy(client, server); client.Close() }) //nolint:errcheck // either end may leave first
	n, _ := io.Copy(server, client)                             //nolint:errcheck // as above
	f.mu.Lock()
	f.said += n
	f.mu.Unlock()
	server.Close()
	down.Wait()
}

func (f *front) heard() int64 {
	f.listener.Close()
	f.ended.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.said
}
