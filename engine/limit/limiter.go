package limit

import (
	"fmt"
	"time"
)

// Longest is the longest rest: a daily limit, and the slot that it is counted
// in.
const Longest = dayTime + SlotTime

const (
	leastPace  = 1.0 / 16
	cleanTime  = time.Minute        // of clean work, for a tenth of the pace and one connection more
	softTime   = 10 * time.Minute   // no growth after a soft throttle
	together   = 10 * time.Second   // signs of one throttling come close together: they count once
	learned    = 24 * time.Hour     // a ceiling is remembered
	afterError = time.Minute        // between two connections, after a server took none
	idleGap    = 5 * time.Second    // silence between commands that still counts as work
	longestGap = 30 * time.Second   // between two commands, at the slowest pace
	longRun    = 1000 * time.Second // the window of Profile.Messages; a quarter of it may come at once
	pageSpan   = 10                 // seconds' worth of messages that a page asks for when that quarter is used up
	slowTimes  = 8                  // an answer so much slower than usual is a sign of throttling
	slowLeast  = 5 * time.Second    // below it no answer is slow
	errorSpan  = 10 * time.Minute   // errorMost ended connections in it are a sign of throttling
	errorMost  = 5
)

// Limiter is what one account may do. See the package comment for who may use
// it.
type Limiter struct {
	p        Profile
	local    bool // the server is on this machine: connections cost it nothing
	pace     float64
	commands *bucket // a minute; nil: no limit
	messages *bucket
	day      window

	pool    int           // connections to aim at
	open    int           // connections there are
	ceiling int           // what refusals have taught; 0: nothing
	until   time.Time     // how long that holds
	dial    time.Time     // no connection before
	clean   time.Duration // of work since the last growth
	still   time.Time     // no growth before
	slowed  time.Time     // the last halving
	last    time.Time     // the last clean answer
	usual   time.Duration // how long answers take; 0: not known
	gap     time.Duration // between two commands
	breaks  []time.Time   // connections that the server ended lately
	resumes time.Time     // the account rests until then
}

// New makes an account's limiter of what was saved of an earlier one. local:
// the server is on this machine.
func New(p Profile, local bool, now time.Time, s State) *Limiter {
	l := &Limiter{local: local, pace: 1}
	l.Adopt(p, now)
	l.restore(now, s)
	return l
}

// Adopt takes another profile, when the server has shown what it is. What was
// used and learned stays.
func (l *Limiter) Adopt(p Profile, now time.Time) {
	if p.Name == l.p.Name {
		return
	}
	l.p = p
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

// Profile is what is known of the server.
func (l *Limiter) Profile() Profile { return l.p }

// scale sets the buckets to the pace.
func (l *Limiter) scale(now time.Time) {
	if l.commands != nil {
		l.commands.scale(now, l.pace)
	}
	if l.messages != nil {
		l.messages.scale(now, l.pace)
	}
}

// Command books a command and gives how long to wait before it is sent.
func (l *Limiter) Command(now time.Time) time.Duration {
	wait := l.gap
	if l.commands != nil {
		wait = max(wait, l.commands.take(now, 1))
	}
	return wait
}

// Page books messages to be asked for, at most most, and gives how many and how
// long to wait before. Their number a second is nobody's rule, only what others
// found to be gentle: it is kept to while the server shows that it has enough.
func (l *Limiter) Page(now time.Time, most int) (n int, wait time.Duration) {
	n = min(most, l.p.UIDs)
	if l.messages == nil || l.pace >= 1 {
		return n, 0
	}
	n = max(min(n, l.messages.free(now)), min(n, l.p.Messages*pageSpan))
	return n, l.messages.take(now, n)
}

// Received books octets.
func (l *Limiter) Received(now time.Time, octets int64) {
	if l.p.Day > 0 {
		l.day.add(now, octets)
	}
}

// reserve is the part of a day's octets that bodies leave to listings and
// flags.
func (l *Limiter) reserve() int64 { return l.p.Day / 50 }

// Metered says whether octets are counted, so that the size of what is asked
// for has to be known.
func (l *Limiter) Metered() bool { return l.p.Day > 0 }

// mostSize is the largest size that is believed: sums of what servers say must
// not wrap.
const mostSize = 1 << 40

// cost is what a message of a size takes on the wire, with its flags and the
// frame around it.
func cost(size int64) int64 {
	size = min(size, mostSize)
	return size + size/50 + 512
}

// Fits gives how many of the messages with these sizes may be asked for, from
// the first one on. One that is larger than a whole day's octets is let through
// alone, when nothing else counts. When not even the first one may, the account
// rests until it may and a little more fits, so that it is not woken for every
// message: the error is a *RestError.
func (l *Limiter) Fits(now time.Time, sizes []int64) (n int, err error) {
	most := l.p.Day - l.reserve()
	left := most - l.day.used(now)
	if l.p.Day == 0 || len(sizes) == 0 {
		return len(sizes), nil
	}
	first := min(cost(sizes[0]), most)
	if first > left {
		return 0, &RestError{Resumes: l.Rest(now, l.day.free(now, most-max(first, l.p.Day/25))), Figure: l.p.Day}
	}
	for left -= first; n+1 < len(sizes) && cost(sizes[n+1]) <= left; n++ {
		left -= cost(sizes[n+1])
	}
	return n + 1, nil
}

// RestError says that what a provider allows in a day is used up.
type RestError struct {
	Resumes time.Time
	Figure  int64 // octets in 24 hours
}

func (e *RestError) Error() string {
	return fmt.Sprintf("the provider allows %d MB in 24 hours, and they are used up", e.Figure/mb)
}

// Rest notes that the account rests until a time, and gives how long it does.
func (l *Limiter) Rest(now, until time.Time) time.Time {
	if until.After(l.Resumes(now)) {
		l.resumes = until.Round(0) // by the wall clock: a machine that slept has rested too
	}
	return l.Resumes(now)
}

// Lift ends the rest.
func (l *Limiter) Lift() { l.resumes = time.Time{} }

// Resumes is when the account may go on; now and earlier: it may.
func (l *Limiter) Resumes(now time.Time) time.Time {
	if l.resumes.Sub(now.Round(0)) > Longest {
		l.resumes = time.Time{} // a clock that was wrong has made it
	}
	return l.resumes
}
