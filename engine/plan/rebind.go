package plan

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"math"
	"time"

	"mailcote/storage"
)

// Copy is what tells one message from others without its text: enough to know it again under another UID.
type Copy struct {
	UID    storage.UID
	Entry  storage.EntryID // what the store holds; 0: the server's
	Size   int64           // octets of the whole message; < 0: unknown
	Header Digest          // the zero Digest: unknown
	Date   time.Time       // INTERNALDATE; zero: it says nothing
}

// Match says which stored entry a message of the server is.
type Match struct {
	UID   storage.UID
	Entry storage.EntryID
}

// likeness is what two copies of one message have in common.
type likeness struct {
	size   int64
	header Digest
	date   int64 // Unix seconds, where ties are broken; else noDate
}

const noDate = math.MinInt64

func (c Copy) like() likeness { return likeness{c.Size, c.Header, noDate} }

func (c Copy) dated() likeness { return likeness{c.Size, c.Header, c.Date.Unix()} }

// Same says whether two copies agree in everything that both say of themselves, and say enough.
func (c Copy) Same(o Copy) bool {
	return c.Header.Says() && c.like() == o.like() && (c.Date.IsZero() || o.Date.IsZero() ||
		c.Date.Unix() == o.Date.Unix())
}

// Rebind finds the messages of a listing that the store holds already, so that they need no download (DESIGN §4).
//
// listed are messages the store does not hold under their UID, taken those of the same generation that it holds,
// before what an earlier generation holds. again is what the store held under UIDs of this very generation: such
// a UID still means the same message (RFC 9051 §2.3.1.1) unless its copy differs. Everything else matches by size
// and header only where exactly one message of either side has them; INTERNALDATE breaks ties. What stays
// ambiguous matches nothing, and nor does what a message of unknown size or header could be as well.
func Rebind(listed, taken, before, again []Copy) []Match {
	held := make(map[storage.UID]Copy, len(again))
	for _, c := range again {
		held[c.UID] = c
	}
	server, store := newPool(), newPool()
	for _, side := range [][]Copy{listed, taken} {
		for _, c := range side {
			server.add(c)
		}
	}
	for _, c := range before {
		store.add(c)
	}
	var matches []Match
	for _, c := range listed {
		if old, ok := held[c.UID]; ok && c.Same(old) {
			matches = append(matches, Match{c.UID, old.Entry})
			continue
		}
		if !server.knows(c) || !store.knows(c) {
			continue
		}
		key := c.like()
		if server.of[key].n > 1 || store.of[key].n > 1 {
			if c.Date.IsZero() {
				continue
			}
			key = c.dated()
		}
		if server.of[key].n == 1 && store.of[key].n == 1 {
			matches = append(matches, Match{c.UID, store.of[key].entry})
		}
	}
	return matches
}

// pool is one side's copies by what they have in common.
type pool struct {
	of      map[likeness]sharers
	unknown map[int64]bool // sizes of copies with unknown headers; < 0: any
}

// sharers are the copies that have something in common: how many, and the last one.
type sharers struct {
	n     int
	entry storage.EntryID
}

func newPool() pool { return pool{map[likeness]sharers{}, map[int64]bool{}} }

func (p pool) add(c Copy) {
	if c.Size < 0 || !c.Header.Says() {
		p.unknown[max(c.Size, -1)] = true
		return
	}
	p.of[c.like()] = sharers{p.of[c.like()].n + 1, c.Entry}
	if !c.Date.IsZero() {
		p.of[c.dated()] = sharers{p.of[c.dated()].n + 1, c.Entry}
	}
}

// knows says whether every copy that could be c is known.
func (p pool) knows(c Copy) bool {
	return c.Size >= 0 && c.Header.Says() && !p.unknown[c.Size] && !p.unknown[-1]
}

// Digest is the SHA-256 of a message's header. A message without a header has the zero Digest, as if it were
// unknown: its size alone tells nothing.
type Digest [sha256.Size]byte

// Says says whether the digest tells anything.
func (d Digest) Says() bool { return d != Digest{} }

// HeaderSum makes a Digest of a header, or of a message from its beginning, that is written to it in pieces of
// any size. Where the header ends, servers differ by an empty line: it is left out.
type HeaderSum struct {
	sum   hash.Hash
	held  []byte // line ends that may be the header's last
	line  int    // octets of the present line but its end
	wrote bool
	ended bool
}

// NewHeaderSum begins a digest.
func NewHeaderSum() *HeaderSum { return &HeaderSum{sum: sha256.New()} }

// Ended says whether the empty line behind the header came: more need not be written.
func (h *HeaderSum) Ended() bool { return h.ended }

// Write takes the next piece; it never fails.
func (h *HeaderSum) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && !h.ended; {
		n := 0
		for n < len(rest) && rest[n] != '\r' && rest[n] != '\n' {
			n++
		}
		if n > 0 {
			h.sum.Write(h.held)   //nolint:errcheck // a hash never fails
			h.sum.Write(rest[:n]) //nolint:errcheck // a hash never fails
			h.held = h.held[:0]
			h.line += n
			h.wrote = true
			rest = rest[n:]
			continue
		}
		c := rest[0]
		rest = rest[1:]
		if c == '\n' {
			h.ended = h.line == 0
			h.line = 0
		}
		if h.held = append(h.held, c); len(h.held) > maxLineEnds {
			h.ended, h.wrote = true, false
		}
	}
	return len(p), nil
}

// maxLineEnds bounds what is held back. Carriage returns without end are no header: they make the zero Digest.
const maxLineEnds = 1024

// Digest gives the digest of what came.
func (h *HeaderSum) Digest() (d Digest) {
	if h.wrote {
		h.sum.Sum(d[:0])
	}
	return d
}

// SumOf reads a message as far as its header goes. One that cannot be read has the zero Digest.
func SumOf(raw io.Reader) Digest {
	sum, buf := NewHeaderSum(), make([]byte, 4096)
	for !sum.Ended() {
		n, err := raw.Read(buf)
		sum.Write(buf[:n]) //nolint:errcheck // it never fails
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Digest{}
		}
	}
	return sum.Digest()
}

// Doubt says how surely a UID that the store holds still means the message it meant.
type Doubt int

// The degrees of doubt.
const (
	Sure    Doubt = iota
	Unsure        // the server's UIDNEXT is worth nothing: a message that looks different is looked at
	Suspect       // UIDNEXT fell: UIDs may have been given out again, every message is looked at
)

// DoubtOf compares the UIDNEXT a server says (0: nothing) with what it lists (last, the highest UID) and what was
// noted before.
func DoubtOf(said, last, noted storage.UID) Doubt {
	switch {
	case said <= last:
		return Unsure
	case said < noted:
		return Suspect
	}
	return Sure
}
