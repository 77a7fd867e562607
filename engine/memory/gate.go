package memory

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	closeAt = 0.7 // of the limit: the gate closes
	openAt  = 0.6 // it opens again
	look    = 100 * time.Millisecond
	collect = time.Second // between two collections
	// Patience is how long the gate holds anybody back.
	Patience = 15 * time.Second
)

// Readings are where a gate looks. The zero value of a field means the Go runtime's.
type Readings struct {
	Limit   func() int64 // bytes; math.MaxInt64: none
	Live    func() int64 // bytes of the heap that the last collection found in use
	Collect func()       // makes a collection
}

// Gate is open while there is memory. Its methods may be called from any goroutine.
type Gate struct {
	r Readings

	mu        sync.Mutex
	closed    bool
	collected time.Time
}

// New makes an open gate.
func New(r Readings) *Gate {
	if r.Limit == nil {
		r.Limit = func() int64 { return debug.SetMemoryLimit(-1) }
	}
	if r.Live == nil {
		r.Live = live
	}
	if r.Collect == nil {
		r.Collect = runtime.GC
	}
	return &Gate{r: r}
}

func live() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int64(min(sample[0].Value.Uint64(), math.MaxInt64))
}

// Open says whether there is memory now.
func (g *Gate) Open() bool {
	limit := g.r.Limit()
	if limit == math.MaxInt64 {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	share := closeAt
	if g.closed {
		share = openAt
	}
	g.closed = float64(g.r.Live()) > share*float64(limit)
	if g.closed && time.Since(g.collected) >= collect {
		g.r.Collect()
		g.collected = time.Now()
		g.closed = float64(g.r.Live()) > openAt*float64(limit)
	}
	return !g.closed
}

// Pass waits until the gate is open, for Patience at most. held: it was closed. It fails only when ctx ends.
func (g *Gate) Pass(ctx context.Context) (held bool, err error) {
	if g.Open() {
		return false, nil
	}
	tick, over := time.NewTicker(look), time.NewTimer(Patience)
	defer tick.Stop()
	defer over.Stop()
	for {
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case <-over.C:
			return true, nil
		case <-tick.C:
			if g.Open() {
				return true, nil
			}
		}
	}
}
