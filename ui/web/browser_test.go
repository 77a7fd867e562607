//go:build screenshots

package web

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestScreenshots draws every page in a real browser into the directory that
// MAILCOTE_SCREENSHOTS names, for people to look at. It signs in as a person
// would: by opening a link. Chromium is needed:
//
//	MAILCOTE_SCREENSHOTS=DIR go test -tags screenshots ./ui/web -run Screenshots
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("MAILCOTE_SCREENSHOTS")
	if dir == "" {
		t.Fatal("set MAILCOTE_SCREENSHOTS to a directory to draw the pages")
	}
	s := open(t, Config{Now: func() time.Time { return testNow }}, standardLimits())
	for _, page := range []struct{ name, path string }{
		{"overview", "/"}, {"mail", "/mail"}, {"mailbox", "/mailbox/1"}, {"message", "/message/m1"},
		{"search", "/search?q=subject:keeper"}, {"problem", "/mailbox/99"}, {"signin", "refused"}, {"signedin", ""},
	} {
		for _, shape := range []struct{ name, size string }{{"360", "360,900"}, {"1400", "1400,900"}} {
			for _, scheme := range []string{"light", "dark"} {
				link := s.Invite().Link
				if page.path == "refused" {
					link = s.URL() + "/login?once=used"
				}
				shoot(t, s, link, page.path, shape.size, scheme,
					filepath.Join(dir, page.name+"-"+shape.name+"-"+scheme+".png"))
			}
		}
	}
}

// shoot opens link and draws the page at path. The page that follows the
// sign-in is made to lead there, or nowhere when path is empty.
func shoot(t *testing.T, s *Server, link, path, size, scheme, file string) {
	t.Helper()
	next := s.http.Handler
	refresh := func(path string) string {
		return `<meta http-equiv="refresh" content="0; url=` + pathPrefix(testToken) + path + `">`
	}
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != loginPath {
			next.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		there := ""
		if path != "" {
			there = refresh(path)
		}
		answer.Header().Del("Content-Length")
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		io.WriteString(w, strings.Replace(answer.Body.String(), refresh("/"), there, 1))
	})
	defer func() { s.http.Handler = next }()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	args := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--virtual-time-budget=3000",
		"--user-data-dir=" + t.TempDir(), "--window-size=" + size, "--screenshot=" + file,
	}
	if scheme == "dark" {
		args = append(args, "--blink-settings=preferredColorScheme=0")
	} else {
		args = append(args, "--blink-settings=preferredColorScheme=1")
	}
	out, err := exec.CommandContext(ctx, "chromium", append(args, link)...).CombinedOutput()
	if err != nil {
		t.Fatalf("chromium: %v\n%s", err, out)
	}
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("no picture: %v\n%s", err, out)
	}
}
