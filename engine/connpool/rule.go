package connpool

// Use is what a connection is wanted for.
type Use int

// The uses.
const (
	Bulk   Use = iota // the account's tasks: hands over at a Yield
	Watch             // IDLE: gives way as soon as Wanted says so
	Person            // an interactive command
)

// usage counts the connections that are leased or being opened, by use.
type usage [Person + 1]int

func (u usage) all() (n int) {
	for _, one := range u {
		n += one
	}
	return n
}

// share is how many of the allowed connections one use may have. An interactive
// command may have all. Bulk work may have all but one, which is left for
// interactive commands, but always one. A watch may have all but one, so that
// work goes on alongside it. Of a single connection a watch gets none: it would
// shut everything out.
func share(use Use, allowed int) int {
	switch {
	case use == Person:
		return allowed
	case use == Watch:
		return allowed - 1
	}
	return max(1, allowed-1)
}

// MayWatch reports whether IDLE may use a connection.
func MayWatch(allowed int) bool { return share(Watch, allowed) > 0 }

// fits reports whether one more connection may be had now. Waiting interactive
// commands go first.
func fits(use Use, allowed int, have usage, interactive int) bool {
	return have.all() < allowed && have[use] < share(use, allowed) && (use == Person || interactive == 0)
}

// yields reports whether a use gives way to one that waits.
func yields(use, waiting Use) bool {
	return waiting == Person && use != Person || waiting == Bulk && use == Watch
}
