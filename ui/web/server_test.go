package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

func open(t *testing.T, c Config, l limits) *Server {
	t.Helper()
	if c.Source == nil {
		c.Source = sample()
	}
	c.Token = testToken
	s, err := serve(t.Context(), c, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// raw sends bytes and returns the first line of each answer until the server
// closes.
func raw(t *testing.T, s *Server, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, request); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Logf("write: %v", err) // the server may have answered and closed
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil && line == "" {
		return "closed"
	}
	return strings.TrimSpace(line)
}

func TestRawRequests(t *testing.T) {
	s := open(t, Config{}, standardLimits())
	host := fmt.Sprintf("127.0.0.1:%d", s.port)
	auth := "Authorization: Bearer " + testToken + "\r\nConnection: close\r\n"
	for name, c := range map[string]struct{ request, want string }{
		"good":              {"GET / HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "\r\n", "HTTP/1.1 200 OK"},
		"no host":           {"GET / HTTP/1.1\r\n" + auth + "\r\n", "HTTP/1.1 400 Bad Request: missing required Host header"},
		"no host, 1.0":      {"GET / HTTP/1.0\r\n" + auth + "\r\n", "HTTP/1.0 421 Misdirected Request"},
		"empty host":        {"GET / HTTP/1.1\r\nHost:\r\n" + auth + "\r\n", "HTTP/1.1 421 Misdirected Request"},
		"two hosts":         {"GET / HTTP/1.1\r\nHost: " + host + "\r\nHost: " + host + "\r\n" + auth + "\r\n", "HTTP/1.1 400 Bad Request"},
		"absolute":          {"GET http://" + host + "/ HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "\r\n", "HTTP/1.1 421 Misdirected Request"},
		"absolute, foreign": {"GET http://evil.example/ HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "\r\n", "HTTP/1.1 421 Misdirected Request"},
		"absolute, spoofed": {"GET http://" + host + "/ HTTP/1.1\r\nHost: evil.example\r\n" + auth + "\r\n", "HTTP/1.1 421 Misdirected Request"},
		"options star":      {"OPTIONS * HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "\r\n", "HTTP/1.1 421 Misdirected Request"},
		"options":           {"OPTIONS / HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "\r\n", "HTTP/1.1 405 Method Not Allowed"},
		"connect":           {"CONNECT " + host + " HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "\r\n", "HTTP/1.1 421 Misdirected Request"},
		"chunked body":      {"GET / HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400 Bad Request"},
		"h2c preface":       {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 421 Misdirected Request"},
		"15 KiB header":     {"GET / HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "X: " + strings.Repeat("x", 15<<10) + "\r\n\r\n", "HTTP/1.1 200 OK"},
		"17 KiB header":     {"GET / HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "X: " + strings.Repeat("x", 17<<10) + "\r\n\r\n", "HTTP/1.1 431 Request Header Fields Too Large"},
		"no secret":         {"GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n", "HTTP/1.1 401 Unauthorized"},
		"pprof":             {"GET /debug/pprof/ HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "\r\n", "HTTP/1.1 404 Not Found"},
	} {
		if got := raw(t, s, c.request); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// A header that trickles in is cut off. The time itself is the standard one
// shortened; TestStandardLimits holds the numbers.
func TestSlowHeaderIsCut(t *testing.T) {
	l := standardLimits()
	l.readHeader, l.idle = 50*time.Millisecond, 50*time.Millisecond
	s := open(t, Config{}, l)
	if got := raw(t, s, "GET / HTTP/1.1\r\nHost: "); got != "closed" {
		t.Error(got)
	}
}

func TestStandardLimits(t *testing.T) {
	s := open(t, Config{}, standardLimits())
	if h := s.http; h.ReadHeaderTimeout != 5*time.Second || h.IdleTimeout != time.Minute || h.MaxHeaderBytes+netSlop != 16<<10 || maxConns != 128 {
		t.Errorf("%+v", s.http)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	s := open(t, Config{}, standardLimits())
	request := fmt.Sprintf("GET /static/icon.svg HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n", s.port, testToken)
	ask := func() (net.Conn, error) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.WriteString(c, request); err != nil {
			return c, err
		}
		_, err = http.ReadResponse(bufio.NewReader(c), nil)
		return c, err
	}
	var last net.Conn
	for i := range maxConns {
		c, err := ask()
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		last = c
	}
	if _, err := ask(); err == nil {
		t.Fatal("one connection too many was served")
	}
	last.Close() // its place becomes free as soon as the server notices
	for deadline := time.Now().Add(20 * time.Second); ; {
		if _, err := ask(); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a freed place is not given again")
		}
	}
}

func TestListensOnLoopbackOnly(t *testing.T) {
	a := open(t, Config{}, standardLimits())
	for _, host := range []string{"127.0.0.1", "::1"} {
		c, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(a.port)))
		if err != nil {
			if host == "::1" {
				t.Logf("no IPv6 here: %v", err)
				continue
			}
			t.Fatal(err)
		}
		c.Close()
	}
	if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.2:%d", a.port)); err == nil {
		c.Close()
		t.Error("it listens on more than 127.0.0.1")
	}
	b := open(t, Config{Port: a.port}, standardLimits())
	if b.port == a.port || b.port == 0 {
		t.Errorf("a taken port gave %d", b.port)
	}
}

// A port whose IPv6 half belongs to somebody else is not ours.
func TestHalfAPortIsNotTaken(t *testing.T) {
	six, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	defer six.Close()
	taken := six.Addr().(*net.TCPAddr).Port
	if s := open(t, Config{Port: taken}, standardLimits()); s.port == taken {
		t.Error("it shares the port with another program")
	}
}

func TestOneTimeLink(t *testing.T) {
	s := open(t, Config{}, standardLimits())
	browser := func() *http.Client {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		c := &http.Client{Jar: jar, Transport: &http.Transport{}}
		t.Cleanup(c.CloseIdleConnections)
		return c
	}
	visit := func(c *http.Client, method, address string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Sec-Fetch-Site", "none")
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		answer, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		return answer
	}
	link := s.LoginURL()
	if !strings.HasPrefix(link, s.URL()+"/login?once=") {
		t.Fatalf("link %s", link)
	}
	first, second := browser(), browser()
	if got := visit(first, "HEAD", link); got.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("HEAD on the link: %d", got.StatusCode)
	}
	got := visit(first, "GET", link)
	if got.StatusCode != http.StatusOK || got.Request.URL.RequestURI() != "/" {
		t.Errorf("signed in to %s with %d", got.Request.URL, got.StatusCode)
	}
	if got := visit(second, "GET", link); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("the link worked twice: %d", got.StatusCode)
	}
	if got := visit(first, "GET", s.URL()+"/mail"); got.StatusCode != http.StatusOK {
		t.Errorf("the session does not last: %d", got.StatusCode)
	}
	// Without following the redirect: what the cookie looks like.
	second.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	got = visit(second, "GET", s.LoginURL())
	cookies := got.Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode || cookies[0].Path != "/" || cookies[0].Domain != "" {
		t.Errorf("cookies %v", cookies)
	}
	if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/" {
		t.Errorf("redirect %d to %q", got.StatusCode, got.Header.Get("Location"))
	}
	// A link that another page opens must not sign anybody in, nor be used up.
	u := s.LoginURL()
	r, _ := http.NewRequestWithContext(t.Context(), "GET", u, nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	answer, err := second.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden || len(answer.Cookies()) != 0 {
		t.Errorf("sign-in from another page: %d", answer.StatusCode)
	}
	if got := visit(second, "GET", u); got.StatusCode != http.StatusSeeOther {
		t.Errorf("the refused visit used the link up: %d", got.StatusCode)
	}
}

// slow is a Source that answers when the request's context ends.
type slow struct {
	fake
	entered chan struct{}
}

func (s *slow) Overview(ctx context.Context) (Overview, error) {
	close(s.entered)
	<-ctx.Done()
	return Overview{}, ctx.Err()
}

func TestCloseEndsRunningRequests(t *testing.T) {
	l := standardLimits()
	l.stop = 20 * time.Millisecond
	source := &slow{entered: make(chan struct{})}
	s, err := serve(t.Context(), Config{Source: source, Token: testToken}, l)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan string)
	go func() {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
		if err != nil {
			done <- err.Error()
			return
		}
		defer c.Close()
		u, _ := url.Parse(s.URL())
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", u.Host, testToken)
		io.Copy(io.Discard, c)
		done <- ""
	}()
	<-source.entered
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if said := <-done; said != "" {
		t.Error(said)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}
