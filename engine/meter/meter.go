// Package meter applies an account's limits to its sessions. It loads what
// earlier processes used, makes sessions wait, and saves usage together with
// the mail.
//
// Invariants:
//   - An account has one Meter in a process. All its connections and everybody
//     who displays it share that Meter.
//   - The methods may be called from any goroutine.
//   - Package limit decides what may be done. This package adds the clock, the
//     waiting and the store.
package meter

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailcote/engine/clock"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/limit"
	"mailcote/storage"
	"mailcote/storage/class"
)

// Load makes an account's meter from what earlier processes used.
func Load(ctx context.Context, s *storage.Store, a storage.Account) (*Meter, error) {
	var saved limit.State
	if err := s.Read(ctx, func(r *storage.Reader) (err error) {
		saved, err = load(r, a.ID)
		return err
	}); err != nil {
		return nil, err
	}
	one := &Meter{account: a.ID, host: a.Host}
	server := limit.Server{Host: a.Host, Capabilities: strings.Fields(a.Capabilities), ID: a.ServerID}
	// spacing connections to this machine would spare nobody
	one.limiter = limit.New(limit.Choose(server), imap.Loopback(a.Host), time.Now(), saved)
	one.metered.Store(one.limiter.Metered())
	return one, nil
}

func load(r *storage.Reader, account storage.AccountID) (s limit.State, err error) {
	rows, err := r.Rates(account)
	if err != nil {
		return s, err
	}
	for _, one := range rows {
		s.Usage = append(s.Usage, limit.Usage{Kind: one.Kind, At: one.At, Used: one.Used, Most: one.Allowed,
			Window: one.Window, Pace: one.Pace, Ceiling: one.Ceiling, Until: one.Until, Resumes: one.Resumes})
	}
	slots, err := r.RateSlots(account)
	for _, one := range slots {
		s.Slots = append(s.Slots, limit.Slot(one))
	}
	return s, err
}

// Meter holds one account's limits. It is the imap.Meter of the account's
// sessions.
type Meter struct {
	account storage.AccountID
	host    string
	metered atomic.Bool // whether octets are counted; read without the lock
	alone   atomic.Bool // whether each command waits for the answer to the one before

	mu      sync.Mutex
	limiter *limit.Limiter
}

// Connections returns how many connections the account may have now.
func (m *Meter) Connections() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.limiter.Connections(time.Now())
}

// Dial waits until the account may open another connection. That is one a
// second by default, and one a minute after the server refused one.
func (m *Meter) Dial(ctx context.Context) error {
	m.mu.Lock()
	wait := m.limiter.Dial(time.Now())
	m.mu.Unlock()
	return clock.Sleep(ctx, wait)
}

// Dialled counts a new connection. Gone must follow.
func (m *Meter) Dialled() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limiter.Opened()
}

// Gone uncounts a connection that Dialled counted.
func (m *Meter) Gone() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limiter.Gone()
}

// Manners returns how sessions must speak to this server.
func (m *Meter) Manners() imap.Manners {
	p := m.Profile()
	return imap.Manners{Without: p.Distrust, CommandLine: p.Line, OneByOne: m.alone.Load()}
}

// OneByOne has later sessions send each command only when the one before was
// answered.
func (m *Meter) OneByOne() { m.alone.Store(true) }

// Profile returns what is known about the server.
func (m *Meter) Profile() limit.Profile {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.limiter.Profile()
}

// Meet chooses the profile by what a server has shown of itself, and applies
// its manners to the session. id is the name in the server's ID response.
func (m *Meter) Meet(s *imap.Session, id string) {
	server := limit.Server{Host: m.host, Capabilities: s.Capabilities(), ID: id, Greeting: s.Greeting()}
	m.mu.Lock()
	m.limiter.Adopt(limit.Choose(server), time.Now())
	m.metered.Store(m.limiter.Metered())
	m.mu.Unlock()
	s.SetManners(m.Manners())
}

// Before waits until a command may be sent.
func (m *Meter) Before(ctx context.Context, _ string) error {
	m.mu.Lock()
	wait := m.limiter.Command(time.Now())
	m.mu.Unlock()
	return clock.Sleep(ctx, wait)
}

// Answered records how the server answers. Refusals are not judged here:
// whoever classifies them calls Fault.
func (m *Meter) Answered(command string, st imap.Status, took time.Duration) {
	soft := policy.Soft(st.Type, st.Code, st.Text)
	if st.Type != "OK" || command == "" && !soft {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if soft {
		m.limiter.Soft(time.Now())
		return
	}
	m.limiter.Answered(time.Now(), took, !strings.HasSuffix(command, "FETCH"))
}

// Received counts octets.
func (m *Meter) Received(octets int) {
	if !m.metered.Load() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limiter.Received(time.Now(), int64(octets))
}

// Metered reports whether the day's octets are limited. If so, the sizes of a
// page must be known before it is asked for.
func (m *Meter) Metered() bool { return m.metered.Load() }

// Page waits until messages may be asked for and returns how many, at most
// most.
func (m *Meter) Page(ctx context.Context, most int) (int, error) {
	m.mu.Lock()
	n, wait := m.limiter.Page(time.Now(), most)
	m.mu.Unlock()
	return n, clock.Sleep(ctx, wait)
}

// Fits returns how many of the messages with these sizes may be asked for
// today, counted from the first. If not even the first fits, the account rests
// and the error is a *limit.RestError.
func (m *Meter) Fits(sizes []int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.limiter.Fits(time.Now(), sizes)
}

// Fault records the signs of throttling in a fault. text is what the server
// said; it is empty if the limit was our own.
func (m *Meter) Fault(what class.Class, text string, crowded bool, connections int) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case crowded || connections > 0:
		m.limiter.Refused(now, connections)
	case what == class.Quota && text != "":
		m.limiter.Throttled(now)
	case what == class.Timeout, what == class.Network && strings.HasPrefix(text, "BYE"):
		m.limiter.Cut(now)
	}
}

// Rest makes the account rest until a time.
func (m *Meter) Rest(until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limiter.Rest(time.Now(), until)
}

// LiftTx ends the rest, in memory and in the store. If the transaction fails,
// the caller restores it with Rest.
func (m *Meter) LiftTx(w *storage.Writer) error {
	m.mu.Lock()
	m.limiter.Lift()
	m.mu.Unlock()
	return m.SaveTx(w)
}

// Resumes returns when the account may go on. The zero time and a time in the
// past mean at once.
func (m *Meter) Resumes() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.limiter.Resumes(time.Now())
}

// Pace returns the fraction of full speed, in (0, 1].
func (m *Meter) Pace() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.limiter.Pace()
}

// SaveTx writes the whole state. It is called when a connection was made and
// when the account begins to rest.
func (m *Meter) SaveTx(w *storage.Writer) error {
	now := time.Now()
	m.mu.Lock()
	s, p := m.limiter.State(now), m.limiter.Profile().Name
	m.mu.Unlock()
	rows := make([]storage.Rate, len(s.Usage))
	for i, u := range s.Usage {
		rows[i] = storage.Rate{Kind: u.Kind, Provider: p, Allowed: u.Most, Window: u.Window, At: u.At, Used: u.Used,
			Pace: u.Pace, Ceiling: u.Ceiling, Until: u.Until, Resumes: u.Resumes}
	}
	slots := make([]storage.RateSlot, len(s.Slots))
	for i, one := range s.Slots {
		slots[i] = storage.RateSlot(one)
	}
	return w.PutRates(m.account, rows, slots, now)
}

// CountTx writes what a batch used, in the batch's own transaction. It does
// nothing for an account without limits.
func (m *Meter) CountTx(w *storage.Writer) error {
	m.mu.Lock()
	limited := m.limiter.Profile().Limited()
	m.mu.Unlock()
	if !limited {
		return nil
	}
	return m.SaveTx(w)
}
