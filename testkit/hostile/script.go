package hostile

import (
	"io"
	"strings"
	"sync/atomic"

	"mailcote/testkit/script"
)

// Harm is the most a script may keep from arriving.
type Harm int

// The degrees of harm.
const (
	Nothing Harm = iota // everything arrives and the sync is complete
	Extra               // mailboxes that only the script has
	Inbox               // what INBOX holds
	Account             // everything
)

// Script is one server that misbehaves.
type Script struct {
	Name         string
	Capabilities string // "": script.Capabilities
	Harm         Harm
	Lies         bool // about flags, or that nothing happened: what arrives may differ from what the server holds
	Mix          []Mixin
}

// Faults makes the script's faults, for one server.
func (s Script) Faults() script.Faults {
	var f script.Faults
	for _, mix := range s.Mix {
		mix(&f)
	}
	return f
}

// Mixin adds one way to misbehave.
type Mixin func(*script.Faults)

// Place is a kind of command. Commands in a mailbox count in INBOX only.
type Place string

// The places.
const (
	Greeting Place = "GREETING"
	SignIn   Place = "AUTHENTICATE"
	Ident    Place = "ID"
	List     Place = "LIST"
	Status   Place = "STATUS"
	Open     Place = "EXAMINE"
	Search   Place = "UID SEARCH"
	Flags    Place = "UID FETCH of flags"
	Body     Place = "UID FETCH of bodies"
	Noop     Place = "NOOP"
	Logout   Place = "LOGOUT"
	InInbox  Place = "any command in INBOX"
)

// is reports whether a command is of a place.
func (p Place) is(c script.Command) bool {
	inbox := strings.EqualFold(c.Box, "INBOX")
	switch p {
	case Open, Status:
		return c.Name == string(p) && strings.Contains(c.Args, "INBOX")
	case Search, Noop:
		return c.Name == string(p) && inbox
	case Flags:
		return c.Name == "UID FETCH" && inbox && !strings.Contains(c.Args, "BODY")
	case Body:
		return c.Name == "UID FETCH" && inbox && strings.Contains(c.Args, "BODY")
	case InInbox:
		return Open.is(c) || inbox && c.Name != "EXAMINE" && c.Name != "LOGOUT" && c.Name != "LIST"
	}
	return c.Name == string(p)
}

// Do answers a command by an action.
func Do(p Place, a script.Action) Mixin {
	return func(f *script.Faults) {
		before := f.On
		f.On = func(c script.Command) script.Action {
			if p.is(c) {
				return a
			}
			if before != nil {
				return before(c)
			}
			return script.Answer
		}
	}
}

// Say rewrites the lines of an answer; "" leaves one out.
func Say(p Place, rewrite func(line string) string) Mixin {
	return func(f *script.Faults) {
		before := f.Line
		f.Line = func(c script.Command, line string) string {
			if before != nil {
				line = before(c, line)
			}
			if p.is(c) && line != "" {
				return rewrite(line)
			}
			return line
		}
	}
}

// First says something before the answer.
func First(p Place, text string) Mixin {
	return Pour(p, func(w io.Writer) bool {
		_, _ = io.WriteString(w, text) // the client may be gone
		return false
	})
}

// Instead says something in place of the answer; TAG in it becomes the command's tag. The connection stays open.
func Instead(p Place, text string) Mixin {
	return func(f *script.Faults) {
		f.Raw = chain(f.Raw, func(c script.Command, w io.Writer) bool {
			if !p.is(c) {
				return false
			}
			_, _ = io.WriteString(w, strings.ReplaceAll(text, "TAG", c.Tag)) // the client may be gone
			return true
		})
	}
}

// Pour writes to the wire as it likes; true: that was the answer.
func Pour(p Place, pour func(w io.Writer) bool) Mixin {
	return func(f *script.Faults) {
		f.Raw = chain(f.Raw, func(c script.Command, w io.Writer) bool { return p.is(c) && pour(w) })
	}
}

func chain(a, b func(script.Command, io.Writer) bool) func(script.Command, io.Writer) bool {
	if a == nil {
		return b
	}
	return func(c script.Command, w io.Writer) bool { return a(c, w) || b(c, w) }
}

// Endless pours a text until the connection ends.
func Endless(p Place, start, text string) Mixin {
	block := strings.Repeat(text, 1+(16<<10)/len(text))
	return Pour(p, func(w io.Writer) bool {
		_, err := io.WriteString(w, start)
		for err == nil {
			_, err = io.WriteString(w, block)
		}
		return true
	})
}

// Once applies a mix-in of one action or text a single time. After that the
// server is good.
func Once(p Place, a script.Action) Mixin {
	return func(f *script.Faults) {
		var done atomic.Bool
		before := f.On
		f.On = func(c script.Command) script.Action {
			if p.is(c) && !done.Swap(true) {
				return a
			}
			if before != nil {
				return before(c)
			}
			return script.Answer
		}
	}
}
