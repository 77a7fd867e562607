package connpool

import "time"

// Patience is how long work may wait for a connection before people are told.
const Patience = 5 * time.Minute

// Figures describe a pool, now and since its start.
type Figures struct {
	Open    int   `json:"open"`    // connections now, with those being opened
	InUse   int   `json:"in_use"`  // of them, leased or being opened
	Waiting int   `json:"waiting"` // users that wait for one
	Allowed int   `json:"allowed"` // how many there may be
	Dialled int64 `json:"dialled"` // dials since the start
	Refused int64 `json:"refused"` // of them, those that failed, also at the sign-in
	// sessions that did not answer when they were to be reused, or were open
	// during a sleep
	Dead int64 `json:"proven_dead"`
	// Short is when work began to wait without any connection; zero if there is
	// one or nobody waits.
	Short time.Time `json:"short_since,omitzero"`
}

// Figures returns the present figures.
func (p *Pool) Figures() Figures {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.figures
	f.InUse = p.usage().all()
	f.Open = f.InUse + len(p.idle)
	f.Allowed = p.allowed()
	f.Short = p.short
	return f
}

// noteShortage notes that work got no connection. NoConnection is called once
// Patience is over.
func (p *Pool) noteShortage() {
	if !p.short.IsZero() || len(p.leases)+len(p.idle) > 0 || p.closed {
		return
	}
	since := time.Now()
	p.short = since
	if p.o.NoConnection != nil {
		p.alarm = time.AfterFunc(Patience, func() { p.noConnection(since) })
	}
}

func (p *Pool) noConnection(since time.Time) {
	p.mu.Lock()
	still := p.short.Equal(since)
	if still {
		p.calls.Add(1)
	}
	p.mu.Unlock()
	if still {
		defer p.calls.Done()
		p.o.NoConnection(since)
	}
}

// endShortage notes that there is a connection, or that nobody wants one.
func (p *Pool) endShortage() {
	if p.alarm != nil {
		p.alarm.Stop()
	}
	p.short, p.alarm = time.Time{}, nil
}
