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
	// a session unused for longer must answer a NOOP before it is leased …
	proofAfter = 30 * time.Second
	proofTime  = 10 * time.Second // … in this time
	logoutTime = time.Second
	usual      = 2 // connections to a server of unknown limit
)

// The reasons why no connection is leased.
var (
	ErrClosed = errors.New("the account's connections were closed")
	ErrNoRoom = errors.New("the server allows one connection, and that is not for watching")
	// ErrSlept ends sessions that a sleep of the machine has made doubtful.
	ErrSlept = errors.New("the machine slept, and the connection is presumed dead")
)

// Account is what a pool needs of its account.
type Account interface {
	// Password is called before each dial.
	Password(ctx context.Context) (secret.Secret, error)
	// Say publishes what the pool does. The note may be empty.
	Say(doing Doing, note string)
	// Greeted gets each session that has just signed in, before anybody uses
	// it. After an error the session is closed.
	Greeted(ctx context.Context, s *imap.Session) error
}

// Doing is what a pool does for somebody who waits for a connection. Each is a
// state of engine/progress.
type Doing string

// What a pool does.
const (
	Waiting    Doing = "waiting"
	Connecting Doing = "connecting"
	SigningIn  Doing = "signing in"
)

// Memory stores a sign-in before it is sent until it is answered, also over a
// restart. The zero Unanswered means that there is none.
type Memory interface {
	SignIn(ctx context.Context) (Unanswered, error)
	SetSignIn(ctx context.Context, u Unanswered) error
}

// Options are what a pool needs.
type Options struct {
	User    string
	Account Account
	Memory  Memory
	Gate    *Gate // the process's gate
	// Dial opens a connection, reads the server's capabilities and sends no
	// credential.
	Dial func(ctx context.Context) (*imap.Session, error)
	// Connections returns how many connections the server allows now; nil means
	// 2. It is called under the pool's lock.
	Connections func() int
	// Pace waits before each dial until the account may have a new connection,
	// or fails with the reason why it may not. It may be nil.
	Pace func(ctx context.Context) error
	// Gone is called when a session that Greeted accepted has ended. It may be
	// nil.
	Gone func()
	// Resend overrides the constant unless it is 0.
	Resend time.Duration
	// DialFailed is called with the error of an interactive command's attempt,
	// before Connections is called again. Other work reports the error itself
	// when it ends. It returns an error if it could not note that. It may be
	// nil.
	DialFailed func(ctx context.Context, err error) error
	// NoConnection is called once when work has waited for a connection longer
	// than Patience; see Figures. It may be nil.
	NoConnection func(since time.Time)
	// Changed is called under the pool's lock when Figures changed. It may be
	// nil.
	Changed func()
}

// Pool keeps the connections of one account.
type Pool struct {
	o      Options
	method Method

	mu          sync.Mutex
	closed      bool
	idle        []idleSession // signed in and unused, the last used at the end
	leases      map[*Lease]struct{}
	dialling    usage
	interactive int           // interactive commands that wait
	changed     chan struct{} // closed and replaced when waiting may be over
	failing     bool          // the last dial failed
	woken       bool          // no dial since a sleep
	figures     Figures
	short       time.Time // when work began to wait without any connection; zero: it does not
	alarm       *time.Timer
	calls       sync.WaitGroup // running NoConnection calls
}

// idleSession is a session that nobody uses.
type idleSession struct {
	s     *imap.Session
	since time.Time
}

func newIdle(s *imap.Session) idleSession { return idleSession{s, time.Now()} }

// New makes an empty pool.
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
	// Fresh asks for a session made for this call, so that its answers owe
	// nothing to earlier ones. If there is no room, an idle session ends for
	// it.
	Fresh bool
	// Asked means that the work was asked for by hand. Waits that protect
	// nobody are then cut short.
	Asked bool
}

// Take leases a session: an idle one, otherwise a new one, otherwise the next
// that is given back. The error of a dial or a sign-in is a *StepError.
func (p *Pool) Take(ctx context.Context, w Want) (*Lease, error) {
	l := &Lease{p: p, use: w.Use, asked: w.Asked || w.Use == Person}
	return l, p.fill(ctx, l, w.Fresh)
}

// fill gives a lease its session.
func (p *Pool) fill(ctx context.Context, l *Lease, fresh bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	waits := false // it is one of p.interactive
	defer func() { p.served(&waits); p.publish() }()
	for {
		allowed := p.allowed()
		switch {
		case p.closed:
			return ErrClosed
		case ctx.Err() != nil:
			return ctx.Err()
		case l.use == Watch && !MayWatch(allowed):
			return ErrNoRoom
		case !fits(l.use, allowed, p.usage(), p.interactive):
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
			// The server allows fewer than assumed: wait for one of the present
			// connections.
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

// await waits until something has changed or ctx ends. An interactive command
// counts as waiting until served, however often something changes meanwhile. If
// each change were signalled to the others, two commands could wake each other
// without end.
func (p *Pool) await(ctx context.Context, use Use, waits *bool) {
	changed := p.changed
	if use == Person && !*waits {
		*waits = true
		p.interactive++
	}
	p.figures.Waiting++
	p.publish()
	p.requestYield(use)
	p.mu.Unlock()
	select {
	case <-changed:
	case <-ctx.Done():
	}
	p.mu.Lock()
	p.figures.Waiting--
}

// served notes that an interactive command waits no more, if it did.
func (p *Pool) served(waits *bool) {
	if *waits {
		*waits = false
		p.interactive--
		p.wake() // others stood back for it
	}
}

// wake lets everybody who waits look again.
func (p *Pool) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
	p.publish()
}

// publish signals that the figures have changed.
func (p *Pool) publish() {
	if p.o.Changed != nil {
		p.o.Changed()
	}
}

// requestYield asks as many leases to give way as interactive commands wait.
// For other work it asks one watch.
func (p *Pool) requestYield(waiting Use) {
	want := max(1, p.interactive)
	for _, use := range []Use{Watch, Bulk} {
		for l := range p.leases {
			if want > 0 && l.use == use && yields(use, waiting) {
				want--
				l.requestYield()
			}
		}
	}
}

// lease proves an idle session and gives it to a lease. It returns false if the
// session is dead.
func (p *Pool) lease(ctx context.Context, l *Lease, k idleSession) bool {
	p.leases[l] = struct{}{}
	l.take(k.s, k.s.BytesRead())
	if k.s.State() != imap.Closed && (time.Since(k.since) <= proofAfter || p.proven(ctx, k.s)) {
		p.endShortage()
		return true
	}
	p.figures.Dead++
	delete(p.leases, l)
	l.s = nil
	p.discard(k.s)
	p.wake()
	return false
}

// proven reports whether the session answers a NOOP. It releases the lock
// meanwhile.
func (p *Pool) proven(ctx context.Context, s *imap.Session) bool {
	p.mu.Unlock()
	defer p.mu.Lock()
	s.SetProgress(proofTime)
	defer s.SetProgress(0)
	return s.Noop(ctx) == nil && s.State() != imap.Closed
}

// open makes a session for a lease. If that is one too many, the idle session
// unused for longest ends first.
func (p *Pool) open(ctx context.Context, l *Lease, allowed int) error {
	p.dialling[l.use]++
	var over []idleSession
	for len(p.idle) > 0 && p.usage().all()+len(p.idle) > allowed {
		over, p.idle = append(over, p.idle[0]), p.idle[1:]
	}
	defer p.wake()
	s, err := p.unlocked(ctx, l, over)
	if err != nil {
		if !stopped(ctx) {
			p.figures.Refused++
			p.noteShortage()
		}
		return err
	}
	if p.closed {
		p.discard(s)
		return ErrClosed
	}
	p.leases[l] = struct{}{}
	l.take(s, 0)
	p.endShortage()
	if p.interactive > 0 {
		p.requestYield(Person)
	}
	return nil
}

// unlocked ends sessions and dials without the lock. It always returns with the
// lock.
func (p *Pool) unlocked(ctx context.Context, l *Lease, over []idleSession) (*imap.Session, error) {
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

// Slept presumes every session dead. Idle ones are closed, and commands on the
// others fail with ErrSlept. The next dial, unless asked for by hand, is
// delayed by a moment, so that not all accounts dial at once.
func (p *Pool) Slept() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.woken = true
	p.figures.Dead += int64(len(p.idle) + len(p.leases))
	for _, k := range p.idle {
		p.discard(k.s)
	}
	p.idle = nil
	for l := range p.leases {
		l.s.Abort(ErrSlept)
	}
	p.wake()
}

// Retire ends the idle sessions with LOGOUT, because nobody will want one soon.
func (p *Pool) Retire(ctx context.Context) {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.endShortage()
	p.publish()
	p.mu.Unlock()
	p.logout(ctx, idle)
}

// Close is Retire for good. Leased sessions end when they are given back.
func (p *Pool) Close(ctx context.Context) {
	p.mu.Lock()
	p.closed = true
	p.wake()
	p.mu.Unlock()
	p.Retire(ctx)
	p.calls.Wait()
}

// discard closes a session for good.
func (p *Pool) discard(s *imap.Session) {
	_ = s.Close() //nolint:errcheck // the reason was reported where it broke, or it ends in order
	if p.o.Gone != nil {
		p.o.Gone()
	}
}

// logout ends sessions in parallel with LOGOUT, even when ctx has ended.
func (p *Pool) logout(ctx context.Context, all []idleSession) {
	if len(all) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTime)
	defer cancel()
	var done sync.WaitGroup
	for _, k := range slices.Backward(all) {
		done.Go(func() {
			_ = k.s.Logout(ctx) //nolint:errcheck // everything that counts is committed
			p.discard(k.s)
		})
	}
	done.Wait()
}
