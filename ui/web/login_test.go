package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// ask gives the guard one request with these headers, as "Name: value" lines.
func (d *door) ask(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:4242"
	if body == "" {
		r.Body = http.NoBody
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

// link is the address of a new invitation without the host.
func (d *door) link() string { return strings.TrimPrefix(d.newInvitation().Link, d.base) }

// TestLinkIsOpenedByATabAlone walks what a browser can say of a visit to a
// one-time link. Whoever may not sign in must not use the link up either.
func TestLinkIsOpenedByATabAlone(t *testing.T) {
	d := newDoor(t)
	header := func(name, value string) []string {
		if value == "-" {
			return nil
		}
		return []string{name + ": " + value}
	}
	purposes := []string{
		"-", "Sec-Purpose: prefetch", "Sec-Purpose: prefetch;prerender", "Sec-Purpose: ", "Purpose: prefetch",
		"X-Moz: prefetch", "X-Purpose: preview",
	}
	var in int
	for _, method := range []string{"GET", "HEAD", "POST"} {
		for _, site := range []string{"-", "none", "same-origin", "same-site", "cross-site", "Cross-Site", "other"} {
			for _, mode := range []string{"-", "navigate", "no-cors", "cors", "same-origin"} {
				for _, dest := range []string{"-", "document", "iframe", "embed", "script", "empty"} {
					for _, origin := range []string{"-", "null", "http://127.0.0.1:4242", "http://evil.example"} {
						for _, purpose := range purposes {
							var headers []string
							headers = append(headers, header("Sec-Fetch-Site", site)...)
							headers = append(headers, header("Sec-Fetch-Mode", mode)...)
							headers = append(headers, header("Sec-Fetch-Dest", dest)...)
							headers = append(headers, header("Origin", origin)...)
							if purpose != "-" {
								headers = append(headers, purpose)
							}
							ours := origin == "-" || origin == "http://127.0.0.1:4242"
							opens := method == "GET" && mode == "navigate" && purpose == "-" && ours &&
								(site == "none" || site == "same-origin" || site == "cross-site" && dest == "document")
							link := d.link()
							w := d.ask(method, link, "", headers...)
							if got := w.Code == http.StatusOK && len(w.Result().Cookies()) == 1; got != opens {
								t.Fatalf("%s %q: status %d, cookies %v; may open %v", method, headers, w.Code,
									w.Result().Cookies(), opens)
							}
							if opens {
								in++
							}
							w = d.ask("GET", link, "", "Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate")
							if still := w.Code == http.StatusOK; still == opens {
								t.Fatalf("%s %q: may open %v, but the link can be used afterwards: %v", method,
									headers, opens, still)
							}
						}
					}
				}
			}
		}
	}
	if in != 2*(6+6+1) {
		t.Errorf("%d visits signed in", in)
	}
	for _, twice := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: document",
		"Sec-Fetch-Mode: navigate"} {
		link := d.link()
		w := d.ask("GET", link, "", append(fromElsewhere, twice)...)
		if w.Code == http.StatusOK {
			t.Errorf("%s twice: signed in", twice)
		}
	}
}

// Only the login address may be visited from another site.
func TestNoOtherAddressIsOpenedFromElsewhere(t *testing.T) {
	d := newDoor(t)
	pages := pathPrefix(testToken)
	for _, target := range []string{
		"/", "/login/", "/login/link", "/Login", "/static/style.css", pages + "/", pages + "/login",
	} {
		w := d.ask("GET", target, "", append(fromElsewhere, "Cookie: "+d.cookie)...)
		if w.Code != http.StatusForbidden || d.admitted != 0 {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
}

func TestLinkLeadsToThePages(t *testing.T) {
	d := newDoor(t)
	w := d.ask("GET", d.link(), "", fromElsewhere...)
	pages := pathPrefix(testToken) + "/"
	page := w.Body.String()
	if w.Code != http.StatusOK || !strings.Contains(page, `<meta http-equiv="refresh" content="0; url=`+pages+`">`) ||
		strings.Contains(page, "PAGES") {
		t.Errorf("%d\n%s", w.Code, page)
	}
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies %v", cookies)
	}
	c := cookies[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != pages || c.Domain != "" ||
		c.MaxAge != 12*60*60 {
		t.Errorf("cookie %+v", c)
	}
	w = d.ask("GET", pages, "", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate",
		"Cookie: "+c.Name+"="+c.Value)
	if d.admitted != 1 {
		t.Errorf("its cookie is refused: %d", w.Code)
	}
}

// What a browser says of a tab that goes on from a file, and of a script of
// our own page.
var (
	fromElsewhere = []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}
	fetched       = []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Origin: http://127.0.0.1:4242"}
)

func TestCodeSignsIn(t *testing.T) {
	d := newDoor(t)
	for name, change := range map[string]func(string) string{
		"as printed":     func(c string) string { return c },
		"small, no dash": func(c string) string { return strings.ToLower(strings.ReplaceAll(c, "-", "")) },
		"with spaces":    func(c string) string { return " " + strings.ReplaceAll(c, "-", " – ") + "\n" },
		"digits for them": func(c string) string {
			return strings.NewReplacer("O", "0", "I", "1", "B", "8").Replace(c)
		},
	} {
		code := d.newInvitation().Code
		w := d.ask("POST", "/login", change(code), fetched...)
		var answer struct{ Page string }
		err := json.Unmarshal(w.Body.Bytes(), &answer)
		pages := pathPrefix(testToken) + "/"
		if err != nil || w.Code != http.StatusOK || answer.Page != pages || len(w.Result().Cookies()) != 1 {
			t.Errorf("%s, %s: %d %s %v", name, code, w.Code, w.Body, err)
		}
		if w := d.ask("POST", "/login", code, fetched...); w.Code != http.StatusForbidden ||
			len(w.Result().Cookies()) != 0 {
			t.Errorf("%s: it works twice: %d", name, w.Code)
		}
	}
}

// A code is taken from a script of our own page and from nobody else.
func TestCodeIsTakenFromOurOwnPage(t *testing.T) {
	d := newDoor(t)
	code := d.newInvitation().Code
	for name, headers := range map[string][]string{
		"a program":             nil,
		"a program that claims": {"Origin: http://127.0.0.1:4242"},
		"our form":              {"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Origin: null"},
		"no origin":             {"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"},
		"another port":          {"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors", "Origin: http://127.0.0.1:4243"},
		"another name": {"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors",
			"Origin: http://localhost:4242"},
		"another page's form": append(fromElsewhere, "Origin: http://127.0.0.1:4242"),
		"typed":               {"Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Origin: http://127.0.0.1:4242"},
	} {
		if w := d.ask("POST", "/login", code, headers...); w.Code != http.StatusForbidden ||
			len(w.Result().Cookies()) != 0 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if w := d.ask("POST", "/login", code+strings.Repeat(" ", maxCode), fetched...); w.Code != http.StatusBadRequest {
		t.Errorf("a long body: %d", w.Code)
	}
	if w := d.ask("POST", "/", code, fetched...); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("at another address: %d", w.Code)
	}
	if w := d.ask("POST", "/login", code, fetched...); w.Code != http.StatusOK {
		t.Errorf("the refused ones used the code up, or counted as wrong: %d", w.Code)
	}
}

func TestInvitations(t *testing.T) {
	now := testNow
	i := &invitations{now: func() time.Time { return now }}
	link, code, used := i.add()
	if len(link) < 26 || len(plainCode(code)) != 10 {
		t.Errorf("%q and %q can be guessed", link, code)
	}
	select {
	case <-used:
		t.Fatal("used before anybody came")
	default:
	}
	if i.useLink("") || i.useCode("") || i.useLink(code) || i.useCode(link) || !i.useLink(link) {
		t.Error("not exactly its link is taken for its link")
	}
	<-used
	if i.useLink(link) || i.useCode(code) {
		t.Error("a used invitation works again")
	}
	link, code, used = i.add()
	if !i.useCode(code) || i.useLink(link) {
		t.Error("its code does not use its link up")
	}
	<-used

	link, code, _ = i.add()
	now = now.Add(InvitationLife - time.Nanosecond)
	late, lateCode, _ := i.add()
	if !i.useLink(link) {
		t.Error("a link ends early")
	}
	now = now.Add(InvitationLife)
	if i.useLink(late) || i.useCode(lateCode) || i.useCode(code) {
		t.Error("an invitation works after its five minutes")
	}
	for range 10 * maxInvitations {
		i.add()
	}
	if len(i.live) != maxInvitations {
		t.Errorf("%d invitations are kept", len(i.live))
	}
	if a, b := i.live[0], i.live[1]; a.link == b.link || a.code == b.code {
		t.Error("two are the same")
	}
}

// Ten wrong codes make a code void. Its link still works.
func TestWrongCodesMakeACodeVoid(t *testing.T) {
	i := &invitations{now: time.Now}
	guess := func(n int) {
		for range n {
			if i.useCode("AAAAA-AAAAA") {
				t.Fatal("a guess was right")
			}
		}
	}
	_, code, _ := i.add()
	guess(9)
	if !i.useCode(code) {
		t.Error("void after nine wrong codes")
	}
	link, code, _ := i.add()
	guess(5)
	_, younger, _ := i.add()
	guess(5)
	if i.useCode(code) {
		t.Error("good after ten wrong codes")
	}
	if !i.useCode(younger) {
		t.Error("wrong codes from before it was made count")
	}
	if !i.useLink(link) {
		t.Error("wrong codes end a link")
	}
}

func TestSessions(t *testing.T) {
	now := testNow
	clock := func() time.Time { return now }
	s := newSessions(testToken, clock)
	carry := func(cookies ...*http.Cookie) *http.Request {
		r := httptest.NewRequest("GET", "/", nil)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		return r
	}
	c := s.start()
	if !s.valid(carry(c)) {
		t.Fatal("a new session is refused")
	}
	if s.valid(carry()) || s.valid(carry(c, c)) {
		t.Error("no cookie, or two, are a session")
	}
	if again := newSessions(testToken, clock); !again.valid(carry(c)) || again.path != s.path || again.name != s.name {
		t.Error("a restart ends the session")
	}
	other := newSessions(strings.ToUpper(testToken), clock)
	if other.path == s.path || other.name == s.name {
		t.Error("another token has the same address or name")
	}
	if other.valid(carry(&http.Cookie{Name: other.name, Value: c.Value})) {
		t.Error("the session of another token is valid")
	}
	for at := range c.Value {
		for _, b := range []byte{'A', 'z', '-'} {
			bad := *c
			bad.Value = c.Value[:at] + string(b) + c.Value[at+1:]
			if bad.Value != c.Value && s.valid(carry(&bad)) {
				t.Fatalf("changed at %d it is valid", at)
			}
		}
	}
	for _, value := range []string{"", c.Value[:len(c.Value)-1], c.Value + "A", c.Value + "="} {
		if s.valid(carry(&http.Cookie{Name: s.name, Value: value})) {
			t.Errorf("%q is valid", value)
		}
	}
	if s.start().Value == c.Value {
		t.Error("two sessions are the same")
	}
	now = now.Add(sessionLife - time.Second)
	if !s.valid(carry(c)) {
		t.Error("a session ends early")
	}
	now = now.Add(time.Second)
	if s.valid(carry(c)) {
		t.Error("a session lives on after its time")
	}
}
