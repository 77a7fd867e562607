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

// The places that a row can be bound to.
const (
	SignIn  Where = "sign-in"
	Open    Where = "open"
	Fetch   Where = "fetch"
	Writing Where = "write" // a command that changes something on the server, in any phase
)

// Answer is a server's NO, BAD or BYE.
type Answer struct {
	Type, Code, CodeArgs, Text string
	Command                    string // the refused command's name
	Phase                      string // what was being done
}

// Verdict is the meaning of an answer.
type Verdict struct {
	Class       class.Class
	Scope       string
	Wait        Wait        // at least the class's
	Named       bool        // the server itself named the wait
	Do          Action      // the row's, or the class's by default
	Tries       int         // for Limit
	Then        class.Class // not "": the class of the fault after Tries attempts
	Connections int         // connections that the server said it allows; 0: not said
	Crowded     bool        // the server takes no more connections
	Hint        string      // "": use the class's
	Row         *Row        // nil: judged by phase and status
	Words       string      // identifies a Local row; "": the scope is certain
	Lives       bool        // the session can still be used
}

// Known reports whether a row matched the server's words.
func (v Verdict) Known() bool { return v.Row != nil && v.Row.Text != "" }

// Longest is the longest wait that a server may ask for.
const Longest = 12 * time.Hour

// Judge returns the meaning of an answer. It goes by the server's words, then
// by the response code, then by the place.
func Judge(a Answer) Verdict {
	for _, table := range [][]Row{Texts(), Codes()} {
		for i := range table {
			if table[i].matches(a) {
				return table[i].verdict(a)
			}
		}
	}
	what, scope := byPlace(a)
	v := Row{Class: what, Scope: scope}.base()
	v.Lives = a.Type == "NO"
	switch {
	case v.Lives && what == class.Protocol:
		v.Hint = refused
	case what == class.Network:
		v.Hint = HungUp
	case a.Type == "BAD" && what == class.Auth:
		v.Hint = unread
	}
	return v
}

// byPlace judges an answer that no row knows.
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

// OfMailbox judges Local words while they concern one mailbox only. The task is
// retried a few times, each time after the row's wait.
func OfMailbox(wait Wait) Verdict {
	return Verdict{Class: class.Mailbox, Scope: "mailbox", Wait: wait, Do: Limit, Tries: PolicyOf(class.Protocol).Tries,
		Hint: refusing, Lives: true}
}

func (r Row) matches(a Answer) bool {
	return (r.Type == "" || r.Type == a.Type) && (r.Code == "" || r.Code == a.Code || r.Code == none && a.Code == "") &&
		r.fits(where(a)) && contains(strings.ToLower(a.Text), r.Text)
}

// fits reports whether a row applies in a place. A row without a place still
// keeps two promises. A password is sent again only after words about limits or
// the connection. A refused message costs only itself, not its mailbox.
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

// contains finds a fragment in which "…" stands for anything.
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

// where returns the place of an answer. A command that writes is Writing in
// every phase.
func where(a Answer) Where {
	switch strings.TrimPrefix(a.Command, "UID ") {
	case "APPEND", "COPY", "MOVE", "STORE", "EXPUNGE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE",
		"REPLACE":
		return Writing
	}
	return Where(a.Phase)
}

// base returns a row's verdict without what the answer itself adds.
func (r Row) base() Verdict {
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

// verdict returns a row's verdict on an answer.
func (r *Row) verdict(a Answer) Verdict {
	v := r.base()
	v.Row = r
	if r.Local && a.Type != "BYE" {
		v.Words = strings.TrimSpace(r.Text + " " + r.Code)
	}
	if v.Class == class.Quota {
		named := suggestedWait(a.Text)
		v.Wait.Floor, v.Named = max(v.Wait.Floor, named), named > 0
	}
	if v.Connections = allowedConnections(a.Text); v.Connections > 0 {
		v.Hint = "the server allows " + strconv.Itoa(v.Connections) + " connections from here, and other mail " +
			"programs hold them: it goes on by itself"
	}
	return v
}

// suggestedWait reads Microsoft's "Suggested Backoff Time: N milliseconds". It
// returns 0 if there is none.
func suggestedWait(text string) time.Duration {
	found := regexp.MustCompile(`(?i)suggested backoff time:\s*(\d+)\s*milliseconds`).FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	n, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil || n > Longest.Milliseconds() { // err: too many digits for an int64
		return Longest
	}
	return time.Duration(n) * time.Millisecond
}

// allowedConnections reads Dovecot's "mail_max_userip_connections=N". It
// returns 0 if there is none.
func allowedConnections(text string) int {
	found := regexp.MustCompile(`(?i)mail_max_userip_connections=(\d{1,6})\b`).FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(found[1]) //nolint:errcheck // at most six digits
	return n
}

// Soft reports whether an OK carries a throttle. Gmail and Yahoo put
// [THROTTLED] into an OK, as its code or later in the text.
func Soft(kind, code, text string) bool {
	return kind == "OK" && (code == "THROTTLED" || strings.Contains(strings.ToUpper(text), "[THROTTLED]"))
}
