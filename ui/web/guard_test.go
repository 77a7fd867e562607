package web

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// door is a guard whose next handler only counts who came in.
type door struct {
	*guard
	admitted int
	cookie   string
}

func newDoor(t *testing.T) *door {
	t.Helper()
	d := &door{}
	s := newSessions(testToken, time.Now)
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { d.admitted++ })
	d.guard = newGuard(4242, testToken, s, &invitations{now: time.Now}, next)
	c := s.start()
	d.cookie = c.Name + "=" + c.Value
	return d
}

// trial is one request of the table; "-" means that the header is absent.
type trial struct{ host, origin, site, method, target, secret string }

func (d *door) try(t trial) (admitted bool, status int) {
	u, err := url.ParseRequestURI(t.target)
	if err != nil {
		u = &url.URL{Path: t.target}
	}
	r := &http.Request{
		Method: t.method, URL: u, RequestURI: t.target, Host: t.host, Header: http.Header{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}
	if u.Host != "" {
		r.Host = u.Host // as net/http does for an absolute-form target
	}
	set := func(name, value string) {
		for v := range strings.SplitSeq(value, "|") {
			if value != "-" {
				r.Header.Add(name, v)
			}
		}
	}
	set("Origin", t.origin)
	site, mode, _ := strings.Cut(t.site, "/")
	set("Sec-Fetch-Site", site)
	if mode != "" {
		r.Header.Set("Sec-Fetch-Mode", mode)
	}
	switch t.secret {
	case "cookie":
		r.Header.Set("Cookie", d.cookie)
	case "bearer":
		r.Header.Set("Authorization", "Bearer "+testToken)
	case "basic":
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("anyone:"+testToken)))
	case "wrong":
		r.Header.Set("Authorization", "Bearer "+strings.ToLower(testToken))
		r.Header.Set("Cookie", d.cookie+"x")
	case "twice":
		r.Header.Set("Cookie", d.cookie+"; "+d.cookie)
	}
	before := d.admitted
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if w.Header().Get("Content-Security-Policy") != contentPolicy || w.Header().Get("Cache-Control") != "no-store" {
		return true, -1 // an answer without its headers counts as a hole
	}
	for name := range w.Header() {
		if strings.HasPrefix(name, "Access-Control-") {
			return true, -2
		}
	}
	return d.admitted > before, w.Code
}

// TestGuardTable walks the whole product. What may come in is written here
// as plain sets, not computed by the guard's rules.
func TestGuardTable(t *testing.T) {
	hosts := []string{
		"127.0.0.1:4242", "localhost:4242", "[::1]:4242", // the list
		"", "127.0.0.1", "localhost", "[::1]", "127.0.0.1:80", "127.0.0.1:4243", "127.0.0.1:04242", "127.0.0.1:4242.",
		"LOCALHOST:4242", "Localhost:4242", "localhost.:4242", "localhost:4242 ", " localhost:4242",
		"127.0.0.1.evil.example:4242",
		"localhost.evil.example:4242", "evil.example:4242", "evil.example", "0.0.0.0:4242", "[::]:4242",
		"[0:0:0:0:0:0:0:1]:4242",
		"[::ffff:127.0.0.1]:4242", "127.1:4242", "2130706433:4242", "0x7f.0.0.1:4242", "127.0.0.2:4242",
		"user@127.0.0.1:4242",
		"127.0.0.1:4242,evil.example", "127.0.0.1:4242\x00", "xn--lcalhost:4242",
	}
	origins := []string{
		"-", "http://127.0.0.1:4242", "http://localhost:4242", "http://[::1]:4242", "null", "",
		"https://127.0.0.1:4242",
		"http://127.0.0.1", "http://127.0.0.1:4242/", "HTTP://127.0.0.1:4242", "http://evil.example",
		"http://localhost:3000",
		"http://127.0.0.1:4242|http://127.0.0.1:4242",
	}
	sites := []string{
		"-", "same-origin/cors", "same-origin/navigate", "none/navigate", "none/cors", "none", "same-site/cors",
		"cross-site/navigate",
		"cross-site/no-cors", "", "Same-Origin/cors", "same-origin|cross-site/cors",
	}
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "get", ""}
	pages := pathPrefix(testToken)
	targets := []string{
		"/", "/mail?before=x", "/message/a1", "//evil.example/", "/login", "/login?once=guess", "/login/link", "*",
		"http://127.0.0.1:4242/", "http://evil.example/", "127.0.0.1:4242", "http://127.0.0.1:4242" + pages + "/",
		pages + "/", pages + "/mail?before=x",
		// Addresses near those of pages, and others.
		pages, pages[:len(pages)-1] + "/", pages + "x/mail", strings.ToUpper(pages) + "/", "/x" + pages + "/",
		"/" + pages + "/", pages + "//evil.example/", pages + "/login", "/.well-known/jmap",
	}
	rare := map[string]bool{} // these meet the common methods only
	for _, target := range targets[14:] {
		rare[target] = true
	}
	secrets := []string{"none", "cookie", "bearer", "basic", "wrong", "twice"}

	goodHost := map[string]bool{"127.0.0.1:4242": true, "localhost:4242": true, "[::1]:4242": true}
	page := map[string]bool{
		pages + "/": true, pages + "/mail?before=x": true, pages + "//evil.example/": true, pages + "/login": true,
	}
	goodTarget := map[string]bool{
		"/": true, "/mail?before=x": true, "/message/a1": true, "//evil.example/": true, "/login/link": true,
		"/.well-known/jmap": true, pages: true, pages[:len(pages)-1] + "/": true, pages + "x/mail": true,
		strings.ToUpper(pages) + "/": true, "/x" + pages + "/": true, "/" + pages + "/": true,
	}
	browser := map[string]bool{"same-origin/cors": true, "same-origin/navigate": true, "none/navigate": true}
	allowed := func(c trial) bool {
		if !goodHost[c.host] || c.method != "GET" && c.method != "HEAD" || c.origin != "-" &&
			c.origin != "http://"+c.host {
			return false
		}
		if c.secret == "bearer" || c.secret == "basic" {
			// /login is an ordinary missing page for a program.
			if c.site == "-" {
				return goodTarget[c.target] || page[c.target] || strings.HasPrefix(c.target, "/login")
			}
			return browser[c.site] && (goodTarget[c.target] || page[c.target])
		}
		return c.secret == "cookie" && browser[c.site] && page[c.target]
	}

	// A host outside the list meets those that would get in with a good one,
	// and a few of the others.
	few := map[string]bool{
		"GET": true, "HEAD": true, "POST": true, "/": true, "/login": true, "http://127.0.0.1:4242/": true,
		"//evil.example/": true, pages + "/": true, "cookie": true, "bearer": true,
	}
	d := newDoor(t)
	var tried, in, holes, closed int
	for _, host := range hosts {
		for _, origin := range origins {
			for _, site := range sites {
				for _, method := range methods {
					for _, target := range targets {
						for _, secret := range secrets {
							if !goodHost[host] && !(few[method] && few[target] && few[secret]) || rare[target] &&
								!few[method] {
								continue
							}
							c := trial{host, origin, site, method, target, secret}
							got, status := d.try(c)
							tried++
							switch want := allowed(c); {
							case got && want:
								in++
							case got:
								holes++
								t.Errorf("admitted with %d: %+q", status, c)
							case want:
								closed++
								t.Errorf("refused with %d: %+q", status, c)
							}
							// A program with the token may ask for an invitation.
							invited := method == "POST" && target == "/login/link" &&
								(secret == "bearer" || secret == "basic")
							ours := goodHost[host] && (site == "-" || browser[site]) &&
								(origin == "-" || origin == "http://"+host)
							if !got && status < 400 && !(invited && ours) {
								t.Errorf("refused, but with status %d: %+q", status, c)
							}
							if holes+closed > 20 {
								t.Fatal("too many")
							}
						}
					}
				}
			}
		}
	}
	if tried < 50_000 || in == 0 {
		t.Errorf("only %d tried, %d admitted", tried, in)
	}
	t.Logf("%d requests, %d admitted, %d outside the list, %d wrongly refused", tried, in, holes, closed)
}

func TestRefusalsHaveTheirStatus(t *testing.T) {
	d := newDoor(t)
	good := trial{"localhost:4242", "-", "same-origin/cors", "GET", pathPrefix(testToken) + "/", "cookie"}
	for name, c := range map[string]struct {
		change func(*trial)
		status int
	}{
		"host":                    {func(c *trial) { c.host = "evil.example" }, 421},
		"absolute":                {func(c *trial) { c.target = "http://localhost:4242/" }, 421},
		"options":                 {func(c *trial) { c.method = "OPTIONS" }, 405},
		"post":                    {func(c *trial) { c.method = "POST" }, 405},
		"site":                    {func(c *trial) { c.site = "cross-site/navigate" }, 403},
		"origin":                  {func(c *trial) { c.origin = "null" }, 403},
		"no secret":               {func(c *trial) { c.secret = "none" }, 401},
		"a program with a cookie": {func(c *trial) { c.site = "-" }, 401},
		"outside the prefix":      {func(c *trial) { c.target = "/" }, 401},
		"a form with a code":      {func(c *trial) { c.method, c.target, c.origin = "POST", "/login", "null" }, 403},
		"a code of a program":     {func(c *trial) { c.method, c.target, c.site = "POST", "/login", "-" }, 403},
		"a wrong code": {func(c *trial) {
			c.method, c.target, c.origin = "POST", "/login", "http://localhost:4242"
		}, 403},
		"an invitation": {func(c *trial) { c.method, c.target = "POST", "/login/link" }, 401},
		"a prefix that is a page": {func(c *trial) {
			c.method, c.target = "POST", pathPrefix(testToken)+"/login"
		}, 405},
	} {
		bad := good
		c.change(&bad)
		if in, status := d.try(bad); in || status != c.status {
			t.Errorf("%s: admitted %v, status %d, want %d", name, in, status, c.status)
		}
	}
}

func TestABodyIsRefused(t *testing.T) {
	d := newDoor(t)
	r := httptest.NewRequest("GET", "/", strings.NewReader("x"))
	r.Host = "localhost:4242"
	r.Header.Set("Authorization", "Bearer "+testToken)
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest || d.admitted != 0 {
		t.Errorf("status %d, admitted %d", w.Code, d.admitted)
	}
}
