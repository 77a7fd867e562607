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

// Copy is what identifies a message without its text, so that it is found again
// under another UID.
type Copy struct {
	UID    storage.UID
	Entry  storage.EntryID // the store's entry; 0: a message of the server
	Size   int64           // octets of the whole message; < 0 if unknown
	Header Digest          // the zero Digest if unknown
	Date   time.Time       // INTERNALDATE; zero if unknown
}

// Match is a message of the server and the stored entry that is the same
// message.
type Match struct {
	UID   storage.UID
	Entry storage.EntryID
}

// likeness is what two copies of one message have in common.
type likeness struct {
	size   int64
	header Digest
	date   int64 // Unix seconds where ties are broken, otherwise noDate
}

const noDate = math.MinInt64

func (c Copy) like() likeness { return likeness{c.Size, c.Header, noDate} }

func (c Copy) dated() likeness { return likeness{c.Size, c.Header, c.Date.Unix()} }

// Same reports whether two copies agree in everything that both state, and
// state enough.
func (c Copy) Same(o Copy) bool {
	return c.Header.Known() && c.like() == o.like() && (c.Date.IsZero() || o.Date.IsZero() ||
		c.Date.Unix() == o.Date.Unix())
}

// Rebind finds the messages of a listing that the store already has, so that
// they need no download.
//
// listed are messages that the store does not have under their UID. taken are
// those of the same generation that it has. before is what it has of an earlier
// generation. again is what it had under UIDs of this very generation. Such a
// UID still means the same message (RFC 9051 §2.3.1.1) unless its copy differs.
// All else matches by size and header, and only if exactly one message of
// either side has them. INTERNALDATE breaks ties. An ambiguous copy matches
// nothing, and neither does one that a message of unknown size or header could
// be.
func Rebind(listed, taken, before, again []Copy) []Match {
	earlier := make(map[storage.UID]Copy, len(again))
	for _, c := range again {
		earlier[c.UID] = c
	}
	server, store := newCopySet(), newCopySet()
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
		if old, ok := earlier[c.UID]; ok && c.Same(old) {
			matches = append(matches, Match{c.UID, old.Entry})
			continue
		}
		if !server.knowsAll(c) || !store.knowsAll(c) {
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

// copySet is one side's copies, by what they have in common.
type copySet struct {
	of      map[likeness]sharers
	unknown map[int64]bool // sizes of copies with unknown headers; < 0 means any size
}

// sharers are the copies that have something in common: how many, and the last
// one.
type sharers struct {
	n     int
	entry storage.EntryID
}

func newCopySet() copySet { return copySet{map[likeness]sharers{}, map[int64]bool{}} }

func (s copySet) add(c Copy) {
	if c.Size < 0 || !c.Header.Known() {
		s.unknown[max(c.Size, -1)] = true
		return
	}
	s.of[c.like()] = sharers{s.of[c.like()].n + 1, c.Entry}
	if !c.Date.IsZero() {
		s.of[c.dated()] = sharers{s.of[c.dated()].n + 1, c.Entry}
	}
}

// knowsAll reports whether every copy that could be c is known.
func (s copySet) knowsAll(c Copy) bool {
	return c.Size >= 0 && c.Header.Known() && !s.unknown[c.Size] && !s.unknown[-1]
}

// Digest is the SHA-256 of a message's header. A message without a header has
// the zero Digest, because its size alone proves nothing.
type Digest [sha256.Size]byte

// Known reports whether there is a digest.
func (d Digest) Known() bool { return d != Digest{} }

// HeaderSum computes the Digest of a header, or of a message from its
// beginning. It is written in pieces of any size. Servers differ by an empty
// line at the end of a header, so that line is left out.
type HeaderSum struct {
	sum      hash.Hash
	lineEnds []byte // line ends that may be the header's last
	line     int    // octets of the present line without its end
	wrote    bool
	ended    bool
}

// NewHeaderSum begins a digest.
func NewHeaderSum() *HeaderSum { return &HeaderSum{sum: sha256.New()} }

// Ended reports whether the header is over. More need not be written.
func (h *HeaderSum) Ended() bool { return h.ended }

// Write takes the next piece. It never fails.
func (h *HeaderSum) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && !h.ended; {
		n := 0
		for n < len(rest) && rest[n] != '\r' && rest[n] != '\n' {
			n++
		}
		if n > 0 {
			h.sum.Write(h.lineEnds) //nolint:errcheck // a hash never fails
			h.sum.Write(rest[:n])   //nolint:errcheck // a hash never fails
			h.lineEnds = h.lineEnds[:0]
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
		if h.lineEnds = append(h.lineEnds, c); len(h.lineEnds) > maxLineEnds {
			h.ended, h.wrote = true, false
		}
	}
	return len(p), nil
}

// maxLineEnds bounds the line ends that are buffered. Carriage returns without
// end are no header and make the zero Digest.
const maxLineEnds = 1024

// Digest returns the digest of what was written.
func (h *HeaderSum) Digest() (d Digest) {
	if h.wrote {
		h.sum.Sum(d[:0])
	}
	return d
}

// SumOf reads a message up to the end of its header. A message that cannot be
// read has the zero Digest.
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

// Doubt is how sure it is that a stored UID still means the same message.
type Doubt int

// The degrees of doubt.
const (
	Sure    Doubt = iota
	Unsure        // the server's UIDNEXT is worth nothing: a message that looks different is checked
	Suspect       // UIDNEXT fell, so UIDs may have been given out again: every message is checked
)

// DoubtOf compares the UIDNEXT that a server says (0 for none) with the highest
// UID it lists and with the UIDNEXT noted before.
func DoubtOf(uidNext, last, noted storage.UID) Doubt {
	switch {
	case uidNext <= last:
		return Unsure
	case uidNext < noted:
		return Suspect
	}
	return Sure
}
