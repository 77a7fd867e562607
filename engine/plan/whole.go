package plan

import "mailcote/storage"

// Received is what one FETCH brought of a message's body.
type Received struct {
	Size int64 // RFC822.SIZE; -1 if the server did not say
	Got  int64 // octets that came; 0: NIL or empty
	// the answer said that messages are expunged (EXPUNGEISSUED): what it lacks
	// may be gone
	Gone   bool
	SHA256 [32]byte // of what came; unused unless Doubtful
}

// Doubtful reports whether a body may be cut off. An empty body always may. A
// body shorter than its RFC822.SIZE may too, unless the server computes sizes
// wrongly. Then it may lack no more than other bodies that came twice alike,
// and no more than a sixteenth: one absurd size must not excuse every cut. A
// body longer than its size is not cut off.
func (a Received) Doubtful(s storage.Sizes) bool {
	if a.Got == 0 {
		return true
	}
	lacks := a.Lacks()
	return lacks > 0 && !(s.Wrong && lacks <= min(s.Lack, max(a.Size/16, 64)))
}

// Lacks is how many octets the body is shorter than its size.
func (a Received) Lacks() int64 {
	if a.Size < 0 {
		return 0
	}
	return max(a.Size-a.Got, 0)
}

// Zero reports whether the server calls a message empty that is not.
func (a Received) Zero() bool { return a.Size == 0 && a.Got > 0 }

// same reports whether two FETCHes brought the same octets. If neither brought
// any, both must say that the message is empty, and the server must not have
// said so of one that was not.
func (a Received) same(b Received, s storage.Sizes) bool {
	if a.Got == 0 {
		return b.Got == 0 && a.Size == 0 && b.Size == 0 && !a.Gone && !b.Gone && !s.Zero
	}
	return a.Got == b.Got && a.SHA256 == b.SHA256
}

// Verdict is what is made of a body that came.
type Verdict int

// The verdicts.
const (
	Whole Verdict = iota // it is the message
	Again                // it is asked for once more, on another session
	Aside                // two sessions brought no whole message
)

// Judge decides whether the body that came now is the whole message. before is
// what other sessions brought. A body that may be cut off is asked for again,
// and one that came twice alike is whole, because some servers compute sizes
// wrongly. An empty body is not compared with one that has octets.
func Judge(now Received, before []Received, s storage.Sizes) Verdict {
	if !now.Doubtful(s) {
		return Whole
	}
	compared := false
	for _, one := range before {
		if now.same(one, s) {
			return Whole
		}
		compared = compared || now.Got == 0 || one.Got > 0
	}
	if !compared {
		return Again
	}
	return Aside
}

// sizesWrong is how many messages show that a server computes sizes wrongly.
// Each came twice alike and shorter than its size.
const sizesWrong = 3

// Learn adds messages that came twice alike and shorter than their size. lack
// is the most octets that one of them lacked. Once the server is known to be
// wrong, a larger lack at most doubles the accepted one. One message with an
// absurd size must not excuse cuts of any length.
func Learn(s storage.Sizes, n int, lack int64) storage.Sizes {
	if s.Wrong {
		s.Lack = max(s.Lack, min(lack, 2*s.Lack))
		return s
	}
	s.Short, s.Lack = s.Short+n, max(s.Lack, lack)
	s.Wrong = s.Short >= sizesWrong
	return s
}
