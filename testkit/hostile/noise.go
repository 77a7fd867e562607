package hostile

import (
	"fmt"
	"slices"
	"strings"

	"mailcote/testkit/script"
)

// The capabilities that scripts are mixed with.
const (
	Bare      = "IMAP4rev1 AUTH=PLAIN"
	OnlyLogin = "IMAP4rev1"
	Modern    = script.Capabilities + " UIDPLUS MOVE ENABLE QRESYNC NAMESPACE SPECIAL-USE IDLE"
	Unlisted  = "IMAP4rev1 AUTH=PLAIN CONDSTORE ESEARCH ID" // no LIST-STATUS
)

// All gives every script.
func All() []Script {
	var all []Script
	for _, some := range [][]Script{noise(), codes(), phases(), fetches(), listings(), mailboxes(), floods(),
		strangers()} {
		all = append(all, some...)
	}
	slices.SortStableFunc(all, func(a, b Script) int { return strings.Compare(a.Name, b.Name) })
	caps := []string{"", Bare, Modern, Unlisted, OnlyLogin}
	for i := range all {
		if all[i].Capabilities == "" {
			all[i].Capabilities = caps[i%len(caps)]
		}
	}
	return all
}

// noise is what nobody asked for, before every answer in INBOX.
func noise() []Script {
	var all []Script
	for _, n := range []struct {
		line string
		harm Harm
		lies bool
	}{
		{"* OK Still here", Nothing, false},
		{"* OK", Nothing, false},
		{"*  OK   [ALERT]   \x1b[31mlook\x07", Nothing, false},
		{"* OK [ALERT] " + strings.Repeat("x", 20_000), Nothing, false},
		{"* NO [ALERT] the disk is nearly full", Nothing, false},
		{"* BAD what was that", Nothing, false},
		{"* PREAUTH welcome", Nothing, false},
		{"* OK [UNCLOSED", Nothing, false},
		{"* OK [] nothing", Nothing, false},
		{"* OK []]][ x", Nothing, false},
		{"* OK [REFERRAL imap://evil.example/] go there", Nothing, false},
		{"* OK [WEBALERT https://evil.example/] sign in there", Nothing, false},
		{"* OK [THROTTLED] slow down", Nothing, false},
		{"* OK [COMPRESSIONACTIVE] x", Nothing, false},
		{"* OK [CLOSED] x", Nothing, false},
		{"* OK [READ-WRITE] x", Nothing, false},
		{"* OK [PERMANENTFLAGS (\\* [ ] \\Seen)] x", Nothing, false},
		{"* OK [UNSEEN 99999999999] x", Nothing, false},
		{"* OK [UIDVALIDITY 77] another", Inbox, false},
		{"* OK [UIDVALIDITY 0] none", Inbox, false},
		{"* OK [UIDNEXT 0] none", Nothing, false},
		{"* OK [UIDNEXT 1] one", Nothing, false},
		{"* OK [HIGHESTMODSEQ 9223372036854775808] high", Nothing, false},
		{"* OK [HIGHESTMODSEQ 1] low", Nothing, false},
		{"* OK [CAPABILITY IMAP4rev1] less", Nothing, false},
		{"* CAPABILITY", Nothing, false},
		{"* CAPABILITY IMAP4rev1 " + strings.Repeat("X ", 5000), Nothing, false},
		{"* FLAGS (\\Answered " + strings.Repeat("$f ", 5000) + ")", Nothing, false},
		{"* FLAGS NIL", Nothing, false},
		{`* LIST () "/" "INBOX"`, Nothing, false},
		{`* LIST (\Noselect) NIL INBOX`, Nothing, false},
		{`* LSUB () "/" "x"`, Nothing, false},
		{`* STATUS "INBOX" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 5)`, Nothing, false},
		{`* SEARCH 1 2 3 4294967295`, Inbox, false},
		{`* SEARCH`, Nothing, false},
		{`* ESEARCH (TAG "zz") UID ALL 1:4294967295`, Nothing, false},
		{`* ESEARCH`, Nothing, false},
		{"* VANISHED 1:4294967295", Inbox, false},
		{"* VANISHED (EARLIER) 1:4294967295", Nothing, false},
		{"* VANISHED 4294967295:1,7,7,0", Inbox, false},
		{"* VANISHED 1:*", Inbox, false},
		{"* 0 EXISTS", Inbox, false},
		{"* 4294967295 EXISTS", Inbox, false},
		{"* 4294967296 EXISTS", Nothing, false},
		{"* 99999999999999999999999 EXISTS", Nothing, false},
		{"* -1 EXISTS", Nothing, false},
		{"* EXISTS", Nothing, false},
		{"* 1 EXPUNGE", Inbox, false},
		{"* 0 EXPUNGE", Nothing, false},
		{"* 4294967295 EXPUNGE", Inbox, false},
		{"* 5 RECENT", Nothing, false},
		{`* 1 FETCH (UID 1 FLAGS (\Deleted $lie))`, Nothing, true},
		{`* 1 FETCH (FLAGS (\Deleted))`, Nothing, false},
		{`* 1 FETCH (UID 0 FLAGS (\Deleted))`, Nothing, false},
		{"* 1 FETCH (UID 4294967295 FLAGS () BODY[] {5}\r\nhello)", Nothing, false},
		{"* 1 FETCH (FLAGS () BODY[] {5}\r\nhello)", Nothing, false},
		{"* 0 FETCH (UID 1)", Nothing, false},
		{"* 1 FETCH ()", Nothing, false},
		{"* 1 FETCH (X-FOO (((1 (2 {3}\r\nabc)))) Y-BAR NIL)", Nothing, false},
		{"* ID NIL", Nothing, false},
		{"* ID (\"a\" NIL \"b\")", Nothing, false},
		{`* NAMESPACE (("" "/")) NIL NIL`, Nothing, false},
		{`* QUOTA "" (STORAGE 10 512)`, Nothing, false},
		{"* ENABLED QRESYNC", Nothing, false},
		{"* THREAD (2)(3 6 (4 23)(44 7 96))", Nothing, false},
		{"* XUNKNOWN anything at all", Nothing, false},
		{"* 7 XUNKNOWN", Nothing, false},
		{"   * OK behind spaces", Nothing, false},
		{"\x00\x00* OK behind NULs", Nothing, false},
		{"\r\n\r\n", Nothing, false},
		{"+ idling", Nothing, false},
		{"+", Nothing, false},
	} {
		all = append(all, Script{Name: fmt.Sprintf("unasked/%.40q", n.line), Harm: n.harm, Lies: n.lies,
			Mix: []Mixin{First(InInbox, n.line+"\r\n")}})
	}
	return all
}

// codes refuse a command with every response code there is.
func codes() []Script {
	account := []string{"UNAVAILABLE", "AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED",
		"LIMIT", "OVERQUOTA", "THROTTLED", "WEBALERT https://evil.example/", "INUSE"}
	message := []string{"CONTACTADMIN", "NOPERM", "EXPUNGEISSUED", "CORRUPTION", "SERVERBUG", "CLIENTBUG", "CANNOT",
		"NONEXISTENT", "TRYCREATE", "ALREADYEXISTS",
		"HASCHILDREN", "UIDNOTSTICKY", "BADCHARSET (X)", "UNKNOWN-CTE", "TOOBIG", "NOTSAVED", "ALERT", "NOMODSEQ",
		"HIGHESTMODSEQ 5", "MESSAGELIMIT 1", "MESSAGELIMIT 0",
		"PARSE", "X-NEW thing", ""}
	var all []Script
	add := func(code string, p Place, harm Harm) {
		for _, kind := range []string{"NO", "BAD"} {
			if kind == "BAD" && len(all)%3 > 0 { // some, or it would be said twice
				continue
			}
			all = append(all, Script{Name: fmt.Sprintf("%s [%s] to %s", kind, code, p), Harm: harm,
				Mix: []Mixin{Do(p, script.Action(fmt.Sprintf("%s [%s] not now", kind, code)))}})
		}
	}
	for _, p := range []Place{Open, Search, Body} {
		for _, code := range account {
			add(code, p, Account)
		}
		for _, code := range message {
			add(code, p, Inbox)
		}
	}
	for _, code := range []string{"SERVERBUG", "LIMIT", "CANNOT", ""} {
		add(code, Flags, Account)
		add(code, List, Account)
		add(code, Noop, Account)
	}
	return all
}

// phases break the talk at each place: by BYE, by the end of the connection, by
// silence, or by OK without data.
func phases() []Script {
	var all []Script
	for _, p := range []Place{Greeting, SignIn, Ident, List, Status, Open, Search, Flags, Body, Noop, Logout} {
		harm := Inbox
		if p == Greeting || p == SignIn || p == Ident || p == List || p == Status {
			harm = Account
		}
		if p == Logout {
			harm = Nothing
		}
		for _, a := range []script.Action{"BYE [UNAVAILABLE] going down", "BYE", script.Drop, script.Bare} {
			if a == script.Bare && p == Greeting {
				continue
			}
			worst := max(harm, Inbox)
			if strings.Contains(string(a), "UNAVAILABLE") { // which speaks for the account
				worst = Account
			}
			all = append(all, Script{Name: fmt.Sprintf("%s always: %q", p, a), Harm: worst, Lies: p == Flags &&
				a == script.Bare, Capabilities: passing(p), Mix: []Mixin{Do(p, a)}})
		}
		all = append(all, Script{Name: fmt.Sprintf("%s once: BYE", p), Harm: harm, Capabilities: passing(p),
			Mix: []Mixin{Once(p, "BYE autologout")}},
			Script{Name: fmt.Sprintf("%s once: silence", p), Harm: harm, Capabilities: passing(p),
				Mix: []Mixin{Once(p, script.Silent)}})
		all = append(all, Script{Name: fmt.Sprintf("%s: BYE inside the answer", p), Harm: max(harm, Inbox),
			Capabilities: passing(p), Mix: []Mixin{First(p, "* BYE in the middle\r\n")}})
	}
	return all
}

// passing gives the capabilities with which a command of a place is sent.
func passing(p Place) string {
	if p == Status {
		return Unlisted
	}
	return ""
}
