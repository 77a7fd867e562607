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
	woken    broadcast // sent when the machine slept or its clock was set forward
}

func newShared(o Options, h *health.Process) *shared {
	return &shared{o: o, store: o.Store, box: secret.BoxOf(o.Store.Path()), gate: connpool.NewGate(connpool.Dials),
		health: h, progress: progress.New()}
}

// account is the in-memory state of one account. It has the connections, the
// limits, the password of this process and what is remembered between passes.
// Its methods may be called from any goroutine.
type account struct {
	*shared
	id     storage.AccountID
	health *health.Account
	busy   chan struct{} // capacity 1; full while a worker owns the account

	wantedSignal broadcast // sent when somebody waits for the account

	mu              sync.Mutex
	latest          storage.Account // the row as last read
	waiting         int             // how many wait for the account
	processPassword *secret.Secret  // never stored; nil: none was given
	reading         *secret.Reading // of the password file, before the last sign-in; nil: there was none
	limits          *meter.Meter    // nil: not loaded yet
	pool            *pool           // nil: nothing was dialled yet
	suspects        fetch.Suspects
	opened          map[storage.MailboxID]bool // by a task of their own when flags are compared
}

func newAccount(s *shared, id storage.AccountID) *account {
	a := &account{shared: s, id: id, busy: make(chan struct{}, 1)}
	a.health = health.NewAccount(s.health, id, a.addressee)
	return a
}

// setRow replaces the row with a newer reading.
func (a *account) setRow(row storage.Account) *account {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.latest = row
	return a
}

// openWhenDue notes that a session ended when a mailbox's flags were compared
// beside others. From now on its own task compares them.
func (a *account) openWhenDue(id storage.MailboxID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.opened == nil {
		a.opened = map[storage.MailboxID]bool{}
	}
	a.opened[id] = true
}

func (a *account) opensWhenDue(id storage.MailboxID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.opened[id]
}

// row returns the row as last read.
func (a *account) row() storage.Account {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.latest
}

func (a *account) name() string { return a.row().Name }

func (a *account) login() Login { return loginOf(a.row()) }

// addressee is the account as the next steps of faults name it.
func (a *account) addressee() fault.Account {
	row := a.row()
	return loginOf(row).named(row.Name)
}

// scope names the account's breakers.
func (a *account) scope() string { return a.health.Scope() }

// addr returns the account's host and port.
func (a *account) addr() string { return a.login().Endpoint().Addr() }

// showState publishes what the account does.
func (a *account) showState(state progress.State, note string) {
	a.progress.State(a.name(), state, note)
}

// acquire waits until no other worker owns the account. A background worker
// that only waits gives the account up; see preempted.
func (a *account) acquire(ctx context.Context) (release func(), err error) {
	release = func() { <-a.busy }
	select {
	case a.busy <- struct{}{}:
		return release, nil
	default:
	}
	a.addWaiting(1)
	defer a.addWaiting(-1)
	a.wantedSignal.send()
	select {
	case a.busy <- struct{}{}:
		return release, nil
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

// hasPassword reports whether this process was given a password. It may differ
// from the password that was refused.
func (a *account) hasPassword() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.processPassword != nil
}

// password returns the password given to this process. Without one it resolves
// the account's reference. It remembers how the password file looked: if the
// password is refused, a corrected file is noticed.
func (a *account) password(ctx context.Context) (secret.Secret, error) {
	a.mu.Lock()
	given, row := a.processPassword, a.latest
	a.mu.Unlock()
	ref, err := secret.ParseRef(row.SecretRef)
	reading, isFile := ref.Reads()
	var password secret.Secret
	switch {
	case given != nil:
		password, err = *given, nil
	case err == nil:
		if err = mayUse(ctx, a.o, row, ref); err == nil {
			password, err = loginOf(row).Resolve(ctx, ref, a.box)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.reading = nil; isFile {
		reading = reading.Gave(password, err)
		a.reading = &reading
	}
	return password, err
}

// pauseTx pauses the account for a fault. For a refused password it notes which
// state of the password file was refused, so that the next process knows it.
func (a *account) pauseTx(tx *storage.Writer, f fault.Fault) error {
	if err := tx.PauseAccount(a.id, f.Class, f.Detail); err != nil || f.Class != class.Auth {
		return err
	}
	a.mu.Lock()
	reading := a.reading
	a.mu.Unlock()
	if reading == nil {
		return tx.ForgetPasswordTime(a.id)
	}
	return tx.SetPasswordTime(a.id, reading.Modified)
}

// awaitsCorrection reports whether a refused password has paused the account
// and comes from a file.
func (a *account) awaitsCorrection(ctx context.Context) bool {
	var row storage.Account
	err := a.store.Read(ctx, func(r *storage.Reader) (err error) {
		row, err = r.Account(a.id)
		return err
	})
	return err == nil && a.setRow(row).refusedFile().Kind == secret.File
}

// refusedFile is where the password comes from, if it was refused and comes
// from a file. Otherwise it is the zero Ref.
func (a *account) refusedFile() secret.Ref {
	row := a.row()
	ref, err := secret.ParseRef(row.SecretRef)
	if err != nil || !row.Paused || row.PauseClass != class.Auth || a.hasPassword() || ref.Kind != secret.File {
		return secret.Ref{}
	}
	return ref
}

// corrected reports whether a refused password has paused the account and its
// file holds another one now. Each such correction is worth one attempt. A file
// of which nothing is known counts as the refused one.
func (a *account) corrected(ctx context.Context) bool {
	var row storage.Account
	var modified time.Time
	var known bool
	if err := a.store.Read(ctx, func(r *storage.Reader) (err error) {
		if row, err = r.Account(a.id); err == nil {
			modified, known, err = r.PasswordTime(a.id)
		}
		return err
	}); err != nil {
		return false // the pass itself will say so
	}
	ref := a.setRow(row).refusedFile()
	now, isFile := ref.Reads()
	if !isFile || mayUse(ctx, a.o, row, ref) != nil {
		return false
	}
	a.mu.Lock()
	reading := a.reading
	a.mu.Unlock()
	switch {
	case reading != nil:
	case known:
		reading = &secret.Reading{Modified: modified}
	default:
		reading = &now
	}
	later, corrected := reading.Corrected(ctx, ref)
	a.mu.Lock()
	if a.reading == nil || a.reading == reading {
		a.reading = &later
	}
	a.mu.Unlock()
	if corrected || later.Modified.Equal(reading.Modified) {
		return corrected
	}
	// The file was touched and is the refused one still, after a restart too.
	//nolint:errcheck // otherwise the next process tries it once
	_ = a.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
		return tx.SetPasswordTime(a.id, later.Modified)
	})
	return false
}

// meter returns the account's limits. The first call loads what earlier
// processes used of them.
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
	if a.limits == nil { // otherwise another goroutine was faster
		a.limits = m
	}
	return a.limits, nil
}

// pollInterval returns the shortest time between two passes that the provider's
// limits allow. It is 0 when no limit is known.
func (a *account) pollInterval() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.limits == nil {
		return 0
	}
	return a.limits.Profile().Poll
}

// Breakers returns the consecutive failures of an account and of its host. A
// row stays after its wait is over.
func Breakers(r *storage.Reader, a storage.Account) ([]health.Row, error) {
	all, err := r.Breakers()
	return slices.DeleteFunc(all, func(b health.Row) bool {
		return b.Class == class.Manual || b.Scope != health.AccountScope(a.ID) &&
			b.Scope != health.HostScope(loginOf(a).Endpoint().Addr())
	}), err
}

// Waits returns everything an account waits for, according to the store. The
// store's owner adds the waits that exist only in memory.
func Waits(r *storage.Reader, a storage.Account, now time.Time) (health.Holds, error) {
	return health.Stored(r, a, loginOf(a).Endpoint().Addr(), now)
}
