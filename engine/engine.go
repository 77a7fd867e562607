package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"mailcote/engine/clock"
	"mailcote/engine/connpool"
	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/fetch"
	"mailcote/engine/health"
	"mailcote/engine/imap"
	"mailcote/engine/index"
	"mailcote/engine/message"
	"mailcote/engine/plan"
	"mailcote/engine/progress"
	"mailcote/engine/secret"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/failpoint"
)

const (
	// budgetBytes bounds the raw messages in memory, over the whole process.
	budgetBytes = 16 << 20
	// keepDeleted is how long expunged mail can be restored.
	keepDeleted = 30 * 24 * time.Hour
)

// Options configure an engine.
type Options struct {
	Store     *storage.Store // opened by its owner, not read-only
	TLSConfig *tls.Config    // nil: the system's roots
	Limits    imap.Limits    // zero fields: imap.DefaultLimits
	Trace     io.Writer      // wire log, secrets masked; nil: none
	Keep      time.Duration  // retention of expunged mail; 0: 30 days, < 0: forever
	Direct    bool           // never use the queue's own table
	Approvals secret.Approvals
	Removing  func(account string) // is told which interrupted removal New finishes; may be nil

	dialer   func(ctx context.Context, network, addr string) (net.Conn, error) // nil: the network; set by tests
	resolver *net.Resolver                                                     // nil: the system's; set by tests
	wall     func() time.Time                                                  // nil: time.Now; set by tests
	retryGap time.Duration                                                     // 0: minRetryGap; shortened by tests
	resend   time.Duration                                                     // 0: connpool.Resend; shortened by tests
	backoff  func(n int, random *rand.Rand) time.Duration                      // nil: plan.Backoff; shortened by tests
	least    func(w policy.Wait, n int) time.Duration                          // nil: Wait.After; shortened by tests
	memory   health.MemoryReadings                                             // zero: the runtime's
	caps     plan.Caps                                                         // zero fields: plan.DefaultCaps
}

// Engine runs the accounts of one store. Its methods may be called from any
// goroutine.
type Engine struct {
	*shared
	queue    *queue.Queue
	packer   *storage.Packer
	process  fetch.Process
	memory   *health.MemoryGate
	indexer  *index.Indexer
	passed   func(Summary)
	watching sync.WaitGroup // the clock watch
	endWatch func()

	mu        sync.Mutex
	accounts  map[storage.AccountID]*account
	pauseSeen time.Time // when a pause of the store was last seen

	unfinished []string // removals that New could not finish, one sentence each
}

// New takes over a store. Tasks that a dead process was working on become
// pending again.
func New(ctx context.Context, o Options) (*Engine, error) {
	if o.Store.ReadOnly() {
		return nil, storage.ErrReadOnly
	}
	if o.Keep == 0 {
		o.Keep = keepDeleted
	}
	if o.wall == nil {
		o.wall = time.Now
	}
	if o.retryGap == 0 {
		o.retryGap = minRetryGap
	}
	if o.resend == 0 {
		o.resend = connpool.Resend
	}
	o.caps = o.caps.OrDefaults()
	packer, err := storage.NewPacker()
	if err != nil {
		return nil, err
	}
	loaded, err := health.Load(ctx, o.Store, health.Options{Backoff: o.backoff, Least: o.least})
	if err != nil {
		return nil, errors.Join(err, packer.Close())
	}
	e := &Engine{
		shared: newShared(o, loaded), queue: queue.New(o.Store), packer: packer,
		process: process(o, packer), memory: health.NewMemoryGate(o.memory),
		accounts: map[storage.AccountID]*account{},
	}
	if o.Direct {
		err = e.queue.GoDirect(ctx)
	}
	if err == nil {
		err = e.takeOver(ctx)
	}
	if err == nil {
		err = removals{e}.finishAll(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("take over the store: %w", err), e.queue.Close(), packer.Close())
	}
	failpoint.Hit("engine.afterTakeOver")
	e.indexer = index.Start(o.Store, e.progress)
	watching, end := context.WithCancel(context.WithoutCancel(ctx))
	e.endWatch = end
	e.watching.Go(func() { clock.Clock{Wall: o.wall}.Watch(watching, e.clockJumped) })
	return e, nil
}

// process returns what the streams of all accounts share.
func process(o Options, packer *storage.Packer) fetch.Process {
	streamed := o.Limits.Streamed
	if streamed <= 0 {
		streamed = imap.DefaultLimits().Streamed
	}
	return fetch.Process{Store: o.Store, Packer: packer, Budget: semaphore.NewWeighted(budgetBytes), Caps: o.caps,
		Streamed: streamed}
}

func (e *Engine) takeOver(ctx context.Context) error {
	return e.queued(ctx, func(w *storage.Writer) error {
		if err := w.OutdateViews(message.Version); err != nil {
			return err
		}
		_, err := e.queue.StartTx(w)
		return err
	})
}

// clockJumped adapts to a wall clock that was set, or to a sleep. Waits keep
// their length, or end if they are over by the new time. After a sleep the
// network may be another one, so waits for it end at once.
func (e *Engine) clockJumped(jump time.Duration) {
	now := time.Now()
	var scopes []string
	for _, row := range e.health.Rebase(now) {
		scopes = append(scopes, row.Scope)
	}
	if jump > 0 {
		e.health.HurryAll(now)
		e.everyPool(func(p *connpool.Pool) { p.Slept() })
	}
	err := e.store.Write(context.Background(), storage.Interactive, 0, func(w *storage.Writer) error {
		if err := e.health.NoteTx(w, scopes...); err != nil {
			return err
		}
		return e.queue.JumpTx(w, jump)
	})
	if err != nil { // the next pass of each account reads the clock again
		e.reportFault(err)
	}
	if jump > 0 {
		e.woken.send()
	}
	e.queue.NotifyAll()
}

// reportFault records a fault that belongs to no task.
func (e *Engine) reportFault(err error) {
	f := fault.Classify(fault.In(fault.PhaseStore, err))
	row := storage.Fault{At: time.Now().UTC(), Class: f.Class, Scope: f.Scope, Phase: f.Phase, Detail: f.Detail}
	//nolint:errcheck // a store that cannot be written says so everywhere
	_ = e.store.Write(context.Background(), storage.Bulk, 0, func(tx *storage.Writer) error {
		return health.ReportTx(tx, row)
	})
}

// Close ends the remaining connections and the indexer, and frees what New
// made. Sync and Run must have returned. The store stays open.
func (e *Engine) Close() error {
	e.endWatch()
	e.watching.Wait()
	e.everyPool(func(p *connpool.Pool) { p.Close(context.Background()) })
	return errors.Join(e.indexer.Stop(), e.queue.Close(), e.packer.Close())
}

// NewAccount is an account to add.
type NewAccount struct {
	Login    Login
	Name     string     // "": Login.Name
	Ref      secret.Ref // where later processes find the password
	Insecure bool       // plain text to another host was asked for
	Move     bool       // an account that exists may get another port and security
}

// AddAccount adds an account together with its first task. One that exists
// already gets the reference, if there is one. If it is reached at another port
// or in another way than the login says, it changes only with Move; otherwise
// the error is an *ElsewhereError. If a removed account has its name or login
// still, that removal is finished first; otherwise the error is a
// *RemovingError. Another password ends a pause that a refused one
// made, and is tried once.
func (e *Engine) AddAccount(ctx context.Context, n NewAccount) (id storage.AccountID, created bool, err error) {
	l := n.Login
	unused, named := "", n.Ref.Kind != secret.None
	failpoint.Hit("engine.beforeAddAccount")
	if err := (removals{e}).makeRoom(ctx, func(old storage.Account) bool {
		return old.User == l.User && old.Host == l.Host || old.Name == n.Name ||
			n.Name == "" && (old.Name == l.Name() || strings.HasPrefix(old.Name, l.Key()))
	}); err != nil {
		return 0, false, err
	}
	err = e.queued(ctx, func(w *storage.Writer) error {
		created = false
		have, err := w.AccountByIdentity(l.User, l.Host, l.Port)
		if err == nil {
			if err := Elsewhere(have, l); err != nil && !n.Move {
				return err
			}
			if err := n.endPauseTx(w, have); err != nil {
				return err
			}
			id = have.ID
			c := Change{Port: l.Port, Security: l.Security, Insecure: n.Insecure, Ref: n.Ref}
			named = named || approved(w, e.o.Approvals, have)
			unused, err = change{e}.writeTx(w, have, c)
			return err
		}
		if !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		name := n.Name
		if name == "" {
			if name, err = freeName(w, l); err != nil {
				return err
			}
		}
		row := storage.Account{Name: name, User: l.User, Host: l.Host, Port: l.Port,
			Security: string(l.Security), Insecure: n.Insecure, SecretRef: n.Ref.String()}
		if id, err = w.AddAccount(row); err != nil {
			return err
		}
		created = true
		_, _, err = e.queue.EnqueueTx(w, queue.NewTask{Account: id, Type: queue.InitialSync, Priority: 8})
		return err
	})
	if err != nil {
		return 0, false, err
	}
	failpoint.Hit("engine.afterAddAccount")
	if err := (change{e}).end(ctx, id, unused, named); err != nil {
		return 0, false, err
	}
	if !l.Password.Empty() {
		e.UsePassword(id, l.Password)
	}
	e.queue.Notify(id)
	return id, created, nil
}

// freeName returns a name that no account has. One address may be used at
// several hosts, and at several ports of a loopback host, and a name may be
// taken by choice.
func freeName(w *storage.Writer, l Login) (string, error) {
	for n := 1; ; n++ {
		name := l.Name()
		switch {
		case n == 2:
			name = l.Key()
		case n > 2:
			name = l.Key() + " " + strconv.Itoa(n)
		}
		if _, err := w.AccountByName(name); errors.Is(err, storage.ErrNotFound) {
			return name, nil
		} else if err != nil {
			return "", err
		}
	}
}

// account returns the state of an account, which the first call makes.
func (e *Engine) account(id storage.AccountID) *account {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.accounts[id]
	if a == nil {
		a = newAccount(e.shared, id)
		e.accounts[id] = a
	}
	return a
}

// usedAccounts returns the accounts that were used so far.
func (e *Engine) usedAccounts() []*account {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Values(e.accounts))
}

// everyPool runs fn for each account's connections, in parallel.
func (e *Engine) everyPool(fn func(*connpool.Pool)) {
	var done sync.WaitGroup
	for _, a := range e.usedAccounts() {
		if p := a.connections(); p != nil {
			done.Go(func() { fn(p) })
		}
	}
	done.Wait()
}

// UsePassword gives an account's password to this process. It is not stored.
func (e *Engine) UsePassword(id storage.AccountID, s secret.Secret) { e.account(id).usePassword(s) }

// AccountProgress and MailboxProgress show where an account and a mailbox
// stand.
type (
	AccountProgress = progress.Account
	MailboxProgress = progress.Mailbox
)

// Progress returns a copy of every account's progress.
func (e *Engine) Progress() []AccountProgress {
	all := e.progress.Snapshot()
	for _, a := range e.usedAccounts() {
		if p := a.connections(); p != nil {
			i := slices.IndexFunc(all, func(one AccountProgress) bool { return one.Account == a.name() })
			if i >= 0 {
				all[i].Connections = p.Figures()
			}
		}
	}
	return all
}

// OnPass has told called with each pass that Run makes, when it has ended. It
// is for use before Run, and told is called from any goroutine.
func (e *Engine) OnPass(told func(Summary)) { e.passed = told }

// ProgressChanged returns a channel that is closed at the next change of
// Progress.
func (e *Engine) ProgressChanged() <-chan struct{} { return e.progress.Changed() }

const phaseQueue = "queue"

// queued runs a transaction that uses the queue. If the queue's table cannot be
// used, the engine goes on without it: tasks, pages and coverage stay the same.
func (e *Engine) queued(ctx context.Context, fn func(*storage.Writer) error) error {
	err := e.store.Write(ctx, storage.Interactive, 0, fn)
	if !errors.Is(err, queue.ErrDelivery) || e.queue.Direct() {
		return err
	}
	if helpless := e.goDirect(ctx, err); helpless != nil {
		return errors.Join(err, helpless)
	}
	return e.store.Write(ctx, storage.Interactive, 0, fn)
}

// goDirect stops using the queue's table and records why.
func (e *Engine) goDirect(ctx context.Context, why error) error {
	if err := e.queue.GoDirect(ctx); err != nil {
		return err
	}
	return e.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
		return health.ReportTx(tx, storage.Fault{At: time.Now().UTC(), Class: class.Storage, Scope: "store",
			Phase: phaseQueue, Detail: why.Error(),
			NextStep: "mail is synced without it; mailcote check says what else is damaged", Fingerprint: phaseQueue})
	})
}

// Warnings returns what the user should know about how this engine works, one
// sentence each.
func (e *Engine) Warnings() []string {
	all := slices.Clone(e.unfinished)
	if e.queue.Direct() && !e.o.Direct {
		all = append(all, "the queue's table cannot be used (mailcote errors says why): syncing directly, with the "+
			"same mail and the same checkpoints")
	}
	return all
}
