package web

import (
	_ "embed"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

//go:embed page/signin.html
var signInPage string

//go:embed page/signedin.html
var signedInPage string

// loginByLink exchanges a one-time link for a cookie. It answers with a page
// that goes on by itself, not with a redirect: after a redirect that began at
// another site, browsers leave a Strict cookie out. The page's address
// replaces that of the link in the tab.
func (g *guard) loginByLink(w http.ResponseWriter, r *http.Request) {
	if !g.invitations.useLink(r.URL.Query().Get("once")) {
		g.signIn(w, r)
		return
	}
	http.SetCookie(w, g.sessions.start())
	page := strings.ReplaceAll(signedInPage, "PAGES", g.sessions.path)
	write(w, r, http.StatusOK, "text/html; charset=utf-8", []byte(page))
}

// loginByCode exchanges a code for a cookie and says where the pages are.
func (g *guard) loginByCode(w http.ResponseWriter, r *http.Request) {
	code, err := io.ReadAll(io.LimitReader(r.Body, maxCode))
	if err != nil {
		return // the sender left
	}
	if !g.invitations.useCode(string(code)) {
		refuse(w, r, http.StatusForbidden,
			"This code is wrong, was used or is too old: mailcote token --link prints a new one.")
		return
	}
	http.SetCookie(w, g.sessions.start())
	g.json(w, r, struct {
		Page string `json:"page"`
	}{g.sessions.path})
}

// InviteAnswer is a new invitation for a program, as JSON.
type InviteAnswer struct {
	Link string `json:"link"`
	Code string `json:"code"`
}

func (g *guard) invite(w http.ResponseWriter, r *http.Request) {
	i := g.newInvitation()
	g.json(w, r, InviteAnswer{i.Link, i.Code})
}

func (g *guard) newInvitation() Invitation {
	link, code, used := g.invitations.add()
	return Invitation{Link: g.base + loginPath + "?once=" + link, Code: code, Used: used}
}

func (g *guard) json(w http.ResponseWriter, r *http.Request, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		refuse(w, r, http.StatusInternalServerError, "The answer could not be written.")
		return
	}
	write(w, r, http.StatusOK, "application/json", body)
}

// signIn tells whoever has no secret how to get one. It carries no data.
func (g *guard) signIn(w http.ResponseWriter, r *http.Request) {
	// Bearer, not Basic: a browser would ask for a password that nobody has.
	w.Header().Set("WWW-Authenticate", `Bearer realm="mailcote"`)
	if fromBrowser(r) {
		write(w, r, http.StatusUnauthorized, "text/html; charset=utf-8", []byte(signInPage))
		return
	}
	refuse(w, r, http.StatusUnauthorized,
		"A program sends the token that mailcote token prints: Authorization: Bearer TOKEN.\n"+
			"A browser must be of 2023 or later: it must send Sec-Fetch-Site.")
}
