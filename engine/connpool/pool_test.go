package connpool

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/engine/imap"
)

// TestShare: the rule of who may have how many connections.
func TestShare(t *testing.T) {
	for _, test := range []struct{ allowed, bulk, watch, person int }{
		{1, 1, 0, 1}, {2, 1, 1, 2}, {3, 2, 2, 3}, {8, 7, 7, 8},
	} {
		for use, want := range map[Use]int{Bulk: test.bulk, Watch: test.watch, Person: test.person} {
			if n := share(use, test.allowed); n != want {
				t.Errorf("%d of %d for use %d, want %d", n, test.allowed, use, want)
			}
		}
		if MayWatch(test.allowed) != (test.allowed >= 2) {
			t.Errorf("IDLE with %d allowed: %v", test.allowed, MayWatch(test.allowed))
		}
	}
	if fits(Bulk, 3, usage{}, 1) || !fits(Person, 3, usage{}, 1) {
		t.Error("a person who waits does not go first")
	}
}

// TestReuse: a session that was given back is leased again, unproven while it is fresh and after a NOOP later; a
// dead one is replaced and nobody hears of it.
func TestReuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := start(t, 2, nil)
		take(t, p, Want{}).Give()
		time.Sleep(proofAfter)
		take(t, p, Want{}).Give()
		if a.dials.Load() != 1 || a.count("NOOP") != 0 {
			t.Errorf("%d dials, %d NOOP", a.dials.Load(), a.count("NOOP"))
		}
		time.Sleep(time.Minute + time.Second)
		take(t, p, Want{}).Give()
		if a.dials.Load() != 1 || a.count("NOOP") != 1 {
			t.Errorf("%d dials, %d NOOP", a.dials.Load(), a.count("NOOP"))
		}
		time.Sleep(time.Hour)
		a.deaf.Store(true)
		time.AfterFunc(proofTime-time.Second, func() { a.deaf.Store(false) }) // for the next one
		began := time.Now()
		take(t, p, Want{}).Give()
		if f := p.Figures(); f.Dead != 1 || f.Dialled != 2 || f.Open != 1 || time.Since(began) != proofTime {
			t.Errorf("after %v: %+v", time.Since(began), f)
		}
		take(t, p, Want{Fresh: true}).Drop()
		if f := p.Figures(); f.Dialled != 3 || f.Open != 1 || f.InUse != 0 {
			t.Errorf("%+v", f)
		}
	})
}

// TestGivenUnobserved: who gave a session back hears nothing of it any more.
func TestGivenUnobserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := start(t, 2, nil)
		l, heard := take(t, p, Want{}), 0
		l.Session().Observe(imap.Observer{Status: func(imap.Status) { heard++ }})
		l.Give()
		l = take(t, p, Want{})
		if err := l.Session().Noop(t.Context()); err != nil || p.Figures().Dialled != 1 || heard > 0 {
			t.Errorf("%v, %+v, %d responses heard", err, p.Figures(), heard)
		}
		l.Give()
	})
}

// TestPersonFirst: with two connections one is always a person's; with one, the session is handed over at the
// next Yield and comes back, signed in once.
func TestPersonFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := start(t, 2, nil)
		bulk := take(t, p, Want{})
		second := make(chan *Lease)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { l, _ := p.Take(ctx, Want{}); second <- l }() //nolint:errcheck // a nil lease is none
		synctest.Wait()
		if f := p.Figures(); f.InUse != 1 || f.Waiting != 1 {
			t.Errorf("bulk work takes the person's connection: %+v", f)
		}
		began := time.Now()
		person := take(t, p, Want{Use: Person})
		if time.Since(began) > 0 {
			t.Errorf("the person waited %v", time.Since(began))
		}
		if moved, err := bulk.Yield(t.Context()); moved || err != nil {
			t.Error(moved, err)
		}
		person.Give()
		cancel()
		<-second
		bulk.Give()
		p.Retire(t.Context())

		a.allowed.Store(1)
		bulk = take(t, p, Want{})
		dials := a.dials.Load()
		got := make(chan *Lease)
		go func() { got <- take(t, p, Want{Use: Person}) }()
		synctest.Wait()
		go func() {
			l := <-got
			time.Sleep(3 * time.Second) // a download
			l.Give()
		}()
		began = time.Now()
		moved, err := bulk.Yield(t.Context())
		if !moved || err != nil || time.Since(began) != 3*time.Second || bulk.Session() == nil {
			t.Errorf("moved %v, %v after %v", moved, err, time.Since(began))
		}
		if moved, err := bulk.Yield(t.Context()); moved || err != nil {
			t.Error(moved, err)
		}
		// One who gave up is nobody to yield to.
		ctx, cancel = context.WithCancel(t.Context())
		gone := make(chan error)
		go func() { _, err := p.Take(ctx, Want{Use: Person}); gone <- err }()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if moved, err := bulk.Yield(t.Context()); moved || err != nil {
			t.Error(moved, err)
		}
		bulk.Give()
		if n := a.dials.Load() - dials; n != 0 || a.most.Load() > 2 {
			t.Errorf("%d more dials, %d at once", n, a.most.Load())
		}
	})
}

// TestTwoPersons: of two persons who wait for the one connection neither wakes the other for nothing, and both get it.
func TestTwoPersons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int32
		_, p := start(t, 1, func(o *Options) {
			o.Connections = func() int {
				if looks.Add(1) > 100 { // so that it ends
					return 3
				}
				return 1
			}
		})
		first := take(t, p, Want{Use: Person})
		var others sync.WaitGroup
		for range 2 {
			others.Go(func() {
				l := take(t, p, Want{Use: Person})
				time.Sleep(time.Second)
				l.Give()
			})
		}
		bulk := make(chan *Lease)
		go func() { bulk <- take(t, p, Want{}) }()
		synctest.Wait()
		before := looks.Load()
		p.Retire(t.Context())
		time.Sleep(time.Hour)
		p.mu.Lock()
		p.wake()
		p.mu.Unlock()
		synctest.Wait()
		if n := looks.Load() - before; n != 3 {
			t.Errorf("one change had three who wait look %d times", n)
		}
		first.Give()
		others.Wait()
		(<-bulk).Give()
		if n := looks.Load(); n > 20 {
			t.Errorf("they looked %d times in all", n)
		}
		if f := p.Figures(); f.Waiting != 0 || p.interactive != 0 || f.Dialled != 1 {
			t.Errorf("%+v, %d persons", f, p.interactive)
		}
	})
}

// TestWatch: IDLE may hold the person's connection and gives way at once; with one allowed it may hold none.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := start(t, 2, nil)
		bulk, watch := take(t, p, Want{}), take(t, p, Want{Use: Watch})
		go func() { <-watch.Wanted(); watch.Give() }()
		began := time.Now()
		take(t, p, Want{Use: Person}).Give()
		select {
		case <-bulk.Wanted():
			t.Error("bulk work was asked to yield although a watch could")
		default:
		}
		bulk.Give()
		if time.Since(began) > 0 || a.dials.Load() != 2 {
			t.Errorf("after %v, %d dials", time.Since(began), a.dials.Load())
		}
		a.allowed.Store(1)
		if _, err := p.Take(t.Context(), Want{Use: Watch}); !errors.Is(err, ErrNoRoom) {
			t.Error(err)
		}
	})
}

// TestFewer: a server that turns out to allow one connection makes a person wait for that, not fail.
func TestFewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a *account
		a, p := start(t, 2, func(o *Options) {
			o.DialFailed = func(context.Context, error) error { a.allowed.Store(1); return nil }
		})
		bulk := take(t, p, Want{})
		a.refuse.Store(true)
		got := make(chan *Lease)
		go func() { got <- take(t, p, Want{Use: Person}) }()
		synctest.Wait()
		go func() { (<-got).Give() }()
		if moved, err := bulk.Yield(t.Context()); !moved || err != nil {
			t.Error(moved, err)
		}
		bulk.Give()
	})
}

// TestVain: what could not be noted of a person's vain attempt is in its error.
func TestVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		noting := errors.New("the store is full")
		a, p := start(t, 2, func(o *Options) { o.DialFailed = func(context.Context, error) error { return noting } })
		a.refuse.Store(true)
		var step *StepError
		if _, err := p.Take(t.Context(), Want{Use: Person}); !errors.As(err, &step) || step.Step != StepConnect ||
			!errors.Is(step.Err, noting) || !errors.Is(step.Err, io.ErrClosedPipe) {
			t.Errorf("%v, step %+v", err, step)
		}
	})
}

// TestSlept: after a sleep nothing is believed, and the accounts do not dial all at the same moment.
func TestSlept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := start(t, 3, nil)
		leased, idle := take(t, p, Want{}), take(t, p, Want{})
		idle.Give()
		p.Slept()
		if err := leased.Session().Noop(t.Context()); !errors.Is(err, ErrSlept) {
			t.Error(err)
		}
		leased.Give()
		synctest.Wait()
		if f := p.Figures(); f.Open != 0 || f.Dead != 2 || a.open.Load() != 0 {
			t.Errorf("%+v, %d open", f, a.open.Load())
		}
		between := take(t, p, Want{Use: Person}) // nothing runs on it when it is ended, and it is given back at once
		p.Slept()
		if err := between.Session().Err(); !errors.Is(err, ErrSlept) {
			t.Error(err)
		}
		between.Give()
		if f := p.Figures(); f.Open != 0 {
			t.Errorf("it is kept: %+v", f)
		}
		began := time.Now()
		take(t, p, Want{}).Give()
		if took := time.Since(began); took == 0 || took > spread {
			t.Errorf("dialled after %v", took)
		}
		p.Slept()
		began = time.Now()
		take(t, p, Want{Use: Person}).Give()
		if took := time.Since(began); took != 0 {
			t.Errorf("a person waited %v", took)
		}
	})
}

// TestGate: 50 accounts that wake at once never dial more than eight at a time, and dead ones leave room for the
// living.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(Dials)
		var now, most, dead atomic.Int32
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				leave, err := g.enter(t.Context(), i%2 == 0)
				if err != nil {
					t.Error(err)
					return
				}
				defer leave()
				raise(&most, now.Add(1))
				defer now.Add(-1)
				if i%2 == 0 {
					if n := dead.Add(1); n > Dials/2 {
						t.Errorf("%d dead accounts dial at once", n)
					}
					defer dead.Add(-1)
				}
				time.Sleep(time.Second)
			})
		}
		all.Wait()
		if most.Load() != Dials {
			t.Errorf("%d dials at once", most.Load())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range Dials {
			if _, err := g.enter(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := g.enter(ctx, false); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// TestLow: who waits for a connection for five minutes is told of once, and again only after there was one.
func TestLow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told atomic.Int32
		a, p := start(t, 2, func(o *Options) { o.NoConnection = func(time.Time) { told.Add(1) } })
		fail := func() {
			t.Helper()
			if _, err := p.Take(t.Context(), Want{}); err == nil {
				t.Error("a dead server was dialled")
			}
		}
		a.refuse.Store(true)
		for range 60 {
			fail()
			time.Sleep(20 * time.Second)
		}
		if f := p.Figures(); told.Load() != 1 || f.Short.IsZero() || f.Refused != 60 {
			t.Errorf("told %d times in 20 minutes: %+v", told.Load(), f)
		}
		a.refuse.Store(false)
		take(t, p, Want{}).Drop()
		if f := p.Figures(); !f.Short.IsZero() {
			t.Errorf("%+v", f)
		}
		a.refuse.Store(true)
		fail()
		p.Retire(t.Context()) // nobody wants one any more
		time.Sleep(time.Hour)
		if told.Load() != 1 {
			t.Errorf("told %d times", told.Load())
		}
	})
}
