package limit

import (
	"slices"
	"strings"
	"time"
)

// Profile is what is known about a provider or a server. Every figure is a
// starting point: what the server itself says takes precedence.
type Profile struct {
	Name string

	Hosts     []string // host names; their subdomains match too
	Marks     []string // capabilities that no other server offers
	IDs       []string // lower-case fragments of the name in its ID response
	Greetings []string // lower-case fragments of its greeting

	Start, Most int           // initial and maximal connections
	DialEvery   time.Duration // between two new connections
	Commands    int           // per minute; 0: no known limit
	Messages    int           // per second, applied while the server throttles; 0: no known limit
	Day         int64         // octets received in any 24 hours; 0: no known limit
	Hour        int64         // octets received an hour, as reported by users; shown, not enforced
	Largest     int64         // octets of the largest message it accepts; 0: unknown
	UIDs        int           // messages that a command may name
	Line        int           // octets of a command line
	Distrust    []string      // capabilities that are offered but do not work
	IDFirst     bool          // it wants ID before a mailbox is opened
	NoIdle      bool          // IDLE is missing or unreliable
	Poll        time.Duration // shortest polling interval; 0: no known limit

	Sources []Source
}

// Source documents where a figure comes from.
type Source struct{ Figure, Says string }

// The figures that have sources.
const (
	connections = "connections"
	dialEvery   = "new connections"
	commands    = "commands"
	messages    = "messages"
	day         = "bytes a day"
	hour        = "bytes an hour"
	largest     = "largest message"
	uids        = "UIDs a command"
	line        = "command line"
	distrust    = "not used"
	idFirst     = "ID first"
	noIdle      = "IDLE"
	poll        = "poll"
)

// The defaults of a profile.
const (
	defaultStart = 2
	defaultMost  = 4
	defaultDial  = time.Second
	defaultUIDs  = 1000
	defaultLine  = 1000
)

// withDefaults fills in what a row leaves out.
func (p Profile) withDefaults() Profile {
	for _, f := range []struct {
		have *int
		def  int
	}{{&p.Start, defaultStart}, {&p.Most, max(defaultMost, p.Start)}, {&p.UIDs, defaultUIDs}, {&p.Line, defaultLine}} {
		if *f.have == 0 {
			*f.have = f.def
		}
	}
	if p.DialEvery == 0 {
		p.DialEvery = defaultDial
	}
	return p
}

// Limited reports whether anything but connections is limited.
func (p Profile) Limited() bool { return p.Commands > 0 || p.Messages > 0 || p.Day > 0 }

// Server is what a server has shown of itself. A field is empty until it is
// known.
type Server struct {
	Host         string
	Capabilities []string
	ID           string // the name in its ID response
	Greeting     string
}

// Choose finds a server's profile by its host. Otherwise it goes by a
// capability that only one server offers, then by the ID response, then by the
// greeting. A server that matches nothing gets Unknown.
func Choose(s Server) Profile {
	host := strings.TrimSuffix(strings.ToLower(s.Host), ".")
	id, greeting := strings.ToLower(s.ID), strings.ToLower(s.Greeting)
	for _, fits := range []func(p Profile) bool{
		func(p Profile) bool {
			return slices.ContainsFunc(p.Hosts, func(h string) bool {
				return host == h || strings.HasSuffix(host, "."+h)
			})
		},
		func(p Profile) bool {
			return slices.ContainsFunc(p.Marks, func(mark string) bool {
				return slices.ContainsFunc(s.Capabilities, func(c string) bool { return strings.EqualFold(c, mark) })
			})
		},
		func(p Profile) bool {
			return slices.ContainsFunc(p.IDs, func(part string) bool { return strings.Contains(id, part) })
		},
		func(p Profile) bool {
			return slices.ContainsFunc(p.Greetings, func(part string) bool { return strings.Contains(greeting, part) })
		},
	} {
		if i := slices.IndexFunc(Profiles(), fits); i >= 0 {
			return Profiles()[i]
		}
	}
	return Unknown()
}

// Unknown is the profile of a server that matches no other.
func Unknown() Profile {
	return Profile{Name: "unknown", Sources: []Source{
		{connections, "ours: 2 at first, 4 at most, which every server that publishes a figure allows, but those " +
			"listed"},
		{line, "ours: what the strictest known server takes"},
	}}.withDefaults()
}
