package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/engine/message"
	"mailcote/engine/plan"
	"mailcote/storage"
	"mailcote/testkit/failpoint"
)

const (
	BatchMessages = 100
	BatchBytes    = 4 << 20
	batchesAhead  = 2 // batches being packed and written while the next one arrives
	parsers       = 2
	budgetWait    = time.Second // for other accounts' memory
)

// arrival is one message on its way from the wire to a batch.
type arrival struct {
	uid          storage.UID
	said         storage.FlagChange
	date         time.Time
	raw          []byte        // nil when the body was staged
	staged       *storage.Body // large ones
	view         *message.View // parsed while it was staged
	flagsPending bool          // its flags were not said
	lacks        int64         // octets: what came twice alike is shorter than its RFC822.SIZE by them
	zero         bool          // its RFC822.SIZE is 0, for the first time of a message that is not empty
}

// size is how many octets came.
func (a *arrival) size() int64 {
	if a.staged != nil {
		return a.staged.Size
	}
	return int64(len(a.raw))
}

// intake takes one page from the wire, gathers batches and commits them. body and fetched run in the session's
// goroutine; each full batch gets a goroutine of its own that close waits for.
type intake struct {
	p      *Pass
	ctx    context.Context // of the commits: a stop lets them finish
	budget context.Context // of waiting for memory: a stop ends it
	wanted map[storage.UID]bool
	// flags that came in a response of their own, behind the body or before it
	late         map[storage.UID]storage.FlagChange
	flagsPending map[storage.UID]bool // arrivals whose flags the server has not said
	// what the server said before of the one message that is asked for; nil: nothing
	known   *imap.Message
	current *arrival    // its body came, its closing paren did not
	inside  storage.UID // whose response is not over; 0: none, or it is not known yet
	batch   []arrival
	bytes   int64
	handed  []storage.UID // of batches before it
	empty   []arrival     // messages of no octets, as two sessions say
	settled []*rescue     // of messages that were in doubt and are no more

	slots chan struct{}
	done  sync.WaitGroup
	mu    sync.Mutex
	err   error

	learned *storage.Sizes // by its batches, under mu; nil: nothing
}

func newIntake(ctx context.Context, p *Pass, page []storage.UID) *intake {
	take := &intake{p: p, ctx: context.WithoutCancel(ctx), budget: ctx, wanted: make(map[storage.UID]bool, len(page)),
		late: map[storage.UID]storage.FlagChange{}, flagsPending: map[storage.UID]bool{},
		slots: make(chan struct{}, batchesAhead)}
	for _, uid := range page {
		take.wanted[uid] = true
	}
	return take
}

// body reads a message's literal: into memory against the budget, or, when it is large or memory is short,
// straight into the store.
func (t *intake) body(m *imap.Message, section string, size int64, r io.Reader) error {
	if section != "" || t.current != nil || m.UID != 0 && !t.wanted[storage.UID(m.UID)] {
		return nil // not what was asked for; the session discards it
	}
	if err := t.failure(); err != nil {
		return err
	}
	t.inside = storage.UID(m.UID)
	if size > storage.MaxInline || !t.reserve(size) {
		t.flush()
		body, view, err := t.stage(r)
		if err != nil {
			return err
		}
		failpoint.Hit("engine.staged")
		t.current = &arrival{staged: &body, view: &view}
		return nil
	}
	raw := make([]byte, size)
	if n, err := io.ReadFull(r, raw); err != nil {
		err = fmt.Errorf("read message: %w", err)
		// it does not come as others do: this may be all that ever does
		if r := t.p.suspected(t.inside); r != nil && n > 0 {
			return errors.Join(err, t.keep(r, &arrival{raw: raw[:n]}, size))
		}
		t.p.Budget.Release(size)
		return err
	}
	failpoint.Hit("engine.bodyRead")
	t.current = &arrival{raw: raw}
	return nil
}

// reserve takes memory for a message from the budget. false: slow accounts hold it all, and waiting longer would make
// them this account's fault too; the message goes through the store instead.
func (t *intake) reserve(size int64) bool {
	if t.p.Budget.TryAcquire(size) {
		return true
	}
	t.flush() // what this intake holds must not be what it waits for
	ctx, cancel := context.WithTimeout(t.budget, budgetWait)
	defer cancel()
	return t.p.Budget.Acquire(ctx, size) == nil
}

// stage writes a large message to the store while it arrives, and parses it on the way.
func (t *intake) stage(r io.Reader) (storage.Body, message.View, error) {
	pr, pw := io.Pipe()
	views := make(chan message.View, 1)
	go func() {
		v := message.Parse(pr, message.Limits{})
		_, _ = io.Copy(io.Discard, pr) // were it to stop early, stage would wait for it for ever
		views <- v
	}()
	body, err := t.p.Store.Stage(t.ctx, t.p.Packer, io.TeeReader(r, pw))
	pw.CloseWithError(err) //nolint:errcheck // it always returns nil
	return body, <-views, err
}

// fetched takes a message whose items are all known.
func (t *intake) fetched(m *imap.Message) error {
	a := t.current
	t.current, t.inside = nil, 0
	if t.p.Mailbox.Renumbered() {
		return errors.Join(fault.ErrRenumbered, t.discard(a))
	}
	uid := storage.UID(m.UID)
	if a == nil || !t.wanted[uid] {
		if _, listed := slices.BinarySearch(t.p.listing, uid); listed && m.HasFlags && t.hears(uid) {
			t.late[uid] = mailbox.FlagsOf(m.UID, m.State)
		}
		return t.discard(a)
	}
	whole, err := t.weigh(uid, m, a)
	if err != nil {
		return err
	}
	delete(t.wanted, uid)
	if !whole {
		return nil
	}
	if m.HasFlags { // they are news against what came before
		delete(t.late, uid)
	}
	said := m
	if t.known != nil && !m.HasFlags {
		said = t.known
	}
	if !said.HasFlags {
		t.flagsPending[uid], a.flagsPending = true, true
	}
	a.uid, a.said, a.date = uid, mailbox.FlagsOf(m.UID, said.State), said.InternalDate
	if a.size() == 0 { // the end of the answer may say why
		t.empty = append(t.empty, *a)
		return nil
	}
	t.batch = append(t.batch, *a)
	t.bytes += int64(len(a.raw))
	if len(t.batch) >= BatchMessages || t.bytes >= BatchBytes {
		t.flush()
	}
	return nil
}

// doubtEmpty takes back that messages have no octets: the same answer told of expunged ones.
func (t *intake) doubtEmpty() {
	for _, a := range t.empty {
		r := t.p.suspect(a.uid, about)
		r.doubtful(plan.Asking{Gone: true}, t.p.Mailbox.Session(), plan.Aside)
		t.settled = slices.DeleteFunc(t.settled, func(one *rescue) bool { return one == r })
	}
	t.empty = nil
}

// weigh reports whether what came of a message is the whole of it. Otherwise it notes what came and keeps it.
func (t *intake) weigh(uid storage.UID, m *imap.Message, a *arrival) (whole bool, err error) {
	p, now := t.p, plan.Asking{Size: m.Size, Got: a.size()}
	if now.Size < 0 && t.known != nil {
		now.Size = t.known.Size
	}
	a.zero = now.Zero() && !p.learned.Zero
	r := p.suspected(uid)
	if now.Doubtful(p.learned) {
		if r == nil {
			r = p.suspect(uid, about)
		}
		if now.SHA256 = sha256.Sum256(a.raw); a.staged != nil {
			now.SHA256 = a.staged.SHA256
		}
		if v := plan.Judge(now, r.before(p.Mailbox.Session()), p.learned); v != plan.Whole {
			r.doubtful(now, p.Mailbox.Session(), v)
			return false, t.keep(r, a, int64(len(a.raw)))
		}
		a.lacks = now.Lacks()
	}
	if r != nil {
		t.settled = append(t.settled, r)
	}
	return true, nil
}

// keep hands what came of a body to its rescue, and gives back the memory that was lent for it.
func (t *intake) keep(r *rescue, a *arrival, lent int64) error {
	store, body := t.p.Store, a.staged
	defer t.p.Budget.Release(lent)
	if body == nil && a.size() > r.kept.Size {
		staged, err := store.Stage(t.ctx, t.p.Packer, bytes.NewReader(a.raw))
		if err != nil {
			return err
		}
		body = &staged
	}
	if body == nil {
		return nil
	}
	return r.keep(t.ctx, store, *body)
}

// hears reports whether flags that came by themselves are kept. Those of the page are. A server may tell of each
// message it has: what is left out of that, the next pass asks for.
func (t *intake) hears(uid storage.UID) bool {
	_, known := t.late[uid]
	return known || t.wanted[uid] || t.flagsPending[uid] || len(t.late) < t.p.Caps.News
}

// discard lets go of a body that nobody asked for; nil: there is none.
func (t *intake) discard(a *arrival) error {
	if a == nil {
		return nil
	}
	t.p.Budget.Release(int64(len(a.raw)))
	if a.staged != nil {
		return t.p.Store.Unstage(t.ctx, *a.staged)
	}
	return nil
}

// flush hands the gathered batch over; it waits while too many are on their way.
func (t *intake) flush() {
	if len(t.batch) == 0 {
		return
	}
	batch, size := t.batch, t.bytes
	t.batch, t.bytes = nil, 0
	if t.p.Mailbox.Renumbered() { // they may be messages of another mailbox
		t.p.Budget.Release(size)
		if err := t.unstage(batch); err != nil {
			t.fail(err)
		}
		return
	}
	for _, a := range batch {
		t.handed = append(t.handed, a.uid)
	}
	t.slots <- struct{}{}
	t.done.Add(1)
	go func() {
		defer t.done.Done()
		defer func() { <-t.slots }()
		defer t.p.Budget.Release(size)
		if err := fault.Guard(func() error { return t.commit(batch) }); err != nil {
			t.fail(errors.Join(err, t.unstage(batch)))
		}
	}()
}

// unstage drops the large bodies of a batch that failed: each retry stages them again, and a start that would
// clear them away may be weeks off. One that was stored after all stays.
func (t *intake) unstage(batch []arrival) (err error) {
	for _, a := range batch {
		if a.staged != nil {
			err = errors.Join(err, t.p.Store.Unstage(t.ctx, *a.staged))
		}
	}
	return err
}

// close commits what came whole, waits for every batch and says what failed. It may be called again.
func (t *intake) close() error {
	a := t.current
	t.current = nil
	if err := t.discard(a); err != nil {
		t.fail(err)
	}
	t.batch, t.empty = append(t.batch, t.empty...), nil
	t.flush()
	t.done.Wait()
	return t.failure()
}

// fail keeps the first failure.
func (t *intake) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
}

func (t *intake) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// owed gives the arrivals whose flags the server has not said. Call it after close.
func (t *intake) owed() FlagsPending {
	dropped := len(t.flagsPending) > 0
	for uid := range t.late { // those it said in a response of their own
		delete(t.flagsPending, uid)
	}
	return FlagsPending{slices.Sorted(maps.Keys(t.flagsPending)), dropped}
}

// missing gives the UIDs of the page that are not committed. Call it after close.
func (t *intake) missing() []storage.UID { return slices.Sorted(maps.Keys(t.wanted)) }
