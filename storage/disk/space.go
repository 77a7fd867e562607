package disk

import "fmt"

// mostReserve is the reserve of a file system of 2 GiB or more.
const mostReserve = 200 << 20

// Space is the room on a file system. The zero Space is one that does not say.
type Space struct{ Free, Size int64 }

// Reserve is what bulk writing leaves free.
func (s Space) Reserve() int64 { return min(mostReserve, s.Size/10) }

// Need is how much must be free before bulk writing goes on: a quarter over the
// reserve, so that one batch does not end it again.
func (s Space) Need() int64 { return s.Reserve() + s.Reserve()/4 }

// Short reports whether less than the reserve is free.
func (s Space) Short() bool { return s.Free < s.Reserve() }

// Octets writes a size for people, in powers of ten.
func Octets(n int64) string {
	switch {
	case n < 10_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n < 10_000_000_000:
		return fmt.Sprintf("%d MB", n/1_000_000)
	}
	return fmt.Sprintf("%d GB", n/1_000_000_000)
}
