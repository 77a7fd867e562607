package engine

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
)

// refusal reads a server's line, such as "NO [LIMIT] slow down", as the error it becomes.
func refusal(t *testing.T, command, line string) *imap.StatusError {
	t.Helper()
	m := regexp.MustCompile(`^(NO|BAD|BYE) (?:\[([A-Z-]+) ?([^\]]*)\] ?)?(.*)$`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("no refusal: %s", line)
	}
	return &imap.StatusError{Type: m[1], Code: m[2], CodeArgs: m[3], Text: m[4], Command: command}
}

// TestServerWords: every row of the two tables, with a line as a server sends it.
func TestServerWords(t *testing.T) {
	const m = time.Minute
	hit := map[string]bool{}
	for _, test := range []struct {
		phase, command, line string
		class                Class
		scope                string
		floor                time.Duration
		do                   policy.Action
		hint                 string // a piece of the next step
	}{
		{phaseSignIn, "LOGIN", "NO [ALERT] Too many simultaneous connections. (Failure)", Quota, "account", m, policy.Retry, "other mail programs"},
		{phaseSignIn, "LOGIN", "NO [LIMIT] LOGIN Too many simultaneous connections", Quota, "account", m, policy.Retry, "other mail programs"},
		{phaseConnect, "greeting", "BYE Too many connections from this IP", Quota, "account", m, policy.Retry, "other mail programs"},
		{phaseSignIn, "LOGIN", "NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)", Quota, "account", m, policy.Retry, "allows 10 connections"},
		{phaseDiscover, "CAPABILITY", "NO [LIMIT] CAPABILITY Rate limit hit.", Quota, "account", 5 * m, policy.Retry, "pause"},
		{phaseSignIn, "LOGIN", "NO login not available on this server. 451 Already reached per-10 minute limit for logins", Quota, "account", 10 * m, policy.Retry, "pause"},
		{phaseFetch, "UID FETCH", "NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)", Quota, "account", 15 * m, policy.Retry, "daily"},
		{phaseSignIn, "LOGIN", "BYE Bandwidth limits were reached", Quota, "account", 15 * m, policy.Retry, "daily"},
		{phaseOpen, "EXAMINE", "BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds", Quota, "account", 299961 * time.Millisecond, policy.Retry, "pause"},
		{phaseFetch, "UID FETCH", "NO Request is throttled. Suggested Backoff Time: 5 milliseconds", Quota, "account", m, policy.Retry, "pause"},
		{phaseFetch, "UID FETCH", "BYE Connection closed. 14", Quota, "account", m, policy.Retry, "pause"},
		{phaseOpen, "EXAMINE", "NO Server Unavailable. 15", Quota, "account", m, policy.Retry, "pause"},
		{phaseOpen, "EXAMINE", "BAD User is authenticated but not connected.", Quota, "account", 2 * m, policy.Retry, "too many sign-ins"},
		{phaseDiscover, "LIST", "NO [UNAVAILABLE] LIST Service is temporarily not available", Quota, "account", 5 * m, policy.Retry, "pause"},
		{phaseSignIn, "LOGIN", "NO too many login attempts", Quota, "account", 5 * m, policy.Retry, "bridge"},
		{phaseFetch, "UID FETCH", "NO [UNAVAILABLE] UID FETCH Server error while fetching messages", Parsing, "message", 0, policy.Limit, "set aside"},
		{phaseFetch, "UID FETCH", "NO [SERVERBUG] UID FETCH Server error - Please try again later", Parsing, "message", 0, policy.Limit, "set aside"},
		{phaseSignIn, "LOGIN", "NO [UNAVAILABLE] LOGIN Server error - Please try again later", Quota, "account", 5 * m, policy.Retry, "pause"},
		{phaseFetch, "UID FETCH", "NO System Error (Failure)", Parsing, "message", 0, policy.Limit, "set aside"},
		{phaseFetch, "UID FETCH", "NO Some messages could not be FETCHed (Failure)", Parsing, "message", 0, policy.Limit, "set aside"},
		{phaseFetch, "UID FETCH", "BYE Session invalidated - AccessTokenExpired", Network, "connection", 0, policy.Retry, ""},
		{phaseList, "UID SEARCH", "BYE Session expired, please login again.", Network, "connection", 0, policy.Retry, ""},
		{phaseList, "UID SEARCH", "BYE IMAP4rev1 Server logging out", Network, "connection", 0, policy.Retry, ""},
		{phaseList, "UID SEARCH", "BYE Microsoft Exchange Server IMAP4 server signing off.", Network, "connection", 0, policy.Retry, ""},
		{phaseList, "UID SEARCH", "BYE Closing connection", Network, "connection", 0, policy.Retry, ""},
		{phaseSignIn, "AUTHENTICATE", "NO AUTHENTICATE Server error OCF12", Network, "account", 0, policy.Retry, ""},
		{phaseOpen, "EXAMINE", "BAD Command received in Invalid state.", Protocol, "connection", 0, policy.Limit, ""},
		{phaseFetch, "UID FETCH", "BAD Command Argument Error. 11", Protocol, "connection", 0, policy.Limit, "report"},
		{phaseList, "UID SEARCH", "BAD Command Argument Error. 12", Protocol, "connection", 0, policy.Limit, "report"},
		{phaseFetch, "UID FETCH", "BAD Error in IMAP command UID FETCH: Invalid messageset (0.001 + 0.000 secs).", Protocol, "connection", 0, policy.Limit, ""},
		{phaseSignIn, "LOGIN", "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", Auth, "account", 0, policy.Pause, "password"},
		{phaseSignIn, "LOGIN", "NO [ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)", Auth, "account", 0, policy.Pause, "app password"},
		{phaseSignIn, "LOGIN", "NO [WEBALERT https://accounts.google.com/signin] Web login required. (Failure)", Auth, "account", 0, policy.Pause, "browser"},
		{phaseSignIn, "LOGIN", "NO [ALERT] Please log in via your web browser: https://support.google.com (Failure)", Auth, "account", 0, policy.Pause, "browser"},
		{phaseSignIn, "LOGIN", "NO [ALERT] Your account is not enabled for IMAP use. (Failure)", Auth, "account", 0, policy.Pause, "switched off"},
		{phaseSignIn, "LOGIN", "NO [ALERT] IMAP access is disabled for your domain. (Failure)", Auth, "account", 0, policy.Pause, "switched off"},
		{phaseSignIn, "LOGIN", "NO Lookup failed abc123", Auth, "account", 0, policy.Pause, "switched off"},
		{phaseSignIn, "LOGIN", "NO Basic authentication is disabled.", Auth, "account", 0, policy.Pause, "takes none"},
		{phaseSignIn, "LOGIN", "NO LOGIN failed.", Auth, "account", 0, policy.Pause, "takes none"},
		{phaseSignIn, "AUTHENTICATE", "NO AUTHENTICATE failed.", Auth, "account", 0, policy.Pause, "takes none"},
		{phaseSignIn, "LOGIN", "NO Login to your account via a web browser to verify", Auth, "account", 0, policy.Pause, "browser"},
		{phaseSignIn, "LOGIN", "NO [AUTHENTICATIONFAILED] LOGIN invalid credentials or IMAP is disabled sc=abc", Auth, "account", 0, policy.Pause, "switched off"},
		{phaseSignIn, "AUTHENTICATE", "NO [AUTHENTICATIONFAILED] (#AUTH901) AUTHENTICATE Invalid credentials", Auth, "account", 0, policy.Pause, "app password"},
		{phaseOpen, "EXAMINE", "NO SELECT Unsafe Login. Please contact kefu@188.com for help", Auth, "account", 0, policy.Pause, "does not trust"},
		{phaseSignIn, "LOGIN", "NO Login fail. Please using authorized code to login.", Auth, "account", 0, policy.Pause, "authorization code"},
		{phaseSignIn, "LOGIN", "NO Authorized code is incorrect", Auth, "account", 0, policy.Pause, "authorization code"},
		{phaseSignIn, "LOGIN", "NO Login fail. Please using weixin token", Auth, "account", 0, policy.Pause, "authorization code"},
		{phaseSignIn, "LOGIN", "NO LOGIN Login error or password error", Auth, "account", 0, policy.Pause, "authorization code"},
		{phaseSignIn, "LOGIN", "NO authentication failed", Auth, "account", 0, policy.Pause, "without use"},
		{phaseSignIn, "LOGIN", "NO Full IMAP support is NOT enabled for this account", Auth, "account", 0, policy.Pause, "switched off"},
		{phaseSignIn, "LOGIN", "NO no such user", Auth, "account", 0, policy.Pause, "bridge"},
		{phaseSignIn, "LOGIN", "NO user ada not found", Auth, "account", 0, policy.Pause, "bridge"},
		{phaseSignIn, "LOGIN", "NO [ALERT] country blocked", Auth, "account", 0, policy.Pause, "where you are"},
		{phaseOpen, "EXAMINE", "NO [NONEXISTENT] Unknown Mailbox: X (Failure)", Mailbox, "mailbox", 0, policy.Relist, ""},
		{phaseOpen, "EXAMINE", "NO [CANNOT] Folder contains excess whitespace (Failure)", Mailbox, "mailbox", 0, policy.Relist, ""},
		{phaseStore, "CREATE", "NO [CANNOT] Folder contains excess whitespace (Failure)", Conflict, "operation", 0, policy.Limit, "does not allow"},
		{phaseStore, "CREATE", "NO Folder name is reserved.", Conflict, "operation", 0, policy.Limit, "does not allow"},
		{phaseStore, "CREATE", "NO Mailbox already exists.", Conflict, "operation", 0, policy.Limit, "does not allow"},
		{phaseStore, "APPEND", "NO Maximum size of appendable message has been exceeded.", Conflict, "operation", 0, policy.Limit, "too big"},
		{phaseList, "UID SEARCH", "BAD [CLIENTBUG] Additional arguments found after last expected argument", Bug, "task", 0, policy.Limit, "report"},
		{phaseDiscover, "LIST", "BAD LIST Command arguments invalid", Bug, "task", 0, policy.Limit, "report"},

		{phaseOpen, "EXAMINE", "NO [UNAVAILABLE] x", Network, "account", 30 * time.Second, policy.Retry, ""},
		{phaseSignIn, "LOGIN", "NO [AUTHENTICATIONFAILED] x", Auth, "account", 0, policy.Pause, "password"},
		{phaseSignIn, "LOGIN", "NO [AUTHORIZATIONFAILED] x", Auth, "account", 0, policy.Pause, "password"},
		{phaseOpen, "EXAMINE", "NO [AUTHORIZATIONFAILED] x", Mailbox, "mailbox", 0, policy.Relist, "may not read"},
		{phaseStore, "UID STORE", "NO [AUTHORIZATIONFAILED] x", Conflict, "operation", 0, policy.Limit, "does not allow"},
		{phaseSignIn, "LOGIN", "NO [NOPERM] x", Auth, "account", 0, policy.Pause, "password"},
		{phaseOpen, "EXAMINE", "NO [NOPERM] x", Mailbox, "mailbox", 0, policy.Relist, "may not read"},
		{phaseFlags, "UID STORE", "NO [NOPERM] x", Conflict, "operation", 0, policy.Limit, "does not allow"},
		{phaseSignIn, "LOGIN", "NO [EXPIRED] x", Auth, "account", 0, policy.Pause, "expired"},
		{phaseSignIn, "LOGIN", "NO [WEBALERT https://example.org/] x", Auth, "account", 0, policy.Pause, "browser"},
		{phaseSignIn, "LOGIN", "NO [PRIVACYREQUIRED] x", TLS, "account", 0, policy.Pause, "encrypted"},
		{phaseSignIn, "LOGIN", "NO [INUSE] x", Network, "account", 5 * time.Second, policy.Retry, ""},
		{phaseOpen, "EXAMINE", "NO [INUSE] x", Mailbox, "mailbox", 5 * time.Second, policy.Limit, "by itself"},
		{phaseFetch, "UID FETCH", "NO [EXPUNGEISSUED] x", Parsing, "message", 0, policy.Limit, ""},
		{phaseOpen, "EXAMINE", "NO [CORRUPTION] x", Mailbox, "mailbox", time.Hour, policy.Limit, "damaged"},
		{phaseList, "UID SEARCH", "BYE [SERVERBUG] Internal error occurred.", Network, "connection", 5 * time.Second, policy.Retry, ""},
		{phaseSignIn, "LOGIN", "NO [SERVERBUG] Internal error occurred.", Network, "account", 5 * time.Second, policy.Retry, ""},
		{phaseFetch, "UID FETCH", "NO [SERVERBUG] Internal error occurred. Refer to server log", Parsing, "message", 0, policy.Limit, ""},
		{phaseOpen, "EXAMINE", "NO [SERVERBUG] Internal error occurred. Refer to server log", Mailbox, "mailbox", 5 * time.Second, policy.Limit, ""},
		{phaseList, "UID SEARCH", "BAD [CLIENTBUG] x", Bug, "task", 0, policy.Limit, "report"},
		{phaseStore, "APPEND", "NO [LIMIT] x", Conflict, "operation", 0, policy.Limit, ""},
		{phaseList, "UID SEARCH", "NO [LIMIT] x", Quota, "account", 5 * m, policy.Retry, "limit"},
		{phaseStore, "UID COPY", "NO [OVERQUOTA] x", Conflict, "operation", 0, policy.Limit, "full"},
		{phaseFetch, "UID FETCH", "NO [OVERQUOTA] x", Quota, "account", 15 * m, policy.Retry, "daily"},
		{phaseFetch, "UID FETCH", "NO [THROTTLED] x", Quota, "account", m, policy.Retry, "pause"},
		{phaseOpen, "EXAMINE", "NO [NONEXISTENT] x", Mailbox, "mailbox", 0, policy.Relist, ""},
		{phaseStore, "APPEND", "NO [TRYCREATE] x", Mailbox, "mailbox", 0, policy.Relist, ""},
		{phaseOpen, "SELECT", "NO [UIDNOTSTICKY] x", Mailbox, "mailbox", 0, policy.Relist, ""},
		{phaseFetch, "UID FETCH", "NO [MESSAGELIMIT 1000] x", Protocol, "connection", 0, policy.Limit, ""},
		{phaseStore, "DELETE", "NO [CANNOT] x", Conflict, "operation", 0, policy.Limit, ""},
		{phaseStore, "APPEND", "NO [NOTSAVED] x", Conflict, "operation", 0, policy.Limit, ""},
		{phaseStore, "CREATE", "NO [ALREADYEXISTS] x", Conflict, "operation", 0, policy.Limit, ""},
		{phaseStore, "DELETE", "NO [HASCHILDREN] x", Conflict, "operation", 0, policy.Limit, ""},
		{phaseStore, "UID MOVE", "NO [UIDNOTSTICKY] x", Conflict, "operation", 0, policy.Limit, ""},
		{phaseStore, "APPEND", "NO [UNKNOWN-CTE] x", Conflict, "operation", 0, policy.Limit, ""},
		{phaseStore, "APPEND", "NO [TOOBIG] x", Conflict, "operation", 0, policy.Limit, "too big"},
	} {
		s := refusal(t, test.command, test.line)
		f := Classify(in(test.phase, s))
		if f.Class != test.class || f.Scope != test.scope || f.Wait.Floor != test.floor || f.Do != test.do || !strings.Contains(f.NextStep("ada"), test.hint) {
			t.Errorf("%s, %s: %s, %s, %v, %s, %q", test.phase, test.line, f.Class, f.Scope, f.Wait.Floor, f.Do, f.NextStep("ada"))
		}
		if strings.Contains(f.NextStep("ada"), "{") {
			t.Errorf("%s: %q", test.line, f.NextStep("ada"))
		}
		v := policy.Judge(policy.Answer{Type: s.Type, Code: s.Code, Text: s.Text, Command: s.Command, Phase: test.phase})
		if v.Row == nil {
			t.Errorf("%s, %s: no row knows it", test.phase, test.line)
			continue
		}
		hit[fmt.Sprint(*v.Row)] = true
	}
	for _, row := range append(policy.Texts(), policy.Codes()...) {
		if !hit[fmt.Sprint(row)] {
			t.Errorf("no line for the row %+v", row)
		}
	}
}

// TestOtherPlaces: words that stop an account where it signs in stop nothing elsewhere, and no word makes it sign in again at once.
func TestOtherPlaces(t *testing.T) {
	for _, test := range []struct {
		phase, command, line string
		class                Class
	}{
		{phaseFetch, "UID FETCH", "NO lookup failed", Parsing},
		{phaseFetch, "UID FETCH", "BAD [CLIENTBUG] Command arguments invalid", Parsing},
		{phaseOpen, "EXAMINE", "NO no such user", Mailbox},
		{phaseOpen, "EXAMINE", "NO [ALERT] look here", Mailbox},
		{phaseSignIn, "LOGIN", "BAD Command Argument Error. 12", Auth},
		{phaseSignIn, "LOGIN", "BAD [CLIENTBUG] Additional arguments found after last expected argument", Auth},
		{phaseSignIn, "LOGIN", "NO [CORRUPTION] x", Auth},
		{phaseSignIn, "LOGIN", "NO [CONTACTADMIN] call us", Auth},
		{phaseList, "UID SEARCH", "NO [NOMODSEQ] x", Protocol},
		{phaseList, "UID SEARCH", "NO something new", Protocol},
	} {
		if f := Classify(in(test.phase, refusal(t, test.command, test.line))); f.Class != test.class {
			t.Errorf("%s, %s: %s", test.phase, test.line, f.Class)
		}
	}
}

// TestOneProblem: the numbers in a server's words make no new problem, other words do.
func TestOneProblem(t *testing.T) {
	print := func(line string) string {
		return Classify(in(phaseOpen, refusal(t, "EXAMINE", line))).fingerprint(1, 2)
	}
	first := print("BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds")
	if print("BAD Request is throttled. Suggested Backoff Time: 12 milliseconds") != first || print("BAD Request is refused") == first {
		t.Error("one problem is taken for two, or two for one")
	}
}
