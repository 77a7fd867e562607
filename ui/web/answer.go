package web

import (
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
