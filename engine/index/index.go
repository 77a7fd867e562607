// Package index makes mail searchable after it is readable.
//
// What always holds: the store lists what is to be indexed, so nothing that was
// committed is ever missed. An index that cannot be written stops no mail, and
// is caught up with later.
package index

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mailcote/engine/fault"
	"mailcote/engine/health"
	"mailcote/engine/message"
	"mailcote/engine/progress"
	"mailcote/engine/row"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/failpoint"
)

const (
	indexBatch = 200         // emails in one transaction of the index
	readyBytes = 4 << 20     // what may wait parsed; the rest is parsed again
	retryFirst = time.Second // after a failure it tries again by itself, later each time
	retryMost  = 5 * time.Minute
	indexDelay = 250 * time.Millisecond // lets a batch fill: each transaction of the index costs a merge
)

// Indexer makes mail searchable after it is readable: a goroutine of its own,
// started by Start and ended by Stop. It works from the store's list of what is
// to be indexed, so nothing that was committed is ever missed.
type Indexer struct {
	store    *storage.Store
	progress *progress.Progress
	ctx      context.Context
	cancel   context.CancelFunc
	finished chan struct{}
	poke     chan struct{} // capacity 1: there is mail
	hurry    chan struct{} // capacity 1: somebody waits for it

	mu    sync.Mutex
	ready map[storage.EmailRow]storage.IndexDoc // parsed already when it arrived; a saving, never needed
	held  int                                   // bytes in ready

	failing bool // in the loop's goroutine: the last try failed

	idle *sync.Cond
	gen  int // how often it was woken
	seen int // the last gen it caught up with
	err  error
}

// Start begins to index what is not indexed yet.
func Start(store *storage.Store, p *progress.Progress) *Indexer {
	x := &Indexer{store: store, progress: p, finished: make(chan struct{}), poke: make(chan struct{}, 1),
		hurry: make(chan struct{}, 1),
		ready: map[storage.EmailRow]storage.IndexDoc{}}
	x.idle = sync.NewCond(&x.mu)
	x.ctx, x.cancel = context.WithCancel(context.Background())
	go x.loop()
	x.wake()
	return x
}

// wake tells it that there is mail to index.
func (x *Indexer) wake() {
	x.mu.Lock()
	x.gen++
	x.mu.Unlock()
	select {
	case x.poke <- struct{}{}:
	default:
	}
}

// Drain waits until everything committed before the call is indexed.
func (x *Indexer) Drain(ctx context.Context) error {
	x.wake()
	select {
	case x.hurry <- struct{}{}:
	default:
	}
	stop := context.AfterFunc(ctx, func() { x.mu.Lock(); defer x.mu.Unlock(); x.idle.Broadcast() })
	defer stop()
	x.mu.Lock()
	defer x.mu.Unlock()
	want := x.gen
	for x.seen < want && ctx.Err() == nil {
		x.idle.Wait()
	}
	return errors.Join(x.err, ctx.Err())
}

// Stop ends the goroutine: the batch it is in is committed or not begun.
func (x *Indexer) Stop() error {
	x.cancel()
	<-x.finished
	return nil
}

func (x *Indexer) loop() {
	defer close(x.finished)
	var again <-chan time.Time
	pause := retryFirst
	for {
		select {
		case <-x.ctx.Done():
			return
		case <-x.poke:
		case <-again:
		}
		select {
		case <-x.ctx.Done():
			return
		case <-x.hurry:
		case <-time.After(indexDelay):
		}
		x.mu.Lock()
		gen := x.gen
		x.mu.Unlock()
		err := x.caughtUp()
		again = nil
		if err != nil {
			again = time.After(pause)
			pause = min(2*pause, retryMost)
		} else {
			pause = retryFirst
		}
		x.mu.Lock()
		x.seen, x.err = gen, err
		x.idle.Broadcast()
		x.mu.Unlock()
	}
}

// caughtUp is catchUp on an index that is made anew if it is found damaged. The
// first failure of an episode leaves a row.
func (x *Indexer) caughtUp() error {
	err := x.catchUp()
	if errors.Is(err, storage.ErrIndex) {
		x.note("made anew from the mail", err)
		if err = x.store.WriteAlone(x.ctx, (*storage.Writer).RenewIndex); err == nil {
			err = x.catchUp()
		}
	}
	if err = x.unless(err); err != nil && !x.failing {
		x.note("tried again by itself; mail is stored meanwhile", err)
	}
	x.failing = err != nil
	return err
}

// note records that the index could not be written and what is done about it.
func (x *Indexer) note(done string, why error) {
	_ = x.store.Write(x.ctx, storage.Bulk, 0,
		func(tx *storage.Writer) error { //nolint:errcheck // a store that takes no row says so everywhere
			return health.ReportTx(tx, storage.Fault{At: time.Now().UTC(), Class: class.Storage, Scope: "store",
				Phase:  "index",
				Detail: why.Error(), NextStep: "the search index is " + done, Fingerprint: "index"})
		})
}

// catchUp indexes until no email waits. The last, partly filled batch waits for
// nobody.
func (x *Indexer) catchUp() error {
	for x.ctx.Err() == nil {
		var rows []storage.EmailRow
		if err := x.store.Read(x.ctx, func(r *storage.Reader) (err error) {
			rows, err = r.Unindexed(indexBatch)
			return err
		}); err != nil {
			return x.unless(fmt.Errorf("read what is to be indexed: %w", err))
		}
		if len(rows) == 0 {
			x.progress.SetUnindexed(0)
			return nil
		}
		x.progress.SetUnindexed(int64(len(rows)))
		docs, err := x.documents(rows)
		if err != nil {
			return x.unless(err)
		}
		x.forget(rows[len(rows)-1])
		failpoint.Hit("engine.beforeIndex")
		if err := x.store.WriteAlone(x.ctx, func(tx *storage.Writer) error { return tx.IndexDocs(docs) }); err != nil {
			return x.unless(fmt.Errorf("index: %w", err))
		}
	}
	return nil
}

// unless drops an error that only says that the indexer is being stopped.
func (x *Indexer) unless(err error) error {
	if x.ctx.Err() != nil {
		return nil
	}
	return err
}

// documents makes the index rows of some emails from their blobs.
func (x *Indexer) documents(rows []storage.EmailRow) ([]storage.IndexDoc, error) {
	docs := make([]storage.IndexDoc, len(rows))
	var group errgroup.Group
	group.SetLimit(max(runtime.GOMAXPROCS(0)/2, 1))
	for i, row := range rows {
		group.Go(func() (err error) {
			return fault.Guard(func() error {
				docs[i], err = x.document(row)
				return err
			})
		})
	}
	return docs, group.Wait()
}

// document gives the index row of one email: as it was offered, else read from
// its blob. One whose blob is damaged is indexed by what could be read; check
// finds it.
func (x *Indexer) document(email storage.EmailRow) (doc storage.IndexDoc, err error) {
	if doc, ok := x.take(email); ok {
		return doc, nil
	}
	err = x.store.Read(x.ctx, func(r *storage.Reader) error {
		blob, err := r.EmailBlob(email)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		body, _, err := r.OpenBlob(blob)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		defer body.Close() //nolint:errcheck // it only frees memory
		doc = row.Document(message.Parse(body, message.Limits{}))
		return nil
	})
	if err != nil {
		return doc, fmt.Errorf("read email %d for the index: %w", email, err)
	}
	doc.Email = email
	return doc, nil
}
