package policy

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"mailcote/storage/class"
)

// Where is what was being done when a server refused.
type Where string

// The places a row can be bound to.
const (
	SignIn  Where = "sign-in"
	Open    Where = "open"
	Fetch   Where = "fetch"
	Writing Where = "write" // a command that changes something on the server, in whatever phase
)

// Answer is a server's NO, BAD or BYE.
type Answer struct {
	Type, Code, CodeArgs, Text string
	Command                    string // its name
	Phase                      string // what was being done
}

// Verdict is what an answer means.
type Verdict struct {
	Class       class.Class
	Scope       string
	Wait        Wait        // never shorter than the class's
	Named       bool        // the server said how long
	Do          Action      // the class's, or what the row says instead
	Tries       int         // for Limit
	Then        class.Class // not "": after Tries attempts it is a fault of this class
	Connections int         // how many connections the server said it allows; 0: it said nothing
	Crowded     bool        // the server takes no more connections
	Hint        string      // "": the class's words
	Row         *Row        // nil: judged by phase and status
	Words       string      // names the Local row; "": the scope is certain
	Lives       bool        // the session is none the worse for it
}

// Known reports whether a row knows the server's words.
func (v Verdict) Known() bool { return v.Row != nil && v.Row.Text != "" }

// Longest is the longest wait that a server is granted.
const Longest = 12 * time.Hour

// Judge says what an answer means: first by the server's words, then by its
// response code, then by where it came.
func Judge(a Answer) Verdict {
	for _, table := range [][]Row{Texts(), Codes()} {
		for i := range table {
			if table[i].matches(a) {
				return table[i].verdict(a)
			}
		}
	}
	what, scope := byPlace(a)
	v := Row{Class: what, Scope: scope}.plain()
	if v.Lives = a.Type == "NO"; v.Lives && what == class.Protocol {
		v.Hint = refused
	}
	return v
}

// byPlace judges what no row knows.
func byPlace(a Answer) (class.Class, string) {
	switch {
	case a.Type == "BYE":
		return class.Network, "connection"
	case a.Phase == string(SignIn):
		return class.Auth, "account"
	case a.Phase == string(Fetch):
		return class.Parsing, "message"
	case a.Phase == string(Open) && a.Type == "NO":
		return class.Mailbox, "mailbox"
	}
	return class.Protocol, "connection"
}

// OfMailbox judges Local words while they are about one mailbox: it is tried
// again some times, after the row's wait.
func OfMailbox(wait Wait) Verdict {
	return Verdict{Class: class.Mailbox, Scope: "mailbox", Wait: wait, Do: Limit, Tries: PolicyOf(class.Protocol).Tries,
		Hint: refusing, Lives: true}
}

func (r Row) matches(a Answer) bool {
	return (r.Type == "" || r.Type == a.Type) && (r.Code == "" || r.Code == a.Code || r.Code == none && a.Code == "") &&
		r.fits(where(a)) && contains(strings.ToLower(a.Text), r.Text)
}

// fits says whether a row counts in a place. One that is bound to none still
// has to keep two promises: a password is sent again only after words about
// limits or the line, and a message that is refused costs itself, not its
// mailbox.
func (r Row) fits(w Where) bool {
	if r.On != "" {
		return r.On == w
	}
	switch w {
	case SignIn:
		return r.Class == class.Network || r.Class == class.Quota || r.Class == class.Auth || r.Class == class.TLS
	case Fetch:
		return r.Class != class.Bug
	}
	return true
}

// contains finds a fragment; … in it stands for anything.
func contains(text, fragment string) bool {
	for _, part := range strings.Split(fragment, "…") {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return true
}

// where binds an answer to a place; a command that writes counts as that in
// every phase.
func where(a Answer) Where {
	switch strings.TrimPrefix(a.Command, "UID ") {
	case "APPEND", "COPY", "MOVE", "STORE", "EXPUNGE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE",
		"REPLACE":
		return Writing
	}
	return Where(a.Phase)
}

// plain is a row's verdict, without what the answer itself says.
func (r Row) plain() Verdict {
	p := PolicyOf(r.Class)
	v := Verdict{Class: r.Class, Scope: r.Scope, Wait: p.Wait.longer(r.Wait), Do: p.Do, Tries: p.Tries, Then: r.Then,
		Hint: r.Hint, Crowded: r.Hint == crowded}
	if r.Do != "" {
		v.Do = r.Do
	}
	if r.Tries > 0 {
		v.Tries = r.Tries
	}
	return v
}

func (r *Row) verdict(a Answer) Verdict {
	v := r.plain()
	v.Row = r
	if r.Local && a.Type != "BYE" {
		v.Words = strings.TrimSpace(r.Text + " " + r.Code)
	}
	if v.Class == class.Quota {
		named := suggested(a.Text)
		v.Wait.Floor, v.Named = max(v.Wait.Floor, named), named > 0
	}
	if v.Connections = connections(a.Text); v.Connections > 0 {
		v.Hint = "the server allows " + strconv.Itoa(v.Connections) + " connections from here, and other mail " +
			"programs hold them: it goes on by itself"
	}
	return v
}

// suggested finds Microsoft's "Suggested Backoff Time: N milliseconds"; 0:
// there is none.
func suggested(text string) time.Duration {
	found := regexp.MustCompile(`(?i)suggested backoff time:\s*(\d+)\s*milliseconds`).FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	n, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil || n > Longest.Milliseconds() { // more digits than a number holds: as long as we wait at all
		return Longest
	}
	return time.Duration(n) * time.Millisecond
}

// connections finds Dovecot's "mail_max_userip_connections=N"; 0: there is
// none.
func connections(text string) int {
	found := regexp.MustCompile(`(?i)mail_max_userip_connections=(\d{1,6})\b`).FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(found[1]) //nolint:errcheck // at most six digits
	return n
}

// Soft says whether an answer holds a throttle that is no refusal: Gmail and
// Yahoo put [THROTTLED] into an OK, as a code or behind a word.
func Soft(kind, code, text string) bool {
	return kind == "OK" && (code == "THROTTLED" || strings.Contains(strings.ToUpper(text), "[THROTTLED]"))
}
