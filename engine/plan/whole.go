package plan

import "mailcote/storage"

// Asking is what one FETCH brought of a message's body.
type Asking struct {
	Size int64 // RFC822.SIZE; -1: the server did not say
	Got  int64 // octets that came; 0: NIL, or empty
	// the answer said that messages are expunged (EXPUNGEISSUED): nothing in it may be for lack of the message
	Gone   bool
	SHA256 [32]byte // of what came; not looked at unless Doubtful
}

// Doubtful reports whether a body may have been cut. An empty one always may. So may one that is shorter than its
// RFC822.SIZE, unless the server computes sizes wrongly and it lacks no more than others did that came twice
// alike, and no more than a sixteenth: one absurd size must not make every cut believed. A body that is longer
// than its size is no cut one, whatever the size says.
func (a Asking) Doubtful(s storage.Sizes) bool {
	if a.Got == 0 {
		return true
	}
	lacks := a.Lacks()
	return lacks > 0 && !(s.Wrong && lacks <= min(s.Lack, max(a.Size/16, 64)))
}

// Lacks is by how many octets the body is shorter than its size.
func (a Asking) Lacks() int64 {
	if a.Size < 0 {
		return 0
	}
	return max(a.Size-a.Got, 0)
}

// Zero reports whether the server says that a message is empty which is not.
func (a Asking) Zero() bool { return a.Size == 0 && a.Got > 0 }

// same reports whether two askings brought the same octets. Without any, both must say that the message has none,
// and the server must not say so of others.
func (a Asking) same(b Asking, s storage.Sizes) bool {
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

// Judge decides whether the body that came now is the whole message. before are the askings on other sessions. A body
// that may have been cut is asked for once more, and one that came twice alike is whole: there are servers that compute
// sizes wrongly. An empty one before tells nothing of a body that comes now, so the two are not compared.
func Judge(now Asking, before []Asking, s storage.Sizes) Verdict {
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

// sizesWrong is how many messages that came twice alike and shorter than their size show that a server computes sizes
// wrongly.
const sizesWrong = 3

// Learn adds messages that came twice alike and shorter than their size; lack is the most octets that one of them
// lacked. Of a server that is known to be wrong a larger lack at most doubles what is believed: one message with
// an absurd size must not make cuts of any length believed.
func Learn(s storage.Sizes, n int, lack int64) storage.Sizes {
	if s.Wrong {
		s.Lack = max(s.Lack, min(lack, 2*s.Lack))
		return s
	}
	s.Short, s.Lack = s.Short+n, max(s.Lack, lack)
	s.Wrong = s.Short >= sizesWrong
	return s
}
