package limit

import (
	"fmt"
	"time"
)

// Longest is the longest rest: a day, and the slot that completes it.
const Longest = dayTime + SlotTime

const (
	leastPace    = 1.0 / 16
	cleanTime    = time.Minute        // clean work that earns a tenth of the pace and one connection
	softTime     = 10 * time.Minute   // no growth after a soft throttle
	signSpacing  = 10 * time.Second   // signs closer than this are of one throttling and count once
	ceilingTime  = 24 * time.Hour     // how long a ceiling is remembered
	afterError   = time.Minute        // no new connection after a refused one
	idleTime     = 5 * time.Second    // silence between commands that still counts as work
	longestPause = 30 * time.Second   // longest pause between two commands
	longRun      = 1000 * time.Second // window of Profile.Messages; a quarter may be used at once
	pageSpan     = 10                 // seconds' worth of messages in a page once that quarter is used
	slowTimes    = 8                  // an answer this many times slower than usual signals throttling
	slowLeast    = 5 * time.Second    // no faster answer counts as slow
	cutSpan      = 10 * time.Minute   // cutMost cut connections within it signal throttling
	cutMost      = 5
)

// Limiter decides what one account may do and when. The package comment says
// who may use it.
type Limiter struct {
	profile  Profile
	local    bool // the server is on this machine: new connections need no spacing
	pace     float64
	commands *bucket // per minute; nil: no limit
	messages *bucket
	day      window

	pool          int           // target number of connections
	open          int           // open connections
	ceiling       int           // learned from refusals; 0: none
	ceilingUntil  time.Time     // when the ceiling expires
	nextDial      time.Time     // no new connection before this
	clean         time.Duration // clean work since the last growth
	noGrowthUntil time.Time     // no growth before this
	lastThrottled time.Time     // last halving of the pace
	lastAnswer    time.Time     // last clean answer
	usualTime     time.Duration // smoothed time of an answer; 0: unknown
	pause         time.Duration // pause between two commands
	cuts          []time.Time   // recent connections that the server cut
	resumes       time.Time     // the account rests until then
}

// New makes an account's limiter from the state that an earlier one saved.
// local: the server is on this machine.
func New(p Profile, local bool, now time.Time, s State) *Limiter {
	l := &Limiter{local: local, pace: 1}
	l.Adopt(p, now)
	l.restore(now, s)
	return l
}

// Adopt switches to another profile once the server has shown what it is. Usage
// and what was learned are kept.
func (l *Limiter) Adopt(p Profile, now time.Time) {
	if p.Name == l.profile.Name {
		return
	}
	l.profile = p
	l.pool = max(min(max(l.pool, p.Start), p.Most), 1)
	l.commands, l.messages = nil, nil
	if p.Commands > 0 {
		l.commands = newBucket(p.Commands, time.Minute)
	}
	if p.Messages > 0 {
		l.messages = newBucket(p.Messages*int(longRun/time.Second), longRun)
	}
	l.scale(now)
}

// Profile returns the profile in use.
func (l *Limiter) Profile() Profile { return l.profile }

// scale applies the pace to the buckets.
func (l *Limiter) scale(now time.Time) {
	if l.commands != nil {
		l.commands.scale(now, l.pace)
	}
	if l.messages != nil {
		l.messages.scale(now, l.pace)
	}
}

// Command books a command and returns how long to wait before sending it.
func (l *Limiter) Command(now time.Time) time.Duration {
	wait := l.pause
	if l.commands != nil {
		wait = max(wait, l.commands.take(now, 1))
	}
	return wait
}

// Page books the messages of one page, at most most. It returns how many to ask
// for and how long to wait first. No provider enforces messages a second: it is
// what others found gentle, so it applies only while the server signals
// throttling.
func (l *Limiter) Page(now time.Time, most int) (n int, wait time.Duration) {
	n = min(most, l.profile.UIDs)
	if l.messages == nil || l.pace >= 1 {
		return n, 0
	}
	n = max(min(n, l.messages.free(now)), min(n, l.profile.Messages*pageSpan))
	return n, l.messages.take(now, n)
}

// Received books octets.
func (l *Limiter) Received(now time.Time, octets int64) {
	if l.profile.Day > 0 {
		l.day.add(now, octets)
	}
}

// reserve is the part of a day's octets that bodies leave to listings and
// flags.
func (l *Limiter) reserve() int64 { return l.profile.Day / 50 }

// Metered reports whether octets are limited. If so, sizes must be known before
// messages are asked for.
func (l *Limiter) Metered() bool { return l.profile.Day > 0 }

// mostSize caps the sizes that servers claim, so that their sum cannot
// overflow.
const mostSize = 1 << 40

// cost estimates what a message takes on the wire, with its flags and framing.
func cost(size int64) int64 {
	size = min(size, mostSize)
	return size + size/50 + 512
}

// Fits returns how many of the messages with these sizes may be asked for,
// counted from the first. A message larger than a whole day's octets passes
// alone, when nothing else counts.
//
// If not even the first fits, the account rests and the error is a *RestError.
// The rest lasts until the message and a little more fit, so that the account
// does not wake for every single message.
func (l *Limiter) Fits(now time.Time, sizes []int64) (n int, err error) {
	most := l.profile.Day - l.reserve()
	left := most - l.day.used(now)
	if l.profile.Day == 0 || len(sizes) == 0 {
		return len(sizes), nil
	}
	first := min(cost(sizes[0]), most)
	if first > left {
		free := l.day.freeAt(now, most-max(first, l.profile.Day/25))
		return 0, &RestError{Resumes: l.Rest(now, free), Figure: l.profile.Day}
	}
	for left -= first; n+1 < len(sizes) && cost(sizes[n+1]) <= left; n++ {
		left -= cost(sizes[n+1])
	}
	return n + 1, nil
}

// RestError reports that the provider's daily allowance is used up.
type RestError struct {
	Resumes time.Time
	Figure  int64 // octets in 24 hours
}

func (e *RestError) Error() string {
	return fmt.Sprintf("the provider allows %d MB in 24 hours, and they are used up", e.Figure/mb)
}

// Rest makes the account rest until a time, unless it already rests longer. It
// returns when the rest ends.
func (l *Limiter) Rest(now, until time.Time) time.Time {
	if until.After(l.Resumes(now)) {
		l.resumes = until.Round(0) // wall clock: sleep of the machine counts as rest
	}
	return l.Resumes(now)
}

// Lift ends the rest.
func (l *Limiter) Lift() { l.resumes = time.Time{} }

// Resumes returns when the account may go on. A time not after now means at
// once.
func (l *Limiter) Resumes(now time.Time) time.Time {
	if l.resumes.Sub(now.Round(0)) > Longest {
		l.resumes = time.Time{} // written while the clock was wrong
	}
	return l.resumes
}
