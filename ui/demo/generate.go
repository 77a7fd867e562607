package demo

import (
	"math"
	"math/rand/v2"
	"sort"
	"time"

	"github.com/emersion/go-imap/v2"
)

// Horizon is the age of the oldest possible message of the demo mailbox.
const Horizon = 2 * 365 * 24 * time.Hour

// Message is one message of the demo mailbox.
type Message struct {
	Mailbox string      // decoded path, "/" between levels
	Date    time.Time   // INTERNALDATE, the same instant as its Date header
	Flags   []imap.Flag // system flags and keywords as the server stores them
	Raw     []byte      // RFC 5322 bytes with CRLF
}

// Mailbox generates count messages, oldest first. The result depends on the
// arguments alone. An error means that the embedded texts are broken.
func Mailbox(seed uint64, now time.Time, count int) ([]Message, error) {
	g, err := newGenerator(seed, now)
	if err != nil {
		return nil, err
	}
	return g.fill(count)
}

// generator holds the state from which messages are made, one after the
// other. It belongs to one goroutine.
type generator struct {
	rng     *rand.Rand
	now     time.Time
	book    *phrasebook
	threads []*thread
	serial  int
	out     []*Message
}

func newGenerator(seed uint64, now time.Time) (*generator, error) {
	book, err := loadPhrases()
	if err != nil {
		return nil, err
	}
	return &generator{
		rng:  rand.New(rand.NewPCG(seed, 0x6d61696c636f7465)),
		now:  now.Truncate(time.Second),
		book: book,
	}, nil
}

// drafts is how many unfinished letters lie in Drafts.
const drafts = 4

// fill makes the whole mailbox: today's mail first, so that it is there
// however small count is, then the past, then the drafts, which may answer
// something.
func (g *generator) fill(count int) ([]Message, error) {
	if err := g.today(count); err != nil {
		return nil, err
	}
	for len(g.out) < count-drafts {
		if err := g.past(count - drafts); err != nil {
			return nil, err
		}
	}
	for len(g.out) < count {
		if err := g.draft(g.now.Add(-time.Duration(1+g.rng.IntN(9*24)) * time.Hour)); err != nil {
			return nil, err
		}
	}
	sort.SliceStable(g.out, func(i, j int) bool { return g.out[i].Date.Before(g.out[j].Date) })
	list := make([]Message, 0, len(g.out))
	for _, m := range g.out {
		list = append(list, *m)
	}
	g.out = nil
	return list, nil
}

// today makes the mail that is on top when the demo opens. The newest
// message is dated now.
func (g *generator) today(count int) error {
	steps := []func(time.Time) error{
		g.newThread, g.notice, g.newThread, g.newsletter, g.newThread, g.notice, g.newThread, g.junk,
	}
	age := time.Duration(0)
	for _, step := range steps {
		if len(g.out) >= count {
			return nil
		}
		if err := step(g.now.Add(-age)); err != nil {
			return err
		}
		age += time.Duration(9+g.rng.IntN(110)) * time.Minute
	}
	return nil
}

// past makes one conversation or one single message at a random date.
func (g *generator) past(count int) error {
	date := g.pastDate()
	switch dice := g.rng.IntN(100); {
	case dice < 14:
		return g.newsletter(date)
	case dice < 28:
		return g.notice(date)
	case dice < 36:
		return g.junk(date)
	}
	if err := g.newThread(date); err != nil {
		return err
	}
	t := g.threads[len(g.threads)-1]
	for range g.rng.IntN(6) {
		date = date.Add(time.Duration(20+g.rng.IntN(3*24*60)) * time.Minute)
		if t.finished() || date.After(g.now) || len(g.out) >= count {
			return nil
		}
		if err := g.replyTo(t, date, g.nextSender(t)); err != nil {
			return err
		}
	}
	return nil
}

// pastDate is more often recent than old, in waking hours, never later than
// now nor older than Horizon.
func (g *generator) pastDate() time.Time {
	days := math.Pow(g.rng.Float64(), 2.2) * (Horizon.Hours()/24 - 4)
	d := g.now.AddDate(0, 0, -1-int(days))
	return time.Date(d.Year(), d.Month(), d.Day(), 6+g.rng.IntN(16), g.rng.IntN(60), g.rng.IntN(60), 0,
		d.Location()).Add(-24 * time.Hour)
}

// arrive makes the next message that reaches INBOX of a running demo.
func (g *generator) arrive(now time.Time) (Message, error) {
	g.now, g.out = now.Truncate(time.Second), nil
	if err := g.arrival(); err != nil {
		return Message{}, err
	}
	m := *g.out[0]
	m.Mailbox, m.Flags = "INBOX", nil
	return m, nil
}

func (g *generator) arrival() error {
	switch dice := g.rng.IntN(10); {
	case dice < 6:
		if t := g.openThread(); t != nil {
			return g.replyTo(t, g.now, t.others[g.rng.IntN(len(t.others))])
		}
		return g.newThread(g.now)
	case dice < 8:
		return g.newThread(g.now)
	case dice < 9:
		return g.notice(g.now)
	default:
		return g.newsletter(g.now)
	}
}

// openThread picks one of the recent conversations that can still go on, or
// nil.
func (g *generator) openThread() *thread {
	var open []*thread
	for _, t := range g.threads {
		if !t.finished() && g.now.Sub(t.last.date) < 60*24*time.Hour {
			open = append(open, t)
		}
	}
	if len(open) == 0 {
		return nil
	}
	return open[g.rng.IntN(len(open))]
}

// keep renders d and files it. The flags are decided by the caller.
func (g *generator) keep(d *draft, mailbox string, flags ...imap.Flag) (*Message, error) {
	raw, err := d.bytes()
	if err != nil {
		return nil, err
	}
	m := &Message{Mailbox: mailbox, Date: d.date, Flags: flags, Raw: raw}
	g.out = append(g.out, m)
	return m, nil
}

// readFlags are the flags of received mail: what is old is mostly read.
func (g *generator) readFlags(date time.Time) []imap.Flag {
	var flags []imap.Flag
	age := g.now.Sub(date)
	if age > 72*time.Hour && g.rng.IntN(100) < 96 || age > 2*time.Hour && g.rng.IntN(100) < 45 {
		flags = append(flags, imap.FlagSeen)
	}
	if g.rng.IntN(100) < 7 {
		flags = append(flags, imap.FlagFlagged)
	}
	if g.rng.IntN(100) < 3 {
		flags = append(flags, "$Forwarded")
	}
	return flags
}
