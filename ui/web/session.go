package web

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
)

const (
	linkLife    = 5 * time.Minute
	sessionLife = 12 * time.Hour
	maxLinks    = 16 // more than anybody prints at once; the oldest go
	maxSessions = 64
)

// sessions holds the one-time links and the cookies given for them. Secrets
// are kept and looked up by digest, so the time of a look-up tells nothing
// about them. They die with the process.
type sessions struct {
	cookie string // unguessable name: other servers on this host see cookies too
	now    func() time.Time

	mu    sync.Mutex
	links map[[32]byte]time.Time // digest → when it ends
	open  map[[32]byte]time.Time
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{
		cookie: "mailcote-" + rand.Text(),
		now:    now,
		links:  map[[32]byte]time.Time{},
		open:   map[[32]byte]time.Time{},
	}
}

// link makes a secret that login accepts once within linkLife.
func (s *sessions) link() string {
	secret := rand.Text() // 130 bits
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(s.links, maxLinks, secret, linkLife)
	return secret
}

// exchange uses up a link and returns a new session's secret.
func (s *sessions) exchange(link string) (session string, ok bool) {
	key := sha256.Sum256([]byte(link))
	s.mu.Lock()
	defer s.mu.Unlock()
	end, ok := s.links[key]
	delete(s.links, key)
	if !ok || !s.now().Before(end) {
		return "", false
	}
	session = rand.Text()
	s.put(s.open, maxSessions, session, sessionLife)
	return session, true
}

// put adds a secret and lets go of what has ended and, above limit, of the
// one that ends first. The caller holds mu.
func (s *sessions) put(m map[[32]byte]time.Time, limit int, secret string, life time.Duration) {
	now := s.now()
	for len(m) > 0 {
		var first [32]byte
		var earliest time.Time
		for key, end := range m {
			if earliest.IsZero() || end.Before(earliest) {
				first, earliest = key, end
			}
		}
		if now.Before(earliest) && len(m) < limit {
			break
		}
		delete(m, first)
	}
	m[sha256.Sum256([]byte(secret))] = now.Add(life)
}

// valid says whether the request carries a live session.
func (s *sessions) valid(r *http.Request) bool {
	cookies := r.CookiesNamed(s.cookie)
	if len(cookies) != 1 {
		return false
	}
	key := sha256.Sum256([]byte(cookies[0].Value))
	s.mu.Lock()
	defer s.mu.Unlock()
	end, ok := s.open[key]
	return ok && s.now().Before(end)
}

const loginPath = "/login"

// login exchanges a one-time link for a cookie and leads on to the page, so
// that the secret leaves the address bar. A HEAD or a prefetch does not use
// the link up.
func (g *guard) login(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || r.Header.Get("Sec-Purpose") != "" {
		w.Header().Set("Allow", "GET")
		refuse(w, r, http.StatusMethodNotAllowed, "A sign-in link must be opened.")
		return
	}
	session, ok := g.sessions.exchange(r.URL.Query().Get("once"))
	if !ok {
		g.signIn(w, r)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name:     g.sessions.cookie,
		Value:    session,
		Path:     "/",
		MaxAge:   int(sessionLife / time.Second),
		HttpOnly: true,
		SameSite: http.SameSiteStrictMode,
	})
	w.Header().Set("Location", "/")
	w.WriteHeader(http.StatusSeeOther)
}
