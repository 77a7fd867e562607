package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailcote/ui/view"
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
		"good": {"GET / HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "\r\n", "HTTP/1.1 200 OK"},
		"no host": {"GET / HTTP/1.1\r\n" + auth + "\r\n",
			"HTTP/1.1 400 Bad Request: missing required Host header"},
		"no host, 1.0": {"GET / HTTP/1.0\r\n" + auth + "\r\n", "HTTP/1.0 421 Misdirected Request"},
		"empty host":   {"GET / HTTP/1.1\r\nHost:\r\n" + auth + "\r\n", "HTTP/1.1 421 Misdirected Request"},
		"two hosts": {"GET / HTTP/1.1\r\nHost: " + host + "\r\nHost: " + host + "\r\n" + auth + "\r\n",
			"HTTP/1.1 400 Bad Request"},
		"absolute": {"GET http://" + host + "/ HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "\r\n",
			"HTTP/1.1 421 Misdirected Request"},
		"absolute, foreign": {"GET http://evil.example/ HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "\r\n",
			"HTTP/1.1 421 Misdirected Request"},
		"absolute, spoofed": {"GET http://" + host + "/ HTTP/1.1\r\nHost: evil.example\r\n" + auth + "\r\n",
			"HTTP/1.1 421 Misdirected Request"},
		"options star": {"OPTIONS * HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "\r\n",
			"HTTP/1.1 421 Misdirected Request"},
		"options": {"OPTIONS / HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "\r\n",
			"HTTP/1.1 405 Method Not Allowed"},
		"connect": {"CONNECT " + host + " HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "\r\n",
			"HTTP/1.1 421 Misdirected Request"},
		"chunked body": {"GET / HTTP/1.1\r\nHost: " + host + "\r\n" + auth +
			"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400 Bad Request"},
		"h2c preface": {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 421 Misdirected Request"},
		"15 KiB header": {"GET / HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "X: " +
			strings.Repeat("x", 15<<10) + "\r\n\r\n", "HTTP/1.1 200 OK"},
		"17 KiB header": {"GET / HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "X: " +
			strings.Repeat("x", 17<<10) + "\r\n\r\n", "HTTP/1.1 431 Request Header Fields Too Large"},
		"no secret": {"GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n", "HTTP/1.1 401 Unauthorized"},
		"pprof": {"GET /debug/pprof/ HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "\r\n",
			"HTTP/1.1 404 Not Found"},
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
	if h := s.http; h.ReadHeaderTimeout != 5*time.Second || h.IdleTimeout != time.Minute ||
		h.MaxHeaderBytes+netSlop != 16<<10 || maxConns != 128 {
		t.Errorf("%+v", s.http)
	}
	if got := standardLimits().patience; got != 5*time.Second {
		t.Errorf("a connection without a secret may last %v", got)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	s := open(t, Config{}, standardLimits())
	request := fmt.Sprintf("GET /static/icon.svg HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n",
		s.port, testToken)
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

// browser keeps cookies by path, as a browser does.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar, Transport: &http.Transport{}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// surf visits an address and returns the status and the page.
func surf(t *testing.T, c *http.Client, method, address string, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if headers == nil {
		headers = []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func TestOneTimeLink(t *testing.T) {
	s := open(t, Config{}, standardLimits())
	link := s.Invite().Link
	if !strings.HasPrefix(link, s.URL()+"/login?once=") {
		t.Fatalf("link %s", link)
	}
	first, second := browser(t), browser(t)
	if got, _ := surf(t, first, "HEAD", link); got != http.StatusMethodNotAllowed {
		t.Errorf("HEAD on the link: %d", got)
	}
	got, page := surf(t, first, "GET", link)
	pages := s.URL() + pathPrefix(testToken)
	if got != http.StatusOK || !strings.Contains(page, `url=`+pathPrefix(testToken)+`/"`) {
		t.Errorf("signed in with %d\n%s", got, page)
	}
	if got, _ := surf(t, second, "GET", link); got != http.StatusUnauthorized {
		t.Errorf("the link worked twice: %d", got)
	}
	for range 2 {
		got, page := surf(t, first, "GET", pages+"/mail")
		if got != http.StatusOK || !strings.Contains(page, `href="`+pathPrefix(testToken)+`/message/m1"`) {
			t.Errorf("the session does not last: %d\n%s", got, page)
		}
	}
	if got, _ := surf(t, first, "GET", s.URL()+"/mail"); got != http.StatusUnauthorized {
		t.Errorf("the session counts outside the pages: %d", got)
	}
}

// A session, its address and its cookie last over a restart. A new token
// ends them.
func TestSessionSurvivesARestart(t *testing.T) {
	b := browser(t)
	before := open(t, Config{}, standardLimits())
	if got, _ := surf(t, b, "GET", before.Invite().Link); got != http.StatusOK {
		t.Fatalf("sign-in: %d", got)
	}
	unused := before.Invite().Link
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	after := open(t, Config{}, standardLimits())
	if got, _ := surf(t, b, "GET", after.URL()+pathPrefix(testToken)+"/"); got != http.StatusOK {
		t.Errorf("after a restart: %d", got)
	}
	old := after.URL() + strings.TrimPrefix(unused, before.URL())
	if got, _ := surf(t, browser(t), "GET", old); got != http.StatusUnauthorized {
		t.Errorf("a link lasts over a restart: %d", got)
	}
	if err := after.Close(); err != nil {
		t.Fatal(err)
	}
	renewed, err := serve(t.Context(), Config{Source: sample(), Token: strings.ToUpper(testToken)}, standardLimits())
	if err != nil {
		t.Fatal(err)
	}
	defer renewed.Close()
	for _, token := range []string{testToken, strings.ToUpper(testToken)} {
		if got, _ := surf(t, b, "GET", renewed.URL()+pathPrefix(token)+"/"); got != http.StatusUnauthorized {
			t.Errorf("with another token: %d", got)
		}
	}
}

// Without a secret, no answer names the prefix or leads to it, and an address
// below it answers as every other.
func TestPrefixIsNamedToNobody(t *testing.T) {
	var said strings.Builder
	broken := sample()
	broken.err = errors.New("the disk is gone")
	s := open(t, Config{Source: broken, Log: slog.New(slog.NewTextHandler(&said, nil))}, standardLimits())
	prefix := pathPrefix(testToken)
	secret := prefix[1:]
	if len(secret) < 22 {
		t.Errorf("the prefix can be guessed: %s", prefix)
	}
	plain := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	whole := func(target string, headers ...string) string {
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL()+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		answer, err := plain.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		answer.Header.Del("Date")
		dump, err := httputil.DumpResponse(answer, true)
		if err != nil {
			t.Fatal(err)
		}
		return string(dump)
	}
	typed := []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}
	for _, target := range []string{
		"/", "/mail", "//", "/./", "/static", "/static/", "/static/style.css", "/static/icon.svg", "/static/signin.js",
		"/static/live.js", "/login", "/login?once=x", "/login/link", "/nothing", "/favicon.ico", "/progress.json",
		"/.well-known/jmap",
	} {
		for _, headers := range [][]string{nil, typed, {"Sec-Fetch-Site", "cross-site"},
			{"Authorization", "Bearer guess"}} {
			if got := whole(target, headers...); strings.Contains(got, secret) {
				t.Errorf("%s %q:\n%s", target, headers, got)
			}
		}
	}
	for _, rest := range []string{"", "/", "/mail", "/static/style.css", "/nothing", "//", "/../"} {
		right, wrong := whole(prefix+rest, typed...), whole("/"+strings.ToUpper(secret)+rest, typed...)
		if right != wrong || strings.Contains(right, secret) {
			t.Errorf("%s answers\n%s\nand a wrong prefix\n%s", rest, right, wrong)
		}
	}
	// The log of a page that cannot be read names its address without it.
	got := whole(prefix+"/mail", "Authorization", "Bearer "+testToken)
	if !strings.HasPrefix(got, "HTTP/1.1 500 ") || !strings.Contains(got, "Referrer-Policy: no-referrer") {
		t.Errorf("a page that cannot be read:\n%s", got)
	}
	if !strings.Contains(said.String(), "path=/mail") || strings.Contains(said.String(), secret) {
		t.Errorf("log: %s", said.String())
	}
}

// Every address on a page is below the prefix; on the sign-in page none is.
func TestAddressesHaveThePrefix(t *testing.T) {
	s := open(t, Config{}, standardLimits())
	prefix := pathPrefix(testToken)
	b := browser(t)
	if got, _ := surf(t, b, "GET", s.Invite().Link); got != http.StatusOK {
		t.Fatalf("sign-in: %d", got)
	}
	address := regexp.MustCompile(`(?:href|src|action)="(/[^"]*)"`)
	for _, target := range []string{"/", "/mail", "/mailbox/1", "/message/m1", "/search?q=ink", "/nothing"} {
		_, page := surf(t, b, "GET", s.URL()+prefix+target)
		found := address.FindAllStringSubmatch(page, -1)
		for _, one := range found {
			if !strings.HasPrefix(one[1], prefix+"/") {
				t.Errorf("%s: %s", target, one[0])
			}
		}
		if len(found) < 6 {
			t.Errorf("%s has only %d addresses", target, len(found))
		}
	}
	got, page := surf(t, browser(t), "GET", s.URL())
	if got != http.StatusUnauthorized || !strings.Contains(page,
		"<code class=\"command\">mailcote token --link</code>") {
		t.Errorf("the sign-in page: %d\n%s", got, page)
	}
	for _, one := range address.FindAllStringSubmatch(page, -1) {
		got, body := surf(t, browser(t), "GET", s.URL()+one[1], "Sec-Fetch-Site", "same-origin")
		if got != http.StatusOK || body == "" {
			t.Errorf("%s of the sign-in page: %d", one[1], got)
		}
	}
}

// A program asks for a link and a code with the token, and without a prefix.
func TestProgramAsksForAnInvitation(t *testing.T) {
	s := open(t, Config{}, standardLimits())
	ask := func(method, token string) (int, InviteAnswer) {
		status, body := surf(t, http.DefaultClient, method, s.URL()+InvitePath, "Authorization", "Bearer "+token)
		var i InviteAnswer
		json.Unmarshal([]byte(body), &i)
		return status, i
	}
	if got, i := ask("POST", "guess"); got != http.StatusUnauthorized || i.Link != "" || i.Code != "" {
		t.Errorf("without the token: %d %+v", got, i)
	}
	if got, i := ask("GET", testToken); got != http.StatusNotFound || i.Link != "" {
		t.Errorf("GET makes one: %d %+v", got, i)
	}
	got, one := ask("POST", testToken)
	_, two := ask("POST", testToken)
	if got != http.StatusOK || one.Link == two.Link || one.Code == two.Code || len(one.Code) != 11 {
		t.Errorf("%d %+v, then %+v", got, one, two)
	}
	if got, _ := surf(t, browser(t), "GET", one.Link); got != http.StatusOK {
		t.Errorf("its link: %d", got)
	}
}

// slow is a Source that answers when the request's context ends.
type slow struct {
	fake
	entered chan struct{}
}

func (s *slow) Overview(ctx context.Context) (view.Overview, error) {
	close(s.entered)
	<-ctx.Done()
	return view.Overview{}, ctx.Err()
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
