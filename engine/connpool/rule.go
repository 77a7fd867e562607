package connpool

// Use is what a connection is wanted for.
type Use int

// The uses.
const (
	Bulk   Use = iota // the account's tasks: hands over at a Yield
	Watch             // IDLE: gives way as soon as Wanted says so
	Person            // somebody waits for the answer
)

// usage is how many connections are leased or being opened, by use.
type usage [Person + 1]int

func (u usage) all() (n int) {
	for _, one := range u {
		n += one
	}
	return n
}

// share is how many connections one use may have of those allowed: a person all, bulk work all but the person's,
// a watch all but one, so that work goes on beside it. Where one is allowed there is no watch: it would shut
// everything else out.
func share(use Use, allowed int) int {
	switch {
	case use == Person:
		return allowed
	case use == Watch:
		return allowed - 1
	}
	return max(1, allowed-1)
}

// MayWatch says whether IDLE may hold a connection.
func MayWatch(allowed int) bool { return share(Watch, allowed) > 0 }

// fits says whether one more connection may be had now. Persons who wait go first.
func fits(use Use, allowed int, have usage, persons int) bool {
	return have.all() < allowed && have[use] < share(use, allowed) && (use == Person || persons == 0)
}

// yields says which of two uses gives way first when somebody waits.
func yields(use, waiting Use) bool {
	return waiting == Person && use != Person || waiting == Bulk && use == Watch
}
