package connpool

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"mailcote/engine/imap"
	"mailcote/engine/secret"
)

const (
	unproven   = 30 * time.Second // a session unused for longer answers a NOOP before it is leased
	proofTime  = 10 * time.Second // in this time
	logoutTime = time.Second
	usual      = 2 // connections to a server nobody knows more of
)

// The reasons why no connection is leased.
var (
	ErrClosed = errors.New("the account's connections were closed")
	ErrNoRoom = errors.New("the server allows one connection, and that is not for watching")
	// ErrSlept ends sessions that a sleep of the machine has made doubtful.
	ErrSlept = errors.New("the machine slept, and the connection is presumed dead")
)

// Account is what a pool asks of its account and tells it.
type Account interface {
	// Password is asked for before each dial.
	Password(ctx context.Context) (secret.Secret, error)
	// Say tells a person who watches what the pool does. The note may be empty.
	Say(doing Doing, note string)
	// Greeted gets each session that has just signed in, before anybody uses it. After an error it is closed.
	Greeted(ctx context.Context, s *imap.Session) error
}

// Doing is what a pool does for somebody who waits for a connection. Each is a state of engine/progress.
type Doing string

// What a pool does.
const (
	Waiting    Doing = "waiting"
	Connecting Doing = "connecting"
	SigningIn  Doing = "signing in"
)

// Memory remembers a sign-in from before it is sent until it is answered, also over a restart. The zero
// Unanswered: there is none.
type Memory interface {
	SignIn(ctx context.Context) (Unanswered, error)
	SetSignIn(ctx context.Context, u Unanswered) error
}

// Options are what a pool needs.
type Options struct {
	User    string
	Account Account
	Memory  Memory
	Gate    *Gate // the process's
	// Dial opens a connection up to the server's capabilities and sends no credential.
	Dial func(ctx context.Context) (*imap.Session, error)
	// Connections is how many the server allows now; nil: 2. It is called under the pool's lock.
	Connections func() int
	// Pace waits before each dial until the account may have a new connection, or says why it may not; nil: it may.
	Pace func(ctx context.Context) error
	// Gone is told of the end of each session that Greeted has taken; nil: nobody.
	Gone func()
	// Resend is the least wait between an unanswered sign-in and the next; 0: the constant.
	Resend time.Duration
	// DialFailed is told why a person's attempt came to nothing, before Connections is asked again; other work
	// tells it with its own end. nil: nobody. Its error is one of noting it.
	DialFailed func(ctx context.Context, err error) error
	// NoConnection is told once when work has waited for a connection for longer than Patience; see Figures. nil:
	// nobody.
	NoConnection func(since time.Time)
	// Changed is told when Figures gives others than before; nil: nobody. It is called under the pool's lock.
	Changed func()
}

// Pool keeps the connections of one account.
type Pool struct {
	o Options

	mu       sync.Mutex
	closed   bool
	idle     []kept // signed in and nobody's, the last used at the end
	leases   map[*Lease]struct{}
	dialling usage
	persons  int           // how many persons wait
	changed  chan struct{} // closed and replaced when waiting may be over
	failing  bool          // the last dial came to nothing
	woken    bool          // no dial since a sleep
	figures  Figures
	short    time.Time // since when work has had no connection; zero: it has
	alarm    *time.Timer
	telling  sync.WaitGroup // NoConnection is being told
}

// kept is a session nobody uses.
type kept struct {
	s     *imap.Session
	since time.Time
}

func newKept(s *imap.Session) kept { return kept{s, time.Now()} }

// New makes a pool with nothing in it.
func New(o Options) *Pool {
	if o.Connections == nil {
		o.Connections = func() int { return usual }
	}
	if o.Resend == 0 {
		o.Resend = Resend
	}
	return &Pool{o: o, leases: map[*Lease]struct{}{}, changed: make(chan struct{})}
}

// Want is what a session is wanted for.
type Want struct {
	Use Use
	// Fresh: it must be made for this call, so that what it says owes nothing to an earlier one. Where there is
	// no room an idle one ends for it.
	Fresh bool
	// Asked: a person asked for the work, so that waits which protect nobody are cut short.
	Asked bool
}

// Take leases a session: one that is there, else a new one, else the next that somebody gives back. The error of
// a dial or a sign-in is a *StepError.
func (p *Pool) Take(ctx context.Context, w Want) (*Lease, error) {
	l := &Lease{p: p, use: w.Use, asked: w.Asked || w.Use == Person}
	return l, p.fill(ctx, l, w.Fresh)
}

// fill gives a lease its session.
func (p *Pool) fill(ctx context.Context, l *Lease, fresh bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	waits := false // it is one of p.persons
	defer func() { p.served(&waits); p.tell() }()
	for {
		allowed := p.allowed()
		switch {
		case p.closed:
			return ErrClosed
		case ctx.Err() != nil:
			return ctx.Err()
		case l.use == Watch && !MayWatch(allowed):
			return ErrNoRoom
		case !fits(l.use, allowed, p.usage(), p.persons):
			p.await(ctx, l.use, &waits)
		case !fresh && len(p.idle) > 0:
			p.served(&waits)
			last := len(p.idle) - 1
			k := p.idle[last]
			p.idle = p.idle[:last]
			if p.lease(ctx, l, k) {
				return nil
			}
		default:
			p.served(&waits)
			err := p.open(ctx, l, allowed)
			if err == nil || l.use != Person || p.allowed() >= allowed {
				return err
			}
			// The server allows fewer than was thought: the person waits for one of those there are.
		}
	}
}

func (p *Pool) allowed() int { return max(1, p.o.Connections()) }

func (p *Pool) usage() usage {
	have := p.dialling
	for l := range p.leases {
		have[l.use]++
	}
	return have
}

// await waits until something has changed, or ctx ends. A person counts as one who waits until served says
// otherwise, however often something changes meanwhile: to tell the others each time would let two persons wake
// each other without end.
func (p *Pool) await(ctx context.Context, use Use, waits *bool) {
	changed := p.changed
	if use == Person && !*waits {
		*waits = true
		p.persons++
	}
	p.figures.Waiting++
	p.tell()
	p.press(use)
	p.mu.Unlock()
	select {
	case <-changed:
	case <-ctx.Done():
	}
	p.mu.Lock()
	p.figures.Waiting--
}

// served notes that somebody waits no more, if he did.
func (p *Pool) served(waits *bool) {
	if *waits {
		*waits = false
		p.persons--
		p.stir() // others stood back for it
	}
}

// stir lets everybody who waits look again.
func (p *Pool) stir() {
	close(p.changed)
	p.changed = make(chan struct{})
	p.tell()
}

// tell says that the figures have changed.
func (p *Pool) tell() {
	if p.o.Changed != nil {
		p.o.Changed()
	}
}

// press asks as many leases to give way as there are persons who wait; for other work it asks a watch.
func (p *Pool) press(waiting Use) {
	want := max(1, p.persons)
	for _, use := range []Use{Watch, Bulk} {
		for l := range p.leases {
			if want > 0 && l.use == use && yields(use, waiting) {
				want--
				l.press()
			}
		}
	}
}

// lease proves an idle session and gives it to a lease; false: it is dead.
func (p *Pool) lease(ctx context.Context, l *Lease, k kept) bool {
	p.leases[l] = struct{}{}
	l.take(k.s, k.s.BytesRead())
	if k.s.State() != imap.Closed && (time.Since(k.since) <= unproven || p.proven(ctx, k.s)) {
		p.rested()
		return true
	}
	p.figures.Dead++
	delete(p.leases, l)
	l.s = nil
	p.bury(k.s)
	p.stir()
	return false
}

// proven asks the server for a NOOP, without the lock.
func (p *Pool) proven(ctx context.Context, s *imap.Session) bool {
	p.mu.Unlock()
	defer p.mu.Lock()
	s.SetProgress(proofTime)
	defer s.SetProgress(0)
	return s.Noop(ctx) == nil && s.State() != imap.Closed
}

// open makes a session for a lease. Where that would be one too many, the idle one that was used longest ago ends
// first.
func (p *Pool) open(ctx context.Context, l *Lease, allowed int) error {
	p.dialling[l.use]++
	var over []kept
	for len(p.idle) > 0 && p.usage().all()+len(p.idle) > allowed {
		over, p.idle = append(over, p.idle[0]), p.idle[1:]
	}
	defer p.stir()
	s, err := p.unlocked(ctx, l, over)
	if err != nil {
		if !stopped(ctx) {
			p.figures.Refused++
			p.lacking()
		}
		return err
	}
	if p.closed {
		p.bury(s)
		return ErrClosed
	}
	p.leases[l] = struct{}{}
	l.take(s, 0)
	p.rested()
	if p.persons > 0 {
		p.press(Person)
	}
	return nil
}

// unlocked ends sessions and dials without the lock, and has it again afterwards whatever happens.
func (p *Pool) unlocked(ctx context.Context, l *Lease, over []kept) (*imap.Session, error) {
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.dialling[l.use]--
	}()
	p.logout(ctx, over)
	s, err := p.connect(ctx, l.asked)
	if err != nil && l.use == Person && p.o.DialFailed != nil && !stopped(ctx) {
		var step *StepError
		if noting := p.o.DialFailed(ctx, err); noting != nil && errors.As(err, &step) {
			err = &StepError{step.Step, errors.Join(step.Err, noting)}
		}
	}
	return s, err
}

// Slept presumes every session dead: idle ones are closed, what runs on the others fails with ErrSlept. The next
// dial but a person's is put off by a moment, so that not all accounts dial at once.
func (p *Pool) Slept() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.woken = true
	p.figures.Dead += int64(len(p.idle) + len(p.leases))
	for _, k := range p.idle {
		p.bury(k.s)
	}
	p.idle = nil
	for l := range p.leases {
		l.s.Abort(ErrSlept)
	}
	p.stir()
}

// Retire ends the idle sessions with LOGOUT: nobody will want one soon.
func (p *Pool) Retire(ctx context.Context) {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.rested()
	p.tell()
	p.mu.Unlock()
	p.logout(ctx, idle)
}

// Close is Retire for good. Sessions that are leased end when they are given back.
func (p *Pool) Close(ctx context.Context) {
	p.mu.Lock()
	p.closed = true
	p.stir()
	p.mu.Unlock()
	p.Retire(ctx)
	p.telling.Wait()
}

// bury closes a session for good.
func (p *Pool) bury(s *imap.Session) {
	_ = s.Close() //nolint:errcheck // why it ends was said where it broke, or it is over in order
	if p.o.Gone != nil {
		p.o.Gone()
	}
}

// logout ends sessions in order, side by side, whatever has happened to ctx.
func (p *Pool) logout(ctx context.Context, all []kept) {
	if len(all) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTime)
	defer cancel()
	var done sync.WaitGroup
	for _, k := range slices.Backward(all) {
		done.Go(func() {
			_ = k.s.Logout(ctx) //nolint:errcheck // everything that counts is committed
			p.bury(k.s)
		})
	}
	done.Wait()
}
