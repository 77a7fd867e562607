package web

import (
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailcote/testkit/chromium"
	"mailcote/testkit/watch"
)

// fetch asks the door as a program that has the token.
func fetch(t *testing.T, s *Server, method, path, token string) (*http.Response, []byte, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	answer, err := (&http.Client{Transport: tr}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	body, err := io.ReadAll(answer.Body)
	return answer, body, err
}

// TestPartIsAFile: a part comes exactly, under a safe name, and in a form that
// no browser shows in place. Without the secret it does not come at all.
func TestPartIsAFile(t *testing.T) {
	s := open(t, Config{}, standardLimits())
	for path, want := range map[string]struct{ name, body string }{
		"/message/m1/part/2": {"Kéepers and dates.csv", "year,keeper\n1911,\x00?\n"},
		"/message/m1/part/1": {"part 1.html", "<script>document.title = 'ran'</script>"},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			answer, body, err := fetch(t, s, method, path, testToken)
			if err != nil || answer.StatusCode != http.StatusOK || method == "GET" && string(body) != want.body ||
				method == "HEAD" && len(body) > 0 {
				t.Errorf("%s %s: %d, %q, %v", method, path, answer.StatusCode, body, err)
			}
			h := answer.Header
			kind, params, err := mime.ParseMediaType(h.Get("Content-Disposition"))
			if err != nil || kind != "attachment" || params["filename"] != want.name {
				t.Errorf("%s: %q, %v", path, h.Get("Content-Disposition"), err)
			}
			if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Type") != "application/octet-stream" ||
				!strings.HasPrefix(h.Get("Content-Security-Policy"), "sandbox; default-src 'none'") ||
				h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %v", path, h)
			}
		}
		answer, body, err := fetch(t, s, "GET", path, "")
		if err != nil || answer.StatusCode != http.StatusUnauthorized || strings.Contains(string(body), want.body) {
			t.Errorf("%s without the token: %d, %q, %v", path, answer.StatusCode, body, err)
		}
	}
}

// TestDamagedPartIsNotWhole: a browser sees that a file broke off, and its name
// and type add no header.
func TestDamagedPartIsNotWhole(t *testing.T) {
	s := open(t, Config{}, standardLimits())
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL()+"/message/m1/part/4", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testToken)
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	answer, err := (&http.Client{Transport: tr}).Do(r)
	if err != nil {
		return
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	if _, err := io.ReadAll(answer.Body); err == nil {
		t.Errorf("the file looks whole: %d, %v", answer.StatusCode, answer.Header)
	}
	if len(answer.Cookies()) > 0 || answer.Header.Get("X") != "" {
		t.Errorf("the sender wrote a header: %v", answer.Header)
	}
}

func TestWhatOpens(t *testing.T) {
	for target, want := range map[string]bool{
		"https://a.example/": true, "HTTP://a.example": true, "mailto:a@a.example": true, "MailTo:a": true,
		"javascript:alert(1)": false, "JavaScript://a.example/%0aalert(1)": false, "data:text/html,x": false,
		"vbscript:x": false, "file:///etc/passwd": false, "ftp://a.example/": false, "blob:https://a.example/": false,
		"about:blank": false, "tel:1": false, "ms-word:x": false, "www.a.example": false, "/mail": false,
		"//a.example/":    false,
		"https:a.example": false, "https://": false, "http:": false, "mailto:": false, "": false, ":": false,
		"https":               false,
		" https://a.example/": false, "view-source:https://a.example/": false,
	} {
		if got := opens(target); got != want {
			t.Errorf("%q: %t", target, got)
		}
	}
}

// TestBrowserSavesAPart signs in with a real browser, looks at the links of a
// message and saves its attachment.
func TestBrowserSavesAPart(t *testing.T) {
	s := open(t, Config{Now: func() time.Time { return testNow }}, standardLimits())
	dir := t.TempDir()
	written, err := watch.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer written.Close() //nolint:errcheck // nothing is lost
	browser := chromium.Start(t)
	browser.SaveTo(dir)
	tab := browser.Open(s.Invite().Link)
	tab.Wait(`document.querySelector('#headline') !== null`)
	if err := tab.Eval(`void (location.href = document.querySelector('.brand').href + 'message/m1')`, nil); err != nil {
		t.Fatal(err)
	}
	tab.Wait(`document.querySelector('.files li:nth-child(2)') !== null`)
	var links []string
	if err := tab.Eval(`[...document.querySelectorAll('.links li')].map(li => li.innerText + ' ' +
		[...li.querySelectorAll('a')].map(a => a.protocol + ' ' + a.rel + ' ' + a.href).join())`, &links); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"the record https://lighthouse.example/keepers?page=7&year=1911 https: noopener noreferrer " +
			"https://lighthouse.example/keepers?page=7&year=1911",
		"https://bank.example/ javascript:alert(1) ",
		"mailto:otis.pemberly@example.com mailto: noopener noreferrer mailto:otis.pemberly@example.com",
	}
	if strings.Join(links, "\n") != strings.Join(want, "\n") {
		t.Errorf("links %q", links)
	}
	if err := tab.Eval(`document.querySelector('.files a').click()`, nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "Kéepers and dates.csv")
	late := time.After(time.Minute)
	for {
		if got, err := os.ReadFile(path); err == nil && len(got) > 0 {
			if string(got) != "year,keeper\n1911,\x00?\n" {
				t.Errorf("saved %q", got)
			}
			break
		}
		select {
		case <-written.Changed():
		case <-late:
			left, _ := os.ReadDir(dir) //nolint:errcheck // it is only shown
			t.Fatalf("nothing was saved: %v", left)
		}
	}
	var where string // HTML is saved too, and runs nowhere
	if err := tab.Eval(`location.href = document.querySelector('.files a').href.replace(/2$/, '1'); location.pathname`,
		&where); err != nil {
		t.Fatal(err)
	}
	for {
		if got, err := os.ReadFile(filepath.Join(dir, "part 1.html")); err == nil && len(got) > 0 {
			break
		}
		select {
		case <-written.Changed():
		case <-late:
			t.Fatal("the HTML part was not saved")
		}
	}
	tab.Wait(`document.querySelector('.files a') !== null && document.title !== 'ran'`)
	tab.Close()
}
