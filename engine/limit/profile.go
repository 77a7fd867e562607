package limit

import (
	"slices"
	"strings"
	"time"
)

// Profile is what is known of a provider or a server. Every figure is where we
// start: the server's own words count more.
type Profile struct {
	Name string

	Hosts     []string // host names, and what ends in "." and one of them
	Marks     []string // capabilities that nobody else offers
	IDs       []string // fragments, in lower case, of the name in the answer to ID
	Greetings []string // the same of the greeting

	Start, Most int           // connections at first and at most
	DialEvery   time.Duration // between two connections
	Commands    int           // a minute; 0: no limit known
	Messages    int           // a second, kept to while the server throttles; 0: no limit known
	Day         int64         // octets down in any 24 hours; 0: no limit known
	Hour        int64         // reported octets down an hour; shown, not enforced
	Largest     int64         // octets of a message it takes; 0: not known
	UIDs        int           // messages a command may name
	Line        int           // octets of a command line
	Distrust    []string      // capabilities that are offered and not to be used
	IDFirst     bool          // it wants ID before a mailbox is opened
	NoIdle      bool          // IDLE is missing, or not to be relied on
	Poll        time.Duration // the least time between two looks; 0: no limit known

	Sources []Source
}

// Source says where a figure comes from.
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

// What holds where a profile says nothing else.
const (
	defaultStart = 2
	defaultMost  = 4
	defaultDial  = time.Second
	defaultUIDs  = 1000
	defaultLine  = 1000
)

// withDefaults fills in what a row leaves open.
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

// Limited says whether anything but connections is bounded.
func (p Profile) Limited() bool { return p.Commands > 0 || p.Messages > 0 || p.Day > 0 }

// Server is what a server has shown of itself; what is not known yet is empty.
type Server struct {
	Host         string
	Capabilities []string
	ID           string // the name in its answer to ID
	Greeting     string
}

// Choose finds a server's profile: by its host, else by what only one kind of
// server offers or calls itself, else Unknown.
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

// Unknown is the profile of a server that nothing is known of.
func Unknown() Profile {
	return Profile{Name: "unknown", Sources: []Source{
		{connections, "ours: 2 at first, 4 at most, which every server that publishes a figure allows, but those " +
			"listed"},
		{line, "ours: what the strictest known server takes"},
	}}.withDefaults()
}

// API is a provider's interface that is no IMAP. mailcote does not speak it;
// the figures are kept for whoever adds it.
type API struct {
	Name    string
	Units   int            // a second and person
	Minute  int            // units a minute and person
	Project int            // units a minute of all persons together
	Costs   map[string]int // units of a call
	Errors  []string       // what it says when it is too much
	Source  string
}

// GmailAPI is what Google documents of the Gmail API.
func GmailAPI() API {
	return API{
		Name: "Gmail API", Units: 250, Minute: 15_000, Project: 1_200_000,
		Costs: map[string]int{"messages.get": 5, "messages.list": 5, "history.list": 2, "messages.batchModify": 50,
			"messages.send": 100, "messages.insert": 25},
		Errors: []string{"429", "403 rateLimitExceeded", "403 userRateLimitExceeded"},
		Source: "documented: developers.google.com, Gmail API usage limits",
	}
}
