package hostile

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// mailboxes spoil LIST and STATUS.
func mailboxes() []Script {
	var all []Script
	for _, name := range []string{
		`"../../etc/passwd"`, `"/etc/passwd"`, `"C:\\x"`, `"CON"`, `"nul."`, `"a:b"`, `""`, `" "`, `"  lead"`,
		`"trail  "`, `"INBOX "`, `"NIL"`, `NIL`, `"*"`, `"%"`, `"a\"b"`,
		`"` + strings.Repeat("x", 64<<10) + `"`, `"` + strings.Repeat("d/", 1000) + `"`, `"&bad-utf7"`, `"&"`,
		`"&AAAAAA-"`, `"&2AA-"`, "\"\xff\xfe\"", "\"caf\xc3\xa9\"", "\"cafe\xcc\x81\"",
		"\"\u202egnp.exe\"", "{5}\r\na\r\nb!", "{3}\r\na\x00b", "{4}\r\n}{3}", "{0}\r\n", `x y z`, `~x`, `"inbox"`,
		`"InBoX"`, `"INBOX/INBOX"`,
	} {
		all = append(all, Script{Name: fmt.Sprintf("list/name %.30q", name), Harm: Extra,
			Mix: []Mixin{First(List, "* LIST () \"/\" "+name+"\r\n")}})
	}
	for _, line := range []string{
		`* LIST`, `* LIST () "/" {x`, `* LIST ()`, `* LIST () NIL`, `* LIST (\HasNoChildren \) "/" "x"`,
		`* LIST (NIL) "/" "x"`, `* LIST NIL "/" "x"`, `* LIST (` + strings.Repeat(`\X`, 20_000) + `) "/" "x"`,
		`* LIST (\Noselect \NonExistent) "/" "gone"`, `* LIST () "//" "x"`, `* LIST () "" "x"`,
		"* LIST () \"\\\\\" \"x\"", `* LIST () "/" "x" (CHILDINFO ("SUBSCRIBED") OLDNAME ("y"))`,
		`* LIST ((\Deep)) "/" "x"`, `* LIST () / x`, `* LIST (\All \Sent \Trash \Junk \Drafts \Archive) "/" "x"`,
		`* STATUS "INBOX" ()`, `* STATUS "INBOX"`, `* STATUS`, `* STATUS "none" (MESSAGES 5)`,
		`* STATUS "INBOX" (MESSAGES 5 ) `, `* STATUS "INBOX" (MESSAGES x)`, `* STATUS "INBOX" (MESSAGES`,
	} {
		all = append(all, Script{Name: fmt.Sprintf("list/line %.40q", line), Harm: Account,
			Mix: []Mixin{First(List, line+"\r\n")}})
	}
	for name, rewrite := range map[string]func(string) string{
		"MESSAGES 0": swap(`MESSAGES \d+`, "MESSAGES 0"), "UIDNEXT 0": swap(`UIDNEXT \d+`, "UIDNEXT 0"),
		"UIDVALIDITY 0":      swap(`UIDVALIDITY \d+`, "UIDVALIDITY 0"),
		"UIDVALIDITY 5":      swap(`UIDVALIDITY \d+`, "UIDVALIDITY 5"),
		"HIGHESTMODSEQ 2^63": swap(`HIGHESTMODSEQ \d+`, "HIGHESTMODSEQ 9223372036854775808"),
		"HIGHESTMODSEQ -1":   swap(`HIGHESTMODSEQ \d+`, "HIGHESTMODSEQ -1"), "nothing": swap(`\(MESSAGES[^)]*\)`, "()"),
		"no STATUS": drop(`\* STATUS`),
		"another's": swap(`STATUS "[^"]*"`, `STATUS "none"`), "all of INBOX": swap(`STATUS "[^"]*"`, `STATUS "INBOX"`),
	} {
		all = append(all, Script{Name: "status/" + name, Mix: []Mixin{Say(List, rewrite), Say(Status, rewrite)}})
	}
	all = append(all,
		Script{Name: "list/each mailbox twice", Mix: []Mixin{Say(List, swap(`^(\* LIST.*)$`, "$1\r\n$1"))}},
		Script{Name: "list/the delimiter changes", Mix: []Mixin{Say(List, swap(`"/"`, `"."`))}},
		Script{Name: "list/no delimiter", Mix: []Mixin{Say(List, swap(`"/"`, `NIL`))}},
		Script{Name: "list/INBOX in lower case", Mix: []Mixin{Say(List, swap(`"INBOX"`, `"inbox"`))}},
		Script{Name: "list/nothing", Harm: Account, Mix: []Mixin{Say(List, drop(`^\*`))}},
		Script{Name: "list/INBOX missing", Harm: Inbox, Lies: true, Mix: []Mixin{Say(List, drop(`LIST .*"INBOX"`))}},
		Script{Name: "list/INBOX cannot be selected", Harm: Inbox, Lies: true,
			Mix: []Mixin{Say(List, swap(`LIST \(.*\) "/" "INBOX"`, `LIST (\Noselect) "/" "INBOX"`))}},
	)
	return all
}

// floods never end, or nearly so.
func floods() []Script {
	var all []Script
	for _, p := range []Place{Greeting, SignIn, List, Open, Search, Body} {
		harm := Inbox
		if p == Greeting || p == SignIn || p == List {
			harm = Account
		}
		for _, f := range []struct{ name, start, text string }{
			{"untagged lines", "", "* OK Still here\r\n"},
			{"continuations", "", "+ go on\r\n"},
			{"a line", "* OK ", "x"},
			{"spaces", "", " "},
			{"empty lines", "", "\r\n"},
			{"open parentheses", "* 1 FETCH (X-DEEP ", "("},
			{"garbage", "", "\x00\xff\x1b[2J\x80(\")}{"},
		} {
			all = append(all, Script{Name: fmt.Sprintf("endless %s at %s", f.name, p), Harm: harm,
				Mix: []Mixin{Endless(p, f.start, f.text)}})
		}
	}
	for _, f := range []struct {
		name, start, text string
		p                 Place
		harm              Harm
	}{
		{"EXISTS", "", "* 7 EXISTS\r\n", Open, Inbox},
		{"UIDs", "* SEARCH ", "1 2 ", Search, Inbox},
		{"other UIDs", "* SEARCH ", "1 3 5 7 2000000000 4000000000 ", Search, Inbox},
		{"ranges", "* ESEARCH (TAG \"x\") UID ALL 1", ",3:4,9", Search, Inbox},
		{"LIST", "", "* LIST () \"/\" \"x\"\r\n", List, Account},
		{"flags", "* 1 FETCH (UID 1 FLAGS (", "$a ", Body, Inbox},
		{"items", "* 1 FETCH (UID 1", " X-A 1", Body, Inbox},
		{"small messages", "", "* 1 FETCH (UID 4294967295 BODY[] {1}\r\nx)\r\n", Body, Inbox},
		{"a literal's size", "* 1 FETCH (BODY[] {1", "0", Body, Inbox},
		{"VANISHED", "", "* VANISHED 1:4294967295\r\n", Noop, Inbox},
		{"EXPUNGE", "", "* 1 EXPUNGE\r\n", Noop, Inbox},
		{"CAPABILITY", "* CAPABILITY ", "X-Y ", SignIn, Account},
		{"ID", "* ID (", "\"a\" \"b\" ", Ident, Account},
	} {
		all = append(all, Script{Name: "endless " + f.name, Harm: f.harm, Mix: []Mixin{Endless(f.p, f.start, f.text)}})
	}
	var many strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&many, "* LIST (\\Noselect) \"/\" \"flood/%d\"\r\n", i)
	}
	all = append(all,
		Script{Name: "2000 more mailboxes", Harm: Extra, Mix: []Mixin{First(List, many.String())}},
		Script{Name: "50,000 EXISTS", Mix: []Mixin{First(Noop, strings.Repeat("* 7 EXISTS\r\n", 50_000)+"* OK")},
			Harm: Inbox},
		Script{Name: "50,000 flag changes", Mix: []Mixin{First(Noop,
			strings.Repeat("* 1 FETCH (UID 4294967295 FLAGS ($x))\r\n", 50_000))}},
		Script{Name: "4 MB of a literal nobody asked for", Mix: []Mixin{First(InInbox,
			"* 1 FETCH (UID 1 X-BIG {4194304}\r\n"+strings.Repeat("x", 4<<20)+")\r\n")}},
	)
	return all
}

// strangers are servers of another protocol, or another IMAP server than
// before.
func strangers() []Script {
	var all []Script
	for name, text := range map[string]string{
		"HTTP": "HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\n\r\n<html></html>",
		"SMTP": "220 mail.example ESMTP\r\n", "SSH": "SSH-2.0-OpenSSH_9.2\r\n",
		"POP3": "+OK ready\r\n", "TLS": "\x15\x03\x01\x00\x02\x02\x28",
		"PREAUTH": "* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n", "a tagged greeting": "m1 OK hello\r\n",
		"NO": "* NO go away\r\n", "BAD": "* BAD\r\n", "no text": "*\r\n",
		"no IMAP4rev1":  "* OK [CAPABILITY POP4] hello\r\n",
		"LOGINDISABLED": "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hello\r\n",
		"STARTTLS only": "* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hello\r\n",
		"a FETCH":       "* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\n",
	} {
		all = append(all, Script{Name: "greeting/" + name, Harm: Account, Mix: []Mixin{Instead(Greeting, text)}})
	}
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 6))
		p := []Place{Open, Search, Flags, Body, Noop, List}[seed%6]
		noise := make([]byte, 2000)
		for i := range noise {
			noise[i] = byte(random.Uint32())
			if random.IntN(4) == 0 { // so that some of it looks like IMAP
				noise[i] = "* ()\"{}\r\n1FETCHUIDOK"[random.IntN(20)]
			}
		}
		harm := Inbox
		if p == List {
			harm = Account
		}
		all = append(all, Script{Name: fmt.Sprintf("random bytes %d at %s", seed, p), Harm: harm,
			Mix: []Mixin{First(p, string(noise))}})
	}
	for _, p := range []Place{Open, Search, Body} {
		all = append(all,
			Script{Name: fmt.Sprintf("deflate at %s", p), Harm: Inbox,
				Mix: []Mixin{Instead(p, "\x78\x9c\xed\xc1\x01\x01\x00\x00\x00\x80\x90\xfe\xaf\xee\x08\x0a\x00\x00")}},
			Script{Name: fmt.Sprintf("an OK before its time at %s", p), Harm: Inbox,
				Mix: []Mixin{First(p, "m99 OK done\r\n")}},
			Script{Name: fmt.Sprintf("a continuation in place of the answer at %s", p), Harm: Inbox,
				Mix: []Mixin{Instead(p, "+ yes?\r\nTAG OK done\r\n")}},
		)
	}
	return all
}
