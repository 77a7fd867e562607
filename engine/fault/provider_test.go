package fault

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/storage/class"
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
		class                class.Class
		scope                string
		floor                time.Duration
		do                   policy.Action
		hint                 string // a piece of the next step
	}{
		{PhaseSignIn, "LOGIN", "NO [ALERT] Too many simultaneous connections. (Failure)", class.Quota, "account", m,
			policy.Retry, "other mail programs"},
		{PhaseSignIn, "LOGIN", "NO [LIMIT] LOGIN Too many simultaneous connections", class.Quota, "account", m,
			policy.Retry, "other mail programs"},
		{PhaseConnect, "greeting", "BYE Too many connections from this IP", class.Quota, "account", m, policy.Retry,
			"other mail programs"},
		{PhaseSignIn, "LOGIN",
			"NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)",
			class.Quota, "account", m, policy.Retry, "allows 10 connections"},
		{PhaseDiscover, "CAPABILITY", "NO [LIMIT] CAPABILITY Rate limit hit.", class.Quota, "account", 5 * m,
			policy.Retry, "pause"},
		{PhaseSignIn, "LOGIN",
			"NO login not available on this server. 451 Already reached per-10 minute limit for logins", class.Quota,
			"account", 10 * m, policy.Retry, "pause"},
		{PhaseFetch, "UID FETCH", "NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)",
			class.Quota, "account", 15 * m, policy.Retry, "daily"},
		{PhaseSignIn, "LOGIN", "BYE Bandwidth limits were reached", class.Quota, "account", 15 * m, policy.Retry,
			"daily"},
		{PhaseOpen, "EXAMINE", "BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds", class.Quota,
			"account", 299961 * time.Millisecond, policy.Retry, "pause"},
		{PhaseFetch, "UID FETCH", "NO Request is throttled. Suggested Backoff Time: 5 milliseconds", class.Quota,
			"account", m, policy.Retry, "pause"},
		{PhaseFetch, "UID FETCH", "BYE Connection closed. 14", class.Quota, "account", m, policy.Retry, "pause"},
		{PhaseOpen, "EXAMINE", "NO Server Unavailable. 15", class.Quota, "account", m, policy.Retry, "pause"},
		{PhaseOpen, "EXAMINE", "BAD User is authenticated but not connected.", class.Quota, "account", 2 * m,
			policy.Retry, "too many sign-ins"},
		{PhaseDiscover, "LIST", "NO [UNAVAILABLE] LIST Service is temporarily not available", class.Quota, "account",
			5 * m, policy.Retry, "pause"},
		{PhaseSignIn, "LOGIN", "NO too many login attempts", class.Quota, "account", 5 * m, policy.Retry, "bridge"},
		{PhaseFetch, "UID FETCH", "NO [UNAVAILABLE] UID FETCH Server error while fetching messages", class.Parsing,
			"message", 0, policy.Limit, "set aside"},
		{PhaseFetch, "UID FETCH", "NO [SERVERBUG] UID FETCH Server error - Please try again later", class.Parsing,
			"message", 0, policy.Limit, "set aside"},
		{PhaseSignIn, "LOGIN", "NO [UNAVAILABLE] LOGIN Server error - Please try again later", class.Quota, "account",
			5 * m, policy.Retry, "pause"},
		{PhaseFetch, "UID FETCH", "NO System Error (Failure)", class.Parsing, "message", 0, policy.Limit, "set aside"},
		{PhaseFetch, "UID FETCH", "NO Some messages could not be FETCHed (Failure)", class.Parsing, "message", 0,
			policy.Limit, "set aside"},
		{PhaseFetch, "UID FETCH", "BYE Session invalidated - AccessTokenExpired", class.Network, "connection", 0,
			policy.Retry, ""},
		{PhaseList, "UID SEARCH", "BYE Session expired, please login again.", class.Network, "connection", 0,
			policy.Retry, ""},
		{PhaseList, "UID SEARCH", "BYE IMAP4rev1 Server logging out", class.Network, "connection", 0, policy.Retry, ""},
		{PhaseList, "UID SEARCH", "BYE Microsoft Exchange Server IMAP4 server signing off.", class.Network,
			"connection", 0, policy.Retry, ""},
		{PhaseList, "UID SEARCH", "BYE Closing connection", class.Network, "connection", 0, policy.Retry, ""},
		{PhaseSignIn, "AUTHENTICATE", "NO AUTHENTICATE Server error OCF12", class.Network, "account", 0, policy.Retry,
			""},
		{PhaseOpen, "EXAMINE", "BAD Command received in Invalid state.", class.Protocol, "connection", 0,
			policy.Limit, ""},
		{PhaseFetch, "UID FETCH", "BAD Command Argument Error. 11", class.Protocol, "connection", 0, policy.Limit,
			"report"},
		{PhaseList, "UID SEARCH", "BAD Command Argument Error. 12", class.Protocol, "connection", 0, policy.Limit,
			"report"},
		{PhaseFetch, "UID FETCH", "BAD Error in IMAP command UID FETCH: Invalid messageset (0.001 + 0.000 secs).",
			class.Protocol, "connection", 0, policy.Limit, ""},
		{PhaseSignIn, "LOGIN", "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", class.Auth, "account", 0,
			policy.Pause, "password"},
		{PhaseSignIn, "LOGIN",
			"NO [ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833 " +
				"(Failure)", class.Auth, "account", 0, policy.Pause, "app password"},
		{PhaseSignIn, "LOGIN", "NO [WEBALERT https://accounts.google.com/signin] Web login required. (Failure)",
			class.Auth, "account", 0, policy.Pause, "browser"},
		{PhaseSignIn, "LOGIN", "NO [ALERT] Please log in via your web browser: https://support.google.com (Failure)",
			class.Auth, "account", 0, policy.Pause, "browser"},
		{PhaseSignIn, "LOGIN", "NO [ALERT] Your account is not enabled for IMAP use. (Failure)", class.Auth,
			"account", 0, policy.Pause, "switched off"},
		{PhaseSignIn, "LOGIN", "NO [ALERT] IMAP access is disabled for your domain. (Failure)", class.Auth, "account",
			0, policy.Pause, "switched off"},
		{PhaseSignIn, "LOGIN", "NO Lookup failed abc123", class.Auth, "account", 0, policy.Pause, "switched off"},
		{PhaseSignIn, "LOGIN", "NO Basic authentication is disabled.", class.Auth, "account", 0, policy.Pause,
			"takes none"},
		{PhaseSignIn, "LOGIN", "NO LOGIN failed.", class.Auth, "account", 0, policy.Pause, "takes none"},
		{PhaseSignIn, "AUTHENTICATE", "NO AUTHENTICATE failed.", class.Auth, "account", 0, policy.Pause, "takes none"},
		{PhaseSignIn, "LOGIN", "NO Login to your account via a web browser to verify", class.Auth, "account", 0,
			policy.Pause, "browser"},
		{PhaseSignIn, "LOGIN", "NO [AUTHENTICATIONFAILED] LOGIN invalid credentials or IMAP is disabled sc=abc",
			class.Auth, "account", 0, policy.Pause, "switched off"},
		{PhaseSignIn, "AUTHENTICATE", "NO [AUTHENTICATIONFAILED] (#AUTH901) AUTHENTICATE Invalid credentials",
			class.Auth, "account", 0, policy.Pause, "app password"},
		{PhaseOpen, "EXAMINE", "NO SELECT Unsafe Login. Please contact kefu@188.com for help", class.Auth, "account",
			0, policy.Pause, "does not trust"},
		{PhaseSignIn, "LOGIN", "NO Login fail. Please using authorized code to login.", class.Auth, "account", 0,
			policy.Pause, "authorization code"},
		{PhaseSignIn, "LOGIN", "NO Authorized code is incorrect", class.Auth, "account", 0, policy.Pause,
			"authorization code"},
		{PhaseSignIn, "LOGIN", "NO Login fail. Please using weixin token", class.Auth, "account", 0, policy.Pause,
			"authorization code"},
		{PhaseSignIn, "LOGIN", "NO LOGIN Login error or password error", class.Auth, "account", 0, policy.Pause,
			"authorization code"},
		{PhaseSignIn, "LOGIN", "NO authentication failed", class.Auth, "account", 0, policy.Pause, "without use"},
		{PhaseSignIn, "LOGIN", "NO Full IMAP support is NOT enabled for this account", class.Auth, "account", 0,
			policy.Pause, "switched off"},
		{PhaseSignIn, "LOGIN", "NO no such user", class.Auth, "account", 0, policy.Pause, "bridge"},
		{PhaseSignIn, "LOGIN", "NO user ada not found", class.Auth, "account", 0, policy.Pause, "bridge"},
		{PhaseSignIn, "LOGIN", "NO [ALERT] country blocked", class.Auth, "account", 0, policy.Pause, "where you are"},
		{PhaseOpen, "EXAMINE", "NO Mailbox doesn't exist: X", class.Mailbox, "mailbox", 0, policy.Relist, ""},
		{PhaseOpen, "EXAMINE", "NO [NONEXISTENT] Unknown Mailbox: X (Failure)", class.Mailbox, "mailbox", 0,
			policy.Relist, ""},
		{PhaseOpen, "EXAMINE", "NO [CANNOT] Folder contains excess whitespace (Failure)", class.Mailbox, "mailbox", 0,
			policy.Relist, ""},
		{PhaseStore, "CREATE", "NO [CANNOT] Folder contains excess whitespace (Failure)", class.Conflict, "operation",
			0, policy.Limit, "does not allow"},
		{PhaseStore, "CREATE", "NO Folder name is reserved.", class.Conflict, "operation", 0, policy.Limit,
			"does not allow"},
		{PhaseStore, "CREATE", "NO Mailbox already exists.", class.Conflict, "operation", 0, policy.Limit,
			"does not allow"},
		{PhaseStore, "APPEND", "NO Maximum size of appendable message has been exceeded.", class.Conflict,
			"operation", 0, policy.Limit, "too big"},
		{PhaseList, "UID SEARCH", "BAD [CLIENTBUG] Additional arguments found after last expected argument",
			class.Bug, "task", 0, policy.Limit, "report"},
		{PhaseDiscover, "LIST", "BAD LIST Command arguments invalid", class.Bug, "task", 0, policy.Limit, "report"},

		{PhaseOpen, "EXAMINE", "NO [UNAVAILABLE] x", class.Network, "account", 30 * time.Second, policy.Retry, ""},
		{PhaseSignIn, "LOGIN", "NO [AUTHENTICATIONFAILED] x", class.Auth, "account", 0, policy.Pause, "password"},
		{PhaseSignIn, "LOGIN", "NO [AUTHORIZATIONFAILED] x", class.Auth, "account", 0, policy.Pause, "password"},
		{PhaseOpen, "EXAMINE", "NO [AUTHORIZATIONFAILED] x", class.Mailbox, "mailbox", 0, policy.Relist,
			"may not read"},
		{PhaseStore, "UID STORE", "NO [AUTHORIZATIONFAILED] x", class.Conflict, "operation", 0, policy.Limit,
			"does not allow"},
		{PhaseSignIn, "LOGIN", "NO [NOPERM] x", class.Auth, "account", 0, policy.Pause, "password"},
		{PhaseOpen, "EXAMINE", "NO [NOPERM] x", class.Mailbox, "mailbox", 0, policy.Relist, "may not read"},
		{PhaseFlags, "UID STORE", "NO [NOPERM] x", class.Conflict, "operation", 0, policy.Limit, "does not allow"},
		{PhaseSignIn, "LOGIN", "NO [EXPIRED] x", class.Auth, "account", 0, policy.Pause, "expired"},
		{PhaseSignIn, "LOGIN", "NO [WEBALERT https://example.org/] x", class.Auth, "account", 0, policy.Pause,
			"browser"},
		{PhaseSignIn, "LOGIN", "NO [PRIVACYREQUIRED] x", class.TLS, "account", 0, policy.Pause, "encrypted"},
		{PhaseSignIn, "LOGIN", "NO [INUSE] x", class.Network, "account", 5 * time.Second, policy.Retry, ""},
		{PhaseOpen, "EXAMINE", "NO [INUSE] x", class.Mailbox, "mailbox", 5 * time.Second, policy.Limit, "by itself"},
		{PhaseFetch, "UID FETCH", "NO [EXPUNGEISSUED] x", class.Parsing, "message", 0, policy.Limit, ""},
		{PhaseOpen, "EXAMINE", "NO [CORRUPTION] x", class.Mailbox, "mailbox", time.Hour, policy.Limit, "damaged"},
		{PhaseList, "UID SEARCH", "BYE [SERVERBUG] Internal error occurred.", class.Network, "connection",
			5 * time.Second, policy.Retry, ""},
		{PhaseSignIn, "LOGIN", "NO [SERVERBUG] Internal error occurred.", class.Network, "account", 5 * time.Second,
			policy.Retry, ""},
		{PhaseFetch, "UID FETCH", "NO [SERVERBUG] Internal error occurred. Refer to server log", class.Parsing,
			"message", 0, policy.Limit, ""},
		{PhaseOpen, "EXAMINE", "NO [SERVERBUG] Internal error occurred. Refer to server log", class.Mailbox,
			"mailbox", 5 * time.Second, policy.Limit, ""},
		{PhaseList, "UID SEARCH", "BAD [CLIENTBUG] x", class.Bug, "task", 0, policy.Limit, "report"},
		{PhaseStore, "APPEND", "NO [LIMIT] x", class.Conflict, "operation", 0, policy.Limit, ""},
		{PhaseList, "UID SEARCH", "NO [LIMIT] x", class.Quota, "account", 5 * m, policy.Retry, "limit"},
		{PhaseStore, "UID COPY", "NO [OVERQUOTA] x", class.Conflict, "operation", 0, policy.Limit, "full"},
		{PhaseFetch, "UID FETCH", "NO [OVERQUOTA] x", class.Quota, "account", 15 * m, policy.Retry, "daily"},
		{PhaseFetch, "UID FETCH", "NO [THROTTLED] x", class.Quota, "account", m, policy.Retry, "pause"},
		{PhaseOpen, "EXAMINE", "NO [NONEXISTENT] x", class.Mailbox, "mailbox", 0, policy.Relist, ""},
		{PhaseStore, "APPEND", "NO [TRYCREATE] x", class.Mailbox, "mailbox", 0, policy.Relist, ""},
		{PhaseOpen, "SELECT", "NO [UIDNOTSTICKY] x", class.Mailbox, "mailbox", 0, policy.Relist, ""},
		{PhaseFetch, "UID FETCH", "NO [MESSAGELIMIT 1000] x", class.Protocol, "connection", 0, policy.Limit, ""},
		{PhaseStore, "DELETE", "NO [CANNOT] x", class.Conflict, "operation", 0, policy.Limit, ""},
		{PhaseStore, "APPEND", "NO [NOTSAVED] x", class.Conflict, "operation", 0, policy.Limit, ""},
		{PhaseStore, "CREATE", "NO [ALREADYEXISTS] x", class.Conflict, "operation", 0, policy.Limit, ""},
		{PhaseStore, "DELETE", "NO [HASCHILDREN] x", class.Conflict, "operation", 0, policy.Limit, ""},
		{PhaseStore, "UID MOVE", "NO [UIDNOTSTICKY] x", class.Conflict, "operation", 0, policy.Limit, ""},
		{PhaseStore, "APPEND", "NO [UNKNOWN-CTE] x", class.Conflict, "operation", 0, policy.Limit, ""},
		{PhaseStore, "APPEND", "NO [TOOBIG] x", class.Conflict, "operation", 0, policy.Limit, "too big"},
	} {
		s := refusal(t, test.command, test.line)
		f := Classify(In(test.phase, s))
		if f.Class != test.class || f.Scope != test.scope || f.Wait.Floor != test.floor || f.Do != test.do ||
			!strings.Contains(f.NextStep(Account{Name: "ada"}), test.hint) {
			t.Errorf("%s, %s: %s, %s, %v, %s, %q", test.phase, test.line, f.Class, f.Scope, f.Wait.Floor, f.Do,
				f.NextStep(Account{Name: "ada"}))
		}
		if strings.Contains(f.NextStep(Account{Name: "ada"}), "{") {
			t.Errorf("%s: %q", test.line, f.NextStep(Account{Name: "ada"}))
		}
		v := policy.Judge(policy.Answer{Type: s.Type, Code: s.Code, Text: s.Text, Command: s.Command,
			Phase: test.phase})
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

// TestOtherPlaces: words that stop an account where it signs in stop nothing elsewhere, and no word makes it sign
// in again at once.
func TestOtherPlaces(t *testing.T) {
	for _, test := range []struct {
		phase, command, line string
		class                class.Class
	}{
		{PhaseFetch, "UID FETCH", "NO lookup failed", class.Parsing},
		{PhaseFetch, "UID FETCH", "BAD [CLIENTBUG] Command arguments invalid", class.Parsing},
		{PhaseOpen, "EXAMINE", "NO no such user", class.Mailbox},
		{PhaseOpen, "EXAMINE", "NO [ALERT] look here", class.Mailbox},
		{PhaseSignIn, "LOGIN", "BAD Command Argument Error. 12", class.Auth},
		{PhaseSignIn, "LOGIN", "BAD [CLIENTBUG] Additional arguments found after last expected argument", class.Auth},
		{PhaseSignIn, "LOGIN", "NO [CORRUPTION] x", class.Auth},
		{PhaseSignIn, "LOGIN", "NO [CONTACTADMIN] call us", class.Auth},
		{PhaseList, "UID SEARCH", "NO [NOMODSEQ] x", class.Protocol},
		{PhaseList, "UID SEARCH", "NO something new", class.Protocol},
	} {
		if f := Classify(In(test.phase, refusal(t, test.command, test.line))); f.Class != test.class {
			t.Errorf("%s, %s: %s", test.phase, test.line, f.Class)
		}
	}
}

// TestOneProblem: the numbers in a server's words make no new problem, other words do.
func TestOneProblem(t *testing.T) {
	print := func(line string) string {
		return Classify(In(PhaseOpen, refusal(t, "EXAMINE", line))).Fingerprint(1, 2)
	}
	first := print("BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds")
	if print("BAD Request is throttled. Suggested Backoff Time: 12 milliseconds") != first ||
		print("BAD Request is refused") == first {
		t.Error("one problem is taken for two, or two for one")
	}
}
