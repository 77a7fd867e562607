package health

import (
	"context"
	"math/rand/v2"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/plan"
	"mailcote/storage"
	"mailcote/storage/class"
)

// jitter is the largest part by which a least wait differs, so that accounts do
// not come back together.
const jitter = 0.2

// Process is the health of all accounts and hosts of a process. Its methods may
// be called from any goroutine.
type Process struct {
	*Set
	store   *storage.Store
	words   Words
	backoff func(n int, random *rand.Rand) time.Duration
	least   func(w policy.Wait, n int) time.Duration
}

// Options shorten waits in tests.
type Options struct {
	Backoff func(n int, random *rand.Rand) time.Duration // nil: plan.Backoff
	Least   func(w policy.Wait, n int) time.Duration     // nil: policy.Wait.After
}

// Load reads the accounts and hosts that were in trouble in earlier processes.
func Load(ctx context.Context, store *storage.Store, o Options) (*Process, error) {
	if o.Backoff == nil {
		o.Backoff = plan.Backoff
	}
	if o.Least == nil {
		o.Least = policy.Wait.After
	}
	var rows []Row
	err := store.Read(ctx, func(r *storage.Reader) (err error) {
		rows, err = r.Breakers()
		return err
	})
	return &Process{Set: New(time.Now(), rows), store: store, backoff: o.Backoff, least: o.Least}, err
}

// RecordFailure notes a fault of a scope. Nothing is tried there until the wait
// is over. After an attempt that progressed the wait is that of no failure in a
// row.
func (p *Process) RecordFailure(ctx context.Context, scope string, f fault.Fault, progressed bool) error {
	p.Fail(time.Now(), scope, f.Class, f.Detail, func(n int) time.Duration {
		if progressed {
			n = 0
		}
		return p.Delay(f, n)
	})
	return p.Note(ctx, scope)
}

// RecordSuccess clears a scope that did something useful.
func (p *Process) RecordSuccess(ctx context.Context, scope string) error {
	p.words.Forget(scope)
	if !p.Succeed(scope) {
		return nil
	}
	return p.Note(ctx, scope)
}

// Note stores the breakers of scopes that have just changed.
func (p *Process) Note(ctx context.Context, scopes ...string) error {
	return fault.In(fault.PhaseStore, p.store.Write(context.WithoutCancel(ctx), storage.Interactive, 0,
		func(tx *storage.Writer) error {
			return p.NoteTx(tx, scopes...)
		}))
}

// NoteTx writes the breakers of scopes as they are in memory now, not as they
// were when the write was queued. If a failure and a success race, the later
// write must not store the older state.
func (p *Process) NoteTx(tx *storage.Writer, scopes ...string) error {
	for _, scope := range scopes {
		if err := tx.DropBreakers(scope); err != nil {
			return err
		}
	}
	for _, row := range p.Rows(scopes...) {
		if err := tx.PutBreaker(row); err != nil {
			return err
		}
	}
	return nil
}

// Delay is the wait after n faults in a row: the backoff, but never less than
// the fault asks for. A provider's limit only ever gets a longer wait, and only
// by a moment where the server named the time. Other least waits are spread to
// both sides.
func (p *Process) Delay(f fault.Fault, n int) time.Duration {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	least := p.least(f.Wait, n)
	spread := time.Duration(jitter * float64(least) * random.Float64())
	switch {
	case f.Class == class.Quota && f.Named:
		spread = min(spread, 5*time.Second)
	case f.Class != class.Quota && random.IntN(2) == 0:
		spread = -spread
	}
	return max(p.backoff(n, random), least+spread)
}
