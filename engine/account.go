package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"mailcote/engine/connpool"
	"mailcote/engine/fault"
	"mailcote/engine/fetch"
	"mailcote/engine/health"
	"mailcote/engine/imap"
	"mailcote/engine/meter"
	"mailcote/engine/progress"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/attempt"
	"mailcote/storage/class"
)

// shared is what all accounts of a process have in common.
type shared struct {
	o        Options
	store    *storage.Store
	box      secret.Box
	gate     *connpool.Gate
	health   *health.Process
	detours  imap.Detours
	progress *progress.Progress
	woken    broadcast // the machine slept, or its clock was set forward
}

func newShared(o Options, h *health.Process) *shared {
	return &shared{o: o, store: o.Store, box: secret.BoxOf(o.Store.Path()), gate: connpool.NewGate(connpool.Dials),
		health: h, progress: progress.New()}
}

// account is what a process knows of one account while it lives: its connections and limits, what it was given
// for them, and what is remembered from one pass to the next. Its methods may be called from any goroutine.
type account struct {
	*shared
	id     storage.AccountID
	health *health.Account
	busy   chan struct{} // capacity 1; full while a worker has the account

	wantedSignal broadcast // somebody wants the account

	mu              sync.Mutex
	latest          storage.Account // as it was read last
	waiting         int             // how many want the account
	processPassword *secret.Secret  // a password for this process only
	limits          *meter.Meter    // nil: not loaded yet
	pool            *pool           // nil: nothing has been dialled
	suspects        fetch.Suspects
}

func newAccount(s *shared, id storage.AccountID) *account {
	a := &account{shared: s, id: id, busy: make(chan struct{}, 1)}
	a.health = health.NewAccount(s.health, id, a.name)
	return a
}

// setRow notes the account's row as it is now.
func (a *account) setRow(row storage.Account) *account {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.latest = row
	return a
}

// row gives the row as it was read last.
func (a *account) row() storage.Account {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.latest
}

func (a *account) name() string { return a.row().Name }

func (a *account) login() Login { return loginOf(a.row()) }

// scope names the account's breakers.
func (a *account) scope() string { return a.health.Scope() }

// addr is its host and port.
func (a *account) addr() string { return a.login().Endpoint().Addr() }

// showState tells the doors what is done.
func (a *account) showState(state progress.State, note string) {
	a.progress.State(a.name(), state, note)
}

// acquire waits until no other worker has the account. A worker that only waits hears of it and gives the account up.
func (a *account) acquire(ctx context.Context) (leave func(), err error) {
	leave = func() { <-a.busy }
	select {
	case a.busy <- struct{}{}:
		return leave, nil
	default:
	}
	a.addWaiting(1)
	defer a.addWaiting(-1)
	a.wantedSignal.send()
	select {
	case a.busy <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *account) addWaiting(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting += n
}

// wanted reports whether somebody waits for the account.
func (a *account) wanted() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.waiting > 0
}

func (a *account) usePassword(s secret.Secret) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.processPassword = &s
}

// hasPassword reports whether this process was given the account's password: it may be another than the one that
// was refused.
func (a *account) hasPassword() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.processPassword != nil
}

// password finds the account's password: given to this process, otherwise by its reference.
func (a *account) password(ctx context.Context) (secret.Secret, error) {
	a.mu.Lock()
	given, row := a.processPassword, a.latest
	a.mu.Unlock()
	if given != nil {
		return *given, nil
	}
	ref, err := secret.ParseRef(row.SecretRef)
	if err != nil {
		return secret.Secret{}, err
	}
	return ref.Resolve(ctx, a.box, row.User+"@"+row.Host)
}

// meter gives the account's limits; the first call loads what earlier processes used of them.
func (a *account) meter(ctx context.Context) (*meter.Meter, error) {
	a.mu.Lock()
	have, row := a.limits, a.latest
	a.mu.Unlock()
	if have != nil {
		return have, nil
	}
	m, err := meter.Load(ctx, a.store, row)
	if err != nil {
		return nil, fault.In(fault.PhaseStore, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.limits == nil { // otherwise somebody else was faster
		a.limits = m
	}
	return a.limits, nil
}

// pollInterval is the least time between two looks at the account; 0: no limit is known.
func (a *account) pollInterval() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.limits == nil {
		return 0
	}
	return a.limits.Profile().Poll
}

// Breakers gives the failures in a row of an account and of its host, also where the wait after them is over.
func Breakers(r *storage.Reader, a storage.Account) ([]health.Row, error) {
	all, err := attempt.Breakers(r)
	return slices.DeleteFunc(all, func(b health.Row) bool {
		return b.Class == class.Manual || b.Scope != health.AccountScope(a.ID) &&
			b.Scope != health.HostScope(loginOf(a).Endpoint().Addr())
	}), err
}

// Waits gives all that an account waits for, as the store says. A process that owns the store adds what it alone knows.
func Waits(r *storage.Reader, a storage.Account, now time.Time) (health.Holds, error) {
	return health.Stored(r, a, loginOf(a).Endpoint().Addr(), now)
}
