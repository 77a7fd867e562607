package health

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// heap is a made-up one: what is in use shows at the next collection.
type heap struct {
	limit, live, used atomic.Int64
	collections       atomic.Int64
}

func (h *heap) gate() *MemoryGate {
	return NewMemoryGate(MemoryReadings{Limit: h.limit.Load, Live: h.live.Load, Collect: func() {
		h.collections.Add(1)
		h.live.Store(h.used.Load())
	}})
}

// TestMemoryGate: intake rests while the heap is over its share of the limit, goes on when a collection finds
// room, and is not held for ever.
func TestMemoryGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heap{}
		g := h.gate()
		pass := func() (held bool, took time.Duration) {
			start := time.Now()
			held, err := g.Pass(t.Context())
			if err != nil {
				t.Error(err)
			}
			return held, time.Since(start)
		}
		h.limit.Store(math.MaxInt64)
		h.live.Store(1 << 40)
		if held, _ := pass(); held || h.collections.Load() > 0 {
			t.Error("held back without a limit")
		}
		h.limit.Store(1000)
		h.live.Store(690)
		if held, _ := pass(); held {
			t.Error("held back under the threshold")
		}
		h.live.Store(710) // garbage: a collection finds room
		h.used.Store(100)
		if held, _ := pass(); held || h.collections.Load() != 1 {
			t.Errorf("held %v, %d collections", held, h.collections.Load())
		}
		time.Sleep(time.Minute)

		h.live.Store(900) // in use: it opens when that ends, under the lower threshold
		h.used.Store(900)
		go func() {
			time.Sleep(3 * time.Second)
			h.used.Store(650)
			time.Sleep(3 * time.Second)
			h.used.Store(590)
		}()
		before := h.collections.Load()
		if held, took := pass(); !held || took < 6*time.Second || took > 8*time.Second {
			t.Errorf("held %v for %v", held, took)
		}
		if n := h.collections.Load() - before; n > 8 {
			t.Errorf("%d collections in 7 s", n)
		}
		h.live.Store(900)
		h.used.Store(900)
		if held, took := pass(); !held || took != MemoryPatience {
			t.Errorf("held %v for %v", held, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if held, err := g.Pass(ctx); !held || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("held %v, %v", held, err)
		}
	})
}

// TestRuntime: the runtime's own readings are there.
func TestRuntime(t *testing.T) {
	if held, err := NewMemoryGate(MemoryReadings{}).Pass(t.Context()); held || err != nil {
		t.Errorf("held %v, %v", held, err)
	}
	if runtime.GC(); liveHeap() <= 0 {
		t.Errorf("live heap %d", liveHeap())
	}
}
