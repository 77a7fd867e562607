package agent

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"mailcote/ui/web"
)

// TestListen: each event with figures counts, signs of life do not, and the end of the stream is the end.
func TestListen(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != web.EventsPath || r.Header.Get("Authorization") != "Bearer T" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, err := io.WriteString(w, "data: {}\n\nevent: beat\ndata: 1\n\ndata: {}\n\n")
		check(t, err)
	}))
	defer s.Close()
	changes := 0
	if err := (Agent{URL: s.URL}).Listen(t.Context(), "T", func() { changes++ }); err != nil || changes != 2 {
		t.Errorf("%d changes, %v", changes, err)
	}
	if err := (Agent{URL: s.URL}).Listen(t.Context(), "wrong", func() { t.Error("a change") }); err == nil {
		t.Error("a refusal is taken for a stream")
	}
}
