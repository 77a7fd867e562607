package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strconv"
	"strings"
)

// loginPath is where browsers sign in: with GET by a link, with POST by a code.
const loginPath = "/login"

// InvitePath is where a program with the token asks for an InviteAnswer, with
// POST.
const InvitePath = loginPath + "/link"

// maxCode bounds the body of a POST with a code, in bytes.
const maxCode = 64

// guard stands before every route. ServeHTTP gives a request to next only if
// every rule holds. It answers those that lack a secret, and sign-ins.
type guard struct {
	hosts       [3]string // the only acceptable Host values, as bytes
	token       [32]byte  // SHA-256 of the bearer token
	prefix      string    // of the pages' addresses; a cookie counts only there
	sessions    *sessions
	invitations *invitations
	base        string // the door's address, for links
	next        http.Handler
}

func newGuard(port int, token string, s *sessions, i *invitations, next http.Handler) *guard {
	p := strconv.Itoa(port)
	return &guard{
		hosts:       [3]string{"127.0.0.1:" + p, "localhost:" + p, "[::1]:" + p},
		token:       sha256.Sum256([]byte(token)),
		prefix:      pathPrefix(token),
		sessions:    s,
		invitations: i,
		base:        "http://127.0.0.1:" + p,
		next:        next,
	}
}

// verdict is what is done about a request.
type verdict int

const (
	admit      verdict = iota // it showed the bearer token or a session
	admitFile                 // a file of the sign-in page, for everybody
	takeLink                  // a sign-in by link
	takeCode                  // a sign-in by code
	giveInvite                // a program wants a link and a code
	askSecret                 // nothing is wrong but that it has no secret
	wrongHost
	wrongMethod
	wrongBody
	wrongSite
	wrongOpening // a link that is looked at but not opened
)

// judge is the whole rule. The order matters: Host first, because a rebound
// name makes every other sign look right.
func (g *guard) judge(r *http.Request) verdict {
	path, post := r.URL.Path, r.Method == http.MethodPost
	switch {
	case !g.hostOK(r):
		return wrongHost
	case !methodOK(r):
		return wrongMethod
	case !bodyOK(r):
		return wrongBody
	case !siteOK(r) && !linkFromElsewhere(r):
		return wrongSite
	case post && path == loginPath && !ownFetch(r):
		return wrongSite
	case post && path == loginPath:
		return takeCode
	case path == loginPath && fromBrowser(r) && !opened(r):
		return wrongOpening
	case path == loginPath && fromBrowser(r):
		return takeLink
	case post && g.bearerOK(r):
		return giveInvite
	case post:
		return askSecret
	case g.bearerOK(r), g.underPrefix(path) && fromBrowser(r) && g.sessions.valid(r):
		return admit
	case isPublic(path):
		return admitFile
	}
	return askSecret
}

// ServeHTTP does what judge says. A connection lasts only for requests that
// show a secret.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secureHeaders(w.Header())
	v := g.judge(r)
	if v != admit {
		w.Header().Set("Connection", "close")
	}
	switch v {
	case admit:
		if !know(r.Context()) {
			panic(http.ErrAbortHandler) // net/http closes the connection without a word
		}
		g.serve(w, r)
	case admitFile:
		g.next.ServeHTTP(w, r)
	case takeLink:
		g.loginByLink(w, r)
	case takeCode:
		g.loginByCode(w, r)
	case giveInvite:
		g.invite(w, r)
	case askSecret:
		g.signIn(w, r)
	case wrongHost:
		refuse(w, r, http.StatusMisdirectedRequest, "This address does not belong to mailcote.")
	case wrongMethod:
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, r, http.StatusMethodNotAllowed, "This page can only be read.")
	case wrongBody:
		refuse(w, r, http.StatusBadRequest, "A request to this page has no body.")
	case wrongSite:
		refuse(w, r, http.StatusForbidden, "Another page led here. Open the address by typing or pasting it.")
	case wrongOpening:
		w.Header().Set("Allow", "GET, POST")
		refuse(w, r, http.StatusMethodNotAllowed, "A sign-in link must be opened.")
	}
}

// serve hands on to the pages. They know nothing of the prefix in a request,
// so they cannot log it. A program needs none.
func (g *guard) serve(w http.ResponseWriter, r *http.Request) {
	if g.underPrefix(r.URL.Path) {
		http.StripPrefix(g.prefix, g.next).ServeHTTP(w, r)
		return
	}
	g.next.ServeHTTP(w, r)
}

func (g *guard) underPrefix(path string) bool {
	n := len(g.prefix)
	return len(path) > n && path[n] == '/' && subtle.ConstantTimeCompare([]byte(path[:n]), []byte(g.prefix)) == 1
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

// methodOK allows reading everywhere, and POST only where a person or a
// program signs in.
func methodOK(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return true
	case http.MethodPost:
		return r.URL.Path == loginPath || r.URL.Path == InvitePath
	}
	return false
}

// bodyOK allows a body only to a code, and there a short one.
func bodyOK(r *http.Request) bool {
	if len(r.TransferEncoding) > 0 {
		return false
	}
	if r.Method == http.MethodPost && r.URL.Path == loginPath {
		return r.ContentLength >= 0 && r.ContentLength <= maxCode
	}
	return r.ContentLength == 0
}

// siteOK looks at what a browser says about where a request comes from.
// Each header may come once or not at all.
func siteOK(r *http.Request) bool {
	site, ok := single(r.Header, "Sec-Fetch-Site")
	if !ok || !originOK(r) {
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

// originOK accepts our own origin, and none: browsers leave it out of most
// GET requests.
func originOK(r *http.Request) bool {
	origin, ok := single(r.Header, "Origin")
	return ok && (len(r.Header["Origin"]) == 0 || origin == "http://"+r.Host)
}

// linkFromElsewhere is the one exception to siteOK. A browser that goes on
// from a file to a one-time link says that it comes from another site. Only
// a tab that goes there may: no frame, no script and no form.
func linkFromElsewhere(r *http.Request) bool {
	site, one := single(r.Header, "Sec-Fetch-Site")
	dest, ok := single(r.Header, "Sec-Fetch-Dest")
	return one && ok && site == "cross-site" && dest == "document" &&
		originOK(r) && r.URL.Path == loginPath && opened(r)
}

// opened tells a navigation from a look ahead, such as a browser's prefetch,
// which must not use a link up.
func opened(r *http.Request) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		if len(r.Header[name]) > 0 {
			return false
		}
	}
	mode, ok := single(r.Header, "Sec-Fetch-Mode")
	return ok && mode == "navigate" && r.Method == http.MethodGet
}

// ownFetch is a script's request from one of our own pages. A form cannot
// make it: its Origin is "null" under our Referrer-Policy.
func ownFetch(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Site") == "same-origin" && r.Header.Get("Origin") == "http://"+r.Host
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

// isPublic is true for what the sign-in page is drawn with.
func isPublic(path string) bool {
	return path == "/static/style.css" || path == "/static/icon.svg" || path == "/static/signin.js"
}

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
