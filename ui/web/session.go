package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"
)

// sessionLife is how long a browser stays signed in.
const sessionLife = 12 * time.Hour

// derive makes a secret for one purpose from the token. Nobody can compute
// the token, or another derived secret, from it.
func derive(token, purpose string) []byte {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("mailcote page: " + purpose))
	return mac.Sum(nil)
}

// unguessable is a derived secret as a word of 128 bits for a URL or a
// cookie's name.
func unguessable(token, purpose string) string {
	return base64.RawURLEncoding.EncodeToString(derive(token, purpose)[:16])
}

// pathPrefix begins the address of every page: "/SECRET". It comes from the
// token, so it lasts as long and needs no file of its own.
func pathPrefix(token string) string { return "/" + unguessable(token, "path") }

// sessions makes session cookies and recognizes them. A cookie vouches for
// itself: it holds its end and a signature whose key comes from the token.
// So a session survives a restart although nothing about it is stored. A new
// token ends all sessions.
type sessions struct {
	name string // unguessable: other servers on this host can set cookies too
	path string // unguessable: they would get this cookie otherwise
	key  []byte
	now  func() time.Time
}

func newSessions(token string, now func() time.Time) *sessions {
	return &sessions{
		name: "mailcote-" + unguessable(token, "cookie name"),
		path: pathPrefix(token) + "/",
		key:  derive(token, "session key"),
		now:  now,
	}
}

// A cookie's value is the end in Unix seconds, random bytes, and the
// signature over both.
const (
	endBytes  = 8
	bodyBytes = endBytes + 16
)

// start makes the cookie of a new session.
func (s *sessions) start() *http.Cookie {
	body := binary.BigEndian.AppendUint64(nil, uint64(s.now().Add(sessionLife).Unix()))
	body = append(body, make([]byte, bodyBytes-endBytes)...)
	rand.Read(body[endBytes:])
	return &http.Cookie{
		Name:     s.name,
		Value:    base64.RawURLEncoding.EncodeToString(append(body, s.sign(body)...)),
		Path:     s.path,
		MaxAge:   int(sessionLife / time.Second),
		HttpOnly: true,
		SameSite: http.SameSiteStrictMode,
	}
}

// valid reports whether the request carries a live session.
func (s *sessions) valid(r *http.Request) bool {
	cookies := r.CookiesNamed(s.name)
	if len(cookies) != 1 {
		return false
	}
	value, err := base64.RawURLEncoding.Strict().DecodeString(cookies[0].Value)
	if err != nil || len(value) != bodyBytes+sha256.Size {
		return false
	}
	body, signature := value[:bodyBytes], value[bodyBytes:]
	end := time.Unix(int64(binary.BigEndian.Uint64(body)), 0)
	return hmac.Equal(signature, s.sign(body)) && s.now().Before(end)
}

func (s *sessions) sign(body []byte) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(body)
	return mac.Sum(nil)
}
