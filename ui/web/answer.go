package web

import (
	"html"
	"net/http"
	"strconv"
)

// write sends a whole answer; HEAD gets the header of it.
func write(w http.ResponseWriter, r *http.Request, status int, mediaType string, body []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		// A failed write means that the reader left.
		_, _ = w.Write(body)
	}
}

// refuse answers in one plain line that says nothing about the store.
func refuse(w http.ResponseWriter, r *http.Request, status int, words string) {
	write(w, r, status, "text/plain; charset=utf-8", []byte(words+"\n"))
}

// signIn tells a person without a session how to get one. It carries no data
// and needs no style sheet.
func (g *guard) signIn(w http.ResponseWriter, r *http.Request) {
	// Bearer, not Basic: a browser would ask for a password that nobody has.
	w.Header().Set("WWW-Authenticate", `Bearer realm="mailcote"`)
	words := "Open the link that mailcote run or mailcote demo printed. Each link signs one browser in, once, within five minutes."
	program := "A program sends the token that mailcote token prints: Authorization: Bearer TOKEN."
	if !fromBrowser(r) {
		refuse(w, r, http.StatusUnauthorized, program)
		return
	}
	write(w, r, http.StatusUnauthorized, "text/html; charset=utf-8", []byte(
		`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">`+
			`<meta name="color-scheme" content="light dark"><title>mailcote: sign in</title></head><body><main><h1>Sign in</h1><p>`+
			html.EscapeString(words)+`</p><p>`+html.EscapeString(program)+`</p></main></body></html>`+"\n"))
}
