package health

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
	memoryClosesAt = 0.7 // of the limit
	memoryOpensAt  = 0.6
	memoryLook     = 100 * time.Millisecond
	memoryCollect  = time.Second // least time between two collections
	// MemoryPatience is the longest wait at the gate. Memory that never comes
	// back must not stop the work for ever.
	MemoryPatience = 15 * time.Second
)

// MemoryReadings are the sources of a gate's figures. The zero value of a field
// means the Go runtime's.
type MemoryReadings struct {
	Limit   func() int64 // bytes; math.MaxInt64 for none
	Live    func() int64 // heap bytes in use at the last collection
	Collect func()       // runs a collection
}

// MemoryGate closes while the live heap of the last collection is near the
// process's memory limit (GOMEMLIMIT, debug.SetMemoryLimit). Without a limit it
// stays open. While closed it runs a collection at most once a second, since
// nothing else would. Its methods may be called from any goroutine.
type MemoryGate struct {
	r MemoryReadings

	mu        sync.Mutex
	closed    bool
	collected time.Time
}

// NewMemoryGate makes an open gate.
func NewMemoryGate(r MemoryReadings) *MemoryGate {
	if r.Limit == nil {
		r.Limit = func() int64 { return debug.SetMemoryLimit(-1) }
	}
	if r.Live == nil {
		r.Live = liveHeap
	}
	if r.Collect == nil {
		r.Collect = runtime.GC
	}
	return &MemoryGate{r: r}
}

func liveHeap() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int64(min(sample[0].Value.Uint64(), math.MaxInt64))
}

// Open reports whether there is memory now.
func (g *MemoryGate) Open() bool {
	limit := g.r.Limit()
	if limit == math.MaxInt64 {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	share := memoryClosesAt
	if g.closed {
		share = memoryOpensAt
	}
	g.closed = float64(g.r.Live()) > share*float64(limit)
	if g.closed && time.Since(g.collected) >= memoryCollect {
		g.r.Collect()
		g.collected = time.Now()
		g.closed = float64(g.r.Live()) > memoryOpensAt*float64(limit)
	}
	return !g.closed
}

// Pass waits until the gate is open, at most MemoryPatience. waited reports
// whether it was closed. It fails only when ctx ends.
func (g *MemoryGate) Pass(ctx context.Context) (waited bool, err error) {
	if g.Open() {
		return false, nil
	}
	tick, over := time.NewTicker(memoryLook), time.NewTimer(MemoryPatience)
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
