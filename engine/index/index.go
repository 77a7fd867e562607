// Package index makes stored mail searchable, and makes views again that an
// older reader made.
//
// Invariants:
//   - The store lists what is not indexed yet, so no committed email is ever
//     missed.
//   - An index that cannot be written delays no mail. It catches up later.
//   - New mail is indexed before the next views are made again.
//   - An index that is built anew answers until the one that is built beside
//     it, between other work, has all mail. What was built outlives the process.
package index

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
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
	indexBatch = 1000    // emails in one transaction of the index: each costs a merge
	plainBatch = 200     // of those whose words the transaction itself has to cut
	indexBytes = 4 << 20 // of their documents, but indexStep of them in any case
	indexStep  = 10
	readyBytes = 4 << 20     // parsed documents kept in memory; others are parsed again
	retryFirst = time.Second // first delay after a failure; it doubles
	retryMost  = 5 * time.Minute
	indexDelay = 250 * time.Millisecond // lets a batch fill, since each transaction costs a merge
)

// Indexer indexes stored mail in one goroutine. Start starts it and Stop ends
// it.
type Indexer struct {
	store    *storage.Store
	progress *progress.Progress
	ctx      context.Context
	cancel   context.CancelFunc
	finished chan struct{}
	mail     chan struct{} // capacity 1: there is mail to index
	hurry    chan struct{} // capacity 1: somebody waits, so skip indexDelay

	mu        sync.Mutex
	ready     map[storage.EmailRow]storage.IndexDoc // parsed on arrival; only a cache
	readySize int                                   // bytes in ready

	failing       bool // the last try failed; owned by the loop's goroutine
	respellFailed bool // so did the last step of building the index anew; likewise
	restarted     bool // building was begun again after damage, which is done once; likewise

	tried     *sync.Cond
	wakes     int // number of wake-ups
	draining  int // number of callers in Drain
	seenWakes int // value of wakes at the last completed try
	err       error

	remadeWakes int // value of seenWakes when an index that is built anew was last found to be complete, or failed
	remadeErr   error
}

// Start starts indexing.
func Start(store *storage.Store, p *progress.Progress) *Indexer {
	x := &Indexer{store: store, progress: p, finished: make(chan struct{}), mail: make(chan struct{}, 1),
		hurry: make(chan struct{}, 1),
		ready: map[storage.EmailRow]storage.IndexDoc{}}
	x.tried = sync.NewCond(&x.mu)
	x.ctx, x.cancel = context.WithCancel(context.Background())
	go x.loop()
	x.wake()
	return x
}

// wake signals that there is mail to index.
func (x *Indexer) wake() {
	x.mu.Lock()
	x.wakes++
	x.mu.Unlock()
	select {
	case x.mail <- struct{}{}:
	default:
	}
}

// Drain waits for a try that covers everything committed before the call. It
// returns the error of that try.
func (x *Indexer) Drain(ctx context.Context) error {
	x.wake()
	select {
	case x.hurry <- struct{}{}:
	default:
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	want := x.wakes
	x.await(ctx, func() bool { return x.seenWakes >= want })
	return errors.Join(x.err, ctx.Err())
}

// await waits, with the lock held, for a try after which done, or for the end of
// ctx.
func (x *Indexer) await(ctx context.Context, done func() bool) {
	stop := context.AfterFunc(ctx, func() { x.mu.Lock(); defer x.mu.Unlock(); x.tried.Broadcast() })
	defer stop()
	x.draining++
	defer func() { x.draining-- }()
	for !done() && ctx.Err() == nil {
		x.tried.Wait()
	}
}

// Stop ends the goroutine and waits for it. A batch in progress is committed or
// rolled back.
func (x *Indexer) Stop() error {
	x.cancel()
	<-x.finished
	return nil
}

func (x *Indexer) loop() {
	defer close(x.finished)
	var again <-chan time.Time
	pause := retryFirst
	ready := make(chan struct{})
	close(ready)
	var respell <-chan struct{} // ready while an index is built anew and nothing failed
	for {
		select {
		case <-x.ctx.Done():
			return
		case <-x.mail:
		case <-again:
		case <-respell:
			start := time.Now()
			if more, err := x.respell(); !more {
				respell = nil
				x.respelled(err)
				continue
			}
			x.rest(time.Since(start))
			continue
		}
		select {
		case <-x.ctx.Done():
			return
		case <-x.hurry:
		case <-time.After(indexDelay):
		}
		x.mu.Lock()
		gen := x.wakes
		x.mu.Unlock()
		err := x.attempt()
		again, respell = nil, ready
		if err != nil {
			respell = nil
			again = time.After(pause)
			pause = min(2*pause, retryMost)
		} else {
			pause = retryFirst
		}
		x.mu.Lock()
		x.seenWakes, x.err = gen, err
		x.tried.Broadcast()
		x.mu.Unlock()
	}
}

// attempt runs catchUp. It rebuilds an index that turns out to be damaged, and
// reports that. Of other failures only the first of a series is reported.
func (x *Indexer) attempt() error {
	err := x.catchUp()
	if errors.Is(err, storage.ErrIndex) {
		x.report("the search index is made anew from the mail", err)
		if err = x.store.WriteAlone(x.ctx, (*storage.Writer).RenewIndex); err == nil {
			err = x.catchUp()
		}
	}
	if err = x.unlessStopping(err); err != nil && !x.failing {
		x.report("the search index is tried again by itself; mail is stored meanwhile", err)
	}
	x.failing = err != nil
	return err
}

// report records what could not be done, and what is done about it.
func (x *Indexer) report(next string, why error) {
	// A store that takes no row reports that everywhere else.
	_ = x.store.Write(x.ctx, storage.Bulk, 0, func(tx *storage.Writer) error {
		return health.ReportTx(tx, storage.Fault{At: time.Now().UTC(), Class: class.Storage, Scope: "store",
			Phase: "index", Detail: why.Error(), NextStep: next, Fingerprint: "index"})
	})
}

// catchUp indexes until nothing is left, then makes outdated views again. A
// last, partly filled batch is written at once.
func (x *Indexer) catchUp() error {
	for x.ctx.Err() == nil {
		var rows []storage.EmailRow
		var newest bool
		if err := x.store.Read(x.ctx, func(r *storage.Reader) (err error) {
			if newest, err = r.NewestSpelling(); err != nil {
				return err
			}
			rows, err = r.Unindexed(indexBatch)
			return err
		}); err != nil {
			return x.unlessStopping(fmt.Errorf("read what is to be indexed: %w", err))
		}
		if len(rows) == 0 {
			x.progress.SetUnindexed(0)
			if more, err := x.rebuild(); err != nil || !more {
				return x.unlessStopping(err)
			}
			continue
		}
		x.progress.SetUnindexed(int64(len(rows)))
		docs, reparsed, err := x.batch(rows, newest)
		if err != nil {
			return x.unlessStopping(err)
		}
		x.forget(docs[len(docs)-1].Email)
		failpoint.Hit("engine.beforeIndex")
		if err := x.store.WriteAlone(x.ctx, func(tx *storage.Writer) error {
			if reparsed > 0 {
				if err := tx.CountReparsed(reparsed); err != nil {
					return err
				}
			}
			return tx.IndexDocs(docs)
		}); err != nil {
			return x.unlessStopping(fmt.Errorf("index: %w", err))
		}
	}
	return nil
}

// unlessStopping drops an error that only says that the indexer is being
// stopped.
func (x *Indexer) unlessStopping(err error) error {
	if x.ctx.Err() != nil {
		return nil
	}
	return err
}

// batch makes the index rows of the first of some emails, as many as go into one
// transaction. What waits for it, and the memory of it, is why there are limits.
func (x *Indexer) batch(rows []storage.EmailRow, spelled bool) (docs []storage.IndexDoc, reparsed int, err error) {
	size := 0
	if !spelled {
		rows = rows[:min(len(rows), plainBatch)]
	}
	for some := range slices.Chunk(rows, indexStep) {
		more, n, err := x.documents(some, spelled)
		if err != nil {
			return nil, 0, err
		}
		docs, reparsed = append(docs, more...), reparsed+n
		for _, doc := range more {
			size += doc.Size()
		}
		if size >= indexBytes {
			break
		}
	}
	return docs, reparsed, nil
}

// documents makes the index rows of some emails, spelled or plain. reparsed is
// how many of them were not offered.
func (x *Indexer) documents(rows []storage.EmailRow, spelled bool) (docs []storage.IndexDoc, reparsed int, err error) {
	docs = make([]storage.IndexDoc, len(rows))
	var group errgroup.Group
	group.SetLimit(max(runtime.GOMAXPROCS(0)/2, 1))
	for i, row := range rows {
		if doc, ok := x.take(row); ok && spelled { // what is offered is spelled
			docs[i] = doc
			continue
		}
		reparsed++
		group.Go(func() (err error) {
			return fault.Guard(func() error {
				docs[i], err = x.document(row, spelled)
				return err
			})
		})
	}
	return docs, reparsed, group.Wait()
}

// document makes the index row of one email from its blob. A damaged blob is
// indexed as far as it can be read; mailcote check reports it.
func (x *Indexer) document(email storage.EmailRow, spelled bool) (doc storage.IndexDoc, err error) {
	err = x.store.Read(x.ctx, func(r *storage.Reader) error {
		if doc, err = x.read(r, email); err != nil {
			return err
		}
		// what a damaged message does not say, its row does
		doc.From, doc.To, err = r.Correspondents(email)
		return err
	})
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return doc, fmt.Errorf("read email %d for the index: %w", email, err)
	}
	if doc.Email = email; spelled {
		doc = doc.Spelled()
	}
	return doc, nil
}

// read makes the index row of a message from its bytes; an empty one if they
// are not there.
func (x *Indexer) read(r *storage.Reader, email storage.EmailRow) (doc storage.IndexDoc, err error) {
	blob, err := r.EmailBlob(email)
	if errors.Is(err, storage.ErrNotFound) {
		return doc, nil
	}
	if err != nil {
		return doc, err
	}
	body, _, err := r.OpenBlob(blob)
	if errors.Is(err, storage.ErrNotFound) {
		return doc, nil
	}
	if err != nil {
		return doc, err
	}
	defer body.Close() //nolint:errcheck // it only frees memory
	return row.Document(message.Parse(body, message.Limits{})), nil
}
