package limit

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 1, 7, 3, 0, 0, time.UTC)

func of(name string) Profile {
	for _, p := range Profiles() {
		if p.Name == name {
			return p
		}
	}
	return Unknown()
}

// event is something that was booked.
type event struct {
	at time.Time
	n  int64
}

// maxConnections is the largest sum in any window of that length, wherever it
// begins.
func most(events []event, window time.Duration) (top int64) {
	var sum int64
	first := 0
	for _, e := range events {
		sum += e.n
		for e.at.Sub(events[first].at) >= window {
			sum -= events[first].n
			first++
		}
		top = max(top, sum)
	}
	return top
}

// 2,500 MB a day: three days of a mailbox that never ends, and no 24 hours have
// more. The process is started again now and then.
func TestGmailDays(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	now, l := start, New(of("gmail"), false, start, State{})
	var events []event
	var all int64
	rests := 0
	took := func(n int64) {
		l.Received(now, n)
		events = append(events, event{now, n})
		all += n
	}
	for end := start.Add(72 * time.Hour); now.Before(end); {
		if random.IntN(200) == 0 {
			l = New(of("gmail"), false, now, l.State(now))
		}
		took(int64(random.IntN(60_000))) // a listing, flags
		sizes := make([]int64, 500)
		for i := range sizes {
			sizes[i] = int64(random.ExpFloat64() * 75_000)
			if random.IntN(2000) == 0 {
				sizes[i] = 35_000_000
			}
		}
		n, err := l.Fits(now, sizes)
		var rest *RestError
		if errors.As(err, &rest) {
			if !rest.Resumes.After(now) || rest.Resumes.Sub(now) > Longest {
				t.Fatalf("at %v it rests until %v", now, rest.Resumes)
			}
			rests++
			now = rest.Resumes
			continue
		}
		for _, size := range sizes[:n] { // 20 MB/s, with the frame and TLS
			took(size + size/100 + 300)
			now = now.Add(time.Duration(size) * 50)
		}
	}
	top := most(events, 24*time.Hour)
	t.Logf("3 days: %d MB in all, at most %d MB in any 24 hours of 2,500 allowed, %d rests", all/mb, top/mb, rests)
	if top > 2500*mb || top < 2300*mb || all < 3*2300*mb || rests == 0 {
		t.Errorf("%d MB in 24 hours, %d MB in 3 days, %d rests", top/mb, all/mb, rests)
	}
}

// Sizes that no message has are no smaller than others.
func TestImpossibleSizes(t *testing.T) {
	l := New(of("gmail"), false, start, State{})
	for _, size := range []int64{1 << 41, 1<<63 - 1} {
		if n, err := l.Fits(start, []int64{1, size, 1}); n != 1 || err != nil {
			t.Errorf("%d: %d, %v", size, n, err)
		}
	}
	l.Received(start, mb)
	if n, err := l.Fits(start, []int64{1<<63 - 1, 1}); n != 0 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
}

// A message that is larger than what a day allows comes when nothing else
// counts.
func TestGiant(t *testing.T) {
	l := New(of("gmail"), false, start, State{})
	if n, err := l.Fits(start, []int64{3000 * mb, 1}); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	l.Received(start, mb)
	_, err := l.Fits(start, []int64{3000 * mb})
	var rest *RestError
	if !errors.As(err, &rest) || rest.Resumes != time.Date(2026, 3, 2, 7, 10, 0, 0, time.UTC) ||
		l.Resumes(start) != rest.Resumes {
		t.Errorf("%v", err)
	}
	if n, err := l.Fits(rest.Resumes, []int64{3000 * mb}); n != 1 || err != nil {
		t.Errorf("after the rest %d, %v", n, err)
	}
}

// No minute has more commands than the figure, wherever it begins, at any pace.
func TestCommandsAMinute(t *testing.T) {
	now, l := start, New(of("stalwart"), false, start, State{})
	var events []event
	for i := range 12_000 {
		if i == 6000 {
			l = New(of("stalwart"), false, now, l.State(now)) // a restart gives nothing away
		}
		now = now.Add(l.Command(now))
		events = append(events, event{now, 1})
		now = now.Add(time.Millisecond)
	}
	top, rate := most(events, time.Minute), 12_000/now.Sub(start).Minutes()
	t.Logf("at most %d commands in any minute of 2,000 allowed, %.0f a minute on average", top, rate)
	if top > 2000 || rate < 1300 {
		t.Errorf("%d in a minute, %.0f on average", top, rate)
	}
}

// Microsoft: whole pages until it shows that it has enough, then at most four
// messages a second, less at a lower pace.
func TestMessagesASecond(t *testing.T) {
	now, l := start, New(of("microsoft"), false, start, State{})
	for range 10 {
		if n, wait := l.Page(now, 500); n != 500 || wait != 0 {
			t.Errorf("%d after %v", n, wait)
		}
	}
	l.Throttled(now)
	sum := 0
	for end := now.Add(longRun); now.Before(end); {
		n, wait := l.Page(now, 500)
		now = now.Add(max(wait, time.Millisecond))
		sum += n
	}
	t.Logf("%d messages in %v at pace %v", sum, longRun, l.Pace())
	if sum < 1000 || sum > 2600 { // a quarter may come at once
		t.Errorf("%d messages in %v at pace %v", sum, longRun, l.Pace())
	}
	if n, wait := New(Unknown(), false, now, State{}).Page(now, 5000); n != 1000 || wait != 0 {
		t.Errorf("unknown: %d, %v", n, wait)
	}
}

// Half at a sign of throttling, signs that come together being one; a tenth
// more after each minute of clean work.
func TestPace(t *testing.T) {
	now, l := start, New(of("dovecot"), false, start, State{})
	work := func(d time.Duration) {
		for end := now.Add(d); now.Before(end); {
			now = now.Add(time.Second)
			l.Answered(now, time.Second, true)
		}
	}
	work(time.Minute)
	if l.Connections(now) != 3 || l.Pace() != 1 {
		t.Errorf("after a minute %d connections, pace %v", l.Connections(now), l.Pace())
	}
	for range 4 {
		l.Throttled(now)
	}
	if l.Pace() != 0.5 || l.Command(now).Round(time.Second) != time.Second {
		t.Errorf("pace %v, pause %v", l.Pace(), l.Command(now))
	}
	work(2 * time.Minute)
	if got := l.Pace(); got < 0.69 || got > 0.71 {
		t.Errorf("two clean minutes later: pace %v", got)
	}
	pool := l.Connections(now)
	l.Soft(now)
	low := l.Pace()
	work(softTime - time.Second)
	if l.Pace() != low || l.Connections(now) != pool {
		t.Errorf("it grew within ten minutes of a soft throttle: pace %v, %d connections", l.Pace(), l.Connections(now))
	}
	work(10 * time.Minute)
	if l.Pace() != 1 || l.Connections(now) != 8 || l.Command(now) != 0 {
		t.Errorf("in the end pace %v, %d connections, pause %v", l.Pace(), l.Connections(now), l.Command(now))
	}
	for range 100 {
		now = now.Add(time.Minute)
		l.Throttled(now)
	}
	if l.Pace() != leastPace {
		t.Errorf("the least pace is %v", l.Pace())
	}
}

// Answers that take far longer than usual, and connections that the server
// ends, are signs of throttling.
func TestSlowAndCut(t *testing.T) {
	now, l := start, New(Unknown(), false, start, State{})
	for range 20 {
		now = now.Add(time.Second)
		l.Answered(now, 100*time.Millisecond, true)
	}
	l.Answered(now, 3*time.Second, true)   // slow, but nothing to speak of
	l.Answered(now, 10*time.Second, false) // a FETCH
	if l.Pace() != 1 {
		t.Errorf("pace %v", l.Pace())
	}
	l.Answered(now, 10*time.Second, true)
	if l.Pace() != 0.5 {
		t.Errorf("after a slow answer: pace %v", l.Pace())
	}
	for range cutMost {
		now = now.Add(time.Minute)
		l.Cut(now)
	}
	if l.Pace() != 0.25 {
		t.Errorf("after five ended connections: pace %v", l.Pace())
	}
}

// A refusal teaches a ceiling, for a day, across restarts; Dovecot's figure
// leaves two to others.
func TestCeiling(t *testing.T) {
	for _, c := range []struct{ open, said, want int }{{1, 10, 8}, {1, 4, 2}, {1, 1, 1}, {0, 0, 1}, {3, 0, 2},
		{7, 0, 4}} {
		now, l := start, New(of("dovecot"), false, start, State{})
		for range 10 * 60 {
			now = now.Add(time.Second)
			l.Answered(now, time.Second, true)
		}
		for range c.open {
			l.Opened()
		}
		l.Refused(now, c.said)
		if got := l.Connections(now); got != c.want {
			t.Errorf("%+v: %d connections", c, got)
		}
		if wait := l.Dial(now); wait != time.Minute {
			t.Errorf("%+v: the next one after %v", c, wait)
		}
		later := now.Add(23 * time.Hour)
		l = New(of("dovecot"), false, later, l.State(now))
		for range 10 * 60 {
			later = later.Add(time.Second)
			l.Answered(later, time.Second, true)
		}
		if got := l.Connections(later); got != c.want {
			t.Errorf("%+v: %d connections 23 hours and a restart later", c, got)
		}
		later = now.Add(25 * time.Hour)
		for range 10 * 60 {
			later = later.Add(time.Second)
			l.Answered(later, time.Second, true)
		}
		if got := l.Connections(later); got != 8 {
			t.Errorf("%+v: %d connections the next day", c, got)
		}
	}
}

// One connection a second, each account; on this machine as many as one likes.
func TestDial(t *testing.T) {
	l := New(Unknown(), false, start, State{})
	for i, want := range []time.Duration{0, time.Second, 2 * time.Second} {
		if got := l.Dial(start); got != want {
			t.Errorf("dial %d after %v", i, got)
		}
	}
	if got := l.Dial(start.Add(-10 * time.Hour)); got != 0 {
		t.Errorf("with the clock set back it waits %v", got)
	}
	l = New(Unknown(), true, start, State{})
	l.Dial(start)
	if got := l.Dial(start); got != 0 {
		t.Errorf("on this machine it waits %v", got)
	}
}

// A clock that was wrong keeps no account resting, and no ceiling.
func TestWrongClock(t *testing.T) {
	future := start.AddDate(10, 0, 0)
	l := New(of("gmail"), false, future, State{})
	l.Received(future, 2450*mb)
	l.Rest(future, future.Add(12*time.Hour))
	l.Refused(future, 0)
	l = New(of("gmail"), false, start, l.State(future))
	if n, err := l.Fits(start, []int64{mb}); n != 1 || err != nil || l.Resumes(start).After(start) ||
		l.Connections(start) != 3 {
		t.Errorf("%d, %v, resumes %v, %d connections", n, err, l.Resumes(start), l.Connections(start))
	}
}
