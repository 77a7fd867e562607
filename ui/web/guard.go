package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strconv"
	"strings"
)

// guard stands before every route. ServeHTTP admits a request to next only
// if every rule holds; door answers those that lack the secret and the
// one-time link.
type guard struct {
	hosts    [3]string // the only acceptable Host values, as bytes
	token    [32]byte  // SHA-256 of the bearer token
	sessions *sessions
	next     http.Handler
}

func newGuard(port int, token string, s *sessions, next http.Handler) *guard {
	p := strconv.Itoa(port)
	return &guard{
		hosts:    [3]string{"127.0.0.1:" + p, "localhost:" + p, "[::1]:" + p},
		token:    sha256.Sum256([]byte(token)),
		sessions: s,
		next:     next,
	}
}

// ServeHTTP is the guard. The order matters: Host first, because a rebound
// name makes every other sign look right.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secureHeaders(w.Header())
	switch {
	case !g.hostOK(r):
		refuse(w, r, http.StatusMisdirectedRequest, "This address does not belong to mailcote.")
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, r, http.StatusMethodNotAllowed, "This page can only be read.")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		w.Header().Set("Connection", "close")
		refuse(w, r, http.StatusBadRequest, "A request to this page has no body.")
	case !siteOK(r):
		refuse(w, r, http.StatusForbidden, "Another page led here. Open the address by typing or pasting it.")
	case r.URL.Path == loginPath && fromBrowser(r):
		g.login(w, r)
	case !g.bearerOK(r) && !(fromBrowser(r) && g.sessions.valid(r)):
		g.signIn(w, r)
	default:
		g.next.ServeHTTP(w, r)
	}
}

// hostOK compares Host as bytes: no case folding, no trailing dot, no
// missing port. net/http refuses duplicate Host lines before us and takes the
// authority of an absolute-form target for the Host, so that form is refused.
func (g *guard) hostOK(r *http.Request) bool {
	if !strings.HasPrefix(r.RequestURI, "/") || r.URL.Host != "" || r.URL.Scheme != "" {
		return false
	}
	for _, h := range g.hosts {
		if r.Host == h {
			return true
		}
	}
	return false
}

// siteOK looks at what a browser says about where a request comes from.
// Each header may come once or not at all.
func siteOK(r *http.Request) bool {
	site, ok := single(r.Header, "Sec-Fetch-Site")
	if !ok {
		return false
	}
	origin, ok := single(r.Header, "Origin")
	if !ok || len(r.Header["Origin"]) == 1 && origin != "http://"+r.Host {
		return false
	}
	switch site {
	case "same-origin":
		return true
	case "none": // typed, pasted or opened by another program
		return r.Header.Get("Sec-Fetch-Mode") == "navigate"
	case "": // not a browser of our time; bearerOK will decide
		return len(r.Header["Sec-Fetch-Site"]) == 0
	}
	return false
}

// single returns the only value of a header; ok is false if it came twice.
func single(h http.Header, name string) (value string, ok bool) {
	values := h[name]
	if len(values) > 1 {
		return "", false
	}
	if len(values) == 0 {
		return "", true
	}
	return values[0], true
}

func fromBrowser(r *http.Request) bool { return r.Header.Get("Sec-Fetch-Site") != "" }

// bearerOK accepts "Bearer T" and Basic with any user and the password T.
func (g *guard) bearerOK(r *http.Request) bool {
	if _, ok := single(r.Header, "Authorization"); !ok {
		return false
	}
	_, given, ok := r.BasicAuth()
	if !ok {
		var scheme string
		scheme, given, ok = strings.Cut(r.Header.Get("Authorization"), " ")
		if !ok || !strings.EqualFold(scheme, "Bearer") {
			return false
		}
	}
	sum := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secureHeaders go on every answer. There are no CORS headers anywhere.
func secureHeaders(h http.Header) {
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-DNS-Prefetch-Control", "off")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
