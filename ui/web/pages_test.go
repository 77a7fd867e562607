package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"mailcote/engine/message"
	"mailcote/ui/view"
)

// get asks the pages behind the guard.
func get(t *testing.T, source Source, target string) *httptest.ResponseRecorder {
	t.Helper()
	p, err := newPages(Config{Source: source, Log: discard(), Now: func() time.Time {
		return testNow
	}}, "", newStreams(context.Background(), standardLimits()))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	p.routes().ServeHTTP(w, httptest.NewRequest("GET", target, nil))
	return w
}

func TestPagesShowTheStore(t *testing.T) {
	for target, want := range map[string][]string{
		"/": {
			"robin@imap.example.org", "Syncing", "Paused", "Up to date", "3 hours ago", "just now", "never",
			"1 error; see", "873 of 1\u202f930 (45 %)",
			`href="/mailbox/3"`, "12\u202f841 messages", `aria-live="polite"`, "The password was refused", "empty",
		},
		"/mail": {"Newest mail", "شجرة الياسمين", "(no subject)",
			`href="/mail?before=cursor&#43;2%26x"`, "new</span>", "flagged</span>", "Family and everybody else"},
		"/mailbox/1": {"INBOX", "robin@imap.example.org", "Who was the third keeper?"},
		"/mailbox/5": {"This mailbox is empty."},
		"/search?q=from%3Aotis+%22ink%22": {`value="from:otis &#34;ink&#34;"`,
			`href="/search?q=from%3Aotis&#43;%22ink%22&amp;before=cursor`},
		"/message/m1": {
			"Otis Pemberly", "&lt;otis.pemberly@example.com&gt;", "eleven days", "Keepers and dates.csv", "812 bytes",
			"48.2 kB",
			"invoice‹U&#43;202E›fdp.exe", `class="quoted">&gt; Could you`, `\Flagged`, "2 attachments",
			`<a href="/message/m1/part/2">`, `<a href="/message/m1/part/3.1">`, "3 links",
			`<bdi>the record</bdi> <a href="https://lighthouse.example/keepers?page=7&amp;year=1911" target="_blank" ` +
				`rel="noopener noreferrer" dir="ltr">https://lighthouse.example/keepers?page=7&amp;year=1911</a>`,
			`<bdi>https://bank.example/</bdi> <code dir="ltr">javascript:alert(1)</code>`,
			`<li><a href="mailto:otis.pemberly@example.com"`,
		},
	} {
		w := get(t, sample(), target)
		if w.Code != http.StatusOK {
			t.Errorf("%s: status %d", target, w.Code)
		}
		for _, s := range want {
			if !strings.Contains(w.Body.String(), s) {
				t.Errorf("%s lacks %q:\n%s", target, s, w.Body)
			}
		}
	}
}

func TestPagesSayWhatIsWrong(t *testing.T) {
	broken := sample()
	broken.err = errors.New("secret detail of the store")
	for _, c := range []struct {
		source *fake
		target string
		status int
		want   string
	}{
		{sample(), "/nowhere", 404, "nothing at this address"},
		{sample(), "/mailbox/99", 404, "not here any more"},
		{sample(), "/mailbox/x", 404, "not here any more"},
		{sample(), "/mailbox/-1", 404, "not here any more"},
		{sample(), "/message/none", 404, "not here any more"},
		{sample(), "/message/m1/part/9", 404, "not here any more"},
		{sample(), "/message/none/part/2", 404, "not here any more"},
		{sample(), "/message/m1/part/", 404, "nothing at this address"},
		{sample(), "/search?q=before:soon", 400, "before: wants a date"},
		{sample(), "/search?q=" + strings.Repeat("x", maxQuery+1), 400, "too long"},
		{sample(), "/mail?before=" + strings.Repeat("x", maxCursor+1), 404, "not here"},
		{sample(), "/search", 200, "search box"},
		{sample(), "/static/nothing.css", 404, "nothing at this address"},
		{sample(), "/static/..%2fpage%2fbase.html", 404, "nothing at this address"},
		{broken, "/", 500, "could not be read"},
		{broken, "/mail", 500, "could not be read"},
		{broken, "/progress.json", 500, "could not be read"},
	} {
		w := get(t, c.source, c.target)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) ||
			strings.Contains(w.Body.String(), "secret detail") {
			t.Errorf("%.60s: %d\n%s", c.target, w.Code, w.Body)
		}
	}
}

func TestProgressJSON(t *testing.T) {
	w := get(t, sample(), "/progress.json")
	var p Progress
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	if len(p.Accounts) != 3 || p.Accounts[0].Mailboxes[1].Stored != 873 || p.Accounts[1].State != view.Paused ||
		p.Accounts[1].Errors != 1 {
		t.Errorf("%+v", p)
	}
	if note := p.Accounts[1].Mailboxes[1].Note; note != "not readable: NO [NOPERM] <not> yours" {
		t.Errorf("note %q", note)
	}
	if w.Header().Get("Content-Type") != "application/json" {
		t.Error(w.Header())
	}
}

// TestNotesOfMailboxes: the page says of a mailbox that it is not readable or not synced.
func TestNotesOfMailboxes(t *testing.T) {
	page := get(t, sample(), "/").Body.String()
	for _, note := range []string{"not readable: NO [NOPERM] &lt;not&gt; yours", "not synced"} {
		if !strings.Contains(page, `<span class="note" dir="auto">`+note+`</span>`) {
			t.Errorf("the page lacks %q", note)
		}
	}
}

func TestHeadHasNoBody(t *testing.T) {
	p, err := newPages(Config{Source: sample(), Log: discard(), Now: time.Now}, "",
		newStreams(context.Background(), standardLimits()))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	p.routes().ServeHTTP(w, httptest.NewRequest("HEAD", "/", nil))
	if w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("%d, %d bytes, %v", w.Code, w.Body.Len(), w.Header())
	}
}

// TestCanaryIsOnlyText puts hostile text wherever mail or a server can put
// text and parses every page: no element, attribute or script may come of it.
func TestCanaryIsOnlyText(t *testing.T) {
	canaries := []string{
		`<script>canary()</script>`, `"><img src=x onerror=canary()>`, `' onmouseover='canary()`,
		`</title><svg onload=canary()>`,
		`javascript:canary()`, `{{.}}<canary>`, "</textarea></style><canary x=\"", "\x00<canary>\u2028",
		`&lt;canary&gt;<!--canary`, `<a href="javascript:canary()">`,
	}
	for _, c := range canaries {
		item := view.MessageItem{ID: c, From: c, Subject: c, Preview: c, Mailbox: c, Unread: true}
		address := []view.Address{{Name: c, Addr: c}, {Addr: c}}
		mail := view.MessageView{
			ID: c, Subject: c, From: address, To: address, Cc: address, ReplyTo: address, MessageID: c,
			Mailboxes: []string{c}, Flags: []string{c},
			Text: c + "\n\n> " + c, Note: c, FromHTML: true,
			Attachments: []view.Attachment{{Number: c, Name: c, Type: c, Size: 1}},
			Links: []message.Link{{Target: c, Text: c}, {Target: "https://a.example/" + c, Text: c},
				{Target: "mailto:" + c}},
		}
		source := &fake{
			overview: view.Overview{Accounts: []view.Account{{ID: 1, Name: c,
				Standing: view.Standing{State: view.State(c), Cause: c}, NextStep: c,
				Mailboxes: []view.Mailbox{{ID: 1, Path: c, Role: c, Refused: c}}}}},
			lists: map[int64]view.MessageList{0: {Items: []view.MessageItem{item}, Next: c},
				1: {Title: c, Account: c, Items: []view.MessageItem{item}, Next: c}},
			messages: map[string]view.MessageView{"m": mail},
		}
		for _, target := range []string{"/", "/mail", "/mailbox/1", "/message/m", "/search?q=" +
			strings.NewReplacer("&", "%26", "\x00", "", "#", "%23", ";", "%3B", " ", "+").Replace(c)} {
			w := get(t, source, target)
			page := w.Body.String()
			if w.Code != http.StatusOK || !strings.Contains(page, "canary") {
				t.Errorf("%s: status %d or no canary at all", target, w.Code)
			}
			inspect(t, target, page)
		}
	}
}

// inspect allows the elements and attributes that the templates use.
func inspect(t *testing.T, target, page string) {
	t.Helper()
	elements := regexp.MustCompile(`^(` +
		`html|head|body|meta|title|link|script|a|header|nav|form|label|input|button|main|h1|h2|p|section|` +
		`div|span|bdi|dl|dt|dd|time|code|table|caption|thead|tbody|tr|th|td|progress|ol|ul|li|article)$`)
	attributes := regexp.MustCompile(`^(` +
		`lang|charset|name|content|rel|href|type|src|defer|class|aria-[a-z]+|role|action|method|for|id|dir|` +
		`maxlength|placeholder|value|tabindex|hidden|data-(account|state|mailbox)|datetime|title|scope|max|target)$`)
	leaves := regexp.MustCompile(`^(https?://[^/]|mailto:[^/])`)
	apart := html.Attribute{Key: "rel", Val: "noopener noreferrer"}
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return
		}
		if kind == html.CommentToken {
			t.Errorf("%s: a comment %s", target, z.Raw())
		}
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			continue
		}
		token := z.Token()
		if !elements.MatchString(token.Data) {
			t.Errorf("%s: element <%s>", target, token.Data)
		}
		for _, a := range token.Attr {
			if !attributes.MatchString(a.Key) {
				t.Errorf("%s: attribute %s of <%s>", target, a.Key, token.Data)
			}
			if a.Key == "href" && leaves.MatchString(a.Val) && slices.Contains(token.Attr, apart) {
				continue // a link of a mail
			}
			if a.Key == "src" && a.Val != "/static/live.js" && a.Val != "/static/stream.js" || a.Key == "href" &&
				!strings.HasPrefix(a.Val, "/") && a.Val != "#main" {
				t.Errorf("%s: %s=%q", target, a.Key, a.Val)
			}
		}
		if token.Data == "script" && (len(token.Attr) != 2 || z.Next() != html.EndTagToken) {
			t.Errorf("%s: an inline script", target)
		}
	}
}
