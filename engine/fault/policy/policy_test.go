package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailcote/storage/class"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWait(t *testing.T) {
	day := Wait{15 * time.Minute, 4, 12 * time.Hour}
	for n, want := range map[int]time.Duration{0: 15 * time.Minute, 1: 15 * time.Minute, 2: time.Hour,
		3: 4 * time.Hour, 4: 12 * time.Hour, 1000: 12 * time.Hour} {
		if got := day.After(n); got != want {
			t.Errorf("after %d: %v, want %v", n, got, want)
		}
	}
	if got := (Wait{Floor: time.Hour, Factor: 2, Cap: time.Minute}).After(9); got != time.Hour {
		t.Errorf("a floor above its cap waits %v", got)
	}
	if got := (Wait{}).After(9); got != 0 {
		t.Errorf("no wait waits %v", got)
	}
}

// TestRowsLengthen: a row names a class, a known place and its own words in
// lower case, and its wait is never under its class's.
func TestRowsLengthen(t *testing.T) {
	for _, r := range append(Texts(), Codes()...) {
		p, v := PolicyOf(r.Class), r.base()
		if p.Class != r.Class || r.Scope == "" || r.Text != strings.ToLower(r.Text) || r.Text == "" && r.Code == "" {
			t.Errorf("%+v", r)
		}
		for n := range 20 {
			if v.Wait.After(n) < p.Wait.After(n) {
				t.Errorf("%+v: %v after %d, the class waits %v", r, v.Wait.After(n), n, p.Wait.After(n))
			}
		}
		if r.Then != "" && r.Tries == 0 || v.Do == Limit && v.Tries == 0 {
			t.Errorf("%+v: after how many attempts?", r)
		}
	}
}

func TestNumbers(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"Request is throttled. Suggested Backoff Time: 299961 milliseconds": 299961 * time.Millisecond,
		"suggested backoff time:1 Milliseconds":                             time.Millisecond,
		"Suggested Backoff Time: 99999999999999999999999 milliseconds":      12 * time.Hour,
		"Suggested Backoff Time: -5 milliseconds":                           0,
		"Suggested Backoff Time: soon":                                      0,
	} {
		if got := suggestedWait(text); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	for text, want := range map[string]int{
		"exceeded (mail_max_userip_connections=10)": 10, "(mail_max_userip_connections=0)": 0,
		"(mail_max_userip_connections=99999999)": 0, "": 0,
	} {
		if got := allowedConnections(text); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

// FuzzJudge: whatever a server says has a class with a policy, waits no longer
// than a day's limit, and a sign-in is refused, limited or broken, and nothing
// else.
func FuzzJudge(f *testing.F) {
	f.Add("NO", "LIMIT", "Request is throttled. Suggested Backoff Time: 5 milliseconds", "UID FETCH", "fetch")
	f.Add("BAD", "", "user x not found (mail_max_userip_connections=3)", "LOGIN", "sign-in")
	f.Add("BYE", "CLIENTBUG", "\xff", "", "")
	f.Fuzz(func(t *testing.T, kind, code, text, command, phase string) {
		v := Judge(Answer{Type: kind, Code: code, Text: text, Command: command, Phase: phase})
		if PolicyOf(v.Class).Class != v.Class || v.Scope == "" || v.Do == "" || v.Connections < 0 {
			t.Fatalf("%+v", v)
		}
		for n := range 9 {
			if d := v.Wait.After(n); d < 0 || d > Longest {
				t.Fatalf("%v after %d", d, n)
			}
		}
		if where(Answer{Command: command, Phase: phase}) == SignIn && v.Do != Pause && v.Do != Retry {
			t.Fatalf("a sign-in leads to %s", v.Do)
		}
	})
}

// TestLocalWords: what any backend may say of one mailbox has words to compare;
// what names a limit of the account, or ends the session, has none.
func TestLocalWords(t *testing.T) {
	for line, local := range map[Answer]bool{
		{Type: "NO", Text: "Server error - Please try again later"}:                         true,
		{Type: "NO", Code: "UNAVAILABLE", Text: "x"}:                                        true,
		{Type: "NO", Code: "LIMIT", Text: "x"}:                                              true,
		{Type: "BAD", Text: "Server Unavailable. 15"}:                                       true,
		{Type: "BYE", Code: "UNAVAILABLE", Text: "x"}:                                       false,
		{Type: "NO", Code: "LIMIT", Text: "Rate limit hit"}:                                 false,
		{Type: "NO", Code: "LIMIT", Text: "Too many simultaneous connections"}:              false,
		{Type: "NO", Code: "THROTTLED", Text: "x"}:                                          false,
		{Type: "NO", Code: "OVERQUOTA", Text: "x"}:                                          false,
		{Type: "BAD", Text: "Request is throttled. Suggested Backoff Time: 1 milliseconds"}: false,
		{Type: "BAD", Text: "User is authenticated but not connected."}:                     false,
		{Type: "NO", Text: "something new"}:                                                 false,
	} {
		line.Phase, line.Command = "list", "UID SEARCH"
		if v := Judge(line); (v.Words != "") != local {
			t.Errorf("%+v: words %q", line, v.Words)
		}
	}
	if v := OfMailbox(Wait{Floor: time.Hour}); v.Class != class.Mailbox || v.Do != Limit || v.Tries == 0 ||
		v.Wait.Floor != time.Hour || v.Words != "" {
		t.Errorf("%+v", v)
	}
	for _, r := range append(Texts(), Codes()...) {
		if r.Local && (r.Scope != "account" || r.On == SignIn || r.Then != "" || PolicyOf(r.Class).Do != Retry) {
			t.Errorf("%+v cannot be about one mailbox", r)
		}
	}
}

// TestEveryClass: each class of faults has one policy, in the same order.
func TestEveryClass(t *testing.T) {
	var got []class.Class
	for _, p := range Policies() {
		got = append(got, p.Class)
	}
	if !slices.Equal(got, class.Faults()) {
		t.Errorf("policies of %v, classes %v", got, class.Faults())
	}
}
