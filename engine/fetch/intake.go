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
	budgetWait    = time.Second // how long to wait for memory that others hold
)

// arrival is one message on its way from the wire to a batch.
type arrival struct {
	uid          storage.UID
	said         imap.Message  // what was said of it
	raw          []byte        // nil if the body was staged
	staged       *storage.Body // of a large message
	view         *message.View // parsed while it was staged
	flagsPending bool          // the server did not send its flags
	lacks        int64         // octets by which it is shorter than its RFC822.SIZE, though it came twice alike
	zero         bool          // its RFC822.SIZE is 0 though it has octets; the server's first such message
}

// size is how many octets came.
func (a *arrival) size() int64 {
	if a.staged != nil {
		return a.staged.Size
	}
	return int64(len(a.raw))
}

// intake takes one page from the wire, gathers batches and commits them. body
// and fetched run in the session's goroutine. Each full batch gets a goroutine
// of its own, and close waits for them.
type intake struct {
	p      *Pass
	ctx    context.Context // for commits: a stop lets them finish
	budget context.Context // for waiting for memory: a stop ends it
	wanted map[storage.UID]bool
	// flags that came in a response of their own, before or after the body
	late map[storage.UID]storage.FlagChange
	// messages whose body is still to come, with what was said of them so far
	early        map[storage.UID]imap.Message
	flagsPending map[storage.UID]bool // arrivals without flags
	// what the server said earlier of the one message asked for; nil: nothing
	described *imap.Message
	current   *arrival    // its body came, the end of its response did not
	inside    storage.UID // whose response is not over; 0: none, or not known yet
	batch     []arrival
	bytes     int64
	flushed   []storage.UID        // of earlier batches
	empty     []arrival            // messages without octets, as two sessions say
	resolved  []*rescue            // of messages that came whole after all
	took      map[storage.UID]bool // whose body came, whole or not
	twice     []storage.UID        // whose body came more than once, the first of them
	another   bool                 // a response has a second body

	slots chan struct{}
	done  sync.WaitGroup
	mu    sync.Mutex
	err   error

	learned *storage.Sizes // by its batches, under mu; nil: nothing
}

func newIntake(ctx context.Context, p *Pass, page []storage.UID) *intake {
	take := &intake{p: p, ctx: context.WithoutCancel(ctx), budget: ctx, wanted: make(map[storage.UID]bool, len(page)),
		late: map[storage.UID]storage.FlagChange{}, flagsPending: map[storage.UID]bool{},
		early: map[storage.UID]imap.Message{}, took: make(map[storage.UID]bool, len(page)),
		slots: make(chan struct{}, batchesAhead)}
	for _, uid := range page {
		take.wanted[uid] = true
	}
	return take
}

// body reads a message's literal. It goes into memory against the budget. A
// large one, or any while memory is short, goes straight into the store.
func (t *intake) body(m *imap.Message, section string, size int64, r io.Reader) error {
	if section != "" {
		return nil // not what was asked for; the session discards it
	}
	if t.current != nil || t.took[storage.UID(m.UID)] {
		t.another = true
		return nil
	}
	if m.UID != 0 && !t.wanted[storage.UID(m.UID)] {
		return nil
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
		// the message is a suspect: this may be all that ever comes
		if r := t.p.suspected(t.inside); r != nil && n > 0 {
			return errors.Join(err, t.keepPartial(r, &arrival{raw: raw[:n]}, size))
		}
		t.p.Budget.Release(size)
		return err
	}
	failpoint.Hit("engine.bodyRead")
	t.current = &arrival{raw: raw}
	return nil
}

// reserve takes memory for a message from the budget. If slow accounts hold it
// all, waiting longer would slow this account too. Then it returns false, and
// the message goes through the store instead.
func (t *intake) reserve(size int64) bool {
	if t.p.Budget.TryAcquire(size) {
		return true
	}
	t.flush() // its own batch must not be what it waits for
	ctx, cancel := context.WithTimeout(t.budget, budgetWait)
	defer cancel()
	return t.p.Budget.Acquire(ctx, size) == nil
}

// stage writes a large message to the store while it arrives, and parses it on
// the way.
func (t *intake) stage(r io.Reader) (storage.Body, message.View, error) {
	pr, pw := io.Pipe()
	views := make(chan message.View, 1)
	go func() {
		v := message.Parse(pr, message.Limits{})
		_, _ = io.Copy(io.Discard, pr) // if the parser stopped early, stage would wait for ever
		views <- v
	}()
	body, err := t.p.Store.Stage(t.ctx, t.p.Packer, io.TeeReader(r, pw))
	pw.CloseWithError(err) //nolint:errcheck // it always returns nil
	return body, <-views, err
}

// fetched takes a message whose response is complete. The items of one message
// may come in several responses.
func (t *intake) fetched(m *imap.Message) error {
	a := t.current
	t.current, t.inside = nil, 0
	if t.p.Mailbox.Renumbered() {
		return errors.Join(fault.ErrRenumbered, t.discard(a))
	}
	uid := storage.UID(m.UID)
	t.noteTwice(uid, a)
	if a == nil || !t.wanted[uid] {
		if _, listed := slices.BinarySearch(t.p.listing, uid); listed && m.HasFlags && t.keepsFlags(uid) {
			t.late[uid] = mailbox.FlagsOf(m.UID, m.State)
		}
		if a == nil && t.wanted[uid] {
			t.early[uid] = merge(t.early[uid], *m)
		} else if i := t.inBatch(uid); a == nil && i >= 0 {
			return t.amend(i, m)
		}
		return t.discard(a)
	}
	t.took[uid] = true
	a.said = merge(t.early[uid], *m)
	if delete(t.early, uid); a.said.HasFlags {
		delete(t.late, uid)
	}
	return t.settle(uid, a)
}

// settle decides what becomes of a message whose body came.
func (t *intake) settle(uid storage.UID, a *arrival) error {
	if t.described != nil {
		a.said = merge(*t.described, a.said)
	}
	whole, err := t.checkWhole(uid, a)
	if err != nil {
		return err
	}
	delete(t.wanted, uid)
	if !whole {
		return nil
	}
	if a.uid, a.flagsPending = uid, !a.said.HasFlags; a.flagsPending {
		t.flagsPending[uid] = true
	}
	if a.size() == 0 { // the end of the answer may say why
		t.empty = append(t.empty, *a)
		return nil
	}
	if len(t.batch) >= BatchMessages || t.bytes >= BatchBytes {
		t.flush()
	}
	t.batch = append(t.batch, *a)
	t.bytes += int64(len(a.raw))
	return nil
}

// doubtEmpty puts empty messages in doubt again. The same answer reported
// expunged messages, and these may be among them.
func (t *intake) doubtEmpty() {
	for _, a := range t.empty {
		r := t.p.suspect(a.uid, metadata)
		r.noteDoubt(plan.Received{Gone: true}, t.p.Mailbox.Session(), plan.Aside)
		t.resolved = slices.DeleteFunc(t.resolved, func(one *rescue) bool { return one == r })
	}
	t.empty = nil
}

// checkWhole reports whether the body that came is the whole message. Otherwise
// it notes and keeps what came.
func (t *intake) checkWhole(uid storage.UID, a *arrival) (whole bool, err error) {
	p, now := t.p, plan.Received{Size: a.said.Size, Got: a.size()}
	if now.Size < 0 && t.described != nil {
		now.Size = t.described.Size
	}
	a.zero = now.Zero() && !p.learned.Zero
	r := p.suspected(uid)
	if now.Doubtful(p.learned) {
		if r == nil {
			r = p.suspect(uid, metadata)
		}
		if now.SHA256 = sha256.Sum256(a.raw); a.staged != nil {
			now.SHA256 = a.staged.SHA256
		}
		if v := plan.Judge(now, r.fromOtherSessions(p.Mailbox.Session()), p.learned); v != plan.Whole {
			r.noteDoubt(now, p.Mailbox.Session(), v)
			return false, t.keepPartial(r, a, int64(len(a.raw)))
		}
		a.lacks = now.Lacks()
	}
	if r != nil {
		t.resolved = append(t.resolved, r)
	}
	return true, nil
}

// keepPartial gives what came of a body to its rescue and returns the memory
// acquired for it.
func (t *intake) keepPartial(r *rescue, a *arrival, lent int64) error {
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

// keepsFlags reports whether flags that came by themselves are kept. Those of
// the page always are. A server may send flags of every message it has, so the
// rest is capped. The next pass asks for what is dropped.
func (t *intake) keepsFlags(uid storage.UID) bool {
	_, kept := t.late[uid]
	return kept || t.wanted[uid] || t.flagsPending[uid] || len(t.late) < t.p.Caps.News
}

// discard drops a body that nobody asked for, if there is one.
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

// flush commits the gathered batch in the background. It waits while too many
// batches are on their way.
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
		t.flushed = append(t.flushed, a.uid)
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

// unstage drops the large bodies of a failed batch. Each retry stages them
// again, and the next start, which would clear them away, may be weeks off. A
// body that was stored after all stays.
func (t *intake) unstage(batch []arrival) (err error) {
	for _, a := range batch {
		if a.staged != nil {
			err = errors.Join(err, t.p.Store.Unstage(t.ctx, *a.staged))
		}
	}
	return err
}

// close commits what came whole, waits for every batch and returns the first
// failure. It may be called again.
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

// pending returns the arrivals whose flags the server has not sent. Call it
// after close.
func (t *intake) pending() FlagsPending {
	dropped := len(t.flagsPending) > 0
	for uid := range t.late { // their flags came in a response of their own
		delete(t.flagsPending, uid)
	}
	return FlagsPending{slices.Sorted(maps.Keys(t.flagsPending)), dropped}
}

// missing returns the UIDs of the page that are not committed. Call it after
// close.
func (t *intake) missing() []storage.UID { return slices.Sorted(maps.Keys(t.wanted)) }
