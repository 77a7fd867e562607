package storage_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"mailcote/engine/message"
	"mailcote/engine/row"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/testkit/corpus"
	"mailcote/testkit/faultvfs"
)

// work is one recorded workload.
type work struct {
	t      *testing.T
	random *rand.Rand
	path   string
	strong bool // nothing may be lost
	o      storage.Options
	store  *storage.Store
	queue  *queue.Queue
	packer *storage.Packer
	mail   func() corpus.Message
	log    *faultvfs.Log

	accounts []storage.AccountID
	boxes    []*box
	tasks    []queue.Task // claimed
	steps    []step
}

type box struct {
	id      storage.MailboxID
	account storage.AccountID
	next    storage.UID
	live    []storage.UID
}

// step is what one or more transactions came to. Between those of a loose one there are states that nobody wrote down.
type step struct {
	acked int // operations in the log by then
	state [sha256.Size]byte
	loose bool
}

const validity = 7

// recordWork does what the engine does to a store, for a while, and writes down the state after each acknowledgement.
func recordWork(t *testing.T, synchronous string, seed uint64) *work {
	t.Helper()
	faultvfs.Reset()
	dir := t.TempDir()
	w := &work{t: t, random: rand.New(rand.NewPCG(seed, 1)), path: filepath.Join(dir, "mail.db"),
		strong: synchronous == "FULL", o: storage.Weakened(faultvfs.Name, synchronous, 60)}
	var err error
	if w.packer, err = storage.NewPacker(); err != nil {
		t.Fatal(err)
	}
	defer w.packer.Close()
	letters := slices.Collect(corpus.Generate(seed, 200, corpus.Options{AvgSize: 3000}))
	w.mail = func() corpus.Message { return letters[w.random.IntN(len(letters))] } // some arrive twice
	if w.log, err = faultvfs.Record(dir); err != nil {
		t.Fatal(err)
	}
	defer w.log.Stop()
	w.open()
	for len(w.steps) < 90 {
		if len(w.steps)%30 == 29 { // a person stops and starts the program
			w.close()
			w.open()
		}
		w.step()
	}
	w.close()
	return w
}

func (w *work) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *work) open() {
	w.t.Helper()
	var err error
	w.store, err = storage.Open(context.Background(), w.path, w.o)
	w.must(err)
	w.queue = queue.New(w.store)
	w.write(func(tx *storage.Writer) error { _, err := w.queue.StartTx(tx); return err })
	w.tasks = nil
}

func (w *work) close() {
	w.t.Helper()
	w.must(errors.Join(w.queue.Close(), w.store.Close()))
}

// write is one transaction and what it came to.
func (w *work) write(fn func(*storage.Writer) error) {
	w.t.Helper()
	w.must(w.store.Write(context.Background(), storage.Bulk, 0, fn))
	w.acked(false)
}

func (w *work) acked(loose bool) {
	w.t.Helper()
	at := w.log.Len()
	state, err := stateOf(w.store)
	w.must(err)
	w.steps = append(w.steps, step{at, state, loose})
}

// step does one thing.
func (w *work) step() {
	w.t.Helper()
	if len(w.boxes) < 2 || w.random.IntN(25) == 0 {
		w.setUp()
		return
	}
	b := w.boxes[w.random.IntN(len(w.boxes))]
	switch w.random.IntN(12) {
	case 0, 1, 2, 3:
		w.write(w.batch(b, 1+w.random.IntN(8)))
	case 4:
		w.together(b)
	case 5:
		w.large(b)
	case 6:
		w.write(func(tx *storage.Writer) error {
			_, err := tx.ApplyFlags(b.id, validity, []storage.FlagChange{{UID: b.one(w.random),
				Flags: storage.NewFlags([]string{`\Seen`, `\Flagged`}[:w.random.IntN(3)]), ModSeq: 9}})
			return err
		})
	case 7:
		uid := b.one(w.random)
		w.write(func(tx *storage.Writer) error { return tx.Expunge(b.id, validity, []storage.UID{uid}) })
		b.live = slices.DeleteFunc(b.live, func(one storage.UID) bool { return one == uid })
		w.write(func(tx *storage.Writer) error { _, err := tx.SettleOrphans(b.account); return err })
	case 8:
		w.index()
	case 9:
		t, ok, err := w.queue.Claim(context.Background(), b.account)
		w.must(err)
		w.acked(false)
		if ok {
			w.tasks = append(w.tasks, t)
		}
	case 10:
		w.endTask()
	case 11:
		w.write(func(tx *storage.Writer) error {
			run, err := tx.StartRun(b.account)
			if err == nil {
				err = tx.EndRun(run, "complete", "", 1, 0)
			}
			return errors.Join(err, tx.RecordFault(storage.Fault{At: time.Now(), Account: b.account, Class: "network",
				Scope: "account", Detail: "the line broke"}))
		})
	}
}

// one draws a live UID; 0, which nothing has, when there is none.
func (b *box) one(r *rand.Rand) storage.UID {
	if len(b.live) == 0 {
		return 0
	}
	return b.live[r.IntN(len(b.live))]
}

// setUp adds an account with a mailbox and its tasks.
func (w *work) setUp() {
	w.t.Helper()
	n := len(w.accounts)
	b := &box{next: 1}
	w.write(func(tx *storage.Writer) (err error) {
		if b.account, err = tx.AddAccount(storage.Account{Name: fmt.Sprint("account ", n),
			User: fmt.Sprint("user", n), Host: "localhost", Port: 143, Security: "plain"}); err != nil {
			return err
		}
		_, _, err = w.queue.EnqueueTx(tx, queue.NewTask{Account: b.account, Type: queue.InitialSync})
		return err
	})
	w.write(func(tx *storage.Writer) (err error) {
		if b.id, err = tx.PutMailbox(storage.Mailbox{Account: b.account, Raw: "INBOX", Path: "INBOX", Delimiter: "/",
			Selectable: true, Priority: 5}); err != nil {
			return err
		}
		if _, _, err = w.queue.EnqueueTx(tx, queue.NewTask{Account: b.account, Type: queue.FolderSync,
			Payload: queue.Payload{Mailbox: b.id}}); err != nil {
			return err
		}
		return tx.OpenGeneration(b.id, validity, 1, 0)
	})
	w.accounts, w.boxes = append(w.accounts, b.account), append(w.boxes, b)
}

// arrival makes the next message of a mailbox, as the engine would.
func (w *work) arrival(b *box, raw []byte, body *storage.Body) storage.Arrival {
	view := message.Parse(bytes.NewReader(raw), message.Limits{})
	a := storage.Arrival{UID: b.next, ModSeq: storage.ModSeq(b.next),
		InternalDate: time.Unix(1_700_000_000+int64(b.next), 0), Header: row.Header(view)}
	if body != nil {
		a.Body = *body
	} else {
		a.Body = w.packer.Pack(raw)
	}
	b.live = append(b.live, b.next)
	b.next += 1 + storage.UID(w.random.IntN(2))
	return a
}

// batch stores messages with their coverage and, where its task is claimed, the checkpoint.
func (w *work) batch(b *box, n int) func(*storage.Writer) error {
	out := storage.Batch{Mailbox: b.id, Validity: validity}
	for range n {
		a := w.arrival(b, w.mail().Raw, nil)
		out.Arrivals, out.Cover = append(out.Arrivals, a), append(out.Cover, storage.Range{Lo: a.UID, Hi: a.UID})
	}
	return func(tx *storage.Writer) error {
		if _, err := tx.StoreBatch(out); err != nil {
			return err
		}
		for _, t := range w.tasks {
			if t.Account == b.account {
				return w.queue.ProgressTx(tx, t, "INBOX", b.next, n)
			}
		}
		return nil
	}
}

// together asks for three batches at once, which share a COMMIT if they come in time.
func (w *work) together(b *box) {
	w.t.Helper()
	before := faultvfs.Calls(faultvfs.Sync, "-wal")
	var all sync.WaitGroup
	batches := []func(*storage.Writer) error{w.batch(b, 1), w.batch(b, 2), w.batch(b, 1)}
	entered := make(chan struct{})
	once := sync.OnceFunc(func() { close(entered) })
	failed := make([]error, len(batches))
	for i, fn := range batches {
		all.Go(func() {
			failed[i] = w.store.Write(context.Background(), storage.Bulk, 0, func(tx *storage.Writer) error {
				if i == 0 {
					once()
					for w.store.Waiting() < len(batches)-1 {
						runtime.Gosched()
					}
				}
				return fn(tx)
			})
		})
		if i == 0 {
			<-entered
		}
	}
	all.Wait()
	w.must(errors.Join(failed...))
	w.acked(faultvfs.Calls(faultvfs.Sync, "-wal") != before+1)
}

// large stages a message of several pieces and seals it.
func (w *work) large(b *box) {
	w.t.Helper()
	raw := []byte("Subject: large\r\n\r\n")
	for range 48 << 10 {
		raw = append(raw, "0123456789abcdef"[w.random.IntN(16)])
	}
	// one to two pieces more, which take little room
	raw = append(raw, bytes.Repeat([]byte("and so on, "), 100_000+w.random.IntN(100_000))...)
	body, err := w.store.Stage(context.Background(), w.packer, bytes.NewReader(raw))
	w.must(err)
	a := w.arrival(b, raw, &body)
	w.write(func(tx *storage.Writer) error {
		_, err := tx.StoreBatch(storage.Batch{Mailbox: b.id, Validity: validity, Arrivals: []storage.Arrival{a},
			Cover: []storage.Range{{Lo: a.UID, Hi: a.UID}}})
		return err
	})
}

// index does what the indexer does with its next batch.
func (w *work) index() {
	w.t.Helper()
	var docs []storage.IndexDoc
	w.must(w.store.Read(context.Background(), func(r *storage.Reader) error {
		rows, err := r.Unindexed(20)
		for _, email := range rows {
			blob, err := r.EmailBlob(email)
			if err != nil {
				return err
			}
			body, _, err := r.OpenBlob(blob)
			if err != nil {
				return err
			}
			doc := row.Document(message.Parse(body, message.Limits{}))
			doc.Email = email
			docs = append(docs, doc)
			if err := body.Close(); err != nil {
				return err
			}
		}
		return err
	}))
	if len(docs) > 0 {
		w.must(w.store.WriteAlone(context.Background(), func(tx *storage.Writer) error { return tx.IndexDocs(docs) }))
		w.acked(false)
	}
}

// endTask completes a claimed task, or lets it wait.
func (w *work) endTask() {
	w.t.Helper()
	if len(w.tasks) == 0 {
		return
	}
	t := w.tasks[0]
	w.tasks = w.tasks[1:]
	w.write(func(tx *storage.Writer) error {
		if w.random.IntN(2) == 0 {
			return w.queue.RetryTx(tx, t, time.Now().Add(time.Minute),
				queue.Failure{Class: "network", Message: "the line broke"})
		}
		_, err := w.queue.CompleteTx(tx, t)
		return err
	})
}
