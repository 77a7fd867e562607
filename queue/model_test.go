package queue

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"mailcote/storage"
	"mailcote/storage/tables"
	"mailcote/testkit/form"
)

// twin is what the model holds of an unfinished task.
type twin struct {
	account  storage.AccountID
	mailbox  int
	priority int
	state    State
	retries  int
	again    bool
	later    bool // waits beyond the end of the test
}

// TestModel drives the verbs at random against a model of what they promise; after each step every unfinished task has
// exactly its goqite row, unless goqite is done without. Some transactions fail in the end and must leave nothing.
func TestModel(t *testing.T) {
	steps := 1500
	if form.Long() {
		steps = 30_000
	}
	r := rand.New(rand.NewPCG(form.Seed(t, 11), 0))
	b := open(t)
	model := map[storage.TaskID]*twin{}
	ended := map[storage.TaskID]*twin{} // failed or cancelled
	held := map[storage.TaskID]Task{}
	var stale []Task
	accounts := []storage.AccountID{b.ada, b.bob}
	undo := errors.New("undone on purpose")

	pick := func() (Task, bool) {
		var ids []storage.TaskID
		for id := range held {
			ids = append(ids, id)
		}
		if len(ids) == 0 {
			return Task{}, false
		}
		slices.Sort(ids)
		return held[ids[r.IntN(len(ids))]], true
	}
	release := func(only storage.AccountID) {
		for id, one := range model {
			if one.state == Processing && (only == 0 || one.account == only) {
				one.state, one.again = Pending, false
				stale = append(stale, held[id])
				delete(held, id)
			}
		}
	}
	for step := range steps {
		switch op := r.IntN(14); op {
		case 0, 1, 2: // enqueue
			n := twin{account: accounts[r.IntN(2)], mailbox: 1 + r.IntN(6), priority: 1 + r.IntN(10), state: Pending}
			hurry, fails := r.IntN(4) == 0, r.IntN(5) == 0
			var id storage.TaskID
			var created bool
			err := b.try(func(w *storage.Writer) (err error) {
				id, created, err = b.EnqueueTx(w, NewTask{Account: n.account, Type: FolderSync, Priority: n.priority,
					Hurry: hurry, Payload: Payload{Mailbox: storage.MailboxID(n.mailbox)}})
				if err == nil && fails {
					err = undo
				}
				return err
			})
			if fails && errors.Is(err, undo) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			var have *twin
			for other, one := range model {
				if one.account == n.account && one.mailbox == n.mailbox {
					if have = one; other != id {
						t.Fatalf("step %d: task %d beside %d", step, id, other)
					}
				}
			}
			if created != (have == nil) {
				t.Fatalf("step %d: created %v", step, created)
			}
			if have == nil {
				model[id] = &n
				break
			}
			have.priority = max(have.priority, n.priority)
			if have.state == Processing {
				have.again = true
			} else if have.state == Waiting && hurry {
				have.state, have.later = Pending, false
			}
		case 3, 4, 5: // claim: the best that is visible
			account := accounts[r.IntN(2)]
			task, ok := b.claim(account)
			best := 0
			for _, one := range model {
				if one.account == account && (one.state == Pending || one.state == Waiting && !one.later) {
					best = max(best, one.priority)
				}
			}
			if ok != (best > 0) || ok && task.Priority != best {
				t.Fatalf("step %d: claimed %v %+v, the best has priority %d", step, ok, task, best)
			}
			if ok {
				one := model[task.ID]
				if one == nil || one.account != account || task.RetryCount != one.retries {
					t.Fatalf("step %d: claimed %+v, model %+v", step, task, one)
				}
				one.state = Processing
				held[task.ID] = task
			}
		case 6, 7, 8, 9: // a verb of the holder's
			task, ok := pick()
			if !ok {
				break
			}
			one, verb, later := model[task.ID], r.IntN(6), r.IntN(2) == 0
			at := time.Now()
			if later {
				at = at.Add(10 * time.Minute)
			}
			var again bool
			b.write(func(w *storage.Writer) (err error) {
				switch verb {
				case 0:
					return b.ProgressTx(w, task, "x", 1, 1)
				case 1:
					again, err = b.CompleteTx(w, task)
					return err
				case 2:
					return b.RetryTx(w, task, at, why("network"))
				case 3:
					return b.DelayTx(w, task, at, why("network"))
				case 4:
					return b.ReturnTx(w, task)
				}
				return b.FailTx(w, task, why("bug"))
			})
			if verb == 0 {
				one.retries = 0
				break
			}
			delete(held, task.ID)
			stale = append(stale, task)
			switch verb {
			case 1:
				if again != one.again {
					t.Fatalf("step %d: again %v, want %v", step, again, one.again)
				}
				one.retries = 0
				if one.again {
					one.state = Pending
				} else {
					delete(model, task.ID)
				}
			case 2, 3:
				if one.state, one.later = Pending, later; later {
					one.state = Waiting
				}
				if verb == 2 {
					one.retries++
				}
			case 4:
				one.state = Pending
			case 5:
				if one.again {
					one.state = Pending
					break
				}
				delete(model, task.ID)
				one.state, ended[task.ID] = Failed, one
			}
			one.again = false
		case 10: // a start, of all or of one account, and a hurry
			account := accounts[r.IntN(2)]
			switch r.IntN(4) {
			case 3: // another process, which may have to do without goqite
				b.reopen()
				if r.IntN(2) == 0 {
					if err := b.GoDirect(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				b.write(func(w *storage.Writer) error { _, err := b.StartTx(w); return err })
				release(0)
			case 0:
				b.write(func(w *storage.Writer) error { _, err := b.StartTx(w); return err })
				release(0)
			case 1:
				b.write(func(w *storage.Writer) error { _, err := b.ReleaseTx(w, account); return err })
				release(account)
			case 2:
				b.write(func(w *storage.Writer) error { return b.HurryTx(w, account) })
				for _, one := range model {
					if one.account == account && (one.state == Pending || one.state == Waiting) {
						one.state, one.later, one.retries = Pending, false, 0
					}
				}
			}
		case 11: // who lost the lease can do nothing
			if len(stale) == 0 {
				break
			}
			old := stale[r.IntN(len(stale))]
			if err := b.try(func(w *storage.Writer) error {
				return b.FailTx(w, old, why("x"))
			}); !errors.Is(err, ErrLeaseLost) {
				t.Fatalf("step %d: a lost lease: %v", step, err)
			}
		case 12, 13: // a person's verb on any task there ever was, or on all of an account
			o := Order{Verb: []Verb{VerbRetry, VerbCancel, VerbPause, VerbResume, VerbPriority}[r.IntN(5)],
				Priority: 1 + r.IntN(10)}
			if o.Account = accounts[r.IntN(2)]; r.IntN(4) > 0 {
				var ids []storage.TaskID
				for _, some := range []map[storage.TaskID]*twin{model, ended} {
					for id := range some {
						ids = append(ids, id)
					}
				}
				if len(ids) == 0 {
					break
				}
				slices.Sort(ids)
				o.Selection = Selection{IDs: []storage.TaskID{ids[r.IntN(len(ids))]}}
			}
			all, err := b.ByHand(t.Context(), o)
			if err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
			for _, outcome := range all {
				if changed := byHand(model, ended, o, outcome.Task.ID); changed != outcome.Changed {
					t.Fatalf("step %d: %+v, %+v: the model changed %v", step, o, outcome, changed)
				}
			}
			for id, one := range model { // a selection left out nothing it applies to
				if len(o.IDs) == 0 && one.account == o.Account && byHand(model, ended, o, id) {
					t.Fatalf("step %d: %+v left out task %d", step, o, id)
				}
			}
		}
		if len(ended) > 40 { // swept, as in life
			b.write(func(w *storage.Writer) error {
				_, err := tables.In(w).Exec(`DELETE FROM sync_task WHERE completed_at IS NOT NULL`)
				return err
			})
			clear(ended)
		}
		b.consistent()
		var tasks []Task
		if err := b.store.Read(t.Context(), func(r *storage.Reader) (err error) {
			tasks, err = List(r, 0, 1<<30)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		unfinished := 0
		for _, task := range tasks {
			if !task.CompletedAt.IsZero() {
				continue
			}
			unfinished++
			one := model[task.ID]
			if one == nil || one.priority != task.Priority || one.retries != task.RetryCount ||
				one.state != task.State {
				t.Fatalf("step %d: %+v, model %+v", step, task, one)
			}
		}
		if unfinished != len(model) {
			t.Fatalf("step %d: %d unfinished tasks, model %d", step, unfinished, len(model))
		}
	}
}

// byHand is what a person's verb does to the model.
func byHand(model, ended map[storage.TaskID]*twin, o Order, id storage.TaskID) (changed bool) {
	one := model[id]
	if one == nil {
		one = ended[id]
		for _, other := range model {
			if other.account == one.account && other.mailbox == one.mailbox {
				return false
			}
		}
		if o.Verb != VerbRetry {
			return false
		}
		delete(ended, id)
		one.state, one.retries, one.later, model[id] = Pending, 0, false, one
		return true
	}
	queued := one.state == Pending || one.state == Waiting
	switch {
	case o.Verb == VerbPriority && one.priority != o.Priority:
		one.priority = o.Priority
	case o.Verb == VerbRetry && one.state == Waiting:
		one.state, one.retries, one.later = Pending, 0, false
	case o.Verb == VerbCancel && (queued || one.state == Paused):
		delete(model, id)
		one.state, ended[id] = Cancelled, one
	case o.Verb == VerbPause && queued:
		one.state = Paused
	case o.Verb == VerbResume && one.state == Paused:
		if one.state = Pending; one.later {
			one.state = Waiting
		}
	default:
		return false
	}
	return true
}
