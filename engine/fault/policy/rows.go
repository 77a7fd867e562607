package policy

import (
	"time"

	"mailcote/storage/class"
)

// Row describes one answer of a server.
type Row struct {
	Text  string // lower-case fragment, "…" stands for anything; "": any text
	Code  string // response code; "": any or none
	Type  string // NO, BAD or BYE; "": any
	On    Where  // "": anywhere
	Who   string // which servers say so
	Class class.Class
	Scope string
	Wait  Wait
	Do    Action      // "": the class's action
	Tries int         // 0: the class's number
	Then  class.Class // not "": the class of the fault after Tries attempts
	Hint  string      // "": the class's Shows
	Local bool        // said inside a mailbox, it may concern that mailbox only
}

// none is the Code of a row that matches only answers without a code.
const none = "-"

const (
	second = time.Second
	minute = time.Minute
	hour   = time.Hour
)

// The hints that several rows share.
const (
	crowded = "the server takes no more connections now: close other mail programs if it lasts; it goes on by itself"
	daily   = "the provider's daily limit was reached: it resumes by itself, within a day"
	paced   = "the provider asks for a pause: it goes on by itself"
	browser = "the provider wants you to sign in with a web browser first; then mailcote sync {account}"
	appPass = "the provider wants an app password, made in the settings of your account there; then mailcote sync " +
		"{account}"
	imapOff = "IMAP is switched off for this account or its domain: switch it on in the provider's web settings, " +
		"then mailcote sync {account}"
	perhaps = "the password is wrong, or IMAP is switched off (some providers do that after a time without use): " +
		"check both in the provider's web settings, then mailcote sync {account}"
	tokenOld = "the password is wrong, or the provider takes none for this account (an app password may help); then " +
		"mailcote sync {account}"
	codeOnly = "the provider wants an authorization code from its web settings in place of the password; then " +
		"mailcote sync {account}"
	unread = "the server did not understand how mailcote signs in, which says nothing about the password: check the " +
		"host and the port, then mailcote sync {account}"
	cannotNow = "the server was reached and says that it cannot serve now: the next sync goes on from here"
	ours      = "the server does not understand a command of mailcote's: please report it with the server's words"
	damaged   = "the server reports a damaged mailbox: its operator can repair it; the other mailboxes go on"
	refused   = "the server refuses a command: it is tried again by itself"
	refusing  = "the server refuses something in this mailbox for now: it is tried again by itself; the other " +
		"mailboxes go on"
	noRight = "the account may not read this mailbox; the others go on"
	noWrite = "the server does not allow this change; nothing was changed there"
	tooBig  = "the message is too big for the server"
	fullBox = "the mailbox is full: delete something there"
)

// HungUp is the hint after a server has closed the connection.
const HungUp = "the server was reached and closed the connection: the next sync goes on from here; if it lasts, ask " +
	"the server's operator"

// Texts returns the known texts of servers. They are matched against the text
// after the response code, and the first match wins.
func Texts() []Row {
	limit := Wait{5 * minute, 2, hour}
	perDay := Wait{15 * minute, 4, 12 * hour}
	return []Row{
		// Limits come first: too many sign-ins are often reported in the words
		// of a failed one.
		{Text: "too many simultaneous connections", Who: "Gmail, Yahoo", Class: class.Quota, Scope: "account",
			Wait: Wait{minute, 2, 15 * minute}, Hint: crowded},
		{Text: "too many connections from this ip", Who: "small hosters", Class: class.Quota, Scope: "account",
			Wait: Wait{minute, 2, 15 * minute}, Hint: crowded},
		{Text: "maximum number of connections from user+ip exceeded", Who: "Dovecot", Class: class.Quota,
			Scope: "account", Wait: Wait{30 * second, 2, 15 * minute}, Hint: crowded},
		{Text: "rate limit hit", Who: "Yahoo, AOL", Class: class.Quota, Scope: "account", Wait: limit, Hint: paced},
		{Text: "per-10 minute limit for logins", Who: "Fastmail", Class: class.Quota, Scope: "account",
			Wait: Wait{10 * minute, 1, 0}, Hint: paced},
		{Text: "account exceeded command or bandwidth limits", Who: "Gmail", Class: class.Quota, Scope: "account",
			Wait: perDay, Hint: daily},
		{Text: "bandwidth limits", Who: "Gmail", Class: class.Quota, Scope: "account", Wait: perDay, Hint: daily},
		{Text: "request is throttled", Who: "Microsoft", Class: class.Quota, Scope: "account",
			Wait: Wait{minute, 2, 15 * minute}, Hint: paced},
		{Text: "connection closed. 14", Who: "Microsoft", Class: class.Quota, Scope: "account",
			Wait: Wait{minute, 2, 15 * minute}, Hint: paced},
		{Text: "server unavailable. 15", Who: "Exchange", Class: class.Quota, Scope: "account",
			Wait: Wait{minute, 2, 15 * minute}, Hint: paced, Local: true},
		{Text: "user is authenticated but not connected", Who: "Microsoft", Class: class.Quota, Scope: "account",
			Wait: Wait{2 * minute, 1, 0}, Tries: 3, Then: class.Auth,
			Hint: "the server signed in and gives no mailbox: too many sign-ins lately, or no right to this mailbox"},
		{Text: "service is temporarily not available", Who: "Yahoo", Class: class.Quota, Scope: "account", Wait: limit,
			Hint: paced, Local: true},
		{Text: "too many login attempts", Who: "Proton Bridge", Class: class.Quota, Scope: "account",
			Wait: limit, Tries: 3, Then: class.Auth,
			Hint: "the bridge takes no sign-in for a while: check the bridge's own password"},

		// One message in the range.
		{Text: "server error while fetching messages", On: Fetch, Who: "Yahoo", Class: class.Parsing, Scope: "message"},
		{Text: "server error - please try again later", On: Fetch, Who: "Yahoo",
			Class: class.Parsing, Scope: "message"},
		{Text: "server error - please try again later", Who: "Yahoo", Class: class.Quota, Scope: "account", Wait: limit,
			Hint: paced, Local: true},
		{Text: "system error (failure)", On: Fetch, Who: "Gmail", Class: class.Parsing, Scope: "message"},
		{Text: "some messages could not be fetched (failure)", On: Fetch, Who: "Gmail",
			Class: class.Parsing, Scope: "message"},

		// The session.
		{Text: "session invalidated - accesstokenexpired", Type: "BYE", Who: "Microsoft",
			Class: class.Network, Scope: "connection", Hint: HungUp},
		{Text: "session expired, please login again", Type: "BYE", Who: "Gmail",
			Class: class.Network, Scope: "connection", Hint: HungUp},
		{Text: "server logging out", Type: "BYE", Who: "many", Class: class.Network, Scope: "connection",
			Hint: HungUp},
		{Text: "server signing off", Type: "BYE", Who: "Microsoft", Class: class.Network, Scope: "connection",
			Hint: HungUp},
		{Text: "closing connection", Type: "BYE", Who: "many", Class: class.Network, Scope: "connection",
			Hint: HungUp},
		{Text: "ocf12", Who: "Yahoo", Class: class.Network, Scope: "account", Hint: cannotNow, Local: true},
		{Text: "command received in invalid state", Who: "Microsoft", Class: class.Protocol, Scope: "connection"},
		{Text: "command argument error. 11", Who: "Exchange", Class: class.Protocol, Scope: "connection", Hint: ours},
		{Text: "command argument error. 12", Who: "Exchange", Class: class.Protocol, Scope: "connection", Hint: ours},
		{Text: "invalid messageset", Who: "Dovecot", Class: class.Protocol, Scope: "connection"},

		// Signing in.
		{Text: "invalid credentials (failure)", On: SignIn, Who: "Gmail", Class: class.Auth, Scope: "account"},
		{Text: "application-specific password required", On: SignIn, Who: "Gmail", Class: class.Auth, Scope: "account",
			Hint: appPass},
		{Text: "web login required", On: SignIn, Who: "Gmail", Class: class.Auth, Scope: "account", Hint: browser},
		{Text: "please log in via your web browser", On: SignIn, Who: "Gmail", Class: class.Auth, Scope: "account",
			Hint: browser},
		{Text: "not enabled for imap use", On: SignIn, Who: "Google", Class: class.Auth, Scope: "account",
			Hint: imapOff},
		{Text: "imap access is disabled for your domain", On: SignIn, Who: "Google", Class: class.Auth,
			Scope: "account", Hint: imapOff},
		{Text: "lookup failed", On: SignIn, Who: "Google", Class: class.Auth, Scope: "account", Hint: imapOff},
		{Text: "basic authentication is disabled", On: SignIn, Who: "Microsoft", Class: class.Auth, Scope: "account",
			Hint: tokenOld},
		{Text: "login failed.", On: SignIn, Who: "Microsoft", Class: class.Auth, Scope: "account", Hint: tokenOld},
		{Text: "authenticate failed.", On: SignIn, Who: "Microsoft", Class: class.Auth, Scope: "account",
			Hint: tokenOld},
		{Text: "login to your account via a web browser", On: SignIn, Who: "Outlook", Class: class.Auth,
			Scope: "account", Hint: browser},
		{Text: "invalid credentials or imap is disabled", On: SignIn, Who: "Yandex", Class: class.Auth,
			Scope: "account", Hint: perhaps},
		{Text: "(#auth901)", On: SignIn, Who: "Yahoo", Class: class.Auth, Scope: "account", Hint: appPass},
		{Text: "unsafe login", Who: "NetEase", Class: class.Auth, Scope: "account",
			Hint: "the provider does not trust this program: allow it in its web settings, then mailcote sync " +
				"{account}"},
		{Text: "please using authorized code to login", On: SignIn, Who: "QQ", Class: class.Auth, Scope: "account",
			Hint: codeOnly},
		{Text: "authorized code is incorrect", On: SignIn, Who: "QQ", Class: class.Auth, Scope: "account",
			Hint: codeOnly},
		{Text: "please using weixin token", On: SignIn, Who: "QQ", Class: class.Auth, Scope: "account", Hint: codeOnly},
		{Text: "login error or password error", On: SignIn, Who: "NetEase", Class: class.Auth, Scope: "account",
			Hint: codeOnly},
		{Text: "authentication failed", Code: none, On: SignIn, Who: "GMX, web.de", Class: class.Auth, Scope: "account",
			Hint: perhaps},
		{Text: "full imap support is not enabled for this account", On: SignIn, Who: "hosters",
			Class: class.Auth, Scope: "account", Hint: imapOff},
		{Text: "no such user", On: SignIn, Who: "Proton Bridge", Class: class.Auth, Scope: "account",
			Hint: "the server knows no such user; a bridge must be started and signed in first; then mailcote sync " +
				"{account}"},
		{Text: "user …not found", On: SignIn, Who: "Proton Bridge", Class: class.Auth, Scope: "account",
			Hint: "the server knows no such user; a bridge must be started and signed in first; then mailcote sync " +
				"{account}"},
		{Text: "country blocked", On: SignIn, Who: "Dovecot sites", Class: class.Auth, Scope: "account",
			Hint: "the server takes no sign-in from where you are; then mailcote sync {account}"},

		// Mailboxes and changes.
		{Text: "unknown mailbox", Code: "NONEXISTENT", Who: "Gmail", Class: class.Mailbox, Scope: "mailbox"},
		{Text: "mailbox doesn't exist", Who: "Dovecot", Class: class.Mailbox, Scope: "mailbox"},
		{Text: "folder contains excess whitespace", On: Open, Who: "Gmail", Class: class.Mailbox, Scope: "mailbox"},
		{Text: "folder contains excess whitespace", On: Writing, Who: "Gmail", Class: class.Conflict,
			Scope: "operation", Hint: noWrite},
		{Text: "folder name is reserved", On: Writing, Who: "Microsoft", Class: class.Conflict, Scope: "operation",
			Hint: noWrite},
		{Text: "mailbox already exists", On: Writing, Who: "Microsoft", Class: class.Conflict, Scope: "operation",
			Hint: noWrite},
		{Text: "maximum size of appendable message has been exceeded", On: Writing, Who: "Microsoft",
			Class: class.Conflict, Scope: "operation", Hint: tooBig},
		{Text: "additional arguments found", Code: "CLIENTBUG", Who: "Yahoo", Class: class.Bug, Scope: "task",
			Hint: ours},
		{Text: "command arguments invalid", Who: "Yahoo", Class: class.Bug, Scope: "task", Hint: ours},
	}
}

// Codes returns the response codes, for answers whose text is unknown. The
// first match wins. CONTACTADMIN and ALERT have no row: their text is shown,
// and the class follows from the place.
func Codes() []Row {
	return []Row{
		{Code: "UNAVAILABLE", Class: class.Network, Scope: "account",
			Wait: Wait{30 * second, 2, 15 * minute}, Hint: cannotNow, Local: true},
		{Code: "AUTHENTICATIONFAILED", Class: class.Auth, Scope: "account"},
		{Code: "AUTHORIZATIONFAILED", On: Open, Class: class.Mailbox, Scope: "mailbox", Hint: noRight},
		{Code: "AUTHORIZATIONFAILED", On: Writing, Class: class.Conflict, Scope: "operation", Hint: noWrite},
		{Code: "AUTHORIZATIONFAILED", Class: class.Auth, Scope: "account"},
		{Code: "NOPERM", On: SignIn, Class: class.Auth, Scope: "account"},
		{Code: "NOPERM", On: Writing, Class: class.Conflict, Scope: "operation", Hint: noWrite},
		{Code: "NOPERM", Class: class.Mailbox, Scope: "mailbox", Hint: noRight},
		{Code: "EXPIRED", Class: class.Auth, Scope: "account",
			Hint: "the password has expired: set a new one at the provider, then mailcote sync {account}"},
		{Code: "WEBALERT", Class: class.Auth, Scope: "account", Hint: browser},
		{Code: "PRIVACYREQUIRED", Class: class.TLS, Scope: "account",
			Hint: "the server wants an encrypted connection: try {starttls} ({set starttls}) or {imaps} ({set imaps})"},
		{Code: "INUSE", On: SignIn, Class: class.Network, Scope: "account", Wait: Wait{5 * second, 2, 2 * minute},
			Hint: cannotNow},
		{Code: "INUSE", Class: class.Mailbox, Scope: "mailbox",
			Wait: Wait{5 * second, 2, 2 * minute}, Do: Limit, Tries: 10,
			Hint: "another program holds the mailbox: it is tried again by itself"},
		{Code: "EXPUNGEISSUED", Class: class.Parsing, Scope: "message"},
		{Code: "CORRUPTION", Class: class.Mailbox, Scope: "mailbox", Wait: Wait{hour, 1, 0}, Do: Limit, Tries: 3,
			Hint: damaged},
		{Code: "SERVERBUG", Type: "BYE", Class: class.Network, Scope: "connection",
			Wait: Wait{5 * second, 12, 10 * minute}, Hint: HungUp},
		{Code: "SERVERBUG", On: SignIn, Class: class.Network, Scope: "account",
			Wait: Wait{5 * second, 12, 10 * minute}, Hint: cannotNow},
		{Code: "SERVERBUG", On: Fetch, Class: class.Parsing, Scope: "message"},
		{Code: "SERVERBUG", On: Open, Class: class.Mailbox, Scope: "mailbox",
			Wait: Wait{5 * second, 12, 10 * minute}, Do: Limit, Tries: 3},
		{Code: "CLIENTBUG", Class: class.Bug, Scope: "task", Hint: ours},
		{Code: "LIMIT", On: Writing, Class: class.Conflict, Scope: "operation", Hint: noWrite},
		{Code: "LIMIT", Class: class.Quota, Scope: "account", Wait: Wait{5 * minute, 2, hour}, Local: true},
		{Code: "OVERQUOTA", On: Writing, Class: class.Conflict, Scope: "operation", Hint: fullBox},
		{Code: "OVERQUOTA", Class: class.Quota, Scope: "account", Wait: Wait{15 * minute, 4, 12 * hour}, Hint: daily},
		{Code: "THROTTLED", Class: class.Quota, Scope: "account", Hint: paced},
		{Code: "NONEXISTENT", Class: class.Mailbox, Scope: "mailbox"},
		{Code: "TRYCREATE", Class: class.Mailbox, Scope: "mailbox"},
		{Code: "UIDNOTSTICKY", On: Open, Class: class.Mailbox, Scope: "mailbox"},
		{Code: "MESSAGELIMIT", Class: class.Protocol, Scope: "connection"},
		{Code: "CANNOT", On: Writing, Class: class.Conflict, Scope: "operation", Hint: noWrite},
		{Code: "NOTSAVED", On: Writing, Class: class.Conflict, Scope: "operation", Hint: noWrite},
		{Code: "ALREADYEXISTS", On: Writing, Class: class.Conflict, Scope: "operation", Hint: noWrite},
		{Code: "HASCHILDREN", On: Writing, Class: class.Conflict, Scope: "operation", Hint: noWrite},
		{Code: "UIDNOTSTICKY", On: Writing, Class: class.Conflict, Scope: "operation", Hint: noWrite},
		{Code: "UNKNOWN-CTE", On: Writing, Class: class.Conflict, Scope: "operation", Hint: noWrite},
		{Code: "TOOBIG", On: Writing, Class: class.Conflict, Scope: "operation", Hint: tooBig},
	}
}
