package connpool

import "time"

// Patience is how long work may wait for a connection before a person is told.
const Patience = 5 * time.Minute

// Figures are what a pool has and had.
type Figures struct {
	Open    int   `json:"open"`    // connections now, with those being opened
	InUse   int   `json:"in_use"`  // of them, leased or being opened
	Waiting int   `json:"waiting"` // who waits for one
	Allowed int   `json:"allowed"` // how many there may be
	Dialled int64 `json:"dialled"` // dials since the start
	Refused int64 `json:"refused"` // of them, those that came to nothing, also at the sign-in
	// sessions that did not answer when they were to be used again, or were open during a sleep
	Dead int64 `json:"proven_dead"`
	// Short is since when work has waited and there was no connection; zero: there is one, or nobody wants it.
	Short time.Time `json:"short_since,omitzero"`
}

// Figures gives the present ones.
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

// lacking notes that work wanted a connection and got none. NoConnection hears of it once Patience is over.
func (p *Pool) lacking() {
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
		p.telling.Add(1)
	}
	p.mu.Unlock()
	if still {
		defer p.telling.Done()
		p.o.NoConnection(since)
	}
}

// rested notes that there is a connection, or that nobody wants one.
func (p *Pool) rested() {
	if p.alarm != nil {
		p.alarm.Stop()
	}
	p.short, p.alarm = time.Time{}, nil
}
