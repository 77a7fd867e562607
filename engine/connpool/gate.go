package connpool

import (
	"context"
	"math/rand/v2"
	"time"

	"mailcote/engine/clock"
)

// Dials bounds the dials that a process runs at once.
const Dials = 8

// contended is the longest pause before a dial that had to wait for another. It
// spreads a crowd.
const contended = 100 * time.Millisecond

// Gate bounds the dials of a process.
type Gate struct {
	all, failing chan struct{}
}

// NewGate makes a gate for n dials at once, at least two.
func NewGate(n int) *Gate {
	n = max(n, 2)
	return &Gate{all: make(chan struct{}, n), failing: make(chan struct{}, n/2)}
}

// enter waits for a place. leave gives it back. failing: the account's last
// dial failed.
func (g *Gate) enter(ctx context.Context, failing bool) (leave func(), err error) {
	places := []chan struct{}{g.all}
	if failing {
		places = []chan struct{}{g.failing, g.all}
	}
	waited, taken := false, 0
	leave = func() {
		for _, place := range places[:taken] {
			<-place
		}
	}
	for _, place := range places {
		select {
		case place <- struct{}{}:
		default:
			waited = true
			select {
			case place <- struct{}{}:
			case <-ctx.Done():
				leave()
				return nil, ctx.Err()
			}
		}
		taken++
	}
	if waited {
		if err := clock.Sleep(ctx, rand.N(contended)); err != nil {
			leave()
			return nil, err
		}
	}
	return leave, nil
}
