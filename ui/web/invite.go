package web

import (
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

// InvitationLife is how long an invitation can be used.
const InvitationLife = 5 * time.Minute

const (
	maxInvitations = 16 // more than anybody makes at once; the oldest go
	maxWrongCodes  = 10 // a code can be guessed so often, then it is void
	codeLength     = 10 // of base32: 50 bits
)

// Invitation signs one browser in, once, by its link or by its code.
type Invitation struct {
	Link string          // an address to open; whoever has it can sign in
	Code string          // to be typed at Server.URL
	Used <-chan struct{} // closed when a browser has signed in with it
}

// invitations are the links and codes that can still be used. They are kept
// and looked up by digest, so the time of a look-up tells nothing about
// them. They die with the process.
type invitations struct {
	now  func() time.Time
	mu   sync.Mutex
	live []*invitation // oldest first
}

type invitation struct {
	link, code [32]byte // SHA-256
	end        time.Time
	wrong      int // codes that were tried while this one was live
	used       chan struct{}
}

// add makes a new invitation; link is its bare secret.
func (i *invitations) add() (link, code string, used <-chan struct{}) {
	link, code = rand.Text(), rand.Text()[:codeLength]
	one := &invitation{
		link: sha256.Sum256([]byte(link)), code: sha256.Sum256([]byte(code)),
		end: i.now().Add(InvitationLife), used: make(chan struct{}),
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.expire()
	if len(i.live) == maxInvitations {
		i.live = slices.Delete(i.live, 0, 1)
	}
	i.live = append(i.live, one)
	half := codeLength / 2
	return link, code[:half] + "-" + code[half:], one.used
}

// useLink uses up the invitation that has this link.
func (i *invitations) useLink(link string) bool {
	sum := sha256.Sum256([]byte(link))
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.use(func(one *invitation) bool { return one.link == sum })
}

// useCode uses up the invitation that has this code. A wrong code counts
// against every live one.
func (i *invitations) useCode(code string) bool {
	sum := sha256.Sum256([]byte(plainCode(code)))
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.use(func(one *invitation) bool { return one.code == sum && one.wrong < maxWrongCodes }) {
		return true
	}
	for _, one := range i.live {
		one.wrong++
	}
	return false
}

// use takes out the invitation that fits. The caller holds mu.
func (i *invitations) use(fits func(*invitation) bool) bool {
	i.expire()
	at := slices.IndexFunc(i.live, fits)
	if at < 0 {
		return false
	}
	close(i.live[at].used)
	i.live = slices.Delete(i.live, at, at+1)
	return true
}

// expire drops what has ended. The caller holds mu.
func (i *invitations) expire() {
	now := i.now()
	i.live = slices.DeleteFunc(i.live, func(one *invitation) bool { return !now.Before(one.end) })
}

// plainCode undoes what people do to a code: case, groups, and digits that
// look like letters. Base32 has no 0, 1 and 8.
func plainCode(typed string) string {
	return strings.Map(func(r rune) rune {
		switch r = unicode.ToUpper(r); r {
		case '0':
			return 'O'
		case '1':
			return 'I'
		case '8':
			return 'B'
		}
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, typed)
}
