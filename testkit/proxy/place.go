package proxy

// Part is a part of the talk about one command.
type Part int

// The parts. A place is reached with its octet, or as soon as the proxy knows
// what it sees.
const (
	Asked   Part = iota // the command, with its literals
	Sent                // behind the command
	Answer              // everything down until behind the tagged line, literals included
	Literal             // one literal of the answer; octet 0 is behind its announcement
	Tagged              // the tagged line
	Done                // behind the tagged line
)

// Place is a moment in the talk of a connection.
type Place struct {
	Command string // "UID FETCH", "NOOP" and the like; "GREETING" is a command that nobody sends
	Nth     int    // which of these, counted from Arm over all connections; 0 is any that gets there
	Part    Part
	Literal int   // which literal of the answer, for Literal; 0 and 1 are the first
	Octet   int64 // how many octets of the part have passed; Sent and Done have none
}

// armed is a fault that waits for its place.
type armed struct {
	place  Place
	act    Act
	seen   int      // commands of its name since
	target *command // the newest it may be about, nil until that is begun
}

// begun counts a command that begins.
func (a *armed) begun(c *command) {
	if a.place.Command != c.name {
		return
	}
	if a.seen++; a.place.Nth == 0 || a.seen == a.place.Nth {
		a.target = c
	}
}

// reached reports whether octet octets of a part of c are where the fault
// waits.
func (a *armed) reached(c *command, part Part, octet int64) bool {
	if a.target != c || a.place.Part != part {
		return false
	}
	return octet >= a.place.Octet && (part != Literal || c.literals == max(1, a.place.Literal))
}
